//! What every broker must see of an appliance: its documents, what it keeps, and one round of the demo scene.
//!
//! The demo tells nobody what is to be seen, so everything here was found by real vision.

use std::time::{Duration, Instant};

use doorward::camera::demo::scene::ROUND_SECONDS;
use doorward::jpeg;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::kit::{BASE, Home, t};
use crate::observer::{Door, Message, Observer};

/// Twice as fast as life, and the person of the demo is told quickly.
const SPEED: f64 = 2.0;
pub(crate) const DEMO: &[&str] = &[
    "cameras.porch.source=demo:seed=1,speed=2",
    "cameras.porch.fps=10",
    "cameras.porch.motion.hold=1",
    "faces.unknown_grace=1",
    "faces.cadence=8",
];
/// Two rounds and a slow machine.
const ROUNDS: Duration = Duration::from_secs((2.0 * ROUND_SECONDS / SPEED) as u64 + 20);

/// State topics of a camera that the broker keeps, whatever the table of entities says.
const KEPT: [&str; 17] = [
    "status",
    "state",
    "state/attributes",
    "motion",
    "motion/attributes",
    "motion_detection",
    "face_recognition",
    "privacy",
    "notifications",
    "mqtt_pictures",
    "overlay",
    "motion_threshold",
    "motion_min_area",
    "face_threshold",
    "fps",
    "measured_fps",
    "viewers",
];

fn is_document(message: &Message) -> bool {
    message.topic.starts_with("homeassistant/device/doorward_") && !message.payload.is_empty()
}

/// Documents of node and camera, in that order of arrival.
pub(crate) fn documents(messages: &[Message]) -> Option<(Message, Message)> {
    let of = |model: &str| {
        let newest = messages.iter().rev().filter(|message| is_document(message));
        newest.into_iter().find(|message| message.json()["dev"]["mdl"] == model).cloned()
    };
    Some((of("Doorward")?, of("Camera")?))
}

/// The appliance is announced, with its people, and says that it is well.
pub(crate) fn is_announced(observer: &Observer) {
    let (node, camera) = observer.wait("both documents, with the enrolled person", |seen| {
        documents(seen).filter(|(_, camera)| camera.json()["cmps"]["person_barack"].is_object())
    });
    assert_eq!(camera.json()["dev"]["via_device"], node.json()["dev"]["ids"][0]);
    for topic in ["status", "porch/status"] {
        observer.says(0, &t(topic), "online");
    }
    observer.says(0, &t("porch/state"), "running");
    for (id, component) in camera.json()["cmps"].as_object().expect("components") {
        let Some(topic) = component.get("state_topic").and_then(Value::as_str) else { continue };
        let speaks_later = topic.contains("/event/") || ["latency_ms", "last_face_at"].contains(&id.as_str());
        if !speaks_later {
            observer.wait(&format!("a state of {id}"), |seen| {
                seen.iter().any(|m| m.topic == topic).then_some(())
            });
        }
    }
}

/// Availability, and the camera's too, came before the first document.
pub(crate) fn availability_came_first(observer: &Observer) {
    let seen = observer.all();
    let first = |is: &dyn Fn(&Message) -> bool| seen.iter().position(is).expect("it was seen");
    let document = first(&|message| is_document(message));
    assert!(first(&|message| message.topic == t("status") && message.text() == "online") < document);
    assert!(first(&|message| message.topic == t("porch/status")) < document);
}

/// What the broker keeps names nobody; `present` says whether somebody is known to be in view.
pub(crate) fn keeps_no_identity(door: &Door, when: &str) {
    let kept = door.retained();
    let topics: Vec<&str> = kept.iter().map(|message| message.topic.as_str()).collect();
    for topic in
        KEPT.map(|rest| t(&format!("porch/{rest}"))).iter().chain(&[t("status"), t("info"), t("health")])
    {
        assert!(topics.contains(&topic.as_str()), "{when}: {topic} is not kept; kept are {topics:?}");
    }
    for message in kept.iter().filter(|message| message.topic.starts_with(BASE)) {
        let rest = message.topic.strip_prefix(BASE).unwrap_or_default();
        for never in
            ["/person/", "/faces/", "/event/", "/image/", "/log", "/response/", "/request/", "/set", "/press"]
        {
            assert!(!rest.contains(never), "{when}: the broker keeps {message}");
        }
        assert!(!message.text().to_lowercase().contains("barack"), "{when}: the broker keeps {message}");
    }
}

fn is_event(message: &Message, sort: &str, event_type: &str) -> bool {
    message.topic == t(&format!("porch/event/{sort}")) && message.json()["event_type"] == event_type
}

