//! Users and tokens of a running appliance: over MQTT, on the command line, and on the terminal of the first run.
//!
//! Not here: the same on a file; see `tests/accounts.rs`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::{Home, free_port, http, http_get, status, t, until, wait_for_log};
use crate::observer::{Door, Observer, PATIENCE, ask, done};
use crate::process::{Running, doorward, folder, sets};

const PASSWORD: &str = "correct horse battery";
const CLOSED: [&str; 2] = ["cameras.porch.source=demo", "cameras.porch.privacy=true"];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the program prints, which is JSON.
fn cli(home: &Home, arguments: &[&str], input: &str) -> Value {
    let output = home.command_with(arguments, input);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
}

#[test]
fn secrets_do_not_travel_through_the_broker() {
    let home = Home::embedded(&[CLOSED[0], CLOSED[1], "mqtt.allow_requests=*"]);
    let door = home.door();
    let observer = Observer::new(&door);
    observer.says(0, &t("porch/state"), "privacy");
    let mark = observer.mark();
    let user = json!({ "name": "anna", "password": PASSWORD, "role": "admin" });
    for (verb, body) in [("users/add", user.clone()), ("users/passwd", user), ("pair", json!({}))] {
        let answer = ask(&door, &observer, verb, body);
        assert_eq!(answer["error"]["code"], "not_allowed", "{answer}");
        assert!(
            answer["error"]["message"].as_str().is_some_and(|text| text.contains("never taken over MQTT"))
        );
    }
    assert_eq!(done(&door, &observer, "users/list", json!({})), json!({ "users": [] }));
    let wish = json!({ "kind": "viewer", "name": "script", "transaction": "once" });
    let refused = ask(&door, &observer, "token/create", wish.clone());
    assert_eq!(refused["error"]["code"], "own_topic_needed", "{refused}");
    assert_eq!(done(&door, &observer, "token/list", json!({})), json!({ "tokens": [] }));
    let first = token_over_mqtt(&door, &wish, "scripts/me");
    // Whoever saw the request and repeats it gets a token of their own, which is listed, and never this one.
    let second = token_over_mqtt(&door, &wish, "scripts/you");
    let secret = first["token"].as_str().expect("a token").to_owned();
    assert!(secret.starts_with("dw_") && second["token"] != first["token"], "{first} {second}");
    done(&door, &observer, "ping", json!({}));
    let leaked =
        observer.since(mark).into_iter().filter(|m| m.text().contains(&secret) && m.topic != "scripts/me");
    assert_eq!(leaked.map(|m| m.topic).collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!(http_get(home.facts.http, "/api/state", &secret).0, 200);
    done(&door, &observer, "token/revoke", json!({ "id": first["id"] }));
    assert_eq!(http_get(home.facts.http, "/api/state", &secret).0, 401);
}

fn token_over_mqtt(door: &Door, wish: &Value, topic: &str) -> Value {
    let mut command = door.client("mosquitto_rr");
    command.args(["-V", "5", "-q", "1", "-t", &t("request/token/create"), "-e", topic, "-W", "10", "-m"]);
    let output = command.arg(wish.to_string()).output().expect("mosquitto_rr runs");
    let answer: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(answer["status"], "ok", "{answer}");
    answer["data"].clone()
}

#[test]
fn a_running_appliance_is_asked_and_streams_end_with_their_token() {
    let home = Home::embedded(&CLOSED);
    let (door, address) = (home.door(), home.facts.http);
    let observer = Observer::new(&door);
    observer.says(0, &t("porch/state"), "privacy");
    for verb in ["users/list", "users/lock", "token/list", "token/create", "token/revoke"] {
        let answer = ask(&door, &observer, verb, json!({}));
        assert_eq!(answer["error"]["code"], "not_allowed", "not over MQTT unless somebody says so: {answer}");
    }
    let pairing = home.facts.pairing.clone().expect("there is no user yet");
    assert!(wait_for_log(&["the pairing code for the first one is", &pairing.code()]).contains("until"));
    let logs = text(&home.command_with(&["logs"], "").stdout);
    assert!(logs.contains("connected") && !logs.contains(&pairing.code()), "not over the network: {logs}");
    let output = home.command_with(&["pair", "--qr"], "");
    let said = text(&output.stdout);
    assert!(output.status.success() && said.contains('█') && !said.contains(&pairing.code()), "{said}");

    assert_eq!(cli(&home, &["user", "add", "anna"], PASSWORD), json!({ "name": "anna", "role": "admin" }));
    assert_eq!(cli(&home, &["user", "add", "bob"], PASSWORD), json!({ "name": "bob", "role": "viewer" }));
    let refused = home.command_with(&["pair"], "");
    assert!(refused.status.code() == Some(1) && text(&refused.stderr).contains("set_up_already"));
    let refused = home.command_with(&["user", "lock", "anna"], "");
    assert!(refused.status.code() == Some(1) && text(&refused.stderr).contains("last admin"));
    assert!(home.command_with(&["user", "check", "bob"], PASSWORD).status.success());
    assert_eq!(home.command_with(&["user", "check", "bob"], "wrong").status.code(), Some(1));
    let users = cli(&home, &["user", "list"], "");
    assert_eq!(users["users"][1]["name"], "bob", "{users}");

    let ask = ["token", "create", "--kind", "stream", "--camera", "porch", "--days", "30", "--name", "ha"];
    let made = cli(&home, &ask, "");
    let token = made["token"].as_str().expect("a token").to_owned();
    let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("ha:{token}"));
    let mut stream = open_stream(address, &format!("Authorization: Basic {basic}\r\n"));
    let mut other = open_stream(address, &format!("Authorization: Bearer {}\r\n", home.facts.token.expose()));
    let began = Instant::now();
    cli(&home, &["token", "revoke", made["id"].as_str().expect("an id")], "");
    let revoked = Instant::now();
    while !is_over(&mut stream) {
        assert!(revoked.elapsed() < Duration::from_secs(1), "the stream goes on");
    }
    println!(
        "the stream ended {:?} after the order, {:?} after the answer",
        began.elapsed(),
        revoked.elapsed()
    );
    assert!(!is_over(&mut other), "others go on");
    assert_eq!(http_get(address, "/api/cameras/porch/snapshot.jpg", &token).0, 401);
}

