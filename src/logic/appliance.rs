//! The appliance's mind: one input in, effects out; sole owner of the [`State`].
//!
//! Not here: the detectors (they run beside it and report), and how effects are carried out ([`crate::app`]).

mod announce;
mod archive;
mod faces;
mod inhibit;
mod motion;
mod node;
mod plan;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::command::{Answer, Command};
use super::effect::{CameraOrder, ClipOrder, Effect, FacesOrder, MotionOrder};
use super::entities::{self, CAMERA};
use super::events::{Event, Sort};
use super::input::{CameraNews, Input, Now};
use super::problem::{Problem, quoted};
use super::quiet::Quiet;
use super::rules::Rule;
use super::state::{CameraState, Settings, State, Status};
use super::why::WhyLog;
use super::wording::Wording;
use announce::{EventDraft, tenths};
use motion::Episode;
pub use plan::{CameraPlan, Plan};

/// Events kept in memory with their pictures, over all cameras; about 5 MB at 720p.
pub const RECENT_EVENTS: usize = 50;
/// A person out of view this long is no longer present: long enough to turn away from the camera, short enough for a light.
const PRESENCE_HOLD: Duration = Duration::from_secs(10);
/// Nobody is connected to an embedded broker that starts with us; Home Assistant tries every ten seconds.
const START_TOLD_AFTER: Duration = Duration::from_secs(15);
/// What moves and is smaller than this part of the area that counts is noise and not noted.
const BELOW_SHARE: f64 = 4.0;
/// How often the time of the last face is renewed while it stays in view.
const LAST_FACE_EVERY: Duration = Duration::from_secs(10);

/// The decisions and their owner's state.
pub struct Appliance {
    state: State,
    /// When each person was last in view, by camera and slug; the empty slug stands for somebody unknown.
    last_seen: BTreeMap<(String, String), Instant>,
    /// When each person was last recognised since the start, by slug.
    met: BTreeMap<String, Timestamp>,
    /// When the start is to be told, until it was.
    started: Option<Instant>,
    /// When somebody of the household was last recognised, at any camera.
    known_at: Option<Instant>,
    quiet: Quiet,
    targets: Vec<(String, Rule)>,
    wording: Wording,
    zone: TimeZone,
    why: WhyLog,
    /// Cameras where something moves that has not lasted long enough yet.
    stirred: BTreeSet<String>,
    /// The motion that is going on, by camera.
    episodes: BTreeMap<String, Episode>,
    /// Cameras that are lost, since when.
    lost: BTreeMap<String, Instant>,
    /// Events that came back from the archive because a request names them, newest first.
    recalled: VecDeque<Arc<Event>>,
    /// When the day of a camera is to be drawn anew.
    strips_due: BTreeMap<String, Instant>,
    /// Random part of event ids, counted up so that ids of one millisecond keep their order.
    serial: u128,
}

impl Appliance {
    /// An appliance before its first input. `seed` is random; it keeps event ids apart from those of earlier runs.
    #[must_use]
    pub fn new(plan: Plan, now: Now, seed: u64) -> Self {
        let Plan {
            cameras,
            quiet,
            url,
            public_address,
            has_strips,
            asks_address,
            targets,
            wording,
            declined,
            zone,
        } = plan;
        let cameras = cameras
            .into_iter()
            .map(|plan| {
                let CameraPlan { id, name, area, settings } = plan;
                // The switch has to be usable from the first moment, so that somebody can end what was switched on before.
                let status = if settings.privacy { Status::Privacy } else { Status::Starting };
                (id, CameraState { name, area, status, settings, since: now.wall, ..CameraState::default() })
            })
            .collect();
        let state =
            State { cameras, url, public_address, has_strips, asks_address, declined, ..State::default() };
        let first_strip = now.instant + archive::STRIP_DELAY;
        let strips_due =
            state.cameras.keys().filter(|_| has_strips).map(|id| (id.clone(), first_strip)).collect();
        // The counter gets the low 16 bits of a ULID's 80 random ones.
        Self {
            state,
            last_seen: BTreeMap::new(),
            met: BTreeMap::new(),
            quiet: Quiet::new(quiet),
            targets,
            wording,
            zone,
            started: Some(now.instant + START_TOLD_AFTER),
            known_at: None,
            why: WhyLog::default(),
            stirred: BTreeSet::new(),
            episodes: BTreeMap::new(),
            lost: BTreeMap::new(),
            recalled: VecDeque::new(),
            strips_due,
            serial: u128::from(seed) << 16,
        }
    }

