//! The documents of our devices at the broker: listen to what it holds, bring it in line one step at a time, clear it on request.
//!
//! Not here: what the documents say ([`crate::logic::discovery`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Parts;
use super::inspect::{clear, inspect};
use super::session::Session;
use crate::inbox::Reply;
use crate::logic::command::Answer;
use crate::logic::discovery::{Document, keep_people, left_behind, steps};
use crate::logic::input::Input;
use crate::logic::lint;
use crate::logic::problem::Problem;
use crate::logic::request::Discovery;

/// After the subscription's answer retained documents come at once; this much silence means that was all.
const QUIET: Duration = Duration::from_millis(300);
/// Home Assistant ignores a document that meets a pending one of the same device.
const PAUSE: Duration = Duration::from_secs(2);
/// Home Assistant subscribes to an entity's topics some time after it has read of it, and what is not retained has passed by then: it is
/// said again after so long, and once more for a slow machine.
const SAY_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// What one connection knows of the documents.
pub(super) struct Documents {
    /// Those of ours that the broker holds.
    held: BTreeMap<String, Value>,
    /// Deleted by a person during this connection; the state hears of it a moment later.
    declined: BTreeSet<String>,
    /// Until then the broker tells what it holds.
    listening_until: Option<Instant>,
    /// When the next step of a document may be taken.
    next_at: BTreeMap<String, Instant>,
}

impl Documents {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            held: BTreeMap::new(),
            declined: BTreeSet::new(),
            listening_until: Some(now + QUIET),
            next_at: BTreeMap::new(),
        }
    }
}

impl Session<'_> {
    pub(super) async fn publish_documents(&mut self, now: Instant) {
        if !self.parts.settings.discovery || self.documents.listening_until.is_some_and(|until| now < until) {
            return;
        }
        self.documents.listening_until = None;
        let state = Arc::clone(&self.parts.state.borrow());
        let mut wanted = self.parts.installation.documents(&state, &self.parts.topics);
        for document in wanted.iter_mut().filter(|_| !state.people_known) {
            if let Some(held) = self.documents.held.get(&document.object) {
                keep_people(held, &mut document.body);
            }
        }
        self.clear_strangers(&wanted).await;
        for document in &wanted {
            let object = &document.object;
            let is_paused = self.documents.next_at.get(object).is_some_and(|at| now < *at);
            if is_paused || self.documents.declined.contains(object) || state.declined.contains(object) {
                continue;
            }
            // One step now; what it leads to is compared again after the pause.
            let before = self.documents.held.get(object).cloned();
            if let Some(step) = steps(before.as_ref(), &document.body).into_iter().next() {
                self.publish_document(object, Some(step), now).await;
                self.clear_left_behind(before.as_ref(), &wanted).await;
            }
        }
    }

    /// Devices of this node that no longer exist: a camera that left the configuration.
    async fn clear_strangers(&mut self, wanted: &[Document]) {
        let is_gone = |object: &String| wanted.iter().all(|document| document.object != *object);
        let gone: Vec<String> =
            self.documents.held.keys().filter(|object| is_gone(object)).cloned().collect();
        for object in gone {
            let before = self.documents.held.get(&object).cloned();
            self.publish_document(&object, None, Instant::now()).await;
            self.clear_left_behind(before.as_ref(), wanted).await;
        }
    }

    /// What the broker keeps on topics of ours that no document names any more, because a camera or the node got another name.
    async fn clear_left_behind(&self, before: Option<&Value>, wanted: &[Document]) {
        for topic in left_behind(before, wanted).into_iter().filter(|topic| self.parts.topics.is_ours(topic))
        {
            self.retain(topic, "").await;
        }
    }

    async fn publish_document(&mut self, object: &str, body: Option<Value>, now: Instant) {
        let text = body.as_ref().map(Value::to_string).unwrap_or_default();
        self.retain(self.parts.topics.document(object), &text).await;
        match body {
            Some(body) => {
                self.say_again.extend(SAY_AGAIN.map(|pause| now + pause));
                self.documents.held.insert(object.into(), body);
            }
            None => drop(self.documents.held.remove(object)),
        }
        self.documents.next_at.insert(object.into(), now + PAUSE);
    }

    /// The same documents once more: Home Assistant ignores what it knows and learns what it missed.
    pub(super) async fn repeat_documents(&mut self, now: Instant) {
        for (object, body) in std::mem::take(&mut self.documents.held) {
            self.publish_document(&object, Some(body), now).await;
        }
    }

    /// A document under the discovery prefix: ours as the broker holds it, or deleted by a person.
    pub(super) fn document_seen(&mut self, object: &str, payload: &[u8], now: Instant) {
        if !object.starts_with(&self.parts.installation.node_object()) {
            return;
        }
        if let Some(until) = &mut self.documents.listening_until {
            *until = now + QUIET;
        }
        if payload.is_empty() {
            // Our own clearing of a camera that is gone comes back to us too; then it is no longer held.
            if self.documents.held.remove(object).is_some() {
                tracing::info!("{object} was deleted in Home Assistant and stays away until it is asked for");
                self.documents.declined.insert(object.into());
                self.parts.inbox.tell(Input::Declined(object.into()));
            }
            return;
        }
        match serde_json::from_slice(payload) {
            Ok(document) => drop(self.documents.held.insert(object.into(), document)),
            Err(error) => tracing::warn!(%error, object, "the broker holds a damaged document of ours"),
        }
    }

    /// Carries out what somebody asked about the devices.
    pub(super) async fn discovery(&mut self, wish: Discovery, reply: Reply) {
        match wish {
            Discovery::Republish => {
                self.memory.is_silent = false;
                self.documents = Documents::new(Instant::now());
                self.documents.listening_until = None;
                self.announce().await;
                reply(Ok(Answer::Done));
            }
            Discovery::Lint => self.lint(reply),
            Discovery::Clear => {
                let cleared = self.clear().await;
                reply(cleared.map(|n_topics| Answer::Data(json!({ "cleared": n_topics }))));
            }
        }
    }

    /// Looks over a connection of its own, because this one has no interest in most of what the broker holds.
    fn lint(&self, reply: Reply) {
        let (access, run_dir) = (self.parts.settings.access.clone(), self.parts.run_dir.clone());
        let (topics, own) = (self.parts.topics.clone(), self.parts.installation.node_object());
        tokio::spawn(async move {
            let held = inspect(&access, &topics, &run_dir).await;
            let findings = held.map(|held| lint::lint(&held, &topics, &own));
            reply(findings.map(|report| Answer::Data(report.to_json())).map_err(|_| Problem::NoBroker));
        });
    }

    /// Takes everything of this node from the broker and stays silent; how many topics there were.
    async fn clear(&mut self) -> Result<usize, Problem> {
        self.memory.is_silent = true;
        self.documents.held.clear();
        let Parts { settings, topics, run_dir, installation, .. } = &*self.parts;
        let cleared = clear(&settings.access, topics, &installation.node_object(), run_dir).await;
        cleared.map_err(|_| Problem::NoBroker)
    }
}
