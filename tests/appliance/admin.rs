//! What can be asked about the appliance itself: configuration, log, health, a backup and its way back.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::kit::{Home, status, t, until};
use crate::observer::{Door, Observer, ask, done};

/// A camera that is off: no vision runs.
const OFF: &[&str] = &["cameras.porch.source=demo", "cameras.porch.privacy=true", "mqtt.allow_requests=*"];

fn keys<'a>(answer: &'a Value, key: &str) -> &'a Value {
    let found = answer["keys"].as_array().expect("a list").iter().find(|listed| listed["key"] == key);
    found.unwrap_or_else(|| panic!("{key} is not in {answer}"))
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

/// Asks for something that is refused; the error.
fn refused(door: &Door, observer: &Observer, verb: &str, body: Value) -> Value {
    let answer = ask(door, observer, verb, body);
    assert_eq!(answer["status"], "error", "{verb}: {answer}");
    answer["error"].clone()
}

#[test]
fn the_configuration_is_shown_checked_and_changed() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let file = data.path().join("doorward.toml");
    let text =
        "# My house\n[http]\nmax_viewers = 7 # enough\n\n[cameras.shed]\nsource = \"demo\"\nprivacy = true\n";
    std::fs::write(&file, text).expect("a file");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("its mode");
    let home = Home::embedded_in(data, OFF);
    let (door, place) = (home.door(), file.display().to_string());
    let observer = Observer::new(&door);
    let ask = |verb: &str, body: Value| done(&door, &observer, verb, body);
    let refuse = |verb: &str, body: Value| refused(&door, &observer, verb, body);

    let one = ask("config/get", json!({"path": "http.max_viewers"}));
    let viewers = keys(&one, "http.max_viewers");
    assert_eq!((&viewers["value"], &viewers["default"]), (&json!(7), &json!(32)), "{one}");
    assert_eq!((&viewers["from"], &viewers["allowed"]), (&json!(format!("{place}:3")), &json!("1 to 1000")));
    assert_eq!((one["keys"].as_array().map(Vec::len), &one["pending"]), (Some(1), &json!([])), "{one}");
    let porch = ask("config/get", json!({"path": "cameras.porch"}));
    assert_eq!(keys(&porch, "cameras.porch.privacy")["from"], "flag --set cameras.porch.privacy");
    assert_eq!(keys(&porch, "cameras.porch.motion.hold")["unit"], "seconds");
    assert_eq!(refuse("config/get", json!({"path": "http.max_viewer"}))["field"], "path");

    let checked = ask("config/validate", json!({"toml": "[http]\nmax_viewers = 0\nbnd = 1\n"}));
    let faults = checked["faults"].as_array().expect("a list");
    assert_eq!((&checked["ok"], faults.len()), (&json!(false), 2), "{checked}");
    assert_eq!((&faults[0]["key"], &faults[0]["line"]), (&json!("http.max_viewers"), &json!(2)), "{checked}");
    assert!(faults[0]["message"].as_str().is_some_and(|text| text.contains("1 to 1000")), "{checked}");
    assert_eq!(
        ask("config/validate", json!({"toml": "http.max_viewers = 9"})),
        json!({"ok": true, "faults": []})
    );

    // Nothing is written if there is any mistake, or a secret.
    for body in [
        json!({"toml": "[http]\nmax_viewers = 8\nmax_connections = 1\n"}),
        json!({"path": "http.max_viewers", "value": "many"}),
        json!({"toml": "[notify.phone]\ntype = \"ntfy\"\ntopic = \"x\"\ntoken = \"tk_offen\"\n"}),
    ] {
        let error = refuse("config/set", body);
        assert!(error["code"] == "bad_config" && error["faults"][0]["key"].is_string(), "{error}");
        assert!(!error.to_string().contains("tk_offen"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).expect("it is there"), text);
    }

    let set = ask("config/set", json!({"path": "http.max_viewers", "value": "9"}));
    let changed = text.replace("= 7 #", "= 9 #");
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), changed);
    assert_eq!((&set["written"], &set["shadowed"]), (&json!(["http.max_viewers"]), &json!([])), "{set}");
    assert_eq!(
        (&set["pending"], &set["reload_needed"]),
        (&json!(["http.max_viewers"]), &json!(true)),
        "{set}"
    );
    let kept = file.with_extension("toml.bak");
    assert_eq!((&set["file"], &set["kept"]), (&json!(file), &json!(kept)), "{set}");
    assert_eq!(std::fs::read_to_string(&kept).expect("it is there"), text);
    assert_eq!((mode(&file), mode(&kept)), (0o640, 0o640));
    // It runs with the old value until it begins again.
    let one = ask("config/get", json!({"path": "http.max_viewers"}));
    assert_eq!(
        (&keys(&one, "http.max_viewers")["value"], &one["pending"]),
        (&json!(7), &json!(["http.max_viewers"]))
    );
    // A stronger layer wins, and the answer says so.
    let set = ask("config/set", json!({"path": "cameras.porch.privacy", "value": false}));
    assert_eq!(
        set["shadowed"],
        json!([{"key": "cameras.porch.privacy", "by": "flag --set cameras.porch.privacy"}])
    );
    ask("config/set", json!({"path": "cameras.porch", "value": null}));
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), changed);
    let broken = changed.clone() + "fsp = 1\n";
    std::fs::write(&file, &broken).expect("a file");
    for verb in ["config/reload", "restart"] {
        let error = refuse(verb, json!({}));
        assert_eq!(
            (&error["code"], &error["faults"][0]["line"]),
            (&json!("bad_config"), &json!(8)),
            "{error}"
        );
        assert_eq!(error["faults"][0]["key"], "cameras.shed.fsp");
    }
    assert_eq!(ask("config/get", json!({"path": "http"}))["pending"], Value::Null);

    let said: String = observer.all().iter().map(ToString::to_string).collect();
    for secret in [home.facts.token.expose(), &door.password] {
        assert!(!said.contains(secret));
    }
}

