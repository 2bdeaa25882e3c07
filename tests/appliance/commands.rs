//! Everything that can be sent to an appliance: good values, bad values on every topic, presses and requests.

use std::process::Output;
use std::time::Duration;

use doorward::jpeg;
use serde_json::Value;

use crate::kit::{Home, t};
use crate::observer::{Door, Message, Observer};
use crate::story;

/// A small picture in which nothing happens for half a minute.
const CALM: &[&str] = &[
    "cameras.porch.source=demo:seed=1,speed=0.25",
    "cameras.porch.width=320",
    "cameras.porch.height=240",
    "cameras.porch.fps=5",
];
const SWITCHES: [(&str, &str); 6] = [
    ("motion_detection", "ON"),
    ("face_recognition", "ON"),
    ("notifications", "ON"),
    ("mqtt_pictures", "ON"),
    ("overlay", "OFF"),
    ("privacy", "OFF"),
];
/// Key, smallest, largest, another value; the last is what it is left at.
const NUMBERS: [(&str, [&str; 3]); 4] = [
    ("motion_threshold", ["1", "255", "31"]),
    ("motion_min_area", ["1", "10000000", "2500"]),
    ("face_threshold", ["0.3", "0.9", "0.52"]),
    ("fps", ["1", "60", "7"]),
];

#[test]
fn everything_that_can_be_sent() {
    let home = Home::embedded(CALM);
    let door = home.door();
    let observer = Observer::new(&door);
    observer.says(0, &t("porch/state"), "running");
    observer.wait("both documents", story::documents);
    good_values_become_states(&door, &observer);
    bad_values_are_refused(&door, &observer);
    wrong_places_are_refused(&door, &observer);
    buttons_work(&door, &observer);
    requests_are_answered(&door, &observer);
    bad_requests_are_refused(&door, &observer);
    values_survive_a_restart(home, &door, &observer);
}

fn set(door: &Door, key: &str, value: &[u8]) {
    door.publish(&t(&format!("porch/{key}/set")), value);
}

fn good_values_become_states(door: &Door, observer: &Observer) {
    for (key, first) in SWITCHES {
        let topic = t(&format!("porch/{key}"));
        assert_eq!(observer.last(&topic).as_deref(), Some(first));
        let other = if first == "ON" { "OFF" } else { "ON" };
        for value in [other, first] {
            let mark = observer.mark();
            set(door, key, value.as_bytes());
            observer.says(mark, &topic, value);
        }
    }
    observer.says(observer.mark() - 1, &t("porch/state"), "running");
    for (key, values) in NUMBERS {
        for value in values {
            let mark = observer.mark();
            set(door, key, format!(" {value}\n").as_bytes());
            observer.says(mark, &t(&format!("porch/{key}")), value);
        }
    }
}

/// Sends `payload` and expects a word on `log` and every state as it was.
fn is_refused(door: &Door, observer: &Observer, topic: &str, payload: &[u8]) -> Message {
    let mark = observer.mark();
    door.publish(topic, payload);
    let what =
        format!("a refusal of {:?} on {topic}", String::from_utf8_lossy(&payload[..payload.len().min(40)]));
    let (message, _) = observer.next_within(Duration::from_secs(10), mark, &what, Message::is_remark);
    let body = message.json();
    assert!(body["v"] == 1 && body["level"] == "warn" && body["ts"].is_string(), "{body}");
    let text = body["message"].as_str().unwrap_or_default();
    let key = topic.rsplit('/').nth(1).unwrap_or_default();
    assert!(text.contains(key) && text.len() < 500, "{text}");
    message
}

fn bad_values_are_refused(door: &Door, observer: &Observer) {
    let long = vec![b'1'; 2048];
    let common: [&[u8]; 10] =
        [b"", b"maybe", b"NaN", b"{\"v\":1}", b"null", b"\xff\xfe\x00", &long, b"1 2", b"0x10", b"\0"];
    let no_numbers: [&[u8]; 7] = [b"-1", b"0", b"1e9", b"inf", b"-inf", b"1,5", b"ON"];
    let no_words: [&[u8]; 4] = [b"on", b"TRUE", b"1", b"PRESS"];
    for (key, kept) in SWITCHES.into_iter().chain(NUMBERS.map(|(key, values)| (key, values[2]))) {
        let topic = t(&format!("porch/{key}"));
        let mark = observer.mark();
        let own: &[&[u8]] =
            if SWITCHES.iter().any(|switch| switch.0 == key) { &no_words } else { &no_numbers };
        for payload in common.iter().chain(own) {
            is_refused(door, observer, &format!("{topic}/set"), payload);
        }
        // Whoever believed the value hears the true one again.
        observer.says(mark, &topic, kept);
        let changed: Vec<String> = observer
            .since(mark)
            .iter()
            .filter(|m| m.topic == topic && m.text() != kept)
            .map(Message::to_string)
            .collect();
        assert!(changed.is_empty(), "{changed:?}");
    }
}

