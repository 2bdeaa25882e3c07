//! What is true now. One owner ([`super::appliance`]) changes it; everybody else reads snapshots.
//!
//! Not here: things that happened; those are [`super::events`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::events::Event;
use super::faces::SelfTest;
use super::input::FacePlace;
use super::picture::{Mark, MarkKind, Rect};
use super::problem::Problem;

/// The whole appliance.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The appliance itself.
    pub node: NodeState,
    /// Cameras by id (the topic segment).
    pub cameras: BTreeMap<String, CameraState>,
    /// The enrolled people by slug.
    pub people: BTreeMap<String, Person>,
    /// Whether `people` was read yet: a moment after the start nobody knows who lives here.
    pub people_known: bool,
    /// How well the enrolled people can be told apart.
    pub self_test: Arc<SelfTest>,
    /// The same as a picture, SVG.
    pub self_test_picture: Arc<str>,
    /// What the archive holds.
    pub archive: ArchiveState,
    /// Address of the page as other machines see it; empty if only this machine does.
    pub url: String,
    /// Address of the house as seen from outside, where somebody is asked for it.
    pub public_address: Option<String>,
    /// Object ids of devices that a person has deleted in Home Assistant; they stay away until somebody asks for them.
    pub declined: BTreeSet<String>,
    /// Whether each camera's day is shown as one picture.
    pub has_strips: bool,
    /// Whether somebody is asked for the address of the house as seen from outside.
    pub asks_address: bool,
    /// The newest events, newest first, at most [`super::appliance::RECENT_EVENTS`].
    pub recent: VecDeque<Arc<Event>>,
}

impl State {
    /// Id of the camera that a request names; without a name the only one is meant. Whether it exists is found out by those who use it.
    ///
    /// # Errors
    /// When none is named and there are several.
    pub fn camera_meant(&self, wanted: Option<&str>) -> Result<String, Problem> {
        let cameras: Vec<&str> = self.cameras.keys().map(String::as_str).collect();
        match (wanted, cameras.as_slice()) {
            (Some(id), _) => Ok(id.to_owned()),
            (None, [only]) => Ok((*only).to_owned()),
            (None, all) => {
                let detail = format!("\"camera\" is missing; there are {}", all.join(", "));
                Err(Problem::BadRequest { detail })
            }
        }
    }
}

/// Somebody of the household.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Display name.
    pub name: String,
    /// Random id, made once; entities keep it when topics change.
    pub uuid: String,
}

/// The events that are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArchiveState {
    /// How many, once they were counted.
    pub events: Option<u64>,
    /// Bytes of their pictures, clips and the database.
    pub bytes: u64,
    /// Whether the disk takes no more.
    pub is_full: bool,
}

/// Health of the appliance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeState {
    /// Seconds since the start.
    pub uptime_s: u64,
    /// Resident memory in megabytes (2^20 bytes).
    pub rss_mb: f64,
    /// Processor time used, in per cent of one core: the mean of the last minute.
    pub cpu_pct: f64,
    /// When the appliance started.
    pub started: Timestamp,
    /// Temperature of the processor in degrees Celsius, where the machine tells.
    pub temp_c: Option<f64>,
    /// Kilobytes (1024 bytes) that this process has had written to disks since the start: memory cards wear out.
    pub disk_written_kb: u64,
    /// Of those, in the last hour.
    pub disk_written_kb_h: u64,
    /// Whether the broker has us connected.
    pub mqtt_connected: bool,
}

/// Whether there is a picture, and if not, why.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Status {
    /// Not opened yet.
    #[default]
    Starting,
    /// Pictures come.
    Running,
    /// Closed on request.
    Privacy,
    /// The device or file is not there.
    NoDevice(Problem),
    /// It is there but does not work.
    Error(Problem),
}

impl Status {
    /// The words of the `state` sensor, in the order of the enum.
    pub const WORDS: &'static [&'static str] = &["starting", "running", "privacy", "no_device", "error"];

    /// The word for this status.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Privacy => "privacy",
            Self::NoDevice(_) => "no_device",
            Self::Error(_) => "error",
        }
    }

    /// What went wrong, if something did.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::NoDevice(problem) | Self::Error(problem) => Some(problem),
            Self::Starting | Self::Running | Self::Privacy => None,
        }
    }

    /// Whether there is a picture to be taken.
    ///
    /// # Errors
    /// Why there is none.
    pub fn shows_picture(&self) -> Result<(), Problem> {
        match self {
            Self::Running => Ok(()),
            Self::Privacy => Err(Problem::Privacy),
            Self::Starting => Err(Problem::Starting),
            Self::NoDevice(problem) | Self::Error(problem) => Err(problem.clone()),
        }
    }

    /// Whether Home Assistant shall see the camera as available. Privacy is wanted, not a fault: the switch must stay usable. A
    /// camera that is being opened is not away yet: going away and coming back within a second fires automations.
    #[must_use]
    pub fn is_online(&self) -> bool {
        match self {
            Self::Starting | Self::Running | Self::Privacy => true,
            Self::NoDevice(_) | Self::Error(_) => false,
        }
    }
}

