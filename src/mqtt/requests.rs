//! `request/<verb>` and its answer: JSON in, JSON out, with the asker's transaction, over MQTT 3.1.1 and 5 alike.
//!
//! Not here: plain values on `/set` and `/press` topics ([`super::commands`]).

use bytes::Bytes;
use jiff::Timestamp;
use rumqttc::v5::mqttbytes::v5::Publish;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::UnboundedSender;

use super::session::{Answered, Session};
use crate::logic::command::{Answer, Command};
use crate::logic::events::{SCHEMA_VERSION, timestamp};
use crate::logic::input::Input;
use crate::logic::problem::{Problem, quoted};
use crate::logic::topics::Topics;

/// Every verb. A new one does not compile until it is answered.
#[derive(Clone, Copy)]
enum Verb {
    Ping,
    Snapshot,
    MotionReset,
    DiscoveryRepublish,
}

impl Verb {
    const ALL: [(&'static str, Self); 4] = [
        ("ping", Self::Ping),
        ("snapshot", Self::Snapshot),
        ("motion/reset", Self::MotionReset),
        ("discovery/republish", Self::DiscoveryRepublish),
    ];

    fn parse(text: &str) -> Result<Self, Problem> {
        let found = Self::ALL.into_iter().find(|(word, _)| *word == text);
        found
            .map(|(_, verb)| verb)
            .ok_or_else(|| Problem::NotFound { what: format!("request {}", quoted(text)) })
    }
}

/// The body of a request; an empty one asks for nothing special.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default)]
    transaction: Option<Value>,
    #[serde(default)]
    camera: Option<String>,
}

/// Where the answer goes, and under which transaction.
struct Asker {
    topics: Vec<String>,
    correlation: Option<Bytes>,
    transaction: Option<Value>,
    answers: UnboundedSender<Answered>,
}

impl Asker {
    fn answer(self, outcome: Result<Value, Problem>) {
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
                body["error"] = json!({ "code": problem.code(), "message": problem.advice() });
            }
        }
        // The session may have ended meanwhile.
        let _ = self.answers.send(Answered { topics: self.topics, correlation: self.correlation, body });
    }
}

pub(super) async fn receive(session: &mut Session<'_>, verb: &str, message: &Publish) {
    let (topics, correlation) = reply_to(&session.parts.topics, verb, message);
    let body = if message.payload.is_empty() {
        Ok(Body::default())
    } else {
        // By way of an object: a struct would take a list too.
        let object = serde_json::from_slice::<Map<String, Value>>(&message.payload);
        object.and_then(|object| serde_json::from_value::<Body>(Value::Object(object)))
    };
    let transaction = body.as_ref().ok().and_then(|body| body.transaction.clone());
    let asker = Asker { topics, correlation, transaction, answers: session.answers.clone() };
    let outcome = body
        .map_err(|error| Problem::BadRequest {
            detail: format!("The body is not the expected JSON ({error})"),
        })
        .and_then(|body| Ok((Verb::parse(verb)?, body)));
    match outcome {
        Ok((verb, body)) => carry_out(session, verb, body, asker),
        Err(problem) => asker.answer(Err(problem)),
    }
}

fn carry_out(session: &mut Session<'_>, verb: Verb, body: Body, asker: Asker) {
    match verb {
        Verb::Ping => asker.answer(Ok(json!({ "pong": true }))),
        Verb::DiscoveryRepublish => {
            session.republish();
            asker.answer(Ok(json!({})));
        }
        Verb::Snapshot => ask(session, body, Command::Snapshot, asker),
        Verb::MotionReset => ask(session, body, Command::BackgroundReset, asker),
    }
}

/// Asks the appliance; without a camera in the body the only one is meant.
fn ask(session: &Session<'_>, body: Body, command: Command, asker: Asker) {
    let cameras: Vec<String> = session.parts.state.borrow().cameras.keys().cloned().collect();
    let camera = match (body.camera, cameras.as_slice()) {
        (Some(camera), _) => camera,
        (None, [only]) => only.clone(),
        (None, _) => {
            let detail = format!("\"camera\" is missing; there are {}", cameras.join(", "));
            return asker.answer(Err(Problem::BadRequest { detail }));
        }
    };
    let topics = session.parts.topics.clone();
    let input = Input::Command { camera: camera.clone(), command };
    // The reply runs where the command is handled, so the asker is shared by both outcomes through a cell.
    let asker = std::sync::Arc::new(std::sync::Mutex::new(Some(asker)));
    let later = std::sync::Arc::clone(&asker);
    let take = |cell: &std::sync::Mutex<Option<Asker>>| {
        cell.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    };
    let reply = move |outcome: Result<Answer, Problem>| {
        let data = outcome.map(|answer| match answer {
            Answer::Done => json!({}),
            Answer::Event(id) => json!({
                "topic": topics.event_image(&camera, &id),
                "path": format!("/api/events/{id}/snapshot.jpg"),
                "id": id,
            }),
        });
        if let Some(asker) = take(&later) {
            asker.answer(data);
        }
    };
    if let Err(problem) = session.parts.inbox.send(input, Some(Box::new(reply)))
        && let Some(asker) = take(&asker)
    {
        asker.answer(Err(problem));
    }
}

/// The shared response topic, and the asker's own of MQTT 5 where it cannot be used to send commands to somebody.
fn reply_to(topics: &Topics, verb: &str, message: &Publish) -> (Vec<String>, Option<Bytes>) {
    let shared = topics.response(verb);
    let properties = message.properties.as_ref();
    let own = properties.and_then(|properties| properties.response_topic.clone());
    let own = own.filter(|topic| is_harmless(topics, topic) && *topic != shared);
    let correlation = properties.and_then(|properties| properties.correlation_data.clone());
    (own.into_iter().chain([shared]).collect(), correlation)
}

fn is_harmless(topics: &Topics, topic: &str) -> bool {
    let discovery = topics.document("x");
    let discovery = discovery.split('/').next().unwrap_or_default();
    let inside =
        |tree: &str| topic == tree || topic.strip_prefix(tree).is_some_and(|rest| rest.starts_with('/'));
    let is_name = !topic.is_empty() && !topic.contains(['+', '#', '\0']) && !topic.starts_with('$');
    is_name && !inside(discovery) && !inside(topics.base())
}
