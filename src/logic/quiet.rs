//! Whom people are told about: a name once an hour, and less about strangers and motion just after somebody known came.
//!
//! States and events stay true; only their `notify` changes. Time comes in as an argument.
//! Not here: what an event says ([`super::events`]).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long who stays quiet; the defaults are those of Jarvis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// After a name was told, the same name is not told again for this long, on any camera.
    pub known_quiet: Duration,
    /// After a known face, nobody is told of an unknown or unsure one at the same camera for this long: most are a second
    /// look at the same person.
    pub suppress_unknown_after_known: Duration,
    /// After a known face, nobody is told of motion at the same camera for this long.
    pub suppress_motion_after_known: Duration,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            known_quiet: Duration::from_secs(3600),
            suppress_unknown_after_known: Duration::from_secs(60),
            suppress_motion_after_known: Duration::from_secs(3600),
        }
    }
}

/// What an event is about, as far as telling goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About<'a> {
    /// A person of that slug.
    Known(&'a str),
    /// A face without a name.
    Unknown,
    /// Something moves.
    Motion,
}

/// What was told when.
#[derive(Clone, Debug, Default)]
pub struct Quiet {
    policy: Policy,
    /// When each name was last told.
    told: BTreeMap<String, Instant>,
    /// When somebody known was last at each camera.
    known_at: BTreeMap<String, Instant>,
}

impl Quiet {
    /// Nothing was told yet.
    #[must_use]
    pub fn new(policy: Policy) -> Quiet {
        Quiet { policy, ..Quiet::default() }
    }

    /// Why nobody is to be told of this: the key of the setting; `None` when somebody is. Remembers what was told.
    pub fn reason(&mut self, about: About<'_>, camera: &str, now: Instant) -> Option<&'static str> {
        let within =
            |at: Option<&Instant>, pause| at.is_some_and(|at| now.saturating_duration_since(*at) < pause);
        match about {
            About::Known(person) => {
                self.known_at.insert(camera.into(), now);
                if within(self.told.get(person), self.policy.known_quiet) {
                    return Some("known_quiet");
                }
                self.told.insert(person.into(), now);
                None
            }
            About::Unknown => {
                let pause = self.policy.suppress_unknown_after_known;
                within(self.known_at.get(camera), pause).then_some("suppress_unknown_after_known")
            }
            About::Motion => {
                let pause = self.policy.suppress_motion_after_known;
                within(self.known_at.get(camera), pause).then_some("suppress_motion_after_known")
            }
        }
    }

    /// The name was wrong, so nothing follows from it.
    pub fn retract(&mut self, person: &str, camera: &str) {
        self.told.remove(person);
        self.known_at.remove(camera);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_pauses() {
        let start = Instant::now();
        let mut quiet = Quiet::new(Policy::default());
        const ALICE: About<'static> = About::Known("alice");
        for (minute, camera, about, wanted) in [
            (0.0, "porch", About::Motion, None),
            (0.0, "porch", About::Unknown, None),
            (1.0, "porch", ALICE, None),
            (1.5, "porch", ALICE, Some("known_quiet")),
            (1.6, "porch", About::Unknown, Some("suppress_unknown_after_known")),
            (1.6, "garden", About::Unknown, None),
            (2.0, "porch", About::Motion, Some("suppress_motion_after_known")),
            (2.0, "garden", About::Motion, None),
            (2.4, "porch", About::Known("bob"), None),
            (3.3, "porch", About::Unknown, Some("suppress_unknown_after_known")),
            (3.5, "porch", About::Unknown, None),
            (30.0, "garden", ALICE, Some("known_quiet")),
            (60.9, "garden", ALICE, Some("known_quiet")),
            (61.0, "garden", ALICE, None),
            (62.3, "porch", About::Motion, Some("suppress_motion_after_known")),
            (62.4, "porch", About::Motion, None),
            (62.4, "garden", About::Motion, Some("suppress_motion_after_known")),
        ] {
            let now = start + Duration::from_secs_f64(60.0 * minute);
            assert_eq!(quiet.reason(about, camera, now), wanted, "minute {minute}: {about:?} at {camera}");
        }
    }

    #[test]
    fn a_pause_of_zero_and_a_wrong_name_hold_nothing_back() {
        let now = Instant::now();
        let zero = Policy {
            known_quiet: Duration::ZERO,
            suppress_unknown_after_known: Duration::ZERO,
            suppress_motion_after_known: Duration::ZERO,
        };
        let mut quiet = Quiet::new(zero);
        for about in [About::Known("a"), About::Known("a"), About::Unknown, About::Motion] {
            assert_eq!(quiet.reason(about, "porch", now), None);
        }
        let mut quiet = Quiet::new(Policy::default());
        quiet.reason(About::Known("a"), "porch", now);
        quiet.retract("a", "porch");
        assert_eq!(quiet.reason(About::Unknown, "porch", now), None);
        assert_eq!(quiet.reason(About::Known("a"), "porch", now), None);
    }
}
