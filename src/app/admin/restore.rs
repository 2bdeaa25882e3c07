//! Putting a backup into a data folder that nobody uses.
//!
//! Not here: making one ([`super::backup`]).

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail};
use flate2::read::GzDecoder;
use serde_json::Value;
use tar::{Archive, Entry, EntryType};

use super::backup::{ABOUT, CONFIGURATION, FORMAT, SMALL_FILES};
use crate::app::VERSION;
use crate::config::Config;
use crate::store::Claim;

/// What may lie in a data folder that counts as empty.
const NO_HINDRANCE: [&str; 4] = [CONFIGURATION, "doorward.toml.bak", "backups", "lost+found"];
/// More is not the description of a backup.
const MOST_ABOUT: u64 = 64 * 1024;

/// Puts the backup into the folders of this configuration, and says what it did.
///
/// # Errors
/// With a sentence. Before the first file is written the whole backup has been read, so a damaged or strange one changes nothing.
pub fn restore(config: &Config, backup: &Path, force: bool) -> anyhow::Result<String> {
    let data = &config.data_dir;
    check(backup).with_context(|| format!("{} cannot be restored", backup.display()))?;
    make(data)?;
    let _claim = Claim::take(data)?;
    if !force {
        for folder in [data, &config.faces.folder] {
            if let Some(name) = hindrance(folder)? {
                bail!(
                    "{} is not empty ({name} is in it); nothing was changed. Name an empty folder with --data-dir, or use \
                     --force to replace what the backup has too",
                    folder.display()
                );
            }
        }
    }
    let mut n_files = 0;
    let mut configuration = None;
    for entry in open(backup)?.entries()? {
        let mut entry = entry?;
        let Some(place) = Place::of(&entry.path()?)? else { continue };
        let path = match place {
            Place::Configuration => {
                let path = free_name(data);
                configuration = Some(path.clone());
                path
            }
            Place::Small(name) => data.join(name),
            Place::Face(path) => config.faces.folder.join(path),
            Place::Event(path) => data.join("events").join(path),
        };
        write(&mut entry, &path).with_context(|| format!("{} cannot be written", path.display()))?;
        n_files += 1;
    }
    let mut told = format!("{n_files} files are restored in {}.\n", data.display());
    if let Some(path) = configuration {
        told += &format!(
            "The configuration is {}; put it where this appliance looks for one, such as /etc/doorward/doorward.toml.\n",
            path.display()
        );
    }
    Ok(told)
}

/// Where a file of a backup belongs.
enum Place {
    Configuration,
    Small(&'static str),
    Face(PathBuf),
    Event(PathBuf),
}

impl Place {
    /// None for the description.
    fn of(path: &Path) -> anyhow::Result<Option<Self>> {
        let parts: Option<Vec<&str>> = path
            .components()
            .map(|part| if let Component::Normal(name) = part { name.to_str() } else { None })
            .collect();
        let strange = || anyhow::anyhow!("it holds {path:?}, which no backup of Doorward does");
        let parts = parts.ok_or_else(strange)?;
        Ok(Some(match *parts.as_slice() {
            [ABOUT] => return Ok(None),
            [CONFIGURATION] => Self::Configuration,
            ["data", name] => {
                Self::Small(SMALL_FILES.into_iter().find(|known| *known == name).ok_or_else(strange)?)
            }
            ["faces", ref rest @ ..] if !rest.is_empty() => Self::Face(rest.iter().collect()),
            ["events", ref rest @ ..] if !rest.is_empty() => Self::Event(rest.iter().collect()),
            _ => return Err(strange()),
        }))
    }
}

fn open(backup: &Path) -> anyhow::Result<Archive<GzDecoder<BufReader<File>>>> {
    let file = File::open(backup)?;
    Ok(Archive::new(GzDecoder::new(BufReader::new(file))))
}

/// Reads all of it: whether it is ours, whole, and of a version that we know.
fn check(backup: &Path) -> anyhow::Result<()> {
    let mut about = None;
    let mut packed = open(backup)?;
    for (number, entry) in packed.entries()?.enumerate() {
        let mut entry = entry.context("it is damaged, or no .tar.gz file")?;
        let path = entry.path()?.into_owned();
        if number == 0 {
            if path != Path::new(ABOUT) {
                bail!("it is no backup of Doorward");
            }
            let mut text = String::new();
            entry.by_ref().take(MOST_ABOUT).read_to_string(&mut text)?;
            about = Some(serde_json::from_str::<Value>(&text).context("its description is damaged")?);
        }
        if entry.header().entry_type() != EntryType::Regular {
            bail!("it holds {path:?}, which is no plain file");
        }
        Place::of(&path)?;
        io::copy(&mut entry, &mut io::sink()).context("it is damaged")?;
    }
    // Only the very end has the checksum of all.
    io::copy(&mut packed.into_inner(), &mut io::sink()).context("it is damaged")?;
    let about = about.context("it is empty")?;
    let version = about["version"].as_str().unwrap_or_default();
    if about["format"].as_u64().is_none_or(|format| format > FORMAT) || numbers(version) > numbers(VERSION) {
        bail!(
            "it was made by Doorward {version}, and this is {VERSION}; install that version or a newer one first"
        );
    }
    Ok(())
}

/// `1.10.2` as numbers that compare.
fn numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
}

fn hindrance(folder: &Path) -> anyhow::Result<Option<String>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| folder.display().to_string()),
    };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.into_iter().find(|name| !NO_HINDRANCE.contains(&name.as_str())))
}

fn make(folder: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("the folder {} cannot be made", folder.display()))
}

fn write(entry: &mut Entry<'_, impl Read>, path: &Path) -> anyhow::Result<()> {
    path.parent().map_or(Ok(()), make)?;
    remove(path)?;
    // The log of another database would be taken for this one's.
    if path.extension().is_some_and(|ending| ending == "sqlite") {
        for ending in ["-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            remove(Path::new(&name))?;
        }
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::copy(entry, &mut file)?;
    Ok(file.sync_all()?)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A configuration that is there stays.
fn free_name(data: &Path) -> PathBuf {
    let plain = data.join(CONFIGURATION);
    if plain.exists() { data.join("doorward.toml.restored") } else { plain }
}
