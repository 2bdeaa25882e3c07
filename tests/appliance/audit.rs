//! The audit log of a whole appliance: over MQTT and on the command line, over a restart; the flag that opens the lists; the doctor's word
//! about open doors.
//!
//! Not here: the lists and the log over HTTP (`tests/addresses.rs`), and its file (`src/audit/tests.rs`).

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use serde_json::{Value, json};

use crate::kit::{Home, free_port, http, status, t, until};
use crate::observer::{Observer, ask, done};
use crate::process::{Running, doorward, folder, sets};

const OFF: [&str; 2] = ["cameras.porch.source=demo", "cameras.porch.privacy=true"];

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

fn listed(home: &Home, arguments: &[&str]) -> Vec<Value> {
    let output = home.command(&[&["audit", "list"], arguments].concat());
    assert!(output.status.success(), "{}", text(&output));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    answer["entries"].as_array().expect("a list").clone()
}

fn words(entries: &[Value]) -> Vec<String> {
    let word = |entry: &Value, key: &str| entry[key].as_str().expect("text").to_owned();
    entries.iter().map(|entry| format!("{} {}", word(entry, "user"), word(entry, "text"))).collect()
}

#[test]
fn what_is_done_over_mqtt_is_noted_and_kept() {
    let sets = [&OFF[..], &["mqtt.allow_requests=safe, audit/list, faces/forget"]].concat();
    let home = Home::embedded(&sets);
    let door = home.door();
    let observer = Observer::new(&door);
    observer.says(0, &t("porch/state"), "privacy");
    let mark = observer.mark();
    door.publish(&t("porch/fps/set"), b"12");
    observer.says(mark, &t("porch/fps"), "12");
    for (verb, body, code) in [
        ("faces/forget", json!({ "person": "nobody" }), "not_found"),
        ("motion/inhibit", json!({ "seconds": 0 }), ""),
        ("audit/clear", json!({}), "not_allowed"),
        ("restart", json!({}), "not_allowed"),
        ("ping", json!({}), ""),
        ("events/list", json!({}), ""),
    ] {
        let answer = ask(&door, &observer, verb, body);
        assert_eq!(answer["error"]["code"].as_str().unwrap_or_default(), code, "{verb}: {answer}");
    }
    let answer = done(&door, &observer, "audit/list", json!({ "user": "mqtt" }));
    let entries = answer["entries"].as_array().expect("a list").clone();
    let expected = [
        "mqtt request/restart: not_allowed",
        "mqtt request/audit/clear: not_allowed",
        "mqtt request/motion/inhibit: done",
        "mqtt set porch/fps: done",
    ];
    assert_eq!((words(&entries).as_slice(), &answer["total"]), (&expected.map(String::from)[..], &json!(4)));
    assert_eq!((&entries[0]["type"], &entries[0]["level"]), (&json!("refused"), &json!("warning")));
    // The commands of the program show the same, with their own filters, and each refusal names its field.
    let mine = listed(&home, &["--type", "change", "--user", "mqtt", "--limit", "1", "--offset", "1"]);
    assert_eq!(words(&mine), ["mqtt request/motion/inhibit: done"], "after audit/list itself");
    assert_eq!(listed(&home, &["--alert", "true"]), Vec::<Value>::new());
    for (arguments, part) in [
        (["--level", "loud"], "info, warning or alert"),
        (["--type", "x"], "sign_in, user, token"),
        (["--limit", "501"], "from 1 to 500"),
        (["--from", "yesterday"], "a time such as"),
        (["--address", "home"], "an IP address"),
    ] {
        let output = home.command(&[&["audit", "list"][..], &arguments].concat());
        assert!(output.status.code() == Some(1) && text(&output).contains(part), "{}", text(&output));
    }
    let file = home.data.path().join("audit.sqlite3");
    assert_eq!(file.metadata().expect("the log").permissions().mode() & 0o777, 0o600);

    let home = home.restart();
    let kept = listed(&home, &[]);
    assert!(words(&kept).contains(&expected[3].to_owned()), "it outlives a restart");
    let cleared = home.command(&["audit", "clear"]);
    let removed: Value = serde_json::from_slice(&cleared.stdout).expect("JSON");
    assert_eq!(removed, json!({ "removed": kept.len() }), "{}", text(&cleared));
    let left = listed(&home, &[]);
    assert_eq!(words(&left)[0], "local key POST requests/audit/clear: done");
    assert!(left.len() == 2 && left[1]["type"] == "audit", "{left:?}");
}

#[test]
fn who_is_shut_out_gets_in_again_with_a_flag() {
    let place = folder();
    let (page, broker) = (free_port(), free_port());
    let settings = [
        format!("http.bind=127.0.0.1:{page}"),
        format!("broker.bind=127.0.0.1:{broker}"),
        "access.trusted_proxies=127.0.0.1".to_owned(),
        "access.block=192.168.1.9".to_owned(),
    ];
    let ask = || {
        let answer = |to: &str| {
            let header = format!("X-Forwarded-For: {to}\r\n");
            status(&http(([127, 0, 0, 1], page).into(), "GET /healthz", "x", &header, "").0)
        };
        ["8.8.8.8", "192.168.1.9", "192.168.1.8"].map(answer)
    };
    for (flag, expected) in [(None, [403, 403, 200]), (Some("--disable-ip-lists"), [200, 200, 200])] {
        let mut command = doorward(place.path());
        sets(&mut command, &settings);
        command.arg("run").args(flag);
        let mut running = Running::start(command);
        until("the page", || std::net::TcpStream::connect(("127.0.0.1", page)).ok());
        assert_eq!(ask(), expected, "{flag:?}");
        running.signal(libc::SIGTERM);
        running.wait(std::time::Duration::from_secs(10));
        let told = running.stderr().contains("Begun with --disable-ip-lists: everybody may come");
        assert_eq!(told, flag.is_some(), "the log says so loudly");
    }
}

#[test]
fn the_doctor_warns_of_open_doors() {
    let home = Home::embedded(&OFF);
    let well = home.command(&["doctor"]);
    assert!(well.status.success() && text(&well).contains("Nothing is wrong."), "{}", text(&well));
    let open = ["access.allow=all", "access.trusted_networks=8.8.8.0/24", "access.trusted_proxies=all"];
    let sets: Vec<&str> = open.iter().flat_map(|set| ["--set", set]).collect();
    let warned = home.command(&[&["doctor"], &sets[..]].concat());
    let told = text(&warned);
    assert!(warned.status.success(), "a warning is no fault: {told}");
    for part in [
        "warning  access.allow reaches beyond your home: 0.0.0.0/0, ::/0.",
        "access.trusted_networks lets in without a login from beyond your home: 8.8.8.0/24",
        "access.trusted_proxies believes everybody",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("Nothing is wrong."), "{told}");
}
