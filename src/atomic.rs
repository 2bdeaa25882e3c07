//! Replacing a file so that a reader finds the old or the new content at any moment, after a power cut too.
//!
//! The order is the one that Linux file systems promise to keep: the new content is on the disk (fsync of the file)
//! before the name points to it (rename), and the name is on the disk (fsync of the folder) before we say it is done.
//! Not here: what is in the files.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// One operation on the disk. A list of them is what a save does, so that a test can stop after any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Makes the temporary file, empty, readable by nobody else before anything is in it.
    Create { temp: PathBuf, mode: u32 },
    /// Writes the content into it.
    Write { temp: PathBuf, bytes: Vec<u8> },
    /// Waits until the content is on the disk.
    SyncFile { temp: PathBuf },
    /// Lets the name point to the new content.
    Rename { temp: PathBuf, path: PathBuf },
    /// Waits until the name is on the disk.
    SyncFolder { folder: PathBuf },
}

impl Step {
    pub(crate) fn run(&self) -> io::Result<()> {
        match self {
            Self::Create { temp, mode } => {
                // A power cut may have left one; its mode would stay if it were only truncated.
                match std::fs::remove_file(temp) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    Ok(()) | Err(_) => {}
                }
                OpenOptions::new().write(true).create_new(true).mode(*mode).open(temp).map(drop)
            }
            Self::Write { temp, bytes } => OpenOptions::new().write(true).open(temp)?.write_all(bytes),
            Self::SyncFile { temp } => OpenOptions::new().write(true).open(temp)?.sync_all(),
            Self::Rename { temp, path } => std::fs::rename(temp, path),
            Self::SyncFolder { folder } => File::open(folder)?.sync_all(),
        }
    }
}

/// The steps that replace `path` by a file with these bytes and this mode.
pub(crate) fn steps(path: &Path, bytes: &[u8], mode: u32) -> [Step; 5] {
    let temp = temp_of(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    [
        Step::Create { temp: temp.clone(), mode },
        Step::Write { temp: temp.clone(), bytes: bytes.to_owned() },
        Step::SyncFile { temp: temp.clone() },
        Step::Rename { temp, path: path.to_owned() },
        Step::SyncFolder { folder: folder.to_owned() },
    ]
}

/// Replaces the file. After an error the old content stands, and so may a temporary file, which the next save removes.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    steps(path, bytes, mode).iter().try_for_each(Step::run)
}

/// The one temporary name of a file: leftovers never pile up.
pub(crate) fn temp_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}