    /// What is true now.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The orders that bring freshly started loops in line with the settings.
    #[must_use]
    pub fn first_effects(&self) -> Vec<Effect> {
        self.state.cameras.iter().flat_map(|(id, camera)| orders(id, &camera.settings)).collect()
    }

    /// When [`Input::Tick`] is due although nothing happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let presence = self.last_seen.values().min().map(|seen| *seen + PRESENCE_HOLD);
        let inhibited =
            self.state.cameras.values().filter_map(|camera| Some(camera.inhibited.as_ref()?.deadline));
        presence
            .into_iter()
            .chain(inhibited)
            .chain(self.started)
            .chain(self.strips_due.values().copied())
            .min()
    }

    /// Handles one input: what it leads to, and the answer for whoever asked.
    ///
    /// # Errors
    /// When a command cannot be carried out; the state is then as before.
    pub fn handle(&mut self, now: Now, input: Input) -> Result<(Answer, Vec<Effect>), Problem> {
        let effects = match input {
            Input::Command { camera, command } => return self.command(now, &camera, command),
            Input::Camera { camera, news } => self.camera_news(now, &camera, news),
            Input::Motion { camera, sighting } => self.motion(now, &camera, sighting),
            Input::Faces { camera, sighting } => self.faces(now, &camera, sighting),
            Input::Snapshot { camera, id, captured_at, jpeg } => {
                self.snapshot(now, &camera, id, captured_at, jpeg)
            }
            Input::People { people, self_test, is_complete: true } => {
                self.people(people, self_test);
                Vec::new()
            }
            // Half a household would take away the entities of the other half.
            Input::People { people, .. } => {
                self.state.people.extend(people);
                Vec::new()
            }
            Input::Training(training) => self.training(training)?,
            Input::Taught(changed) => self.taught(now, changed),
            Input::Events(request) => self.archive_request(request)?,
            Input::Recalled { training, event } => self.recalled(training, event)?,
            Input::Archive(news) => self.archive_news(now, news),
            Input::NotifyFailed(reason) => vec![self.notify_failed(now, reason)],
            Input::TryNotify(target) => vec![Effect::TryNotify(target)],
            Input::Admin(request) => vec![Effect::Admin(request)],
            Input::PublicAddress(address) => self.public_address(now, address),
            Input::Alarm(alarm) => vec![self.alarm(now, alarm)],
            Input::Access(request) => vec![Effect::Access(request)],
            Input::Audit(request) => vec![Effect::Audit(request)],
            Input::Ping => return Ok((Answer::Data(json!({ "pong": true })), Vec::new())),
            Input::Discovery(wish) => self.discovery(wish),
            Input::Declined(object) => self.declined(object),
            Input::Inhibit { camera, time, reason } => return self.inhibit(now, &camera, time, reason),
            Input::Why(question) => return Ok((Answer::Data(self.why_not(now, &question)?), Vec::new())),
            Input::Health(node, viewers) => {
                self.state.node = node;
                for (id, viewers) in viewers {
                    if let Some(camera) = self.state.cameras.get_mut(&id) {
                        camera.viewers = viewers;
                    }
                }
                Vec::new()
            }
            Input::EventSent { camera, latency_ms } => {
                if let Some(camera) = self.state.cameras.get_mut(&camera) {
                    camera.latency_ms = Some(latency_ms);
                }
                Vec::new()
            }
            Input::RenewStrips => self.all_strips(),
            Input::Tick => {
                self.end_inhibitions(now.instant);
                self.started(now).into_iter().chain(self.strips(now.instant)).collect()
            }
        };
        self.end_presence(now.instant);
        Ok((Answer::Done, effects))
    }

    fn command(&mut self, now: Now, id: &str, command: Command) -> Result<(Answer, Vec<Effect>), Problem> {
        let camera = self.state.cameras.get_mut(id).ok_or_else(|| no_camera(id))?;
        let before = camera.settings.clone();
        match command {
            Command::BackgroundReset => {
                return Ok((Answer::Done, vec![Effect::Motion(id.into(), MotionOrder::Reset)]));
            }
            Command::Snapshot => return self.take_snapshot(now, id),
            setting => apply(&mut camera.settings, setting),
        }
        let after = camera.settings.clone();
        let mut effects = changed_orders(id, &before, &after);
        if before != after {
            let is_privacy = before.privacy != after.privacy;
            effects.push(if is_privacy { Effect::SavePrivacy } else { Effect::SaveSettings });
        }
        if !after.motion_detection || !after.face_recognition || before.privacy != after.privacy {
            effects.extend(self.stop_watching(now, id, &before, &after));
        }
        Ok((Answer::Done, effects))
    }

    /// What is no longer watched is no longer claimed.
    fn stop_watching(&mut self, now: Now, id: &str, before: &Settings, after: &Settings) -> Vec<Effect> {
        let mut effects = Vec::new();
        if before.privacy != after.privacy {
            let status = if after.privacy { Status::Privacy } else { Status::Starting };
            self.set_status(now, id, status);
            self.lost.remove(id);
            if after.privacy {
                // What the archive keeps stays: privacy is about now.
                self.state.recent.retain(|event| !event.is_at(id));
                self.why.forget(id);
                effects.push(Effect::BlankPictures(id.into()));
            }
            effects.extend(self.motion_is_cut(now, id));
            // The film would otherwise learn it from the card alone, which a newer picture may overtake.
            effects.push(Effect::Clip(id.into(), ClipOrder::Forget));
            effects.push(self.privacy_event(now, id, after.privacy));
            self.renew_strip(now, id);
        }
        if after.privacy || !after.motion_detection {
            self.clear_motion(id);
            // Nobody would tell the end of this motion, and faces would be looked for without end.
            effects.push(Effect::Faces(id.into(), FacesOrder::Moving(None)));
        }
        if after.privacy || !after.face_recognition {
            self.clear_presence(id);
        }
        effects
    }

    fn clear_presence(&mut self, id: &str) {
        self.last_seen.retain(|(camera, _), _| camera != id);
        if let Some(camera) = self.state.cameras.get_mut(id) {
            camera.end_all_presence();
        }
    }

    fn take_snapshot(&mut self, now: Now, id: &str) -> Result<(Answer, Vec<Effect>), Problem> {
        let camera = self.state.cameras.get(id).ok_or_else(|| no_camera(id))?;
        camera.status.shows_picture()?;
        let event = self.event_id(now);
        let effect = Effect::TakeSnapshot { camera: id.into(), id: event.clone() };
        Ok((Answer::Event { camera: id.into(), id: event }, vec![effect]))
    }

    fn camera_news(&mut self, now: Now, id: &str, news: CameraNews) -> Vec<Effect> {
        let Some(camera) = self.state.cameras.get_mut(id) else { return Vec::new() };
        match news {
            CameraNews::Rate(fps) => {
                // Half a frame more or less is jitter, and each value becomes a row in Home Assistant's recorder.
                if (camera.measured_fps - fps).abs() >= 0.5 || fps == 0.0 {
                    camera.measured_fps = fps;
                }
                Vec::new()
            }
            // News that crossed an order on its way must not open what was just closed.
            CameraNews::Opened(_) | CameraNews::Lost(_) if camera.settings.privacy => Vec::new(),
            CameraNews::Opened(opened) => {
                camera.opened = Some(opened);
                self.set_status(now, id, Status::Running);
                self.camera_is_back(now, id).into_iter().collect()
            }
            CameraNews::Lost(problem) => {
                let status = match problem {
                    Problem::NoCamera { .. } => Status::NoDevice(problem),
                    _ => Status::Error(problem),
                };
                let lost = self.camera_is_lost(now, id, &status);
                self.set_status(now, id, status);
                self.clear_motion(id);
                self.clear_presence(id);
                let forget = Effect::Faces(id.into(), FacesOrder::Forget);
                std::iter::once(forget).chain(lost).collect()
            }
        }
    }

    fn set_status(&mut self, now: Now, id: &str, status: Status) {
        let Some(camera) = self.state.cameras.get_mut(id) else { return };
        if status != Status::Running {
            camera.opened = None;
            camera.measured_fps = 0.0;
        }
        if camera.status != status {
            camera.status = status;
            camera.since = now.wall;
        }
    }

    fn snapshot(
        &mut self,
        now: Now,
        id: &str,
        event_id: String,
        captured_at: Instant,
        jpeg: Bytes,
    ) -> Vec<Effect> {
        let Some(camera) = self.state.cameras.get(id).filter(|camera| !camera.settings.privacy) else {
            return Vec::new();
        };
        let title = Some(format!("Snapshot of {}", camera.name));
        let detail = Map::new();
        let event = EventDraft { sort: Sort::Snapshot, event_type: "snapshot", title, detail, quiet: None };
        let event = self.announce_as(now, event_id, Some(id), event, captured_at, jpeg.into());
        vec![Effect::Announce(event)]
    }

    fn end_presence(&mut self, now: Instant) {
        let cameras = &mut self.state.cameras;
        self.last_seen.retain(|(id, slug), seen| {
            let stays = now.saturating_duration_since(*seen) < PRESENCE_HOLD;
            if let Some(camera) = cameras.get_mut(id).filter(|_| !stays) {
                camera.end_presence(slug);
            }
            stays
        });
    }
}

