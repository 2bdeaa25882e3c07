//! Events on their way to the disk: they wait for company, and one transaction takes them all.
//!
//! Not here: who makes room when there is none ([`super::room`]).

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value, json};

use super::files::{self, Batch};
use super::index::Slot;
use super::{Archive, lose_image, picture, read};
use crate::database::Fault;
use crate::logic::history::{Addition, ArchiveNews, Delivered, Delivery, Entry};
use crate::logic::input::Now;
use crate::logic::kept_file::{self, KeptFile};

/// How long the first that waits may wait.
const WAIT: Duration = Duration::from_secs(2);
/// How many wait at most.
const MOST_WAITING: usize = 32;
/// How long a disk that took nothing is left alone.
const AGAIN: Duration = Duration::from_secs(60);
/// Deliveries that one target may have waiting.
const MOST_PER_TARGET: u32 = 1000;

/// Something to be written with the next batch.
pub(super) enum Work {
    Keep { entry: Box<Entry>, best: Option<Bytes> },
    Add(String, Addition),
    Clip { id: String, file: PathBuf, fields: Map<String, Value> },
    Delivered(i64),
}

/// The disk takes nothing.
pub(super) struct Full {
    /// Events that were not kept since.
    lost: u64,
    /// When it is tried again.
    again: Instant,
}

/// What the commit changes in memory.
enum Applied {
    New(Slot, [Option<String>; 4]),
    Changed { ts: i64, seq: i64, files: u8, bytes: u64 },
}

impl Archive {
    /// Takes an event; it is on the disk after two seconds, or after [`Archive::flush`].
    pub fn keep(&mut self, now: Now, entry: Entry) {
        self.push(now, Work::Keep { entry: Box::new(entry), best: None });
    }

    /// Takes what became known of an event later.
    pub fn add(&mut self, now: Now, id: &str, addition: Addition) {
        for work in &mut self.waiting {
            if let Work::Keep { entry, best } = work
                && entry.id == id
            {
                entry.record.extend(addition.fields);
                *best = addition.best.or(best.take());
                return;
            }
        }
        self.push(now, Work::Add(id.to_owned(), addition));
    }

    /// Takes a finished clip, a file that is moved in, and fields to add to the record.
    pub fn clip(&mut self, now: Now, id: &str, file: PathBuf, fields: Map<String, Value>) {
        self.push(now, Work::Clip { id: id.to_owned(), file, fields });
    }

    /// A delivery has ended; it will not come out again.
    pub fn delivered(&mut self, now: Now, number: i64, outcome: &Delivered) {
        match outcome {
            Delivered::Told => {}
            Delivered::GivenUp(why) => tracing::debug!("delivery {number} was given up: {why}"),
        }
        // A trial has no number and no row.
        if number > 0 {
            self.push(now, Work::Delivered(number));
        }
    }

    fn push(&mut self, now: Now, work: Work) {
        if self.rests(now)
            && let Some(full) = &mut self.full
        {
            match work {
                Work::Keep { .. } => full.lost += 1,
                Work::Add(..) => {}
                Work::Clip { file, .. } => drop(std::fs::remove_file(file)),
                Work::Delivered(_) => self.waiting.push(work),
            }
            return;
        }
        self.waiting.push(work);
        self.waiting_since.get_or_insert(now.instant);
        if self.waiting.len() >= MOST_WAITING {
            self.flush(now);
        }
    }

    /// Whether a disk that took nothing is left alone.
    fn rests(&self, now: Now) -> bool {
        self.full.as_ref().is_some_and(|full| now.instant < full.again)
    }

