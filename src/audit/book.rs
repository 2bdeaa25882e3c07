//! The log on the disk: entries go in by the batch, come out by the page, and go when their time is over.
//!
//! Nothing is written while nothing happens. Not here: the thread ([`super::run`]).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params, params_from_iter};
use serde_json::{Value, json};

use super::Error;
use crate::database::{self, Fault, Refusal};
use crate::logic::audit::flood::Flood;
use crate::logic::audit::{
    Entry, KEEP_DAYS, Kind, Level, MOST_KEPT, MOST_STRANGERS, Query, Request, page, shown,
};
use crate::logic::input::Now;
use crate::logic::problem::Problem;
use crate::logic::steady::Steady;

/// Name of the database in the data folder.
pub const FILE: &str = "audit.sqlite3";
/// Entries of this time are written together: what is lost in a power cut, and how often a memory card is written to.
const BATCH: Duration = Duration::from_secs(1);
/// A batch that is this large is written at once.
const FULL_BATCH: usize = 256;
/// Entries that wait for a disk that takes nothing; more are lost.
const MOST_WAITING: usize = 4096;
/// Pause before the disk is tried again.
const RETRY: Duration = Duration::from_secs(30);
/// When there are too many entries, this part of them goes at once, so that not every batch has to remove some.
const SLACK: u64 = 100;

