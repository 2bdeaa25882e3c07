//! `request/<verb>` and its answer: JSON in, JSON out, with the asker's transaction, over MQTT 3.1.1 and 5 alike.
//!
//! Not here: plain values on `/set` and `/press` topics ([`super::commands`]).

use bytes::Bytes;
use jiff::Timestamp;
use rumqttc::v5::mqttbytes::v5::Publish;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::UnboundedSender;

use super::session::{Answered, Session};
use crate::logic::admin;
use crate::logic::command::{Answer, Command};
use crate::logic::events::{SCHEMA_VERSION, timestamp};
use crate::logic::faces::training::Training;
use crate::logic::history;
use crate::logic::input::Input;
use crate::logic::kept_file::{self, KeptFile};
use crate::logic::problem::{Problem, quoted};
use crate::logic::topics::Topics;
use crate::logic::why::Question;

/// What is asked. A new request does not compile until it is answered.
enum Wish {
    Ping,
    Republish,
    Camera(Option<String>, Command),
    Appliance(Input),
}

impl Wish {
    /// Reads the verb and the fields of the body.
    fn parse(verb: &str, mut body: Map<String, Value>) -> Result<Self, Problem> {
        if let Some(verb) = verb.strip_prefix("faces/") {
            return Ok(Self::Appliance(Input::Training(Training::parse(verb, &body)?)));
        }
        if let Some(verb) = verb.strip_prefix("events/") {
            return Ok(Self::Appliance(Input::Events(history::Request::parse(verb, &body)?)));
        }
        if admin::VERBS.contains(&verb) {
            return Ok(Self::Appliance(Input::Admin(admin::Request::parse(verb, &body)?)));
        }
        let command = match verb {
            "notify/test" => return notify_test(&body),
            "why" => return Ok(Self::Appliance(Input::Why(Question::parse(&body)?))),
            "ping" | "discovery/republish" => None,
            "snapshot" => Some(Command::Snapshot),
            "motion/reset" => Some(Command::BackgroundReset),
            other => return Err(Problem::NotFound { what: format!("request {}", quoted(other)) }),
        };
        let camera = match body.remove("camera") {
            None | Some(Value::Null) => None,
            Some(Value::String(camera)) => Some(camera),
            Some(_) => {
                return Err(Problem::BadRequest { detail: format!("{verb} needs text in \"camera\"") });
            }
        };
        if let Some(odd) = body.keys().next() {
            let detail = format!("{verb} takes no \"{}\", only camera", quoted(odd));
            return Err(Problem::BadRequest { detail });
        }
        Ok(match command {
            Some(command) => Self::Camera(camera, command),
            None if verb == "ping" => Self::Ping,
            None => Self::Republish,
        })
    }
}

fn notify_test(body: &Map<String, Value>) -> Result<Wish, Problem> {
    Ok(Wish::Appliance(Input::TryNotify(history::target_to_try(body)?)))
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
                if let Some(field) = problem.field() {
                    body["error"]["field"] = json!(field);
                }
                if let Some(faults) = problem.faults() {
                    body["error"]["faults"] = faults;
                }
            }
        }
        // The session may have ended meanwhile.
        let _ = self.answers.send(Answered { topics: self.topics, correlation: self.correlation, body });
    }
}

pub(super) async fn receive(session: &mut Session<'_>, verb: &str, message: &Publish) {
    let (topics, correlation) = reply_to(&session.parts.topics, verb, message);
    // An empty body asks for nothing special.
    let body = if message.payload.is_empty() {
        Ok(Map::new())
    } else {
        serde_json::from_slice::<Map<String, Value>>(&message.payload)
    };
    let (body, transaction) = match body {
        Ok(mut body) => {
            let transaction = body.remove("transaction");
            (Ok(body), transaction)
        }
        Err(error) => (Err(error), None),
    };
    let asker = Asker { topics, correlation, transaction, answers: session.answers.clone() };
    let wish = body
        .map_err(|error| Problem::BadRequest {
            detail: format!("The body is not the expected JSON ({error})"),
        })
        .and_then(|body| Wish::parse(verb, body));
    match wish {
        Ok(wish) => carry_out(session, wish, asker),
        Err(problem) => asker.answer(Err(problem)),
    }
}

fn carry_out(session: &mut Session<'_>, wish: Wish, asker: Asker) {
    match wish {
        Wish::Ping => asker.answer(Ok(json!({ "pong": true }))),
        Wish::Republish => {
            session.republish();
            asker.answer(Ok(json!({})));
        }
        Wish::Camera(wanted, command) => {
            let camera = session.parts.state.borrow().camera_meant(wanted.as_deref());
            match camera {
                Ok(camera) => ask(session, Some(camera.clone()), Input::Command { camera, command }, asker),
                Err(problem) => asker.answer(Err(problem)),
            }
        }
        Wish::Appliance(input) => ask(session, None, input, asker),
    }
}

/// Asks the appliance; `camera` is the one whose event the answer may be.
fn ask(session: &Session<'_>, camera: Option<String>, input: Input, asker: Asker) {
    let topics = session.parts.topics.clone();
    // The reply runs where the work is done, so the asker is shared by both outcomes through a cell.
    let asker = std::sync::Arc::new(std::sync::Mutex::new(Some(asker)));
    let later = std::sync::Arc::clone(&asker);
    let take = |cell: &std::sync::Mutex<Option<Asker>>| {
        cell.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    };
    let reply = move |outcome: Result<Answer, Problem>| {
        let data = outcome.map(|answer| match answer {
            Answer::Done => json!({}),
            Answer::Data(data) => data,
            // Days as pictures are served over HTTP alone.
            Answer::Picture(_) => Value::Null,
            Answer::Event(id) => json!({
                "topic": camera.map(|camera| topics.event_image(&camera, &id)),
                "path": kept_file::url(&id, KeptFile::Picture),
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
