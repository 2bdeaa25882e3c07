//! Answers: whatever they show is on the disk.
//!
//! Not here: which events a list means ([`super::index`]).

use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value, json};

use super::picture::{self, ON_A_STRIP};
use super::{Archive, Kept};
use crate::database::Fault;
use crate::logic::command::Answer;
use crate::logic::history::{Query, Request, page};
use crate::logic::input::Now;
use crate::logic::kept_file::{KeptFile, path, url};
use crate::logic::problem::{Problem, quoted};

/// Strips in memory at most.
const MOST_STRIPS: usize = 16;

/// A strip that was drawn, and what it was drawn from.
pub(super) struct Strip {
    newest: i64,
    edits: u64,
    jpeg: Bytes,
}

/// What the database knows of an event besides its record.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub seq: i64,
    pub id: String,
    pub ts: i64,
    pub pinned: bool,
    pub files: u8,
}

impl Archive {
    /// Answers a request, after writing what waits. Days are those of `zone`.
    ///
    /// # Errors
    /// When there is no such event, or the disk fails.
    pub fn ask(&mut self, now: Now, zone: &TimeZone, request: &Request) -> Result<Answer, Problem> {
        self.flush(now);
        let missing = |id: &str| Problem::NotFound { what: format!("event {}", quoted(id)) };
        match request {
            Request::List(query) => {
                let (total, events) = self.list(query)?;
                Ok(Answer::Data(page(query, total, events)))
            }
            Request::Get(id) => self.get(id)?.map(Answer::Data).ok_or_else(|| missing(id)),
            Request::Pin { id, pinned } => {
                self.pin(id, *pinned)?.map(Answer::Data).ok_or_else(|| missing(id))
            }
            Request::Delete(id) => {
                let row = self.guarded(|archive| archive.row(id))?.ok_or_else(|| missing(id))?;
                self.guarded(|archive| archive.drop_events(std::slice::from_ref(&row)))?;
                self.tell_size();
                Ok(Answer::Data(json!({ "id": id, "deleted": true })))
            }
            Request::Strip { camera, day } => {
                let day = day.unwrap_or_else(|| now.wall.to_zoned(zone.clone()).date());
                self.strip(camera, day, zone).map(Answer::Picture)
            }
        }
    }

    /// An event with its best picture, for those who learn from it.
    pub fn recall(&mut self, now: Now, id: &str) -> Option<Kept> {
        self.flush(now);
        let found = self.guarded(|archive| {
            let Some(row) = archive.row(id)? else { return Ok(None) };
            Ok(Some((shown(&row, record(&archive.db, row.seq)?), best(&archive.folder, id, row.files))))
        });
        let (record, picture) = match found {
            Ok(found) => found?,
            Err(fault) => {
                tracing::warn!("event {id} cannot be read: {}", fault.words());
                return None;
            }
        };
        Some(Kept { record, picture: picture.and_then(|path| std::fs::read(path).ok()).map(Bytes::from) })
    }

    fn list(&mut self, query: &Query) -> Result<(u64, Vec<Value>), Fault> {
        self.guarded(|archive| {
            let (total, page) = archive.index.find(query);
            let mut found = archive.db.prepare_cached(
                "SELECT e.seq, e.id, e.ts, e.pinned, e.files, r.record
                 FROM events e LEFT JOIN records r ON r.seq = e.seq WHERE e.seq = ?1",
            )?;
            let mut events = Vec::with_capacity(page.len());
            for seq in page {
                let event =
                    found.query_row([seq], |row| Ok((row_of(row)?, row.get::<_, Option<String>>(5)?)));
                // The index follows the database; without the row the database has lost it.
                let (row, text) = event.optional()?.ok_or_else(|| lost(seq))?;
                events.push(Value::Object(shown(&row, parsed(text.as_deref()))));
            }
            Ok((total, events))
        })
    }

    fn get(&mut self, id: &str) -> Result<Option<Value>, Fault> {
        self.guarded(|archive| {
            let Some(row) = archive.row(id)? else { return Ok(None) };
            Ok(Some(Value::Object(shown(&row, record(&archive.db, row.seq)?))))
        })
    }

    fn pin(&mut self, id: &str, pinned: bool) -> Result<Option<Value>, Fault> {
        self.guarded(|archive| {
            let Some(row) = archive.row(id)? else { return Ok(None) };
            let change = params![row.seq, pinned];
            archive.db.execute("UPDATE events SET pinned = ?2 WHERE seq = ?1", change)?;
            archive.index.change(row.ts, row.seq, |slot| slot.pinned = pinned);
            let row = Row { pinned, ..row };
            Ok(Some(Value::Object(shown(&row, record(&archive.db, row.seq)?))))
        })
    }

