//! `mosquitto.conf` and `doorward.acl`: who gets in, who reads and who writes what, and the limits.
//!
//! Not here: certificates, and the second site.

use std::fs;
use std::process::Stdio;

use crate::kit::{Broker, adapted, client_at, succeeded, wait_at_most};

const LAST: &str = "doorward/home/status";

#[test]
fn only_the_right_password_gets_in() {
    let broker = Broker::start();
    for user in ["home", "homeassistant", "scripts", "reader"] {
        broker.publish(user, "doorward/home/request/ping", "{}");
    }
    for (user, password) in [("home", "wrong"), ("home", ""), ("stranger", "secret of home")] {
        let mut command = broker.client_with("mosquitto_pub", user, password);
        let output = command.args(["-t", LAST, "-m", "{}"]).output().expect("it runs");
        assert!(!output.status.success(), "{user} with the password {password:?} was let in");
    }
    let mut nobody = client_at("mosquitto_pub", broker.port);
    let output = nobody.args(["-t", LAST, "-m", "x"]).output().expect("it runs");
    assert!(!output.status.success(), "somebody without a name was let in");
}

/// Publishes all of them, forbidden ones first, and compares what the whole of the broker's users saw.
fn only_these_pass(broker: &Broker, denied: &[(&str, &str)], allowed: &[(&str, &str)]) {
    // Home Assistant reads everything but answers to others, and those are read by whom they are for.
    let everything = broker.subscribe("homeassistant", &["doorward/#", "homeassistant/#"]);
    for (user, topic) in denied.iter().chain(allowed) {
        broker.publish(user, topic, user);
    }
    let expected: Vec<&str> = allowed.iter().map(|(_, topic)| *topic).collect();
    assert_eq!(everything.topics_until(LAST), expected);
}

#[test]
fn each_user_writes_only_what_is_theirs() {
    let broker = Broker::start();
    let allowed = [
        ("homeassistant", "doorward/home/porch/privacy/set"),
        ("homeassistant", "doorward/home/porch/snapshot/press"),
        ("homeassistant", "doorward/home/restart/press"),
        ("homeassistant", "doorward/home/request/motion/reset"),
        ("homeassistant", "homeassistant/status"),
        ("scripts", "doorward/home/request/snapshot"),
        ("scripts", "doorward/home/porch/privacy/set"),
        ("scripts", "doorward/home/porch/snapshot/press"),
        ("home", "homeassistant/device/doorward_1/config"),
        ("home", "doorward/home/porch/event/face"),
        ("home", LAST),
    ];
    let denied = [
        ("homeassistant", "doorward/home/porch/event/face"),
        ("homeassistant", "doorward/home/porch/motion"),
        ("homeassistant", "doorward/home/porch/image/live"),
        ("homeassistant", LAST),
        ("scripts", "doorward/home/porch/event/face"),
        ("scripts", "doorward/home/porch/motion"),
        ("scripts", "doorward/home/restart/press"),
        ("scripts", "homeassistant/device/doorward_1/config"),
        ("scripts", "homeassistant/status"),
        ("reader", "doorward/home/request/ping"),
        ("reader", "doorward/home/porch/privacy/set"),
        ("reader", "doorward/home/porch/event/face"),
        ("home", "homeassistant/status"),
        ("home", "homeassistant/light/lamp/config"),
    ];
    only_these_pass(&broker, &denied, &allowed);
}

#[test]
fn nobody_plays_another_appliance() {
    let broker = Broker::start();
    let denied = [
        // One appliance is not the other, neither way round.
        ("shed", "doorward/home/porch/event/face"),
        ("shed", "doorward/home/porch/privacy/set"),
        ("shed", "doorward/home/request/ping"),
        ("home", "doorward/shed/porch/event/face"),
        // Without lines of its own it announces nothing.
        ("shed", "homeassistant/device/doorward_2/config"),
        // Who is no appliance has no tree, although the pattern would give one to every name.
        ("homeassistant", "doorward/homeassistant/porch/event/face"),
        ("scripts", "doorward/scripts/porch/event/face"),
        ("reader", "doorward/reader/porch/event/face"),
    ];
    let allowed = [("shed", "doorward/shed/porch/event/face"), ("home", LAST)];
    only_these_pass(&broker, &denied, &allowed);
    let shed = broker.subscribe("shed", &["#"]);
    broker.publish("home", "doorward/home/porch/event/face", "x");
    broker.publish("homeassistant", "doorward/shed/porch/privacy/set", "ON");
    assert_eq!(shed.topics_until("doorward/shed/porch/privacy/set"), ["doorward/shed/porch/privacy/set"]);
}

