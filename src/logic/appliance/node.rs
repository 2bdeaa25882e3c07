//! Events of cameras as such and of the appliance itself: lost and back, attacks, a full disk, another address.
//!
//! Not here: motion and faces.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Appliance, EventDraft, tenths};
use crate::logic::effect::Effect;
use crate::logic::events::{Event, Sort};
use crate::logic::history::ArchiveNews;
use crate::logic::input::{Alarm, AlarmKind, Now};
use crate::logic::quiet::About;
use crate::logic::request::Discovery;
use crate::logic::state::Status;

impl Appliance {
    fn node_event(&mut self, now: Now, event: EventDraft) -> Arc<Event> {
        let id = self.event_id(now);
        self.announce_as(now, id, None, event, now.instant, None)
    }

    /// An event of the appliance itself.
    pub(super) fn system_event(
        &mut self,
        now: Now,
        event_type: &'static str,
        title: String,
        detail: Map<String, Value>,
    ) -> Effect {
        let event = EventDraft { sort: Sort::System, event_type, title: Some(title), detail, quiet: None };
        Effect::Announce(self.node_event(now, event))
    }

    /// The event of the start, once its time has come.
    pub(super) fn started(&mut self, now: Now) -> Option<Effect> {
        self.started.take_if(|due| *due <= now.instant)?;
        Some(self.system_event(now, "started", "Doorward has started".into(), Map::new()))
    }

    fn camera_event(
        &mut self,
        now: Now,
        id: &str,
        event_type: &'static str,
        what: Option<&str>,
        detail: Map<String, Value>,
    ) -> Effect {
        let name = self.state.cameras.get(id).map_or(id, |camera| camera.name.as_str());
        let title = what.map(|what| format!("{name} {what}"));
        let quiet = match event_type {
            "lost" | "recovered" => self.hold_back(now, id, About::Camera(event_type)),
            // Somebody has just switched it and knows.
            _ => None,
        };
        let event = EventDraft { sort: Sort::Camera, event_type, title, detail, quiet };
        Effect::Announce(self.announce(now, id, event, now.instant, None))
    }

    /// The event of a camera that has just been lost; none if it was before.
    pub(super) fn camera_is_lost(&mut self, now: Now, id: &str, status: &Status) -> Option<Effect> {
        if self.lost.contains_key(id) {
            return None;
        }
        self.lost.insert(id.into(), now.instant);
        let problem = status.problem();
        let detail = Map::from_iter([
            ("reason".into(), json!(problem.map(|problem| problem.code()))),
            ("advice".into(), json!(problem.map(|problem| problem.advice()))),
        ]);
        Some(self.camera_event(now, id, "lost", None, detail))
    }

    /// The event of a camera that delivers again after it was lost.
    pub(super) fn camera_is_back(&mut self, now: Now, id: &str) -> Option<Effect> {
        let lost = self.lost.remove(id)?;
        let away = now.instant.saturating_duration_since(lost);
        let detail = Map::from_iter([("lasted_s".into(), tenths(away))]);
        Some(self.camera_event(now, id, "recovered", None, detail))
    }

    /// The event of a privacy that was switched.
    pub(super) fn privacy_event(&mut self, now: Now, id: &str, is_on: bool) -> Effect {
        let (event_type, what) =
            if is_on { ("privacy_on", "is closed for privacy") } else { ("privacy_off", "is open again") };
        self.camera_event(now, id, event_type, Some(what), Map::new())
    }

    /// Somebody asks for something about the devices in Home Assistant.
    pub(super) fn discovery(&mut self, wish: Discovery) -> Vec<Effect> {
        let is_renewed = wish == Discovery::Republish && !self.state.declined.is_empty();
        if is_renewed {
            self.state.declined.clear();
        }
        let save = is_renewed.then_some(Effect::SaveSettings);
        save.into_iter().chain([Effect::Discovery(wish)]).collect()
    }

    /// A person has deleted a device in Home Assistant.
    pub(super) fn declined(&mut self, object: String) -> Vec<Effect> {
        if self.state.declined.insert(object) { vec![Effect::SaveSettings] } else { Vec::new() }
    }

    /// Somebody tries to get in.
    pub(super) fn alarm(&mut self, now: Now, Alarm { kind, address, user }: Alarm) -> Effect {
        let quiet = self.hold_back(now, "", About::Security);
        let whose = user.as_ref().map(|user| format!(" for {user}")).unwrap_or_default();
        let title = Some(match kind {
            AlarmKind::TooManyAttempts => format!("Too many wrong passwords{whose} from {address}"),
            AlarmKind::AccountLocked => {
                format!("The account{whose} is locked after wrong passwords from {address}")
            }
            AlarmKind::Probe => format!("{address} looks for a way in"),
        });
        let user = user.map(|user| ("user".into(), json!(user)));
        let detail = Map::from_iter([("address".into(), json!(address))].into_iter().chain(user));
        let event = EventDraft { sort: Sort::Security, event_type: kind.word(), title, detail, quiet };
        Effect::Announce(self.node_event(now, event))
    }

    /// A message could not be brought to its target.
    pub(super) fn notify_failed(&mut self, now: Now, reason: String) -> Effect {
        let title = format!("A message was given up: {reason}");
        let detail = Map::from_iter([("reason".into(), json!(reason))]);
        self.system_event(now, "notify_failed", title, detail)
    }

    /// The house is seen under this address.
    pub(super) fn public_address(&mut self, now: Now, address: String) -> Vec<Effect> {
        let before = self.state.public_address.replace(address.clone());
        match before {
            Some(before) if before == address => Vec::new(),
            // The first answer of all is no change.
            None => vec![Effect::SaveSettings],
            Some(before) => {
                let title = Some(format!("The house is now seen as {address}, not {before}"));
                let detail =
                    Map::from_iter([("address".into(), json!(address)), ("was".into(), json!(before))]);
                let event = EventDraft {
                    sort: Sort::AddressChanged,
                    event_type: "changed",
                    title,
                    detail,
                    quiet: None,
                };
                vec![Effect::SaveSettings, Effect::Announce(self.node_event(now, event))]
            }
        }
    }

    /// What the archive has to say.
    pub(super) fn archive_news(&mut self, now: Now, news: ArchiveNews) -> Vec<Effect> {
        let (event_type, title, detail) = match news {
            ArchiveNews::Holds { events, bytes } => {
                (self.state.archive.events, self.state.archive.bytes) = (Some(events), bytes);
                return Vec::new();
            }
            ArchiveNews::Full(reason) => {
                self.state.archive.is_full = true;
                let title = format!("The disk takes nothing more, so events are not kept: {reason}");
                ("disk_full", title, Map::from_iter([("reason".into(), json!(reason))]))
            }
            ArchiveNews::Free { lost } => {
                self.state.archive.is_full = false;
                let title = format!("Events are kept again; {lost} were not");
                ("disk_free", title, Map::from_iter([("lost".into(), json!(lost))]))
            }
            ArchiveNews::Damaged(aside) => {
                let title =
                    format!("The events were damaged and set aside as {aside}; a new archive was begun");
                ("archive_damaged", title, Map::from_iter([("set_aside".into(), json!(aside))]))
            }
        };
        vec![self.system_event(now, event_type, title, detail)]
    }
}
