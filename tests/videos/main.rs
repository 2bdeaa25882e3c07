//! Videos made of photographs, played to the whole appliance, each with the list of events that must follow.
//!
//! A scene is a row of [`SCENES`]: its name, what is painted, the events that must come, each once, and those that may. To add one,
//! add a row. All cameras run in one appliance; a clip ends with a bird along the upper edge, and what was told until the bird is judged.
//! Not here: how clips are painted (`film`).

#![allow(clippy::unwrap_used, reason = "a test may stop where its own ground is missing")]
#![allow(clippy::print_stdout, reason = "figures of a run, shown with --nocapture")]

mod film;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../appliance/kit.rs"]
mod kit;
#[path = "../rig/log.rs"]
mod log;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../appliance/observer.rs"]
mod observer;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use film::{Light, Scene, blurred, cutout, framed, from_behind, lay, part, plate, walk};
use kit::{Home, t, wait_for_log};
use observer::{Message, Observer};

/// One clip and what must follow from it.
struct Row {
    name: &'static str,
    scene: fn() -> Scene,
    light: Light,
    /// Events that must come, each once, in any order; with the person where there is one.
    must: &'static [&'static str],
    /// Events that may come, any number of them.
    may: &'static [&'static str],
    /// Further settings of the camera.
    sets: &'static [&'static str],
}

const PLAIN: Row =
    Row { name: "", scene: || Box::new(|_, _| {}), light: Light::Day, must: &[], may: &[], sets: &[] };
const UNSURE: &[&str] = &["unsure", "left"];
const BARACK: &str = "walker-known";
const STRANGER: &str = "walker-stranger";
/// Heads of so many rows of a cutout are 90 pixels wide, a little more than at a door two metres away.
const NEAR: u32 = 300;

const SCENES: [Row; 10] = [
    Row {
        name: "walks_by",
        scene: || {
            let barack = cutout(BARACK, NEAR);
            Box::new(move |canvas, at| walk(canvas, &barack, at, true))
        },
        must: &["known barack", "left barack"],
        ..PLAIN
    },
    Row {
        name: "too_small",
        scene: || {
            // A face of 27 pixels.
            let barack = cutout(BARACK, 90);
            Box::new(move |canvas, at| walk(canvas, &barack, at, true))
        },
        ..PLAIN
    },
    Row {
        name: "stranger",
        scene: || {
            let stranger = cutout(STRANGER, NEAR);
            Box::new(move |canvas, at| walk(canvas, &stranger, at, false))
        },
        must: &["unknown", "left"],
        ..PLAIN
    },
    Row {
        name: "cat",
        scene: || {
            let cat = part("tests/data/faces/nonface/chelsea.png", [0.0, 0.0, 1.0, 1.0], 330);
            Box::new(move |canvas, at| walk(canvas, &cat, at, false))
        },
        ..PLAIN
    },
    Row {
        name: "two_cross",
        scene: || {
            let (barack, stranger) = (cutout(BARACK, NEAR), cutout(STRANGER, 280));
            Box::new(move |canvas, at| {
                walk(canvas, &stranger, at, false);
                walk(canvas, &barack, at, true);
            })
        },
        must: &["known barack", "left barack", "unknown", "left"],
        ..PLAIN
    },
    Row {
        name: "television",
        scene: || {
            // What is shown, the part of it, how wide, and how far from the left edge of the screen.
            let programme = [
                ("known/obama/4.jpg", [0.2, 0.05, 0.6, 0.52], 200, 0.0),
                ("single/biden.jpg", [0.3, 0.0, 0.6, 0.26], 140, 70.0),
                ("known/macron/2.jpg", [0.1, 0.0, 0.8, 0.64], 150, 10.0),
                ("single/hopper.jpg", [0.25, 0.1, 0.5, 0.43], 110, 90.0),
            ];
            let shows = programme.map(|(file, cut, width, left)| {
                (part(&format!("tests/data/faces/{file}"), cut, width), left)
            });
            let screen = plate(220, 220, [12, 12, 16]);
            let behind = from_behind(cutout(BARACK, NEAR));
            Box::new(move |canvas, at| {
                walk(canvas, &behind, at, true);
                // Another face each 0.75 s, also while nothing else happens.
                let (show, left) = &shows[(at * 8.0).floor().rem_euclid(shows.len() as f32) as usize];
                lay(canvas, &screen, 400.0, 90.0);
                lay(canvas, show, 405.0 + left, 100.0);
            })
        },
        sets: &["motion.masks=[[0.61, 0.16, 0.38, 0.5]]"],
        ..PLAIN
    },
    Row {
        name: "night",
        scene: || {
            let barack = cutout(BARACK, NEAR);
            Box::new(move |canvas, at| walk(canvas, &barack, at, true))
        },
        light: Light::Night,
        may: &["known barack", "left barack", "unsure", "left"],
        ..PLAIN
    },
    Row {
        name: "on_the_wall",
        scene: || {
            // One portrait of somebody enrolled, one of a stranger; a third person walks by, seen from behind.
            let known = framed(&part("tests/data/faces/known/obama/4.jpg", [0.2, 0.05, 0.6, 0.7], 110));
            let stranger = framed(&part("tests/data/faces/single/collins.jpg", [0.25, 0.0, 0.42, 0.4], 130));
            let behind = from_behind(cutout(BARACK, 360));
            Box::new(move |canvas, at| {
                lay(canvas, &known, 120.0, 150.0);
                lay(canvas, &stranger, 400.0, 160.0);
                walk(canvas, &behind, at, true);
            })
        },
        ..PLAIN
    },
    Row {
        name: "gets_up",
        scene: || {
            // Sits there when the camera comes up, and looks like a picture on the wall, until he goes.
            let barack = cutout(BARACK, NEAR);
            Box::new(move |canvas, at| {
                let left = 200.0 + 600.0 * at.clamp(0.0, 1.0);
                lay(canvas, &barack, left, 186.0);
            })
        },
        must: &["known barack", "left barack"],
        // The wall behind him is new to the camera.
        sets: &["motion.learning_time=2"],
        ..PLAIN
    },
    Row {
        name: "motion_blur",
        scene: || {
            let barack = blurred(&cutout(BARACK, NEAR), 30);
            Box::new(move |canvas, at| walk(canvas, &barack, at, true))
        },
        may: UNSURE,
        ..PLAIN
    },
];

