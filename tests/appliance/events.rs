//! Events that are kept: the same over MQTT and HTTP, with their pictures, after a restart too.

#![allow(clippy::unwrap_used, reason = "a test may stop where its own ground is missing")]

use std::time::Duration;

use doorward::camera::demo::scene::ROUND_SECONDS;
use doorward::jpeg;
use doorward::logic::checksum::sha256;
use serde_json::{Value, json};

use crate::kit::{Home, Receiver, free_port, status, t, until};
use crate::observer::{Observer, ask, done, tool};
use crate::story;

/// A round of the demo at twice its speed, and a slow machine.
const ROUND: Duration = Duration::from_secs(ROUND_SECONDS as u64 + 20);

#[test]
fn what_happened_at_the_door_is_found_again() {
    let port = free_port();
    let receiver = Receiver::start(port, &["200"]);
    let url = format!("notify.nas.url=http://127.0.0.1:{port}/hook");
    let telling = [
        "clips.format=h264",
        "clips.post_roll=1",
        "notify.nas.type=webhook",
        "notify.nas.events=known",
        &url,
    ];
    let home = Home::embedded(&[story::DEMO, &telling, &["mqtt.allow_requests=*"]].concat());
    let door = home.door();
    let observer = Observer::new(&door);
    story::is_announced(&observer);
    let (known, _) = observer.next_within(2 * ROUND, 0, "Barack", |m| {
        m.topic == t("porch/event/face") && m.json()["event_type"] == "known"
    });
    let told = known.json();
    let id = told["id"].as_str().unwrap();

    // One id: payload, picture topic, list, URL.
    let (picture, _) = observer.next(0, "its picture", |m| m.topic == t(&format!("porch/image/event/{id}")));
    let (code, served) = home.get(told["image"]["path"].as_str().unwrap());
    assert_eq!((code, served == picture.payload), (200, true), "the picture of the event, byte for byte");
    assert_eq!(told["image"]["sha256"], sha256(&served));
    let kept = home.get_json(&format!("/api/v1/events/{id}"));
    for key in [
        "id",
        "event_type",
        "camera",
        "sort",
        "ts",
        "title",
        "person",
        "name",
        "score",
        "rule",
        "face",
        "notify",
    ] {
        assert_eq!(kept[key], told[key], "{key}");
    }
    assert_eq!(kept["image"]["sha256"], told["image"]["sha256"]);
    assert!(kept["live"].is_null() && kept["age_ms"].is_null(), "what was true for a moment only: {kept}");

    // Somebody was told, with the same picture.
    let message = until("the message", || receiver.messages().into_iter().next());
    assert_eq!(
        (&message["json"]["id"], &message["json"]["title"], &message["picture_sha256"]),
        (&told["id"], &told["title"], &told["image"]["sha256"])
    );

    let motion = motion_is_completed(&home, &observer);
    has_a_film(&home, &motion);
    lists_agree(&home, &observer, &motion);
    pins_and_deletions(&home, &observer, &motion);

    // The day in one picture.
    let (code, strip) = home.get("/api/v1/cameras/porch/strip.jpg");
    assert_eq!(code, 200);
    let (width, height) = jpeg::check(&strip).unwrap();
    assert!(width >= 160 && height >= 90, "{width} x {height}");

    // After a restart the same is there, and an event of before can still be corrected.
    let home = home.restart();
    let (code, served) = home.get(told["image"]["path"].as_str().unwrap());
    assert_eq!((code, served == picture.payload), (200, true));
    let again = home.get_json(&format!("/api/events/{id}"));
    assert_eq!(again["title"], kept["title"]);
    let (door, body) = (home.door(), json!({ "event_id": id }));
    let observer = Observer::new(&door);
    story::is_announced(&observer);
    let mark = observer.mark();
    assert_eq!(done(&door, &observer, "faces/reject", body)["rejected"], 1);
    let (corrected, _) = observer.next(mark, "the correction", |m| {
        m.topic == t("porch/event/face") && m.json()["event_type"] == "corrected"
    });
    let marked = home.get_json(&format!("/api/events/{id}"));
    assert_eq!(marked["corrected_by"], corrected.json()["id"]);
    let unknown = ask(&door, &observer, "faces/reject", json!({ "event_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV" }));
    assert_eq!(unknown["error"]["code"], "not_found", "{unknown}");
}

