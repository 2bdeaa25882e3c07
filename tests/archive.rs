//! The archive as a process: killed at any moment, and doing nothing while nothing happens.
//!
//! Not here: what it keeps and lists (`src/archive/tests.rs`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use doorward::archive::{Archive, Limits, Order, run};
use doorward::jpeg;
use doorward::logic::command::Answer;
use doorward::logic::history::{Addition, Entry, Query, Request};
use doorward::logic::kept_file::{KeptFile, path};
use doorward::logic::problem::Problem;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use ulid::Ulid;

/// Tells the other half where the archive is, and from which number on it may name events.
const TASK: &str = "DOORWARD_ARCHIVE_TASK";
const LIMITS: Limits = Limits { keep_days: 0, keep_count: u64::MAX, keep_bytes: u64::MAX, min_free_bytes: 0 };
const ROUNDS: u64 = 100;

fn id(number: u64) -> String {
    Ulid::from_parts(1_767_323_045_000 + number, u128::from(number)).to_string()
}

fn entry(number: u64) -> Entry {
    let gray = (number % 256) as u8;
    let noise = (0..3 * 320 * 240).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 27) as u8 ^ gray);
    let picture = jpeg::encode_rgb(320, 240, &noise.collect::<Vec<_>>(), 80).unwrap();
    Entry {
        id: id(number),
        ts: Timestamp::from_millisecond(1_767_323_045_000 + number as i64).unwrap(),
        sort: "motion",
        event_type: "start",
        camera: Some("porch".into()),
        person: None,
        record: Map::from_iter([("number".into(), json!(number))]),
        picture: Some(picture),
        tell: vec!["phone".into()],
    }
}

/// An archive in a thread of its own, as in the appliance.
struct Running {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn open(folder: &Path) -> Running {
        let (archive, news) = Archive::open(folder, LIMITS).unwrap();
        assert_eq!(news, None);
        let (orders, taken) = mpsc::channel();
        let thread = std::thread::spawn(move || run(archive, taken, drop, drop));
        Running { orders: Some(orders), thread: Some(thread) }
    }

    fn send(&self, order: Order) {
        self.orders.as_ref().unwrap().send(order).unwrap();
    }

    fn ask(&self, request: Request) -> Result<Answer, Problem> {
        let (reply, answer) = mpsc::channel();
        self.send(Order::Ask(request, Box::new(move |answer| reply.send(answer).unwrap())));
        answer.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    fn all(&self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let query = Query { limit: 500, offset: events.len(), ..Query::default() };
            let Ok(Answer::Data(page)) = self.ask(Request::List(query)) else { panic!("no list") };
            events.extend(page["events"].as_array().unwrap().iter().cloned());
            if page["total"].as_u64() == Some(events.len() as u64) {
                return events;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.orders = None;
        self.thread.take().unwrap().join().unwrap();
    }
}

fn spawn(half: &str, folder: &Path, from: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", half, "--nocapture"])
        .env(TASK, format!("{from}:{}", folder.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn task() -> Option<(u64, PathBuf)> {
    let task = std::env::var(TASK).ok()?;
    let (from, folder) = task.split_once(':').unwrap();
    Some((from.parse().unwrap(), folder.into()))
}

/// Prints what was acknowledged, and what may be gone before it asks for that.
#[test]
#[ignore = "the other half of nothing_acknowledged_is_lost_by_a_kill"]
fn writer() {
    let Some((from, folder)) = task() else { return };
    let archive = Running::open(&folder);
    let say = |word: &str, number: u64| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\n{word} {number}").unwrap();
        out.flush().unwrap();
    };
    say("ready", 0);
    for number in from.. {
        archive.send(Order::Keep(entry(number)));
        match number % 8 {
            // Several events in one batch, one of them with what follows later.
            0 | 1 | 4 => continue,
            2 => {
                let best = entry(number + 7).picture;
                let fields = Map::from_iter([("duration_s".into(), json!(3))]);
                archive.send(Order::Add { id: id(number - 1), addition: Addition { fields, best } });
            }
            5 => {
                let file = folder.with_extension("clip");
                std::fs::write(&file, vec![1; 10_000]).unwrap();
                archive.send(Order::Clip { id: id(number - 1), file, fields: Map::new() });
            }
            7 => {
                say("deleted", number - 7);
                archive.ask(Request::Delete(id(number - 7))).unwrap();
            }
            _ => {}
        }
        archive.ask(Request::Get(id(number))).unwrap();
        let batch = match number % 8 {
            2 => 3,
            5 => 2,
            _ => 1,
        };
        (number + 1 - batch..=number).for_each(|number| say("kept", number));
    }
}

/// A generator with a known sequence (xorshift64*), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    let seed =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    let dir = tempfile::TempDir::new().unwrap();
    let folder = dir.path().join("events");
    let (mut kept, mut deleted) = (BTreeSet::new(), BTreeSet::new());
    let (mut checked, mut from) = (BTreeSet::new(), 8);
    for round in 0..ROUNDS {
        // Every other time right at the start, when files are being made for the first time.
        let wait = Duration::from_micros(random.below(if round % 2 == 0 { 60_000 } else { 250_000 }));
        let mut child = spawn("writer", &folder, from);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "ready 0"), "seed {seed}, round {round}: it did not open");
        std::thread::sleep(wait);
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            match line.unwrap().split_once(' ') {
                Some(("kept", number)) => drop(kept.insert(number.parse::<u64>().unwrap())),
                Some(("deleted", number)) => drop(deleted.insert(number.parse::<u64>().unwrap())),
                Some(_) | None => {}
            }
        }
        // Before the archive is opened again and mends anything.
        assert_whole(&folder, &mut checked, &format!("seed {seed}, round {round}"));
        let archive = Running::open(&folder);
        let events = archive.all();
        let place = format!("seed {seed}, round {round}, {} events", events.len());
        let found: BTreeSet<u64> = events.iter().map(|event| event["number"].as_u64().unwrap()).collect();
        let lost: Vec<_> = kept.iter().filter(|number| !found.contains(number)).collect();
        assert!(lost.iter().all(|number| deleted.contains(number)), "{place}: {lost:?} are lost");
        for event in &events {
            assert_true(&folder, event, &place);
        }
        assert_eq!(files(&folder).len(), named(&events), "{place}: every file belongs to an event");
        from = found.last().map_or(8, |last| last / 8 * 8 + 8);
    }
    assert!(kept.len() as u64 > ROUNDS, "only {} events were kept in {ROUNDS} rounds", kept.len());
    assert!(!deleted.is_empty());
    println!("{} events acknowledged, {} deleted", kept.len(), deleted.len());
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let days = std::fs::read_dir(folder).unwrap().map(|day| day.unwrap().path()).filter(|day| day.is_dir());
    days.flat_map(|day| std::fs::read_dir(day).unwrap().map(|file| file.unwrap().path())).collect()
}

