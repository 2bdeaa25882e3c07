//! A healthy broker has no findings, and each fault that is put into it is found.

use std::collections::BTreeMap;

use super::*;
use crate::logic::discovery::Installation;
use crate::logic::publication;
use crate::logic::state::{CameraState, Person, State};

const NODE: &str = "0de0";

fn topics() -> Topics {
    Topics::new("doorward", "home", "homeassistant")
}

fn put(held: &mut Vec<Held>, topic: &str, payload: impl Into<Bytes>) {
    held.retain(|held| held.topic != topic);
    held.push(Held { topic: topic.into(), payload: payload.into() });
}

/// What the broker holds of one running appliance with a camera and a person.
fn healthy() -> Vec<Held> {
    let porch = CameraState { name: "Porch".into(), ..CameraState::default() };
    let anna = Person { name: "Anna".into(), uuid: "a".into() };
    let state = State {
        cameras: BTreeMap::from([("porch".into(), porch)]),
        people: BTreeMap::from([("anna".into(), anna)]),
        people_known: true,
        ..State::default()
    };
    let installation = Installation {
        node_uuid: NODE.into(),
        node_name: "House".into(),
        camera_uuids: BTreeMap::from([("porch".into(), "ca3e".into())]),
        version: "1.2.3".into(),
        hardware: String::new(),
        has_temperature: false,
        url: String::new(),
    };
    let topics = topics();
    let mut held = Vec::new();
    for document in installation.documents(&state, &topics) {
        put(&mut held, &topics.document(&document.object), document.body.to_string());
    }
    for message in publication::messages(&state, &topics) {
        if message.sort.is_retained() {
            put(&mut held, &message.topic, message.payload);
        }
    }
    put(&mut held, &topics.status(), "online");
    put(&mut held, &topics.info(), "{}");
    // Other people's things are none of our business.
    put(&mut held, "homeassistant/device/other/config", "not even JSON");
    put(&mut held, "zigbee2mqtt/lamp/set", "ON");
    held
}

fn look(held: &[Held]) -> Report {
    lint(held, &topics(), &crate::logic::discovery::node_object(NODE))
}

/// The only finding after `change`, as one text.
fn found(change: impl FnOnce(&mut Vec<Held>)) -> (Severity, String) {
    let mut held = healthy();
    change(&mut held);
    let report = look(&held);
    let [finding] = &report.findings[..] else { panic!("{:#?}", report.findings) };
    assert!(finding.advice.ends_with('.') && !finding.what.ends_with('.'), "{finding:?}");
    (finding.severity, format!("{}: {}. {}", finding.topic, finding.what, finding.advice))
}

fn change_document(held: &mut Vec<Held>, object: &str, change: impl FnOnce(&mut Value)) {
    let topic = topics().document(object);
    let old = held.iter().find(|held| held.topic == topic).unwrap();
    let mut document = serde_json::from_slice(&old.payload).unwrap();
    change(&mut document);
    put(held, &topic, document.to_string());
}

#[test]
fn a_healthy_broker_has_no_findings() {
    let report = look(&healthy());
    assert_eq!(report.findings, [], "{report:#?}");
    let names: Vec<&str> = report.devices.iter().map(|device| device.name.as_str()).collect();
    assert_eq!(names, ["House", "Porch"]);
    assert!(report.devices.iter().all(|device| device.bytes > 1000 && device.components > 5));
    let json = report.to_json();
    assert_eq!((json["devices"].as_array().unwrap().len(), &json["findings"]), (2, &json!([])));
}

#[test]
fn what_home_assistant_refuses_is_a_fault() {
    let camera = "doorward_0de0_ca3e";
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 4] = [
        (|document| document["message_expiry_interval"] = json!(5), "message_expiry_interval"),
        (|document| drop(document["dev"].as_object_mut().unwrap().remove("ids")), "identifiers"),
        (|document| document["cmps"]["motion"]["p"] = json!("date"), "\"date\""),
        (
            |document| drop(document["cmps"]["motion"].as_object_mut().unwrap().remove("unique_id")),
            "unique_id",
        ),
    ];
    for (change, part) in changes {
        let (severity, text) = found(|held| change_document(held, camera, change));
        assert!(severity == Severity::Fault && text.contains(part), "{part}: {text}");
    }
    let (severity, text) = found(|held| put(held, &topics().document(camera), "{"));
    assert!(severity == Severity::Fault && text.contains("damaged"), "{text}");
    // A component that says farewell is as it has to be.
    let mut held = healthy();
    change_document(&mut held, camera, |document| document["cmps"]["gone"] = json!({ "p": "sensor" }));
    assert_eq!(look(&held).findings, []);
}

