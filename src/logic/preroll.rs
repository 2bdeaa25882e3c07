//! The seconds before: a queue of pictures bounded in time and in bytes, and the beat that thins out a quick camera.
//!
//! Generic over the item, which says its size when it comes. Not here: what a picture is and who films
//! (`crate::clips`).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The newest items, oldest out first. The newest always stays, even alone above the limit of bytes: a film without the
/// seconds before is better than none, and the hub holds that picture anyway.
#[derive(Debug)]
pub struct Ring<T> {
    items: VecDeque<Held<T>>,
    span: Duration,
    limit: usize,
    bytes: usize,
}

/// One item with the time and the size that it came with.
#[derive(Debug)]
pub struct Held<T> {
    /// When it was captured.
    pub at: Instant,
    /// The item.
    pub item: T,
    size: usize,
}

impl<T> Ring<T> {
    /// An empty ring for items not older than `span` before the newest, and for `limit` bytes.
    #[must_use]
    pub fn new(span: Duration, limit: usize) -> Self {
        Self { items: VecDeque::new(), span, limit, bytes: 0 }
    }

    /// Takes an item of `size` bytes and lets the oldest go that are beyond a limit. Time that runs backwards begins anew.
    pub fn push(&mut self, at: Instant, item: T, size: usize) {
        if self.items.back().is_some_and(|newest| at < newest.at) {
            self.clear();
        }
        self.items.push_back(Held { at, item, size });
        self.bytes = self.bytes.saturating_add(size);
        self.trim();
    }

    /// Changes the limit of time.
    pub fn set_span(&mut self, span: Duration) {
        self.span = span;
        self.trim();
    }

    fn trim(&mut self) {
        let Some(newest) = self.items.back().map(|held| held.at) else { return };
        let is_beyond = |ring: &Self| {
            let age =
                ring.oldest().map_or(Duration::ZERO, |oldest| newest.saturating_duration_since(oldest.at));
            age > ring.span || ring.bytes > ring.limit
        };
        while self.items.len() > 1 && is_beyond(self) {
            self.pop();
        }
    }

    /// The oldest item.
    #[must_use]
    pub fn oldest(&self) -> Option<&Held<T>> {
        self.items.front()
    }

    /// Takes the oldest item out.
    pub fn pop(&mut self) -> Option<Held<T>> {
        let held = self.items.pop_front()?;
        self.bytes -= held.size;
        Some(held)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        // A new queue, so that the memory is given back too.
        (self.items, self.bytes) = (VecDeque::new(), 0);
    }

    /// How many items it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes of all items.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Lets through at most so many pictures a second, by the times at which they were captured.
#[derive(Debug)]
pub struct Beat {
    every: Duration,
    last: Option<Instant>,
    due: Option<Instant>,
}

impl Beat {
    /// One picture every so often.
    #[must_use]
    pub fn new(every: Duration) -> Self {
        Self { every, last: None, due: None }
    }

