//! With a real Mosquitto: the same story, then everything that can happen to a broker and to Home Assistant.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use doorward::logic::events::Event;

use crate::kit::{Home, Mosquitto, t, until, wait_for_log};
use crate::observer::{Door, Message, Observer};
use crate::story;

const BIRTH: &str = "homeassistant/status";

#[test]
fn a_round_of_the_demo_on_mosquitto_and_what_can_happen_to_it() {
    let mut broker = Mosquitto::start("");
    let door = broker.door.clone();
    let observer = Observer::new(&door);
    let mut home = Home::external(&door, story::DEMO);
    story::is_announced(&observer);
    story::availability_came_first(&observer);
    story::a_round(&home, &door, &observer);
    story::keeps_no_identity(&door, "after the round");
    a_birth_brings_everything_again(&door, &observer);
    a_deleted_device_stays_away_until_it_is_asked_for(&door, &observer);
    drop(observer);
    a_wiped_broker_gets_everything_again(&mut broker, &home);
    a_clean_stop_says_offline(&door, &mut home);
}

fn a_birth_brings_everything_again(door: &Door, observer: &Observer) {
    let mark = observer.mark();
    let born = Instant::now();
    door.publish(BIRTH, b"online");
    let again = |what: &str, is: &dyn Fn(&Message) -> bool| {
        let limit = Duration::from_secs(7);
        let (message, _) = observer.next_within(limit, mark, what, |message| is(message));
        message.at.saturating_duration_since(born)
    };
    let document = again("the document again", &|m| m.topic.starts_with("homeassistant/device/doorward_"));
    assert!((0.9..6.0).contains(&document.as_secs_f64()), "after {document:?}");
    for topic in
        ["porch/status", "porch/fps", "porch/privacy", "porch/person/barack", "porch/faces/present", "health"]
    {
        let after = again(topic, &|m| m.topic == t(topic));
        assert!(after.as_secs_f64() < 6.5, "{topic} after {after:?}");
    }
    // The last pictures are young, and Home Assistant has lost them.
    again("the last face again", &|m| m.topic == t("porch/image/face"));
}

fn a_deleted_device_stays_away_until_it_is_asked_for(door: &Door, observer: &Observer) {
    let (_, camera) = story::documents(&observer.all()).expect("both documents");
    let mark = observer.mark();
    door.publish_with(&["-r"], &camera.topic, b"");
    wait_for_log(&["was deleted in Home Assistant"]);
    door.publish(BIRTH, b"online");
    let (_, after_birth) = observer.next(mark, "the birth is answered", |m| m.topic == t("porch/fps"));
    // More than the pause between two documents of one device.
    std::thread::sleep(Duration::from_millis(2500));
    let is_back = |m: &Message| m.topic == camera.topic && !m.payload.is_empty();
    assert!(!observer.since(mark).iter().any(is_back), "the deleted device came back by itself");
    door.publish(&t("request/discovery/republish"), b"");
    let (back, _) = observer.next(after_birth, "the document, asked for", is_back);
    assert_eq!(back.json(), camera.json());
}

fn a_wiped_broker_gets_everything_again(broker: &mut Mosquitto, home: &Home) {
    let told = |observer: &Observer| -> BTreeSet<String> {
        let events = observer.all().into_iter().filter(|m| m.topic == t("porch/event/face"));
        events.filter_map(|m| m.json()["id"].as_str().map(str::to_owned)).collect()
    };
    let before: BTreeSet<String> = home.state().recent.iter().map(|event| event.id.clone()).collect();
    broker.kill();
    until("the appliance notices", || (!is_connected(home)).then_some(()));
    broker.run();
    let began = Instant::now();
    let door = broker.door.clone();
    let observer = Observer::new(&door);
    story::is_announced(&observer);
    assert!(began.elapsed() < Duration::from_secs(15), "back after {:?}", began.elapsed());
    let mark = observer.says(0, &t("porch/fps"), "10");
    door.publish(&t("porch/fps/set"), b"9");
    observer.says(mark, &t("porch/fps"), "9");
    story::keeps_no_identity(&door, "after the broker was wiped");
    let replayed: Vec<String> = told(&observer).intersection(&before).cloned().collect();
    assert!(replayed.is_empty(), "events from before the cut came again: {replayed:?}");
    // Whoever is present now was seen now, or a moment before the cut.
    let seen = observer.all();
    let on = seen.iter().any(|m| m.topic == t("porch/person/barack") && m.text() == "ON");
    let lately = |kind: &str| {
        let is_recent = |event: &Event| event.decided_at.elapsed() < Duration::from_secs(45);
        home.state().recent.iter().any(|event| event.event_type == kind && is_recent(event))
    };
    assert!(!on || lately("known"), "presence of somebody who was not there");
}

