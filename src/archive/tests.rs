//! What is kept, listed, changed, forgotten and delivered.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use ulid::Ulid;

use super::{Archive, Limits};
use crate::jpeg;
use crate::logic::command::Answer;
use crate::logic::history::{Addition, ArchiveNews, Delivered, Entry, Query, Request};
use crate::logic::input::Now;
use crate::logic::kept_file::{KeptFile, path};
use crate::logic::problem::Problem;

/// 2026-01-02T03:04:05Z.
pub(super) const BEGIN_MS: i64 = 1_767_323_045_000;
pub(super) const ALL: Limits =
    Limits { keep_days: 0, keep_count: u64::MAX, keep_bytes: u64::MAX, min_free_bytes: 0 };

pub(super) struct Kit {
    pub folder: PathBuf,
    pub archive: Archive,
    pub begin: Instant,
    /// Both clocks, since the beginning.
    pub gone: Duration,
    /// The wall clock besides.
    pub wall_ms: i64,
    dir: Option<TempDir>,
}

impl Kit {
    pub(super) fn new(limits: Limits) -> Kit {
        let dir = TempDir::new().unwrap();
        let mut kit = Kit::at(&dir.path().join("events"), limits);
        kit.dir = Some(dir);
        kit
    }

    pub(super) fn at(folder: &Path, limits: Limits) -> Kit {
        let (archive, news) = Archive::open(folder, limits).unwrap();
        assert_eq!(news, None);
        let folder = folder.to_owned();
        Kit { folder, archive, begin: Instant::now(), gone: Duration::ZERO, wall_ms: BEGIN_MS, dir: None }
    }

    /// Closes the archive and opens it again; says what it told.
    pub(super) fn reopen(self, limits: Limits) -> (Kit, Option<ArchiveNews>) {
        let (folder, dir) = self.close();
        let (archive, news) = Archive::open(&folder, limits).unwrap();
        let kit =
            Kit { folder, archive, begin: Instant::now(), gone: Duration::ZERO, wall_ms: BEGIN_MS, dir };
        (kit, news)
    }

    /// Does something to the closed archive before it is opened again.
    pub(super) fn reopen_after(self, harm: impl FnOnce()) -> (Kit, Option<ArchiveNews>) {
        let (folder, dir) = self.close();
        harm();
        let (archive, news) = Archive::open(&folder, ALL).unwrap();
        let kit =
            Kit { folder, archive, begin: Instant::now(), gone: Duration::ZERO, wall_ms: BEGIN_MS, dir };
        (kit, news)
    }

    /// Looks at the closed archive for the last time.
    pub(super) fn closed<T>(self, look: impl FnOnce(&Path) -> T) -> T {
        let (folder, _dir) = self.close();
        look(&folder)
    }

    fn close(self) -> (PathBuf, Option<TempDir>) {
        (self.folder, self.dir)
    }

    pub(super) fn now(&self) -> Now {
        let gone = i64::try_from(self.gone.as_millis()).unwrap();
        let wall = Timestamp::from_millisecond(self.wall_ms + gone).unwrap();
        Now { instant: self.begin + self.gone, wall }
    }

    pub(super) fn keep(&mut self, entry: Entry) {
        let now = self.now();
        self.archive.keep(now, entry);
    }

    /// Keeps these and writes them.
    pub(super) fn kept(limits: Limits, entries: impl IntoIterator<Item = Entry>) -> Kit {
        let mut kit = Kit::new(limits);
        entries.into_iter().for_each(|entry| kit.keep(entry));
        kit.flush();
        kit
    }

    pub(super) fn flush(&mut self) {
        self.archive.flush(self.now());
    }

    pub(super) fn ask(&mut self, request: &Request) -> Result<Answer, Problem> {
        self.archive.ask(self.now(), &TimeZone::UTC, request)
    }

    fn data(&mut self, request: &Request) -> Value {
        match self.ask(request) {
            Ok(Answer::Data(data)) => data,
            other => panic!("{request:?} gave {other:?}"),
        }
    }

    pub(super) fn get(&mut self, number: u128) -> Option<Value> {
        match self.ask(&Request::Get(id(number))) {
            Ok(Answer::Data(record)) => Some(record),
            Err(Problem::NotFound { .. }) => None,
            other => panic!("{other:?}"),
        }
    }

    /// The numbers of the events that a list shows, and its total.
    fn list(&mut self, query: Query) -> (u64, Vec<u128>) {
        let page = self.data(&Request::List(query));
        let events = page["events"].as_array().unwrap();
        (page["total"].as_u64().unwrap(), events.iter().map(number).collect())
    }

