//! A camera that goes away and comes back, and privacy: what is shown, and that nothing else is.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use doorward::camera::demo::scene::{What, schedule};
use doorward::camera::{Wish, demo};
use doorward::jpeg;
use serde_json::{Value, json};

use crate::kit::{Home, t, until};
use crate::observer::{Door, Message, Observer};

const SIZE: (usize, usize) = (960, 540);
const FPS: f64 = 10.0;

/// A folder of pictures: an empty garden, then the known person comes and goes, as real as the demo.
pub(crate) fn film(folder: &Path) {
    let wish = Wish { width: Some(SIZE.0), height: Some(SIZE.1), fps: FPS };
    let mut scene = demo::Demo::new(1, 1.0, wish).expect("the demo can be painted");
    let (start, end, _) = schedule(1).into_iter().find(|part| part.2 == What::Known).expect("somebody comes");
    std::fs::create_dir_all(folder).expect("a folder");
    // Twice as fast as life; four seconds of nobody around it.
    let mut seconds = start - 4.0;
    for number in 0.. {
        let jpeg = scene.picture(seconds).expect("a picture");
        std::fs::write(folder.join(format!("{number:04}.jpg")), &jpeg).expect("a file");
        seconds += 2.0 / FPS;
        if seconds > end + 4.0 {
            break;
        }
    }
}

/// The household of the demo, for an appliance whose camera is not the demo.
fn household(folder: &Path) {
    for (name, photos) in demo::faces() {
        let person = folder.join(name);
        std::fs::create_dir_all(&person).expect("a folder");
        for (number, photo) in photos.into_iter().enumerate() {
            std::fs::write(person.join(format!("{number}.jpg")), photo).expect("a photograph");
        }
    }
}

#[test]
fn a_camera_that_goes_away_and_privacy() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let (clip, faces) = (place.path().join("clip"), place.path().join("faces"));
    film(&clip);
    household(&faces);
    let source = format!("cameras.porch.source=file:{}", clip.display());
    let faces = format!("faces.folder={}", faces.display());
    let home = Home::embedded(&[
        &source,
        &faces,
        "cameras.porch.fps=10",
        "cameras.porch.motion.hold=1",
        "faces.unknown_grace=1",
        "faces.cadence=8",
        "mqtt.picture_interval=0.5",
    ]);
    let door = home.door();
    let observer = Observer::new(&door);
    somebody_is_seen(&observer, 0);
    let eye = Eye::new(&clip);
    a_lost_camera_is_told_and_comes_back(&observer, &clip, &eye);
    privacy_shows_nothing(&home, &door, &observer, &eye);
}

fn somebody_is_seen(observer: &Observer, mark: usize) {
    let known = |m: &Message| m.topic == t("porch/event/face") && m.json()["event_type"] == "known";
    observer.next_within(Duration::from_secs(60), mark, "the known person", known);
    observer.says(mark, &t("porch/person/barack"), "ON");
}

fn a_lost_camera_is_told_and_comes_back(observer: &Observer, clip: &Path, eye: &Eye) {
    observer.says(0, &t("porch/status"), "online");
    let mark = observer.mark();
    let away: PathBuf = clip.with_extension("away");
    std::fs::rename(clip, &away).expect("the clip is taken away");
    let lost = Instant::now();
    observer.says(mark, &t("porch/status"), "offline");
    println!("a lost camera was told after {:?}", lost.elapsed());
    observer.says(mark, &t("porch/state"), "no_device");
    observer.says(mark, &t("porch/person/barack"), "OFF");
    observer.says(mark, &t("porch/faces/present"), "nobody");
    until("motion is off", || (observer.last(&t("porch/motion")).as_deref() == Some("OFF")).then_some(()));
    let (reason, _) = observer.next(mark, "the reason", |m| {
        m.topic == t("porch/state/attributes") && m.json()["reason"] == "no_camera"
    });
    assert!(reason.json()["advice"].as_str().is_some_and(|text| text.contains("clip")), "{reason}");
    let (_, after) =
        observer.next(mark, "the card", |m| m.topic == t("porch/image/live") && eye.is_drawn(&m.payload));
    std::thread::sleep(Duration::from_secs(2));
    let more: Vec<String> = observer
        .since(after)
        .iter()
        .filter(|m| match m.topic.contains("/porch/image/") {
            true => !eye.is_drawn(&m.payload),
            false => m.topic.contains("/event/") && m.json()["event_type"] != "end" || m.text() == "ON",
        })
        .map(Message::to_string)
        .collect();
    assert!(more.is_empty(), "a camera that is gone goes on: {more:?}");
    let mark = observer.mark();
    std::fs::rename(&away, clip).expect("the clip comes back");
    let back = Instant::now();
    observer.says(mark, &t("porch/status"), "online");
    println!("a camera that came back was told after {:?}", back.elapsed());
    observer.says(mark, &t("porch/state"), "running");
    observer.next(mark, "a real picture", |m| m.topic == t("porch/image/live") && !eye.is_drawn(&m.payload));
    somebody_is_seen(observer, mark);
}

