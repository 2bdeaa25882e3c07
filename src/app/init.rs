//! The first configuration file: every key with its explanation, the cameras of this machine, and what was asked for.
//!
//! Not here: the text itself ([`crate::config`]).

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail};

use super::plan;
use crate::config::cli::Flags;
use crate::config::edit;

/// Writes the file and says what is in it.
///
/// # Errors
/// When there is a file already, the flags have mistakes, or it cannot be written.
pub fn init(file: &Path, flags: &Flags) -> anyhow::Result<String> {
    let cameras = plan::found_cameras();
    let text = edit::annotated(flags, &cameras)?;
    // A password in it is for nobody else; without one the service may run as another user than the one who writes this.
    let is_secret = edit::has_secret(flags);
    let mode = if is_secret { 0o600 } else { 0o644 };
    let name = file.display();
    let made = OpenOptions::new().write(true).create_new(true).mode(mode).open(file);
    let mut made = match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!(
                "{name} is there already and stays as it is; name another file, or change it with: doorward config set"
            )
        }
        made => made.with_context(|| format!("{name} cannot be written"))?,
    };
    made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).with_context(|| name.to_string())?;
    let mut told = format!("{name} is written: every key with its default and what it does.\n");
    let named = flags.set.iter().any(|set| set.starts_with("cameras."));
    match cameras.as_slice() {
        _ if named => {}
        [] => told += "No camera was found on this machine; the demo scene is shown until you name one.\n",
        found => {
            for (id, source) in found {
                told += &format!("Camera {id}: {source}\n");
            }
        }
    }
    let given =
        [&flags.data_dir.as_ref().map(|_| "data_dir"), &flags.http_bind.as_ref().map(|_| "http.bind")];
    let level = flags.log_level.as_ref().map(|_| "log.level");
    let sets = flags.set.iter().filter_map(|set| Some(set.split_once('=')?.0));
    let active: Vec<&str> = given.into_iter().flatten().copied().chain(level).chain(sets).collect();
    if !active.is_empty() {
        told += &format!("Set as you said: {}\n", active.join(", "));
    }
    if is_secret {
        told += "It holds a password, so only its owner may read it.\n";
    }
    Ok(told + &format!("Check it with: doorward check-config --config {name}\n"))
}