    pub(super) fn all(&mut self) -> Vec<u128> {
        self.list(Query { limit: 500, ..Query::default() }).1
    }

    pub(super) fn path(&self, number: u128, kind: KeptFile) -> PathBuf {
        path(&self.folder, &id(number), kind).unwrap()
    }

    pub(super) fn has(&self, number: u128, kind: KeptFile) -> bool {
        self.path(number, kind).exists()
    }

    /// News without the sizes, which come with each batch.
    pub(super) fn news(&mut self) -> Vec<ArchiveNews> {
        let news = self.archive.take_news();
        news.into_iter().filter(|news| !matches!(news, ArchiveNews::Holds { .. })).collect()
    }
}

/// The number is the random part; the time is always the beginning's, since only the order of keeping counts.
pub(super) fn id(number: u128) -> String {
    Ulid::from_parts(BEGIN_MS as u64, number).to_string()
}

fn number(event: &Value) -> u128 {
    Ulid::from_string(event["id"].as_str().unwrap()).unwrap().random()
}

pub(super) fn photo(width: usize, height: usize) -> Bytes {
    let mut random = 7u32;
    let noise = std::iter::repeat_with(|| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 24) as u8
    });
    jpeg::encode_rgb(width, height, &noise.take(3 * width * height).collect::<Vec<_>>(), 80).unwrap()
}

/// A motion event of camera `porch`, one second after the one before.
pub(super) fn entry(number: u128) -> Entry {
    Entry {
        id: id(number),
        ts: Timestamp::from_millisecond(BEGIN_MS + 1000 * number as i64).unwrap(),
        sort: "motion",
        event_type: "start",
        camera: Some("porch".into()),
        person: None,
        record: Map::from_iter([("title".into(), json!(format!("event {number}")))]),
        picture: None,
        tell: Vec::new(),
    }
}

pub(super) fn pictured(number: u128) -> Entry {
    let mut entry = Entry { picture: Some(photo(640, 360)), ..entry(number) };
    entry.record.insert("image".into(), json!({"topic": "a/b", "sha256": "00"}));
    entry
}

fn face(number: u128, person: Option<&str>, record: Value) -> Entry {
    let Value::Object(record) = record else { panic!("{record}") };
    let (sort, event_type) = ("face", if person.is_some() { "known" } else { "unknown" });
    Entry { sort, event_type, person: person.map(str::to_owned), record, ..pictured(number) }
}

#[test]
fn pages_are_counted_from_the_newest() {
    let mut kit = Kit::kept(ALL, (1..=25).map(entry));
    let page = kit.data(&Request::List(Query { limit: 10, offset: 10, ..Query::default() }));
    assert_eq!((&page["total"], &page["limit"], &page["offset"]), (&json!(25), &json!(10), &json!(10)));
    let query = |offset, limit| Query { offset, limit, ..Query::default() };
    assert_eq!(kit.list(query(10, 10)), (25, (6..=15).rev().collect()));
    assert_eq!(kit.list(query(20, 10)), (25, (1..=5).rev().collect()));
    assert_eq!(kit.list(query(25, 10)), (25, vec![]));
    let (mut kit, _) = kit.reopen(ALL);
    assert_eq!(kit.list(query(10, 10)), (25, (6..=15).rev().collect()), "after a restart");
}

#[test]
fn every_filter_and_any_two_of_them() {
    let entries = (1..=12).map(|number| {
        let camera = Some(if number % 2 == 0 { "porch" } else { "gate" }.to_owned());
        let known = (number % 3 == 0).then_some("anna");
        let entry = if number > 6 { face(number, known, json!({})) } else { entry(number) };
        Entry { camera, picture: None, ..entry }
    });
    let mut kit = Kit::kept(ALL, entries);
    let at = |number: i64| Timestamp::from_millisecond(BEGIN_MS + 1000 * number).ok();
    let types = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let all = Query::default;
    for reopened in [false, true] {
        if reopened {
            kit = kit.reopen(ALL).0;
        }
        for (query, found) in [
            (Query { camera: Some("porch".into()), ..all() }, vec![12, 10, 8, 6, 4, 2]),
            (Query { camera: Some("nowhere".into()), ..all() }, vec![]),
            (Query { person: Some("anna".into()), ..all() }, vec![12, 9]),
            (Query { types: types(&["motion"]), ..all() }, vec![6, 5, 4, 3, 2, 1]),
            (Query { types: types(&["known", "start"]), ..all() }, vec![12, 9, 6, 5, 4, 3, 2, 1]),
            (Query { types: types(&["nothing"]), ..all() }, vec![]),
            (Query { from: at(3), to: at(5), ..all() }, vec![5, 4, 3]),
            (Query { from: at(11), ..all() }, vec![12, 11]),
            (Query { to: at(2), ..all() }, vec![2, 1]),
            (Query { types: types(&["face"]), camera: Some("gate".into()), ..all() }, vec![11, 9, 7]),
            (Query { person: Some("anna".into()), camera: Some("gate".into()), ..all() }, vec![9]),
            (Query { from: at(4), camera: Some("porch".into()), offset: 1, limit: 2, ..all() }, vec![10, 8]),
        ] {
            let (total, numbers) = kit.list(query.clone());
            assert_eq!(numbers, found, "{query:?}");
            assert_eq!(total, if query.offset > 0 { 5 } else { found.len() as u64 });
        }
    }
}