/// One round: the known person, the stranger, the light. Returns where it ended.
pub(crate) fn a_round(home: &Home, door: &Door, observer: &Observer) -> usize {
    let round = |mark, what: &str, sort: &'static str, kind: &'static str| {
        observer.next_within(ROUNDS, mark, what, |message| is_event(message, sort, kind))
    };
    let (start, mark) = round(0, "motion begins", "motion", "start");
    has_its_picture(home, observer, &start, "image/motion");
    observer.says(0, &t("porch/motion"), "ON");

    let (known, after_known) = round(mark, "the known person", "face", "known");
    let body = known.json();
    assert_eq!((&body["person"], &body["name"]), (&"barack".into(), &"Barack".into()), "{body}");
    assert!(body["score"].as_f64() > Some(0.4) && body["frames"].as_u64() >= Some(2), "{body}");
    assert!(body["live"] == true && body["title"] == "Barack is at Porch", "{body}");
    let name_ms = body["latency"]["capture_to_name_ms"].as_u64().expect("the time to the name");
    assert!(name_ms <= body["age_ms"].as_u64().unwrap_or(0) && name_ms < 10_000, "{body}");
    has_its_picture(home, observer, &known, "image/face");
    comes_after_its_presence(observer, &known, "person/barack");
    observer.says(0, &t("porch/faces/present"), "Barack");
    keeps_no_identity(door, "while somebody is in view");

    let (unknown, after_unknown) = round(after_known, "the stranger", "face", "unknown");
    let body = unknown.json();
    assert!(body.get("person").is_none() && body.get("name").is_none(), "a stranger has no name: {body}");
    has_its_picture(home, observer, &unknown, "image/face");
    comes_after_its_presence(observer, &unknown, "person/unknown");

    let (dark, _) = round(after_unknown, "the light goes off", "motion", "suppressed");
    assert_eq!(dark.json()["reason"], "light_change", "{}", dark.json());
    // Off for 5 s of the scene, then on, then nobody for a while.
    let calm = Duration::from_secs_f64(9.0 / SPEED);
    let until = dark.at + calm;
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
    let starts: Vec<Value> = observer
        .all()
        .iter()
        .filter(|m| is_event(m, "motion", "start"))
        .filter(|m| m.at > dark.at && m.at < until)
        .map(Message::json)
        .collect();
    assert!(starts.is_empty(), "the light is no motion: {starts:?}");

    let last = observer.says(after_known, &t("porch/person/barack"), "OFF");
    let last = last.max(observer.says(after_unknown, &t("porch/person/unknown"), "OFF"));
    observer.says(after_unknown, &t("porch/faces/present"), "nobody");
    assert_eq!(observer.last(&t("porch/motion")).as_deref(), Some("OFF"));
    nobody_was_mistaken(&observer.all());
    last
}

/// The stranger was never named, and the person never called unknown.
fn nobody_was_mistaken(seen: &[Message]) {
    let faces: Vec<Value> =
        seen.iter().filter(|m| m.topic == t("porch/event/face")).map(Message::json).collect();
    let told: Vec<&str> = faces.iter().filter_map(|event| event["event_type"].as_str()).collect();
    let first_unknown = told.iter().position(|kind| *kind == "unknown").expect("the stranger was told");
    let knowns: Vec<usize> = (0..told.len()).filter(|at| told[*at] == "known").collect();
    assert!(!knowns.is_empty() && knowns.iter().all(|at| *at < first_unknown), "{told:?}");
    for event in &faces {
        assert!(event.get("person").is_none_or(|person| person == "barack"), "a wrong name: {event}");
    }
}

/// The picture of an event came before it, under its id, is the one that was promised, and is served too.
fn has_its_picture(home: &Home, observer: &Observer, event: &Message, last: &str) {
    let body = event.json();
    let id = body["id"].as_str().expect("an id");
    let topic = t(&format!("porch/image/event/{id}"));
    assert_eq!(body["image"]["topic"], topic, "{body}");
    let seen = observer.all();
    let place = |topic: &str| seen.iter().position(|message| message.topic == topic);
    let at = place(&topic).unwrap_or_else(|| panic!("there is no picture on {topic}"));
    let event_at = seen.iter().position(|m| m.topic == event.topic && m.payload == event.payload);
    assert!(Some(at) < event_at, "the picture of {body} came after it");
    let picture = &seen[at].payload;
    let sum: String = Sha256::digest(picture).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(body["image"]["sha256"], sum);
    assert_eq!(jpeg::decode_rgb(picture).map(|rgb| (rgb.width, rgb.height)).ok(), Some((1280, 720)));
    let same = |m: &Message| m.topic == t(&format!("porch/{last}")) && m.payload == *picture;
    assert!(seen[..event_at.unwrap_or(0)].iter().any(same), "{last} shows another picture");
    let (status, served) = home.get(body["image"]["path"].as_str().expect("a path"));
    assert!(status == 200 && served == *picture, "the page serves another picture: {status}");
}

/// Picture, then presence, then the event: whoever acts on the event finds the other two.
fn comes_after_its_presence(observer: &Observer, event: &Message, person: &str) {
    let seen = observer.all();
    let id = event.json()["id"].as_str().expect("an id").to_owned();
    let event_at = seen.iter().position(|m| m.topic == event.topic && m.payload == event.payload);
    let on = seen.iter().position(|m| m.topic == t(&format!("porch/{person}")) && m.text() == "ON");
    let picture = seen.iter().position(|m| m.topic == t(&format!("porch/image/event/{id}")));
    assert!(picture.is_some() && on.is_some(), "{person} was never ON");
    assert!(picture < on && on < event_at, "picture {picture:?}, {person} {on:?}, event {event_at:?}");
    let before = seen[..on.unwrap_or(0)].iter().rev().find(|m| m.topic == t(&format!("porch/{person}")));
    // A witness that came late may have missed the first word.
    assert!(before.is_none_or(|message| message.text() == "OFF"), "presence begins with OFF");
}
