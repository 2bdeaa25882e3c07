//! Requests and values with an answer: acknowledgements, transactions, what is allowed and how often, motion that is held back.
//!
//! Not here: what each request does; that stands with its subject.

use serde_json::{Value, json};

use crate::kit::{BASE, Home, t, until};
use crate::observer::{Door, Message, Observer, ask, done, run_with_input};
use crate::story;

#[test]
fn whoever_asks_hears_what_came_of_it() {
    let home = Home::embedded(&["cameras.porch.source=demo", "cameras.porch.privacy=true"]);
    let door = home.door();
    let observer = Observer::new(&door);
    observer.says(0, &t("porch/state"), "privacy");
    values_are_acknowledged(&door, &observer);
    a_transaction_is_carried_out_once(&door, &observer);
    what_is_drastic_needs_permission(&home, &door, &observer);
    too_much_at_once_is_refused(&door, &observer);
}

/// The acknowledgement of a value.
fn acknowledged(door: &Door, observer: &Observer, key: &str, body: &Value) -> Value {
    let mark = observer.mark();
    door.publish(&t(&format!("porch/{key}/set")), body.to_string().as_bytes());
    observer.next(mark, &format!("{key}/ack"), |m| m.topic == t(&format!("porch/{key}/ack"))).0.json()
}

