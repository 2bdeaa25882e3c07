//! Rates: sources that could deliver at any time are slowed, pictures that come too often are let past.
//!
//! Not here: what rate anybody wants.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::FPS;

/// Time between two pictures at a rate, which is brought into [`FPS`].
pub(super) fn interval_of(fps: f64) -> Duration {
    Duration::from_secs_f64(1.0 / fps.clamp(*FPS.start(), *FPS.end()))
}

/// Keeps sources that could deliver at any time to a rate.
pub(super) struct Pace {
    interval: Duration,
    due: Instant,
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, due: Instant::now() }
    }

    pub(super) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
        self.due = self.due.min(Instant::now() + interval);
    }

    /// Sleeps until the next picture is due or `until`; true when it is due.
    pub(super) fn wait(&mut self, until: Instant) -> bool {
        let now = Instant::now();
        let wake = self.due.min(until);
        std::thread::sleep(wake.saturating_duration_since(now));
        if wake < self.due {
            return false;
        }
        let now = Instant::now();
        self.due += self.interval;
        if self.due < now {
            // Far behind (the machine slept): start afresh instead of hurrying through the past.
            self.due = now + self.interval;
        }
        true
    }
}

/// Lets pictures through at a rate: each one that is due at once, others not at all, so nothing is ever delayed.
pub(super) struct Gate {
    interval: Duration,
    due: Option<Instant>,
}

impl Gate {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, due: None }
    }

    pub(super) fn reset(&mut self) {
        self.due = None;
    }

    pub(super) fn set_interval(&mut self, interval: Duration) {
        *self = Self::new(interval);
    }

    /// A quarter of an interval early is on time: cameras are not exact, and a picture refused for a millisecond would
    /// halve the rate.
    pub(super) fn is_due(&self, at: Instant) -> bool {
        self.due.is_none_or(|due| at + self.interval / 4 >= due)
    }

    /// The schedule moves on by whole intervals, so the rate holds in the long run although single pictures come early or late.
    pub(super) fn pass(&mut self, at: Instant) {
        let due = self.due.unwrap_or(at).max(at.checked_sub(self.interval).unwrap_or(at));
        self.due = Some(due + self.interval);
    }
}

/// Rates are measured over this time, and over two pictures at least.
const RATE_OVER: Duration = Duration::from_secs(2);

/// How many pictures came lately.
#[derive(Default)]
pub(super) struct Rate(VecDeque<Instant>);

impl Rate {
    pub(super) fn count(&mut self, at: Instant) {
        self.0.push_back(at);
        while self.0.len() > 2 && at.saturating_duration_since(self.0[0]) > RATE_OVER {
            self.0.pop_front();
        }
    }

    /// Whole intervals over the time that they took; a pause that is longer than those counts as one more.
    pub(super) fn per_second(&self, now: Instant) -> f64 {
        let (Some(first), Some(last)) = (self.0.front(), self.0.back()) else { return 0.0 };
        let intervals = self.0.len() - 1;
        let rate = |count: usize, over: Duration| count as f64 / over.as_secs_f64().max(1e-6);
        let steady = rate(intervals, last.saturating_duration_since(*first));
        steady.min(rate(intervals + 1, now.saturating_duration_since(*first)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_keeps_the_rate_and_forgives_jitter() {
        let start = Instant::now();
        // Camera rate, wished rate, jitter in milliseconds, pictures expected in ten seconds.
        for (camera, wished, jitter, expected) in [
            (30.0, 10.0, 0, 100),
            (30.0, 15.0, 9, 150),
            (30.0, 20.0, 5, 200),
            (15.0, 15.0, 12, 150),
            (10.0, 30.0, 3, 100),
            (60.0, 0.5, 0, 5),
        ] {
            let mut gate = Gate::new(Duration::from_secs_f64(1.0 / wished));
            let mut passed = 0;
            for number in 0..(camera as u64 * 10) {
                let late = Duration::from_millis(number * 7919 % (jitter + 1));
                let at = start + Duration::from_secs_f64(number as f64 / camera) + late;
                if gate.is_due(at) {
                    gate.pass(at);
                    passed += 1;
                }
            }
            assert!(
                (i32::abs_diff(passed, expected)) <= (expected as u32 / 20).max(1),
                "{camera} -> {wished}: {passed}"
            );
        }
    }

    #[test]
    fn the_rate_is_exact_from_the_second_picture_on_and_falls_in_silence() {
        let start = Instant::now();
        for fps in [0.2, 5.0, 15.0, 60.0] {
            let at = |number: f64| start + Duration::from_secs_f64(number / fps);
            let mut rate = Rate::default();
            rate.count(start);
            assert_eq!(rate.per_second(start), 0.0);
            for number in 1..500 {
                rate.count(at(f64::from(number)));
                let measured = rate.per_second(at(f64::from(number) + 0.9));
                assert!((measured / fps - 1.0).abs() < 0.01, "{fps}: {measured}");
            }
            assert!(rate.per_second(at(499.0) + Duration::from_secs(100)) < 0.5 * fps);
        }
    }
}
