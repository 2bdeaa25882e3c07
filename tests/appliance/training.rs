//! Teaching faces to a running appliance, as its users do: over MQTT, over HTTP and from the command line.

#![allow(clippy::unwrap_used, reason = "a test may stop where its own ground is missing")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use doorward::camera::demo::scene::ROUND_SECONDS;
use serde_json::{Value, json};

use crate::kit::{Home, http_get, t, until};
use crate::observer::{Door, Message, Observer, ask, done};
use crate::story;

/// A round of the demo at twice its speed, and a slow machine.
const ROUND: Duration = Duration::from_secs(ROUND_SECONDS as u64 + 20);

fn photo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/faces").join(name)
}

fn image(name: &str) -> Value {
    json!(STANDARD.encode(std::fs::read(photo(name)).unwrap()))
}

fn event(message: &Message, kind: &str) -> bool {
    message.topic == t("porch/event/face") && message.json()["event_type"] == kind
}

/// Whether the newest document of the camera has somebody's entity.
fn has_entity(observer: &Observer, slug: &str, has: bool) {
    observer.wait(&format!("{slug} announced: {has}"), |seen| {
        let (_, camera) = story::documents(seen)?;
        let component = &camera.json()["cmps"][format!("person_{slug}")];
        // On its way out an entity is announced once more, with nothing but its platform.
        (if has { component["unique_id"].is_string() } else { component.is_null() }).then_some(())
    });
}

#[test]
fn a_stranger_gets_a_name_and_a_person_is_forgotten() {
    let home = Home::embedded(&[story::DEMO, &["mqtt.allow_requests=*"]].concat());
    let door = home.door();
    let observer = Observer::new(&door);
    story::is_announced(&observer);
    let list = done(&door, &observer, "faces/list", json!({}));
    assert_eq!((&list["people"][0]["person"], &list["people"][0]["photos"]), (&json!("barack"), &json!(2)));
    assert_eq!(observer.last(&t("self_test")).as_deref(), list["self_test"].as_str());

    // The stranger of the demo, who walks by in every round.
    let (unknown, mark) =
        observer.next_within(2 * ROUND, 0, "the stranger", |message| event(message, "unknown"));
    let body = unknown.json();
    let face = &body["face"];
    assert!(face["norm"].as_f64() > Some(7.0) && face["score"].as_f64() > Some(0.6) && face["roll"].is_i64());
    assert!(body["group"].is_u64() && body["seen_before"] == false, "{body}");
    let id = body["id"].as_str().unwrap();

    // One word gives the whole group its name; the entity is there at once and says OFF.
    let taught = done(&door, &observer, "faces/assign", json!({ "event_id": id, "person": "Grace" }));
    assert_eq!((&taught["person"], &taught["name"]), (&json!("grace"), &json!("Grace")));
    has_entity(&observer, "grace", true);
    observer.says(mark, &t("porch/person/grace"), "OFF");
    let (corrected, _) = observer.next(mark, "the correction", |message| event(message, "corrected"));
    let body = corrected.json();
    assert_eq!(
        (&body["corrects_event"], &body["person"], &body["notify"]),
        (&json!(id), &json!("grace"), &json!(false))
    );

    // In the next round the stranger has a name.
    let known = |m: &Message| event(m, "known") && m.json()["person"] == "grace";
    let (known, after) = observer.next_within(2 * ROUND, mark, "the stranger is known now", known);
    let strangers = observer.since(mark).iter().filter(|message| event(message, "unknown")).count();
    assert_eq!(strangers, 0, "nobody unknown came since");
    observer.says(mark, &t("porch/person/grace"), "ON");

    // The quiet policy: the first time is told, and Barack's second round is not.
    assert_eq!(known.json()["notify"], true);
    let barack = |m: &Message| event(m, "known") && m.json()["person"] == "barack";
    let (again, _) = observer.next_within(2 * ROUND, after, "Barack once more", barack);
    assert_eq!((&again.json()["notify"], &again.json()["quiet"]), (&json!(false), &json!("known_quiet")));
    let why = done(&door, &observer, "why", json!({ "camera": "porch" }));
    let reasons: Vec<&str> =
        why["decisions"].as_array().unwrap().iter().filter_map(|entry| entry["reason"].as_str()).collect();
    assert!(reasons.contains(&"known_quiet") && reasons.contains(&"light_change"), "{why}");

    // Rejected: the presence ends at once, and the look is kept as one that is not Grace.
    let mark = observer.mark();
    let rejected = done(&door, &observer, "faces/reject", json!({ "event_id": known.json()["id"] }));
    assert_eq!(rejected["rejected"], 1);
    observer.next(mark, "the correction", |m| event(m, "corrected") && m.json()["was"] == "grace");

    // Forgotten: no entity, no file, no event, and nothing retained that names her.
    let mark = observer.mark();
    done(&door, &observer, "faces/forget", json!({ "person": "grace" }));
    has_entity(&observer, "grace", false);
    assert!(!home.facts.faces.join("Grace").exists());
    let kept = door.retained();
    let trace = kept.iter().find(|message| message.text().to_lowercase().contains("grace"));
    assert_eq!(trace.map(|message| &message.topic), None);
    let (_, events) = home.get("/api/events?limit=500");
    assert!(!String::from_utf8_lossy(&events).contains("grace"));
    let said = observer.since(mark);
    let blank = said.iter().find(|m| m.topic == t("porch/image/face"));
    assert!(blank.is_some(), "the last face was hers and is replaced");
    let identity = std::fs::read_to_string(home.data.path().join("identity.json")).unwrap();
    assert!(!identity.contains("grace"), "{identity}");
}

