//! A new start in place: the same process, everything read anew, and never a running appliance lost to a mistake.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::{Mosquitto, free_port, t, until};
use crate::observer::{Door, Observer, ask, done};
use crate::process::{Running, doorward, folder, sets, started, through};

/// Every request may be asked over MQTT.
const ALLOWED: &str = "mqtt.allow_requests=*";
const LIMIT: Duration = Duration::from_secs(20);

/// The figures of a process that a new program does not change.
fn birth(process: u32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    stat.rsplit(')').next().expect("fields").split_whitespace().nth(19).expect("its start").to_owned()
}

/// What the service manager hears.
struct Manager(UnixDatagram);

impl Manager {
    fn new(place: &Path) -> (Self, PathBuf) {
        let path = place.join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(LIMIT)).expect("a time limit");
        (Self(socket), path)
    }

    /// Everything until a message that begins so.
    fn until(&self, word: &str) -> Vec<String> {
        let (mut buffer, mut all) = ([0; 512], Vec::new());
        loop {
            let length =
                self.0.recv(&mut buffer).unwrap_or_else(|error| panic!("{word}: {error}; heard {all:?}"));
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let is_it = text.starts_with(word);
            all.push(text);
            if is_it {
                return all;
            }
        }
    }
}

/// The program at this broker, with its page on a port.
fn at_port(mut command: Command, broker: &Mosquitto, http: u16) -> Running {
    let Door { port, user, password } = &broker.door;
    sets(&mut command, &[format!("http.bind=127.0.0.1:{http}"), "mqtt.host=127.0.0.1".into()]);
    sets(&mut command, &[format!("mqtt.port={port}"), format!("mqtt.username={user}"), ALLOWED.into()]);
    command.env("DOORWARD__MQTT__PASSWORD", password);
    Running::start(command)
}

