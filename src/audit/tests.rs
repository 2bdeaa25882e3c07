//! The log on a real disk, with time as an argument.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::book::{Book, FILE};
use crate::logic::audit::{Entry, Kind, Level, MOST_KEPT, MOST_STRANGERS, Query, Request};
use crate::logic::input::Now;

/// A clock of which both hands go alike.
#[derive(Clone, Copy)]
struct Clock(Now);

impl Clock {
    fn new() -> Self {
        Self(Now { instant: Instant::now(), wall: "2026-01-01T00:00:00Z".parse().unwrap() })
    }

    fn after(self, time: Duration) -> Now {
        let wall = self.0.wall.checked_add(SignedDuration::try_from(time).unwrap()).unwrap();
        Now { instant: self.0.instant + time, wall }
    }
}

fn entry(ts: Timestamp, kind: Kind, address: &str, text: &str) -> Entry {
    let level = if kind.is_of_strangers() { Level::Warning } else { Level::Info };
    let (user, alert) = (if kind == Kind::Change { "anna" } else { "" }.to_owned(), kind == Kind::Attack);
    Entry { ts, level, kind, alert, user, address: address.into(), text: text.into() }
}

fn list(book: &mut Book, now: Now, body: Value) -> Value {
    let request = Request::parse("list", body.as_object().unwrap()).unwrap();
    book.ask(now, &request).unwrap()
}

fn texts(answer: &Value) -> Vec<&str> {
    answer["entries"].as_array().unwrap().iter().map(|entry| entry["text"].as_str().unwrap()).collect()
}

fn written_bytes(folder: &Path) -> Vec<(String, u64, std::time::SystemTime)> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|file| {
        let about = file.metadata().unwrap();
        (file.file_name().to_string_lossy().into_owned(), about.len(), about.modified().unwrap())
    });
    let mut found: Vec<_> = entries.collect();
    found.sort();
    found
}

#[test]
fn entries_come_back_newest_first_with_every_field_and_filter() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, mut book) = (Clock::new(), Book::open(folder.path()).unwrap());
    let at = |minutes: u64| clock.after(Duration::from_secs(60 * minutes));
    for (minute, kind, address, text) in [
        (0, Kind::SignIn, "192.168.1.9", "in"),
        (1, Kind::Change, "192.168.1.9, 10.0.0.1", "PUT cameras/porch/entities/privacy: done"),
        (2, Kind::Refused, "192.168.1.90", "GET /: refused"),
        (3, Kind::Attack, "8.8.8.8", "GET /.env"),
    ] {
        book.note(at(minute), entry(at(minute).wall, kind, address, text));
    }
    let all = list(&mut book, at(4), json!({}));
    assert_eq!(all["total"], 4);
    assert_eq!(
        texts(&all),
        ["GET /.env", "GET /: refused", "PUT cameras/porch/entities/privacy: done", "in"]
    );
    let expected = json!({
        "id": 2, "ts": "2026-01-01T00:01:00.000Z", "level": "info", "type": "change", "alert": false, "user": "anna",
        "address": "192.168.1.9, 10.0.0.1", "text": "PUT cameras/porch/entities/privacy: done",
    });
    assert_eq!(all["entries"][2], expected);
    for (body, expected) in [
        (json!({"from": "2026-01-01T00:02:00Z"}), vec!["GET /.env", "GET /: refused"]),
        (json!({"to": "2026-01-01T00:00:30Z"}), vec!["in"]),
        (json!({"level": "warning"}), vec!["GET /.env", "GET /: refused"]),
        (json!({"type": "sign_in, attack"}), vec!["GET /.env", "in"]),
        (json!({"user": "anna"}), vec!["PUT cameras/porch/entities/privacy: done"]),
        (json!({"user": "ann"}), vec![]),
        (json!({"address": "192.168.1.9"}), vec!["PUT cameras/porch/entities/privacy: done", "in"]),
        (json!({"address": "10.0.0.1"}), vec!["PUT cameras/porch/entities/privacy: done"]),
        (json!({"address": "::ffff:8.8.8.8"}), vec!["GET /.env"]),
        (json!({"alert": true}), vec!["GET /.env"]),
        (json!({"limit": 1, "offset": 1}), vec!["GET /: refused"]),
        (json!({"limit": 2, "offset": 3}), vec!["in"]),
        (json!({"offset": 4}), vec![]),
    ] {
        assert_eq!(texts(&list(&mut book, at(4), body.clone())), expected, "{body}");
    }
    assert_eq!(list(&mut book, at(4), json!({"limit": 1}))["total"], 4, "the page says how many there are");
    let mode = folder.path().join(FILE).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn a_batch_is_written_within_two_seconds_and_nothing_while_idle() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, mut book) = (Clock::new(), Book::open(folder.path()).unwrap());
    let start = clock.after(Duration::ZERO);
    for n in 0..50 {
        book.note(start, entry(start.wall, Kind::Change, "192.168.1.9", &n.to_string()));
    }
    let due = book.due().unwrap().duration_since(start.instant);
    assert!(due <= Duration::from_secs(2), "{due:?}");
    book.tick(clock.after(due));
    let before = written_bytes(folder.path());
    // A day without anything.
    for minute in 1..24 * 60 {
        book.tick(clock.after(Duration::from_secs(60 * minute)));
    }
    assert_eq!(written_bytes(folder.path()), before);
    drop(book);
    let mut book = Book::open(folder.path()).unwrap();
    assert_eq!(list(&mut book, start, json!({}))["total"], 50);
}