/// Each step leads from the version of its place to the next. Never change one that was released.
const STEPS: [&str; 1] = ["
    CREATE TABLE entries(
        id INTEGER PRIMARY KEY AUTOINCREMENT,   -- never used twice, not even after everything was removed
        ts INTEGER NOT NULL,                    -- milliseconds since 1970
        level INTEGER NOT NULL,                 -- 0 info, 1 warning, 2 alert
        kind TEXT NOT NULL,
        alert INTEGER NOT NULL,
        user TEXT NOT NULL,
        address TEXT NOT NULL,                  -- the way, with commas
        text TEXT NOT NULL
    );
    CREATE INDEX entries_ts ON entries(ts);
"];

/// The log on the disk. One thread owns it.
pub struct Book {
    path: PathBuf,
    db: Connection,
    waiting: Vec<Entry>,
    /// When what waits is to be written.
    write_at: Option<Instant>,
    flood: Flood,
    steady: Steady,
    n_all: u64,
    n_strangers: u64,
    /// Entries that were lost since the disk took the last.
    lost: u64,
}

impl Book {
    /// Opens the log in the data folder, or begins one. A damaged one is set aside, which is logged.
    ///
    /// # Errors
    /// When the file cannot be used, or a newer Doorward wrote it.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        let db = match database::open(&path, &STEPS) {
            Err(Refusal::Fault(Fault::Damaged(words))) => {
                set_aside(&path, &words).map_err(disk)?;
                database::open(&path, &STEPS)
            }
            other => other,
        };
        let known = STEPS.len() as i64;
        let (db, _) = db.map_err(|refusal| match refusal {
            Refusal::Newer(found) => Error::Newer { path: path.clone(), found, known },
            Refusal::Fault(fault) => disk(fault),
        })?;
        let mut book = Self {
            path,
            db,
            waiting: Vec::new(),
            write_at: None,
            flood: Flood::default(),
            steady: Steady::default(),
            n_all: 0,
            n_strangers: 0,
            lost: 0,
        };
        book.guarded(Self::count).map_err(disk)?;
        Ok(book)
    }

    /// Takes an entry; it is on the disk within two seconds, or counted among its like.
    pub fn note(&mut self, now: Now, entry: Entry) {
        self.tick(now);
        if let Some(entry) = self.flood.take(now.instant, entry) {
            self.put(now, entry);
        }
    }

    /// Answers a request, after writing what waits.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn ask(&mut self, now: Now, request: &Request) -> Result<Value, Problem> {
        self.write(now)?;
        match request {
            Request::List(query) => Ok(self.guarded(|book| book.list(query))?),
            Request::Clear => {
                let removed = self.guarded(Self::clear)?;
                let text = format!("The audit log was cleared; {removed} entries were removed.");
                self.put(now, of_the_log(now.wall, text));
                self.write(now)?;
                tracing::info!("the audit log was cleared; {removed} entries were removed");
                Ok(json!({ "removed": removed }))
            }
        }
    }

    /// When [`Book::tick`] has something to do.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        [self.write_at, self.flood.deadline()].into_iter().flatten().min()
    }

    /// Does what is due: counts, the batch, and what is too old.
    pub fn tick(&mut self, now: Now) {
        for entry in self.flood.due(now.instant) {
            self.put(now, entry);
        }
        if self.write_at.is_some_and(|at| at <= now.instant)
            && let Err(fault) = self.write(now)
        {
            tracing::warn!("the audit log cannot be written: {}", fault.words());
        }
        if self.steady.look(now)
            && let Err(fault) = self.guarded(|book| book.expire(now.wall))
        {
            tracing::debug!("old entries of the audit log cannot be removed: {}", fault.words());
        }
    }

    /// Writes everything that waits, at the end.
    pub fn close(mut self, now: Now) {
        for entry in self.flood.end() {
            self.put(now, entry);
        }
        if let Err(fault) = self.write(now) {
            tracing::warn!("the end of the audit log cannot be written: {}", fault.words());
        }
    }

    fn put(&mut self, now: Now, entry: Entry) {
        if self.waiting.len() >= MOST_WAITING {
            self.lost += 1;
            return;
        }
        self.waiting.push(entry);
        let at = if self.waiting.len() >= FULL_BATCH { now.instant } else { now.instant + BATCH };
        self.write_at = Some(self.write_at.map_or(at, |before| before.min(at)));
    }

    /// Writes what waits in one transaction, and makes room if there is too much.
    fn write(&mut self, now: Now) -> Result<(), Fault> {
        if self.waiting.is_empty() {
            self.write_at = None;
            return Ok(());
        }
        if self.lost > 0 {
            let text = format!("{} entries were lost while the disk took nothing.", self.lost);
            self.waiting.push(of_the_log(now.wall, text));
        }
        let entries = std::mem::take(&mut self.waiting);
        let written = self.guarded(|book| book.insert(now.wall, &entries));
        match written {
            Ok(()) => (self.write_at, self.lost) = (None, 0),
            Err(_) => (self.write_at, self.waiting) = (Some(now.instant + RETRY), entries),
        }
        written
    }

    fn insert(&mut self, now: Timestamp, entries: &[Entry]) -> Result<(), Fault> {
        let change = self.db.unchecked_transaction()?;
        entries.iter().try_for_each(|entry| add(&change, entry))?;
        let mut n_all = self.n_all + entries.len() as u64;
        let mut n_strangers =
            self.n_strangers + entries.iter().filter(|entry| entry.kind.is_of_strangers()).count() as u64;
        let of_strangers = trim(&change, true, n_strangers, MOST_STRANGERS)?;
        (n_all, n_strangers) = (n_all - of_strangers, n_strangers - of_strangers);
        let oldest = trim(&change, false, n_all, MOST_KEPT)?;
        if of_strangers + oldest > 0 {
            let text = format!("The oldest {} entries were removed to make room.", of_strangers + oldest);
            add(&change, &of_the_log(now, text))?;
        }
        change.commit()?;
        if of_strangers + oldest > 0 {
            return self.count();
        }
        (self.n_all, self.n_strangers) = (n_all, n_strangers);
        Ok(())
    }

    fn count(&mut self) -> Result<(), Fault> {
        let query = format!("SELECT count(*), coalesce(sum({OF_STRANGERS}), 0) FROM entries");
        let (all, strangers): (i64, i64) =
            self.db.query_row(&query, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        (self.n_all, self.n_strangers) = (all.unsigned_abs(), strangers.unsigned_abs());
        Ok(())
    }

    fn clear(&mut self) -> Result<usize, Fault> {
        let removed = self.db.execute("DELETE FROM entries", [])?;
        self.db.execute_batch("PRAGMA incremental_vacuum")?;
        self.count()?;
        Ok(removed)
    }

    /// Removes what is older than [`KEEP_DAYS`], if there is any.
    fn expire(&mut self, now: Timestamp) -> Result<(), Fault> {
        let Ok(oldest) = now.checked_sub(SignedDuration::from_hours(24 * KEEP_DAYS)) else { return Ok(()) };
        let oldest = oldest.as_millisecond();
        let is_any: bool =
            self.db.query_row("SELECT EXISTS(SELECT 1 FROM entries WHERE ts < ?1)", [oldest], |row| {
                row.get(0)
            })?;
        if is_any {
            self.db.execute("DELETE FROM entries WHERE ts < ?1", [oldest])?;
            self.count()?;
        }
        Ok(())
    }

    fn list(&mut self, query: &Query) -> Result<Value, Fault> {
        let (condition, mut values) = condition(query);
        let total: i64 = self.db.query_row(
            &format!("SELECT count(*) FROM entries WHERE {condition}"),
            params_from_iter(&values),
            |row| row.get(0),
        )?;
        values.extend([Sql::Integer(query.limit as i64), Sql::Integer(query.offset as i64)]);
        let mut rows = self.db.prepare(&format!(
            "SELECT id, ts, level, kind, alert, user, address, text FROM entries WHERE {condition}
             ORDER BY id DESC LIMIT ? OFFSET ?"
        ))?;
        let mut rows = rows.query(params_from_iter(&values))?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.push(shown(row.get(0)?, &entry(row)?));
        }
        Ok(page(total.unsigned_abs(), entries))
    }

    /// Does something with the database; if that turns out to be damaged, once more with a new one.
    fn guarded<T>(&mut self, act: impl Fn(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        match act(self) {
            Err(Fault::Damaged(words)) => {
                // Closes the damaged one.
                self.db = Connection::open_in_memory()?;
                set_aside(&self.path, &words)?;
                let reopened = database::open(&self.path, &STEPS);
                (self.db, _) = reopened.map_err(|refusal| match refusal {
                    Refusal::Newer(found) => Fault::Failing(format!("its version became {found}")),
                    Refusal::Fault(fault) => fault,
                })?;
                (self.n_all, self.n_strangers) = (0, 0);
                act(self)
            }
            other => other,
        }
    }
}

