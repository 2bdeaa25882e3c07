//! The privacy switch against the program itself: the file is closed, every way to a picture shows the card, and nothing of it is lost
//! when the power is cut in the next moment.
//!
//! Not here: the device node of a USB camera (`examples/v4l2_probe.rs`), and what is told of a switch ([`super::camera`]).

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::camera::{Eye, film};
use crate::kit::{Seat, free_port, http, http_get, status, t, until};
use crate::observer::{Door, Message, Observer, PATIENCE};
use crate::process::{Running, folder};

/// A card has to be seen by then.
const SOON: Duration = Duration::from_secs(1);
/// How long nothing may follow: several rounds of every timer that sends pictures.
const LONG: Duration = Duration::from_secs(3);
const STILL: &str = "/api/cameras/porch/snapshot.jpg";
const SWITCH: &str = "/api/cameras/porch/entities/privacy";

/// The program with a film in one file as its camera.
struct House {
    running: Running,
    page: SocketAddr,
    door: Door,
    key: String,
}

impl House {
    fn start(place: &Path, page: u16, broker: u16) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.current_dir(place).env_clear().env("PATH", "/usr/bin:/bin");
        command.arg("--data-dir").arg(place.join("data"));
        for set in [
            "node.id=n1".into(),
            format!("http.bind=127.0.0.1:{page}"),
            format!("broker.bind=127.0.0.1:{broker}"),
            format!("cameras.porch.source=file:{}", place.join("clip.mjpeg").display()),
            "cameras.porch.fps=10".into(),
            "cameras.porch.motion.hold=1".into(),
            "mqtt.picture_interval=0.5".into(),
            "clips.format=mjpeg".into(),
            "clips.pre_roll=20".into(),
            "clips.post_roll=0".into(),
        ] {
            command.args(["--set", &set]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let running = Running::start(command);
        let page = SocketAddr::from(([127, 0, 0, 1], page));
        let secrets = until("the secrets", || {
            let text = std::fs::read(place.join("data/secrets.json")).ok()?;
            TcpStream::connect(page).ok()?;
            serde_json::from_slice::<Value>(&text).ok()
        });
        let secret = |secret: &Value| secret.as_str().expect("a secret").to_owned();
        let door = Door {
            port: broker,
            user: "homeassistant".into(),
            password: secret(&secrets["broker"]["homeassistant"]),
        };
        Self { running, page, door, key: secret(&secrets["http_token"]) }
    }

    fn get(&self, path: &str) -> (u16, Vec<u8>) {
        http_get(self.page, path, &self.key)
    }

    /// Switches privacy; returns when it was asked, once it is answered.
    fn switch(&self, on: bool) -> Instant {
        let asked = Instant::now();
        let body = format!("{{\"value\": \"{}\"}}", if on { "ON" } else { "OFF" });
        let (head, body) = http(self.page, &format!("PUT {SWITCH}"), &self.key, "", &body);
        assert_eq!(status(&head), 200, "{}", String::from_utf8_lossy(&body));
        asked
    }

    /// Whether the process has the film open.
    fn has_open(&self, file: &Path) -> bool {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", self.running.0.id())).expect("it runs");
        entries.flatten().any(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == file))
    }

    /// The newest event of that type.
    fn newest(&self, kind: &str) -> Value {
        let (code, body) = self.get("/api/events?camera=porch&limit=50");
        assert_eq!(code, 200);
        let events: Value = serde_json::from_slice(&body).expect("JSON");
        let events = events["events"].as_array().expect("a list");
        events.iter().find(|event| event["event_type"] == kind).cloned().unwrap_or_default()
    }
}

/// Reads a stream in a thread of its own, and notes when which picture came.
struct Watcher(Arc<Mutex<Vec<Part>>>);

/// A picture of a stream, and when it came.
type Part = (Instant, Vec<u8>);

