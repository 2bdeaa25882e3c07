//! A database file of ours: how it is opened, brought up to date, and what becomes of a damaged one; and why something could not be
//! read or written, sorted by what is done about it.
//!
//! Not here: what is in it ([`crate::archive`], [`crate::audit`]).

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use crate::logic::problem::Problem;

/// Up to this size every page is looked at when it is opened; a card reads it in about a second.
const CHECKED_BYTES: u64 = 32 << 20;

/// Why something could not be read or written.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// No room is left: the oldest may make some.
    NoRoom(String),
    /// The database cannot be believed any more: it is set aside.
    Damaged(String),
    /// The disk takes nothing, for a reason that deleting does not mend.
    Failing(String),
    /// This file cannot be written; others may.
    Refused(String),
}

impl Fault {
    /// For `map_err` of file operations.
    pub(crate) fn of<'a>(doing: &'a str, path: &'a Path) -> impl Fn(io::Error) -> Fault + 'a {
        move |error| {
            let words = format!("cannot {doing} {}: {error}", path.display());
            match error.raw_os_error() {
                Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => Fault::NoRoom(words),
                Some(libc::EIO | libc::EROFS) => Fault::Failing(words),
                Some(_) | None => Fault::Refused(words),
            }
        }
    }

    pub(crate) fn words(&self) -> &str {
        match self {
            Fault::NoRoom(words) | Fault::Damaged(words) | Fault::Failing(words) | Fault::Refused(words) => {
                words
            }
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        let words = format!("the database: {error}");
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Fault::NoRoom(words),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Fault::Damaged(words),
            // A column of another type than we wrote.
            None if matches!(
                error,
                rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..)
            ) =>
            {
                Fault::Damaged(words)
            }
            Some(_) | None => Fault::Failing(words),
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Problem {
        Problem::Disk { detail: fault.words().to_owned() }
    }
}

/// Why there is no database to work with.
pub(crate) enum Refusal {
    /// Its version, which we do not know.
    Newer(i64),
    Fault(Fault),
}

impl<F: Into<Fault>> From<F> for Refusal {
    fn from(fault: F) -> Refusal {
        Refusal::Fault(fault.into())
    }
}

/// Opens the database, made anew if there is none, and says whether it was. Each of `steps` leads from the version of its place to the next.
pub(crate) fn open(path: &Path, steps: &[&str]) -> Result<(Connection, bool), Refusal> {
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

    if version > steps.len() as i64 {
        return Err(Refusal::Newer(version));
    }
    if bytes <= CHECKED_BYTES {
        let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(Fault::Damaged(verdict).into());
        }
    }
    let done = usize::try_from(version).map_err(|_| Fault::Damaged(format!("its version is {version}")))?;
    for (number, step) in steps.iter().enumerate().skip(done) {
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
pub(crate) fn set_aside(path: &Path) -> Result<String, Fault> {
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

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