fn wrong_places_are_refused(door: &Door, observer: &Observer) {
    let mark = observer.mark();
    for topic in [
        "porch/motion/set",
        "porch/state/set",
        "porch/viewers/set",
        "porch/snapshot/set",
        "porch/privacy/press",
        "porch/motion/press",
        "porch/nothing/set",
        "porch/nothing/press",
        "nobody/fps/set",
        "nobody/snapshot/press",
    ] {
        let payload = if topic.ends_with("press") { "PRESS" } else { "5" };
        is_refused(door, observer, &t(topic), payload.as_bytes());
    }
    for payload in [&b""[..], b"press", b"ON", b"\xff", &[b'x'; 5000]] {
        is_refused(door, observer, &t("porch/snapshot/press"), payload);
        is_refused(door, observer, &t("porch/background_reset/press"), payload);
    }
    door.publish_with(&["-r"], &t("porch/privacy/set"), b"ON");
    observer
        .next(mark, "a retained command is refused", |m| m.topic == t("log") && m.text().contains("retain"));
    let cleared = observer.mark();
    door.publish_with(&["-r"], &t("porch/privacy/set"), b"");
    set(door, "fps", b"8");
    observer.says(cleared, &t("porch/fps"), "8");
    set(door, "fps", b"7");
    observer.says(cleared, &t("porch/fps"), "7");
    let complaints = observer.since(cleared).into_iter().filter(Message::is_remark).count();
    assert_eq!(complaints, 0, "clearing a retained command is the cure");
    let seen = observer.since(mark);
    assert!(!seen.iter().any(|m| m.topic == t("porch/privacy") && m.text() == "ON"));
    assert!(!seen.iter().any(|m| m.topic.contains("/image/event/")), "a refused press took a picture");
}

fn buttons_work(door: &Door, observer: &Observer) {
    let mark = observer.mark();
    door.publish(&t("porch/snapshot/press"), b"PRESS");
    let (picture, _) = observer.next(mark, "a snapshot", |m| m.topic.starts_with(&t("porch/image/event/")));
    assert_eq!(jpeg::decode_rgb(&picture.payload).map(|rgb| (rgb.width, rgb.height)).ok(), Some((320, 240)));
    observer.next(mark, "the same on image/live", |m| {
        m.topic == t("porch/image/live") && m.payload == picture.payload
    });
    door.publish(&t("porch/background_reset/press"), b"PRESS");
    // Answered after it, on the same connection.
    set(door, "privacy", b"ON");
    let mark = observer.says(mark, &t("porch/privacy"), "ON");
    assert!(!observer.all()[mark - 1..].iter().any(Message::is_remark));
    // There is no picture to take: the one who presses hears why.
    let refusal = is_refused(door, observer, &t("porch/snapshot/press"), b"PRESS");
    assert!(refusal.text().to_lowercase().contains("privacy"), "{refusal}");
    set(door, "privacy", b"OFF");
    observer.says(mark, &t("porch/state"), "running");
}

fn ask(door: &Door, verb: &str, body: &str, more: &[&str]) -> (Output, String) {
    let mut command = door.client("mosquitto_rr");
    let topic = t(&format!("request/{verb}"));
    command
        .args(["-V", "5", "-q", "1", "-t", &topic, "-e", "scripts/me", "-W", "10", "-F", "%D %p"])
        .args(more);
    let output = command.args(["-m", body]).output().expect("mosquitto_rr runs");
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output, text)
}

