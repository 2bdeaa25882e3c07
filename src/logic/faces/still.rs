//! Places where a face hangs still: pictures on a wall, and whatever else looked like a face while nothing moved.
//!
//! Not here: which faces are still (see `tracker`).

use std::time::{Duration, Instant};

use super::face::PixelRect;

/// So long a place is remembered after a face was last seen there.
pub(super) const MEMORY: Duration = Duration::from_secs(600);
/// Places at most.
const MAX_PLACES: usize = 32;
/// A face belongs to a place while its centre and its width differ by less than this share of the place's width. The boxes of a picture
/// tremble by 2 to 5 %, and more when somebody half hides it; somebody alive comes farther within seconds.
const NEAR: f32 = 0.3;
/// Or while this share of it lies within the place: the visible part of a picture that is half hidden.
const WITHIN: f32 = 0.8;
/// A place whose face was seen for this long stays although a calm look finds no face there: something stands in front of it.
const CERTAIN_AFTER: Duration = Duration::from_secs(60);

/// The remembered places.
#[derive(Debug, Default)]
pub(super) struct StillPlaces {
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    rect: PixelRect,
    since: Instant,
    seen: Instant,
}

impl Place {
    fn holds(&self, rect: &PixelRect) -> bool {
        let ([x, y], [place_x, place_y]) = (rect.centre(), self.rect.centre());
        let apart = (x - place_x).hypot(y - place_y).max((rect.width - self.rect.width).abs());
        apart < NEAR * self.rect.width || self.rect.common(rect) >= WITHIN * rect.area()
    }
}

impl StillPlaces {
    /// Drops the places where no face was seen for long.
    pub(super) fn forget_old(&mut self, now: Instant) {
        self.places.retain(|place| now.saturating_duration_since(place.seen) < MEMORY);
    }

    /// Whether a face there is the one that hangs there.
    pub(super) fn hold(&mut self, rect: &PixelRect, now: Instant) -> bool {
        let place = self.places.iter_mut().find(|place| place.holds(rect));
        place.map(|place| place.seen = now).is_some()
    }

    /// Remembers a place. That of a known one stays as it was: else somebody could be followed in small steps.
    pub(super) fn note(&mut self, rect: PixelRect, now: Instant) {
        if rect.area() > 0.0 && !self.hold(&rect, now) {
            self.places.sort_by_key(|place| std::cmp::Reverse(place.seen));
            self.places.truncate(MAX_PLACES - 1);
            self.places.push(Place { rect, since: now, seen: now });
        }
    }

    /// Drops the places that a look at the calm scene found empty, unless they were certain.
    pub(super) fn keep_only(&mut self, found: &[PixelRect]) {
        self.places.retain(|place| {
            let certain = place.seen.saturating_duration_since(place.since) >= CERTAIN_AFTER;
            certain || found.iter().any(|rect| place.holds(rect))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: PixelRect = PixelRect { x: 100.0, y: 100.0, width: 100.0, height: 120.0 };

    fn learnt(now: Instant) -> StillPlaces {
        let mut still = StillPlaces::default();
        still.note(PLACE, now);
        still
    }

    #[test]
    fn a_place_holds_what_trembles_and_what_is_half_hidden() {
        let now = Instant::now();
        let mut still = learnt(now);
        for (what, rect, wanted) in [
            ("the same", PLACE, true),
            ("trembling", PixelRect { x: 105.0, y: 97.0, width: 104.0, height: 118.0 }, true),
            ("its left half", PixelRect { width: 55.0, ..PLACE }, true),
            ("somebody a little beside", PixelRect { x: 131.0, ..PLACE }, false),
            (
                "somebody nearer to the camera",
                PixelRect { x: 75.0, y: 70.0, width: 150.0, height: 180.0 },
                false,
            ),
            ("elsewhere", PixelRect { x: 500.0, ..PLACE }, false),
        ] {
            assert_eq!(still.hold(&rect, now), wanted, "{what}");
        }
    }

    #[test]
    fn a_place_does_not_follow_small_steps() {
        let now = Instant::now();
        let mut still = learnt(now);
        let step = |n: u8| PixelRect { x: 100.0 + 10.0 * f32::from(n), ..PLACE };
        assert!(still.hold(&step(1), now) && still.hold(&step(2), now) && !still.hold(&step(4), now));
    }

    #[test]
    fn places_are_forgotten_when_empty_or_old() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let mut still = learnt(start);
        still.keep_only(&[PLACE]);
        assert!(still.hold(&PLACE, at(30)));
        still.keep_only(&[]);
        assert!(!still.hold(&PLACE, at(31)), "nobody is there any more");
        let mut still = learnt(start);
        assert!(still.hold(&PLACE, at(90)));
        still.keep_only(&[]);
        assert!(still.hold(&PLACE, at(100)), "something stands in front of the picture");
        still.forget_old(at(100) + MEMORY);
        assert!(!still.hold(&PLACE, at(100) + MEMORY));
    }

    #[test]
    fn places_are_bounded_and_the_newest_stay() {
        let start = Instant::now();
        let mut still = StillPlaces::default();
        for n in 0..100_u16 {
            still.note(PixelRect { x: 200.0 * f32::from(n), ..PLACE }, start + Duration::from_secs(n.into()));
        }
        assert_eq!(still.places.len(), MAX_PLACES);
        assert!(still.hold(&PixelRect { x: 200.0 * 99.0, ..PLACE }, start));
        assert!(!still.hold(&PLACE, start));
        still.note(PixelRect::default(), start);
        assert_eq!(still.places.len(), MAX_PLACES, "a box without area is no place");
    }
}