#[test]
fn availability_has_to_be_said() {
    let status = topics().camera_status("porch");
    let (severity, text) = found(|held| held.retain(|held| held.topic != status));
    assert!(severity == Severity::Fault && text.contains("for ever"), "{text}");
    let (severity, text) = found(|held| put(held, &status, "offline"));
    assert!(severity == Severity::Warning && text.contains("offline"), "{text}");
}

#[test]
fn values_that_the_broker_lost_are_missed() {
    let (severity, text) = found(|held| held.retain(|held| held.topic != "doorward/home/porch/privacy"));
    assert!(severity == Severity::Warning && text.contains("privacy has no value"), "{text}");
}

#[test]
fn nothing_of_people_and_no_command_may_be_retained() {
    for topic in [
        "doorward/home/porch/person/anna",
        "doorward/home/porch/faces/present",
        "doorward/home/porch/event/face",
        "doorward/home/porch/image/live",
        "doorward/home/image/self_test",
        "doorward/old/porch/event/face",
    ] {
        let mut held = healthy();
        put(&mut held, topic, "x");
        let report = look(&held);
        let finding = report.findings.iter().find(|finding| finding.topic == topic).expect(topic);
        assert!(finding.severity == Severity::Fault && finding.advice.contains(topic), "{finding:?}");
    }
    for topic in [
        "doorward/home/porch/privacy/set",
        "doorward/home/porch/snapshot/press",
        "doorward/home/request/ping",
    ] {
        let (severity, text) = found(|held| put(held, topic, "ON"));
        assert!(severity == Severity::Fault && text.contains("command is retained"), "{text}");
    }
}

#[test]
fn two_appliances_on_the_same_topics_are_found() {
    let mut held = healthy();
    let own = held.iter().find(|held| held.topic == topics().document("doorward_0de0")).unwrap();
    let other =
        String::from_utf8(own.payload.to_vec()).unwrap().replace("0de0", "07e4").replace("House", "Barn");
    put(&mut held, &topics().document("doorward_07e4"), other);
    let report = look(&held);
    let [finding] = &report.findings[..] else { panic!("{:#?}", report.findings) };
    assert!(finding.what.contains("doorward_07e4, doorward_0de0"), "{finding:?}");
    assert!(finding.advice.contains("This one is doorward_0de0"), "{finding:?}");
}

#[test]
fn devices_of_the_same_name_and_things_left_behind_are_told() {
    let (severity, text) = found(|held| {
        change_document(held, "doorward_0de0_ca3e", |camera| camera["dev"]["name"] = json!("House"))
    });
    assert!(severity == Severity::Warning && text.contains("2 devices are called"), "{text}");
    let (severity, text) = found(|held| put(held, "doorward/old/porch/fps", "15"));
    assert!(severity == Severity::Warning && text.contains("node old"), "{text}");
    let (severity, text) = found(|held| put(held, "doorward/home/porch/state", "x".repeat(256)));
    assert!(severity == Severity::Warning && text.contains("255"), "{text}");
}

#[test]
fn an_appliance_that_is_not_announced_is_told() {
    let report = look(&[]);
    let [finding] = &report.findings[..] else { panic!("{report:?}") };
    assert!(finding.what.contains("not announced"), "{finding:?}");
}

#[test]
fn what_belongs_to_one_node_is_known_documents_first() {
    let mut held = healthy();
    put(&mut held, "doorward/homer/status", "online");
    put(&mut held, &topics().document("doorward_07e4"), "{}");
    let ours = of_node(&held, &topics(), "doorward_0de0");
    assert_eq!(ours.iter().take_while(|topic| topic.starts_with("homeassistant/")).count(), 2);
    assert!(ours[2..].iter().all(|topic| topic.starts_with("doorward/home/")), "{ours:?}");
    assert!(
        ours.contains(&"doorward/home/porch/privacy".into())
            && !ours.iter().any(|topic| topic.contains("07e4"))
    );
}

/// Rules of a broker may show each node only its own topics, but all documents.
#[test]
fn a_neighbour_whose_topics_are_hidden_is_not_judged() {
    let mut held = healthy();
    held.retain(|held| !held.topic.starts_with("doorward/home/"));
    let neighbour = Topics::new("doorward", "barn", "homeassistant");
    put(&mut held, &neighbour.status(), "online");
    let own = held.iter().find(|held| held.topic == neighbour.document("doorward_0de0")).unwrap();
    let barn = String::from_utf8(own.payload.to_vec()).unwrap();
    let barn = barn.replace("0de0", "ba42").replace("/home/", "/barn/").replace("House", "Barn");
    put(&mut held, &neighbour.document("doorward_ba42"), barn);
    assert_eq!(lint(&held, &neighbour, "doorward_ba42").findings, []);
}