fn is_connected(home: &Home) -> bool {
    home.state().node.mqtt_connected
}

fn a_clean_stop_says_offline(door: &Door, home: &mut Home) {
    let observer = Observer::new(door);
    let mark = observer.mark();
    let took = home.stop();
    assert!(took < Duration::from_secs(8), "{took:?}");
    println!("a clean stop took {took:?}");
    observer.says(mark, &t("porch/status"), "offline");
    observer.says(mark, &t("status"), "offline");
    let kept = door.retained();
    let says = |topic: &str| kept.iter().find(|m| m.topic == t(topic)).map(|m| m.text().to_owned());
    assert_eq!(
        (says("status").as_deref(), says("porch/status").as_deref()),
        (Some("offline"), Some("offline"))
    );
}

/// Mosquitto keeps what it was told: nothing has to be announced again, and a kept command is not carried out.
#[test]
fn a_broker_that_remembers_is_not_told_twice() {
    let mut broker = Mosquitto::start("persistence true\nautosave_on_changes true\nautosave_interval 1\n");
    // Written for a broker folder of this test alone.
    let door = broker.door.clone();
    door.publish_with(&["-r"], &t("porch/fps/set"), b"33");
    let home = Home::external(&door, &["cameras.porch.source=demo", "cameras.porch.privacy=true"]);
    let observer = Observer::new(&door);
    let refused = |message: &Message| message.topic == t("log") && message.text().contains("retained");
    observer.wait("both documents", story::documents);
    observer.says(0, &t("porch/fps"), "15");
    wait_for_log(&["retain", "porch/fps/set"]);
    let mark = observer.mark();
    door.publish_with(&["-r"], &t("porch/fps/set"), b"44");
    observer.next(mark, "a refused retained command", refused);
    drop(observer);
    std::thread::sleep(Duration::from_secs(3));
    broker.kill();
    until("the appliance notices", || (!is_connected(&home)).then_some(()));
    broker.run();
    let observer = Observer::new(&door);
    let (message, _) = observer.next(0, "the kept command is refused", |m| m.topic == t("log"));
    assert!(message.text().contains("fps/set"), "{message}");
    observer.says(0, &t("porch/fps"), "15");
    let documents = |m: &Message| m.topic.starts_with("homeassistant/device/doorward_");
    std::thread::sleep(Duration::from_secs(1));
    let again: Vec<String> =
        observer.all().iter().filter(|m| documents(m) && !m.retained).map(Message::to_string).collect();
    assert!(again.is_empty(), "a document that the broker holds was sent again: {again:?}");
    assert_eq!(observer.all().iter().filter(|m| documents(m)).count(), 2, "the broker kept both");
    assert!(observer.all().iter().all(|m| m.topic != t("porch/fps") || m.text() == "15"));
    drop(observer);
    people_stay_while_the_appliance_starts(&door, home);
}

/// Home Assistant forgets an entity that says farewell, with its name and place; nobody does so only to come back.
fn people_stay_while_the_appliance_starts(door: &Door, home: Home) {
    let observer = Observer::new(door);
    let mark = observer.mark();
    let home = home.restart();
    observer.says(mark, &t("porch/person/barack"), "OFF");
    // Longer than the pause between two documents of one device.
    std::thread::sleep(Duration::from_millis(2500));
    let is_camera =
        |m: &&Message| m.topic.starts_with("homeassistant/device/") && m.json()["dev"]["mdl"] == "Camera";
    for document in observer.all().iter().filter(is_camera) {
        let person = &document.json()["cmps"]["person_barack"];
        assert!(person["unique_id"].is_string(), "Barack was sent away: {document}");
    }
    drop(observer);
    a_camera_with_another_name_leaves_nothing_behind(door, home);
}

fn a_camera_with_another_name_leaves_nothing_behind(door: &Door, home: Home) {
    let old = |m: &&Message| m.topic.starts_with(&t("porch/")) && m.topic != t("porch/fps/set");
    assert!(door.retained().iter().filter(old).count() > 10);
    let (_, porch) = story::documents(&door.retained()).expect("both documents");
    let observer = Observer::new(door);
    let mark = observer.mark();
    let _home = home.restart_changed(|set| set.replace("cameras.porch.", "cameras.shed."));
    observer.says(mark, &t("shed/state"), "privacy");
    observer.next(mark, "the old device goes", |m| m.topic == porch.topic && m.payload.is_empty());
    let gone = || !door.retained().iter().any(|m| old(&m));
    until("nothing is left of the old name", || gone().then_some(()));
    let kept = door.retained();
    let says = |topic: String| kept.iter().find(|m| m.topic == topic).map(|m| m.text().to_owned());
    assert_eq!(
        (says(t("status")).as_deref(), says(t("shed/status")).as_deref()),
        (Some("online"), Some("online"))
    );
}