/// As README.md says it: a node whose documents are named one by one.
#[test]
fn documents_that_are_named_one_by_one_are_all_that_a_node_can_write() {
    let line = "topic readwrite homeassistant/device/+/config\ntopic read homeassistant/status";
    let named = "topic readwrite homeassistant/device/doorward_1/config\n\
                 topic readwrite homeassistant/device/doorward_1_2/config\ntopic read homeassistant/status";
    let acl = adapted("doorward.acl", &[(line, named.to_owned())]);
    let broker = Broker::with(&acl, &[]);
    let allowed = [
        ("home", "homeassistant/device/doorward_1/config"),
        ("home", "homeassistant/device/doorward_1_2/config"),
        ("home", LAST),
    ];
    only_these_pass(&broker, &[("home", "homeassistant/device/doorward_9/config")], &allowed);
}

#[test]
fn each_user_reads_only_what_is_theirs() {
    let broker = Broker::start();
    let home_assistant = broker.subscribe("homeassistant", &["#"]);
    let scripts = broker.subscribe("scripts", &["#"]);
    let reader = broker.subscribe("reader", &["#"]);
    let for_all = ["doorward/home/porch/motion", "doorward/home/porch/event/face", LAST];
    let not_for_reader = [
        "doorward/home/porch/image/event/01J",
        "doorward/home/porch/image/live",
        "doorward/home/image/self_test",
        "doorward/home/response/faces/list",
    ];
    for topic in not_for_reader.iter().chain(&for_all) {
        broker.publish("home", topic, "x");
    }
    let all: Vec<_> = not_for_reader.iter().chain(&for_all).copied().collect();
    assert_eq!(home_assistant.topics_until(LAST), all);
    assert_eq!(scripts.topics_until(LAST), all);
    assert_eq!(reader.topics_until(LAST), for_all);
}

#[test]
fn an_answer_on_a_response_topic_reaches_only_who_asked() {
    let broker = Broker::start();
    let scripts = broker.subscribe("scripts", &["#"]);
    let reader = broker.subscribe("reader", &["#"]);
    broker.publish("scripts", "answers/scripts/forged", "x");
    for topic in ["answers/scripts/1", "answers/reader/1", LAST] {
        broker.publish("home", topic, "x");
    }
    assert_eq!(scripts.topics_until(LAST), ["answers/scripts/1", LAST]);
    assert_eq!(reader.topics_until(LAST), ["answers/reader/1", LAST]);
}

#[test]
fn pictures_of_two_megabytes_arrive_and_larger_ones_than_four_do_not() {
    let broker = Broker::start();
    let home_assistant = broker.subscribe("homeassistant", &["doorward/#"]);
    for (megabytes, topic) in [(5, "doorward/home/porch/image/motion"), (2, "doorward/home/porch/image/face")]
    {
        let picture = broker.folder.path().join("picture");
        fs::write(&picture, vec![b'x'; megabytes * 1024 * 1024]).expect("a picture is written");
        let mut command = broker.client("mosquitto_pub", "home");
        // The broker drops the connection of a client that sends too much, so the status may be either.
        let mut child =
            command.args(["-t", topic, "-f"]).arg(&picture).stderr(Stdio::piped()).spawn().expect("it runs");
        wait_at_most(&mut child);
    }
    let line = loop {
        let line = home_assistant.line();
        if line.contains("/image/") {
            break line;
        }
    };
    assert_eq!(line, format!("doorward/home/porch/image/face {}", 2 * 1024 * 1024));
}

#[test]
fn a_retained_state_survives_a_restart_of_the_broker() {
    let mut broker = Broker::start();
    broker.publish_with(&["-r"], "home", LAST, "online");
    broker.restart();
    let mut command = broker.client("mosquitto_sub", "homeassistant");
    command.args(["-t", LAST, "-C", "1", "-W", "10"]);
    let output = command.output().expect("mosquitto_sub runs");
    succeeded(&output);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "online");
}
