//! Everything that can happen to the appliance, as plain values.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::accounts;
use super::admin;
use super::audit;
use super::command::Command;
use super::events::Event;
use super::faces::SelfTest;
use super::faces::training::{Changed, Training};
use super::history::{self, ArchiveNews};
use super::picture::Rect;
use super::problem::Problem;
use super::request::Discovery;
use super::state::{NodeState, Opened, Person};
use super::why::Question;

/// The time at which something is handled, on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For durations.
    pub instant: Instant,
    /// For people.
    pub wall: Timestamp,
}

impl Now {
    /// The wall time of an earlier (or equal) instant.
    #[must_use]
    pub fn wall_at(&self, earlier: Instant) -> Timestamp {
        let ago = self.instant.saturating_duration_since(earlier);
        self.wall.checked_sub(ago).unwrap_or(self.wall)
    }
}

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// Somebody asks a camera for something.
    Command {
        /// Camera id.
        camera: String,
        /// What is asked.
        command: Command,
    },
    /// The camera thread has news.
    Camera {
        /// Camera id.
        camera: String,
        /// The news.
        news: CameraNews,
    },
    /// The motion loop has news.
    Motion {
        /// Camera id.
        camera: String,
        /// The news.
        sighting: MotionSighting,
    },
    /// The face loop has news.
    Faces {
        /// Camera id.
        camera: String,
        /// The news.
        sighting: FaceSighting,
    },
    /// The picture of a [`super::effect::Effect::TakeSnapshot`].
    Snapshot {
        /// Camera id.
        camera: String,
        /// The event's id, given by the effect.
        id: String,
        /// When the picture was taken.
        captured_at: Instant,
        /// The picture.
        jpeg: Bytes,
    },
    /// Who is enrolled now.
    People {
        /// By slug.
        people: BTreeMap<String, Person>,
        /// How well they can be told apart.
        self_test: Arc<SelfTest>,
        /// False while photographs are still being looked at: nobody is gone for that.
        is_complete: bool,
    },
    /// Somebody teaches the appliance faces, or asks about them.
    Training(Training),
    /// What somebody taught has been carried out.
    Taught(Changed),
    /// Somebody wants to know whether anybody is there.
    Ping,
    /// Somebody asks for something about the devices in Home Assistant.
    Discovery(Discovery),
    /// A person has deleted the device with this object id in Home Assistant.
    Declined(String),
    /// Something outside knows that what moves now is of no interest.
    Inhibit {
        /// Camera id.
        camera: String,
        /// For how long; zero ends it.
        time: Duration,
        /// Why, for people; may be empty.
        reason: String,
    },
    /// Somebody asks why there was no event.
    Why(Question),
    /// Somebody asks for events that are kept.
    Events(history::Request),
    /// An event of the archive for a request that needs it; none if there is no such event.
    Recalled {
        /// The request.
        training: Training,
        /// Its event.
        event: Option<Arc<Event>>,
    },
    /// The archive has news.
    Archive(ArchiveNews),
    /// A message was given up; which, and why, in a sentence.
    NotifyFailed(String),
    /// Somebody wants to try the named target, or all.
    TryNotify(Option<String>),
    /// Somebody asks for something about the appliance itself.
    Admin(admin::Request),
    /// Under which IP address the house is seen from outside.
    PublicAddress(String),
    /// Somebody tries to get in.
    Alarm(Alarm),
    /// Somebody asks for something about users or tokens.
    Access(accounts::Request),
    /// Somebody asks for entries of the audit log, or to remove them.
    Audit(audit::Request),
    /// Fresh health figures, and viewers by camera id.
    Health(NodeState, Vec<(String, usize)>),
    /// An event went out; how long it took since the capture.
    EventSent {
        /// Camera id.
        camera: String,
        /// Milliseconds.
        latency_ms: u64,
    },
    /// Home Assistant has come and knows no pictures: show it each camera's day again.
    RenewStrips,
    /// A deadline passed.
    Tick,
}

