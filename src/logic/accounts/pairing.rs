//! The pairing code: whoever can read the log of the appliance, or its terminal, makes the first user.
//!
//! Not here: how many wrong ones somebody may try ([`crate::logic::throttle`]).

use jiff::{SignedDuration, Timestamp};
use subtle::ConstantTimeEq;

use super::signs::{grouped, signs, typed};

/// How long a code is good.
const LIFE: SignedDuration = SignedDuration::from_mins(15);
/// Forty bits; with 5 wrong guesses in ten minutes from one network that is as good as many more.
const SIGNS: usize = 8;

/// A code that is good for one user.
#[derive(Clone, PartialEq, Eq)]
pub struct Pairing {
    signs: String,
    until: Timestamp,
}

/// Without the code.
impl std::fmt::Debug for Pairing {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "a code until {}", self.until)
    }
}

impl Pairing {
    /// A new code made of random bytes.
    #[must_use]
    pub fn new(random: [u8; SIGNS], now: Timestamp) -> Self {
        Self { signs: signs(&random), until: now.saturating_add(LIFE).unwrap_or(now) }
    }

    /// The code for people, such as `7K2M-Q0RD`.
    #[must_use]
    pub fn code(&self) -> String {
        grouped(&self.signs, 4).to_uppercase()
    }

    /// When it ends.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// Whether this is what somebody typed, in large or small letters, with or without the dash, and in time.
    #[must_use]
    pub fn opens(&self, text: &str, now: Timestamp) -> bool {
        let is_same: bool = typed(text).as_bytes().ct_eq(self.signs.as_bytes()).into();
        is_same && now <= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_typed_in_any_way_and_dies_after_fifteen_minutes() {
        let start: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
        let pairing = Pairing::new([0, 1, 18, 31, 255, 32, 10, 20], start);
        assert_eq!(pairing.code(), "01JZ-Z0AM");
        let after = |seconds| start + SignedDuration::from_secs(seconds);
        for (text, at, opens) in [
            ("01JZ-Z0AM", after(0), true),
            ("01jzz0am", after(900), true),
            (" o1jz zOam ", after(60), true),
            ("OLJZ-ZOAM", after(60), true),
            ("01JZ-Z0AM", after(901), false),
            ("01JZ-Z0AN", after(0), false),
            ("01JZ-Z0A", after(0), false),
            ("", after(0), false),
        ] {
            assert_eq!(pairing.opens(text, at), opens, "{text:?} at {at}");
        }
    }
}
