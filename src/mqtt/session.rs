//! One connected session: what is published when, in which order.
//!
//! Order that others rely on: availability, then discovery, then states; for an event its picture, then presence, then the event.
//! Not here: reading commands ([`super::commands`]), device documents ([`super::documents`]), live pictures ([`super::pictures`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use rumqttc::v5::AsyncClient;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Publish, PublishProperties};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::commands;
use super::documents::Documents;
use super::outbox::News;
use super::pictures::Pictures;
use super::{Memory, Parts};
use crate::journal;
use crate::logic::admin::{Level, Line};
use crate::logic::entities::CAMERA;
use crate::logic::events::{Event, SCHEMA_VERSION, Sort, timestamp};
use crate::logic::input::Input;
use crate::logic::problem::{Problem, quoted};
use crate::logic::publication::{self, Message};
use crate::logic::state::State;
use crate::shutdown::Shutdown;

/// Pulse of everything that is due by time.
const TICK: Duration = Duration::from_millis(100);
/// Presence expires after 90 s in Home Assistant; three repetitions in that time.
const PRESENCE_EVERY: Duration = Duration::from_secs(30);
const HEALTH_EVERY: Duration = Duration::from_secs(60);
const DETAILS_EVERY: Duration = Duration::from_secs(1);
/// Home Assistant needs a moment after its birth message until its subscriptions stand: this long, and up to this much more.
const BIRTH_DELAY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));
/// An event that could not be sent for this long is history, and nobody shall act on it.
const STALE: Duration = Duration::from_secs(30);
/// The last pictures are sent again to a Home Assistant that starts within this time.
const PICTURES_KEPT: Duration = Duration::from_secs(600);

pub(super) struct Session<'a> {
    pub(super) parts: &'a mut Parts,
    client: AsyncClient,
    /// Largest packet that the broker takes, in bytes.
    largest: usize,
    pub(super) memory: &'a mut Memory,
    /// What each topic says, as far as we have published.
    said: BTreeMap<String, (String, Instant)>,
    pub(super) documents: Documents,
    /// When what is not retained has to be said again.
    pub(super) say_again: Vec<Instant>,
    /// Whether it was told that somebody else speaks on our topics.
    warned_of_double: bool,
    health_due: Instant,
    birth_due: Option<Instant>,
    pictures: Pictures,
    pub(super) answers: mpsc::UnboundedSender<Answered>,
    answered: mpsc::UnboundedReceiver<Answered>,
}

/// The outcome of a request, to be sent to whoever asked.
pub(super) struct Answered {
    pub(super) to: Return,
    /// What [`Memory::transactions`] knows the request by, if it may come again.
    pub(super) key: Option<String>,
    pub(super) body: Value,
}

