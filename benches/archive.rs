//! What events cost: storing them with pictures of 100 kB, bytes written for each, and lists out of up to a million.
//!
//! `cargo bench --bench archive` prints medians; numbers for people, nothing is asserted. It takes a minute and about
//! a gigabyte below the folder for temporary files (TMPDIR), whose disk is the one that is measured.
#![allow(clippy::print_stdout, reason = "printing is what a benchmark is for")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use doorward::archive::{Archive, Limits};
use doorward::jpeg;
use doorward::logic::history::{Entry, Query, Request};
use doorward::logic::input::Now;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, json};
use ulid::Ulid;

const LIMITS: Limits = Limits { keep_days: 0, keep_count: u64::MAX, keep_bytes: u64::MAX, min_free_bytes: 0 };
/// 2026-01-01T00:00:00Z; an event every ten seconds makes a million of them four months.
const BEGIN_MS: u64 = 1_767_225_600_000;
const APART_MS: u64 = 10_000;

fn main() {
    let folder = std::env::temp_dir().join(format!("doorward-archive-bench-{}", std::process::id()));
    store(&folder.join("pictures"));
    lists(&folder.join("lists"));
    if let Err(error) = std::fs::remove_dir_all(&folder) {
        println!("{} stays: {error}", folder.display());
    }
}

fn store(folder: &std::path::Path) {
    let picture = photo();
    let (mut archive, _) =
        Archive::open(folder, LIMITS).expect("the folder for temporary files can be written");
    let mut batches = Vec::new();
    let (began, before) = (Instant::now(), written());
    const EVENTS: u64 = 32 * 20;
    for number in 0..EVENTS {
        let begin = Instant::now();
        // The thirty-second writes the batch.
        archive.keep(now(), Entry { picture: Some(picture.clone()), ..entry(number) });
        if number % 32 == 31 {
            batches.push(begin.elapsed());
        }
    }
    let (lasted, bytes) = (began.elapsed().as_secs_f64(), written() - before);
    println!(
        "store: {:.0} events a second with pictures of {} kB, median {:.1} ms a batch of 32, {} kB written an event",
        EVENTS as f64 / lasted,
        picture.len() / 1000,
        median(batches),
        bytes / EVENTS / 1000
    );
    let before = written();
    for number in EVENTS..EVENTS + 320 {
        archive.keep(now(), entry(number));
    }
    println!("store: {:.1} kB written an event without a picture", (written() - before) as f64 / 320_000.0);
}

fn lists(folder: &std::path::Path) {
    println!("list, median ms  |     1 000 |   100 000 | 1 000 000");
    let (mut archive, _) =
        Archive::open(folder, LIMITS).expect("the folder for temporary files can be written");
    let (mut kept, mut columns) = (0, Vec::new());
    let mut open = Vec::new();
    for size in [1000, 100_000, 1_000_000] {
        drop(archive);
        fill(folder, kept..size).expect("the database was just made");
        let begin = Instant::now();
        archive = Archive::open(folder, LIMITS).expect("it was opened before").0;
        open.push(1000.0 * begin.elapsed().as_secs_f64());
        kept = size;
        columns.push(queries(size).map(|(_, query)| ask(&mut archive, &Request::List(query))));
    }
    for (row, (name, _)) in queries(0).into_iter().enumerate() {
        println!("{name:16} | {:9.2} | {:9.2} | {:9.2}", columns[0][row], columns[1][row], columns[2][row]);
    }
    println!("open             | {:9.0} | {:9.0} | {:9.0}", open[0], open[1], open[2]);
    let size = std::fs::metadata(folder.join("events.sqlite")).map_or(0, |file| file.len());
    println!("a million events: database {} MB, resident memory {} MB", size / 1_000_000, rss_mb());
}

/// Puts rows into the closed archive as it would itself, but without waiting for the disk after each batch.
fn fill(folder: &std::path::Path, numbers: std::ops::Range<u64>) -> rusqlite::Result<()> {
    let mut db = rusqlite::Connection::open(folder.join("events.sqlite"))?;
    let change = db.transaction()?;
    {
        let mut event = change.prepare("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0, 0)")?;
        let mut record = change.prepare("INSERT INTO records VALUES (?1, ?2)")?;
        for number in numbers {
            let Entry { id, ts, sort, event_type, camera, person, record: shown, .. } = entry(number);
            let seq = number as i64 + 1;
            event.execute(rusqlite::params![
                seq,
                id,
                ts.as_millisecond(),
                sort,
                event_type,
                camera,
                person
            ])?;
            record.execute(rusqlite::params![seq, serde_json::Value::Object(shown).to_string()])?;
        }
    }
    change.commit()
}

fn queries(size: u64) -> [(&'static str, Query); 6] {
    let all = Query::default;
    let at = |number: u64| Timestamp::from_millisecond((BEGIN_MS + APART_MS * number) as i64).ok();
    let camera = || Some("gate".to_owned());
    [
        ("newest 50", all()),
        ("offset 90 %", Query { offset: size as usize / 10 * 9, ..all() }),
        ("camera", Query { camera: camera(), ..all() }),
        ("person", Query { person: Some("anna".into()), ..all() }),
        ("type and camera", Query { types: vec!["face".into()], camera: camera(), ..all() }),
        ("one day", Query { from: at(size / 2), to: at(size / 2 + 8640), ..all() }),
    ]
}

fn ask(archive: &mut Archive, request: &Request) -> f64 {
    let times = (0..21).map(|_| {
        let begin = Instant::now();
        archive.ask(now(), &TimeZone::UTC, request).expect("the archive was just written");
        begin.elapsed()
    });
    median(times.collect())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| 1000.0 * time.as_secs_f64())
}

/// Two thirds motion, one third faces, of four cameras.
fn entry(number: u64) -> Entry {
    let is_face = number.is_multiple_of(3);
    let (sort, event_type) = if is_face { ("face", "known") } else { ("motion", "start") };
    let ts = BEGIN_MS + APART_MS * number;
    let record = json!({
        "v": 1, "event_type": event_type, "sort": sort, "title": "Motion at the front door", "notify": true,
        "latency": {"capture_to_event_ms": 84}, "area_pct": 3.25, "ts": "2026-01-01T00:00:00.000Z", "live": true,
    });
    Entry {
        id: Ulid::from_parts(ts, u128::from(number)).to_string(),
        ts: Timestamp::from_millisecond(ts as i64).expect("a time of this century"),
        sort,
        event_type,
        camera: Some(["porch", "gate", "yard", "shed"][number as usize % 4].into()),
        person: is_face.then(|| ["anna", "bert", "carl"][number as usize / 3 % 3].into()),
        record: record.as_object().cloned().unwrap_or_else(Map::new),
        picture: None,
        tell: Vec::new(),
    }
}

/// About 100 kB, as 720p of a garden has.
fn photo() -> Bytes {
    let (width, height) = (1280, 720);
    let mut random = 7u32;
    let mut rgb = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let gray = 60 + (x * y / 4096) % 100;
            rgb.extend([gray as u8 + (random >> 24) as u8 % 14; 3]);
        }
    }
    jpeg::encode_rgb(width, height, &rgb, 80).expect("the size is valid")
}

/// Bytes towards the disk by this process.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let field = io.lines().find_map(|line| line.strip_prefix("write_bytes:"));
    field.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

fn rss_mb() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident = pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    resident.unwrap_or(0) * 4096 / 1_000_000
}

fn now() -> Now {
    Now { instant: Instant::now(), wall: Timestamp::now() }
}