    /// When [`Archive::flush`] is due. What is left over from a disk that took nothing waits for the next event.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        Some(self.waiting_since? + WAIT)
    }

    /// Writes all that waits. When the disk takes nothing that is told as news, and what waited is lost.
    pub fn flush(&mut self, now: Now) {
        if self.waiting.is_empty() || self.rests(now) {
            return;
        }
        self.waiting_since = None;
        let works = std::mem::take(&mut self.waiting);
        let keeps = works.iter().filter(|work| matches!(work, Work::Keep { .. })).count();
        match self.store(&works) {
            Ok(()) => {
                if keeps > 0
                    && let Some(full) = self.full.take()
                {
                    tracing::info!("events are kept again; {} were not", full.lost);
                    self.news.push(ArchiveNews::Free { lost: full.lost });
                }
                if let Err(fault) = self.retain(now) {
                    tracing::warn!("old events could not be removed: {}", fault.words());
                }
                self.tell_size();
            }
            Err(fault) => self.give_up(now, &fault, works),
        }
    }

    fn give_up(&mut self, now: Now, fault: &Fault, works: Vec<Work>) {
        let mut lost = 0;
        for work in works {
            match work {
                Work::Keep { entry, .. } => {
                    lost += 1;
                    if self.row(&entry.id).is_ok_and(|row| row.is_none()) {
                        files::remove(&self.folder, &entry.id);
                    }
                }
                Work::Add(..) => {}
                Work::Clip { file, .. } => drop(std::fs::remove_file(file)),
                // It would come out again, and somebody be told twice.
                Work::Delivered(_) => self.waiting.push(work),
            }
        }
        if self.full.is_none() {
            tracing::error!("events are not kept: {}", fault.words());
            self.news.push(ArchiveNews::Full(fault.words().to_owned()));
        }
        let before = self.full.as_ref().map_or(0, |full| full.lost);
        self.full = Some(Full { lost: before + lost, again: now.instant + AGAIN });
    }

    /// Makes room before or after the first attempt, if need be.
    fn store(&mut self, works: &[Work]) -> Result<(), Fault> {
        let need = works.iter().map(size).sum();
        if need > 0 {
            self.ensure_room(need)?;
        }
        match self.guarded(|archive| archive.attempt(works)) {
            Err(Fault::NoRoom(words)) => {
                if !self.make_room(need)? {
                    return Err(Fault::NoRoom(words));
                }
                self.guarded(|archive| archive.attempt(works))
            }
            other => other,
        }
    }

    /// Pictures first, then the rows in one transaction.
    pub(super) fn attempt(&mut self, works: &[Work]) -> Result<(), Fault> {
        let mut batch = Batch::new(&self.folder);
        let mut records = Vec::new();
        for work in works {
            match work {
                Work::Keep { entry, best } => records.push(write_pictures(&mut batch, entry, best.as_ref())?),
                Work::Add(id, Addition { best: Some(best), .. }) if self.row(id)?.is_some() => {
                    written(batch.write(id, KeptFile::Best, best))?;
                    if let Some(thumb) = thumb_of(id, best) {
                        written(batch.write(id, KeptFile::Thumbnail, &thumb))?;
                    }
                }
                Work::Clip { id, file, .. } => {
                    let is_waiting =
                        |work: &Work| matches!(work, Work::Keep { entry, .. } if entry.id == *id);
                    if works.iter().any(is_waiting) || self.row(id)?.is_some() {
                        written(batch.move_in(id, KeptFile::Clip, file))?;
                    } else {
                        let _ = std::fs::remove_file(file);
                    }
                }
                Work::Add(..) | Work::Delivered(_) => {}
            }
        }
        batch.finish()?;
        self.commit(works, records)
    }

    fn commit(&mut self, works: &[Work], records: Vec<Map<String, Value>>) -> Result<(), Fault> {
        let (mut applied, mut deliveries) = (Vec::new(), Vec::new());
        let (mut records, mut seq) = (records.into_iter(), self.index.next_seq());
        let change = self.db.unchecked_transaction()?;
        for work in works {
            match work {
                Work::Keep { entry, .. } => {
                    let record = records.next().unwrap_or_default();
                    if let Some(slot) = insert(&change, &self.folder, seq, entry, &record)? {
                        let mut told = queue(&change, &self.folder, entry, &record, slot.files)?;
                        deliveries.append(&mut told);
                        let words = [Some(entry.sort), Some(entry.event_type), entry.camera.as_deref()];
                        let [sort, event_type, camera] = words.map(|word| word.map(str::to_owned));
                        applied.push(Applied::New(slot, [sort, event_type, camera, entry.person.clone()]));
                        seq += 1;
                    }
                }
                Work::Add(id, addition) => {
                    applied.extend(update(&change, &self.folder, id, &addition.fields)?);
                }
                Work::Clip { id, fields, .. } => {
                    applied.extend(update(&change, &self.folder, id, fields)?);
                }
                Work::Delivered(number) => {
                    change.execute("DELETE FROM outbox WHERE number = ?1", [number])?;
                }
            }
        }
        let targets: BTreeSet<&str> = deliveries.iter().map(|delivery| delivery.target.as_str()).collect();
        let mut lost = 0;
        for target in targets {
            lost += trim(&change, target)?;
        }
        change.commit()?;
        if lost > 0 {
            tracing::warn!("{lost} deliveries gave way to newer ones; is the target reachable?");
        }
        self.lost_deliveries += lost;
        self.deliveries.append(&mut deliveries);
        applied.into_iter().for_each(|applied| self.apply(applied));
        Ok(())
    }

    fn apply(&mut self, applied: Applied) {
        match applied {
            Applied::New(slot, words) => {
                let [sort, event_type, camera, person] = words.map(|word| self.index.word(word.as_deref()));
                self.index.add(Slot { sort, event_type, camera, person, ..slot });
            }
            Applied::Changed { ts, seq, files, bytes } => self.index.change(ts, seq, |slot| {
                (slot.files, slot.bytes) = (files, u32::try_from(bytes).unwrap_or(u32::MAX));
            }),
        }
    }

    /// What is pending comes out again, oldest first.
    pub(super) fn recall_deliveries(&mut self) -> Result<(), Fault> {
        let mut rows = self.db.prepare("SELECT number, event, target FROM outbox ORDER BY number")?;
        let pending = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let mut found = Vec::new();
        for pending in pending {
            let (number, event, target): (i64, String, String) = pending?;
            if let Some(row) = self.row(&event)? {
                let record = read::shown(&row, read::record(&self.db, row.seq)?);
                let ts = jiff::Timestamp::from_millisecond(row.ts).unwrap_or_default();
                let picture = read::best(&self.folder, &event, row.files);
                found.push(Delivery { number, target, record, ts, picture });
            }
        }
        drop(rows);
        self.deliveries = found;
        Ok(())
    }
}