/// A stream that has begun.
fn open_stream(address: std::net::SocketAddr, headers: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).expect("the page answers");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit can be set");
    write!(stream, "GET /api/cameras/porch/stream.mjpeg HTTP/1.1\r\nHost: test\r\n{headers}\r\n")
        .expect("it is taken");
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).expect("an answer");
    assert_eq!(status(&line), 200, "{line}");
    let patience = Duration::from_millis(20);
    stream.get_ref().set_read_timeout(Some(patience)).expect("a time limit can be set");
    stream
}

/// Whether it has ended; what has come of it so far is read.
fn is_over(stream: &mut BufReader<TcpStream>) -> bool {
    let mut bytes = [0; 65536];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
            Err(_) => return true,
        }
    }
}

/// The terminal of the first run shows code and picture and no key; that of the next one shows neither.
#[test]
fn the_terminal_invites_the_first_user_and_nobody_else() {
    let place = folder();
    let (port, broker) = (free_port(), free_port());
    let bind = format!("127.0.0.1:{port}");
    let run = || {
        let mut command = doorward(place.path());
        sets(&mut command, &[format!("http.bind={bind}"), format!("broker.bind=127.0.0.1:{broker}")]);
        command.arg("run").stderr(Stdio::null());
        let mut running = Running::start(command);
        let mut lines = BufReader::new(running.0.stdout.take().expect("it was asked for")).lines();
        let mut banner = String::new();
        while !banner.contains("  Faces ") {
            banner += &(lines.next().expect("a whole banner").expect("text") + "\n");
        }
        (running, banner)
    };
    let (running, banner) = run();
    let secrets = std::fs::read_to_string(place.path().join("data/secrets.json")).expect("it is there");
    let secrets: Value = serde_json::from_str(&secrets).expect("JSON");
    let key = secrets["http_token"].as_str().expect("a key").to_owned();
    assert!(banner.contains("with the pairing code ") && banner.contains("█"), "{banner}");
    assert!(!banner.contains(&key) && !banner.contains("token="), "{banner}");
    let after = banner.split("with the pairing code ").nth(1).expect("it is there");
    let wrong = json!({ "code": "0000-0000", "name": "eve", "password": PASSWORD });
    assert!(after.as_bytes()[4] == b'-' && !wrong.to_string().contains(&after[..9]), "{after}");
    let mut add = doorward(place.path());
    add.args(["--http-bind", &bind, "user", "add", "anna"]);
    let added = crate::observer::run_with_input(add, PASSWORD.as_bytes());
    assert!(added.status.success(), "{}", text(&added.stderr));
    drop(running);
    let (_running, banner) = run();
    assert!(!banner.contains("pairing") && !banner.contains('█') && !banner.contains(&key), "{banner}");
}

/// A specific address of this machine is as local as 127.0.0.1: nothing that goes there leaves the machine.
#[test]
fn the_command_line_reaches_an_appliance_on_a_specific_address() {
    let own = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        // TEST-NET-1: nothing is sent.
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    let Some(own) = own.ok().map(|own| own.ip()).filter(|own| !own.is_loopback()) else {
        println!("SKIPPED: this machine has no address but its own");
        return;
    };
    let place = folder();
    let (bind, broker) = (format!("{own}:{}", free_port()), free_port());
    let mut command = doorward(place.path());
    sets(&mut command, &[format!("http.bind={bind}"), format!("broker.bind=127.0.0.1:{broker}")]);
    command.arg("run").stdout(Stdio::null()).stderr(Stdio::null());
    let _running = Running::start(command);
    until("the page", || TcpStream::connect(&bind).ok());
    let mut add = doorward(place.path());
    add.args(["--http-bind", &bind, "user", "add", "anna"]);
    let added = crate::observer::run_with_input(add, PASSWORD.as_bytes());
    assert!(added.status.success(), "{}", text(&added.stderr));
    let (head, _) = http(bind.parse().expect("an address"), "GET /api/state", "wrong", "", "");
    assert_eq!(status(&head), 401);
}
