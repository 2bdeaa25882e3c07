//! How long to wait before something that failed is tried again.
//!
//! Not here: the waiting; chance comes in as an argument.

use std::time::Duration;

use jiff::Timestamp;

/// Pauses that double from the first to the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// Never more than this.
    pub longest: Duration,
}

impl Backoff {
    /// The pause after so many failures in a row, 1 for the first. `chance`, 0 to 1, takes up to a fifth away, so that many
    /// appliances do not return in step. `asked` is what the other side wants to be left alone; it counts up to the longest.
    #[must_use]
    pub fn pause(&self, failures: u32, chance: f32, asked: Option<Duration>) -> Duration {
        let doubled = 2u32.checked_pow(failures.saturating_sub(1)).and_then(|by| self.first.checked_mul(by));
        let pause = doubled.unwrap_or(self.longest).min(self.longest);
        let spread = pause.mul_f32(1.0 - 0.2 * chance.clamp(0.0, 1.0));
        spread.max(asked.unwrap_or_default().min(self.longest))
    }
}

/// Reads the header `Retry-After`: seconds, or a moment as HTTP writes it.
#[must_use]
pub fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let moment = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(moment.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUSE: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_mins(10) };

    #[test]
    fn pauses_double_up_to_the_longest() {
        let seconds = |failures| HOUSE.pause(failures, 0.0, None).as_secs();
        assert_eq!([1, 2, 3, 9, 10, 11, 40, u32::MAX].map(seconds), [2, 4, 8, 512, 600, 600, 600, 600]);
        assert_eq!(HOUSE.pause(0, 0.0, None), HOUSE.first);
    }

    #[test]
    fn chance_shortens_by_a_fifth_at_most() {
        for (chance, expected) in [(0.0, 4000), (0.5, 3600), (1.0, 3200), (7.0, 3200), (-1.0, 4000)] {
            let pause = HOUSE.pause(2, chance, None).as_secs_f32() * 1000.0;
            assert!((pause - expected as f32).abs() < 1.0, "{chance}: {pause}");
        }
    }

    #[test]
    fn a_wish_to_be_left_alone_is_kept_up_to_the_longest() {
        let asked = |seconds| HOUSE.pause(1, 1.0, Some(Duration::from_secs(seconds))).as_secs();
        assert_eq!([0, 1, 30, 600, 86_400].map(asked), [1, 1, 30, 600, 600]);
    }

    #[test]
    fn the_wish_may_be_seconds_or_a_moment() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let table = [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 22 Nov 2026 10:00:30 GMT", Some(30)),
            ("Sun, 22 Nov 2026 09:00:00 GMT", Some(0)),
            ("-5", None),
            ("soon", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(retry_after(text, now), expected.map(Duration::from_secs), "{text:?}");
        }
    }
}
