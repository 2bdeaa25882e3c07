//! Messages to people: kept until they arrive, over restarts too, and given up with an event.

#![allow(clippy::unwrap_used, reason = "a test may stop where its own ground is missing")]

use serde_json::json;

use crate::kit::{Home, Receiver, free_port, t, until};
use crate::observer::{Observer, ask, done};

#[test]
fn messages_wait_for_their_server_and_are_given_up_aloud() {
    let (port, other) = (free_port(), free_port());
    let _refuses = Receiver::start(other, &["404"]);
    let url = |name: &str, port| format!("notify.{name}.url=http://127.0.0.1:{port}/hook?key=geheim");
    let sets = [
        "cameras.porch.source=demo",
        "cameras.porch.privacy=true",
        "notify.nas.type=webhook",
        // The start of the appliance is for automations, unless somebody asks for it.
        "notify.nas.events=system",
        "notify.nas.quiet_too=true",
        "notify.refuses.type=webhook",
        "notify.refuses.events=security",
        &url("nas", port),
        &url("refuses", other),
    ];
    let home = Home::embedded(&sets);
    let failed = home.command(&["notify", "test", "nas"]);
    let words = String::from_utf8_lossy(&failed.stdout).into_owned();
    assert!(!failed.status.success() && words.starts_with("nas: failed. "), "{failed:?}");
    assert!(!words.contains("geheim") && !words.contains("key="), "{words}");
    let unknown = home.command(&["notify", "test", "attic"]);
    let words = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && words.contains("only nas, refuses"), "{words}");

    // Two starts, nobody to hear of them; then the server comes.
    let starts = |home: &Home, wanted: usize| {
        until("the start is kept", || {
            let kept = home.get_json("/api/events?type=started");
            (kept["total"] == wanted).then_some(kept)
        })
    };
    starts(&home, 1);
    let home = home.restart();
    let receiver = Receiver::start(port, &["500", "200"]);
    let kept = starts(&home, 2);
    let ids: Vec<_> =
        kept["events"].as_array().unwrap().iter().rev().map(|event| event["id"].clone()).collect();
    let taken = until("both messages", || {
        let taken = receiver.messages();
        (taken.len() >= 3).then_some(taken)
    });
    let of: Vec<_> = taken.iter().map(|message| message["json"]["id"].clone()).collect();
    assert_eq!(of, [ids[0].clone(), ids[0].clone(), ids[1].clone()], "in order, again after a refusal");
    let arrived = home.command(&["notify", "test", "nas"]);
    assert!(arrived.status.success(), "{arrived:?}");

    // An attack is told to a target that refuses: the message is given up, and that is told.
    let door = home.door();
    let observer = Observer::new(&door);
    let tried = done(&door, &observer, "notify/test", json!({ "target": "refuses" }));
    assert_eq!(
        (&tried["targets"][0]["target"], &tried["targets"][0]["ok"]),
        (&json!("refuses"), &json!(false))
    );
    let odd = ask(&door, &observer, "notify/test", json!({ "name": "refuses" }));
    assert!(odd["error"]["message"].as_str().unwrap().contains("only target"), "{odd}");
    let mark = observer.mark();
    for attempt in 0..12 {
        crate::kit::http_get(home.facts.http, "/api/state", &format!("wrong{attempt}"));
    }
    let (attack, _) = observer.next(mark, "the attack", |m| m.topic == t("event/security"));
    let attack = attack.json();
    assert_eq!(
        (&attack["event_type"], &attack["address"]),
        (&json!("too_many_attempts"), &json!("127.0.0.1"))
    );
    assert!(attack["notify"] == true && attack["camera"].is_null() && attack["image"].is_null(), "{attack}");
    let (given_up, _) = observer.next(mark, "that it was given up", |m| {
        m.topic == t("event/system") && m.json()["event_type"] == "notify_failed"
    });
    let words = given_up.json()["title"].as_str().unwrap().to_owned();
    assert!(words.contains("refuses") && words.contains("404") && !words.contains("geheim"), "{words}");
    let attacks = observer.since(mark).iter().filter(|m| m.topic == t("event/security")).count();
    assert_eq!(attacks, 1, "one event, not one an attempt");

    // Nothing waits any more.
    drop(observer);
    let home = home.restart();
    let again = until("the third start is told", || {
        let taken = receiver.messages();
        let kept = home.get_json("/api/events?type=started&limit=1");
        let last = &kept["events"][0]["id"];
        let is_told = kept["total"] == 3 && taken.iter().any(|message| message["json"]["id"] == *last);
        is_told.then_some(taken)
    });
    let first = again.iter().filter(|message| message["json"]["id"] == ids[0]).count();
    assert_eq!(first, 2, "what has arrived is not told again");
}