impl Watcher {
    fn new(house: &House, query: &str) -> Self {
        let mut stream = TcpStream::connect(house.page).expect("the page answers");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        let path = format!("/api/cameras/porch/stream.mjpeg{query}");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\n\r\n", house.key)
            .expect("the request is taken");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let book = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut from = BufReader::new(stream);
            while let Some(picture) = next_part(&mut from) {
                book.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), picture));
            }
        });
        Self(seen)
    }

    fn seen(&self) -> Vec<(Instant, Vec<u8>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn next_part(from: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = String::new();
    loop {
        line.clear();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(length) = line.strip_prefix("Content-Length: ") {
            let mut picture = vec![0; length.trim().parse().ok()?];
            from.read_line(&mut String::new()).ok()?;
            from.read_line(&mut String::new()).ok()?;
            from.read_exact(&mut picture).ok()?;
            return Some(picture);
        }
    }
}

fn is_live_picture(eye: &Eye, message: &Message) -> bool {
    message.payload.starts_with(&[0xff, 0xd8]) && !eye.is_drawn(&message.payload)
}

#[test]
fn privacy_is_closed_shown_kept_and_forgets() {
    let _seat = Seat::take();
    let place = folder();
    let pictures = place.path().join("pictures");
    film(&pictures);
    let eye = Eye::new(&pictures);
    let clip = place.path().join("clip.mjpeg");
    let mut names: Vec<_> =
        std::fs::read_dir(&pictures).expect("pictures").flatten().map(|entry| entry.path()).collect();
    names.sort();
    let all: Vec<u8> = names.iter().flat_map(|name| std::fs::read(name).expect("a picture")).collect();
    std::fs::write(&clip, all).expect("a film");
    let (page, broker) = (free_port(), free_port());

    let mut house = House::start(place.path(), page, broker);
    let observer = Observer::new(&house.door);
    observer.says(0, &t("porch/motion"), "ON");
    let old = everything_is_seen(&house, &observer, &eye, &clip);
    let (quick, slow) = (Watcher::new(&house, ""), Watcher::new(&house, "?fps=0.1"));
    for watcher in [&quick, &slow] {
        until("a live picture", || watcher.seen().iter().any(|(_, jpeg)| !eye.is_drawn(jpeg)).then_some(()));
    }
    let mark = observer.mark();
    let asked = house.switch(true);
    let stored = std::fs::read_to_string(place.path().join("data/state.json")).expect("the settings");
    assert!(stored.contains("\"privacy\": \"ON\""), "whoever was answered can rely on it: {stored}");
    everything_is_closed(&house, &eye, &clip, asked);
    the_streams_show_the_card(&eye, &[&quick, &slow], asked);
    mqtt_shows_nothing(&house, &observer, &eye, mark);
    assert_eq!(house.get(&old).0, 200, "the archive is for those who are signed in");
    assert_eq!(http_get(house.page, &old, "wrong").0, 401);
    // Ring and film: what was filmed until now ended here.
    house.switch(false);
    house.switch(true);

    house.running.0.kill().expect("it can be killed");
    house.running.wait(PATIENCE);
    drop((quick, slow, observer));
    let house = House::start(place.path(), page, broker);
    let began = Instant::now();
    let observer = Observer::new(&house.door);
    observer.says(0, &t("porch/state"), "privacy");
    let watcher = Watcher::new(&house, "");
    everything_is_closed(&house, &eye, &clip, began);
    while began.elapsed() < LONG {
        assert!(!house.has_open(&clip), "after a power cut the camera stays closed");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!watcher.seen().is_empty() && watcher.seen().iter().all(|(_, jpeg)| eye.is_drawn(jpeg)));
    assert!(observer.all().iter().all(|message| !is_live_picture(&eye, message)));
    the_next_film_has_nothing_of_before(&house, &observer);
}

/// Every way to a picture works before, so that its end means something. The path of an event's picture.
fn everything_is_seen(house: &House, observer: &Observer, eye: &Eye, clip: &Path) -> String {
    assert!(house.has_open(clip), "the film is open while it plays");
    let (code, still) = house.get(STILL);
    assert!(code == 200 && !eye.is_drawn(&still));
    observer.next(0, "a live picture", |m| m.topic == t("porch/image/live") && is_live_picture(eye, m));
    let (head, body) = http(house.page, "POST /api/cameras/porch/snapshot", &house.key, "", "");
    assert_eq!(status(&head), 202);
    let taken: Value = serde_json::from_slice(&body).expect("JSON");
    let path = taken["path"].as_str().expect("a path").to_owned();
    until("the kept picture", || (house.get(&path).0 == 200).then_some(()));
    path
}

/// The file is closed and stills are the card within a second; from the answer on, no live picture is served.
fn everything_is_closed(house: &House, eye: &Eye, clip: &Path, since: Instant) {
    let (mut closed, mut card) = (None, None);
    while closed.is_none() || card.is_none() {
        let (code, body) = house.get(STILL);
        assert_eq!(code, 503, "a still after privacy was answered");
        let is_picture = body.starts_with(&[0xff, 0xd8]);
        if is_picture {
            assert!(eye.is_drawn(&body), "a live picture after privacy was answered");
            card.get_or_insert_with(|| since.elapsed());
        }
        if !house.has_open(clip) {
            closed.get_or_insert_with(|| since.elapsed());
        }
        assert!(since.elapsed() < PATIENCE, "closed {closed:?}, card {card:?}");
    }
    println!("privacy: file closed after {closed:?}, still is the card after {card:?}");
    assert!(closed < Some(SOON) && card < Some(SOON), "closed {closed:?}, card {card:?}");
}

fn the_streams_show_the_card(eye: &Eye, watchers: &[&Watcher], asked: Instant) {
    std::thread::sleep(LONG.saturating_sub(asked.elapsed()));
    for watcher in watchers {
        let seen = watcher.seen();
        let first = seen.iter().position(|(at, jpeg)| *at > asked && eye.is_drawn(jpeg)).expect("the card");
        let after = seen[first].0 - asked;
        println!("privacy: a stream showed the card after {after:?}");
        assert!(after < SOON, "{after:?}");
        assert!(seen[first..].iter().all(|(_, jpeg)| eye.is_drawn(jpeg)), "a live picture after the card");
    }
}

fn mqtt_shows_nothing(house: &House, observer: &Observer, eye: &Eye, mark: usize) {
    for (key, text) in [("motion", "OFF"), ("faces/present", "nobody"), ("state", "privacy")] {
        until(&format!("{key} is {text}"), || {
            (observer.last(&t(&format!("porch/{key}"))).as_deref() == Some(text)).then_some(())
        });
    }
    let (_, on) = observer.next(mark, "privacy", |m| m.topic == t("porch/privacy") && m.text() == "ON");
    for key in ["image/live", "image/motion", "image/face"] {
        let topic = t(&format!("porch/{key}"));
        observer.next(mark, &format!("the card on {key}"), |m| m.topic == topic && eye.is_drawn(&m.payload));
    }
    let seen = observer.since(on);
    assert!(seen.iter().all(|message| !is_live_picture(eye, message)), "a picture after privacy");
    let kept = house.door.retained();
    assert!(!kept.is_empty() && kept.iter().all(|message| !message.payload.starts_with(&[0xff, 0xd8])));
    let fresh = Observer::new(&house.door);
    std::thread::sleep(SOON);
    let pictures = fresh.all().into_iter().filter(|message| is_live_picture(eye, message)).count();
    assert_eq!(pictures, 0, "a new subscriber gets no picture");
}

/// Twenty seconds before would be in the film, if anything were kept from before; there is only what came since.
fn the_next_film_has_nothing_of_before(house: &House, observer: &Observer) {
    let mark = observer.mark();
    house.switch(false);
    observer.says(mark, &t("porch/state"), "running");
    observer.says(mark, &t("porch/motion"), "ON");
    std::thread::sleep(SOON);
    house.switch(true);
    let opened = house.switch(false);
    observer.says(observer.mark(), &t("porch/motion"), "ON");
    let film = until("a film", || {
        let started = house.newest("start");
        started["clip"]["seconds"].as_f64()
    });
    let open_for = opened.elapsed().as_secs_f64();
    println!("privacy: a film of {film} s, {open_for:.1} s after the camera was opened again");
    assert!(film > 0.5 && film < open_for, "{film} s of film, but the camera is open for {open_for:.1} s");
}
