//! What follows from the events that are kept: questions about them, and the day of a camera as a picture.
//!
//! Not here: keeping them ([`crate::archive`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Appliance, no_camera};
use crate::logic::effect::Effect;
use crate::logic::events::Event;
use crate::logic::faces::training::Training;
use crate::logic::history::Request;
use crate::logic::input::Now;
use crate::logic::problem::{Problem, quoted};

/// Events of the archive that stay at hand for requests that name them.
const RECALLED: usize = 4;
/// A day that has got a new picture is drawn this long after it: most come in groups.
pub(super) const STRIP_DELAY: Duration = Duration::from_secs(60);

impl Appliance {
    /// Hands a question on to the archive.
    pub(super) fn archive_request(&mut self, request: Request) -> Result<Vec<Effect>, Problem> {
        if let Request::Strip { camera, .. } = &request
            && !self.state.cameras.contains_key(camera)
        {
            return Err(no_camera(camera));
        }
        if let Request::Delete(id) = &request {
            self.state.recent.retain(|event| event.id != *id);
            self.recalled.retain(|event| event.id != *id);
        }
        Ok(vec![Effect::Archive(request)])
    }

    /// An event by its id, if it is at hand.
    pub(super) fn event(&self, id: &str) -> Option<&Arc<Event>> {
        self.state.recent.iter().chain(&self.recalled).find(|event| event.id == id)
    }

    /// Goes on with a request whose event was fetched from the archive.
    pub(super) fn recalled(
        &mut self,
        training: Training,
        event: Option<Arc<Event>>,
    ) -> Result<Vec<Effect>, Problem> {
        let Some(event) = event else {
            let id = training.event_named().unwrap_or_default();
            return Err(Problem::NotFound { what: format!("event {}", quoted(id)) });
        };
        self.recalled.push_front(event);
        self.recalled.truncate(RECALLED);
        self.training(training)
    }

    /// A new picture changes the day that is shown.
    pub(super) fn strip_is_due(&mut self, event: &Event) {
        if let Some(camera) =
            event.camera.as_ref().filter(|_| self.state.has_strips && event.picture.is_some())
        {
            self.strips_due.entry(camera.clone()).or_insert(event.decided_at + STRIP_DELAY);
        }
    }

    /// The day of a camera is drawn at the next tick.
    pub(super) fn renew_strip(&mut self, now: Now, camera: &str) {
        if self.state.has_strips {
            self.strips_due.insert(camera.into(), now.instant);
        }
    }

    /// Every day that may be shown, for somebody who has just come.
    pub(super) fn all_strips(&self) -> Vec<Effect> {
        let cameras = self.state.cameras.keys().filter(|id| self.shows_strip(id));
        cameras.cloned().map(Effect::RenewStrip).collect()
    }

    fn shows_strip(&self, camera: &str) -> bool {
        let is_open = self.state.cameras.get(camera).is_some_and(|camera| !camera.settings.privacy);
        self.state.has_strips && is_open
    }

    /// The days that are to be drawn now.
    pub(super) fn strips(&mut self, now: Instant) -> Vec<Effect> {
        let due: Vec<String> = self
            .strips_due
            .iter()
            .filter(|(_, due)| **due <= now)
            .map(|(camera, _)| camera.clone())
            .collect();
        self.strips_due.retain(|_, due| *due > now);
        due.into_iter().filter(|camera| self.shows_strip(camera)).map(Effect::RenewStrip).collect()
    }
}