/// Where an answer goes.
#[derive(Debug)]
pub(super) struct Return {
    pub(super) topics: Vec<String>,
    pub(super) correlation: Option<Bytes>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        parts: &'a mut Parts,
        client: AsyncClient,
        largest: usize,
        memory: &'a mut Memory,
    ) -> Self {
        let now = Instant::now();
        let (answers, answered) = mpsc::unbounded_channel();
        let pictures = Pictures::new(parts.settings.picture_interval);
        // Nobody can hear the answers that the last connection was waiting for.
        memory.transactions.give_up();
        Self {
            parts,
            client,
            largest,
            memory,
            said: BTreeMap::new(),
            documents: Documents::new(now),
            say_again: Vec::new(),
            warned_of_double: false,
            health_due: now,
            birth_due: None,
            pictures,
            answers,
            answered,
        }
    }

    /// Talks until the stop signal; then says farewell. Losing the connection ends it from outside.
    pub(super) async fn talk(&mut self, messages: &mut mpsc::Receiver<Publish>, shutdown: &Shutdown) {
        self.greet().await;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let outbox = Arc::clone(&self.parts.outbox);
        let mut warnings = journal::warnings();
        loop {
            tokio::select! {
                biased;
                () = shutdown.triggered() => break,
                () = outbox.filled() => self.publish_states(Instant::now()).await,
                Some(message) = messages.recv() => self.receive(message).await,
                Some(answer) = self.answered.recv() => self.answer(answer).await,
                Ok(line) = warnings.recv() => self.pass_on(&line).await,
                Some((wish, reply)) = self.parts.discovery.recv() => self.discovery(wish, reply).await,
                Ok(()) = self.parts.state.changed() => self.publish_states(Instant::now()).await,
                _ = tick.tick() => self.tick(Instant::now()).await,
            }
        }
        self.farewell().await;
    }

    /// Availability stands before anything else, and cameras' with it.
    async fn greet(&mut self) {
        let filters = self.parts.topics.subscriptions().into_iter();
        // A command that is sent with the retain flag shall be refused at once, not only when it comes again.
        let filters =
            filters.map(|path| Filter { preserve_retain: true, ..Filter::new(path, QoS::AtLeastOnce) });
        // What is kept of another appliance is of yesterday, and what comes fresh is not.
        let own = Filter::new(self.parts.topics.info(), QoS::AtLeastOnce);
        // A closed queue means that the connection is gone; the caller notices by itself.
        let _ = self.client.subscribe_many(filters.chain([own])).await;
        self.announce().await;
    }

    /// Says that we are there, and everything that is true.
    pub(super) async fn announce(&mut self) {
        if self.memory.is_silent {
            return;
        }
        self.said.clear();
        self.retain(self.parts.topics.status(), "online").await;
        self.publish_info().await;
        self.publish_states(Instant::now()).await;
    }

    async fn farewell(&mut self) {
        // Whoever asked for the end shall hear that it comes.
        while let Ok(answer) = self.answered.try_recv() {
            self.answer(answer).await;
        }
        if !self.memory.is_silent {
            self.say_farewell().await;
        }
        let _ = self.client.disconnect().await;
    }

    async fn say_farewell(&mut self) {
        let state = Arc::clone(&self.parts.state.borrow());
        for Message { topic, payload, .. } in publication::farewell(&state, &self.parts.topics) {
            self.send(topic, Bytes::from(payload), QoS::AtLeastOnce, false).await;
        }
        for id in self.parts.hubs.keys().cloned().collect::<Vec<_>>() {
            self.retain(self.parts.topics.camera_status(&id), "offline").await;
        }
        self.retain(self.parts.topics.status(), "offline").await;
    }

    async fn publish_info(&mut self) {
        let installation = &self.parts.installation;
        let urls: Vec<&str> =
            Some(installation.url.as_str()).filter(|url| !url.is_empty()).into_iter().collect();
        let info = json!({
            "v": SCHEMA_VERSION,
            "ts": timestamp(Timestamp::now()),
            "version": installation.version,
            "uuid": installation.node_uuid,
            "schema": SCHEMA_VERSION,
            "urls": urls,
            "cameras": self.parts.hubs.keys().collect::<Vec<_>>(),
        });
        self.retain(self.parts.topics.info(), &info.to_string()).await;
    }

    async fn tick(&mut self, now: Instant) {
        if self.memory.is_silent {
            return;
        }
        let n_due = self.say_again.len();
        self.say_again.retain(|due| *due > now);
        if self.say_again.len() < n_due {
            // A picture makes an event of its own in Home Assistant, so it comes only once more.
            self.forget_unretained(self.say_again.is_empty());
        }
        self.publish_states(now).await;
        self.publish_documents(now).await;
        // The first sample has nothing to compare with; its zeros would be believed for a minute.
        if now >= self.health_due && self.parts.state.borrow().node.uptime_s > 0 {
            self.health_due = now + HEALTH_EVERY;
            self.publish_health().await;
        }
        if self.birth_due.is_some_and(|due| now >= due) {
            self.birth_due = None;
            self.repeat_everything(now).await;
        }
        let due = self.pictures.due(now, &self.parts.state.borrow(), &self.parts.hubs);
        for (camera, key, jpeg) in due {
            let topic = self.parts.topics.entity(&camera, key);
            self.send(topic, jpeg, QoS::AtMostOnce, false).await;
        }
    }

    async fn publish_health(&mut self) {
        let state = Arc::clone(&self.parts.state.borrow());
        let (reconnects, dropped) = (self.parts.outbox.reconnects(), self.parts.outbox.dropped());
        let health = publication::health(&state, Timestamp::now(), reconnects, dropped);
        self.retain(self.parts.topics.health(), &health.to_string()).await;
    }

    /// Sends what differs from what was said, and what must not expire; around it the news that led to it: pictures of events
    /// before, the events after.
    pub(super) async fn publish_states(&mut self, now: Instant) {
        let Parts { outbox, state, .. } = &mut *self.parts;
        let (news, state) = outbox.take(|| Arc::clone(&state.borrow_and_update()));
        if self.memory.is_silent {
            return;
        }
        let mut events = Vec::new();
        for news in news {
            match news {
                News::Event(event) => {
                    if let Some(with_picture) = self.prepare(&event, &state, now).await {
                        events.push((event, with_picture));
                    }
                }
                News::Blank(camera) => self.pictures.blank(camera),
                News::BlankFace(camera) => self.replace_last_face(&camera, &state).await,
                News::Picture { camera, key, jpeg } => {
                    let topic = self.parts.topics.entity(&camera, key);
                    self.send(topic, jpeg, QoS::AtLeastOnce, false).await;
                }
            }
        }
        self.say_states(&state, now).await;
        for (event, with_picture) in events {
            self.tell_event(&event, with_picture).await;
        }
    }

    async fn say_states(&mut self, state: &State, now: Instant) {
        for Message { topic, payload, sort } in publication::messages(state, &self.parts.topics) {
            let due = match (self.said.get(&topic), sort) {
                (None, _) => true,
                (Some((said, at)), publication::Sort::Presence) => {
                    *said != payload || now >= *at + PRESENCE_EVERY
                }
                (Some((said, _)), publication::Sort::State) => *said != payload,
                (Some((said, _)), publication::Sort::Picture) => *said != payload,
                (Some((said, at)), publication::Sort::Details) => {
                    *said != payload && now >= *at + DETAILS_EVERY
                }
            };
            if due {
                self.send(topic.clone(), Bytes::from(payload.clone()), QoS::AtLeastOnce, sort.is_retained())
                    .await;
                self.said.insert(topic, (payload, now));
            }
        }
    }

    /// Makes everything speak again that the broker does not keep.
    fn forget_unretained(&mut self, with_pictures: bool) {
        let state = Arc::clone(&self.parts.state.borrow());
        let messages = publication::messages(&state, &self.parts.topics).into_iter();
        for message in messages {
            let is_due = match message.sort {
                publication::Sort::Presence => true,
                publication::Sort::Picture => with_pictures,
                publication::Sort::State | publication::Sort::Details => false,
            };
            if is_due {
                self.said.remove(&message.topic);
            }
        }
    }

    /// Makes the state topic of an entity speak again: somebody believes a value that was refused.
    pub(super) fn forget_said(&mut self, camera: &str, key: &str) {
        self.said.remove(&self.parts.topics.entity(camera, key));
    }

    /// Home Assistant was born: everything it may have missed is due in a moment.
    pub(super) fn born(&mut self, now: Instant) {
        self.birth_due = Some(now + BIRTH_DELAY.0 + BIRTH_DELAY.1.mul_f32(super::random_share()));
    }

    async fn repeat_everything(&mut self, now: Instant) {
        self.said.clear();
        self.repeat_documents(now).await;
        self.publish_states(now).await;
        self.publish_health().await;
        self.repeat_pictures(now).await;
        self.pictures.restart();
        // Nobody waits; when the appliance is busy, the next event brings them.
        let _ = self.parts.inbox.send(Input::RenewStrips, None);
    }

    async fn repeat_pictures(&mut self, now: Instant) {
        let state = Arc::clone(&self.parts.state.borrow());
        for (id, camera) in state.cameras.iter().filter(|(_, camera)| camera.settings.mqtt_pictures) {
            for (sort, key) in [(Sort::Motion, "image/motion"), (Sort::Face, "image/face")] {
                let newest = state
                    .recent
                    .iter()
                    .find(|event| event.is_at(id) && event.sort == sort && event.picture.is_some());
                let fresh = newest
                    .filter(|event| now.saturating_duration_since(event.decided_at) < PICTURES_KEPT)
                    .and_then(|event| event.picture.as_ref());
                if let Some(picture) = fresh.filter(|_| !camera.settings.privacy) {
                    let topic = self.parts.topics.entity(id, key);
                    self.send(topic, picture.jpeg.clone(), QoS::AtLeastOnce, false).await;
                }
            }
        }
    }

    /// Shows the last face of somebody else, or nothing: the one that is shown belongs to somebody who is forgotten.
    async fn replace_last_face(&mut self, camera: &str, state: &State) {
        let other = state.recent.iter().find(|event| event.is_at(camera) && event.sort == Sort::Face);
        let picture = other.and_then(|event| event.picture.as_ref());
        let jpeg = picture.map_or_else(Bytes::new, |picture| picture.jpeg.clone());
        let topic = self.parts.topics.entity(camera, "image/face");
        self.send(topic, jpeg, QoS::AtLeastOnce, false).await;
    }

    /// Sends an event's picture; whether there was one, or `None` if the event is not to be told at all.
    async fn prepare(&mut self, event: &Event, state: &State, now: Instant) -> Option<bool> {
        if now.saturating_duration_since(event.decided_at) > STALE {
            self.parts.outbox.count_drop();
            return None;
        }
        let Some(id) = &event.camera else { return Some(false) };
        let camera = state.cameras.get(id)?;
        if camera.settings.privacy {
            // Nothing of what was seen leaves any more; that privacy is on is told, and that motion is over with it.
            return (event.sort == Sort::Camera || event.event_type == "end").then_some(false);
        }
        Some(camera.settings.mqtt_pictures && self.send_picture_of(event, id).await)
    }

    async fn tell_event(&mut self, event: &Event, with_picture: bool) {
        let Some(key) = event.sort.entity() else { return };
        let sent_at = Instant::now();
        let payload = event.payload(sent_at, &self.parts.topics, with_picture);
        let topic = self.parts.topics.of(event.camera.as_deref(), key);
        self.send(topic, Bytes::from(payload.to_string()), QoS::AtLeastOnce, false).await;
        // The others wait on purpose or are due to the clock, so they say nothing about our speed.
        if let Some(camera) = event.camera.clone()
            && matches!(event.event_type, "start" | "known")
        {
            let latency_ms = event.age_ms(sent_at);
            // Only a figure: it may be lost when the appliance is busy.
            let _ = self.parts.inbox.send(Input::EventSent { camera, latency_ms }, None);
        }
    }

    /// Sends the picture of an event to its own topic and to the entity that shows the last one; false if there is none.
    async fn send_picture_of(&mut self, event: &Event, camera: &str) -> bool {
        let (Some(picture), Some(key)) = (&event.picture, event.sort.picture_entity()) else { return false };
        if picture.jpeg.len() + 1024 > self.largest {
            self.log(&format!("a picture of {} bytes is more than the broker takes", picture.jpeg.len()))
                .await;
            return false;
        }
        debug_assert!(CAMERA.iter().any(|entity| entity.key == key));
        let own = self.parts.topics.event_image(camera, &event.id);
        self.send(own, picture.jpeg.clone(), QoS::AtLeastOnce, false).await;
        let last = self.parts.topics.entity(camera, key);
        self.send(last, picture.jpeg.clone(), QoS::AtLeastOnce, false).await;
        true
    }

    async fn receive(&mut self, message: Publish) {
        commands::receive(self, message).await;
    }

    async fn answer(&mut self, answer: Answered) {
        let Answered { to, key, mut body } = answer;
        // Whoever hears that something was done finds it done.
        self.publish_states(Instant::now()).await;
        let mut text = Bytes::from(body.to_string());
        if text.len() + 1024 > self.largest {
            body["status"] = json!("error");
            body["error"] = error_fields(&Problem::TooLarge { limit: self.largest });
            body["data"].take();
            text = Bytes::from(body.to_string());
        }
        let again = key.map(|key| self.memory.transactions.answered(&key, &text)).unwrap_or_default();
        for to in std::iter::once(to).chain(again) {
            self.send_answer(to, &text).await;
        }
    }

    pub(super) async fn send_answer(&self, to: Return, text: &Bytes) {
        for topic in to.topics {
            let properties = PublishProperties {
                correlation_data: to.correlation.clone(),
                content_type: Some("application/json".into()),
                ..PublishProperties::default()
            };
            let qos = QoS::AtLeastOnce;
            let _ =
                self.client.publish_bytes_with_properties(topic, qos, false, text.clone(), properties).await;
        }
    }

    /// Somebody says who speaks on our topics: we, or an appliance with the same name.
    pub(super) async fn info_seen(&mut self, info: &[u8]) {
        let info: Value = serde_json::from_slice(info).unwrap_or_default();
        let Some(other) = info["uuid"].as_str().filter(|uuid| *uuid != self.parts.installation.node_uuid)
        else {
            return;
        };
        if !self.warned_of_double {
            self.warned_of_double = true;
            let base = self.parts.topics.base();
            let text = format!(
                "another appliance ({}) speaks on {base} too, and each undoes what the other says; give one of them another node.id",
                quoted(other)
            );
            self.log(&text).await;
        }
    }

    /// Tells whoever watches the topics what our log warns of.
    async fn pass_on(&self, line: &Line) {
        if self.memory.is_silent {
            return;
        }
        let body = log_payload(line);
        self.send(self.parts.topics.log(), Bytes::from(body.to_string()), QoS::AtMostOnce, false).await;
    }

    /// Tells whoever watches the topics, and our own log.
    pub(super) async fn log(&mut self, message: &str) {
        tracing::warn!("MQTT: {message}");
        let topic = self.parts.topics.log();
        self.send(topic, Bytes::from(remark(message).to_string()), QoS::AtMostOnce, false).await;
    }

    pub(super) async fn retain(&self, topic: String, text: &str) {
        self.send(topic, Bytes::copy_from_slice(text.as_bytes()), QoS::AtLeastOnce, true).await;
    }

    async fn send(&self, topic: String, payload: Bytes, qos: QoS, retain: bool) {
        if payload.len() + topic.len() + 64 > self.largest {
            tracing::debug!(topic, bytes = payload.len(), "more than the broker takes");
            return;
        }
        // A closed queue means that the connection is gone; the caller notices by itself.
        let _ = self.client.publish_bytes(topic, qos, retain, payload).await;
    }
}

/// What answers say of a fault.
pub(super) fn error_fields(problem: &Problem) -> Value {
    let mut fields = json!({ "code": problem.code(), "message": problem.advice() });
    if let Some(field) = problem.field() {
        fields["field"] = json!(field);
    }
    if let Some(faults) = problem.faults() {
        fields["faults"] = faults;
    }
    fields
}

/// A warning of this session as the `log` topic says it.
pub(super) fn remark(message: &str) -> Value {
    let (ts, message) = (Timestamp::now(), message.to_owned());
    log_payload(&Line { ts, level: Level::Warn, target: "mqtt".into(), message })
}

fn log_payload(line: &Line) -> Value {
    let mut body = line.to_json();
    body["v"] = json!(SCHEMA_VERSION);
    body
}
