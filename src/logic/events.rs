//! Things that happened: told once, never retained, each with its picture and how long it took.
//!
//! Not here: when an event is due ([`super::appliance`]) and where it is sent.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::checksum::sha256;
use super::topics::Topics;

/// Version of every JSON payload.
pub const SCHEMA_VERSION: u32 = 1;
/// An event that waited longer than this to be sent is history, not news: `live` is false.
const LIVE: Duration = Duration::from_secs(10);

/// The sorts of events; also the last segment of their topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// `event/motion`.
    Motion,
    /// `event/face`.
    Face,
    /// A picture somebody asked for; it has no event topic, only its picture.
    Snapshot,
}

impl Sort {
    /// The word in topics and lists.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Motion => "motion",
            Self::Face => "face",
            Self::Snapshot => "snapshot",
        }
    }
}

/// One event. Never changed once it is made.
#[derive(Clone, Debug)]
pub struct Event {
    /// ULID: sorts by time, the same in payload, topic, file name and URL.
    pub id: String,
    /// Id of the camera.
    pub camera: String,
    /// Motion, face or snapshot.
    pub sort: Sort,
    /// The `event_type` of the payload.
    pub event_type: &'static str,
    /// When the camera delivered the first frame that led to it.
    pub captured_at: Instant,
    /// When it was decided; for faces later than the first frame by the time it took to be sure.
    pub decided_at: Instant,
    /// When the frame was delivered, as wall time.
    pub ts: Timestamp,
    /// What it says, in a sentence.
    pub title: String,
    /// The picture that belongs to it.
    pub picture: Option<Picture>,
    /// Why nobody is told although it would be worth telling: the key of the setting.
    pub quiet: Option<&'static str>,
    /// Fields of its own: person, score, reason …
    pub detail: Map<String, Value>,
}

/// A JPEG with its checksum.
#[derive(Clone)]
pub struct Picture {
    /// The JPEG.
    pub jpeg: Bytes,
    /// SHA-256 of it, hexadecimal.
    pub sha256: String,
}

impl Picture {
    /// Takes the checksum.
    #[must_use]
    pub fn new(jpeg: Bytes) -> Self {
        let sha256 = sha256(&jpeg);
        Self { jpeg, sha256 }
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{} bytes of JPEG", self.jpeg.len())
    }
}

impl Event {
    /// Milliseconds since the camera delivered the frame.
    #[must_use]
    pub fn age_ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.captured_at).as_millis()).unwrap_or(u64::MAX)
    }

    /// The path under which the page and REST serve the picture.
    #[must_use]
    pub fn picture_path(&self) -> String {
        format!("/api/events/{}/snapshot.jpg", self.id)
    }

    /// The payload, as it is true at `now`. `topics` is given if the picture was sent over MQTT, to say where.
    #[must_use]
    pub fn payload(&self, now: Instant, topics: Option<&Topics>) -> Value {
        let age_ms = self.age_ms(now);
        let mut payload = Map::new();
        payload.insert("v".into(), json!(SCHEMA_VERSION));
        payload.insert("event_type".into(), json!(self.event_type));
        payload.insert("id".into(), json!(self.id));
        payload.insert("camera".into(), json!(self.camera));
        payload.insert("sort".into(), json!(self.sort.word()));
        payload.insert("ts".into(), json!(timestamp(self.ts)));
        payload.insert("age_ms".into(), json!(age_ms));
        let waited = now.saturating_duration_since(self.decided_at);
        payload.insert("live".into(), json!(waited < LIVE));
        payload.insert("title".into(), json!(self.title));
        payload.insert("notify".into(), json!(self.is_worth_telling()));
        if let Some(quiet) = self.quiet {
            payload.insert("quiet".into(), json!(quiet));
        }
        payload.insert("image".into(), self.image(topics));
        payload.insert("latency".into(), self.latency(now));
        payload.extend(self.detail.clone());
        Value::Object(payload)
    }

    /// Whether a person wants to be told. Ends, corrections and what was held back are for automations.
    #[must_use]
    pub fn is_worth_telling(&self) -> bool {
        self.quiet.is_none()
            && !matches!(self.event_type, "end" | "suppressed" | "left" | "corrected" | "snapshot")
    }

    /// From the first frame in which it could be seen: to the decision, and to this message.
    fn latency(&self, now: Instant) -> Value {
        let decided = self.age_ms(self.decided_at);
        match self.sort {
            Sort::Face => json!({ "capture_to_name_ms": decided, "capture_to_event_ms": self.age_ms(now) }),
            Sort::Motion | Sort::Snapshot => json!({ "capture_to_event_ms": self.age_ms(now) }),
        }
    }

    fn image(&self, topics: Option<&Topics>) -> Value {
        match &self.picture {
            None => Value::Null,
            Some(picture) => json!({
                "topic": topics.map(|topics| topics.event_image(&self.camera, &self.id)),
                "path": self.picture_path(),
                "sha256": picture.sha256,
            }),
        }
    }
}

/// RFC 3339 in UTC with milliseconds.
#[must_use]
pub fn timestamp(at: Timestamp) -> String {
    format!("{at:.3}")
}
