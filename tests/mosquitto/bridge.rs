//! `bridge.conf` between two Mosquittos: what crosses to the second site, what comes back, and nothing else.
//!
//! Not here: rules within one site.

use std::path::Path;
use std::process::Stdio;

use crate::kit::{Broker, Certificates, Subscriber, adapted, doorward_acl, free_port};

const LAST: &str = "doorward/home/porch/motion";

/// `bridge.conf` towards a broker on this port.
fn bridge_conf(certificates: &Certificates, port: u16) -> String {
    let path = |name: &str| certificates.file(name).display().to_string();
    let address = format!("127.0.0.1:{port}");
    adapted(
        "bridge.conf",
        &[
            ("broker.example.org:8883", address),
            ("/etc/mosquitto/certs/second-site-ca.crt", path("ca.crt")),
            ("/etc/mosquitto/certs/bridge.crt", path("bridge.crt")),
            ("/etc/mosquitto/certs/bridge.key", path("bridge.key")),
        ],
    )
}

/// The broker of the second site, and the broker of the house with the bridge to it.
fn two_sites() -> (Broker, Broker) {
    let certificates = Certificates::new(&["bridge"]);
    let port = free_port();
    let second = Broker::with(&doorward_acl(), &[certificates.tls_conf(port)]);
    let house = Broker::with(&doorward_acl(), &[bridge_conf(&certificates, port)]);
    house.publish_with(&["-r"], "home", "doorward/home/status", "online");
    // What is retained crosses when the bridge stands; its subscriptions were sent before.
    let mut wait = second.client("mosquitto_sub", "homeassistant");
    wait.args(["-t", "doorward/home/status", "-C", "1", "-W", "20"]).stdout(Stdio::null());
    assert!(
        wait.status().expect("mosquitto_sub runs").success(),
        "no bridge: {}\n{}",
        house.log(),
        second.log()
    );
    (house, second)
}

/// Hears everything at one site, without what the broker says of itself.
fn ear(broker: &Broker) -> Subscriber {
    let heard = broker.subscribe("homeassistant", &["doorward/#", "homeassistant/#"]);
    // The topic that was waited for is retained, and may come before or after the one that says who is ready.
    broker.publish("homeassistant", "homeassistant/begin", "x");
    heard.topics_until("homeassistant/begin");
    heard
}

#[test]
fn an_event_crosses_a_request_comes_back_and_nothing_more() {
    let (house, second) = two_sites();
    let (at_house, at_second) = (ear(&house), ear(&second));
    let crosses = [
        "doorward/home/porch/image/event/01J",
        "doorward/home/porch/person/alice",
        "doorward/home/porch/event/face",
        "doorward/home/event/security",
        "doorward/home/porch/motion/attributes",
        "doorward/home/porch/fps/ack",
        "doorward/home/response/ping",
        "homeassistant/device/doorward_1/config",
    ];
    for topic in crosses {
        house.publish("home", topic, "x");
    }
    let stays = [
        ("homeassistant", "doorward/home/porch/privacy/set"),
        ("homeassistant", "doorward/home/request/ping"),
        ("homeassistant", "doorward/home/porch/snapshot/press"),
        ("homeassistant", "homeassistant/status"),
        ("shed", "doorward/shed/porch/event/face"),
    ];
    for (user, topic) in stays {
        house.publish(user, topic, "x");
    }
    let comes_back =
        ["doorward/home/request/snapshot", "doorward/home/porch/fps/set", "doorward/home/restart/press"];
    let stays_there = ["homeassistant/status", "doorward/shed/request/ping", "doorward/shed/porch/fps/set"];
    for topic in stays_there.iter().chain(&comes_back) {
        second.publish("homeassistant", topic, "x");
    }
    second.publish("shed", "doorward/shed/porch/event/face", "x");

    // The house heard what it said itself and what came back, each once; the second site likewise.
    let mut expected: Vec<&str> =
        crosses.into_iter().chain(stays.map(|(_, topic)| topic)).chain(comes_back).collect();
    let mut heard: Vec<String> = at_house.topics_until("doorward/home/restart/press");
    // Anything that went round in circles would have come before this.
    house.publish("home", LAST, "ON");
    heard.extend(at_house.topics_until(LAST));
    expected.push(LAST);
    assert_eq!(sorted(&heard), sorted(&expected));
    let mut expected: Vec<&str> = crosses.into_iter().chain(stays_there).chain(comes_back).collect();
    expected.extend(["doorward/shed/porch/event/face", LAST]);
    assert_eq!(sorted(&at_second.topics_until(LAST)), sorted(&expected));
}

fn sorted<T: AsRef<str>>(topics: &[T]) -> Vec<&str> {
    let mut sorted: Vec<&str> = topics.iter().map(AsRef::as_ref).collect();
    sorted.sort_unstable();
    sorted
}

#[test]
fn every_file_of_the_folder_is_tried_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mosquitto");
    let names = folder
        .read_dir()
        .expect("the folder can be read")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in ASCII"));
    let mut names: Vec<String> = names.collect();
    names.sort();
    let tried =
        ["README.md", "bridge.conf", "doorward.acl", "make-certificates.sh", "mosquitto.conf", "tls.conf"];
    assert_eq!(names, tried);
}