#[test]
fn equal_times_and_a_clock_set_back_keep_the_order_stable() {
    let same = (1..=5).map(|number| Entry { ts: entry(1).ts, ..entry(number) });
    let mut kit = Kit::kept(ALL, same);
    assert_eq!(kit.all(), [5, 4, 3, 2, 1]);
    // Kept last, but it happened an hour before.
    let ts = Timestamp::from_millisecond(BEGIN_MS - 3_600_000).unwrap();
    kit.keep(Entry { ts, ..entry(6) });
    kit.keep(entry(7));
    for _ in 0..2 {
        assert_eq!(kit.all(), [7, 5, 4, 3, 2, 1, 6]);
        let pages = (0..7).map(|offset| kit.list(Query { limit: 1, offset, ..Query::default() }).1[0]);
        assert_eq!(pages.collect::<Vec<_>>(), [7, 5, 4, 3, 2, 1, 6], "each is on exactly one page");
        kit = kit.reopen(ALL).0;
    }
}

#[test]
fn events_wait_for_two_seconds_for_company_or_for_a_question() {
    let mut kit = Kit::new(ALL);
    assert_eq!(kit.archive.due(), None);
    kit.keep(pictured(1));
    assert_eq!(kit.archive.due(), Some(kit.begin + Duration::from_secs(2)));
    assert!(!kit.has(1, KeptFile::Picture));
    assert_eq!(kit.all(), [1], "what an answer shows is on the disk");
    assert!(kit.has(1, KeptFile::Picture) && kit.archive.due().is_none());
    for number in 2..=32 {
        kit.keep(pictured(number));
        assert!(!kit.has(number, KeptFile::Picture));
    }
    kit.keep(pictured(33));
    assert!(kit.has(2, KeptFile::Picture) && kit.has(33, KeptFile::Picture), "thirty-two do not wait");
}

#[test]
fn pictures_thumbnails_additions_and_clips_are_listed_where_they_are() {
    let mut kit = Kit::new(ALL);
    kit.keep(pictured(1));
    kit.keep(pictured(2));
    let addition =
        |best| Addition { fields: Map::from_iter([("duration_s".into(), json!(4))]), best: Some(best) };
    let now = kit.now();
    kit.archive.add(now, &id(1), addition(photo(720, 400)));
    assert_eq!(kit.all(), [2, 1]);
    kit.archive.add(now, &id(2), addition(photo(800, 400)));
    let clip = kit.folder.parent().unwrap().join("clip.part");
    std::fs::write(&clip, "clip").unwrap();
    kit.archive.clip(now, &id(1), clip.clone(), Map::from_iter([("clip".into(), json!({"seconds": 8}))]));
    kit.flush();
    for _ in 0..2 {
        for (number, size) in [(1, (320, 178)), (2, (320, 160))] {
            let (id, record) = (id(number), kit.get(number).unwrap());
            let at = |name: &str| json!(format!("/api/events/{id}/{name}"));
            let image = json!({"topic": "a/b", "sha256": "00", "path": at("snapshot.jpg")});
            assert_eq!((&record["image"], &record["duration_s"]), (&image, &json!(4)));
            assert_eq!((&record["best"], &record["thumbnail"]), (&at("best.jpg"), &at("thumbnail.jpg")));
            assert_eq!(record["pinned"], json!(false));
            assert_eq!(std::fs::read(kit.path(number, KeptFile::Picture)).unwrap(), photo(640, 360));
            let thumb = std::fs::read(kit.path(number, KeptFile::Thumbnail)).unwrap();
            assert_eq!(jpeg::check(&thumb).unwrap(), size, "of the best picture");
            let kept = kit.archive.recall(now, &id).unwrap();
            assert_eq!(
                kept.picture.as_ref(),
                std::fs::read(kit.path(number, KeptFile::Best)).ok().map(Bytes::from).as_ref()
            );
            assert_eq!(Value::Object(kept.record), record);
        }
        let record = kit.get(1).unwrap();
        let clip = json!({"seconds": 8, "path": format!("/api/events/{}/clip.mp4", id(1))});
        assert_eq!((&record["clip"], kit.get(2).unwrap().get("clip")), (&clip, None));
        kit = kit.reopen(ALL).0;
    }
    assert!(!clip.exists() && kit.has(1, KeptFile::Clip));
    // Too late: nothing is left lying about.
    std::fs::write(&clip, "clip").unwrap();
    kit.archive.clip(kit.now(), &id(9), clip.clone(), Map::new());
    kit.archive.add(kit.now(), &id(9), addition(photo(64, 64)));
    kit.flush();
    assert!(!clip.exists() && !kit.has(9, KeptFile::Clip) && !kit.has(9, KeptFile::Best));
}