#[test]
fn a_reload_is_a_new_start_of_the_same_process() {
    let (broker, place) = (Mosquitto::start(""), folder());
    let (manager, socket) = Manager::new(place.path());
    std::fs::write(place.path().join("doorward.toml"), "[node]\nname = \"House\"\n").expect("a file");
    let observer = Observer::new(&broker.door);
    let mut running = started(place.path(), &broker, |command| {
        command.args(["--set", ALLOWED]).env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "10000000");
    });
    manager.until("READY=1");
    observer.says(0, &t("porch/state"), "privacy");
    let (process, born) = (running.0.id(), birth(running.0.id()));
    let told = |verb: &str, body: Value| done(&broker.door, &observer, verb, body);

    // A mistake: nothing happens.
    std::fs::write(place.path().join("doorward.toml"), "[node]\nnme = \"Villa\"\n").expect("a file");
    for verb in ["config/reload", "restart"] {
        let answer = ask(&broker.door, &observer, verb, json!({}));
        assert_eq!(answer["error"]["faults"][0]["key"], "node.nme", "{answer}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let bind = taken.local_addr().expect("an address");
    std::fs::write(
        place.path().join("doorward.toml"),
        format!("[broker]\nenabled = \"on\"\nbind = \"{bind}\"\n"),
    )
    .expect("a file");
    let answer = ask(&broker.door, &observer, "restart", json!({}));
    assert_eq!(answer["error"]["faults"][0]["key"], "broker.bind", "{answer}");
    std::fs::write(place.path().join("doorward.toml"), "[node]\nname = \"Villa\"\n").expect("a file");
    for name in ["Hut", "Villa"] {
        told("config/set", json!({"path": "node.name", "value": name}));
    }

    for (verb, changed) in [("config/reload", json!(["node.name"])), ("restart", Value::Null)] {
        let mark = observer.mark();
        let answer = told(verb, json!({}));
        assert_eq!((&answer["restarting"], &answer["changed"]), (&json!(true), &changed), "{answer}");
        let mark = observer.says(mark, &t("status"), "offline");
        observer.says(mark, &t("status"), "online");
        observer.says(mark, &t("porch/state"), "privacy");
        let heard = manager.until("READY=1");
        assert!(heard.iter().any(|text| text.starts_with("RELOADING=1\nMONOTONIC_USEC=")), "{heard:?}");
        assert!(!heard.iter().any(|text| text.contains("STOPPING=1")), "{heard:?}");
        assert_eq!((running.0.try_wait().expect("its state"), birth(process)), (None, born.clone()));
        let name = told("config/get", json!({"path": "node.name"}));
        assert_eq!((&name["keys"][0]["value"], &name["pending"]), (&json!("Villa"), &json!([])), "{name}");
    }
    running.signal(libc::SIGTERM);
    assert_eq!(running.wait(LIMIT).code(), Some(0), "{}", running.stderr());
    manager.until("STOPPING=1");
}

#[test]
fn the_embedded_broker_comes_back_on_its_port() {
    let place = folder();
    let (http, port) = (free_port(), free_port());
    let mut command = doorward(place.path());
    let binds = [format!("http.bind=127.0.0.1:{http}"), format!("broker.bind=127.0.0.1:{port}")];
    sets(&mut command, &binds);
    sets(&mut command, &[ALLOWED.into()]);
    let said = place.path().join("said");
    command.stdout(std::fs::File::create(&said).expect("a file"));
    let mut running = Running::start(command);
    let secrets: Value = until("the secrets", || {
        let text = std::fs::read_to_string(place.path().join("data/secrets.json")).ok()?;
        serde_json::from_str(&text).ok()
    });
    let password = secrets["broker"]["homeassistant"].as_str().expect("a password").to_owned();
    let door = Door { port, user: "homeassistant".into(), password };
    let starts =
        || std::fs::read_to_string(&said).ok().map(|text| text.matches("Doorward is running.").count());
    for start in 1..=3 {
        until("the program runs", || starts().filter(|starts| *starts == start));
        let observer = Observer::new(&door);
        observer.says(0, &t("porch/state"), "privacy");
        let answer = done(&door, &observer, "restart", json!({}));
        assert_eq!(answer["restarting"], true, "the answer comes before the broker ends");
    }
    until("the last start", || starts().filter(|starts| *starts == 4));
    let observer = Observer::new(&door);
    observer.says(0, &t("porch/state"), "privacy");
    running.signal(libc::SIGTERM);
    assert_eq!(running.wait(LIMIT).code(), Some(0), "{}", running.stderr());
}

/// A program that was replaced while it ran: by another one, by one that does not work, by nothing.
#[test]
fn an_upgraded_program_is_the_new_one() {
    let (broker, place) = (Mosquitto::start(""), folder());
    let program = place.path().join("doorward");
    std::fs::copy(env!("CARGO_BIN_EXE_doorward"), &program).expect("a copy");
    let start = |broker: &Mosquitto| at_port(through(Command::new(&program), place.path()), broker, 0);
    let observer = Observer::new(&broker.door);
    let mut running = start(&broker);
    observer.says(0, &t("porch/state"), "privacy");

    let new = place.path().join("new");
    let script = format!(
        "#!/bin/sh\necho \"$@\" > {}/upgraded\nexec {} \"$@\"\n",
        place.path().display(),
        env!("CARGO_BIN_EXE_doorward")
    );
    std::fs::write(&new, script).expect("a file");
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    std::fs::rename(&new, &program).expect("the upgrade");
    let mark = observer.mark();
    done(&broker.door, &observer, "restart", json!({}));
    let mark = observer.says(mark, &t("status"), "offline");
    let mark = observer.says(mark, &t("porch/state"), "privacy");
    let arguments = std::fs::read_to_string(place.path().join("upgraded")).expect("the new program ran");
    assert!(arguments.contains("--set node.id=n1"), "{arguments}");
    running.signal(libc::SIGTERM);
    assert_eq!(running.wait(LIMIT).code(), Some(0), "{}", running.stderr());

    std::fs::copy(env!("CARGO_BIN_EXE_doorward"), &new)
        .and_then(|_| std::fs::rename(&new, &program))
        .expect("a copy");
    let mut running = start(&broker);
    let mark = observer.says(mark, &t("status"), "online");
    std::fs::remove_file(&program).expect("it is removed");
    done(&broker.door, &observer, "restart", json!({}));
    // The supervisor shall try, so it is a failure; and one sentence says why.
    let status = running.wait(LIMIT);
    let text = running.stderr();
    assert!(status.code() == Some(1) && text.contains("cannot be started again"), "{status}: {text}");
    observer.says(mark, &t("status"), "offline");
}

/// Somebody who wants it to end while it begins again gets an end.
#[test]
fn a_signal_on_the_way_ends_it() {
    let (broker, place, http) = (Mosquitto::start(""), folder(), free_port());
    let observer = Observer::new(&broker.door);
    let mut running = at_port(doorward(place.path()), &broker, http);
    observer.says(0, &t("porch/state"), "privacy");
    let secrets = std::fs::read_to_string(place.path().join("data/secrets.json")).expect("the secrets");
    let secrets: Value = serde_json::from_str(&secrets).expect("JSON");
    let token = secrets["http_token"].as_str().expect("a token");
    drop(observer);
    // The farewell waits for a broker that takes nothing, so there is time.
    broker.freeze();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], http));
    let (head, _) = crate::kit::http(address, "POST /api/requests/restart", token, "", "{}");
    assert_eq!(crate::kit::status(&head), 200, "{head}");
    running.signal(libc::SIGTERM);
    let status = running.wait(LIMIT);
    broker.thaw();
    // The farewell was cut short, which is an end that was not clean.
    assert!(matches!(status.code(), Some(0 | 1)), "{status}: {}", running.stderr());
    assert!(std::net::TcpStream::connect(address).is_err());
}
