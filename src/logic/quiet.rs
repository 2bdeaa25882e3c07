//! Whom people are told about: a name once an hour, motion every five minutes, and less about strangers and motion just after
//! somebody known came.
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
    /// After motion was told, further motion at the same camera is not told for this long.
    pub motion_cooldown: Duration,
    /// After an unknown or unsure face was told, further ones at the same camera are not told for this long.
    pub unknown_cooldown: Duration,
    /// After a camera's loss or return was told, the same is not told of it again for this long.
    pub camera_cooldown: Duration,
    /// After an attack was told, further ones are not told for this long.
    pub security_cooldown: Duration,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            known_quiet: Duration::from_secs(3600),
            suppress_unknown_after_known: Duration::from_secs(60),
            suppress_motion_after_known: Duration::from_secs(3600),
            motion_cooldown: Duration::from_secs(300),
            unknown_cooldown: Duration::from_secs(60),
            camera_cooldown: Duration::from_secs(300),
            security_cooldown: Duration::from_secs(300),
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
    /// A camera is lost or back; the `event_type`.
    Camera(&'static str),
    /// Somebody tries to get in.
    Security,
}

/// What was told when.
#[derive(Clone, Debug, Default)]
pub struct Quiet {
    policy: Policy,
    /// When each name was last told.
    told: BTreeMap<String, Instant>,
    /// When somebody known was last at each camera.
    known_at: BTreeMap<String, Instant>,
    /// When something of a kind was last told, by the key of its cool-down (or the `event_type`) and the camera.
    cooling: BTreeMap<(&'static str, String), Instant>,
}

impl Quiet {
    /// Nothing was told yet.
    #[must_use]
    pub fn new(policy: Policy) -> Quiet {
        Quiet { policy, ..Quiet::default() }
    }

    /// Why nobody is to be told of this: the key of the setting; `None` when somebody is. Remembers what was told.
    /// `camera` is empty for the appliance itself.
    pub fn reason(&mut self, about: About<'_>, camera: &str, now: Instant) -> Option<&'static str> {
        let Policy { suppress_unknown_after_known, suppress_motion_after_known, .. } = self.policy;
        match about {
            About::Known(person) => {
                self.seen(camera, now);
                if is_within(self.told.get(person), self.policy.known_quiet, now) {
                    return Some("known_quiet");
                }
                self.told.insert(person.into(), now);
                None
            }
            About::Unknown => {
                if is_within(self.known_at.get(camera), suppress_unknown_after_known, now) {
                    return Some("suppress_unknown_after_known");
                }
                self.cool("unknown_cooldown", "unknown", camera, self.policy.unknown_cooldown, now)
            }
            About::Motion => {
                if is_within(self.known_at.get(camera), suppress_motion_after_known, now) {
                    return Some("suppress_motion_after_known");
                }
                self.cool("motion_cooldown", "motion", camera, self.policy.motion_cooldown, now)
            }
            About::Camera(event_type) => {
                self.cool("camera_cooldown", event_type, camera, self.policy.camera_cooldown, now)
            }
            About::Security => {
                self.cool("security_cooldown", "security", camera, self.policy.security_cooldown, now)
            }
        }
    }

    /// Somebody known was at a camera, whether or not it was told.
    pub fn seen(&mut self, camera: &str, now: Instant) {
        self.known_at.insert(camera.into(), now);
    }

    /// The reason if the same was told a short while ago; else it counts as told now.
    fn cool(
        &mut self,
        reason: &'static str,
        what: &'static str,
        camera: &str,
        pause: Duration,
        now: Instant,
    ) -> Option<&'static str> {
        let key = (what, camera.to_owned());
        if is_within(self.cooling.get(&key), pause, now) {
            return Some(reason);
        }
        self.cooling.insert(key, now);
        None
    }

    /// The name was wrong, so nothing follows from it.
    pub fn retract(&mut self, person: &str, camera: &str) {
        self.told.remove(person);
        self.known_at.remove(camera);
    }
}

fn is_within(at: Option<&Instant>, pause: Duration, now: Instant) -> bool {
    at.is_some_and(|at| now.saturating_duration_since(*at) < pause)
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
    fn each_kind_cools_down_by_itself_and_at_each_camera() {
        let start = Instant::now();
        let mut quiet = Quiet::new(Policy::default());
        for (second, camera, about, wanted) in [
            (0, "porch", About::Motion, None),
            (60, "porch", About::Motion, Some("motion_cooldown")),
            (60, "garden", About::Motion, None),
            (61, "porch", About::Unknown, None),
            (120, "porch", About::Unknown, Some("unknown_cooldown")),
            (121, "porch", About::Unknown, None),
            // What was held back does not begin the pause anew.
            (299, "porch", About::Motion, Some("motion_cooldown")),
            (300, "porch", About::Motion, None),
            (301, "porch", About::Motion, Some("motion_cooldown")),
            (302, "porch", About::Camera("lost"), None),
            (303, "porch", About::Camera("recovered"), None),
            (304, "porch", About::Camera("lost"), Some("camera_cooldown")),
            (304, "garden", About::Camera("lost"), None),
            (305, "", About::Security, None),
            (604, "", About::Security, Some("security_cooldown")),
            (605, "", About::Security, None),
            // A clock that went back holds nothing back for longer than the pause.
            (0, "porch", About::Camera("recovered"), Some("camera_cooldown")),
        ] {
            let now = start + Duration::from_secs(second);
            assert_eq!(quiet.reason(about, camera, now), wanted, "second {second}: {about:?} at {camera}");
        }
    }

    #[test]
    fn a_pause_of_zero_and_a_wrong_name_hold_nothing_back() {
        let now = Instant::now();
        let zero = Policy {
            known_quiet: Duration::ZERO,
            suppress_unknown_after_known: Duration::ZERO,
            suppress_motion_after_known: Duration::ZERO,
            motion_cooldown: Duration::ZERO,
            unknown_cooldown: Duration::ZERO,
            camera_cooldown: Duration::ZERO,
            security_cooldown: Duration::ZERO,
        };
        let mut quiet = Quiet::new(zero);
        for about in
            [About::Known("a"), About::Unknown, About::Motion, About::Camera("lost"), About::Security]
        {
            for _ in 0..2 {
                assert_eq!(quiet.reason(about, "porch", now), None);
            }
        }
        let mut quiet = Quiet::new(Policy::default());
        quiet.reason(About::Known("a"), "porch", now);
        quiet.retract("a", "porch");
        assert_eq!(quiet.reason(About::Unknown, "porch", now), None);
        assert_eq!(quiet.reason(About::Known("a"), "porch", now), None);
    }
}