/// Somebody tries to get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// How.
    pub kind: AlarmKind,
    /// From which IP address.
    pub address: String,
    /// As whom, if the name is one of ours.
    pub user: Option<String>,
}

/// How somebody tries to get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmKind {
    /// Too many wrong passwords or tokens.
    TooManyAttempts,
    /// So many that the account was locked.
    AccountLocked,
    /// A path that only those ask for who look for a hole.
    Probe,
}

impl AlarmKind {
    /// Every kind.
    pub const ALL: [AlarmKind; 3] = [AlarmKind::TooManyAttempts, AlarmKind::AccountLocked, AlarmKind::Probe];

    /// The type of the event.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::TooManyAttempts => "too_many_attempts",
            Self::AccountLocked => "account_locked",
            Self::Probe => "probe",
        }
    }
}

/// News of a camera thread.
#[derive(Clone, Debug, PartialEq)]
pub enum CameraNews {
    /// Pictures come.
    Opened(Opened),
    /// No pictures come, and why; the thread goes on trying.
    Lost(Problem),
    /// Measured frames per second.
    Rate(f64),
}

/// What a single picture showed, before it is decided whether that is motion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MotionLook {
    /// Enough differs from the scene to be motion, if it lasts.
    pub raw: bool,
    /// Area of the biggest thing that differs, in square pixels of the camera's picture.
    pub area_px: u32,
    /// Why it does not count although it differs.
    pub why: Option<&'static str>,
}

/// News of a motion loop.
#[derive(Clone, Debug)]
pub struct MotionSighting {
    /// What changed.
    pub change: Option<MotionChange>,
    /// Share of the picture that moves, in per cent.
    pub area_pct: f64,
    /// Where it moves, biggest first.
    pub boxes: Vec<Rect>,
    /// When the camera delivered the frame.
    pub captured_at: Instant,
    /// The frame, for changes that deserve a picture.
    pub jpeg: Option<Bytes>,
    /// The picture by itself.
    pub look: MotionLook,
}

/// How motion changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MotionChange {
    /// Something began to move.
    Started,
    /// Nothing has moved for the hold time.
    Ended {
        /// From the start to the last movement.
        lasted: Duration,
    },
    /// Something changed, but it is not motion.
    Suppressed {
        /// Why: `light_change`, `starting`, `shake` …
        reason: &'static str,
    },
}

/// News of a face loop.
#[derive(Clone, Debug, Default)]
pub struct FaceSighting {
    /// People in view now: slug and display name.
    pub known: Vec<(String, String)>,
    /// Whether a face in view was decided to be unknown.
    pub unknown: bool,
    /// Whether any face is in view.
    pub any: bool,
    /// Decisions that were made just now.
    pub decisions: Vec<FaceNews>,
    /// Faces that were not good enough: the flaw, and the width in pixels.
    pub unfit: Vec<(&'static str, u32)>,
    /// Why nothing was told about faces that are gone.
    pub silent: Vec<&'static str>,
}

impl FaceNews {
    /// Where the face is in the picture, as its record says.
    #[must_use]
    pub fn place(&self) -> Option<Rect> {
        place_in(&self.record)
    }
}

/// Where a face is in its picture, from the fields of an event.
#[must_use]
pub fn place_in(fields: &Map<String, Value>) -> Option<Rect> {
    let sides = fields.get("face")?.get("box")?.as_array()?.iter().filter_map(Value::as_f64);
    let [x, y, w, h] = sides.map(|side| side as f32).collect::<Vec<_>>()[..] else { return None };
    Some(Rect { x, y, w, h })
}

/// One decision about a face, ready to be told.
#[derive(Clone, Debug)]
pub struct FaceNews {
    /// The `event_type`: `known`, `unknown`, `unsure`, `corrected` or `left`.
    pub event_type: &'static str,
    /// Slug and name, for those that have one.
    pub person: Option<(String, String)>,
    /// The decision record: score, second, margin, face, rule, frames.
    pub record: Map<String, Value>,
    /// When the camera delivered the first frame in which the face was usable.
    pub captured_at: Instant,
    /// The best picture of it.
    pub jpeg: Option<Bytes>,
}