/// No file under a final name is half; each is looked at once.
fn assert_whole(folder: &Path, checked: &mut BTreeSet<PathBuf>, place: &str) {
    for file in files(folder) {
        let is_final = file.extension().is_some_and(|ending| ending != "tmp");
        if is_final && checked.insert(file.clone()) {
            let bytes = std::fs::read(&file).unwrap();
            let is_clip = file.extension().is_some_and(|ending| ending == "mp4");
            let is_whole = if is_clip { bytes.len() == 10_000 } else { jpeg::decode_rgb(&bytes).is_ok() };
            assert!(is_whole, "{place}: {} is half", file.display());
        }
    }
}

/// An event has the files that its record names, and no other.
fn assert_true(folder: &Path, event: &Value, place: &str) {
    let id = event["id"].as_str().unwrap();
    for (kind, is_named) in [
        (KeptFile::Picture, event["image"]["path"].is_string()),
        (KeptFile::Thumbnail, event["thumbnail"].is_string()),
        (KeptFile::Best, event["best"].is_string()),
        (KeptFile::Clip, event["clip"]["path"].is_string()),
    ] {
        let exists = path(folder, id, kind).unwrap().exists();
        assert_eq!(exists, is_named, "{place}: {kind:?} of {event}");
    }
    assert!(event["image"].is_object(), "{place}: no picture was lost: {event}");
}

fn named(events: &[Value]) -> usize {
    let keys = ["image", "thumbnail", "best", "clip"];
    events.iter().map(|event| keys.iter().filter(|key| !event[**key].is_null()).count()).sum()
}

#[test]
fn nothing_is_written_while_nothing_happens() {
    let dir = tempfile::TempDir::new().unwrap();
    let child = spawn("idler", &dir.path().join("events"), 0);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let written: Vec<_> = said.lines().filter(|line| line.starts_with("written")).collect();
    assert_eq!(written, ["written wchar 0, write_bytes 0"], "{said}");
}

#[test]
#[ignore = "the other half of nothing_is_written_while_nothing_happens"]
fn idler() {
    let Some((_, folder)) = task() else { return };
    let archive = Running::open(&folder);
    (1..=50).for_each(|number| archive.send(Order::Keep(entry(number))));
    assert_eq!(archive.all().len(), 50);
    let before = written();
    std::thread::sleep(Duration::from_secs(3));
    let after = written();
    println!("\nwritten wchar {}, write_bytes {}", after.0 - before.0, after.1 - before.1);
}

/// Bytes that this process wrote: through system calls, and towards the disk.
fn written() -> (u64, u64) {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    let field = |name: &str| -> u64 {
        io.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().parse().unwrap()
    };
    (field("wchar:"), field("write_bytes:"))
}

#[test]
fn orders_are_carried_out_and_the_last_are_written_at_the_end() {
    let dir = tempfile::TempDir::new().unwrap();
    let folder = dir.path().join("events");
    let archive = Running::open(&folder);
    archive
        .send(Order::Keep(Entry { picture: Some(Bytes::from_static(b"\xff\xd8 no picture")), ..entry(1) }));
    archive.send(Order::Keep(entry(2)));
    let (reply, answer) = mpsc::channel();
    archive.send(Order::Recall(id(2), Box::new(move |kept| reply.send(kept).unwrap())));
    let kept = answer.recv_timeout(Duration::from_secs(10)).unwrap().unwrap();
    assert_eq!((kept.record["number"].clone(), kept.picture), (json!(2), entry(2).picture));
    // A reply that panics ends nothing.
    archive.send(Order::Ask(Request::Get(id(1)), Box::new(|_| panic!("on purpose"))));
    archive.send(Order::Keep(Entry { person: Some("anna".into()), ..entry(3) }));
    archive.send(Order::Forget("anna".into()));
    assert_eq!(archive.all().len(), 2);
    archive.send(Order::Keep(entry(4)));
    let begin = Instant::now();
    drop(archive);
    assert!(begin.elapsed() < Duration::from_secs(1), "it does not wait for company at the end");
    assert_eq!(Running::open(&folder).all().len(), 3);
    assert!(matches!(Running::open(&folder).ask(Request::Get("x".into())), Err(Problem::NotFound { .. })));
}