/// The kinds of [`Kind::is_of_strangers`].
const OF_STRANGERS: &str = "kind IN ('refused', 'attack')";

fn disk(fault: Fault) -> Error {
    Error::Disk(fault.words().to_owned())
}

fn set_aside(path: &Path, words: &str) -> Result<(), Fault> {
    let aside = database::set_aside(path)?;
    tracing::warn!(
        "the audit log {} was damaged ({words}); it was set aside as {aside} and a new one begun",
        path.display()
    );
    Ok(())
}

fn of_the_log(ts: Timestamp, text: String) -> Entry {
    let (user, address) = (String::new(), String::new());
    Entry { ts, level: Level::Warning, kind: Kind::Audit, alert: false, user, address, text }
}

fn add(db: &Connection, entry: &Entry) -> Result<(), Fault> {
    let Entry { ts, level, kind, alert, user, address, text } = entry;
    let mut insert = db.prepare_cached(
        "INSERT INTO entries(ts, level, kind, alert, user, address, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let level = *level as i64;
    insert.execute(params![ts.as_millisecond(), level, kind.word(), alert, user, address, text])?;
    Ok(())
}

/// Removes the oldest beyond `most`, and some more; how many.
fn trim(db: &Connection, is_of_strangers: bool, count: u64, most: u64) -> Result<u64, Fault> {
    if count <= most {
        return Ok(0);
    }
    let condition = if is_of_strangers { OF_STRANGERS } else { "1" };
    let sql = format!(
        "DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE {condition} ORDER BY id LIMIT ?1)"
    );
    Ok(db.execute(&sql, [(count - most + most / SLACK) as i64])? as u64)
}

/// What a query means, and the values in it.
fn condition(query: &Query) -> (String, Vec<Sql>) {
    let Query { from, to, level, kinds, user, address, alert, limit: _, offset: _ } = query;
    let mut parts = vec!["level >= ?".to_owned()];
    let mut values = vec![Sql::Integer(*level as i64)];
    let mut add = |part: &str, value: Sql| {
        parts.push(part.to_owned());
        values.push(value);
    };
    if let Some(from) = from {
        add("ts >= ?", Sql::Integer(from.as_millisecond()));
    }
    if let Some(to) = to {
        add("ts <= ?", Sql::Integer(to.as_millisecond()));
    }
    if let Some(user) = user {
        add("user = ?", Sql::Text(user.clone()));
    }
    if let Some(address) = address {
        let address = address.to_canonical().to_string();
        add("instr(', ' || address || ',', ', ' || ? || ',') > 0", Sql::Text(address));
    }
    if let Some(alert) = alert {
        add("alert = ?", Sql::Integer(i64::from(*alert)));
    }
    if !kinds.is_empty() {
        let words: Vec<String> = kinds.iter().map(|kind| format!("'{}'", kind.word())).collect();
        parts.push(format!("kind IN ({})", words.join(", ")));
    }
    (parts.join(" AND "), values)
}

fn entry(row: &rusqlite::Row<'_>) -> Result<Entry, Fault> {
    let strange = |what: &str| Fault::Damaged(format!("a row has no {what} that we know"));
    let (ts, level, kind): (i64, i64, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
    Ok(Entry {
        ts: Timestamp::from_millisecond(ts).map_err(|_| strange("time"))?,
        level: Level::ALL.into_iter().find(|known| *known as i64 == level).ok_or_else(|| strange("level"))?,
        kind: Kind::ALL.into_iter().find(|known| known.word() == kind).ok_or_else(|| strange("type"))?,
        alert: row.get(4)?,
        user: row.get(5)?,
        address: row.get(6)?,
        text: row.get(7)?,
    })
}
