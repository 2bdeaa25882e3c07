//! What reaches us over MQTT: values, presses, requests, and Home Assistant's life.
//!
//! Not here: what a value means ([`crate::logic::entities`]) and what is done with it ([`crate::logic::appliance`]).

use std::time::Instant;

use rumqttc::v5::mqttbytes::v5::Publish;

use super::requests;
use super::session::{Answered, Session, remark};
use crate::logic::command::Command;
use crate::logic::entities::{Kind, camera_entity};
use crate::logic::input::Input;
use crate::logic::problem::{Problem, quoted};
use crate::logic::topics::Incoming;

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
        Incoming::Set { .. } | Incoming::Press { .. } | Incoming::Request { .. } if message.retain => {
            // Emptying what is retained is the cure and needs no word.
            if !message.payload.is_empty() {
                let problem = Problem::RetainedCommand;
                session.log("warn", &format!("{}: {problem}", quoted(topic))).await;
            }
        }
        Incoming::Set { camera, key } => {
            let command = text(&message.payload).and_then(|text| setting(&key, text));
            carry_out(session, &camera, &key, command).await;
        }
        Incoming::Press { camera, key } => {
            let command = text(&message.payload).and_then(|text| press(&key, text));
            carry_out(session, &camera, &key, command).await;
        }
        Incoming::Request { verb } => requests::receive(session, &verb, &message).await,
    }
}

fn text(payload: &[u8]) -> Result<&str, Problem> {
    if payload.len() > LONGEST_VALUE {
        return Err(Problem::TooLarge { limit: LONGEST_VALUE });
    }
    std::str::from_utf8(payload)
        .map_err(|_| Problem::BadRequest { detail: "The value is not UTF-8 text".into() })
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

async fn carry_out(session: &mut Session<'_>, camera: &str, key: &str, command: Result<Command, Problem>) {
    let sent = command.and_then(|command| {
        let known = session.parts.state.borrow().cameras.contains_key(camera);
        if !known {
            return Err(Problem::NotFound { what: format!("camera {}", quoted(camera)) });
        }
        let (topic, log) = (format!("{camera}/{key}"), session.parts.topics.log());
        let answers = session.answers.clone();
        let reply = move |outcome: Result<_, Problem>| {
            let Err(problem) = outcome else { return };
            tracing::warn!("MQTT: {topic}: {problem}");
            let body = remark("warn", &format!("{topic}: {problem}"));
            // The session may have ended meanwhile.
            let _ = answers.send(Answered { topics: vec![log], correlation: None, body });
        };
        session.parts.inbox.send(Input::Command { camera: camera.into(), command }, Some(Box::new(reply)))
    });
    if let Err(problem) = sent {
        session.log("warn", &format!("{}/{}: {problem}", quoted(camera), quoted(key))).await;
        session.forget_said(camera, key);
        session.publish_states(Instant::now()).await;
    }
}
