//! `request/<verb>` and its answer: JSON in, JSON out, with the asker's transaction, over MQTT 3.1.1 and 5 alike.
//!
//! Not here: which requests there are ([`crate::logic::request`]), and values on `/set` and `/press` topics ([`super::commands`]).

use std::sync::{Arc, Mutex};
use std::time::Instant;

use jiff::Timestamp;
use rumqttc::v5::mqttbytes::v5::Publish;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use super::session::{Answered, Return, Session, error_fields, remark};
use crate::logic::accounts::verbs;
use crate::logic::checksum::sha256;
use crate::logic::command::Answer;
use crate::logic::events::{SCHEMA_VERSION, timestamp};
use crate::logic::input::Input;
use crate::logic::problem::{Problem, quoted};
use crate::logic::request;
use crate::logic::topics::Topics;
use crate::logic::transactions::Known;

/// Where the answer goes, and under which transaction.
pub(super) struct Asker {
    pub(super) to: Return,
    pub(super) transaction: Option<Value>,
    /// What the session knows the request by, if it may come again.
    pub(super) key: Option<String>,
    /// Where everybody sees a refusal, and what it is about.
    pub(super) complaint: Option<(String, String)>,
    pub(super) answers: UnboundedSender<Answered>,
}

impl Asker {
    pub(super) fn answer(self, outcome: Result<Value, Problem>) {
        let mut body = json!({ "v": SCHEMA_VERSION, "ts": timestamp(Timestamp::now()) });
        if let Some(transaction) = self.transaction {
            body["transaction"] = transaction;
        }
        match outcome {
            Ok(data) => {
                body["status"] = json!("ok");
                body["data"] = data;
            }
            Err(problem) => {
                body["status"] = json!("error");
                body["error"] = error_fields(&problem);
                if let Some((log, about)) = self.complaint {
                    tracing::warn!("MQTT: {about}: {problem}");
                    let body = remark(&format!("{about}: {problem}"));
                    let to = Return { topics: vec![log], correlation: None };
                    let _ = self.answers.send(Answered { to, key: None, body });
                }
            }
        }
        // The session may have ended meanwhile.
        let _ = self.answers.send(Answered { to: self.to, key: self.key, body });
    }
}

pub(super) async fn receive(session: &mut Session<'_>, verb: &str, message: &Publish) {
    let to = reply_to(&session.parts.topics, session.parts.topics.response(verb), message);
    let mut body = request::fields(&message.payload);
    let transaction = body.as_mut().ok().and_then(|body| body.remove("transaction"));
    let is_secret = verbs::has_secret_answer(verb);
    // An answer that is remembered could be fetched by whoever repeats the request with a topic of their own.
    let key = transaction.as_ref().filter(|_| !is_secret).map(|_| key(message));
    let Some(mut to) = first_time(session, key.as_deref(), to).await else { return };
    let is_private = !is_secret || keep_private(&mut to, &session.parts.topics.response(verb));
    let asker = Asker { to, transaction, key, complaint: None, answers: session.answers.clone() };
    let input = body.and_then(|body| {
        is_taken(session, verb)?;
        if !is_private {
            return Err(Problem::OwnTopicNeeded { request: quoted(verb) });
        }
        request::read(verb, &body, &session.parts.state.borrow())
    });
    match input {
        Ok(input) => ask(session, input, asker),
        Err(problem) => asker.answer(Err(problem)),
    }
}

/// Takes the topic from the answer where everybody reads it; false, with nothing changed, if the asker has no other one.
fn keep_private(to: &mut Return, shared: &str) -> bool {
    let has_own = to.topics.iter().any(|topic| topic != shared);
    if has_own {
        to.topics.retain(|topic| topic != shared);
    }
    has_own
}

/// Whether this verb is answered here and now.
fn is_taken(session: &mut Session<'_>, verb: &str) -> Result<(), Problem> {
    if verbs::is_never_over_mqtt(verb) {
        return Err(Problem::NeverOverMqtt { request: quoted(verb) });
    }
    if !session.parts.settings.allow_requests.allows(verb) {
        return Err(Problem::NotAllowed { request: quoted(verb) });
    }
    if !session.memory.pace.takes(verb, Instant::now()) {
        return Err(Problem::TooOften { request: quoted(verb) });
    }
    Ok(())
}

/// What a message with a transaction is known by: the same text on the same topic is the same request.
pub(super) fn key(message: &Publish) -> String {
    sha256([message.topic.as_ref(), b"\0", message.payload.as_ref()].concat())
}

/// Returns `to` if the message has not been here before; else the first answer goes there, now or when there is one.
pub(super) async fn first_time(session: &mut Session<'_>, key: Option<&str>, to: Return) -> Option<Return> {
    let Some(key) = key else { return Some(to) };
    let mut to = Some(to);
    let mut waits = || to.take().expect("it is asked for once");
    match session.memory.transactions.ask(key, Instant::now(), &mut waits) {
        Known::New => {}
        Known::UnderWay => return None,
        Known::Answered(text) => {
            session.send_answer(waits(), &text).await;
            return None;
        }
    }
    to
}

/// Hands something to the appliance; the asker hears what came of it.
fn ask(session: &Session<'_>, input: Input, asker: Asker) {
    let topics = session.parts.topics.clone();
    send(session, input, asker, move |answer| request::data(answer, &topics));
}

/// The same, with the data of the answer made by `data`, when the state has changed already.
pub(super) fn send(
    session: &Session<'_>,
    input: Input,
    asker: Asker,
    data: impl FnOnce(Answer) -> Value + Send + 'static,
) {
    // The reply runs where the work is done, so the asker is shared by both outcomes through a cell.
    let asker = Arc::new(Mutex::new(Some(asker)));
    let later = Arc::clone(&asker);
    let take =
        |cell: &Mutex<Option<Asker>>| cell.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    let reply = move |outcome: Result<Answer, Problem>| {
        if let Some(asker) = take(&later) {
            asker.answer(outcome.map(data));
        }
    };
    if let Err(problem) = session.parts.inbox.send(input, Some(Box::new(reply)))
        && let Some(asker) = take(&asker)
    {
        asker.answer(Err(problem));
    }
}

/// The topic `shared` where everybody sees the answer, and the asker's own of MQTT 5 where it cannot be used to send commands to somebody.
pub(super) fn reply_to(topics: &Topics, shared: String, message: &Publish) -> Return {
    let properties = message.properties.as_ref();
    let own = properties.and_then(|properties| properties.response_topic.clone());
    let own = own.filter(|topic| is_harmless(topics, topic) && *topic != shared);
    let correlation = properties.and_then(|properties| properties.correlation_data.clone());
    Return { topics: own.into_iter().chain([shared]).collect(), correlation }
}

fn is_harmless(topics: &Topics, topic: &str) -> bool {
    let discovery = topics.document("x");
    let discovery = discovery.split('/').next().unwrap_or_default();
    let inside =
        |tree: &str| topic == tree || topic.strip_prefix(tree).is_some_and(|rest| rest.starts_with('/'));
    let is_name = !topic.is_empty() && !topic.contains(['+', '#', '\0']) && !topic.starts_with('$');
    is_name && !inside(discovery) && !inside(topics.base())
}
