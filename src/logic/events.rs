//! Things that happened: told once, never retained, each with its picture and how long it took.
//!
//! Not here: when an event is due ([`super::appliance`]) and where it is sent.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::checksum::sha256;
use super::history::Entry;
use super::kept_file::{self, KeptFile};
use super::topics::Topics;

/// Version of every JSON payload.
pub const SCHEMA_VERSION: u32 = 1;
/// An event that waited longer than this to be sent is history, not news: `live` is false.
const LIVE: Duration = Duration::from_secs(10);

/// The sorts of events: what `type` of a list takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Something moves at a camera, or no longer.
    Motion,
    /// A face at a camera.
    Face,
    /// A camera is lost or back, or its privacy was switched.
    Camera,
    /// Somebody tries to get in.
    Security,
    /// The appliance itself: started, its disk is full …
    System,
    /// The house is seen under another address from outside.
    AddressChanged,
    /// A picture somebody asked for; it has no event topic, only its picture.
    Snapshot,
}

impl Sort {
    /// Every sort.
    pub const ALL: [Sort; 7] = [
        Sort::Motion,
        Sort::Face,
        Sort::Camera,
        Sort::Security,
        Sort::System,
        Sort::AddressChanged,
        Sort::Snapshot,
    ];

    /// The word in payloads and lists.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Motion => "motion",
            Self::Face => "face",
            Self::Camera => "camera",
            Self::Security => "security",
            Self::System => "system",
            Self::AddressChanged => "address_changed",
            Self::Snapshot => "snapshot",
        }
    }

    /// Key of the event entity, below the camera or the node; a snapshot has none.
    #[must_use]
    pub fn entity(self) -> Option<&'static str> {
        match self {
            Self::Motion => Some("event/motion"),
            Self::Face => Some("event/face"),
            Self::Camera => Some("event/camera"),
            Self::Security => Some("event/security"),
            Self::System => Some("event/system"),
            Self::AddressChanged => Some("event/address_changed"),
            Self::Snapshot => None,
        }
    }

    /// Key of the entity that shows the last picture of this sort.
    #[must_use]
    pub fn picture_entity(self) -> Option<&'static str> {
        match self {
            Self::Motion => Some("image/motion"),
            Self::Face => Some("image/face"),
            Self::Snapshot => Some("image/live"),
            Self::Camera | Self::Security | Self::System | Self::AddressChanged => None,
        }
    }
}

