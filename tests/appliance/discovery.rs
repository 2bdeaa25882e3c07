//! The life of our devices in Home Assistant's discovery: deleted by a person, cleared, uninstalled, doubled, and looked at by the doctor.
//!
//! Not here: what the documents say; and a real Home Assistant, which has tests of its own.

use std::process::Output;
use std::time::Duration;

use serde_json::json;

use crate::kit::{Home, Mosquitto, t, until};
use crate::observer::{Message, Observer, done};
use crate::story;

/// A closed camera costs nothing.
const STILL: &[&str] = &["cameras.porch.source=demo", "cameras.porch.privacy=true"];
/// Longer than the pause between two documents of one device.
const PAUSE: Duration = Duration::from_millis(2500);

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

fn is_document(message: &Message) -> bool {
    message.topic.starts_with("homeassistant/device/doorward_") && !message.payload.is_empty()
}

#[test]
fn a_deleted_device_stays_away_until_somebody_asks_for_it() {
    let broker = Mosquitto::start("persistence true\n");
    let door = broker.door.clone();
    let home = Home::external(&door, STILL);
    let observer = Observer::new(&door);
    let (_, camera) = observer.wait("both documents", story::documents);

    // What Home Assistant does when a person deletes the device.
    let mark = observer.mark();
    door.publish_with(&["-r"], &camera.topic, b"");
    until("the appliance has noticed", || (!home.state().declined.is_empty()).then_some(()));
    let home = home.restart();
    let mark_after = observer.says(mark, &t("status"), "online");
    // A change that would otherwise bring the document along.
    door.publish(&t("porch/fps/set"), b"9");
    observer.says(mark_after, &t("porch/fps"), "9");
    std::thread::sleep(PAUSE);
    let again =
        observer.since(mark).into_iter().filter(|m| m.topic == camera.topic && is_document(m)).count();
    assert_eq!(again, 0, "the deleted device came back");
    assert_eq!(
        door.retained().iter().filter(|m| is_document(m)).count(),
        1,
        "the node's own one is still there"
    );

    let mark = observer.mark();
    done(&door, &observer, "discovery/republish", json!({}));
    observer.next(mark, "the device again", |m| m.topic == camera.topic && is_document(m));
    until("nothing is declined", || home.state().declined.is_empty().then_some(()));
}

#[test]
fn the_doctor_looks_and_uninstalling_leaves_nothing() {
    let broker = Mosquitto::start("");
    let door = broker.door.clone();
    let home = Home::external(&door, STILL);
    let observer = Observer::new(&door);
    let (node, camera) = observer.wait("both documents", story::documents);
    observer.says(0, &t("porch/state"), "privacy");
    let doctor = home.command(&["doctor"]);
    assert!(doctor.status.success() && text(&doctor).contains("Nothing is wrong."), "{}", text(&doctor));
    let report = done(&door, &observer, "discovery/lint", json!({}));
    assert_eq!((report["devices"].as_array().map(Vec::len), &report["findings"]), (Some(2), &json!([])));

    // A command that somebody retained, and an appliance that has the same name.
    door.publish_with(&["-r"], &t("porch/fps/set"), b"5");
    let other = node.text().replace(&node.topic[30..50], "0123456789abcdef0123");
    door.publish_with(&["-r"], "homeassistant/device/doorward_other/config", other.as_bytes());
    let mark = observer.mark();
    door.publish(&t("info"), br#"{"v":1,"uuid":"another one"}"#);
    // The retained command gets a word too, before or after this one.
    let is_about_it = |m: &Message| m.is_remark() && m.text().contains("another one");
    let (warning, _) = observer.next(mark, "a word about the double", is_about_it);
    assert!(warning.text().contains("node.id"), "{warning}");
    let doctor = home.command(&["doctor"]);
    let told = text(&doctor);
    assert!(!doctor.status.success() && told.contains("A command is retained"), "{told}");
    assert!(
        told.contains("Several appliances speak on these topics") && told.contains("doorward_other"),
        "{told}"
    );
    door.publish_with(&["-r"], &t("porch/fps/set"), b"");
    door.publish_with(&["-r"], "homeassistant/device/doorward_other/config", b"");

    let mark = observer.mark();
    let uninstall = home.command(&["uninstall"]);
    assert!(uninstall.status.success() && text(&uninstall).contains("Stop it now"), "{}", text(&uninstall));
    let first = observer.next(mark, "the camera goes", |m| m.topic == camera.topic && m.payload.is_empty()).1;
    observer.next(mark, "the node goes", |m| m.topic == node.topic && m.payload.is_empty());
    observer
        .next(first, "the availability goes after it", |m| m.topic == t("status") && m.payload.is_empty());
    let ours = |m: &Message| m.topic.starts_with("doorward/") || m.topic.contains("doorward_");
    let left = || door.retained().into_iter().filter(ours).map(|m| m.to_string()).collect::<Vec<_>>();
    assert_eq!(left(), Vec::<String>::new());
    // It stays silent, whatever Home Assistant says, and leaves in silence.
    door.publish("homeassistant/status", b"online");
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(left(), Vec::<String>::new());
    let mut home = home;
    home.stop();
    assert_eq!(left(), Vec::<String>::new());

    // Without an appliance it clears what one has left.
    let mark = observer.mark();
    let mut home = Home::external(&door, STILL);
    observer.wait("both documents again", |seen| story::documents(&seen[mark..]));
    home.stop();
    until("the farewell is kept", || left().len().checked_sub(10));
    let uninstall = home.command(&["uninstall"]);
    assert!(uninstall.status.success() && !text(&uninstall).contains("Stop it now"), "{}", text(&uninstall));
    assert_eq!(left(), Vec::<String>::new());
}

#[test]
fn asking_again_ends_the_silence() {
    let home = Home::embedded(&[STILL, &["mqtt.allow_requests=*"]].concat());
    let door = home.door();
    let observer = Observer::new(&door);
    observer.wait("both documents", story::documents);
    let cleared = done(&door, &observer, "discovery/clear", json!({}));
    assert!(cleared["cleared"].as_u64().is_some_and(|count| count > 10), "{cleared}");
    let mark = observer.mark();
    door.publish(&t("porch/fps/set"), b"9");
    done(&door, &observer, "ping", json!({}));
    assert!(!observer.since(mark).iter().any(|m| m.topic == t("porch/fps")), "it is silent");
    done(&door, &observer, "discovery/republish", json!({}));
    observer.wait("both documents again", |seen| story::documents(&seen[mark..]));
    observer.says(mark, &t("porch/fps"), "9");
    observer.says(mark, &t("status"), "online");
}