/// The stream that a camera delivers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opened {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The format's usual name: `MJPG`, `YUYV` …
    pub format: String,
    /// The device in its own words.
    pub description: String,
}

/// One camera.
#[derive(Clone, Debug, Default)]
pub struct CameraState {
    /// Display name.
    pub name: String,
    /// Room or place, suggested to Home Assistant once; may be empty.
    pub area: String,
    /// Whether there is a picture.
    pub status: Status,
    /// Since when the status holds.
    pub since: Timestamp,
    /// The stream, while the camera is open.
    pub opened: Option<Opened>,
    /// Whether something moves (after minimum duration and hold time).
    pub motion: bool,
    /// What moves, or why motion was held back.
    pub motion_detail: MotionDetail,
    /// Until when motion is held back, and why, if somebody asked for that.
    pub inhibited: Option<Inhibited>,
    /// The people in view: slug and display name.
    pub present: BTreeMap<String, String>,
    /// Whether somebody unknown is in view.
    pub unknown_present: bool,
    /// Where faces are in view.
    pub faces: Vec<FacePlace>,
    /// Values that people set while it runs; kept over restarts.
    pub settings: Settings,
    /// Frames per second delivered, measured.
    pub measured_fps: f64,
    /// Milliseconds from capture to the newest event.
    pub latency_ms: Option<u64>,
    /// People who watch the stream.
    pub viewers: usize,
    /// When a face was last in view.
    pub last_face_at: Option<Timestamp>,
}

impl CameraState {
    /// What can be shown on the picture: where it moves, and the faces.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let boxes: &[Rect] = if self.motion { &self.motion_detail.boxes } else { &[] };
        let motion =
            boxes.iter().map(|place| Mark { place: *place, kind: MarkKind::Motion, label: String::new() });
        let faces = self.faces.iter().map(|face| {
            let kind = if face.name.is_some() { MarkKind::Known } else { MarkKind::Face };
            Mark { place: face.place, kind, label: face.name.clone().unwrap_or_default() }
        });
        motion.chain(faces).collect()
    }

    /// Nobody of this slug is in view any more; the empty slug stands for somebody unknown.
    pub(crate) fn end_presence(&mut self, slug: &str) {
        if slug.is_empty() {
            self.unknown_present = false;
        } else {
            self.present.remove(slug);
        }
    }

    /// Nobody is in view any more.
    pub(crate) fn end_all_presence(&mut self) {
        self.present.clear();
        self.faces.clear();
        self.unknown_present = false;
    }
}

/// Motion that is held back because something outside knows better: rain, a light that was switched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inhibited {
    /// Until then, for people.
    pub until: Timestamp,
    /// Until then, for the clock.
    pub deadline: Instant,
    /// Why, in the words of whoever asked; may be empty.
    pub reason: String,
}

/// Details of motion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MotionDetail {
    /// Share of the picture that moves, in per cent.
    pub area_pct: f64,
    /// Where it moves, biggest first.
    pub boxes: Vec<Rect>,
    /// Why motion was last held back, as the event's `reason`.
    pub reason: Option<&'static str>,
}

impl MotionDetail {
    /// The boxes as payloads have them: `[x, y, width, height]` in thousandths.
    #[must_use]
    pub fn box_list(&self) -> Vec<[f64; 4]> {
        let round = |value: f32| (f64::from(value) * 1000.0).round() / 1000.0;
        self.boxes.iter().map(|rect| [rect.x, rect.y, rect.w, rect.h].map(round)).collect()
    }
}

/// Values that are set while it runs. Units and ranges stand in [`super::entities::CAMERA`].
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Watch for motion.
    pub motion_detection: bool,
    /// Look for faces.
    pub face_recognition: bool,
    /// Tell people of events.
    pub notifications: bool,
    /// Send pictures over MQTT.
    pub mqtt_pictures: bool,
    /// Draw boxes into streams and stills over HTTP.
    pub overlay: bool,
    /// Camera closed, outputs blank.
    pub privacy: bool,
    /// Gray levels.
    pub motion_threshold: f64,
    /// Square pixels.
    pub motion_min_area: f64,
    /// Cosine.
    pub face_threshold: f64,
    /// Frames per second.
    pub fps: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            motion_detection: true,
            face_recognition: true,
            notifications: true,
            mqtt_pictures: true,
            overlay: false,
            privacy: false,
            motion_threshold: 25.0,
            motion_min_area: 3000.0,
            face_threshold: 0.45,
            fps: 15.0,
        }
    }
}
