//! The appliance's mind: one input in, effects out; sole owner of the [`State`].
//!
//! Not here: the detectors (they run beside it and report), and how effects are carried out ([`crate::app`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use ulid::Ulid;

use super::command::{Answer, Command};
use super::effect::{CameraOrder, Effect, FacesOrder, MotionOrder};
use super::entities::{self, CAMERA};
use super::events::{Event, Picture, Sort};
use super::input::{CameraNews, FaceNews, FaceSighting, Input, MotionChange, MotionSighting, Now};
use super::problem::{Problem, quoted};
use super::state::{CameraState, MotionDetail, Person, Settings, State, Status};

/// Events kept in memory with their pictures, over all cameras; about 5 MB at 720p.
pub const RECENT_EVENTS: usize = 50;
/// A person out of view this long is no longer present: long enough to turn away from the camera, short enough for a light.
const PRESENCE_HOLD: Duration = Duration::from_secs(10);
/// How often the time of the last face is renewed while it stays in view.
const LAST_FACE_EVERY: Duration = Duration::from_secs(10);

/// A camera as the configuration describes it.
#[derive(Clone, Debug, Default)]
pub struct CameraPlan {
    /// Id: the topic segment.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Suggested area, may be empty.
    pub area: String,
    /// Values to begin with.
    pub settings: Settings,
}

/// The decisions and their owner's state.
pub struct Appliance {
    state: State,
    /// When each person was last in view, by camera and slug; the empty slug stands for somebody unknown.
    last_seen: BTreeMap<(String, String), Instant>,
    /// Random part of event ids, counted up so that ids of one millisecond keep their order.
    serial: u128,
}