#[test]
fn a_file_is_made_where_none_was() {
    let home = Home::embedded(OFF);
    let door = home.door();
    let observer = Observer::new(&door);
    let set = done(&door, &observer, "config/set", json!({"path": "node.name", "value": "Villa"}));
    let file = home.data.path().join("doorward.toml");
    assert_eq!((&set["file"], &set["kept"]), (&json!(file), &Value::Null), "{set}");
    assert_eq!(mode(&file), 0o600);
    // The tests' own flag is stronger.
    assert_eq!(set["shadowed"][0]["by"], "flag --set node.name");
    assert!(std::fs::read_to_string(&file).expect("it is there").ends_with("[node]\nname = \"Villa\"\n"));
    // A folder stands where the new file would be written first.
    std::fs::create_dir(home.data.path().join("doorward.toml.tmp")).expect("a folder");
    let error = refused(&door, &observer, "config/set", json!({"path": "node.name", "value": "Hut"}));
    assert!(error["code"] == "config_file" && error.to_string().contains("by hand"), "{error}");
}

#[test]
fn the_log_and_the_health_can_be_asked_for() {
    let home = Home::embedded(OFF);
    let door = home.door();
    let observer = Observer::new(&door);
    observer.says(0, &t("porch/state"), "privacy");
    tracing::warn!(target: "doorward::test", "a leaf fell");
    let logs = done(&door, &observer, "logs", json!({"lines": 500, "level": "warn"}));
    let lines = logs["lines"].as_array().expect("a list");
    assert!(lines.iter().all(|line| line["level"] == "warn" || line["level"] == "error"), "{logs}");
    let leaf = lines.iter().find(|line| line["message"] == "a leaf fell").expect("the warning");
    assert!(leaf["target"] == "doorward::test" && leaf["ts"].is_string(), "{leaf}");
    let one = done(&door, &observer, "logs", json!({"lines": 1}));
    assert_eq!(one["lines"].as_array().map(Vec::len), Some(1));

    let published = observer.next(0, "the health", |m| m.topic == t("health")).0.json();
    let asked = done(&door, &observer, "health", json!({}));
    let fields =
        |value: &Value| -> Vec<String> { value.as_object().expect("an object").keys().cloned().collect() };
    assert_eq!(fields(&asked), fields(&published));
    assert_eq!(
        asked["cams"]["porch"],
        json!({"state": "privacy", "fps": 0.0, "viewers": 0, "latency_ms": null})
    );
    assert!(asked["temp_c"].is_null() || asked["temp_c"].as_f64().is_some_and(|t| (1.0..130.0).contains(&t)));
    assert!(asked["disk_written_kb_h"].as_u64() <= asked["disk_written_kb"].as_u64(), "{asked}");
    let started: jiff::Timestamp = asked["started"].as_str().and_then(|at| at.parse().ok()).expect("a time");
    let up = jiff::Timestamp::now().duration_since(started).as_secs();
    assert!((up - asked["uptime_s"].as_i64().expect("seconds")).abs() <= 3, "{asked}");
    let said: String = observer.all().iter().map(ToString::to_string).collect();
    assert!(!said.contains(home.facts.token.expose()) && !said.contains(&door.password));
}