/// The beginning of a motion gets its length and its best picture when it ends; its record.
fn motion_is_completed(home: &Home, observer: &Observer) -> Value {
    let is_motion = |kind: &'static str| {
        move |m: &crate::observer::Message| {
            m.topic == t("porch/event/motion") && m.json()["event_type"] == kind
        }
    };
    let (end, _) = observer.next_within(ROUND, 0, "the end of a motion", is_motion("end"));
    let end = end.json();
    let start = end["start_event"].as_str().unwrap().to_owned();
    assert!(end["image"].is_null(), "its picture belongs to the beginning: {end}");
    let record = until("the motion is completed", || {
        let record = home.get_json(&format!("/api/events/{start}"));
        record["best"].is_string().then_some(record)
    });
    assert!(record["lasted_s"].as_f64() > Some(0.5) && record["ended_at"].is_string(), "{record}");
    let picture = |key: &str| {
        let (code, jpeg) = home.get(record[key].as_str().unwrap());
        assert_eq!(code, 200, "{key}");
        (jpeg::check(&jpeg).unwrap(), jpeg)
    };
    let ((best_width, _), best) = picture("best");
    let ((width, _), small) = picture("thumbnail");
    assert!(width <= 320 && best_width >= 640 && small.len() * 3 < best.len(), "{width} {best_width}");
    let (_, told) = home.get(record["image"]["path"].as_str().unwrap());
    assert_eq!(record["image"]["sha256"], sha256(&told), "the picture that was told stays as it was");
    record
}

/// The film plays from anywhere: it comes in parts to those who ask for them.
fn has_a_film(home: &Home, motion: &Value) {
    let record = until("the film", || {
        let record = home.get_json(&format!("/api/events/{}", motion["id"].as_str().unwrap()));
        record["clip"].is_object().then_some(record)
    });
    let clip = &record["clip"];
    assert!(clip["codec"] == "h264" && clip["seconds"].as_f64() > Some(3.0), "{clip}");
    let path = clip["path"].as_str().unwrap();
    let (code, whole) = home.get(path);
    assert!(code == 200 && whole.len() as u64 == clip["bytes"].as_u64().unwrap() && &whole[4..8] == b"ftyp");
    let (head, part) = home.http(&format!("GET {path}"), "Range: bytes=4-11\r\n", "");
    assert!(head.to_lowercase().contains(&format!("content-range: bytes 4-11/{}", whole.len())), "{head}");
    assert_eq!((status(&head), &part[..]), (206, &whole[4..12]));
    let (head, _) = home.http(&format!("GET {path}"), "Range: bytes=999999999-\r\n", "");
    assert_eq!(status(&head), 416, "{head}");
    let (head, body) = home.http(&format!("HEAD {path}"), "", "");
    assert!(status(&head) == 200 && body.is_empty() && head.contains(&whole.len().to_string()), "{head}");
    let file = home.data.path().join("film.mp4");
    std::fs::write(&file, &whole).unwrap();
    let mut probe = tool("ffprobe");
    probe.args(["-v", "warning", "-show_entries", "stream=codec_name", "-of", "csv=p=0"]).arg(&file);
    let judged = probe.output().unwrap();
    assert_eq!((&judged.stdout[..], &judged.stderr[..]), (&b"h264\n"[..], &b""[..]));
}

