//! The archive of events: one SQLite database, pictures and clips beside it, and one thread that writes.
//!
//! A picture is on the disk before the row that names it is committed, and whatever an answer shows was committed
//! before. Nothing is written while nothing happens.
//! Not here: when an event happens ([`crate::logic::appliance`]), and how people ask ([`crate::logic::history`]).

mod database;
mod files;
mod forget;
mod index;
mod picture;
mod read;
mod room;
mod run;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_damage;
#[cfg(test)]
mod tests_room;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use jiff::civil::Date;
use rusqlite::{Connection, params};
use serde_json::{Map, Value, json};
use ulid::Ulid;

use self::index::{Index, Slot};
use self::room::Strays;
pub use self::run::{Order, run};
use self::write::{Full, Work};
use crate::database::{Fault, Refusal};
use crate::logic::history::{ArchiveNews, Delivery};
use crate::logic::input::Now;
use crate::logic::kept_file::{self, KeptFile};
use crate::logic::steady::Steady;

/// How much is kept. The oldest go first; those that are pinned stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Days, 0 = for ever.
    pub keep_days: u32,
    /// Events, those that are pinned among them.
    pub keep_count: u64,
    /// Bytes of pictures, clips and the database; its log of up to 1 MB comes on top.
    pub keep_bytes: u64,
    /// Bytes that stay free on the disk for others.
    pub min_free_bytes: u64,
}

/// Why there can be no archive.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its database is of a later version than this program knows.
    #[error(
        "{path} was written by a newer Doorward (version {found}, this one knows {known}). \
         Install that one again, or move the file away to begin a new archive"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// It cannot be opened or made.
    #[error("{0}. Check the space and the permissions of the folder, and that no other Doorward uses it")]
    Disk(String),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        Error::Disk(fault.words().to_owned())
    }
}

/// An event as it is kept, for those who go on working with it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What lists show of it.
    pub record: Map<String, Value>,
    /// Its best picture.
    pub picture: Option<Bytes>,
}

/// A row whose files are others than it says.
struct Apart {
    seq: i64,
    /// Whether the picture that was told is gone.
    is_lost: bool,
    files: u8,
    bytes: u64,
}

/// The events on the disk. One thread owns it; see [`run()`].
pub struct Archive {
    folder: PathBuf,
    limits: Limits,
    db: Connection,
    /// Follows the database after each commit.
    index: Index,
    /// Pictures whose rows were lost with a damaged database.
    strays: Strays,
    waiting: Vec<Work>,
    /// When the first of those came.
    waiting_since: Option<Instant>,
    full: Option<Full>,
    steady: Steady,
    retained_at: Option<Instant>,
    /// People whom the disk did not let us forget yet.
    to_forget: Vec<String>,
    strips: HashMap<(String, Date), read::Strip>,
    news: Vec<ArchiveNews>,
    deliveries: Vec<Delivery>,
    lost_deliveries: u64,
}