    pub(super) fn row(&self, id: &str) -> Result<Option<Row>, Fault> {
        let mut row =
            self.db.prepare_cached("SELECT seq, id, ts, pinned, files FROM events WHERE id = ?1")?;
        Ok(row.query_row([id], row_of).optional()?)
    }

    fn id_of(&self, seq: i64) -> Result<Option<String>, Fault> {
        let mut find = self.db.prepare_cached("SELECT id FROM events WHERE seq = ?1")?;
        Ok(find.query_row([seq], |row| row.get(0)).optional()?)
    }

    /// Up to 48 thumbnails of a day at a camera, evenly chosen, as one picture.
    fn strip(&mut self, camera: &str, day: Date, zone: &TimeZone) -> Result<Bytes, Problem> {
        let upside = |_| Problem::BadRequest { detail: format!("{day} is not a day of any calendar here") };
        let begin = day.to_zoned(zone.clone()).map_err(upside)?;
        // A day has 23 to 25 hours.
        let end = day.tomorrow().and_then(|day| day.to_zoned(zone.clone())).map_err(upside)?;
        let ms = |at: &jiff::Zoned| at.timestamp().as_millisecond();
        let slots = self.index.pictured(camera, ms(&begin), ms(&end));
        let newest = slots.iter().map(|slot| slot.seq).max().unwrap_or(0);
        let (key, edits) = ((camera.to_owned(), day), self.index.edits());
        if let Some(strip) = self.strips.get(&key)
            && (strip.newest, strip.edits) == (newest, edits)
        {
            return Ok(strip.jpeg.clone());
        }
        let count = slots.len().min(ON_A_STRIP);
        let chosen = (0..count).map(|at| slots[at * (slots.len() - 1) / (count - 1).max(1)]);
        let mut thumbs = Vec::new();
        for slot in chosen {
            let at = Timestamp::from_millisecond(slot.ts).unwrap_or_default().to_zoned(zone.clone());
            let id = self.id_of(slot.seq)?;
            let file = id.and_then(|id| path(&self.folder, &id, KeptFile::Thumbnail));
            thumbs.push((at.strftime("%H:%M").to_string(), file.and_then(|file| std::fs::read(file).ok())));
        }
        let jpeg = picture::strip(&thumbs).map_err(|error| Problem::Disk { detail: error.to_string() })?;
        if self.strips.len() >= MOST_STRIPS {
            self.strips.clear();
        }
        self.strips.insert(key, Strip { newest, edits, jpeg: jpeg.clone() });
        Ok(jpeg)
    }
}

fn lost(seq: i64) -> Fault {
    Fault::Damaged(format!("the database of events has lost row {seq}"))
}

pub(super) fn row_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let (seq, id, ts) = (row.get(0)?, row.get(1)?, row.get(2)?);
    Ok(Row { seq, id, ts, pinned: row.get(3)?, files: row.get(4)? })
}

/// The record of a row; empty if it cannot be read, so that the event can still be seen and deleted.
pub(super) fn record(db: &Connection, seq: i64) -> Result<Map<String, Value>, Fault> {
    let mut text = db.prepare_cached("SELECT record FROM records WHERE seq = ?1")?;
    let text: Option<String> = text.query_row([seq], |row| row.get(0)).optional()?;
    Ok(parsed(text.as_deref()))
}

pub(super) fn parsed(text: Option<&str>) -> Map<String, Value> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The record as lists show it: with what there is to look at.
pub(super) fn shown(row: &Row, mut record: Map<String, Value>) -> Map<String, Value> {
    let at = |kind| json!(url(&row.id, kind));
    record.insert("id".into(), json!(row.id));
    record.insert("pinned".into(), json!(row.pinned));
    if KeptFile::Thumbnail.is_in(row.files) {
        record.insert("thumbnail".into(), at(KeptFile::Thumbnail));
    }
    if KeptFile::Best.is_in(row.files) {
        record.insert("best".into(), at(KeptFile::Best));
    }
    if KeptFile::Clip.is_in(row.files) {
        let clip = record.entry("clip").or_insert(Value::Null);
        if !clip.is_object() {
            *clip = json!({});
        }
        clip["path"] = at(KeptFile::Clip);
    }
    record
}

/// The best picture that an event has.
pub(super) fn best(folder: &Path, id: &str, files: u8) -> Option<PathBuf> {
    let kind = [KeptFile::Best, KeptFile::Picture].into_iter().find(|kind| kind.is_in(files))?;
    path(folder, id, kind)
}