impl Appliance {
    /// An appliance before its first input. `seed` is random; it keeps event ids apart from those of earlier runs.
    #[must_use]
    pub fn new(cameras: Vec<CameraPlan>, now: Now, seed: u64) -> Self {
        let cameras = cameras
            .into_iter()
            .map(|plan| {
                let CameraPlan { id, name, area, settings } = plan;
                // The switch has to be usable from the first moment, so that somebody can end what was switched on before.
                let status = if settings.privacy { Status::Privacy } else { Status::Starting };
                (id, CameraState { name, area, status, settings, since: now.wall, ..CameraState::default() })
            })
            .collect();
        let state = State { cameras, ..State::default() };
        // The counter gets the low 16 bits of a ULID's 80 random ones.
        Self { state, last_seen: BTreeMap::new(), serial: u128::from(seed) << 16 }
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
        self.last_seen.values().min().map(|seen| *seen + PRESENCE_HOLD)
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
            Input::People(people) => self.people(people),
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
            Input::Tick => Vec::new(),
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
            effects.push(Effect::SaveSettings);
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
            if after.privacy {
                self.state.recent.retain(|event| event.camera != id);
                effects.push(Effect::BlankPictures(id.into()));
            }
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

    fn clear_motion(&mut self, id: &str) {
        if let Some(camera) = self.state.cameras.get_mut(id) {
            camera.motion = false;
            camera.motion_detail = MotionDetail::default();
        }
    }

    fn clear_presence(&mut self, id: &str) {
        self.last_seen.retain(|(camera, _), _| camera != id);
        if let Some(camera) = self.state.cameras.get_mut(id) {
            camera.end_all_presence();
        }
    }

    fn take_snapshot(&mut self, now: Now, id: &str) -> Result<(Answer, Vec<Effect>), Problem> {
        let camera = self.state.cameras.get(id).ok_or_else(|| no_camera(id))?;
        match &camera.status {
            Status::Running => {}
            Status::Privacy => return Err(Problem::Privacy),
            Status::Starting => return Err(Problem::NoSignal),
            Status::NoDevice(problem) | Status::Error(problem) => return Err(problem.clone()),
        }
        let event = self.event_id(now);
        let effect = Effect::TakeSnapshot { camera: id.into(), id: event.clone() };
        Ok((Answer::Event(event), vec![effect]))
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
                Vec::new()
            }
            CameraNews::Lost(problem) => {
                let status = match problem {
                    Problem::NoCamera { .. } => Status::NoDevice(problem),
                    _ => Status::Error(problem),
                };
                self.set_status(now, id, status);
                self.clear_motion(id);
                self.clear_presence(id);
                vec![Effect::Faces(id.into(), FacesOrder::Forget)]
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

    fn motion(&mut self, now: Now, id: &str, sighting: MotionSighting) -> Vec<Effect> {
        let Some(camera) = self.state.cameras.get_mut(id) else { return Vec::new() };
        // Motion ends after the camera was lost or detection switched off, but it does not begin.
        let watched = camera.status == Status::Running && camera.settings.motion_detection;
        let ends = matches!(sighting.change, Some(MotionChange::Ended { .. }));
        if camera.settings.privacy || !(watched || ends) {
            return Vec::new();
        }
        let name = camera.name.clone();
        camera.motion_detail.area_pct = (sighting.area_pct * 10.0).round() / 10.0;
        camera.motion_detail.boxes.clone_from(&sighting.boxes);
        let moving = |camera: &CameraState| camera.motion.then(|| camera.motion_detail.boxes.clone());
        let Some(change) = sighting.change else {
            // Faces are worth looking for where it moves now.
            let boxes = moving(camera).filter(|boxes| !boxes.is_empty());
            return boxes
                .map(|boxes| Effect::Faces(id.into(), FacesOrder::Moving(Some(boxes))))
                .into_iter()
                .collect();
        };
        let mut detail = Map::new();
        let (event_type, title) = match change {
            MotionChange::Started => {
                camera.motion = true;
                camera.motion_detail.reason = None;
                detail.insert("area_pct".into(), json!(camera.motion_detail.area_pct));
                detail.insert("boxes".into(), json!(camera.motion_detail.box_list()));
                ("start", format!("Motion at {name}"))
            }
            MotionChange::Ended { lasted } => {
                camera.motion = false;
                detail.insert("lasted_s".into(), json!((lasted.as_secs_f64() * 10.0).round() / 10.0));
                ("end", format!("No more motion at {name}"))
            }
            MotionChange::Suppressed { reason } => {
                camera.motion_detail.reason = Some(reason);
                detail.insert("reason".into(), json!(reason));
                ("suppressed", format!("No motion at {name}: {}", reason.replace('_', " ")))
            }
        };
        let moving = moving(camera);
        let event = EventDraft { camera: id, sort: Sort::Motion, event_type, title, detail };
        let announce = self.announce(now, event, sighting.captured_at, sighting.jpeg);
        vec![Effect::Faces(id.into(), FacesOrder::Moving(moving)), announce]
    }

    fn faces(&mut self, now: Now, id: &str, sighting: FaceSighting) -> Vec<Effect> {
        let Some(camera) = self.state.cameras.get_mut(id) else { return Vec::new() };
        // A look that was under way when the camera was lost brings nobody back.
        if !camera.settings.face_recognition || camera.status != Status::Running {
            return Vec::new();
        }
        let name = camera.name.clone();
        // Retained and written by every broker that persists: a few times a minute are enough.
        let told_lately = |at: Timestamp| {
            now.wall.duration_since(at) < SignedDuration::try_from(LAST_FACE_EVERY).unwrap_or_default()
        };
        if sighting.any && !camera.last_face_at.is_some_and(told_lately) {
            camera.last_face_at = Some(now.wall);
        }
        let decisions = sighting.decisions;
        for news in decisions.iter().filter(|news| news.event_type == "left") {
            // Told to have left means no longer present, unless somebody of that name is seen all the same.
            let slug = news.person.as_ref().map_or("", |(slug, _)| slug);
            self.last_seen.remove(&(id.to_owned(), slug.to_owned()));
            camera.end_presence(slug);
        }
        for (slug, name) in sighting.known {
            self.last_seen.insert((id.into(), slug.clone()), now.instant);
            camera.present.insert(slug, name);
        }
        if sighting.unknown {
            self.last_seen.insert((id.into(), String::new()), now.instant);
            camera.unknown_present = true;
        }
        decisions.into_iter().map(|news| self.face_event(now, id, &name, news)).collect()
    }

    fn face_event(&mut self, now: Now, id: &str, camera: &str, news: FaceNews) -> Effect {
        let FaceNews { event_type, person, record, captured_at, jpeg } = news;
        let who = person.as_ref().map_or("Somebody", |(_, name)| name.as_str());
        let title = match event_type {
            "known" | "corrected" => format!("{who} is at {camera}"),
            "unknown" => format!("Somebody unknown is at {camera}"),
            "left" => format!("{who} has left {camera}"),
            _ => format!("A face at {camera} could not be told for sure"),
        };
        let mut detail = Map::new();
        if let Some((slug, name)) = &person {
            detail.insert("person".into(), json!(slug));
            detail.insert("name".into(), json!(name));
        }
        detail.extend(record);
        let event = EventDraft { camera: id, sort: Sort::Face, event_type, title, detail };
        self.announce(now, event, captured_at, jpeg)
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
        let title = format!("Snapshot of {}", camera.name);
        let event = EventDraft {
            camera: id,
            sort: Sort::Snapshot,
            event_type: "snapshot",
            title,
            detail: Map::new(),
        };
        vec![self.announce_as(now, event_id, event, captured_at, Some(jpeg))]
    }

    fn people(&mut self, people: BTreeMap<String, Person>) -> Vec<Effect> {
        (self.state.people, self.state.people_known) = (people, true);
        let known = &self.state.people;
        self.last_seen.retain(|(_, slug), _| slug.is_empty() || known.contains_key(slug));
        for camera in self.state.cameras.values_mut() {
            camera.present.retain(|slug, _| known.contains_key(slug));
        }
        Vec::new()
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

    fn announce(
        &mut self,
        now: Now,
        event: EventDraft<'_>,
        captured_at: Instant,
        jpeg: Option<Bytes>,
    ) -> Effect {
        let id = self.event_id(now);
        self.announce_as(now, id, event, captured_at, jpeg)
    }

    fn announce_as(
        &mut self,
        now: Now,
        id: String,
        event: EventDraft<'_>,
        captured_at: Instant,
        jpeg: Option<Bytes>,
    ) -> Effect {
        let EventDraft { camera, sort, event_type, title, detail } = event;
        let event = Arc::new(Event {
            id,
            camera: camera.into(),
            sort,
            event_type,
            captured_at,
            decided_at: now.instant,
            ts: now.wall_at(captured_at),
            title,
            picture: jpeg.map(Picture::new),
            detail,
        });
        self.state.recent.push_front(Arc::clone(&event));
        self.state.recent.truncate(RECENT_EVENTS);
        Effect::Announce(event)
    }

    fn event_id(&mut self, now: Now) -> String {
        self.serial += 1;
        let millis = u64::try_from(now.wall.as_millisecond()).unwrap_or(0);
        Ulid::from_parts(millis, self.serial).to_string()
    }
}

/// An event before it has an id.
struct EventDraft<'a> {
    camera: &'a str,
    sort: Sort,
    event_type: &'static str,
    title: String,
    detail: Map<String, Value>,
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
        Command::MqttPictures(on) => settings.mqtt_pictures = on,
        Command::Privacy(on) => settings.privacy = on,
        Command::MotionThreshold(value) => settings.motion_threshold = value,
        Command::MotionMinArea(value) => settings.motion_min_area = value,
        Command::FaceThreshold(value) => settings.face_threshold = value,
        Command::Fps(value) => settings.fps = value,
        Command::Snapshot | Command::BackgroundReset => {}
    }
}

#[cfg(test)]
mod tests;