/// Tells real pictures from drawn cards: a real one is the garden, except where somebody stands.
pub(crate) struct Eye {
    garden: Vec<u8>,
}

impl Eye {
    pub(crate) fn new(clip: &Path) -> Self {
        let picture = std::fs::read(clip.join("0000.jpg")).expect("the film begins with nobody");
        let eye = Self { garden: jpeg::decode_gray(&picture).expect("a JPEG").data };
        assert!(!eye.is_drawn(&picture));
        eye
    }

    pub(crate) fn is_drawn(&self, picture: &[u8]) -> bool {
        let gray = jpeg::decode_gray(picture).expect("a JPEG").data;
        let differing = gray.iter().zip(&self.garden).filter(|(a, b)| a.abs_diff(**b) > 24).count();
        gray.len() != self.garden.len() || differing * 2 > gray.len()
    }
}

fn privacy_shows_nothing(home: &Home, door: &Door, observer: &Observer, eye: &Eye) {
    let mark = observer.mark();
    door.publish(&t("porch/snapshot/press"), b"PRESS");
    let (picture, _) = observer.next(mark, "a snapshot", |m| m.topic.starts_with(&t("porch/image/event/")));
    let id = picture.topic.rsplit('/').next().expect("an id").to_owned();
    let event = format!("/api/events/{id}/snapshot.jpg");
    assert_eq!(home.get(&event).0, 200);
    let (status, still) = home.get("/api/cameras/porch/snapshot.jpg");
    assert!(status == 200 && !eye.is_drawn(&still));
    let shown: Vec<Vec<u8>> = observer
        .all()
        .iter()
        .filter(|m| m.topic.contains("/porch/image/"))
        .map(|m| m.payload.clone())
        .collect();
    assert!(shown.iter().any(|picture| !eye.is_drawn(picture)));

    let mark = observer.mark();
    door.publish(&t("porch/privacy/set"), b"ON");
    let on = observer.says(mark, &t("porch/privacy"), "ON");
    observer.says(mark, &t("porch/state"), "privacy");
    for key in ["image/live", "image/motion", "image/face"] {
        let what = format!("the card on {key}");
        observer.next(mark, &what, |m| m.topic == t(&format!("porch/{key}")) && eye.is_drawn(&m.payload));
    }
    for (key, text) in [
        ("motion", "OFF"),
        ("person/barack", "OFF"),
        ("person/unknown", "OFF"),
        ("faces/present", "nobody"),
        ("status", "online"),
    ] {
        until(&format!("{key} is {text}"), || {
            (observer.last(&t(&format!("porch/{key}"))).as_deref() == Some(text)).then_some(())
        });
    }
    // As long as the film: it would show somebody by now.
    std::thread::sleep(Duration::from_secs(5));
    door.publish("homeassistant/status", b"online");
    std::thread::sleep(Duration::from_secs(6));
    for message in observer.since(on) {
        // That privacy is on, and that motion is over with it.
        let tells_privacy = message.topic == t("porch/event/camera")
            || message.topic == t("porch/event/motion") && message.json()["event_type"] == "end";
        let is_event = message.topic.starts_with(&t("porch/event/"));
        assert!(tells_privacy || !is_event, "an event in private: {message}");
        assert!(
            !message.topic.contains("/porch/image/") || eye.is_drawn(&message.payload),
            "a picture in private: {message}"
        );
        assert!(!message.topic.contains("/person/") || message.text() == "OFF", "{message}");
    }
    let (status, still) = home.get("/api/cameras/porch/snapshot.jpg");
    assert!(status == 503 && eye.is_drawn(&still), "{status}");
    // Privacy is about now: what was kept before stays until it is deleted, and nothing comes to it.
    assert_eq!(home.get(&event).0, 200, "the picture of an earlier event");
    let kept = home.get_json("/api/events?camera=porch&limit=2");
    assert_eq!(
        (&kept["events"][0]["event_type"], &kept["events"][0]["image"]),
        (&json!("privacy_on"), &Value::Null)
    );
    assert!(home.state().recent.iter().all(|event| event.picture.is_none()));

    let mark = observer.mark();
    door.publish(&t("porch/privacy/set"), b"OFF");
    observer.says(mark, &t("porch/state"), "running");
    observer.next(mark, "a real picture", |m| m.topic == t("porch/image/live") && !eye.is_drawn(&m.payload));
    let (status, still) = home.get("/api/cameras/porch/snapshot.jpg");
    assert!(status == 200 && !eye.is_drawn(&still));
    somebody_is_seen(observer, mark);
}
