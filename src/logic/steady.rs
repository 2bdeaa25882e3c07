//! Whether the wall clock can be trusted enough to delete things for their age.
//!
//! A board without a battery wakes up years ago and jumps when the network tells the time; somebody may set a clock
//! wrong. So the clock counts only after it has gone as evenly as the one that nobody can set.
//! Not here: what is deleted ([`crate::archive`] does it).

use std::time::Duration;

use jiff::SignedDuration;

use super::input::Now;

/// How long both clocks must have gone alike.
pub const PROOF: Duration = Duration::from_secs(60 * 60);
/// By how much they may differ in that time; less than what slewing towards the right time does in an hour.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

/// Compares the wall clock with the monotonic one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Steady {
    /// The first look since the last jump.
    since: Option<Now>,
}

impl Steady {
    /// Takes a look, and says whether the wall clock may be believed. A jump begins a new hour.
    pub fn look(&mut self, now: Now) -> bool {
        let Some(since) = self.since else {
            self.since = Some(now);
            return false;
        };
        let lasted = now.instant.saturating_duration_since(since.instant);
        let by_wall = now.wall.duration_since(since.wall);
        let apart = by_wall.saturating_sub(SignedDuration::try_from(lasted).unwrap_or(SignedDuration::MAX));
        if apart.abs() >= TOLERANCE {
            self.since = Some(now);
            return false;
        }
        lasted >= PROOF
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Looks once a minute; the table says in which minutes the wall clock jumps and by how many seconds.
    fn trusted_minutes(jumps: &[(u32, i64)], minutes: u32) -> Vec<u32> {
        let (begin, mut offset) = (Instant::now(), SignedDuration::ZERO);
        let wall: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut steady = Steady::default();
        let mut trusted = Vec::new();
        for minute in 0..=minutes {
            for (_, by) in jumps.iter().filter(|(at, _)| *at == minute) {
                offset += SignedDuration::from_secs(*by);
            }
            let lasted = Duration::from_secs(60 * u64::from(minute));
            let gone = SignedDuration::try_from(lasted).unwrap();
            if steady.look(Now { instant: begin + lasted, wall: wall + gone + offset }) {
                trusted.push(minute);
            }
        }
        trusted
    }

    #[test]
    fn an_even_hour_is_needed_and_each_jump_begins_it_anew() {
        const YEARS: i64 = 5 * 365 * 86_400;
        for (what, jumps, trusted) in [
            ("even", &[][..], 60..=200),
            ("the time comes from the network", &[(1, YEARS)], 61..=200),
            ("late", &[(30, YEARS)], 90..=200),
            ("backwards", &[(45, -YEARS)], 105..=200),
            ("to and fro", &[(10, YEARS), (20, -YEARS)], 80..=200),
            ("just enough to count", &[(10, 60)], 70..=200),
            ("small corrections", &[(10, 59), (20, -59), (30, 20)], 60..=200),
            ("small ones that add up", &[(10, 30), (20, 30)], 80..=200),
        ] {
            assert_eq!(trusted_minutes(jumps, 200), trusted.collect::<Vec<_>>(), "{what}");
        }
        let after_trust = trusted_minutes(&[(100, 3600)], 200);
        assert_eq!(after_trust, (60..100).chain(160..=200).collect::<Vec<_>>());
    }

    #[test]
    fn one_look_proves_nothing() {
        let now = Now { instant: Instant::now(), wall: jiff::Timestamp::UNIX_EPOCH };
        assert!(!Steady::default().look(now));
    }
}