/// So many clips have their action at the same time; the others come later, for the machine has few cores.
const AT_ONCE: usize = 2;

/// Who is enrolled, with other photographs than those in the clips.
const PEOPLE: [(&str, &[&str]); 2] =
    [("Barack", &["obama/1.jpg", "obama/2.jpg", "obama/3.jpg"]), ("Jacinda", &["ardern/2.jpg"])];

fn enrol(folder: &Path) {
    for (name, photos) in PEOPLE {
        let person = folder.join(name);
        std::fs::create_dir_all(&person).unwrap();
        for (number, photo) in photos.iter().enumerate() {
            let from = film::file("tests/data/faces/known").join(photo);
            std::fs::copy(from, person.join(format!("{number}.jpg"))).unwrap();
        }
    }
}

/// Paints all clips, on two threads.
fn shoot(rows: &[&Row], folder: &Path) {
    let began = Instant::now();
    std::thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || {
                for (at, row) in rows.iter().enumerate().filter(|(at, _)| at % 2 == half) {
                    let wait_secs = (at / AT_ONCE) as u32 * film::ACTION_SECS;
                    film::shoot(&folder.join(row.name), &(row.scene)(), row.light, wait_secs);
                }
            });
        }
    });
    println!("{} clips were painted in {:?}", rows.len(), began.elapsed());
}

fn settings(rows: &[&Row], place: &Path) -> Vec<String> {
    let mut sets = vec![
        format!("faces.folder={}", place.join("faces").display()),
        "faces.unknown_grace=2".into(),
        "mqtt.picture_interval=60".into(),
    ];
    for row in rows {
        let clip = place.join("clips").join(row.name);
        let own =
            [format!("source=file:{}", clip.display()), format!("fps={}", film::FPS), "motion.hold=1".into()];
        let more = row.sets.iter().map(|set| (*set).to_owned());
        sets.extend(own.into_iter().chain(more).map(|set| format!("cameras.{}.{set}", row.name)));
    }
    sets
}

