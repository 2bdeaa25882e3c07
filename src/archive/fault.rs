//! Why something could not be read or written, sorted by what the archive does about it.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;

use crate::logic::problem::Problem;

#[derive(Clone, Debug)]
pub(super) enum Fault {
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
    pub(super) fn of<'a>(doing: &'a str, path: &'a Path) -> impl Fn(io::Error) -> Fault + 'a {
        move |error| {
            let words = format!("cannot {doing} {}: {error}", path.display());
            match error.raw_os_error() {
                Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => Fault::NoRoom(words),
                Some(libc::EIO | libc::EROFS) => Fault::Failing(words),
                Some(_) | None => Fault::Refused(words),
            }
        }
    }

    pub(super) fn words(&self) -> &str {
        match self {
            Fault::NoRoom(words) | Fault::Damaged(words) | Fault::Failing(words) | Fault::Refused(words) => {
                words
            }
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        let words = format!("the database of events: {error}");
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
