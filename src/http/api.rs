//! The JSON answers of the front.
//!
//! Not here: who may ask ([`super::access`]), pictures ([`super::picture`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::reply::{self, Reply};
use super::{Shared, describe};
use crate::logic::command::{Answer, Command};
use crate::logic::entities::camera_entity;
use crate::logic::input::Input;
use crate::logic::kept_file::{self, KeptFile};
use crate::logic::problem::{Problem, quoted};
use crate::logic::request::{self, Wanted};
use crate::logic::state::{CameraState, State, Status};

/// The appliance answers in microseconds; longer means that it is stuck.
const PATIENCE: Duration = Duration::from_secs(5);
/// Some requests look at photographs, write backups or wait for others' servers.
const REQUEST_PATIENCE: Duration = Duration::from_secs(60);
/// A running camera that has not delivered for so long is stuck: slower than any rate that can be set.
const STALE: Duration = Duration::from_secs(10);

impl Shared {
    /// The present state.
    pub(super) fn now(&self) -> Arc<State> {
        Arc::clone(&self.state.borrow())
    }
}

/// The camera of that id.
///
/// # Errors
/// When there is none.
pub(super) fn camera<'a>(state: &'a State, id: &str) -> Result<&'a CameraState, Problem> {
    state.cameras.get(id).ok_or_else(|| Problem::NotFound { what: format!("camera {}", quoted(id)) })
}

/// `GET /healthz`: for supervisors. Says nothing about people or settings. A broker that is away is told but is no fault of ours:
/// a restart would not bring it back and would end every stream.
pub(super) fn health(shared: &Shared) -> Reply {
    let state = shared.now();
    let mut faults = Vec::new();
    for (id, camera) in &state.cameras {
        if camera.status == Status::Running && is_stale(shared, id) {
            faults.push(format!("camera {id} has delivered no picture for {} s", STALE.as_secs()));
        }
    }
    if faults.is_empty() {
        let words = if state.node.mqtt_connected { "ok\n" } else { "ok, but the broker is not connected\n" };
        return reply::body(StatusCode::OK, "text/plain; charset=utf-8", words);
    }
    let words = faults.join("\n") + "\n";
    reply::body(StatusCode::SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", words)
}

fn is_stale(shared: &Shared, camera: &str) -> bool {
    let latest = shared.hubs.get(camera).and_then(|hub| hub.latest());
    latest.is_none_or(|frame| frame.captured_at.elapsed() > STALE)
}

/// `GET /api/state`
pub(super) fn state(shared: &Shared) -> Reply {
    reply::json(StatusCode::OK, &describe::state(shared, &shared.now(), Instant::now()))
}

/// `GET /api/cameras/<cam>/entities/<key>`
pub(super) fn read_entity(shared: &Shared, id: &str, key: &str) -> Result<Reply, Problem> {
    let state = shared.now();
    let camera = camera(&state, id)?;
    Ok(reply::json(StatusCode::OK, &describe::entity(camera_entity(key)?, camera)))
}

/// `PUT /api/cameras/<cam>/entities/<key>`: answers the value that resulted.
pub(super) async fn write_entity(
    shared: &Shared,
    id: &str,
    key: &str,
    body: &[u8],
) -> Result<Reply, Problem> {
    camera(&shared.now(), id)?;
    let entity = camera_entity(key)?;
    let command = entity.command(&Wanted::parse(body)?.value)?;
    let input = Input::Command { camera: id.into(), command };
    let answer = ask(shared, input, PATIENCE).await?;
    let state = shared.now();
    let mut outcome = json!({ "key": key, "value": entity.state(camera(&state, id)?) });
    match answer {
        Answer::Done | Answer::Data(_) | Answer::Picture(_) => {}
        Answer::Event { id, .. } => outcome["event"] = json!(id),
    }
    Ok(reply::json(StatusCode::OK, &outcome))
}

/// `POST /api/cameras/<cam>/snapshot`
pub(super) async fn take_snapshot(shared: &Shared, id: &str) -> Result<Reply, Problem> {
    camera(&shared.now(), id)?;
    let input = Input::Command { camera: id.into(), command: Command::Snapshot };
    match ask(shared, input, PATIENCE).await? {
        Answer::Event { id, .. } => {
            let path = kept_file::url(&id, KeptFile::Picture);
            Ok(reply::json(StatusCode::ACCEPTED, &json!({ "event": id, "path": path })))
        }
        Answer::Done | Answer::Data(_) | Answer::Picture(_) => Err(Problem::Busy),
    }
}

/// A request in words: what MQTT takes on `request/<verb>`. `fields` come from path or query; those of the body do not replace them.
pub(super) async fn request(
    shared: &Shared,
    verb: &str,
    fields: Map<String, Value>,
    body: &[u8],
) -> Result<Reply, Problem> {
    let mut all = request::fields(body)?;
    // Whoever copies a request of MQTT has one; here each answer finds its asker by itself.
    all.remove("transaction");
    all.extend(fields);
    let input = request::read(verb, &all, &shared.now())?;
    let data = request::data(ask(shared, input, REQUEST_PATIENCE).await?, &shared.topics);
    Ok(reply::json(StatusCode::OK, &data))
}

/// `GET /api/about`
pub(super) fn about(shared: &Shared) -> Reply {
    let fingerprint = shared.certificate.facts().fingerprint;
    let about =
        json!({ "version": shared.version, "node": shared.topics.node(), "fingerprint": fingerprint });
    reply::json(StatusCode::OK, &about)
}

/// Hands something to the appliance and waits for the answer.
pub(super) async fn ask(shared: &Shared, input: Input, patience: Duration) -> Result<Answer, Problem> {
    let (reply, answer) = oneshot::channel();
    let tell = Box::new(move |outcome| {
        // The asker may have gone.
        let _ = reply.send(outcome);
    });
    shared.inbox.send(input, Some(tell))?;
    match tokio::time::timeout(patience, answer).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) | Err(_) => Err(Problem::Busy),
    }
}