#[test]
fn every_scene_has_the_events_that_it_must_have() {
    let wanted = std::env::var("DOORWARD_SCENE").ok();
    let rows: Vec<&Row> =
        SCENES.iter().filter(|row| wanted.as_deref().is_none_or(|name| name == row.name)).collect();
    let place = tempfile::tempdir().unwrap();
    let limit = longest_wait_ms();
    shoot(&rows, &place.path().join("ready"));
    enrol(&place.path().join("faces"));
    let sets = settings(&rows, place.path());
    let home = Home::embedded(&sets.iter().map(String::as_str).collect::<Vec<_>>());
    let observer = Observer::new(&home.door());
    wait_for_log(&["people enrolled: Barack, Jacinda"]);
    // Only now the cameras find their clips, so that none begins before somebody is enrolled.
    std::fs::rename(place.path().join("ready"), place.path().join("clips")).unwrap();
    let mut faults = Vec::new();
    let mut latencies = Vec::new();
    for row in &rows {
        let (_, end) =
            observer.next_within(Duration::from_secs(75), 0, &format!("the bird at {}", row.name), |m| {
                is_bird(m, row.name)
            });
        let seen = &observer.all()[..end];
        let events: Vec<_> = seen
            .iter()
            .filter(|m| m.topic == t(&format!("{}/event/face", row.name)))
            .map(Message::json)
            .collect();
        println!("{}: {}", row.name, summary(&events));
        faults.extend(judge(row, &events).into_iter().chain(presence(row, seen)));
        let known = events.iter().filter(|event| event["event_type"] == "known");
        latencies.extend(known.filter_map(|event| event["latency"]["capture_to_name_ms"].as_u64()));
    }
    latencies.sort_unstable();
    println!("from the first usable frame to the name, ms: {latencies:?}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let median = median(&latencies);
    println!("median {median:?} ms, {limit} allowed");
    assert!(median.is_none_or(|median| median <= limit), "names come late: {latencies:?} ms");
}

fn median(sorted: &[u64]) -> Option<u64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    Some((upper + sorted[(sorted.len() - 1) / 2]) / 2)
}

/// From the first usable frame to the name: a second, and two where other programs keep all cores busy already.
fn longest_wait_ms() -> u64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let last_minute: f64 = load.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let busy = last_minute > cores as f64;
    println!("load {last_minute} on {cores} cores{}", if busy { ": too busy to be quick" } else { "" });
    if busy { 2000 } else { 1000 }
}

/// Motion begins above everything else.
fn is_bird(message: &Message, camera: &str) -> bool {
    if message.topic != t(&format!("{camera}/event/motion")) {
        return false;
    }
    let body = message.json();
    let Some(boxes) = body["boxes"].as_array().filter(|_| body["event_type"] == "start") else {
        return false;
    };
    let lowest =
        boxes.iter().filter_map(|rect| Some(rect[1].as_f64()? + rect[3].as_f64()?)).fold(0.0, f64::max);
    !boxes.is_empty() && lowest <= film::SKY
}

/// `known barack`, `unknown` …
fn told(event: &serde_json::Value) -> String {
    let kind = event["event_type"].as_str().unwrap();
    event["person"].as_str().map_or_else(|| kind.to_owned(), |person| format!("{kind} {person}"))
}

fn summary(events: &[serde_json::Value]) -> String {
    let line = |event: &serde_json::Value| {
        let (score, frames, ms) =
            (&event["score"], &event["frames"], &event["latency"]["capture_to_name_ms"]);
        format!("{} ({} score {score}, {frames} frames, {ms} ms)", told(event), event["rule"])
    };
    if events.is_empty() { "nothing".into() } else { events.iter().map(line).collect::<Vec<_>>().join(", ") }
}

fn judge(row: &Row, events: &[serde_json::Value]) -> Vec<String> {
    let mut faults = Vec::new();
    let told: Vec<String> = events.iter().map(told).collect();
    for must in row.must {
        let times = told.iter().filter(|told| told == must).count();
        if times != 1 {
            faults.push(format!("{}: {must:?} was told {times} times; all: {told:?}", row.name));
        }
    }
    let others = told.iter().filter(|told| !row.must.contains(&told.as_str()));
    for other in others.filter(|told| !row.may.contains(&told.as_str())) {
        faults.push(format!("{}: {other:?} must not be told; all: {}", row.name, summary(events)));
    }
    faults
}

/// Whoever was named was ON and is OFF again, and nobody else was ever ON.
fn presence(row: &Row, seen: &[Message]) -> Vec<String> {
    let prefix = t(&format!("{}/person/", row.name));
    let on: BTreeSet<&str> =
        seen.iter().filter(|m| m.text() == "ON").filter_map(|m| m.topic.strip_prefix(&prefix)).collect();
    let people = |events: &[&'static str]| -> BTreeSet<&str> {
        let who = |event: &&'static str| {
            event.strip_prefix("known ").or((*event == "unknown").then_some("unknown"))
        };
        events.iter().filter_map(who).collect()
    };
    let (must, may) = (people(row.must), people(row.may));
    let mut faults = Vec::new();
    if !must.is_subset(&on) || on.iter().any(|who| !must.contains(who) && !may.contains(who)) {
        faults.push(format!("{}: ON were {on:?}, must be {must:?} and may be {may:?}", row.name));
    }
    for who in on {
        let last = seen.iter().rev().find(|m| m.topic == format!("{prefix}{who}"));
        if last.is_some_and(|m| m.text() != "OFF") {
            faults.push(format!("{}: {who} is still ON at the end", row.name));
        }
    }
    faults
}
