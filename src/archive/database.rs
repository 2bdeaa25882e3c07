//! The database file: how it is opened, what is in it, and what becomes of a damaged one.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::fault::Fault;

pub(super) const NAME: &str = "events.sqlite";
/// The newest version that we know.
pub(super) const VERSION: i64 = STEPS.len() as i64;
/// Up to this size every page is looked at when it is opened; a card reads it in about a second.
const CHECKED_BYTES: u64 = 32 << 20;

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

/// Why there is no database to work with.
pub(super) enum Refusal {
    /// Its version, which we do not know.
    Newer(i64),
    Fault(Fault),
}

impl<F: Into<Fault>> From<F> for Refusal {
    fn from(fault: F) -> Refusal {
        Refusal::Fault(fault.into())
    }
}

/// Opens the database, made anew if there is none, and says whether it was.
pub(super) fn open(path: &Path) -> Result<(Connection, bool), Refusal> {
    // SQLite gives its other files the mode of this one.
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
    let bytes = file.and_then(|file| file.metadata()).map_err(Fault::of("open", path))?.len();
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(2))?;
    // One process writes, so nothing needs to be shared with others: no file of shared memory. FULL: what was committed
    // survives a power cut. The log is written back at a megabyte, by the commit that fills it and never later.
    db.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -1024;
         PRAGMA wal_autocheckpoint = 256; PRAGMA journal_size_limit = 1048576; PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
    )?;
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;

    if version > VERSION {
        return Err(Refusal::Newer(version));
    }
    if bytes <= CHECKED_BYTES {
        let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(Fault::Damaged(verdict).into());
        }
    }
    let done = usize::try_from(version).map_err(|_| Fault::Damaged(format!("its version is {version}")))?;
    for (number, step) in STEPS.iter().enumerate().skip(done) {
        migrate(&db, step, number + 1).map_err(|fault| match fault {
            // Tables that are there although no version says so are not ours.
            Fault::Failing(words) if version == 0 && bytes > 0 => Fault::Damaged(words),
            other => other,
        })?;
    }
    Ok((db, version == 0))
}

fn migrate(db: &Connection, step: &str, version: usize) -> Result<(), Fault> {
    let change = db.unchecked_transaction()?;
    change.execute_batch(step)?;
    change.pragma_update(None, "user_version", version as i64)?;
    Ok(change.commit()?)
}

/// Gives a damaged database another name, with the log that belongs to it; says which.
pub(super) fn set_aside(path: &Path) -> Result<String, Fault> {
    let name = |number: u32| with(path, &format!(".damaged-{number}"));
    let aside = (1..100).map(name).find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| name(100));
    std::fs::rename(path, &aside).map_err(Fault::of("set aside", path))?;
    for ending in ["-wal", "-shm"] {
        let part = with(path, ending);
        match std::fs::rename(&part, with(&aside, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Fault::of("set aside", &part)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(aside.display().to_string())
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

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
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
