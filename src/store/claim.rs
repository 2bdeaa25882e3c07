//! The data folder belongs to one appliance at a time: two would overwrite each other's files.
//!
//! Not here: what is in the folder.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Somebody else uses the folder.
#[derive(Debug, thiserror::Error)]
#[error("another doorward uses the data folder {}; stop it first, or name another folder with --data-dir", .0.display())]
pub struct InUse(PathBuf);

/// The right to use the folder, until it is dropped. The system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Claim {
    _folder: Option<File>,
}

impl Claim {
    /// Claims the folder, which has to exist.
    ///
    /// # Errors
    /// When another process, or another appliance of this one, has it.
    pub fn take(folder: &Path) -> Result<Self, InUse> {
        let Ok(file) = File::open(folder) else { return Ok(Self { _folder: None }) };
        match file.try_lock() {
            Ok(()) => Ok(Self { _folder: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(InUse(folder.to_owned())),
            // Some network file systems have no locks; there the user has to take care.
            Err(TryLockError::Error(_)) => Ok(Self { _folder: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_user_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Claim::take(folder.path()).unwrap();
        let refused = Claim::take(folder.path()).unwrap_err().to_string();
        assert!(refused.contains(&folder.path().display().to_string()), "{refused}");
        drop(first);
        Claim::take(folder.path()).unwrap();
    }
}