/// One event. Never changed once it is made.
#[derive(Clone, Debug)]
pub struct Event {
    /// ULID: sorts by time, the same in payload, topic, file name and URL.
    pub id: String,
    /// Id of the camera; none for events of the appliance itself.
    pub camera: Option<String>,
    /// What it is about.
    pub sort: Sort,
    /// The `event_type` of the payload.
    pub event_type: &'static str,
    /// When the camera delivered the first frame that led to it.
    pub captured_at: Instant,
    /// When it was decided; for faces later than the first frame by the time it took to be sure.
    pub decided_at: Instant,
    /// When the frame was delivered, as wall time.
    pub ts: Timestamp,
    /// What it says, in a line.
    pub title: String,
    /// What there is to say besides, in a sentence.
    pub message: String,
    /// The picture that belongs to it.
    pub picture: Option<Picture>,
    /// Why nobody is told although it would be worth telling: the key of the setting.
    pub quiet: Option<&'static str>,
    /// Names of the targets (`notify.<name>`) that are told.
    pub tell: Vec<String>,
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
        kept_file::url(&self.id, KeptFile::Picture)
    }

    /// Whether it happened at this camera.
    #[must_use]
    pub fn is_at(&self, camera: &str) -> bool {
        self.camera.as_deref() == Some(camera)
    }

    /// Slug of the person that it names.
    #[must_use]
    pub fn person(&self) -> Option<&str> {
        self.detail.get("person").and_then(Value::as_str)
    }

    /// The payload, as it is true at `now`; `with_picture` if the picture was sent over MQTT.
    #[must_use]
    pub fn payload(&self, now: Instant, topics: &Topics, with_picture: bool) -> Value {
        let mut payload = self.fields(now, with_picture.then_some(topics));
        payload.insert("request_topic".into(), json!(topics.requests()));
        payload.insert("age_ms".into(), json!(self.age_ms(now)));
        let waited = now.saturating_duration_since(self.decided_at);
        payload.insert("live".into(), json!(waited < LIVE));
        Value::Object(payload)
    }

    /// The event as it is kept: the payload of the moment of the decision, without what is true for that moment only.
    #[must_use]
    pub fn entry(&self) -> Entry {
        Entry {
            id: self.id.clone(),
            ts: self.ts,
            sort: self.sort.word(),
            event_type: self.event_type,
            camera: self.camera.clone(),
            person: self.person().map(str::to_owned),
            record: self.fields(self.decided_at, None),
            picture: self.picture.as_ref().map(|picture| picture.jpeg.clone()),
            tell: self.tell.clone(),
        }
    }

    /// An event as it came back from the archive, for requests that name it. Its times are those of now, because it is told no more.
    #[must_use]
    pub fn recalled(id: String, record: Map<String, Value>, jpeg: Option<Bytes>, now: Instant) -> Self {
        let text = |key: &str| record.get(key).and_then(Value::as_str);
        Self {
            id,
            camera: text("camera").map(str::to_owned),
            sort: Sort::Face,
            event_type: "recalled",
            captured_at: now,
            decided_at: now,
            ts: text("ts").and_then(|ts| ts.parse().ok()).unwrap_or_default(),
            title: text("title").unwrap_or_default().to_owned(),
            message: text("message").unwrap_or_default().to_owned(),
            picture: jpeg.map(Picture::new),
            quiet: None,
            tell: Vec::new(),
            detail: record,
        }
    }

    fn fields(&self, now: Instant, topics: Option<&Topics>) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("v".into(), json!(SCHEMA_VERSION));
        fields.insert("event_type".into(), json!(self.event_type));
        fields.insert("id".into(), json!(self.id));
        if let Some(camera) = &self.camera {
            fields.insert("camera".into(), json!(camera));
        }
        fields.insert("sort".into(), json!(self.sort.word()));
        fields.insert("ts".into(), json!(timestamp(self.ts)));
        fields.insert("title".into(), json!(self.title));
        fields.insert("message".into(), json!(self.message));
        fields.insert("notify".into(), json!(self.is_worth_telling()));
        if let Some(quiet) = self.quiet {
            fields.insert("quiet".into(), json!(quiet));
        }
        fields.insert("image".into(), self.image(topics));
        if self.camera.is_some() {
            fields.insert("latency".into(), self.latency(now));
        }
        fields.extend(self.detail.clone());
        fields
    }

    /// Whether a person wants to be told. Ends, corrections and what was held back are for automations.
    #[must_use]
    pub fn is_worth_telling(&self) -> bool {
        const NEVER: [&str; 8] =
            ["end", "suppressed", "left", "corrected", "snapshot", "privacy_on", "privacy_off", "started"];
        self.quiet.is_none() && !NEVER.contains(&self.event_type)
    }

    /// From the first frame in which it could be seen: to the decision, and to this message.
    fn latency(&self, now: Instant) -> Value {
        let decided = self.age_ms(self.decided_at);
        match self.sort {
            Sort::Face => json!({ "capture_to_name_ms": decided, "capture_to_event_ms": self.age_ms(now) }),
            Sort::Motion
            | Sort::Snapshot
            | Sort::Camera
            | Sort::Security
            | Sort::System
            | Sort::AddressChanged => json!({ "capture_to_event_ms": self.age_ms(now) }),
        }
    }

    fn image(&self, topics: Option<&Topics>) -> Value {
        let Some(picture) = &self.picture else { return Value::Null };
        let mut image = json!({ "path": self.picture_path(), "sha256": picture.sha256 });
        if let (Some(topics), Some(camera)) = (topics, &self.camera) {
            image["topic"] = json!(topics.event_image(camera, &self.id));
        }
        image
    }
}

/// RFC 3339 in UTC with milliseconds.
#[must_use]
pub fn timestamp(at: Timestamp) -> String {
    format!("{at:.3}")
}
