//! What follows from motion: the state, events, and the best picture of each motion.
//!
//! Not here: what motion is ([`crate::logic::motion`]).

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Map, json};

use super::{Appliance, BELOW_SHARE, EventDraft, tenths};
use crate::logic::effect::{ClipOrder, Effect, FacesOrder};
use crate::logic::events::{Sort, timestamp};
use crate::logic::history::Addition;
use crate::logic::input::{MotionChange, MotionLook, MotionSighting, Now};
use crate::logic::quiet::About;
use crate::logic::state::{CameraState, MotionDetail, Status};
use crate::logic::why::Missing;

/// Motion that is going on.
pub(super) struct Episode {
    /// Id of the event that began it.
    pub(super) event: String,
    pub(super) began: Instant,
    /// The sharpest usable face so far: its sharpness and picture.
    pub(super) face: Option<(f64, Bytes)>,
}

impl Appliance {
    pub(super) fn motion(&mut self, now: Now, id: &str, sighting: MotionSighting) -> Vec<Effect> {
        let Some(camera) = self.state.cameras.get_mut(id) else { return Vec::new() };
        // Motion ends after the camera was lost or detection switched off, but it does not begin.
        let watched = camera.status == Status::Running && camera.settings.motion_detection;
        let ends = matches!(sighting.change, Some(MotionChange::Ended { .. }));
        if camera.settings.privacy || !(watched || ends) {
            return Vec::new();
        }
        let (name, is_moving) = (camera.name.clone(), camera.motion);
        let min_area = camera.settings.motion_min_area;
        camera.motion_detail.area_pct = (sighting.area_pct * 10.0).round() / 10.0;
        camera.motion_detail.boxes.clone_from(&sighting.boxes);
        let Some(change) = sighting.change else {
            let effects = self.moves_on(id);
            if !is_moving {
                self.note_no_motion(now, id, sighting.look, min_area);
            }
            return effects;
        };
        self.stirred.remove(id);
        let Some(camera) = self.state.cameras.get_mut(id) else { return Vec::new() };
        let moving = |camera: &CameraState| camera.motion.then(|| camera.motion_detail.boxes.clone());
        let mut detail = Map::new();
        let (event_type, title) = match change {
            MotionChange::Started => {
                camera.motion = true;
                camera.motion_detail.reason = None;
                detail.insert("area_pct".into(), json!(camera.motion_detail.area_pct));
                detail.insert("boxes".into(), json!(camera.motion_detail.box_list()));
                ("start", None)
            }
            MotionChange::Ended { lasted } => {
                camera.motion = false;
                detail.insert("lasted_s".into(), tenths(lasted));
                ("end", Some(format!("No more motion at {name}")))
            }
            MotionChange::Suppressed { reason } => {
                camera.motion_detail.reason = Some(reason);
                self.why.note(id, Missing::Motion, reason, now.wall, Map::new());
                detail.insert("reason".into(), json!(reason));
                ("suppressed", Some(format!("No motion at {name}: {}", reason.replace('_', " "))))
            }
        };
        let moving = moving(camera);
        let mut effects = vec![Effect::Faces(id.into(), FacesOrder::Moving(moving))];
        let jpeg = match change {
            MotionChange::Started | MotionChange::Suppressed { .. } => sighting.jpeg,
            MotionChange::Ended { lasted } => {
                // Its picture is the best one of the motion, and belongs to the beginning.
                if let Some(begun) = self.episodes.get(id) {
                    detail.insert("start_event".into(), json!(begun.event));
                }
                effects.extend(self.end_episode(now, id, lasted, sighting.jpeg));
                None
            }
        };
        let quiet = if event_type == "start" { self.hold_back(now, id, About::Motion) } else { None };
        let event = EventDraft { sort: Sort::Motion, event_type, title, detail, quiet };
        let announced = self.announce(now, id, event, sighting.captured_at, jpeg);
        if event_type == "start" {
            let event = announced.id.clone();
            effects.push(Effect::Clip(id.into(), ClipOrder::Begin { event: event.clone() }));
            self.episodes.insert(id.into(), Episode { event, began: now.instant, face: None });
        }
        effects.push(Effect::Announce(announced));
        effects
    }

    /// Faces are worth looking for where it moves now.
    fn moves_on(&self, id: &str) -> Vec<Effect> {
        let camera = self.state.cameras.get(id).filter(|camera| camera.motion);
        let boxes = camera.map(|camera| camera.motion_detail.boxes.clone()).filter(|boxes| !boxes.is_empty());
        boxes.map(|boxes| Effect::Faces(id.into(), FacesOrder::Moving(Some(boxes)))).into_iter().collect()
    }

    /// Notes why a picture in which something differs is no motion.
    fn note_no_motion(&mut self, now: Now, id: &str, look: MotionLook, min_area: f64) {
        let area = || {
            Map::from_iter([
                ("area_px".into(), json!(look.area_px)),
                ("motion_min_area".into(), json!(min_area)),
            ])
        };
        // A speck of noise needs no explanation.
        let is_notable = f64::from(look.area_px) * BELOW_SHARE >= min_area;
        match look {
            MotionLook { why: Some(reason), .. } => {
                self.why.note(id, Missing::Motion, reason, now.wall, area())
            }
            MotionLook { raw: true, .. } => drop(self.stirred.insert(id.into())),
            MotionLook { raw: false, .. } if self.stirred.remove(id) => {
                self.why.note(id, Missing::Motion, "too_short", now.wall, Map::new());
            }
            MotionLook { raw: false, .. } if is_notable => {
                self.why.note(id, Missing::Motion, "below_area", now.wall, area());
            }
            MotionLook { .. } => {}
        }
    }

    /// Something of this camera is no longer watched, so nothing moves there.
    /// The end of what moves there comes from the motion loop, which hears of it too.
    pub(super) fn clear_motion(&mut self, id: &str) {
        if let Some(camera) = self.state.cameras.get_mut(id) {
            camera.motion = false;
            camera.motion_detail = MotionDetail::default();
        }
    }

    /// Privacy ends what moves at once: nothing that comes later from the loop is heard.
    pub(super) fn motion_is_cut(&mut self, now: Now, id: &str) -> Vec<Effect> {
        let Some(Episode { event: start, began, .. }) = self.episodes.get(id) else { return Vec::new() };
        let lasted = now.instant.saturating_duration_since(*began);
        let name = self.state.cameras.get(id).map_or(id, |camera| camera.name.as_str());
        let title = Some(format!("No more motion at {name}"));
        let detail = Map::from_iter([
            ("start_event".into(), json!(start)),
            ("lasted_s".into(), tenths(lasted)),
            ("reason".into(), json!("privacy")),
        ]);
        let mut effects = self.end_episode(now, id, lasted, None);
        let event = EventDraft { sort: Sort::Motion, event_type: "end", title, detail, quiet: None };
        effects.push(Effect::Announce(self.announce(now, id, event, now.instant, None)));
        effects
    }

    /// Completes the event of the motion that ends: how long it was, and its best picture, a face before anything else.
    fn end_episode(&mut self, now: Now, id: &str, lasted: Duration, largest: Option<Bytes>) -> Vec<Effect> {
        let Some(episode) = self.episodes.remove(id) else { return Vec::new() };
        let fields = Map::from_iter([
            ("ended_at".into(), json!(timestamp(now.wall))),
            ("lasted_s".into(), tenths(lasted)),
        ]);
        let best = episode.face.map(|(_, jpeg)| jpeg).or(largest);
        vec![Effect::Add(episode.event, Addition { fields, best }), Effect::Clip(id.into(), ClipOrder::End)]
    }
}
