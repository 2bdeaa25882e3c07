//! Why nothing was told: the decisions that led to no event, kept for a while and counted.
//!
//! The same reason again and again is one entry with a count, so that a tree in the wind does not push out everything else.
//! Not here: events ([`super::events`]), which tell their own reason.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::events::timestamp;
use super::fields::Fields;
use super::problem::Problem;

/// Entries kept, over all cameras.
const MAX_ENTRIES: usize = 500;
/// The same reason within this time belongs to the entry before.
const SAME_ENTRY: SignedDuration = SignedDuration::from_secs(10);
/// Without `from`, so far back is looked.
pub const LOOK_BACK: SignedDuration = SignedDuration::from_mins(10);

/// What kind of event did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// No motion event.
    Motion,
    /// No face event.
    Face,
    /// An event, but nobody was told: its `notify` is false.
    Notify,
}

impl Missing {
    /// The word in answers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Missing::Motion => "motion",
            Missing::Face => "face",
            Missing::Notify => "notify",
        }
    }
}

/// Why was there no event?
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Camera id; all of them without it.
    pub camera: Option<String>,
    /// The beginning; ten minutes before the end without it.
    pub from: Option<Timestamp>,
    /// The end; now without it.
    pub to: Option<Timestamp>,
}

impl Question {
    /// Reads the question from the fields of a request.
    ///
    /// # Errors
    /// What is unknown or of the wrong kind, with the field.
    pub fn parse(body: &Map<String, Value>) -> Result<Question, Problem> {
        let fields = Fields { request: "why", body };
        fields.only(&["camera", "from", "to"])?;
        Ok(Question { camera: fields.text("camera")?, from: fields.time("from")?, to: fields.time("to")? })
    }
}

/// One reason, for a stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    camera: String,
    missing: Missing,
    reason: &'static str,
    from: Timestamp,
    to: Timestamp,
    count: u32,
    detail: Map<String, Value>,
}

impl Entry {
    fn payload(&self) -> Value {
        json!({
            "camera": self.camera,
            "missing": self.missing.word(),
            "reason": self.reason,
            "explanation": explanation(self.reason),
            "from": timestamp(self.from),
            "to": timestamp(self.to),
            "count": self.count,
            "detail": self.detail,
        })
    }
}

/// The entries of the last while, newest first.
#[derive(Clone, Debug, Default)]
pub struct WhyLog {
    entries: VecDeque<Entry>,
}

impl WhyLog {
    /// Notes a reason; the detail of the newest one counts.
    pub fn note(
        &mut self,
        camera: &str,
        missing: Missing,
        reason: &'static str,
        at: Timestamp,
        detail: Map<String, Value>,
    ) {
        let same = |entry: &&mut Entry| {
            entry.camera == camera
                && (entry.missing, entry.reason) == (missing, reason)
                && at.duration_since(entry.to) <= SAME_ENTRY
        };
        if let Some(entry) = self.entries.iter_mut().take(16).find(same) {
            entry.to = entry.to.max(at);
            entry.count = entry.count.saturating_add(1);
            entry.detail = detail;
            return;
        }
        let camera = camera.to_owned();
        self.entries.push_front(Entry { camera, missing, reason, from: at, to: at, count: 1, detail });
        self.entries.truncate(MAX_ENTRIES);
    }

    /// The entries of a camera, or of all, that overlap the time between `from` and `to`; newest first.
    pub fn between(&self, camera: Option<&str>, from: Timestamp, to: Timestamp) -> Vec<Value> {
        let wanted = |entry: &&Entry| {
            camera.is_none_or(|camera| entry.camera == camera) && entry.to >= from && entry.from <= to
        };
        self.entries.iter().filter(wanted).map(Entry::payload).collect()
    }

    /// Forgets what is known about a camera, at privacy.
    pub fn forget(&mut self, camera: &str) {
        self.entries.retain(|entry| entry.camera != camera);
    }
}