#[test]
fn every_way_to_teach_answers_alike() {
    let calm =
        ["cameras.porch.source=demo:seed=1,speed=0.25", "cameras.porch.fps=5", "mqtt.allow_requests=*"];
    let home = Home::embedded(&calm);
    let door = home.door();
    let observer = Observer::new(&door);
    story::is_announced(&observer);
    over_mqtt(&door, &observer);
    over_http(&home);
    from_the_command_line(&home);
    observer.wait("the likeness table", |seen| {
        let picture = seen.iter().rev().find(|m| m.topic == t("image/self_test"))?;
        (!picture.retained && picture.text().contains("Eileen")).then_some(())
    });
    let kept = door.retained();
    let names = |message: &&Message| {
        // Entities of people have to carry their names: Home Assistant would show none otherwise.
        !message.topic.ends_with("/config") && message.text().contains("Eileen")
    };
    assert_eq!(kept.iter().find(names).map(|message| &message.topic), None);
}

fn over_mqtt(door: &Door, observer: &Observer) {
    let two = [("Eileen", "single/collins.jpg"), ("Joe", "single/biden.jpg")].map(|(name, file)| {
        let body = json!({ "name": name, "image_b64": image(file), "transaction": name });
        door.publish(&t("request/faces/enrol"), body.to_string().as_bytes());
        name
    });
    // Two at once: both are carried out.
    for name in two {
        observer.next(0, name, |m| {
            m.topic == t("response/faces/enrol")
                && m.json()["transaction"] == name
                && m.json()["status"] == "ok"
        });
        has_entity(observer, &name.to_lowercase(), true);
        observer.says(0, &t(&format!("porch/person/{}", name.to_lowercase())), "OFF");
    }
    for (verb, body, code) in [
        ("faces/enrol", json!({ "name": "X" }), "bad_request"),
        ("faces/enrol", json!({ "name": "X", "image_b64": "AAAA" }), "unreadable"),
        ("faces/enrol", json!({ "name": "../x", "image_b64": image("single/hopper.jpg") }), "bad_name"),
        ("faces/enrol", json!({ "name": "Ann", "image_b64": image("single/biden.jpg") }), "looks_like"),
        ("faces/enrol", json!({ "name": "Ann", "image_b64": image("nonface/chelsea.png") }), "no_face"),
        ("faces/assign", json!({ "event_id": "01J", "person": "X" }), "not_found"),
        ("faces/assign", json!({ "group": 77, "person": "X" }), "not_found"),
        ("faces/reject", json!({ "event_id": "01J" }), "not_found"),
        ("faces/forget", json!({ "person": "Nobody" }), "not_found"),
        ("faces/erase", json!({}), "not_found"),
        ("faces/test", json!({ "capture": true, "camera": "attic" }), "not_found"),
        ("why", json!({ "camera": "attic" }), "not_found"),
        ("why", json!({ "from": "yesterday" }), "bad_request"),
    ] {
        let answer = ask(door, observer, verb, body.clone());
        assert_eq!(answer["error"]["code"], code, "{verb}: {answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|text| text.len() > 15), "{answer}");
    }
    let test = done(door, observer, "faces/test", json!({ "image_b64": image("single/biden.jpg") }));
    assert_eq!(
        (&test["faces"][0]["decision"], &test["faces"][0]["best"]["person"]),
        (&json!("known"), &json!("joe"))
    );
}

fn over_http(home: &Home) {
    let token = home.facts.token.expose();
    let curl = |path: &str, data: &[&str]| {
        let url = format!("http://{}{path}", home.facts.http);
        let mut command = crate::observer::tool("curl");
        command.args(["-sS", "-w", "\n%{http_code}", "-H", &format!("Authorization: Bearer {token}")]);
        let output = command.args(data).arg(url).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.to_owned(), serde_json::from_str::<Value>(body).unwrap_or(Value::Null))
    };
    let file = format!("@{}", photo("known/ardern/2.jpg").display());
    let (status, body) = curl("/api/faces/enrol?name=Jacinda", &["--data-binary", &file]);
    assert_eq!((status.as_str(), &body["person"]), ("200", &json!("jacinda")), "{body}");
    let (status, body) = curl("/api/faces/enrol?name=Jacinda", &["--data-binary", &file]);
    assert_eq!((status.as_str(), &body["code"]), ("422", &json!("copy")), "{body}");
    let (status, body) = curl("/api/faces", &[]);
    assert_eq!((status.as_str(), body["people"].as_array().map(Vec::len)), ("200", Some(4)), "{body}");
    let (status, body) = curl("/api/faces/forget", &["-d", r#"{"person":"jacinda"}"#]);
    assert_eq!((status.as_str(), &body["name"]), ("200", &json!("Jacinda")), "{body}");
    for (path, data, wanted) in [
        ("/api/faces/enrol", "nonsense", "400"),
        ("/api/faces/forget", "[1]", "400"),
        ("/api/faces/forget", "{}", "400"),
        ("/api/faces/erase", "{}", "404"),
    ] {
        let (status, body) = curl(path, &["-d", data]);
        assert_eq!(status, wanted, "{path} {data}: {body}");
    }
    let (status, _) = curl("/api/faces/list", &[]);
    assert_eq!(status, "405");
    let (status, svg) = home.get("/api/faces/self_test.svg");
    assert!(status == 200 && svg.starts_with(b"<svg") && String::from_utf8_lossy(&svg).contains("Eileen"));
    assert_eq!(http_get(home.facts.http, "/api/faces", "wrong").0, 401);
}

fn from_the_command_line(home: &Home) {
    let json = |output: &Output| serde_json::from_slice::<Value>(&output.stdout).unwrap_or(Value::Null);
    let (good, bad) = (photo("single/hopper.jpg"), photo("nonface/coffee.png"));
    let output = home.command(&["faces", "enrol", "Grace", good.to_str().unwrap(), bad.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && text.contains("1/2") && text.contains("enrolled"), "{output:?}");
    assert!(
        text.contains("no_face") && String::from_utf8_lossy(&output.stderr).contains("1 of 2"),
        "{output:?}"
    );
    let listed = json(&home.command(&["faces", "list"]));
    assert!(
        listed["people"].as_array().unwrap().iter().any(|person| person["person"] == "grace"),
        "{listed}"
    );
    let file = home.data.path().join("table.svg");
    let tested = json(&home.command(&["faces", "test", "--picture", file.to_str().unwrap()]));
    assert!(tested["people"].is_array() && file.exists(), "{tested}");
    let tested = json(&home.command(&["faces", "test", good.to_str().unwrap()]));
    assert_eq!(tested["faces"][0]["best"]["person"], "grace");
    assert!(json(&home.command(&["why", "--camera", "porch"]))["decisions"].is_array());
    assert!(home.command(&["faces", "forget", "--person", "Grace"]).status.success());
    let gone = home.command(&["faces", "forget", "--person", "Grace"]);
    assert!(
        !gone.status.success() && String::from_utf8_lossy(&gone.stderr).contains("There is no person Grace")
    );
    until("no entity of Grace", || (!home.state().people.contains_key("grace")).then_some(()));
    let nowhere = Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(["--data-dir", "/nonexistent", "faces", "list"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("no appliance has ever run"), "{nowhere:?}");
}
