//! `--factory-reset`: what goes, what stays, and when it does nothing.
//!
//! Not here: what a first start is like.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::kit::{Mosquitto, t};
use crate::observer::{Door, Observer, PATIENCE};
use crate::process::{Running, doorward, folder, sets, started};

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn put(folder: &Path, name: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, b"x").expect("a file");
}

fn reset(place: &Path, broker: &Door, arguments: &[&str]) -> Command {
    let mut command = doorward(place);
    let Door { port, user, password } = broker;
    let at = ["mqtt.host=127.0.0.1".to_owned(), format!("mqtt.port={port}"), format!("mqtt.username={user}")];
    sets(&mut command, &at);
    command.env("DOORWARD__MQTT__PASSWORD", password).arg("--factory-reset").args(arguments);
    command
}

/// A first start with a broker: what it makes and retains.
fn first_start(place: &Path, broker: &Mosquitto) -> Running {
    let observer = Observer::new(&broker.door);
    let running = started(place, broker, |command| {
        command.stdout(Stdio::null());
    });
    observer.says(0, &t("porch/state"), "privacy");
    running
}

fn stop(mut running: Running) {
    running.signal(libc::SIGTERM);
    assert_eq!(running.wait(Duration::from_secs(10)).code(), Some(0), "{}", running.stderr());
}

#[test]
fn a_factory_reset_leaves_the_configuration_and_nothing_of_people() {
    let (broker, place) = (Mosquitto::start(""), folder());
    let data = place.path().join("data");
    let running = first_start(place.path(), &broker);
    let secrets = std::fs::read(data.join("secrets.json")).expect("secrets");

    // While it runs, and without anybody who agrees, nothing happens.
    let output = reset(place.path(), &broker.door, &["--yes"]).output().expect("the program runs");
    assert!(
        output.status.code() == Some(1) && text(&output).contains("another doorward uses"),
        "{}",
        text(&output)
    );
    stop(running);
    let before = names(&data);
    for file in ["secrets.json", "identity.json", "audit.sqlite3"] {
        assert!(before.contains(&file.to_owned()), "{before:?}");
    }
    let output = reset(place.path(), &broker.door, &[]).output().expect("the program runs");
    assert!(
        output.status.code() == Some(1) && text(&output).contains("needs a terminal"),
        "{}",
        text(&output)
    );
    let output = reset(place.path(), &broker.door, &["--yes", "run"]).output().expect("the program runs");
    assert!(output.status.code() == Some(1) && text(&output).contains("stands alone"), "{}", text(&output));
    assert_eq!(names(&data), before);
    let output = doorward(place.path()).arg("--yes").output().expect("the program runs");
    assert_eq!(output.status.code(), Some(2), "--yes alone means nothing: {}", text(&output));

    for file in [
        "faces/Anna/1.jpg",
        "faces/Anna/rejected/2.JPG",
        "faces/_unknown/1/1.jpg",
        "faces/Anna/notes.txt",
        "events/2026/01/x/snapshot.jpg",
        "accounts.json",
        "accounts.json.damaged-1",
        "state.json.tmp",
        "audit.sqlite3-wal",
        "tls/key.pem",
        "doorward.toml",
        "doorward.toml.bak",
        "backups/doorward-1.tar.gz",
        "eventsource.txt",
    ] {
        put(&data, file);
    }
    // A link is removed, not what it leads to.
    put(place.path(), "elsewhere/keep.jpg");
    std::os::unix::fs::symlink(place.path().join("elsewhere"), data.join("faces/linked")).expect("a link");
    let output = reset(place.path(), &broker.door, &["--yes"]).output().expect("the program runs");
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert_eq!(names(&data), ["backups", "doorward.toml", "doorward.toml.bak", "eventsource.txt"], "{told}");
    assert!(place.path().join("elsewhere/keep.jpg").exists());
    for part in [
        " photos and what was made of them",
        "users, sessions and tokens",
        "audit log",
        "retained topics from the broker",
        "kept  ",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let left: Vec<String> = broker.door.retained().iter().map(|message| message.topic.clone()).collect();
    assert!(!left.iter().any(|topic| topic.contains("doorward")), "{left:?}");

    // The next start is a first one.
    stop(first_start(place.path(), &broker));
    assert_ne!(std::fs::read(data.join("secrets.json")).expect("secrets"), secrets);
}

#[test]
fn without_a_broker_the_rest_goes_all_the_same() {
    let place = folder();
    let data = place.path().join("data");
    let nobody = Door { port: 1, user: "x".into(), password: "y".into() };
    let output = reset(place.path(), &nobody, &["--yes"]).output().expect("the program runs");
    assert!(output.status.code() == Some(1) && text(&output).contains("no data folder"), "{}", text(&output));
    put(&data, "identity.json");
    put(&data, "secrets.json");
    // Photographs in a folder of the user's own: only those, and what was made of them.
    let album = place.path().join("album");
    for file in ["Anna/1.jpg", "Anna/poem.txt", "Ben/1.png", "embeddings.json"] {
        put(&album, file);
    }
    let mut command = reset(place.path(), &nobody, &["--yes"]);
    command.args(["--set", &format!("faces.folder={}", album.display())]);
    let began = std::time::Instant::now();
    let output = command.output().expect("the program runs");
    let told = text(&output);
    assert!(began.elapsed() < PATIENCE, "{told}");
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("cannot be asked") && told.contains("2 photos"), "{told}");
    assert_eq!(
        (names(&data), names(&album), names(&album.join("Anna"))),
        (vec![], vec!["Anna".into()], vec!["poem.txt".into()])
    );
}
