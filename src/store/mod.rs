//! Small files in the data folder that survive a power cut: run-time values, identities, secrets, accounts.
//!
//! Not here: what the user wrote, see [`crate::config`]; what the values mean, see `crate::logic`.

pub mod accounts_file;
mod claim;
mod damaged;
pub mod identity;
pub mod secrets;
pub mod state_file;

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

pub use accounts_file::{AccountsFile, NoAccounts, OpenedAccounts};
pub use claim::{Claim, InUse};
pub use identity::IdentityFile;
pub use secrets::{Opened, Secrets};
pub use state_file::{StateFile, Stored};

/// The data folder cannot be used. The text tells people what to do.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot {action} {}: {source}. The data folder must be writable for the user that runs doorward: change its owner \
     (chown), or name another folder with data_dir or --data-dir",
    path.display()
)]
pub struct Error {
    /// What was tried, such as `write`.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl Error {
    fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, path: path.to_owned(), source }
    }
}

/// Makes the data folder, private, if it is missing. One that is there keeps its permissions: it may be shared with
/// others, such as `/srv` or a mounted volume, and is not ours to close.
fn make_folder(folder: &Path) -> Result<(), Error> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(Error::new("make the folder", folder))
}
