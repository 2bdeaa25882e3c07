//! Making an event: its id, its words, its picture, and who is told.
//!
//! Not here: when there is one; the other rooms of the appliance decide that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Map, Value};
use ulid::Ulid;

use super::{Appliance, RECENT_EVENTS};
use crate::logic::events::{Event, Picture, Sort};
use crate::logic::input::Now;
use crate::logic::rules;
use crate::logic::wording::Places;

/// An event before it has an id.
pub(super) struct EventDraft {
    pub(super) sort: Sort,
    pub(super) event_type: &'static str,
    /// What it says; none where the configured wording says it.
    pub(super) title: Option<String>,
    pub(super) detail: Map<String, Value>,
    /// Why nobody is told, if so.
    pub(super) quiet: Option<&'static str>,
}

/// Seconds as events tell them.
pub(super) fn tenths(time: Duration) -> Value {
    ((time.as_secs_f64() * 10.0).round() / 10.0).into()
}

impl Appliance {
    pub(super) fn announce(
        &mut self,
        now: Now,
        camera: &str,
        event: EventDraft,
        captured_at: Instant,
        jpeg: Option<Bytes>,
    ) -> Arc<Event> {
        let id = self.event_id(now);
        self.announce_as(now, id, Some(camera), event, captured_at, jpeg)
    }

    pub(super) fn announce_as(
        &mut self,
        now: Now,
        id: String,
        camera: Option<&str>,
        event: EventDraft,
        captured_at: Instant,
        jpeg: Option<Bytes>,
    ) -> Arc<Event> {
        let EventDraft { sort, event_type, title, detail, quiet } = event;
        let (title, message) = match title {
            Some(title) => (title.clone(), format!("{title}.")),
            None => self.words(now, camera, event_type, &detail),
        };
        let mut event = Event {
            id,
            camera: camera.map(str::to_owned),
            sort,
            event_type,
            captured_at,
            decided_at: now.instant,
            ts: now.wall_at(captured_at),
            title,
            message,
            picture: jpeg.map(Picture::new),
            quiet,
            tell: Vec::new(),
            detail,
        };
        event.tell = self.who_is_told(now, &event);
        let event = Arc::new(event);
        self.strip_is_due(&event);
        self.state.recent.push_front(Arc::clone(&event));
        self.state.recent.truncate(RECENT_EVENTS);
        event
    }

    /// Title and message of an event, in the words of the configuration.
    fn words(
        &self,
        now: Now,
        camera: Option<&str>,
        event_type: &str,
        detail: &Map<String, Value>,
    ) -> (String, String) {
        let text = |key: &str| detail.get(key).and_then(Value::as_str).unwrap_or_default();
        let camera = camera.and_then(|id| self.state.cameras.get(id)).map_or("", |camera| &camera.name);
        let local = self.zone.to_datetime(now.wall);
        let places = Places {
            name: text("name"),
            camera,
            time: local.strftime("%H:%M").to_string(),
            date: local.strftime("%Y-%m-%d").to_string(),
            advice: text("advice"),
        };
        self.wording.say(event_type, &places).unwrap_or_default()
    }

    /// Names of the targets whose rules want the event. That a message failed is told to none: it would fare no better.
    fn who_is_told(&self, now: Now, event: &Event) -> Vec<String> {
        if event.event_type == "notify_failed" {
            return Vec::new();
        }
        let about = rules::About {
            sort: event.sort.word(),
            event_type: event.event_type,
            camera: event.camera.as_deref(),
            person: event.person(),
            is_worth_telling: event.is_worth_telling(),
        };
        let local = self.zone.to_datetime(now.wall);
        let alone = self.known_at.map(|at| now.instant.saturating_duration_since(at));
        let told = self.targets.iter().filter(|(_, rule)| rule.wants(&about, local, alone));
        told.map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn event_id(&mut self, now: Now) -> String {
        self.serial += 1;
        let millis = u64::try_from(now.wall.as_millisecond()).unwrap_or(0);
        Ulid::from_parts(millis, self.serial).to_string()
    }
}