    /// Whether the picture of this time is one to take.
    ///
    /// A quarter of the interval early is on time, so that the jitter of a camera of the same rate costs nothing; what comes
    /// early does not move the next beat, so the mean rate holds.
    pub fn takes(&mut self, at: Instant) -> bool {
        if self.last.is_some_and(|last| at < last) {
            (self.last, self.due) = (None, None);
        }
        let is_early = self.due.is_some_and(|due| at + self.every / 4 < due);
        if is_early || self.last == Some(at) {
            return false;
        }
        // A pause is not made up for.
        let from = self.due.filter(|due| at < *due + self.every).unwrap_or(at);
        (self.last, self.due) = (Some(at), Some(from + self.every));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(ring: &Ring<u32>) -> Vec<u32> {
        ring.items.iter().map(|held| held.item).collect()
    }

    #[test]
    fn the_oldest_go_first_in_time_and_in_bytes() {
        // (seconds to keep, bytes to keep, pictures as (milliseconds, bytes), numbers of those that stay)
        type Row<'a> = (u64, usize, &'a [(u64, usize)], &'a [u32]);
        let rows: [Row<'_>; 9] = [
            (5, 100, &[], &[]),
            (5, 100, &[(0, 10), (2500, 10), (5000, 10)], &[0, 1, 2]),
            (5, 100, &[(0, 10), (2500, 10), (5001, 10)], &[1, 2]),
            (5, 100, &[(0, 10), (60_000, 10)], &[1]),
            (5, 100, &[(0, 50), (1, 50)], &[0, 1]),
            (5, 100, &[(0, 50), (1, 50), (2, 1)], &[1, 2]),
            (5, 100, &[(0, 50), (1, 50), (2, 101)], &[2]),
            (0, 100, &[(0, 10), (1, 10)], &[1]),
            (5, 100, &[(5000, 10), (6000, 10), (1000, 10)], &[2]),
        ];
        let start = Instant::now();
        for (number, (secs, limit, pictures, stay)) in rows.into_iter().enumerate() {
            let mut ring = Ring::new(Duration::from_secs(secs), limit);
            for (item, (millis, size)) in (0..).zip(pictures) {
                ring.push(start + Duration::from_millis(*millis), item, *size);
            }
            assert_eq!(held(&ring), stay, "row {number}");
            let sizes: usize = stay.iter().map(|item| pictures[*item as usize].1).sum();
            assert_eq!((ring.bytes(), ring.len()), (sizes, stay.len()), "row {number}");
        }
    }

    #[test]
    fn it_is_emptied_in_order_and_can_be_shortened() {
        let start = Instant::now();
        let mut ring = Ring::new(Duration::from_secs(10), 1000);
        for item in 0..10 {
            ring.push(start + Duration::from_secs(item.into()), item, 1);
        }
        ring.set_span(Duration::from_secs(3));
        assert_eq!(held(&ring), [6, 7, 8, 9]);
        assert_eq!(ring.pop().map(|held| (held.item, held.at)), Some((6, start + Duration::from_secs(6))));
        ring.clear();
        assert!(ring.is_empty() && ring.bytes() == 0 && ring.pop().is_none());
    }

    #[test]
    fn a_day_at_sixty_pictures_a_second_stays_within_the_limits() {
        let start = Instant::now();
        let mut ring = Ring::new(Duration::from_secs(5), 1 << 20);
        for item in 0..5_184_000u32 {
            ring.push(start + item * Duration::from_micros(16_667), item, 3_000 + item as usize % 1000);
            assert!(ring.len() <= 301 && ring.bytes() <= 1 << 20);
        }
    }

    #[test]
    fn the_beat_holds_the_rate_at_any_camera() {
        // (camera's milliseconds between two pictures, jitter, pictures of 60 s at a beat of 100 ms)
        for (step, jitter, wanted) in [
            (100, 0, 600),
            (100, 20, 600),
            (66, 0, 600),
            (33, 5, 600),
            (16, 0, 600),
            (120, 10, 500),
            (1000, 0, 60),
        ] {
            let (start, mut beat) = (Instant::now(), Beat::new(Duration::from_millis(100)));
            let taken = (0..60_000 / step)
                .filter(|n| beat.takes(start + Duration::from_millis(n * step + n * 7 % (jitter + 1))))
                .count();
            assert!(taken.abs_diff(wanted) <= 1 + wanted / 50, "{step} ms: {taken}");
        }
    }

    #[test]
    fn the_beat_takes_no_picture_twice_and_survives_a_clock_that_goes_back() {
        let (start, mut beat) = (Instant::now(), Beat::new(Duration::from_millis(100)));
        let late = start + Duration::from_secs(60);
        assert!(beat.takes(late) && !beat.takes(late) && !beat.takes(late + Duration::from_millis(50)));
        assert!(beat.takes(start) && !beat.takes(start) && beat.takes(start + Duration::from_millis(100)));
    }
}