fn no_camera(id: &str) -> Problem {
    Problem::NotFound { what: format!("camera {}", quoted(id)) }
}

/// Every order that follows from the settings.
fn orders(id: &str, settings: &Settings) -> Vec<Effect> {
    let Settings { motion_detection, face_recognition, privacy, fps, face_threshold, .. } = *settings;
    let sensitivity =
        MotionOrder::Sensitivity { threshold: settings.motion_threshold, min_area: settings.motion_min_area };
    vec![
        Effect::Camera(id.into(), CameraOrder::Privacy(privacy)),
        Effect::Camera(id.into(), CameraOrder::Fps(fps)),
        Effect::Motion(id.into(), MotionOrder::Enabled(motion_detection && !privacy)),
        Effect::Motion(id.into(), sensitivity),
        Effect::Faces(id.into(), FacesOrder::Enabled(face_recognition && !privacy)),
        Effect::Faces(id.into(), FacesOrder::Threshold(face_threshold)),
    ]
}

/// The orders that differ between two settings; the two lists are in the same order.
fn changed_orders(id: &str, before: &Settings, after: &Settings) -> Vec<Effect> {
    let pairs = orders(id, before).into_iter().zip(orders(id, after));
    pairs.filter(|(old, new)| !same_order(old, new)).map(|(_, new)| new).collect()
}

