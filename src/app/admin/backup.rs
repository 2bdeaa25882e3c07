//! Everything that makes this appliance this one, in one file: configuration, identity, settings, secrets, accounts, photographs of the
//! household, and with `events` the events with their pictures.
//!
//! Not here: putting it back ([`super::restore`]).

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::{Value, json};
use tar::{Builder, Header};

use super::Admin;
use crate::app::VERSION;
use crate::archive;
use crate::logic::events::timestamp;
use crate::logic::kept_file::{self, KeptFile};
use crate::logic::problem::Problem;

/// Counts up when an older program could not read what is in a backup.
pub(super) const FORMAT: u64 = 1;
/// The first file of every backup: what it is.
pub(super) const ABOUT: &str = "doorward-backup.json";
pub(super) const CONFIGURATION: &str = "doorward.toml";
/// Our own small files in the data folder.
pub(super) const SMALL_FILES: [&str; 4] = ["identity.json", "state.json", "secrets.json", "accounts.json"];
/// Backups that stay; the oldest goes.
const KEPT: usize = 5;
/// Room that is left to others on the disk.
const SLACK: u64 = 16 << 20;

impl Admin {
    pub(super) fn backup(&self, with_events: bool) -> Result<Value, Problem> {
        let folder = self.config.data_dir.join("backups");
        let making = Making::begin(&folder).map_err(|error| cannot(&folder, &error))?;
        let files = self.files(with_events);
        let outcome = self.room(&folder, &files, with_events).and_then(|()| {
            let n_files = self.pack(&making, &files, with_events)?;
            let path = making.finish().map_err(|error| cannot(&folder, &error))?;
            let bytes = path.metadata().map_or(0, |file| file.len());
            Ok((path, bytes, n_files))
        });
        making.clean_up();
        let (path, bytes, files) = outcome?;
        remove_oldest(&folder);
        let path = path.canonicalize().unwrap_or(path);
        tracing::info!("a backup of {files} files was made: {}", path.display());
        Ok(json!({ "path": path, "bytes": bytes, "files": files, "events": with_events }))
    }

    /// Name in the backup, and the file.
    fn files(&self, with_events: bool) -> Vec<(String, PathBuf)> {
        let data = &self.config.data_dir;
        let mut files: Vec<(String, PathBuf)> = Vec::new();
        if let Some(file) = self.config.origin.sources.clone().looked_again().file {
            files.push((CONFIGURATION.into(), file));
        }
        files.extend(SMALL_FILES.map(|name| (format!("data/{name}"), data.join(name))));
        below(&self.config.faces.folder, "faces", &mut files);
        if with_events {
            pictures(&self.events, &mut files);
        }
        files
    }

    fn room(&self, folder: &Path, files: &[(String, PathBuf)], with_events: bool) -> Result<(), Problem> {
        let size = |path: &PathBuf| path.metadata().map_or(0, |file| file.len());
        let mut need: u64 = files.iter().map(|(_, path)| size(path)).sum();
        if with_events {
            // The copy, and the copy of the copy in the backup.
            need += 2 * archive::database_bytes(&self.events);
        }
        let free = archive::free_bytes(folder).map_err(|detail| Problem::Backup { detail })?;
        if free >= need + SLACK {
            return Ok(());
        }
        let mb = |bytes: u64| bytes.div_ceil(1_000_000);
        let detail = format!(
            "The disk has {} MB free, and the backup may take {} MB. Make room first",
            mb(free),
            mb(need + SLACK)
        );
        Err(Problem::Backup { detail })
    }

