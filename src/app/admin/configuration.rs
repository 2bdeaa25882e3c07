//! Showing, checking and changing the configuration while the appliance runs with the one it started with.
//!
//! Not here: what is right ([`crate::config`]).

use std::fs::Metadata;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Admin;
use crate::atomic;
use crate::config::{Config, Sources, edit, load};
use crate::logic::admin::{Change, Mistake};
use crate::logic::problem::{Problem, quoted};
use crate::mqtt;

/// The mode of a file that we make: passwords may come into it later.
const MODE: u32 = 0o600;
const HEADER: &str = "# Doorward's configuration. Every key: docs/config.md\n";

impl Admin {
    /// What the appliance runs with, and which keys would be others after a new start.
    pub(super) fn get(&self, path: Option<&str>) -> Result<Value, Problem> {
        let origin = &self.config.origin;
        let keys = origin.at(path).map_err(|instead| Problem::BadField {
            request: "config/get".into(),
            field: "path".into(),
            needs: format!("{instead}, not \"{}\",", quoted(path.unwrap_or_default())),
        })?;
        let pending = load(&self.sources()).ok().map(|config| origin.differing(&config.origin));
        Ok(json!({
            "file": origin.sources.file,
            "data_dir": self.config.data_dir,
            "node_id": self.config.node.id.as_str(),
            "keys": keys.iter().map(|key| key.to_json()).collect::<Vec<_>>(),
            // None: the file has mistakes now, which config/reload lists.
            "pending": pending,
        }))
    }

    pub(super) fn validate(&self, change: &Change) -> Value {
        let faults = match self.proposal(change) {
            Ok(_) => Vec::new(),
            Err(Problem::Config(mistakes)) => mistakes.iter().map(Mistake::to_json).collect(),
            Err(problem) => {
                let message = problem.advice();
                vec![Mistake { key: String::new(), line: None, place: String::new(), message }.to_json()]
            }
        };
        json!({ "ok": faults.is_empty(), "faults": faults })
    }

    pub(super) fn set(&self, change: &Change) -> Result<Value, Problem> {
        let Proposal { places, before, after, config } = self.proposal(change)?;
        let (file, kept) = write_first(&places, before.as_deref(), &after)?;
        tracing::info!("{} was changed by a request", file.display());
        let written = edit::keys_of(change);
        // A stronger layer may say something else.
        let in_file = |place: &str| places.iter().any(|file| place.starts_with(&file.display().to_string()));
        let shadow = |key: &String| config.origin.place(key).filter(|place| !in_file(place));
        let shadowed: Vec<Value> =
            written.iter().filter_map(|key| Some(json!({ "key": key, "by": shadow(key)? }))).collect();
        let pending = self.config.origin.differing(&config.origin);
        Ok(json!({
            "file": file,
            "kept": kept,
            "written": written,
            "shadowed": shadowed,
            "pending": pending,
            "reload_needed": !pending.is_empty(),
        }))
    }

    /// The configuration with which a new start would begin.
    pub(super) fn checked(&self) -> Result<Config, Problem> {
        let config = load(&self.sources())
            .map_err(|faults| Problem::Config(faults.iter().map(Mistake::from).collect()))?;
        let mistakes = self.trial(&config);
        if mistakes.is_empty() { Ok(config) } else { Err(Problem::Config(mistakes)) }
    }

    fn sources(&self) -> Sources {
        self.config.origin.sources.clone().looked_again()
    }

    fn proposal(&self, change: &Change) -> Result<Proposal, Problem> {
        let mut sources = self.sources();
        let places = sources.file.clone().map_or_else(|| sources.searched.clone(), |file| vec![file]);
        let before = match &sources.file {
            Some(file) => read(file)?,
            None => None,
        };
        sources.file = places.first().cloned();
        let text = before.as_deref().unwrap_or(HEADER);
        let (after, config) = edit::changed(&sources, text, change).map_err(Problem::Config)?;
        Ok(Proposal { places, before, after, config })
    }

    /// What only a start would find: taken ports and unusable certificates. Better now than when nothing runs any more.
    fn trial(&self, config: &Config) -> Vec<Mistake> {
        let broker = |config: &Config| config.broker.as_ref().map(|broker| broker.bind);
        let ours = [Some(self.config.http.bind), broker(&self.config)];
        let wanted = [("http.bind", Some(config.http.bind)), ("broker.bind", broker(config))];
        let mistake = |key: &str, message: String| {
            let place = config.origin.place(key).unwrap_or_default().to_owned();
            Mistake { key: key.to_owned(), line: None, place, message }
        };
        let taken = |bind: SocketAddr| -> Option<io::Error> {
            let is_ours = ours.iter().flatten().any(|our| our.port() == bind.port());
            if is_ours { None } else { TcpListener::bind(bind).err() }
        };
        let mut mistakes: Vec<Mistake> = wanted
            .into_iter()
            .filter_map(|(key, bind)| Some((key, bind?, taken(bind?)?)))
            .map(|(key, bind, error)| mistake(key, format!("{bind} cannot be used: {error}")))
            .collect();
        let tls = config.mqtt.server.as_ref().and_then(|server| server.tls.as_ref());
        if let Some(Err(error)) = tls.map(mqtt::client_config) {
            mistakes.push(mistake("mqtt.tls", format!("{error:#}")));
        }
        mistakes
    }
}

/// A change that is good.
struct Proposal {
    /// Files that a start reads, best first; the change goes into the first that can be written.
    places: Vec<PathBuf>,
    before: Option<String>,
    after: String,
    config: Config,
}

fn read(file: &Path) -> Result<Option<String>, Problem> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(Problem::ConfigFile { detail: format!("{} cannot be read ({error})", file.display()) })
        }
    }
}

/// Writes into the first place that lets us; says where, and where what was there before is kept.
fn write_first(
    places: &[PathBuf],
    before: Option<&str>,
    after: &str,
) -> Result<(PathBuf, Option<PathBuf>), Problem> {
    let mut refused = Vec::new();
    for place in places {
        match write(place, before, after) {
            Ok(written) => return Ok(written),
            Err(error) => refused.push(format!("{}: {error}", place.display())),
        }
    }
    if refused.is_empty() {
        refused.push("this appliance was started without any file".to_owned());
    }
    let detail = format!(
        "The configuration file cannot be written ({}); nothing was changed. Change it by hand, or start Doorward with \
         --config and a file in a folder that it may write to",
        refused.join("; ")
    );
    Err(Problem::ConfigFile { detail })
}

fn write(place: &Path, before: Option<&str>, after: &str) -> io::Result<(PathBuf, Option<PathBuf>)> {
    // A link stays a link.
    let file = place.canonicalize().unwrap_or_else(|_| place.to_owned());
    let about = std::fs::metadata(&file).ok();
    let mode = about.as_ref().map_or(MODE, |about| about.permissions().mode() & 0o777);
    let kept = before.map(|_| with_ending(&file, ".bak"));
    if let (Some(kept), Some(before)) = (&kept, before) {
        atomic::replace(kept, before.as_bytes(), mode)?;
        give_back(kept, about.as_ref());
    }
    atomic::replace(&file, after.as_bytes(), mode)?;
    give_back(&file, about.as_ref());
    Ok((file, kept))
}

/// A file that root replaces for somebody stays theirs.
fn give_back(file: &Path, about: Option<&Metadata>) {
    if let Some(about) = about {
        // Others than root may not, and need not: then the owner is us, or shares the group.
        let _ = chown(file, Some(about.uid()), Some(about.gid()));
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