/// The program, with nothing of this machine.
fn restore(data: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    command.env_clear().current_dir(data.parent().expect("a parent")).arg("--data-dir").arg(data);
    let output = command.arg("restore").args(arguments).output().expect("the program runs");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}

#[test]
fn a_backup_brings_everything_back() {
    let calm = [
        "cameras.porch.source=demo:seed=1,speed=0.25",
        "cameras.porch.width=320",
        "cameras.porch.height=240",
        "mqtt.allow_requests=*",
    ];
    let data = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(data.path().join("doorward.toml"), "[mqtt]\npicture_interval = 7.0\n").expect("a file");
    let mut home = Home::embedded_in(data, &calm);
    let door = home.door();
    let observer = Observer::new(&door);
    observer.says(0, &t("porch/state"), "running");
    done(&door, &observer, "snapshot", json!({}));
    door.publish(&t("porch/face_threshold/set"), b"0.61");
    observer.says(0, &t("porch/face_threshold"), "0.61");
    let state_file = home.data.path().join("state.json");
    until("the setting on the disk", || {
        std::fs::read_to_string(&state_file).ok().filter(|text| text.contains("0.61"))
    });
    let events = until("the snapshot in the archive", || {
        let events = home.get_json("/api/events?type=snapshot");
        (events["total"] == 1).then_some(events)
    });
    let picture = home.get(events["events"][0]["image"]["path"].as_str().expect("a path"));

    let small = done(&door, &observer, "backup", json!({}));
    let whole = done(&door, &observer, "backup", json!({"events": true}));
    let path = Path::new(whole["path"].as_str().expect("a path"));
    assert_eq!((mode(path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
    assert_eq!(whole["bytes"].as_u64(), path.metadata().ok().map(|file| file.len()));
    assert!(whole["files"].as_u64() > small["files"].as_u64(), "{whole} {small}");
    for _ in 0..5 {
        done(&door, &observer, "backup", json!({}));
    }
    let kept = || path.parent().expect("a folder").read_dir().expect("it is there").flatten().count();
    assert_eq!(kept(), 5, "the oldest go, and nothing unfinished stays");
    let backup = done(&door, &observer, "backup", json!({"events": true}));
    let backup = backup["path"].as_str().expect("a path").to_owned();

    // In use, or not empty: refused.
    let (fine, text) = restore(home.data.path(), &[&backup, "--force"]);
    assert!(!fine && text.contains("another doorward uses"), "{text}");
    let uuid =
        |home: &Home| std::fs::read_to_string(home.data.path().join("identity.json")).expect("it is there");
    let (before, token) = (uuid(&home), home.facts.token.clone());
    home.stop();
    let (fine, text) = restore(home.data.path(), &[&backup]);
    assert!(!fine && text.contains("is not empty") && text.contains("--force"), "{text}");

    let new = tempfile::tempdir().expect("a temporary folder");
    let (fine, text) = restore(new.path(), &[&backup]);
    assert!(fine && text.contains("files are restored"), "{text}");
    for file in ["secrets.json", "doorward.toml", "events/events.sqlite"] {
        assert_eq!(mode(&new.path().join(file)), 0o600, "{file}");
    }
    drop(home);
    let home = Home::embedded_in(new, &calm);
    assert_eq!((uuid(&home), home.facts.token.expose()), (before, token.expose()));
    let door = home.door();
    let observer = Observer::new(&door);
    observer.says(0, &t("porch/face_threshold"), "0.61");
    let interval = done(&door, &observer, "config/get", json!({"path": "mqtt.picture_interval"}));
    assert_eq!(keys(&interval, "mqtt.picture_interval")["value"], 7.0);
    assert!(home.data.path().join("faces").read_dir().expect("the household").count() > 0);
    let back = home.get_json("/api/events?type=snapshot");
    assert_eq!((&back["total"], &back["events"][0]["id"]), (&json!(1), &events["events"][0]["id"]));
    assert_eq!(home.get(events["events"][0]["image"]["path"].as_str().expect("a path")), picture);
}

/// A backup as somebody else would make one, with a name and content of each file.
fn packed(to: &Path, files: &[(&str, &[u8])]) {
    let file = std::fs::File::create(to).expect("a file");
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(file, flate2::Compression::fast()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        // The library would not write names that lead out.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o777);
        header.set_cksum();
        tar.append(&header, *bytes).expect("it is added");
    }
    tar.into_inner().and_then(|packer| packer.finish()).expect("it is written");
}

#[test]
fn strange_backups_change_nothing() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let (data, backup) = (place.path().join("data"), place.path().join("b.tar.gz"));
    let good: (&str, &[u8]) = ("doorward-backup.json", br#"{"format":1,"version":"0.0.1"}"#);
    let newer: (&str, &[u8]) = ("doorward-backup.json", br#"{"format":1,"version":"99.0.0"}"#);
    let other: (&str, &[u8]) = ("doorward-backup.json", br#"{"format":2,"version":"0.0.1"}"#);
    let state: (&str, &[u8]) = ("data/state.json", b"{}");
    for (files, part) in [
        (vec![good, state, ("../evil", b"x")], "no backup of Doorward does"),
        (vec![good, ("faces/../../evil", b"x")], "no backup of Doorward does"),
        (vec![good, ("/evil", b"x")], "no backup of Doorward does"),
        (vec![good, ("data/other.json", b"x")], "no backup of Doorward does"),
        (vec![newer, state], "made by Doorward 99.0.0"),
        (vec![other, state], "install that version"),
        (vec![state], "is no backup of Doorward"),
        (vec![], "it is empty"),
    ] {
        packed(&backup, &files);
        let (fine, text) = restore(&data, &[backup.to_str().expect("text")]);
        assert!(!fine && text.contains(part), "{part}: {text}");
        assert!(!data.exists() && !place.path().join("evil").exists(), "{part}: something was written");
    }
    packed(&backup, &[good, state]);
    let whole = std::fs::read(&backup).expect("it is there");
    std::fs::write(&backup, &whole[..whole.len() - 12]).expect("it is cut");
    let (fine, text) = restore(&data, &[backup.to_str().expect("text")]);
    assert!(!fine && text.contains("damaged") && !data.exists(), "{text}");
    std::fs::write(&backup, &whole).expect("it is whole again");
    assert!(restore(&data, &[backup.to_str().expect("text")]).0);
    assert_eq!(std::fs::read(data.join("state.json")).expect("it is there"), b"{}");
}

#[test]
fn a_first_file_is_written_once() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        let output = command.env_clear().current_dir(place.path()).args(arguments).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text.into_owned())
    };
    let file = place.path().join("doorward.toml");
    let (code, text) = run(&["init", "--set", "mqtt.hots=x"]);
    assert!(code == Some(1) && text.contains("did you mean mqtt.host") && !file.exists(), "{text}");
    let (code, text) = run(&["init", "--set", "mqtt.host=10.0.0.2", "--set", "cameras.door.source=demo"]);
    assert!(code == Some(0) && text.contains("Set as you said: mqtt.host, cameras.door.source"), "{text}");
    let written = std::fs::read_to_string(&file).expect("it is there");
    assert!(
        written.contains("\nhost = \"10.0.0.2\"\n") && written.contains("[cameras.door]\nsource = \"demo\"")
    );
    assert!(written.contains("# The external broker."), "the explanations stay");
    assert_eq!((mode(&file), run(&["check-config"]).0), (0o644, Some(0)));
    let (code, text) = run(&["init"]);
    assert!(code == Some(1) && text.contains("stays as it is"), "{text}");
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), written);
    // A broken file elsewhere is no reason not to write one.
    std::fs::write(&file, "[").expect("a file");
    let (code, text) = run(&[
        "init",
        "other.toml",
        "--set",
        "notify.x.type=ntfy",
        "--set",
        "notify.x.topic=t",
        "--set",
        "notify.x.url=https://n/",
        "--set",
        "notify.x.token=geheim",
    ]);
    assert!(code == Some(0) && !text.contains("geheim"), "{text}");
    assert_eq!(mode(&place.path().join("other.toml")), 0o600);
}