fn requests_are_answered(door: &Door, observer: &Observer) {
    let (output, text) =
        ask(door, "ping", r#"{"transaction":7}"#, &["-D", "publish", "correlation-data", "c-1"]);
    let (correlation, body) = text.split_once(' ').unwrap_or_else(|| panic!("{text:?} {output:?}"));
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(correlation, "c-1");
    assert!(body["v"] == 1 && body["status"] == "ok" && body["transaction"] == 7, "{body}");
    assert_eq!(body["data"]["pong"], true);

    let mark = observer.mark();
    let (_, text) = ask(door, "snapshot", r#"{"camera":"porch"}"#, &[]);
    let body: Value =
        serde_json::from_str(text.trim_start_matches(' ')).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(body["status"], "ok", "{body}");
    let (topic, id) =
        (body["data"]["topic"].as_str().expect("a topic"), body["data"]["id"].as_str().expect("an id"));
    assert_eq!(topic, t(&format!("porch/image/event/{id}")));
    let (_, picture) = observer.next(mark, "the picture", |m| m.topic == topic);
    let (_, answer) = observer.next(mark, "the shared answer", |m| m.topic == t("response/snapshot"));
    assert!(picture < answer, "the picture comes first");

    for (verb, body) in [
        ("motion/reset", r#"{"camera":"porch","transaction":"a"}"#),
        ("motion/reset", "{}"),
        ("ping", ""),
        ("discovery/republish", "{}"),
    ] {
        let mark = observer.mark();
        door.publish_with(&["-V", "311"], &t(&format!("request/{verb}")), body.as_bytes());
        let (answer, _) = observer.next(mark, verb, |m| m.topic == t(&format!("response/{verb}")));
        let answer = answer.json();
        assert_eq!(answer["status"], "ok", "{answer}");
        assert_eq!(answer.get("transaction").is_some(), body.contains("transaction"), "{answer}");
    }
    observer.wait("the documents again", |seen| story::documents(&seen[mark..]));
}

fn bad_requests_are_refused(door: &Door, observer: &Observer) {
    let long = format!("{{\"camera\":\"{}\"}}", "x".repeat(5000));
    for (verb, body, code) in [
        ("no/such/verb", "{}", "not_found"),
        ("snapshot", "{", "bad_request"),
        ("snapshot", "[]", "bad_request"),
        ("snapshot", r#"{"camera":5}"#, "bad_request"),
        ("snapshot", r#"{"cam":"porch"}"#, "bad_request"),
        ("snapshot", r#"{"camera":"nobody"}"#, "not_found"),
        ("motion/reset", &long, "not_found"),
    ] {
        let mark = observer.mark();
        door.publish(&t(&format!("request/{verb}")), body.as_bytes());
        let (answer, _) = observer.next(mark, verb, |m| m.topic == t(&format!("response/{verb}")));
        let answer = answer.json();
        assert!(answer["status"] == "error" && answer["error"]["code"] == code, "{answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|text| text.len() < 400), "{answer}");
    }
    let mark = observer.mark();
    door.publish(&t("request/snapshot"), b"\xff\xfe");
    observer.next(mark, "bytes that are no text", |m| {
        m.topic == t("response/snapshot") && m.json()["status"] == "error"
    });
    // Nobody can make the appliance command itself or others for him.
    for bounce in ["porch/privacy/set", "request/snapshot", "status"]
        .map(t)
        .iter()
        .chain(&["homeassistant/status".to_owned()])
    {
        let mark = observer.mark();
        let property = ["-V", "5", "-D", "publish", "response-topic", bounce];
        door.publish_with(&property, &t("request/ping"), b"{}");
        observer.next(mark, "the shared answer", |m| m.topic == t("response/ping"));
        let sent: Vec<String> =
            observer.since(mark).iter().filter(|m| m.topic == *bounce).map(Message::to_string).collect();
        assert!(sent.is_empty(), "{sent:?}");
    }
}

fn values_survive_a_restart(home: Home, door: &Door, before: &Observer) {
    let (node, camera) = story::documents(&before.all()).expect("both documents");
    for (key, value) in [("privacy", "ON"), ("mqtt_pictures", "OFF")] {
        let mark = before.mark();
        set(door, key, value.as_bytes());
        before.says(mark, &t(&format!("porch/{key}")), value);
    }
    let home = home.restart();
    assert!(!home.facts.first_run);
    let door = home.door();
    let observer = Observer::new(&door);
    for (key, value) in
        [("privacy", "ON"), ("mqtt_pictures", "OFF"), ("motion_detection", "ON"), ("face_recognition", "ON")]
            .into_iter()
            .chain(NUMBERS.map(|(key, values)| (key, values[2])))
    {
        observer.says(0, &t(&format!("porch/{key}")), value);
        let said: Vec<Message> =
            observer.all().into_iter().filter(|m| m.topic == t(&format!("porch/{key}"))).collect();
        assert!(said.iter().all(|m| m.text() == value), "{key} was something else for a moment");
    }
    observer.says(0, &t("porch/state"), "privacy");
    let (node_now, camera_now) = observer.wait("both documents", story::documents);
    assert_eq!((node.topic, camera.topic), (node_now.topic, camera_now.topic), "devices keep their ids");
}