fn same_order(one: &Effect, other: &Effect) -> bool {
    match (one, other) {
        (Effect::Camera(_, one), Effect::Camera(_, other)) => one == other,
        (Effect::Motion(_, one), Effect::Motion(_, other)) => one == other,
        (Effect::Faces(_, one), Effect::Faces(_, other)) => one == other,
        _ => false,
    }
}

/// The settings as the state file keeps them: entity key → value, one entry a row of the table.
#[must_use]
pub fn settings_to_json(camera: &CameraState) -> Map<String, Value> {
    CAMERA
        .iter()
        .filter(|entity| entity.is_setting())
        .filter_map(|entity| Some((entity.key.to_owned(), Value::String(entity.state(camera)?))))
        .collect()
}

/// Puts kept settings over the configuration's; what can no longer be set is returned with the reason and left out.
#[must_use]
pub fn restore_settings(plan: &mut CameraPlan, kept: &Map<String, Value>) -> Vec<(String, Problem)> {
    let mut refused = Vec::new();
    for (key, value) in kept {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match entities::camera_entity(key).and_then(|entity| entity.command(&text)) {
            Ok(command) => apply(&mut plan.settings, command),
            Err(problem) => refused.push((key.clone(), problem)),
        }
    }
    refused
}

fn apply(settings: &mut Settings, command: Command) {
    match command {
        Command::MotionDetection(on) => settings.motion_detection = on,
        Command::FaceRecognition(on) => settings.face_recognition = on,
        Command::Notifications(on) => settings.notifications = on,
        Command::MqttPictures(on) => settings.mqtt_pictures = on,
        Command::Overlay(on) => settings.overlay = on,
        Command::Privacy(on) => settings.privacy = on,
        Command::MotionThreshold(value) => settings.motion_threshold = value,
        Command::MotionMinArea(value) => settings.motion_min_area = value,
        Command::FaceThreshold(value) => settings.face_threshold = value,
        Command::Fps(value) => settings.fps = value,
        Command::Snapshot | Command::BackgroundReset | Command::Restart => {}
    }
}

#[cfg(test)]
mod tests;