impl Archive {
    /// Opens the archive in its folder, or begins one. A damaged database is set aside, which the news tells.
    ///
    /// # Errors
    /// When the folder or the database cannot be used, or a newer Doorward wrote it.
    pub fn open(folder: &Path, limits: Limits) -> Result<(Archive, Option<ArchiveNews>), Error> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Fault::of("make", folder))?;
        let (db, is_new, aside) = open_database(folder)?;
        let mut archive = Archive {
            folder: folder.to_owned(),
            limits,
            db,
            index: Index::default(),
            strays: Strays::default(),
            waiting: Vec::new(),
            waiting_since: None,
            full: None,
            steady: Steady::default(),
            retained_at: None,
            to_forget: Vec::new(),
            strips: HashMap::new(),
            news: Vec::new(),
            deliveries: Vec::new(),
            lost_deliveries: 0,
        };
        let aside = match archive.load(is_new) {
            Err(Fault::Damaged(words)) => Some(archive.begin_again(&words)?),
            loaded => loaded.map(|()| aside)?,
        };
        archive.tell_size();
        Ok((archive, aside.map(ArchiveNews::Damaged)))
    }

    /// What there is to tell since the last call.
    pub fn take_news(&mut self) -> Vec<ArchiveNews> {
        std::mem::take(&mut self.news)
    }

    /// What targets have to be told since the last call; after opening, all that was pending.
    pub fn take_deliveries(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.deliveries)
    }

    /// Deliveries that gave way to newer ones because a target could not be reached for long.
    #[must_use]
    pub fn lost_deliveries(&self) -> u64 {
        self.lost_deliveries
    }

    /// Copies the database as it is now, with what waits, into a file that is new and empty.
    ///
    /// # Errors
    /// When the disk fails, in words.
    pub fn copy(&mut self, now: Now, to: &Path) -> Result<(), String> {
        self.flush(now);
        let copied = self.db.execute("VACUUM INTO ?1", [to.display().to_string()]);
        copied.map(drop).map_err(|error| Fault::from(error).words().to_owned())
    }

    /// Sets a damaged database aside while running and begins a new one; says under which name.
    fn begin_again(&mut self, words: &str) -> Result<String, Fault> {
        tracing::error!("{words}; it is set aside and a new one begun");
        // Closes the damaged one.
        self.db = Connection::open_in_memory()?;
        let aside = crate::database::set_aside(&self.folder.join(database::NAME))?;
        let (db, is_new, _) =
            open_database(&self.folder).map_err(|error| Fault::Failing(error.to_string()))?;
        self.db = db;
        self.strips.clear();
        self.load(is_new)?;
        Ok(aside)
    }

    /// Does something with the database; if that turns out to be damaged, once more with a new one.
    fn guarded<T>(&mut self, act: impl Fn(&mut Archive) -> Result<T, Fault>) -> Result<T, Fault> {
        match act(self) {
            Err(Fault::Damaged(words)) => {
                let aside = self.begin_again(&words)?;
                self.news.push(ArchiveNews::Damaged(aside));
                act(self)
            }
            other => other,
        }
    }

    /// Fills the memory from the disk, and mends what a power cut or a kill left apart.
    fn load(&mut self, is_new: bool) -> Result<(), Fault> {
        let mut found = files::list(&self.folder)?;
        if is_new && let Some(last) = found.keys().next_back() {
            // Their rows are gone, but they may be all that is left: retention takes them, nobody else.
            let values = params!["lost_up_to", last.to_string()];
            self.db.execute("INSERT OR REPLACE INTO facts VALUES (?1, ?2)", values)?;
        }
        self.index = Index::default();
        let apart = self.fill_index(&mut found)?;
        self.mend(&apart)?;
        self.sort_strays(found)?;
        self.recall_deliveries()
    }

    /// Reads all rows, takes their files out of those that were found, and says which rows have others than they say.
    fn fill_index(&mut self, found: &mut BTreeMap<Ulid, u8>) -> Result<Vec<Apart>, Fault> {
        let (mut slots, mut apart) = (Vec::new(), Vec::new());
        let mut rows = self.db.prepare(
            "SELECT seq, id, ts, sort, event_type, camera, person, pinned, files, bytes FROM events",
        )?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let id = row.get_ref(1)?.as_str().map_err(|error| Fault::Damaged(error.to_string()))?;
            let on_disk = kept_file::ulid(id).and_then(|id| found.remove(&id)).unwrap_or(0);
            let mut word = |column| -> Result<u16, Fault> {
                let text = row.get_ref(column)?;
                let text = text.as_str_or_null().map_err(|error| Fault::Damaged(error.to_string()))?;
                Ok(self.index.word(text))
            };
            let (sort, event_type, camera, person) = (word(3)?, word(4)?, word(5)?, word(6)?);
            let mut slot = Slot {
                seq: row.get(0)?,
                ts: row.get(2)?,
                sort,
                event_type,
                camera,
                person,
                pinned: row.get(7)?,
                files: row.get(8)?,
                bytes: row.get(9)?,
            };
            if slot.files != on_disk {
                let (files, bytes) = files::measure(&self.folder, id);
                let is_lost = KeptFile::Picture.is_in(slot.files & !files);
                apart.push(Apart { seq: slot.seq, is_lost, files, bytes });
                (slot.files, slot.bytes) = (files, u32::try_from(bytes).unwrap_or(u32::MAX));
            }
            slots.push(slot);
        }
        self.index.fill(slots);
        Ok(apart)
    }

    /// Lets rows say what the disk has.
    fn mend(&self, apart: &[Apart]) -> Result<(), Fault> {
        if apart.is_empty() {
            return Ok(());
        }
        let change = self.db.unchecked_transaction()?;
        for Apart { seq, is_lost, files, bytes } in apart {
            change.execute(
                "UPDATE events SET files = ?2, bytes = ?3 WHERE seq = ?1",
                params![seq, files, *bytes as i64],
            )?;
            if *is_lost {
                let mut record = read::record(&change, *seq)?;
                lose_image(&mut record);
                let text = Value::Object(record).to_string();
                change.execute("UPDATE records SET record = ?2 WHERE seq = ?1", params![seq, text])?;
            }
        }
        tracing::warn!("{} events were mended after an interrupted write", apart.len());
        Ok(change.commit()?)
    }

    /// Tells how much is kept, if that has changed.
    fn tell_size(&mut self) {
        let holds = ArchiveNews::Holds { events: self.index.len(), bytes: self.bytes() };
        self.news.push(holds);
    }
}

/// Bytes of the database in the folder of an archive, with its log.
#[must_use]
pub fn database_bytes(folder: &Path) -> u64 {
    let size = |name: String| folder.join(name).metadata().map_or(0, |file| file.len());
    size(database::NAME.to_owned()) + size(format!("{}-wal", database::NAME))
}

/// Bytes that this process may still write to the disk of a folder.
///
/// # Errors
/// When the system does not say, in words.
pub fn free_bytes(folder: &Path) -> Result<u64, String> {
    files::free(folder).map_err(|fault| fault.words().to_owned())
}

/// The database of a folder, whether it is new, and the name of a damaged one that was set aside.
fn open_database(folder: &Path) -> Result<(Connection, bool, Option<String>), Error> {
    let path = folder.join(database::NAME);
    let newer = |found| Error::Newer { path: path.clone(), found, known: database::VERSION };
    let is_emptied = path.metadata().is_ok_and(|file| file.len() == 0) && !files::list(folder)?.is_empty();
    let first = if is_emptied {
        Err(Refusal::Fault(Fault::Damaged("it is empty although there are pictures".into())))
    } else {
        database::open(&path)
    };
    match first {
        Ok((db, is_new)) => Ok((db, is_new, None)),
        Err(Refusal::Newer(found)) => Err(newer(found)),
        Err(Refusal::Fault(Fault::Damaged(words))) => {
            let aside = crate::database::set_aside(&path)?;
            tracing::error!("{} is damaged ({words}); it was set aside as {aside}", path.display());
            match database::open(&path) {
                Ok((db, is_new)) => Ok((db, is_new, Some(aside))),
                Err(Refusal::Newer(found)) => Err(newer(found)),
                Err(Refusal::Fault(fault)) => Err(fault.into()),
            }
        }
        Err(Refusal::Fault(fault)) => Err(fault.into()),
    }
}

/// The record says that its picture is gone.
fn lose_image(record: &mut Map<String, Value>) {
    record.insert("image".into(), Value::Null);
    record.insert("image_missing".into(), json!(true));
}