/// A reason in a sentence.
#[must_use]
pub fn explanation(reason: &str) -> &'static str {
    match reason {
        "too_small" => "The face has too few pixels; see faces.min_size, or bring the camera nearer.",
        "low_score" => "The detector was not sure that this is a face; see faces.min_score.",
        "tilted" => "The head was tilted too far to be compared.",
        "turned" => "The head was turned away too far to be compared.",
        "blurred" => "The face was too blurred to say that it is nobody of the household.",
        "no_face" => "The recogniser saw no face in what the detector found.",
        "masked" => "It happened where nobody is to look: in a mask, or outside the regions.",
        "not_confirmed" => "The second opinion saw no face there.",
        "still" => "The face never moved, as a picture on a wall does not.",
        "known_nearby" => "A known face came within the grace time, very probably the same person.",
        "ignored" => "The face belongs to somebody whom you have ignored.",
        "gone_too_soon" => "The face was gone before it could be looked at.",
        "light_change" => "The light changed all over the picture.",
        "shake" => "The camera shook.",
        "starting" => "The camera had just started and was learning its background.",
        "inhibited" => "Motion was inhibited by a request.",
        "below_area" => "What moved was smaller than motion_min_area.",
        "too_short" => "What moved was gone before motion.min_duration.",
        "known_quiet" => "The same name was told a short while ago; see faces.known_quiet.",
        "suppress_unknown_after_known" => {
            "Somebody known was just at this camera; see faces.suppress_unknown_after_known."
        }
        "suppress_motion_after_known" => {
            "Somebody known was just at this camera; see faces.suppress_motion_after_known."
        }
        "motion_cooldown" => "Motion at this camera was told a short while ago; see events.motion_cooldown.",
        "unknown_cooldown" => {
            "An unknown face at this camera was told a short while ago; see events.unknown_cooldown."
        }
        "camera_cooldown" => {
            "The same of this camera was told a short while ago; see events.camera_cooldown."
        }
        "security_cooldown" => "An attack was told a short while ago; see events.security_cooldown.",
        "notifications" => "Notifications of this camera are switched off.",
        "motion_detection_off" => "Motion detection is switched off.",
        "face_recognition_off" => "Face recognition is switched off.",
        "privacy" => "Privacy is on.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    #[test]
    fn the_same_reason_is_one_entry_with_a_count() {
        let mut log = WhyLog::default();
        for second in 0..5 {
            log.note(
                "porch",
                Missing::Face,
                "too_small",
                at(second),
                Map::from_iter([("px".into(), json!(second))]),
            );
            log.note("garden", Missing::Motion, "light_change", at(second), Map::new());
        }
        log.note("porch", Missing::Face, "too_small", at(60), Map::new());
        let all = log.between(None, at(0), at(100));
        assert_eq!(all.len(), 3);
        assert_eq!((&all[0]["count"], &all[2]["count"]), (&json!(1), &json!(5)));
        assert_eq!((&all[2]["detail"]["px"], &all[2]["camera"]), (&json!(4), &json!("porch")));
        assert!(all[2]["explanation"].as_str().unwrap().contains("faces.min_size"));
        assert_eq!(log.between(Some("porch"), at(3), at(10)).len(), 1);
        assert_eq!(log.between(Some("porch"), at(5), at(10)).len(), 0);
        log.forget("porch");
        assert_eq!(log.between(None, at(0), at(100)).len(), 1);
    }

    #[test]
    fn a_question_is_read_strictly() {
        let parse = |body: Value| Question::parse(body.as_object().unwrap());
        assert_eq!(parse(json!({})).unwrap(), Question::default());
        let question = parse(json!({"camera": "porch", "from": "2026-01-01T00:00:03Z"})).unwrap();
        assert_eq!(
            (question.camera.as_deref(), question.from, question.to),
            (Some("porch"), Some(at(3)), None)
        );
        for (body, part) in [
            (json!({"since": 1}), "takes no \"since\""),
            (json!({"from": 7}), "text in \"from\""),
            (json!({"to": "yesterday"}), "not \"yesterday\""),
        ] {
            assert!(parse(body.clone()).unwrap_err().advice().contains(part), "{body}");
        }
    }

    #[test]
    fn the_log_is_bounded() {
        let mut log = WhyLog::default();
        for minute in 0..2000 {
            log.note("porch", Missing::Motion, "shake", at(60 * minute), Map::new());
        }
        assert_eq!(log.between(None, at(0), at(200_000)).len(), MAX_ENTRIES);
    }
}
