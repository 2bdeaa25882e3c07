//! What reaches us over MQTT: values, presses, requests, and Home Assistant's life.
//!
//! Not here: what a value means ([`crate::logic::entities`]) and what is done with it ([`crate::logic::appliance`]).

use std::time::Instant;

use rumqttc::v5::mqttbytes::v5::Publish;
use serde_json::{Value, json};

use super::requests::{self, Asker, Note};
use super::session::{Return, Session};
use crate::logic::admin;
use crate::logic::command::{Answer, Command};
use crate::logic::entities::{Kind, NODE, camera_entity};
use crate::logic::input::Input;
use crate::logic::problem::{Problem, quoted};
use crate::logic::request::{self, Wanted};
use crate::logic::topics::Incoming;

/// Key and text become a command.
type Read = fn(&str, &str) -> Result<Command, Problem>;

/// Values are short; anything longer is a mistake.
const LONGEST_VALUE: usize = 1024;

pub(super) async fn receive(session: &mut Session<'_>, message: Publish) {
    let Ok(topic) = std::str::from_utf8(&message.topic) else { return };
    let Some(incoming) = session.parts.topics.parse(topic) else { return };
    let now = Instant::now();
    match incoming {
        Incoming::Document { object } => session.document_seen(&object, &message.payload, now),
        Incoming::HomeAssistant => {
            if message.payload.as_ref() == b"online" {
                session.born(now);
            }
        }
        Incoming::Set { .. }
        | Incoming::Press { .. }
        | Incoming::NodePress { .. }
        | Incoming::Request { .. }
            if message.retain =>
        {
            // Emptying what is retained is the cure and needs no word.
            if !message.payload.is_empty() {
                let problem = Problem::RetainedCommand;
                session.log(&format!("{}: {problem}", quoted(topic))).await;
            }
        }
        Incoming::Set { camera, key } => value(session, &camera, &key, ("set", setting), &message).await,
        Incoming::Press { camera, key } => value(session, &camera, &key, ("press", press), &message).await,
        Incoming::NodePress { key } => node_press(session, &key, &message).await,
        Incoming::Info => session.info_seen(&message.payload).await,
        Incoming::Request { verb } => requests::receive(session, &verb, &message).await,
    }
}

fn setting(key: &str, text: &str) -> Result<Command, Problem> {
    let entity = camera_entity(key)?;
    if matches!(entity.kind, Kind::Button { .. }) {
        return Err(Problem::BadRequest {
            detail: format!("{key} is a button: send PRESS to its press topic"),
        });
    }
    entity.command(text)
}

fn press(key: &str, text: &str) -> Result<Command, Problem> {
    let entity = camera_entity(key)?;
    if !matches!(entity.kind, Kind::Button { .. }) {
        return Err(Problem::BadRequest { detail: format!("{key} is no button") });
    }
    entity.command(text)
}

/// One value or press. Whoever sends it as JSON or names a response topic hears what came of it; everybody sees a refusal on `log`.
async fn value(
    session: &mut Session<'_>,
    camera: &str,
    key: &str,
    (verb, read): (&str, Read),
    message: &Publish,
) {
    let wanted = if message.payload.len() > LONGEST_VALUE {
        Err(Problem::TooLarge { limit: LONGEST_VALUE })
    } else {
        Wanted::parse(&message.payload)
    };
    let (wanted, transaction, is_json) = match wanted {
        Ok(Wanted { value, transaction, is_json }) => (Ok(value), transaction, is_json),
        Err(problem) => (Err(problem), None, message.payload.starts_with(b"{")),
    };
    let has_response_topic =
        message.properties.as_ref().is_some_and(|properties| properties.response_topic.is_some());
    // Without these nobody waits; the state topic says it all.
    let topics = &session.parts.topics;
    let to = if is_json || has_response_topic {
        requests::reply_to(topics, topics.ack(camera, key), message)
    } else {
        Return { topics: Vec::new(), correlation: None }
    };
    let id = transaction.as_ref().map(|_| requests::key(message));
    let Some(to) = requests::first_time(session, id.as_deref(), to).await else { return };
    let complaint = Some((session.parts.topics.log(), format!("{}/{}", quoted(camera), quoted(key))));
    let note = Some(Note::new(&session.parts.audit, format!("{verb} {}/{}", quoted(camera), quoted(key))));
    let asker = Asker { to, transaction, key: id, complaint, note, answers: session.answers.clone() };
    let command = wanted.and_then(|text| read(key, &text)).and_then(|command| {
        let is_known = session.parts.state.borrow().cameras.contains_key(camera);
        let unknown = || Problem::NotFound { what: format!("camera {}", quoted(camera)) };
        is_known.then_some(command).ok_or_else(unknown)
    });
    match command {
        Ok(command) => {
            let input = Input::Command { camera: camera.into(), command };
            let data = outcome(session, camera, key);
            requests::send(session, input, asker, data);
        }
        Err(problem) => {
            asker.answer(Err(problem));
            session.forget_said(camera, key);
            session.publish_states(Instant::now()).await;
        }
    }
}

/// A press of a button of the node itself; a refusal is told on `log`.
async fn node_press(session: &mut Session<'_>, key: &str, message: &Publish) {
    let entity = NODE.iter().find(|entity| entity.key == key);
    let entity = entity.ok_or_else(|| Problem::NotFound { what: format!("button {}", quoted(key)) });
    let text = String::from_utf8_lossy(&message.payload);
    match entity.and_then(|entity| entity.command(&text)) {
        Ok(Command::Restart) => {
            let complaint = Some((session.parts.topics.log(), key.to_owned()));
            let to = Return { topics: Vec::new(), correlation: None };
            let note = Some(Note::new(&session.parts.audit, format!("press {key}")));
            let answers = session.answers.clone();
            let asker = Asker { to, transaction: None, key: None, complaint, note, answers };
            requests::send(session, Input::Admin(admin::Request::Restart), asker, |_| Value::Null);
        }
        Ok(other) => tracing::warn!("MQTT: {other:?} is nothing for the node"),
        Err(problem) => session.log(&format!("{}: {problem}", quoted(key))).await,
    }
}

/// What an acknowledgement says: the value as it is now, or the event that a press made.
fn outcome(session: &Session<'_>, camera: &str, key: &str) -> impl FnOnce(Answer) -> Value + Send + 'static {
    let (state, topics) = (session.parts.state.clone(), session.parts.topics.clone());
    let (camera, key) = (camera.to_owned(), key.to_owned());
    move |answer| match answer {
        Answer::Done | Answer::Data(_) | Answer::Picture(_) => {
            let state = state.borrow();
            let value = state.cameras.get(&camera).and_then(|camera| camera_entity(&key).ok()?.state(camera));
            json!({ "value": value })
        }
        event @ Answer::Event { .. } => request::data(event, &topics),
    }
}