fn lists_agree(home: &Home, observer: &Observer, motion: &Value) {
    let door = home.door();
    let ids = |list: &Value| -> Vec<String> {
        list["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["id"].as_str().unwrap().to_owned())
            .collect()
    };
    // What comes while it is looked at must not shift the two answers.
    let to = motion["ts"].as_str().unwrap();
    for (query, body) in [
        (format!("to={to}"), json!({ "to": to })),
        (format!("to={to}&type=motion&limit=1"), json!({ "to": to, "type": "motion", "limit": 1 })),
        (format!("to={to}&camera=porch&offset=1"), json!({ "to": to, "camera": "porch", "offset": 1 })),
        (format!("to={to}&type=start,system"), json!({ "to": to, "type": "start,system" })),
        (format!("to={to}&person=barack"), json!({ "to": to, "person": "barack" })),
        ("camera=shed".to_owned(), json!({ "camera": "shed" })),
    ] {
        let rest = home.get_json(&format!("/api/events?{query}"));
        let mqtt = done(&door, observer, "events/list", body);
        assert_eq!((&rest["total"], ids(&rest)), (&mqtt["total"], ids(&mqtt)), "{query}");
        assert_eq!(rest["events"], mqtt["events"], "{query}");
    }
    let all = home.get_json(&format!("/api/events?to={to}"));
    let times: Vec<&str> =
        all["events"].as_array().unwrap().iter().map(|event| event["ts"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "newest first: {times:?}");
    assert!(ids(&all).iter().any(|id| motion["id"] == **id));
    let refused = ask(&door, observer, "events/list", json!({ "limit": 0 }));
    assert!(refused["error"]["message"].as_str().unwrap().contains("1 to 500"), "{refused}");
}

fn pins_and_deletions(home: &Home, observer: &Observer, motion: &Value) {
    let door = home.door();
    let path = format!("/api/events/{}", motion["id"].as_str().unwrap());
    let (head, _) = home.http(&format!("PUT {path}/pinned"), "", "ON");
    assert_eq!(status(&head), 200);
    assert_eq!(home.get_json(&path)["pinned"], true);
    let body = json!({ "event_id": motion["id"], "pinned": false });
    done(&door, observer, "events/pin", body);
    assert_eq!(home.get_json(&path)["pinned"], false);
    let files = |home: &Home| {
        let day = home.data.path().join("events").join(&motion["ts"].as_str().unwrap()[..10]);
        let files =
            std::fs::read_dir(day).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        files.filter(|name| name.starts_with(motion["id"].as_str().unwrap())).count()
    };
    assert_eq!(files(home), 4, "picture, best picture, thumbnail, film");
    let (head, _) = home.http(&format!("DELETE {path}"), "", "");
    assert_eq!(status(&head), 200);
    assert_eq!((home.get(&path).0, home.get(&format!("{path}/snapshot.jpg")).0, files(home)), (404, 404, 0));
    let gone = ask(&door, observer, "events/delete", json!({ "event_id": motion["id"] }));
    assert_eq!(gone["error"]["code"], "not_found", "{gone}");
}

#[test]
fn people_are_left_in_peace_but_nothing_is_untrue() {
    let home = Home::embedded(&[story::DEMO, &["mqtt.allow_requests=safe, events/delete"]].concat());
    let door = home.door();
    let observer = Observer::new(&door);
    story::is_announced(&observer);
    let mark = observer.mark();
    door.publish(&t("porch/notifications/set"), b"OFF");
    let mark = observer.says(mark, &t("porch/notifications"), "OFF");
    let of = |kind: &'static str| {
        move |m: &crate::observer::Message| {
            m.topic == t("porch/event/motion") && m.json()["event_type"] == kind
        }
    };
    let (quiet, _) = observer.next_within(2 * ROUND, mark, "motion, not told", of("start"));
    assert_eq!((&quiet.json()["notify"], &quiet.json()["quiet"]), (&json!(false), &json!("notifications")));
    observer.says(0, &t("porch/motion"), "ON");
    let home = home.restart();
    assert!(!home.state().cameras["porch"].settings.notifications, "a switch stays over a restart");
    let door = home.door();
    let observer = Observer::new(&door);
    story::is_announced(&observer);
    let mark = observer.mark();
    door.publish(&t("porch/notifications/set"), b"ON");
    let mark = observer.says(mark, &t("porch/notifications"), "ON");
    let (first, mark) = observer.next_within(2 * ROUND, mark, "motion, told", of("start"));
    assert_eq!(first.json()["notify"], true, "{first}");
    let off = observer.says(mark, &t("porch/motion"), "OFF");
    let (second, _) = observer.next_within(2 * ROUND, off, "motion again", of("start"));
    let quiet = &second.json()["quiet"];
    assert!(quiet == "motion_cooldown" || quiet == "suppress_motion_after_known", "{second}");
    observer.says(off, &t("porch/motion"), "ON");
}