/// About how many bytes it takes on the disk.
fn size(work: &Work) -> u64 {
    const ROW: u64 = 4096;
    const THUMB: u64 = 16 << 10;
    let picture = |bytes: Option<&Bytes>| bytes.map_or(0, |bytes| bytes.len() as u64 + THUMB);
    match work {
        Work::Keep { entry, best } => ROW + picture(entry.picture.as_ref()) + picture(best.as_ref()),
        Work::Add(_, addition) => ROW + picture(addition.best.as_ref()),
        // It is on the disk already, most likely on the same one.
        Work::Clip { .. } => ROW,
        Work::Delivered(_) => 0,
    }
}

/// A file that alone cannot be written is missing; what concerns the disk stops everything.
fn written(outcome: Result<(), Fault>) -> Result<bool, Fault> {
    match outcome {
        Ok(()) => Ok(true),
        Err(Fault::Refused(words)) => {
            tracing::warn!("{words}; the event is kept without it");
            Ok(false)
        }
        Err(fault) => Err(fault),
    }
}

/// The pictures of an event, and its record with the truth about them.
fn write_pictures(
    batch: &mut Batch<'_>,
    entry: &Entry,
    best: Option<&Bytes>,
) -> Result<Map<String, Value>, Fault> {
    let mut record = entry.record.clone();
    record.insert("id".into(), json!(entry.id));
    match &entry.picture {
        None => drop(record.insert("image".into(), Value::Null)),
        Some(picture) if written(batch.write(&entry.id, KeptFile::Picture, picture))? => {
            let image = record.entry("image").or_insert(Value::Null);
            if !image.is_object() {
                *image = json!({});
            }
            image["path"] = json!(kept_file::url(&entry.id, KeptFile::Picture));
        }
        Some(_) => lose_image(&mut record),
    }
    if let Some(best) = best {
        written(batch.write(&entry.id, KeptFile::Best, best))?;
    }
    if let Some(shown) = best.or(entry.picture.as_ref()) {
        match thumb_of(&entry.id, shown) {
            Some(thumb) => drop(written(batch.write(&entry.id, KeptFile::Thumbnail, &thumb))?),
            None => drop(record.insert("image_damaged".into(), json!(true))),
        }
    }
    Ok(record)
}

