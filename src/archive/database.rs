//! The database of events: what is in it, and how large it is.
//!
//! Not here: how it is opened and set aside ([`crate::database`]).

use std::path::Path;

use rusqlite::Connection;

use crate::database::{self, Fault, Refusal};

pub(super) const NAME: &str = "events.sqlite";
/// The newest version that we know.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// Each step leads from the version of its place to the next. Never change one that was released.
const STEPS: [&str; 1] = ["
    -- What lists are made from, narrow because all of it is read at the start.
    CREATE TABLE events(
        seq INTEGER PRIMARY KEY,    -- the order in which they were kept
        id TEXT NOT NULL UNIQUE,
        ts INTEGER NOT NULL,        -- milliseconds since 1970
        sort TEXT NOT NULL,
        event_type TEXT NOT NULL,
        camera TEXT,
        person TEXT,
        pinned INTEGER NOT NULL,
        files INTEGER NOT NULL,     -- which files there are: picture 1, best 2, thumbnail 4, clip 8
        bytes INTEGER NOT NULL      -- of those files
    );
    -- What lists show, as JSON.
    CREATE TABLE records(seq INTEGER PRIMARY KEY, record TEXT NOT NULL);
    -- Who has yet to be told of what.
    CREATE TABLE outbox(number INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, target TEXT NOT NULL);
    CREATE INDEX outbox_target ON outbox(target, number);
    CREATE INDEX outbox_event ON outbox(event);
    CREATE TABLE facts(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"];

/// Opens the database, made anew if there is none, and says whether it was.
pub(super) fn open(path: &Path) -> Result<(Connection, bool), Refusal> {
    database::open(path, &STEPS)
}

/// Removes the databases of a folder that were set aside.
pub(super) fn remove_damaged(folder: &Path) -> Result<(), Fault> {
    for file in std::fs::read_dir(folder).map_err(Fault::of("read", folder))? {
        let file = file.map_err(Fault::of("read", folder))?;
        if file.file_name().to_string_lossy().starts_with("events.sqlite.damaged-") {
            std::fs::remove_file(file.path()).map_err(Fault::of("remove", &file.path()))?;
        }
    }
    Ok(())
}

/// Bytes of the pages in use.
pub(super) fn bytes(db: &Connection) -> Result<u64, Fault> {
    let (pages, free) = (pragma(db, "page_count")?, pragma(db, "freelist_count")?);
    Ok(4096 * pages.saturating_sub(free))
}

/// Gives pages back to the disk when a quarter of them is empty.
pub(super) fn shrink(db: &Connection) -> Result<(), Fault> {
    let (pages, free) = (pragma(db, "page_count")?, pragma(db, "freelist_count")?);
    if free > 256 && free > pages / 4 {
        // Each row of its answer frees one page.
        db.prepare("PRAGMA incremental_vacuum")?.query_map([], |_| Ok(()))?.for_each(drop);
    }
    Ok(())
}

fn pragma(db: &Connection, name: &str) -> Result<u64, Fault> {
    let number: i64 = db.pragma_query_value(None, name, |row| row.get(0))?;
    Ok(number.unsigned_abs())
}
