//! What happens in the demo scene and when: a pure function of the seed and the time.
//!
//! One round lasts [`ROUND_SECONDS`] and is repeated: an empty garden, somebody the house knows comes up the path, waits a
//! moment and leaves, nobody, a stranger does the same, nobody, the lights go off and on, nobody. The seed moves the times
//! and decides from which side people come.
//! Not here: pixels (`paint`, `garden`).

/// Length of a round.
pub const ROUND_SECONDS: f64 = 60.0;
/// How long somebody is on their way through the picture: a third walking in, a third waiting, a third walking out.
const WALK_SECONDS: f64 = 10.0;
const DARK_SECONDS: f64 = 5.0;
/// Least time of an empty garden, and how much the seed may add. The first is longer, for detectors to learn the scene.
const EMPTY_SECONDS: [f64; 3] = [8.0, 7.0, 7.0];
const EXTRA_SECONDS: f64 = 1.5;

/// What a part of the round shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Nobody, lights on.
    Empty,
    /// The person of [`super::faces`] is in the picture.
    Known,
    /// Somebody else is in the picture.
    Stranger,
    /// Nobody, lights off.
    Dark,
}

/// What the picture shows at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layout {
    /// Whether the lights are on.
    pub lit: bool,
    /// Who is there, if anybody.
    pub walker: Option<Walker>,
}

/// Somebody in the picture; lengths are fractions of the picture's height, except `x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Walker {
    /// True for the person of [`super::faces`].
    pub known: bool,
    /// Middle of the body as a fraction of the picture's width; outside of 0 to 1 when coming and going.
    pub x: f32,
    /// Height of what is seen, head to chest.
    pub height: f32,
    /// How far the step lifts the body.
    pub lift: f32,
}

/// The parts of a round in order, without gaps: start and end in seconds from the start of the round.
#[must_use]
pub fn schedule(seed: u64) -> Vec<(f64, f64, What)> {
    let mut dice = Dice(seed);
    let mut parts = Vec::with_capacity(7);
    let mut at = 0.0;
    let mut add = |seconds: f64, what| {
        parts.push((at, at + seconds, what));
        at += seconds;
    };
    for (empty, then) in EMPTY_SECONDS.into_iter().zip([What::Known, What::Stranger, What::Dark]) {
        add(empty + dice.roll() * EXTRA_SECONDS, What::Empty);
        add(if then == What::Dark { DARK_SECONDS } else { WALK_SECONDS }, then);
    }
    parts.push((at, ROUND_SECONDS, What::Empty));
    parts
}

/// What is to be seen `seconds` after the start of the first round.
#[must_use]
pub fn at(seed: u64, seconds: f64) -> Layout {
    let in_round = seconds.rem_euclid(ROUND_SECONDS);
    let parts = schedule(seed);
    let now = parts.into_iter().find(|(start, end, _)| (*start..*end).contains(&in_round));
    let (start, _, what) = now.unwrap_or((0.0, ROUND_SECONDS, What::Empty));
    let since = in_round - start;
    let walker = match what {
        What::Empty | What::Dark => None,
        What::Known => Some(walker(seed, true, since)),
        What::Stranger => Some(walker(seed, false, since)),
    };
    Layout { lit: what != What::Dark, walker }
}

fn walker(seed: u64, known: bool, since: f64) -> Walker {
    let mut dice = Dice(seed ^ if known { 0x6b6e } else { 0x7374 });
    let (from_left, stop) = (dice.roll() < 0.5, 0.44 + 0.12 * dice.roll() as f32);
    let progress = (since / WALK_SECONDS) as f32;
    // Outside of the picture by more than half the widest body.
    const OUTSIDE: f32 = 0.22;
    let (start, end) = if from_left { (-OUTSIDE, 1.0 + OUTSIDE) } else { (1.0 + OUTSIDE, -OUTSIDE) };
    let (x, walking) = if progress < 0.35 {
        (start + (stop - start) * ease_out(progress / 0.35), 1.0)
    } else if progress < 0.65 {
        (stop, 0.0)
    } else {
        (stop + (end - stop) * (1.0 - ease_out((1.0 - progress) / 0.35)), 1.0)
    };
    let turn = std::f32::consts::TAU * since as f32;
    // A step lifts about twice a second; somebody who waits only sways a little.
    let sway = if walking > 0.0 { 0.008 * (1.9 * turn).sin() } else { 0.002 * (0.4 * turn).sin() };
    let drift = if walking > 0.0 { 0.0 } else { 0.003 * (0.3 * turn).sin() };
    Walker { known, x: x + drift, height: 0.68 + 0.08 * progress.clamp(0.0, 1.0), lift: sway }
}

/// Quick at first, slower towards the end, as somebody who comes to a stop.
fn ease_out(part: f32) -> f32 {
    let left = 1.0 - part.clamp(0.0, 1.0);
    1.0 - left * left
}

/// A small generator of pseudo-random numbers (splitmix64, Steele, Lea and Flood 2014): the same seed, the same numbers.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below 1.
    pub(super) fn roll(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_has_every_part_in_order_and_no_gap() {
        for seed in 0..200 {
            let parts = schedule(seed);
            let order: Vec<What> = parts.iter().map(|part| part.2).collect();
            use What::{Dark, Empty, Known, Stranger};
            assert_eq!(order, [Empty, Known, Empty, Stranger, Empty, Dark, Empty]);
            assert_eq!((parts[0].0, parts[6].1), (0.0, ROUND_SECONDS));
            assert!(parts.windows(2).all(|two| two[0].1 == two[1].0));
            assert!(parts[0].1 >= 8.0 && parts.iter().all(|(start, end, _)| end - start >= 5.0), "{parts:?}");
        }
        assert_ne!(schedule(1), schedule(2));
    }

    #[test]
    fn the_layout_follows_the_schedule_in_every_round() {
        for seed in [1, 7, 99] {
            for (start, end, what) in schedule(seed) {
                for moment in [start + 0.001, (start + end) / 2.0, end - 0.001] {
                    for round in [0.0, 5.0] {
                        let layout = at(seed, moment + round * ROUND_SECONDS);
                        assert_eq!(layout.lit, what != What::Dark);
                        let who = layout.walker.map(|walker| walker.known);
                        let expected = [(What::Known, true), (What::Stranger, false)];
                        assert_eq!(
                            who,
                            expected.iter().find(|(part, _)| *part == what).map(|(_, known)| *known)
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn people_enter_and_leave_outside_of_the_picture_and_never_jump() {
        for seed in 0..20 {
            for (start, end, what) in schedule(seed) {
                let Some(first) = at(seed, start).walker else { continue };
                let last = at(seed, end - 0.001).walker.unwrap();
                assert!(
                    first.x.min(last.x) < -0.2 && first.x.max(last.x) > 1.2,
                    "{what:?} {first:?} {last:?}"
                );
                let steps: Vec<Walker> =
                    (0..300).filter_map(|n| at(seed, start + f64::from(n) / 30.0).walker).collect();
                // A 30th of a second moves nobody by more than 2.5 % of the picture.
                assert!(steps.windows(2).all(|two| (two[1].x - two[0].x).abs() < 0.025));
                assert!(steps.windows(2).all(|two| (two[1].lift - two[0].lift).abs() < 0.011));
            }
        }
    }
}
