//! Pictures and clips on the disk: written whole or not at all, measured, listed and removed.
//!
//! Not here: what the database says about them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use ulid::Ulid;

use crate::atomic;
use crate::database::Fault;
use crate::logic::kept_file::{self, KeptFile};

/// Files written in one go. Folders wait for the disk once, at the end, instead of once a file.
pub(super) struct Batch<'a> {
    folder: &'a Path,
    touched: BTreeSet<PathBuf>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(folder: &'a Path) -> Self {
        Self { folder, touched: BTreeSet::new() }
    }

    /// Writes a file under its final name once its content is on the disk.
    pub(super) fn write(&mut self, id: &str, kind: KeptFile, bytes: &[u8]) -> Result<(), Fault> {
        let path = self.place(id, kind)?;
        // The last step waits for the folder.
        let [create, write, sync, rename, _] = atomic::steps(&path, bytes, 0o600);
        let written = [create, write, sync, rename].iter().try_for_each(atomic::Step::run);
        written.map_err(|error| {
            // Half a picture would take the room that is missing.
            let _ = std::fs::remove_file(atomic::temp_of(&path));
            Fault::of("write", &path)(error)
        })
    }

    /// Moves a finished file in; from another file system as a copy.
    pub(super) fn move_in(&mut self, id: &str, kind: KeptFile, from: &Path) -> Result<(), Fault> {
        let path = self.place(id, kind)?;
        let synced = File::open(from).and_then(|file| file.sync_all());
        match synced.and_then(|()| std::fs::rename(from, &path)) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let temp = atomic::temp_of(&path);
                let copied = std::fs::copy(from, &temp)
                    .and_then(|_| File::open(&temp)?.sync_all())
                    .and_then(|()| std::fs::rename(&temp, &path));
                copied.map_err(|error| {
                    let _ = std::fs::remove_file(&temp);
                    Fault::of("write", &path)(error)
                })?;
                let _ = std::fs::remove_file(from);
                Ok(())
            }
            Err(error) => Err(Fault::of("move", from)(error)),
        }
    }

    /// Waits until the names are on the disk.
    pub(super) fn finish(self) -> Result<(), Fault> {
        self.touched.iter().try_for_each(|folder| {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(Fault::of("write", folder))
        })
    }

    fn place(&mut self, id: &str, kind: KeptFile) -> Result<PathBuf, Fault> {
        let path = kept_file::path(self.folder, id, kind)
            .ok_or_else(|| Fault::Refused(format!("\"{id}\" is not the id of an event")))?;
        let day = path.parent().expect("it lies in the folder of its day").to_owned();
        match DirBuilder::new().mode(0o700).create(&day) {
            Ok(()) => drop(self.touched.insert(self.folder.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Fault::of("make", &day)(error)),
        }
        self.touched.insert(day);
        Ok(path)
    }
}

/// Which files an event has, and their bytes together.
pub(super) fn measure(folder: &Path, id: &str) -> (u8, u64) {
    let mut sum = (0, 0);
    for kind in KeptFile::ALL {
        let length =
            kept_file::path(folder, id, kind).and_then(|path| path.metadata().ok()).map(|file| file.len());
        if let Some(length) = length.filter(|length| *length > 0) {
            sum = (sum.0 | kind.bit(), sum.1 + length);
        }
    }
    sum
}

/// Removes the files of an event, and the folder of its day if that was the last.
pub(super) fn remove(folder: &Path, id: &str) {
    for kind in KeptFile::ALL {
        if let Some(path) = kept_file::path(folder, id, kind) {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(
                        "cannot remove {}: {error}; it is tried again at the next start",
                        path.display()
                    );
                }
                Ok(()) | Err(_) => {}
            }
            if kind == KeptFile::Clip {
                let _ = path.parent().map(std::fs::remove_dir);
            }
        }
    }
}

/// Which files each event has on the disk. What an interrupted write left is removed on the way.
pub(super) fn list(folder: &Path) -> Result<BTreeMap<Ulid, u8>, Fault> {
    let mut found: BTreeMap<Ulid, u8> = BTreeMap::new();
    for day in std::fs::read_dir(folder).map_err(Fault::of("read", folder))? {
        let day = day.map_err(Fault::of("read", folder))?;
        let name = day.file_name();
        let Some(day_name) = name.to_str().filter(|name| kept_file::is_day(name)) else { continue };
        let day = day.path();
        for file in std::fs::read_dir(&day).map_err(Fault::of("read", &day))? {
            let file = file.map_err(Fault::of("read", &day))?;
            let name = file.file_name();
            if name.as_bytes().ends_with(b".tmp") {
                let _ = std::fs::remove_file(file.path());
            } else if let Some((id, kind)) = name.to_str().and_then(|name| kept_file::parse(day_name, name)) {
                *found.entry(id).or_default() |= kind.bit();
            }
        }
    }
    Ok(found)
}

/// Bytes that this process may still write to the disk of the folder.
pub(super) fn free(folder: &Path) -> Result<u64, Fault> {
    let name = std::ffi::CString::new(folder.as_os_str().as_bytes())
        .map_err(|_| Fault::Failing("the folder of events has a zero byte in its name".into()))?;
    let mut answer = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the name ends with a zero byte, and the answer has the size that statvfs(3) fills.
    #[allow(unsafe_code, reason = "std has no statvfs")]
    let outcome = unsafe { libc::statvfs(name.as_ptr(), answer.as_mut_ptr()) };
    if outcome != 0 {
        return Err(Fault::of("look at", folder)(io::Error::last_os_error()));
    }
    // SAFETY: the call succeeded, so all fields are set.
    #[allow(unsafe_code, reason = "std has no statvfs")]
    let answer = unsafe { answer.assume_init() };
    #[allow(clippy::useless_conversion, reason = "the fields are narrower on 32-bit systems")]
    Ok(u64::from(answer.f_bavail) * u64::from(answer.f_frsize))
}
