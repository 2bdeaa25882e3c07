//! Where configuration comes from, gathered before anything is judged, so that tests can hand in their own.
//!
//! Not here: what the layers mean; see [`super::layers`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::cli::Flags;

/// Variables with this prefix set keys.
pub(super) const ENV_PREFIX: &str = "DOORWARD__";

/// The file used when neither flag nor `DOORWARD_CONFIG` names one: the first that exists.
const SEARCHED: [&str; 2] = ["doorward.toml", "/etc/doorward/doorward.toml"];

/// Everything that [`super::load`] looks at. The default is empty: no file, no variable, no flag.
/// No `Debug`: passwords are among the variables.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file to read; it must exist.
    pub file: Option<PathBuf>,
    /// Where a file is looked for when none is named, best first; empty if one is.
    pub searched: Vec<PathBuf>,
    /// The options of the Home Assistant app, a JSON file; they win over the file.
    pub options: Option<PathBuf>,
    /// What Home Assistant's Supervisor knows.
    pub found: Found,
    /// The environment; only names that begin with `DOORWARD_` matter, and `STATE_DIRECTORY`.
    pub env: Vec<(OsString, OsString)>,
    /// The flags.
    pub flags: Flags,
    /// The machine's name, from which `node.id` is made.
    pub host_name: String,
}

/// What somebody else knows of the surroundings. It fills what is left empty: a part stands here only when nobody wrote it
/// down.
#[derive(Clone, Default)]
pub struct Found {
    /// The broker.
    pub broker: Option<FoundBroker>,
    /// The page's address for people.
    pub page: Option<String>,
}

/// A broker that somebody else knows the way to. No `Debug`: it holds a password.
#[derive(Clone, Default)]
pub struct FoundBroker {
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User; empty = log in without a name.
    pub username: String,
    /// Password of that user.
    pub password: String,
    /// Whether it wants TLS.
    pub tls: bool,
}

impl Sources {
    /// The sources of this process with the flags that it was given.
    #[must_use]
    pub fn of_process(flags: Flags) -> Self {
        let named = flags.config.clone().or_else(|| {
            let path = std::env::var_os("DOORWARD_CONFIG").filter(|path| !path.is_empty())?;
            Some(PathBuf::from(path))
        });
        let searched: Vec<PathBuf> =
            if named.is_some() { Vec::new() } else { SEARCHED.iter().map(PathBuf::from).collect() };
        let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host_name = host_name.trim().to_owned();
        Self {
            file: named,
            searched,
            env: std::env::vars_os().collect(),
            flags,
            host_name,
            ..Self::default()
        }
        .looked_again()
    }

    /// The same layers with the file that a start would find now.
    #[must_use]
    pub fn looked_again(mut self) -> Self {
        if !self.searched.is_empty() {
            self.file = self.searched.iter().find(|path| exists(path)).cloned();
        }
        self
    }
}

/// A file that is there but may not be looked at counts as there: its fault shall be reported, not passed over.
fn exists(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}
