//! `make-certificates.sh` and `tls.conf`: who gets in with a certificate, as whom, and the appliance among them.
//!
//! Not here: TLS of the appliance towards other brokers; see `tests/appliance/tls.rs`.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use crate::kit::{Broker, Certificates, Subscriber, doorward_acl, end, free_port, ready, succeeded};

/// A broker with both listeners, the port of the second one, and who has a certificate.
fn broker(clients: &[&str]) -> (Broker, u16, Certificates) {
    let certificates = Certificates::new(clients);
    let port = free_port();
    let broker = Broker::with(&doorward_acl(), &[certificates.tls_conf(port)]);
    (broker, port, certificates)
}

fn gets_in(mut client: Command) -> bool {
    let output = client.args(["-t", "doorward/home/request/ping", "-m", "{}"]).output().expect("it runs");
    output.status.success()
}

#[test]
fn only_a_certificate_of_our_authority_gets_in() {
    let (_broker, port, ours) = broker(&["scripts"]);
    let foreign = Certificates::new(&["scripts"]);
    assert!(gets_in(ours.client("mosquitto_pub", port, Some("scripts"))));
    assert!(!gets_in(ours.client("mosquitto_pub", port, None)), "without a certificate");
    let mut with_password = ours.client("mosquitto_pub", port, None);
    with_password.args(["-u", "scripts", "-P", "secret of scripts"]);
    assert!(!gets_in(with_password), "with a password instead of a certificate");
    let mut client = ours.client("mosquitto_pub", port, None);
    client.arg("--cert").arg(foreign.file("scripts.crt")).arg("--key").arg(foreign.file("scripts.key"));
    assert!(!gets_in(client), "with a certificate of another authority");
    // The client does not trust a broker that it does not know.
    assert!(
        !gets_in(foreign.client("mosquitto_pub", port, Some("scripts"))),
        "at another authority's broker"
    );
}

#[test]
fn the_name_in_the_certificate_is_the_user_of_the_rules() {
    let (broker, port, certificates) = broker(&["home", "shed", "reader"]);
    let everything = broker.subscribe("homeassistant", &["doorward/#"]);
    let last = "doorward/home/status";
    for (user, topic, as_user) in [
        ("reader", "doorward/home/request/ping", None),
        ("shed", "doorward/home/porch/event/face", None),
        // A name beside the certificate changes nothing.
        ("shed", "doorward/home/porch/event/face", Some("home")),
        ("shed", "doorward/shed/status", None),
        ("home", last, None),
    ] {
        let mut client = certificates.client("mosquitto_pub", port, Some(user));
        if let Some(other) = as_user {
            client.args(["-u", other]);
        }
        succeeded(&client.args(["-t", topic, "-m", "x"]).output().expect("it runs"));
    }
    assert_eq!(everything.topics_until(last), ["doorward/shed/status", last]);
    let reader =
        Subscriber::new(certificates.client("mosquitto_sub", port, Some("reader")), &["#"], &ready("reader"));
    broker.publish("home", "doorward/home/porch/image/face", "x");
    broker.publish("home", last, "x");
    assert_eq!(reader.topics_until(last), [last]);
}

/// The program, ended with this value.
struct Appliance {
    process: Child,
    _data: tempfile::TempDir,
}

impl Appliance {
    fn start(sets: &[String]) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.current_dir(data.path()).env_clear().arg("--data-dir").arg(data.path().join("data"));
        let own = ["http.bind=127.0.0.1:0", "cameras.porch.source=demo", "cameras.porch.privacy=true"];
        for set in own.iter().copied().chain(sets.iter().map(String::as_str)) {
            command.args(["--set", set]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { process: command.spawn().expect("the program runs"), _data: data }
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

#[test]
fn the_appliance_lives_with_a_certificate_and_these_rules() {
    let (broker, port, certificates) = broker(&["home", "scripts"]);
    let documents =
        broker.subscribe("homeassistant", &["doorward/home/info", "homeassistant/device/+/config"]);
    let states = broker.subscribe("homeassistant", &["doorward/home/info", "doorward/home/porch/+"]);
    let file = |key: &str, name: &str| format!("mqtt.{key}={}", certificates.file(name).display());
    let sets = [
        "node.id=home".to_owned(),
        "mqtt.host=localhost".to_owned(),
        format!("mqtt.port={port}"),
        "mqtt.tls=true".to_owned(),
        file("ca_file", "ca.crt"),
        file("client_cert_file", "home.crt"),
        file("client_key_file", "home.key"),
    ];
    let _appliance = Appliance::start(&sets);
    // The appliance's facts, then its document and its camera's.
    let topics = [documents.line(), documents.line(), documents.line()];
    let are_ours = |line: &String| line.starts_with("homeassistant/device/doorward_");
    assert_eq!(topics.iter().filter(|line| are_ours(line)).count(), 2, "{topics:?}");
    states.topics_until("doorward/home/porch/privacy");

    broker.publish("homeassistant", "doorward/home/porch/fps/set", "7");
    states.topics_until("doorward/home/porch/fps");
    // A question over TLS, and its answer on a topic that only the asker reads.
    let mut ask = certificates.client("mosquitto_rr", port, Some("scripts"));
    ask.args([
        "-V",
        "5",
        "-W",
        "10",
        "-t",
        "doorward/home/request/ping",
        "-e",
        "answers/scripts/1",
        "-m",
        "{}",
    ]);
    let output = ask.output().expect("mosquitto_rr runs");
    succeeded(&output);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["data"]["pong"], true, "{answer}");
}

#[test]
fn keys_are_for_their_owner_only_and_a_wrong_use_is_one_sentence() {
    let certificates = Certificates::new(&["home"]);
    for name in ["ca", "server", "home"] {
        let mode = |ending: &str| {
            let file = certificates.file(&format!("{name}.{ending}"));
            file.metadata().expect("the file was made").permissions().mode() & 0o777
        };
        assert_eq!((mode("key"), mode("crt")), (0o600, 0o644), "{name}");
    }
    let before = std::fs::read(certificates.file("home.key")).expect("the key is there");
    for (arguments, code, said) in [
        (&["client", "home"][..], 1, "is there already"),
        (&["client", "a/b"], 1, "\"a/b\" cannot be a user"),
        (&["client", ""], 1, "\"\" cannot be a user"),
        (&["client", "ca"], 1, "choose another user"),
        (&["client", "one", "two"], 1, "one client at a time"),
        (&["server", "my broker"], 1, "\"my broker\" is no host name"),
        (&["server"], 2, "usage:"),
        (&["guest", "x"], 2, "usage:"),
        (&[], 2, "usage:"),
    ] {
        let output = certificates.make(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
    assert_eq!(std::fs::read(certificates.file("home.key")).expect("the key is there"), before);
    std::fs::remove_file(certificates.file("ca.key")).expect("it is removed");
    let output = certificates.make(&["client", "late"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("ca.key is missing"), "{text}");
    assert!(!certificates.file("late.key").exists() && !certificates.file("late.crt").exists());
}