/// The thumbnail, if the picture can be read. A decoder that panics at one picture must not lose the whole batch.
fn thumb_of(id: &str, picture: &[u8]) -> Option<Bytes> {
    match catch_unwind(|| picture::thumb(picture)) {
        Ok(Ok(thumb)) => Some(thumb),
        Ok(Err(error)) => {
            tracing::debug!("{id}: {error}");
            None
        }
        Err(_) => None,
    }
}

/// The row of an event; none if its id is kept already.
fn insert(
    db: &Connection,
    folder: &Path,
    seq: i64,
    entry: &Entry,
    record: &Map<String, Value>,
) -> Result<Option<Slot>, Fault> {
    let (files, bytes) = files::measure(folder, &entry.id);
    let ts = entry.ts.as_millisecond();
    let mut row = db.prepare_cached(
        "INSERT OR IGNORE INTO events(seq, id, ts, sort, event_type, camera, person, pinned, files, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9)",
    )?;
    let inserted = row.execute(params![
        seq,
        entry.id,
        ts,
        entry.sort,
        entry.event_type,
        entry.camera,
        entry.person,
        files,
        bytes as i64
    ])?;
    if inserted == 0 {
        return Ok(None);
    }
    let text = serde_json::to_string(record).unwrap_or_default();
    db.prepare_cached("INSERT OR REPLACE INTO records VALUES (?1, ?2)")?.execute(params![seq, text])?;
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    let (sort, event_type, camera, person, pinned) = (0, 0, 0, 0, false);
    Ok(Some(Slot { ts, seq, bytes, sort, event_type, camera, person, files, pinned }))
}

/// One delivery for each target that is told.
fn queue(
    db: &Connection,
    folder: &Path,
    entry: &Entry,
    record: &Map<String, Value>,
    files: u8,
) -> Result<Vec<Delivery>, Fault> {
    let row = read::Row { seq: 0, id: entry.id.clone(), ts: 0, pinned: false, files };
    let mut told = Vec::new();
    for target in &entry.tell {
        db.prepare_cached("INSERT INTO outbox(event, target) VALUES (?1, ?2)")?
            .execute(params![entry.id, target])?;
        told.push(Delivery {
            number: db.last_insert_rowid(),
            target: target.clone(),
            record: read::shown(&row, record.clone()),
            ts: entry.ts,
            picture: read::best(folder, &entry.id, files),
        });
    }
    Ok(told)
}

/// Drops the oldest deliveries of a target beyond the limit; says how many.
fn trim(db: &Connection, target: &str) -> Result<u64, Fault> {
    let mut dropped = db.prepare_cached(
        "DELETE FROM outbox WHERE target = ?1 AND number <=
         (SELECT number FROM outbox WHERE target = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
    )?;
    Ok(dropped.execute(params![target, MOST_PER_TARGET])? as u64)
}

/// Merges fields into a record and looks anew at its files; nothing for an event that is gone.
fn update(
    db: &Connection,
    folder: &Path,
    id: &str,
    fields: &Map<String, Value>,
) -> Result<Option<Applied>, Fault> {
    let found = db
        .prepare_cached("SELECT seq, ts FROM events WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((seq, ts)) = found else { return Ok(None) };
    let (files, bytes) = files::measure(folder, id);
    let mut record = read::record(db, seq)?;
    record.extend(fields.clone());
    let text = Value::Object(record).to_string();
    db.prepare_cached("UPDATE events SET files = ?2, bytes = ?3 WHERE seq = ?1")?.execute(params![
        seq,
        files,
        bytes as i64
    ])?;
    db.prepare_cached("INSERT OR REPLACE INTO records VALUES (?1, ?2)")?.execute(params![seq, text])?;
    Ok(Some(Applied::Changed { ts, seq, files, bytes }))
}