fn values_are_acknowledged(door: &Door, observer: &Observer) {
    let ok = acknowledged(door, observer, "fps", &json!({ "value": 12, "transaction": "a1" }));
    assert_eq!(
        (&ok["status"], &ok["transaction"], &ok["data"]["value"]),
        (&json!("ok"), &json!("a1"), &json!("12"))
    );
    assert!(ok["v"] == 1 && ok["ts"].is_string(), "{ok}");
    assert_eq!(
        observer.last(&t("porch/fps")).as_deref(),
        Some("12"),
        "the state is there before the word of it"
    );
    // Without a transaction it is told all the same, and each time anew.
    for value in ["OFF", "ON"] {
        let ok = acknowledged(door, observer, "motion_detection", &json!({ "value": value }));
        assert_eq!((&ok["data"]["value"], ok.get("transaction")), (&json!(value), None), "{ok}");
    }
    for (key, body, code) in [
        ("fps", json!({ "value": 61, "transaction": "a2" }), "out_of_range"),
        ("fps", json!({ "value": 1, "extra": 2 }), "bad_request"),
        ("viewers", json!({ "value": 1 }), "read_only"),
        ("nothing", json!({ "value": 1 }), "not_found"),
    ] {
        let refused = acknowledged(door, observer, key, &body);
        assert_eq!(
            (&refused["status"], &refused["error"]["code"]),
            (&json!("error"), &json!(code)),
            "{refused}"
        );
        assert!(refused["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{refused}");
    }
    assert_eq!(observer.last(&t("porch/fps")).as_deref(), Some("12"));
    let mark = observer.mark();
    // With MQTT 5 a plain value is answered where the sender wants it.
    let mut command = door.client("mosquitto_rr");
    command.args([
        "-V",
        "5",
        "-q",
        "1",
        "-t",
        &t("porch/fps/set"),
        "-e",
        "scripts/me",
        "-W",
        "10",
        "-m",
        "14",
    ]);
    let output = command.output().expect("mosquitto_rr runs");
    let answer: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(answer["data"]["value"], "14");
    let is_shared = |m: &Message| m.topic == t("porch/fps/ack") && m.json()["data"]["value"] == "14";
    observer.next(mark, "the answer for everybody", is_shared);
    // A plain value without that is not: its state says it all.
    let mark = observer.mark();
    door.publish(&t("porch/fps/set"), b"15");
    observer.says(mark, &t("porch/fps"), "15");
    done(door, observer, "ping", json!({}));
    let acks = observer.since(mark).into_iter().filter(|m| m.topic.ends_with("/ack")).count();
    assert_eq!(acks, 0);
}

/// The same message again, as a broker may deliver it: one effect, and the first answer each time.
fn a_transaction_is_carried_out_once(door: &Door, observer: &Observer) {
    let mark = observer.mark();
    let body = json!({ "seconds": 60, "transaction": "twice" }).to_string();
    for _ in 0..3 {
        door.publish(&t("request/motion/inhibit"), body.as_bytes());
    }
    let all = observer.wait("three answers", |seen| {
        let answers = seen[mark..].iter().filter(|m| m.topic == t("response/motion/inhibit"));
        let answers: Vec<Message> = answers.cloned().collect();
        (answers.len() == 3).then_some(answers)
    });
    // Carried out again it would end at another millisecond.
    assert!(all.iter().all(|answer| answer.payload == all[0].payload), "{} and {}", all[0], all[2]);
    // Another body with the same word is another request.
    let other = ask(door, observer, "motion/inhibit", json!({ "seconds": 0 }));
    assert_eq!(other["data"]["until"], Value::Null);
}

fn what_is_drastic_needs_permission(home: &Home, door: &Door, observer: &Observer) {
    for verb in [
        "faces/forget",
        "events/delete",
        "discovery/clear",
        "restart",
        "backup",
        "config/set",
        "config/reload",
    ] {
        let answer = ask(door, observer, verb, json!({}));
        assert_eq!(answer["error"]["code"], "not_allowed", "{answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("mqtt.allow_requests")));
    }
    // The token opens everything.
    let (head, body) = home.http("POST /api/requests/faces/forget", "", r#"{"person":"nobody"}"#);
    let body = String::from_utf8_lossy(&body).into_owned();
    assert!(head.starts_with("HTTP/1.1 404") && body.contains("not_found"), "{head} {body}");
    let (head, body) = home.http("POST /api/requests/ping", "", "");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(serde_json::from_slice::<Value>(&body).expect("JSON"), json!({ "pong": true }));
    let (head, body) = home.http("POST /api/requests/motion/inhibit", "", r#"{"seconds":-1}"#);
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert!(head.starts_with("HTTP/1.1 400") && body["code"] == "bad_request", "{head} {body}");
}

fn too_much_at_once_is_refused(door: &Door, observer: &Observer) {
    let mark = observer.mark();
    // One client with many lines: far more a second than anybody is answered.
    let mut command = door.client("mosquitto_pub");
    command.args(["-q", "1", "-t", &t("request/why"), "-l"]);
    let output = run_with_input(command, "{}\n".repeat(200).as_bytes());
    assert!(output.status.success());
    let answers = observer.wait("an answer to each", |seen| {
        let answers: Vec<Value> =
            seen[mark..].iter().filter(|m| m.topic == t("response/why")).map(Message::json).collect();
        (answers.len() == 200).then_some(answers)
    });
    let refused: Vec<&Value> =
        answers.iter().filter(|answer| answer["error"]["code"] == "too_often").collect();
    assert!(refused.len() >= 50 && refused.len() < 160, "{} of 200", refused.len());
    // Other verbs go on, and so does this one a moment later.
    done(door, observer, "ping", json!({}));
    let again = || ask(door, observer, "why", json!({}))["status"] == "ok";
    until("it is answered again", || again().then_some(()));
}

#[test]
fn rain_is_no_motion_while_somebody_says_so() {
    let home = Home::embedded(story::DEMO);
    let door = home.door();
    let observer = Observer::new(&door);
    observer.says(0, &t("porch/state"), "running");
    let until =
        done(&door, &observer, "motion/inhibit", json!({ "seconds": 600, "reason": "rain" }))["until"]
            .clone();
    let mark = observer.mark();
    let details = observer.wait("the attributes", |seen| {
        let newest = seen.iter().rev().find(|m| m.topic == t("porch/motion/attributes"))?.json();
        newest["inhibited_until"].is_string().then_some(newest)
    });
    assert_eq!((&details["inhibited_until"], &details["inhibit_reason"]), (&until, &json!("rain")));
    let (suppressed, _) = observer.next(mark, "motion that is held back", |m| {
        m.topic == t("porch/event/motion") && m.json()["reason"] == "inhibited"
    });
    assert_eq!(suppressed.json()["event_type"], "suppressed");
    let why = done(&door, &observer, "why", json!({}));
    assert!(
        why["decisions"].as_array().is_some_and(|all| all.iter().any(|why| why["reason"] == "inhibited")),
        "{why}"
    );
    done(&door, &observer, "motion/inhibit", json!({ "seconds": 0 }));
    let mark = observer.mark();
    observer.says(mark, &t("porch/motion"), "ON");
    let started =
        observer.since(0).into_iter().filter(|m| m.topic == t("porch/motion") && m.text() == "ON").count();
    assert_eq!(started, 1, "nothing moved while it was held back");
}

#[test]
fn paho_gets_its_answer_too() {
    let home = Home::embedded(&["cameras.porch.source=demo", "cameras.porch.privacy=true"]);
    let door = home.door();
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py/mqtt_request.py");
    let python = std::env::var("DOORWARD_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut command = std::process::Command::new(python);
    command.arg(script).args([&door.port.to_string(), &door.user, &door.password, BASE]);
    let output = command.output().expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