#[test]
fn what_is_no_picture_is_kept_as_told_and_the_record_says_so() {
    let mut kit = Kit::new(ALL);
    kit.keep(Entry { picture: Some(Bytes::from_static(b"no picture")), ..pictured(1) });
    let record = kit.get(1).unwrap();
    assert_eq!(record["image_damaged"], json!(true));
    assert!(record["image"]["path"].is_string() && record.get("thumbnail").is_none());
    assert_eq!(std::fs::read(kit.path(1, KeptFile::Picture)).unwrap(), b"no picture");
    // A picture that cannot be written: something is in its place.
    std::fs::create_dir_all(kit.path(2, KeptFile::Picture)).unwrap();
    kit.keep(pictured(2));
    let record = kit.get(2).unwrap();
    assert_eq!((&record["image"], &record["image_missing"]), (&Value::Null, &json!(true)));
    kit.keep(entry(3));
    let record = kit.get(3).unwrap();
    assert_eq!((&record["image"], record.get("image_missing")), (&Value::Null, None));
}

#[test]
fn pin_and_delete() {
    let mut kit = Kit::kept(ALL, (1..=3).map(pictured));
    let pinned = kit.data(&Request::Pin { id: id(2), pinned: true });
    assert_eq!((number(&pinned), &pinned["pinned"]), (2, &json!(true)));
    let deleted = kit.data(&Request::Delete(id(1)));
    assert_eq!(deleted, json!({"id": id(1), "deleted": true}));
    assert!(
        !kit.has(1, KeptFile::Picture) && !kit.has(1, KeptFile::Thumbnail) && kit.has(2, KeptFile::Picture)
    );
    assert_eq!(kit.all(), [3, 2]);
    for request in
        [Request::Get(id(1)), Request::Delete(id(1)), Request::Pin { id: "x".into(), pinned: true }]
    {
        assert!(matches!(kit.ask(&request), Err(Problem::NotFound { .. })), "{request:?}");
    }
    let (mut kit, _) = kit.reopen(ALL);
    assert_eq!(kit.get(2).unwrap()["pinned"], json!(true));
    kit.keep(Entry { sort: "face", ..entry(2) });
    assert_eq!(kit.all(), [3, 2], "an id is kept once");
}

#[test]
fn a_forgotten_person_is_nowhere_on_the_disk() {
    let mut kit = Kit::kept(
        ALL,
        [
            face(1, Some("anna"), json!({"person": "anna"})),
            face(2, None, json!({"was": "anna", "person": "bert"})),
            face(
                3,
                Some("bert"),
                json!({"second": {"person": "anna", "score": 0.3}, "margin": 0.2, "person": "bert"}),
            ),
            face(4, None, json!({"rejected": "anna", "score": 0.4})),
            face(5, Some("bert"), json!({"title": "anna", "second": {"person": "carl"}, "margin": 0.1})),
            pictured(6),
        ],
    );
    kit.archive.forget(kit.now(), "anna");
    assert_eq!(kit.all(), [6, 5, 4, 3]);
    assert!(
        !kit.has(1, KeptFile::Picture) && !kit.has(2, KeptFile::Thumbnail) && kit.has(3, KeptFile::Picture)
    );
    for (number, gone) in [(3, ["second", "margin"]), (4, ["rejected", "second"])] {
        let record = kit.get(number).unwrap();
        assert!(gone.iter().all(|key| record.get(*key).is_none()), "{record}");
    }
    assert_eq!(kit.get(5).unwrap()["second"]["person"], json!("carl"));
    kit.archive.forget(kit.now(), "carl");
    kit.archive.forget(kit.now(), "bert");
    assert_eq!(kit.all(), [6, 4]);
    drop(kit.archive);
    let left = std::fs::read(kit.folder.join("events.sqlite")).unwrap();
    assert!(!left.windows(4).any(|word| word == b"bert" || word == b"carl"), "deleted rows are overwritten");
}

