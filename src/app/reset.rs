//! `doorward --factory-reset`: the appliance as new. What names or shows people, lets them in or tells what happened is removed, here
//! and at the broker; what the user wrote stays.
//!
//! Not here: making it new, which the next start does.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::doctor::Visit;
use crate::audit;
use crate::config::Config;
use crate::mqtt;
use crate::store::Claim;

/// What of the data folder goes: its beginning, and what it is. What was set aside (`state.json.damaged-1`), logs of databases and what a power
/// cut left (`state.json.tmp`) begin so too.
const OURS: [(&str, &str); 7] = [
    ("accounts.json", "users, sessions and tokens"),
    ("secrets.json", "secrets"),
    ("identity.json", "identity"),
    ("state.json", "settings"),
    (audit::FILE, "audit log"),
    ("events", "events, their pictures and films"),
    ("tls", "certificate and its key"),
];
/// What photographs are, in the folder of faces.
const PHOTOS: [&str; 3] = ["jpg", "jpeg", "png"];

/// Removes it all, and says what; asks first unless `yes`.
///
/// # Errors
/// With a sentence: when an appliance runs there, nobody agrees, or something cannot be removed.
pub fn factory_reset(config: &Config, yes: bool, mut say: impl FnMut(&str)) -> anyhow::Result<()> {
    let data = &config.data_dir;
    if !data.is_dir() {
        bail!(
            "there is no data folder {}; name it with --data-dir or its configuration with --config",
            data.display()
        );
    }
    let claim = Claim::take(data)?;
    if !yes {
        agree(config)?;
    }
    say(&at_the_broker(config));
    let mut n_kept = 0;
    for (file, what) in found(data)? {
        match what {
            Some(what) => {
                remove(&file).with_context(|| format!("{} cannot be removed", file.display()))?;
                say(&format!("removed  {} ({what})\n", file.display()));
            }
            None => {
                n_kept += 1;
                say(&format!("kept     {}\n", file.display()));
            }
        }
    }
    let n_photos = forget_faces(config)?;
    say(&format!(
        "removed  {n_photos} photos and what was made of them in {}\n",
        config.faces.folder.display()
    ));
    if n_kept > 0 {
        say(
            "What was kept is the configuration, backups (with photos and secrets of before), and what is not ours.\n",
        );
    }
    say("The next start is a first one: it makes new secrets, and the page asks for the first user.\n");
    drop(claim);
    Ok(())
}

/// Has a person at a terminal type the word.
fn agree(config: &Config) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        bail!("nothing was changed: a factory reset needs a terminal to ask on, or --yes");
    }
    let mut out = io::stdout();
    write!(
        out,
        "This removes users, tokens, secrets, faces ({}), events, settings, certificate and audit log of {}, for good.\n\
         Type yes to go on: ",
        config.faces.folder.display(),
        config.data_dir.display()
    )?;
    out.flush()?;
    let mut word = String::new();
    io::stdin().lock().read_line(&mut word)?;
    if word.trim() == "yes" { Ok(()) } else { bail!("nothing was changed") }
}

/// Takes everything of ours from the broker, if it answers; what came of it.
fn at_the_broker(config: &Config) -> String {
    if config.mqtt.server.is_none() {
        return "The embedded broker keeps nothing while the appliance does not run.\n".into();
    }
    let cleared = Visit::new(config).map_err(|error| format!("{error:#}")).and_then(|visit| {
        let clearing = mqtt::clear(&visit.access, &visit.topics, &visit.own, visit.run_dir.path());
        visit.runtime.block_on(clearing)
    });
    match cleared {
        Ok(n_topics) => format!("removed  {n_topics} retained topics from the broker\n"),
        Err(why) => format!(
            "The broker still has what it keeps of this appliance, because it cannot be asked: {why}\n\
             Its devices can be deleted in Home Assistant.\n"
        ),
    }
}

/// Everything in the data folder, with what it is if it goes. The folder of faces is another matter.
fn found(data: &Path) -> anyhow::Result<Vec<(PathBuf, Option<&'static str>)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(data).with_context(|| data.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_part = |rest: &str| rest.is_empty() || rest.starts_with(['.', '-']);
        let what = OURS.iter().find(|(ours, _)| name.strip_prefix(ours).is_some_and(is_part));
        if name != "faces" {
            found.push((entry.path(), what.map(|(_, what)| *what)));
        }
    }
    found.sort();
    Ok(found)
}

/// A link is removed, never what it leads to.
fn remove(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}

/// Removes the household. In the data folder everything goes; a folder elsewhere is the user's, and there only photos and our own files
/// go. How many photos there were.
fn forget_faces(config: &Config) -> anyhow::Result<usize> {
    let folder = &config.faces.folder;
    let at = || format!("{} cannot be removed", folder.display());
    let n_photos = photos(folder, folder.starts_with(&config.data_dir)).with_context(at)?;
    let inside = config.data_dir.join("faces");
    if inside.symlink_metadata().is_ok() {
        remove(&inside).with_context(at)?;
    }
    Ok(n_photos)
}

/// Removes photos and what was made of them below a folder, with the folders that are empty then; `all` removes everything else too.
fn photos(folder: &Path, all: bool) -> io::Result<usize> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut n_photos = 0;
    for entry in entries {
        let path = entry?.path();
        if path.symlink_metadata()?.is_dir() {
            n_photos += photos(&path, all)?;
            // Whoever put something else there keeps it.
            let _ = std::fs::remove_dir(&path);
            continue;
        }
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let is_photo = ending.is_some_and(|ending| PHOTOS.contains(&ending.as_str()));
        let is_ours =
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("embeddings.json"));
        n_photos += usize::from(is_photo);
        if is_photo || is_ours || all {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(n_photos)
}