#[test]
fn what_is_91_days_old_is_gone_and_what_is_89_days_old_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, mut book) = (Clock::new(), Book::open(folder.path()).unwrap());
    let day = |days: u64| clock.after(Duration::from_secs(86_400 * days));
    book.note(day(0), entry(day(0).wall, Kind::Change, "", "old"));
    book.note(day(2), entry(day(2).wall, Kind::Change, "", "newer"));
    book.tick(day(89));
    assert_eq!(texts(&list(&mut book, day(89), json!({}))), ["newer", "old"]);
    book.tick(day(91));
    assert_eq!(texts(&list(&mut book, day(91), json!({}))), ["newer"]);
    // A clock that jumps is not believed: it would remove everything.
    let jumped = Now { instant: day(91).instant, wall: day(4000).wall };
    book.tick(jumped);
    assert_eq!(texts(&list(&mut book, jumped, json!({}))), ["newer"]);
}

#[test]
fn clearing_is_itself_noted_and_numbers_are_not_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, mut book) = (Clock::new(), Book::open(folder.path()).unwrap());
    let now = clock.after(Duration::ZERO);
    for text in ["a", "b", "c"] {
        book.note(now, entry(now.wall, Kind::Change, "", text));
    }
    assert_eq!(book.ask(now, &Request::Clear).unwrap(), json!({ "removed": 3 }));
    let left = list(&mut book, now, json!({}));
    assert_eq!((&left["total"], &left["entries"][0]["id"]), (&json!(1), &json!(4)), "{left}");
    assert_eq!(left["entries"][0]["type"], "audit");
    assert!(left["entries"][0]["text"].as_str().unwrap().contains("cleared; 3 entries"), "{left}");
}

#[test]
fn the_log_has_an_end_and_strangers_push_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, mut book) = (Clock::new(), Book::open(folder.path()).unwrap());
    let now = clock.after(Duration::ZERO);
    book.note(now, entry(now.wall, Kind::Change, "192.168.1.9", "the one that matters"));
    // As many as get through the flood in weeks, put in at once.
    fill(&mut book, folder.path(), now, MOST_STRANGERS + 10, "refused");
    let mut book = Book::open(folder.path()).unwrap();
    book.note(now, entry(now.wall, Kind::Refused, "8.8.8.8", "one more"));
    let only = |kind: &str| json!({ "type": kind, "limit": 1 });
    let strangers = list(&mut book, now, only("refused"))["total"].as_u64().unwrap();
    assert!(strangers <= MOST_STRANGERS, "{strangers}");
    assert_eq!(texts(&list(&mut book, now, only("change"))), ["the one that matters"]);
    assert!(texts(&list(&mut book, now, only("audit")))[0].contains("to make room"));
    fill(&mut book, folder.path(), now, MOST_KEPT, "change");
    let mut book = Book::open(folder.path()).unwrap();
    book.note(now, entry(now.wall, Kind::Change, "", "the newest"));
    let all = list(&mut book, now, json!({ "limit": 500 }));
    assert!(all["total"].as_u64().unwrap() <= MOST_KEPT, "{}", all["total"]);
    assert!(texts(&all).contains(&"the newest"));
}

/// Rows put in by SQL, which takes a second where entries would take a minute.
fn fill(book: &mut Book, folder: &Path, now: Now, count: u64, kind: &str) {
    list(book, now, json!({}));
    *book = Book::open(tempfile::tempdir().unwrap().path()).unwrap();
    let db = rusqlite::Connection::open(folder.join(FILE)).unwrap();
    let ts = now.wall.as_millisecond();
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO entries(ts, level, kind, alert, user, address, text) SELECT {ts}, 1, '{kind}', 0, '', '8.8.8.8', i FROM n"
    );
    db.execute_batch(&sql).unwrap();
}

#[test]
fn a_scanner_does_not_fill_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, mut book) = (Clock::new(), Book::open(folder.path()).unwrap());
    // An hour of a hundred refused requests a second, each for another path, from a thousand addresses.
    let mut n_requests = 0;
    for second in 0..3600u64 {
        let now = clock.after(Duration::from_secs(second));
        for n in 0..100u64 {
            n_requests += 1;
            let address = format!("8.8.{}.{}", n % 4, (second + n) % 250);
            book.note(now, entry(now.wall, Kind::Refused, &address, &format!("GET /{second}/{n}: refused")));
        }
    }
    let now = clock.after(Duration::from_secs(3700));
    book.tick(now);
    let total = list(&mut book, now, json!({ "limit": 1 }))["total"].as_u64().unwrap();
    let bytes: u64 = written_bytes(folder.path()).iter().map(|(_, bytes, _)| bytes).sum();
    println!("{n_requests} refused requests became {total} entries, {bytes} bytes");
    assert!(total <= 60 * 61, "{n_requests} requests became {total} entries");
    assert!(bytes < 4 << 20, "{bytes} bytes");
}

#[test]
fn a_damaged_log_is_set_aside_and_a_newer_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    std::fs::write(&path, vec![b'x'; 20_000]).unwrap();
    let now = Clock::new().after(Duration::ZERO);
    let mut book = Book::open(folder.path()).unwrap();
    book.note(now, entry(now.wall, Kind::Change, "", "first"));
    assert_eq!(list(&mut book, now, json!({}))["total"], 1);
    drop(book);
    assert_eq!(std::fs::read(folder.path().join(format!("{FILE}.damaged-1"))).unwrap()[0], b'x');

    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let refused = Book::open(folder.path()).err().unwrap().to_string();
    assert!(refused.contains("newer Doorward (version 7, this one knows 1)"), "{refused}");
    assert_eq!(Request::parse("list", &Map::new()).unwrap(), Request::List(Query::default()));
}
