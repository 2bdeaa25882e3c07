//! What the topics say, as a function of the state: the table rendered into messages.
//!
//! Not here: sending only what changed, and events; see [`crate::mqtt`].

use serde_json::{Value, json};

use super::entities::{CAMERA, NODE, on_off};
use super::events::{SCHEMA_VERSION, timestamp};
use super::faces::decision::round;
use super::state::{CameraState, NodeState, State};
use super::topics::Topics;

/// One message that holds until the next on its topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Full topic.
    pub topic: String,
    /// Text or JSON.
    pub payload: String,
    /// How it is kept.
    pub sort: Sort,
}

/// How a message is kept and repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Retained: state that names nobody.
    State,
    /// Retained, but sent at most once a second: details that change with every frame.
    Details,
    /// Names people: never retained, repeated so that it does not expire.
    Presence,
    /// A picture that names people: never retained, sent again to a Home Assistant that starts.
    Picture,
}

impl Sort {
    /// Whether the broker shall keep it.
    #[must_use]
    pub fn is_retained(self) -> bool {
        match self {
            Self::State | Self::Details => true,
            Self::Presence | Self::Picture => false,
        }
    }
}

/// Every state message of the appliance; availability of the cameras first.
#[must_use]
pub fn messages(state: &State, topics: &Topics) -> Vec<Message> {
    let mut messages = Vec::new();
    for (id, camera) in &state.cameras {
        let online = if camera.status.is_online() { "online" } else { "offline" };
        messages.push(Message { topic: topics.camera_status(id), payload: online.into(), sort: Sort::State });
        messages.extend(camera_messages(id, camera, state, topics));
    }
    messages.extend(NODE.iter().filter_map(|entity| {
        let payload = entity.state(state)?;
        Some(Message { topic: topics.node_entity(entity.key), payload, sort: Sort::State })
    }));
    // Before the photographs were looked at nobody knows.
    if state.people_known {
        messages.extend(self_test_messages(state, topics));
    }
    messages
}

/// The word and the figures are kept and name nobody; the table of the household does, and is not.
fn self_test_messages(state: &State, topics: &Topics) -> [Message; 3] {
    let test = &state.self_test;
    let details = json!({
        "v": SCHEMA_VERSION,
        "people": test.people.len(),
        "photos": test.n_photos(),
        "worst_genuine": test.worst_genuine().map(|likeness| round(likeness, 3)),
        "best_impostor": test.best_impostor().map(|likeness| round(likeness, 3)),
        "alike_pairs": test.alike.len(),
        "threshold": round(test.threshold, 3),
    });
    [
        Message {
            topic: topics.node_entity("self_test"),
            payload: test.standing().word().into(),
            sort: Sort::State,
        },
        Message {
            topic: topics.node_attributes("self_test"),
            payload: details.to_string(),
            sort: Sort::Details,
        },
        Message {
            topic: topics.node_entity("image/self_test"),
            payload: state.self_test_picture.to_string(),
            sort: Sort::Picture,
        },
    ]
}

fn camera_messages(id: &str, camera: &CameraState, state: &State, topics: &Topics) -> Vec<Message> {
    let mut messages: Vec<Message> = CAMERA
        .iter()
        .filter_map(|entity| {
            let sort = if entity.names_people() { Sort::Presence } else { Sort::State };
            Some(Message { topic: topics.entity(id, entity.key), payload: entity.state(camera)?, sort })
        })
        .collect();
    messages.extend(state.people.keys().map(|slug| Message {
        topic: topics.person(id, slug),
        payload: on_off(camera.present.contains_key(slug)).into(),
        sort: Sort::Presence,
    }));
    for (key, details) in [("motion", motion_details(camera)), ("state", state_details(camera))] {
        messages.push(Message {
            topic: topics.attributes(id, key),
            payload: details.to_string(),
            sort: Sort::Details,
        });
    }
    messages
}

fn motion_details(camera: &CameraState) -> Value {
    let motion = &camera.motion_detail;
    json!({
        "v": SCHEMA_VERSION,
        "area_pct": motion.area_pct,
        "boxes": motion.box_list(),
        "reason": motion.reason,
        "inhibited_until": camera.inhibited.as_ref().map(|inhibited| timestamp(inhibited.until)),
        "inhibit_reason": camera.inhibited.as_ref().map(|inhibited| &inhibited.reason),
    })
}

fn state_details(camera: &CameraState) -> Value {
    let problem = camera.status.problem();
    json!({
        "v": SCHEMA_VERSION,
        "since": timestamp(camera.since),
        "reason": problem.map(|problem| problem.code()),
        "advice": problem.map(|problem| problem.advice()),
        "width": camera.opened.as_ref().map(|opened| opened.width),
        "height": camera.opened.as_ref().map(|opened| opened.height),
        "format": camera.opened.as_ref().map(|opened| &opened.format),
    })
}

/// The last words about people: nobody is in view. What is not retained stays in Home Assistant as it was said last, and a
/// restart would look like an arrival.
#[must_use]
pub fn farewell(state: &State, topics: &Topics) -> Vec<Message> {
    let mut empty = state.clone();
    empty.cameras.values_mut().for_each(CameraState::end_all_presence);
    let mut messages = messages(&empty, topics);
    messages.retain(|message| message.sort == Sort::Presence);
    messages
}

/// The payload of the node's `health` topic.
#[must_use]
pub fn health(node: &NodeState, at: jiff::Timestamp, reconnects: u64, dropped: u64) -> Value {
    json!({
        "v": SCHEMA_VERSION,
        "ts": timestamp(at),
        "uptime_s": node.uptime_s,
        "rss_mb": node.rss_mb,
        "cpu_pct": node.cpu_pct,
        "disk_written_kb": node.disk_written_kb,
        "mqtt": { "reconnects": reconnects, "dropped": dropped },
    })
}