    /// Writes the backup and says how many files are in it.
    fn pack(&self, making: &Making, files: &[(String, PathBuf)], with_events: bool) -> Result<u64, Problem> {
        let written = |error: io::Error| cannot(&making.temp, &error);
        let file = private(&making.temp).map_err(written)?;
        let packer = GzEncoder::new(BufWriter::new(file), Compression::fast());
        let mut tar = Builder::new(packer);
        let about = json!({
            "format": FORMAT,
            "version": VERSION,
            "created": timestamp(Timestamp::now()),
            "node": self.config.node.id.as_str(),
            "events": with_events,
        });
        add(&mut tar, ABOUT, about.to_string().as_bytes()).map_err(written)?;
        let mut n_files = 0;
        if with_events {
            self.copy_database(&making.database)?;
            tar.append_path_with_name(&making.database, "events/events.sqlite").map_err(written)?;
            n_files += 1;
        }
        for (name, path) in files {
            if self.stop.is_triggered() {
                return Err(Problem::Backup {
                    detail: "The appliance stops; nothing was kept of the backup".into(),
                });
            }
            match std::fs::read(path) {
                Ok(bytes) => add(&mut tar, name, &bytes).map_err(written)?,
                // Removed since it was listed, as old events are.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(cannot(path, &error)),
            }
            n_files += 1;
        }
        let packer = tar.into_inner().map_err(written)?;
        let file = packer.finish().and_then(|buffer| buffer.into_inner().map_err(io::Error::from));
        file.and_then(|file| file.sync_all()).map_err(written)?;
        Ok(n_files)
    }

    /// The archive's own thread makes the copy, between two events.
    fn copy_database(&self, to: &Path) -> Result<(), Problem> {
        private(to).map_err(|error| cannot(to, &error))?;
        let (then, copied) = channel();
        let order = archive::Order::Copy(to.to_owned(), Box::new(move |outcome| drop(then.send(outcome))));
        let gone = || "the archive has ended".to_owned();
        let outcome = match self.archive.send(order) {
            Ok(()) => copied.recv().unwrap_or_else(|_| Err(gone())),
            Err(_) => Err(gone()),
        };
        outcome
            .map_err(|detail| Problem::Backup { detail: format!("The events cannot be copied ({detail})") })
    }
}

/// The files of a backup that is being made. Their names are fixed, so that leftovers of a power cut are replaced.
struct Making {
    folder: PathBuf,
    temp: PathBuf,
    database: PathBuf,
}

impl Making {
    fn begin(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let making = Self {
            folder: folder.to_owned(),
            temp: folder.join("unfinished.tar.gz"),
            database: folder.join("unfinished.sqlite"),
        };
        making.clean_up();
        Ok(making)
    }

    fn finish(&self) -> io::Result<PathBuf> {
        let name = Timestamp::now().strftime("doorward-%Y-%m-%dT%H-%M-%S%.3fZ.tar.gz").to_string();
        let path = self.folder.join(name);
        std::fs::rename(&self.temp, &path)?;
        File::open(&self.folder)?.sync_all()?;
        Ok(path)
    }

    fn clean_up(&self) {
        for path in [&self.temp, &self.database] {
            // It is not there after a success, and a leftover is replaced by the next backup.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A new file that only we can read.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn add(tar: &mut Builder<impl Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(Timestamp::now().as_second()).unwrap_or(0));
    tar.append_data(&mut header, name, bytes)
}

/// Every file of a folder and of those in it. Links are left out: they may lead anywhere.
fn below(folder: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (Ok(kind), Ok(own)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
        let name = format!("{name}/{own}");
        if kind.is_dir() {
            below(&entry.path(), &name, files);
        } else if kind.is_file() {
            files.push((name, entry.path()));
        }
    }
}

/// The pictures of events, without clips.
fn pictures(events: &Path, files: &mut Vec<(String, PathBuf)>) {
    let mut found = Vec::new();
    below(events, "events", &mut found);
    let is_picture = |(name, _): &(String, PathBuf)| {
        let mut parts = name.split('/').skip(1);
        let (Some(day), Some(file), None) = (parts.next(), parts.next(), parts.next()) else { return false };
        kept_file::parse(day, file).is_some_and(|(_, kind)| kind != KeptFile::Clip)
    };
    files.extend(found.into_iter().filter(is_picture));
}

fn remove_oldest(folder: &Path) {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let is_ours = |name: &String| name.starts_with("doorward-") && name.ends_with(".tar.gz");
    let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).filter(is_ours).collect();
    // The names begin with the time.
    names.sort_unstable();
    for name in &names[..names.len().saturating_sub(KEPT)] {
        if let Err(error) = std::fs::remove_file(folder.join(name)) {
            tracing::warn!("the old backup {name} cannot be removed: {error}");
        }
    }
}

fn cannot(path: &Path, error: &io::Error) -> Problem {
    Problem::Backup { detail: format!("{} cannot be written or read ({error})", path.display()) }
}