#[test]
fn deliveries_survive_until_they_arrived() {
    let mut kit = Kit::new(ALL);
    let told = |number, targets: &[&str]| Entry {
        tell: targets.iter().map(|target| (*target).to_owned()).collect(),
        ..pictured(number)
    };
    kit.keep(told(1, &["phone", "mail"]));
    kit.keep(told(2, &["phone"]));
    assert!(kit.archive.take_deliveries().is_empty(), "not before it is on the disk");
    kit.flush();
    let first = kit.archive.take_deliveries();
    assert_eq!(first.iter().map(|told| told.target.as_str()).collect::<Vec<_>>(), ["phone", "mail", "phone"]);
    assert_eq!(first[0].picture, Some(kit.path(1, KeptFile::Picture)));
    assert_eq!(Some(Value::Object(first[0].record.clone())), kit.get(1), "as in lists");
    let now = kit.now();
    kit.archive.delivered(now, first[0].number, &Delivered::Told);
    kit.archive.delivered(now, first[1].number, &Delivered::GivenUp("no such address".into()));
    kit.flush();
    let (mut kit, _) = kit.reopen(ALL);
    let again = kit.archive.take_deliveries();
    assert_eq!(again.len(), 1);
    let (last, again) = (&first[2], &again[0]);
    assert_eq!((again.number, &again.target, again.ts), (last.number, &last.target, last.ts));
    assert_eq!((&again.record, &again.picture), (&last.record, &last.picture));
    kit.data(&Request::Delete(id(2)));
    assert!(kit.reopen(ALL).0.archive.take_deliveries().is_empty(), "of what is gone nobody is told");
}

#[test]
fn a_target_that_cannot_be_reached_keeps_its_newest_thousand() {
    let mut kit = Kit::new(ALL);
    for number in 1..=1010 {
        kit.keep(Entry { tell: vec!["phone".into()], ..entry(number) });
    }
    kit.keep(Entry { tell: vec!["mail".into()], ..entry(1011) });
    kit.flush();
    assert_eq!(kit.archive.lost_deliveries(), 10);
    let pending = kit.reopen(ALL).0.archive.take_deliveries();
    assert_eq!(pending.len(), 1001);
    assert_eq!(pending[0].record["title"], json!("event 11"));
}

#[test]
fn a_strip_shows_the_pictures_of_one_day_in_the_zone() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let day = |text: &str| Some(text.parse().unwrap());
    let mut kit = Kit::new(ALL);
    let strip = |kit: &mut Kit, camera: &str, day| {
        let request = Request::Strip { camera: camera.into(), day };
        match kit.archive.ask(kit.now(), &zone, &request) {
            Ok(Answer::Picture(jpeg)) => jpeg,
            other => panic!("{other:?}"),
        }
    };
    let size = |jpeg: &Bytes| jpeg::check(jpeg).unwrap();
    assert_eq!(size(&strip(&mut kit, "porch", None)), (160, 90), "an empty day");
    // Half past eleven in the night of the second, in UTC: in Berlin it is the third.
    let late = "2026-01-02T23:30:00Z".parse().unwrap();
    kit.keep(Entry { ts: late, ..pictured(1) });
    kit.keep(pictured(2));
    kit.keep(pictured(3));
    kit.keep(entry(4));
    let second = strip(&mut kit, "porch", day("2026-01-02"));
    assert_eq!(size(&second), (320, 90));
    assert_eq!(size(&strip(&mut kit, "porch", day("2026-01-03"))), (160, 90));
    assert_eq!(strip(&mut kit, "porch", None), second, "today");
    assert_eq!(strip(&mut kit, "porch", None).as_ptr(), second.as_ptr(), "drawn once");
    assert_ne!(strip(&mut kit, "gate", None), second);
    kit.data(&Request::Delete(id(2)));
    assert_eq!(size(&strip(&mut kit, "porch", None)), (160, 90), "what was deleted is shown no longer");
    (10..100).for_each(|number| kit.keep(pictured(number)));
    assert_eq!(size(&strip(&mut kit, "porch", None)), (8 * 160, 6 * 90), "at most 48");
}