#[test]
fn http_and_the_command_line_answer_alike() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let file = data.path().join("doorward.toml");
    std::fs::write(&file, "[http]\nmax_viewers = 7\n").expect("a file");
    let home = Home::embedded_in(data, OFF);
    let door = home.door();
    let observer = Observer::new(&door);
    let post = |verb: &str, body: &Value| {
        let (head, answer) = home.http(&format!("POST /api/requests/{verb}"), "", &body.to_string());
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        (status(&head), answer)
    };
    for (verb, body) in [
        ("config/get", json!({"path": "http"})),
        ("config/get", json!({})),
        ("config/validate", json!({"toml": "[http]\nmax_viewers = 0\n"})),
    ] {
        let expected = done(&door, &observer, verb, body.clone());
        assert_eq!(post(verb, &body), (200, expected), "{verb} {body}");
    }
    for (verb, body, code) in [
        ("config/set", json!({"path": "http.max_viewers", "value": 0}), 422),
        ("config/set", json!({"path": "http.max_viewers"}), 400),
        ("config/get", json!({"path": "x"}), 400),
        ("logs", json!({"lines": 0}), 400),
    ] {
        let expected = refused(&door, &observer, verb, body.clone());
        let (status, answer) = post(verb, &body);
        assert_eq!(
            (status, &answer["code"], &answer["detail"]),
            (code, &expected["code"], &expected["message"])
        );
        assert_eq!(answer.get("faults"), expected.get("faults"));
    }

    let run = |arguments: &[&str]| {
        let output = home.command(arguments);
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text.into_owned())
    };
    let (fine, text) = run(&["config", "get", "http.max_viewers"]);
    assert!(fine, "{text}");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(answer, done(&door, &observer, "config/get", json!({"path": "http.max_viewers"})));
    let (fine, text) = run(&["config", "set", "http.max_viewers", "9"]);
    assert!(fine && text.contains("\"reload_needed\": true"), "{text}");
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "[http]\nmax_viewers = 9\n");
    let (fine, text) = run(&["config", "set", "http.max_viewers", "0"]);
    assert!(!fine && text.contains("1 to 1000") && text.contains("(bad_config)"), "{text}");
    assert!(run(&["config", "set", "http.max_viewers", "--default"]).0);
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "[http]\n");
    let piece = home.data.path().join("piece.toml");
    std::fs::write(&piece, "[http]\nmax_viewers = 8\n").expect("a file");
    let piece = piece.to_str().expect("text");
    assert!(run(&["config", "validate", piece]).0 && run(&["config", "set", "--file", piece]).0);
    std::fs::write(piece, "[http]\nmax_viewers = 0\n").expect("a file");
    let (fine, text) = run(&["config", "validate", piece]);
    assert!(!fine && text.contains("\"line\": 2"), "{text}");
    tracing::warn!(target: "doorward::test", "a branch broke");
    let (fine, text) = run(&["logs", "--level", "warn", "-n", "500"]);
    assert!(fine && text.lines().any(|line| line.ends_with("Z WARN  a branch broke")), "{text}");
    let (fine, text) = run(&["backup", "--events"]);
    assert!(fine && text.contains(".tar.gz"), "{text}");
    let (fine, text) = run(&["restart"]);
    assert!(fine && text.contains("\"restarting\": true"), "{text}");
}
