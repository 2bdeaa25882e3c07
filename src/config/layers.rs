//! File, environment and flags become layers of known keys with allowed values; the `config` crate lays them over
//! each other. Each value keeps the place where it was written.
//!
//! Not here: the defaults, see [`super::keys`]; how values fit each other, see [`super::check`].

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use config::{Map, Source, Value, ValueKind};
use toml::de::{DeTable, DeValue};

use super::Id;
use super::cli::Flags;
use super::faults::Faults;
use super::keys::{self, Family};
use super::options::{self, Setting};
use super::sources::{ENV_PREFIX, Found, Sources};
use super::suggest;
use super::value::{self, Written};
use super::values::Values;

/// The checked values of all layers, merged; none when the file cannot be understood at all.
pub(super) fn merge(sources: &Sources, trial: Trial<'_>, faults: &mut Faults) -> Option<Values> {
    let file = match (&sources.file, trial.text) {
        (path, Some(text)) => {
            let place = path.as_ref().map_or_else(String::new, |path| path.display().to_string());
            of_text(text, &place, faults)?
        }
        (Some(path), None) => of_file(path, faults)?,
        (None, None) => Layer::default(),
    };
    let options = sources.options.as_deref().map(|path| options::read(path, faults)).unwrap_or_default();
    let merged = config::Config::builder()
        .add_source(file)
        .add_source(trial.layer.unwrap_or_default())
        .add_source(of_settings(options, faults))
        .add_source(of_environment(sources, faults))
        .add_source(of_flags(&sources.flags, faults))
        // Last, so that it fills what others leave empty.
        .add_source(of_settings(found(&sources.found), faults))
        .build()
        .expect("layers hold only known keys, which never fail to merge");
    Some(Values::new(merged.cache))
}

/// What is tried before it is written.
#[derive(Default)]
pub(super) struct Trial<'a> {
    /// Instead of what the file holds.
    pub(super) text: Option<&'a str>,
    /// On top of the file.
    pub(super) layer: Option<Layer>,
}

/// Values by path. Every path is known to [`keys`], so it has only `a-z`, `0-9`, `_` and dots: the `config` crate would
/// read anything else as an expression, and an index such as `a[9999999999]` as a wish for that much memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer(pub(super) BTreeMap<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.iter().map(|(path, value)| (path.clone(), value.clone())).collect())
    }
}

impl Layer {
    /// Takes a value of the environment or the command line.
    pub(super) fn take_text(&mut self, path: &str, text: &str, place: &str, faults: &mut Faults) {
        self.take_named(path, &Written::Text(text), place, faults);
    }

    /// Takes a value where no section has named the camera or target before.
    pub(super) fn take_named(&mut self, path: &str, written: &Written<'_>, place: &str, faults: &mut Faults) {
        if let Some((family, name)) = keys::family(path)
            && let Err(why) = check_name(family, name)
        {
            faults.add(path, why, place);
        }
        self.take(path, written, place, faults);
    }

    /// Takes one written value, or notes what is wrong with it.
    fn take(&mut self, path: &str, written: &Written<'_>, place: &str, faults: &mut Faults) {
        let Some(key) = keys::find(path) else {
            let message = if let Some(family) = keys::FAMILIES.iter().find(|family| family.path == path) {
                let Family { path, noun, example, .. } = family;
                format!("each {noun} is a section of its own, such as [{path}.{example}]")
            } else if keys::is_section(path) {
                "a section with keys, not a value".to_owned()
            } else {
                format!("unknown key{}", suggest::instead_of(path))
            };
            faults.add(path, message, place);
            return;
        };
        match value::read(key, written) {
            Ok(kind) => {
                let value = Value::new(Some(&place.to_owned()), kind);
                if self.0.insert(path.to_owned(), value).is_some() {
                    faults.add(path, "set twice", place);
                }
            }
            Err(refused) => faults.push(path, refused.shown, refused.message, place),
        }
    }
}

fn check_name(family: &Family, name: &str) -> Result<(), String> {
    Id::new(name).map_err(|why| format!("{} {name:?} {why}", family.owner))?;
    let (names, by) = family.taken;
    if names.contains(&name) {
        return Err(format!("{} {name:?} is taken by {by}; choose another", family.owner));
    }
    Ok(())
}

/// A configuration file is a few kilobytes; a limit keeps a wrong path (`/dev/zero`) from filling the memory.
const MOST_FILE_BYTES: u64 = 1 << 20;

fn of_file(path: &Path, faults: &mut Faults) -> Option<Layer> {
    let place = path.display().to_string();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_FILE_BYTES + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        faults.add("", format!("the configuration file cannot be read: {error}"), &place);
        return None;
    }
    if bytes.len() as u64 > MOST_FILE_BYTES {
        faults.add("", "the configuration file is larger than 1 MiB; is the path right?", &place);
        return None;
    }
    let Ok(text) = std::str::from_utf8(&bytes) else {
        faults.add("", "the configuration file is not UTF-8 text", &place);
        return None;
    };
    of_text(text, &place, faults)
}

/// The layer of a file's text; none when it is not TOML.
pub(super) fn of_text(text: &str, place: &str, faults: &mut Faults) -> Option<Layer> {
    match DeTable::parse(text) {
        Ok(table) => {
            let mut walk = FileWalk { text, place, layer: Layer::default(), faults };
            walk.table("", table.get_ref());
            Some(walk.layer)
        }
        Err(error) => {
            // Only the message: the error's own text quotes the line, and the line may hold a password.
            let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
            let message = format!("not valid TOML at line {line}, column {column}: {}", error.message());
            faults.add("", message, &format!("{place}:{line}"));
            None
        }
    }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}

struct FileWalk<'a> {
    text: &'a str,
    place: &'a str,
    layer: Layer,
    faults: &'a mut Faults,
}

impl FileWalk<'_> {
    fn table(&mut self, path: &str, table: &DeTable<'_>) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            let (line, _) = line_and_column(self.text, name.span().start);
            let place = format!("{}:{line}", self.place);
            match plain(name.get_ref()) {
                Some(name) if path.is_empty() => self.entry(name, value.get_ref(), &place),
                Some(name) => self.entry(&format!("{path}.{name}"), value.get_ref(), &place),
                None => {
                    let message = format!("unknown key {:?}", name.get_ref());
                    self.faults.add(path, message, &place);
                }
            }
        }
    }

    fn entry(&mut self, path: &str, value: &DeValue<'_>, place: &str) {
        match value {
            DeValue::Table(table) if keys::is_section(path) => {
                if let Some((family, name)) = keys::family(path)
                    && path.split('.').count() == 2
                {
                    self.named(family, name, path, place);
                }
                self.table(path, table);
            }
            DeValue::Table(_) if keys::find(path).is_none() => {
                self.faults.add(path, format!("unknown section{}", suggest::instead_of(path)), place);
            }
            value => self.layer.take(path, &Written::Toml(value), place, self.faults),
        }
    }

    /// A camera or a target counts even if its section is empty.
    fn named(&mut self, family: &Family, name: &str, path: &str, place: &str) {
        match check_name(family, name) {
            Ok(()) => {
                let section = Value::new(Some(&place.to_owned()), ValueKind::Table(Map::new()));
                self.layer.0.insert(path.to_owned(), section);
            }
            Err(why) => self.faults.add(path, why, place),
        }
    }
}

/// A name that may be part of a path.
fn plain(name: &str) -> Option<&str> {
    let fits = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    fits.then_some(name)
}

fn of_settings(settings: Vec<Setting>, faults: &mut Faults) -> Layer {
    let mut layer = Layer::default();
    for Setting { path, text, place } in settings {
        layer.take_text(&path, &text, &place, faults);
    }
    layer
}

fn found(Found { broker, page }: &Found) -> Vec<Setting> {
    let setting = |path: &str, text: String| {
        let place = "as Home Assistant's Supervisor says".to_owned();
        Setting { path: path.to_owned(), text, place }
    };
    let mut settings: Vec<Setting> = page.iter().map(|page| setting("http.url", page.clone())).collect();
    if let Some(broker) = broker {
        settings.extend([
            setting("mqtt.host", broker.host.clone()),
            setting("mqtt.port", broker.port.to_string()),
            setting("mqtt.username", broker.username.clone()),
            setting("mqtt.password", broker.password.clone()),
            setting("mqtt.tls", broker.tls.to_string()),
        ]);
    }
    settings
}

fn of_environment(sources: &Sources, faults: &mut Faults) -> Layer {
    let mut layer = Layer::default();
    let mut variables: Vec<_> = sources.env.iter().collect();
    variables.sort();
    for (name, text) in variables {
        // An empty variable is how compose files and shells say "not set".
        if text.is_empty() {
            continue;
        }
        let name = name.to_string_lossy();
        let place = format!("environment variable {name}");
        if let Some(rest) = name.strip_prefix(ENV_PREFIX) {
            let path = rest.to_ascii_lowercase().replace("__", ".");
            if !path.split('.').all(|part| plain(part).is_some()) {
                faults.add("", "unknown key", &place);
            } else if let Some(text) = utf8(text, &path, &place, faults) {
                layer.take_text(&path, text, &place, faults);
            }
        } else if let Some(rest) = name.strip_prefix("DOORWARD_").filter(|rest| rest.contains("__")) {
            // A silent miss otherwise. Without the second pair it may be another program's, as Kubernetes' are.
            faults.add("", format!("unknown key, did you mean {ENV_PREFIX}{rest}?"), &place);
        }
    }
    layer
}

fn utf8<'a>(text: &'a OsStr, path: &str, place: &str, faults: &mut Faults) -> Option<&'a str> {
    let text = text.to_str();
    if text.is_none() {
        faults.add(path, "not UTF-8 text", place);
    }
    text
}

pub(super) fn of_flags(flags: &Flags, faults: &mut Faults) -> Layer {
    let mut layer = Layer::default();
    let named = [
        ("data_dir", "flag --data-dir", flags.data_dir.as_ref().map(|path| path.as_os_str())),
        ("http.bind", "flag --http-bind", flags.http_bind.as_ref().map(OsStr::new)),
        ("log.level", "flag --log-level", flags.log_level.as_ref().map(OsStr::new)),
    ];
    for (path, place, given) in named {
        if let Some(text) = given.and_then(|text| utf8(text, path, place, faults)) {
            layer.take_text(path, text, place, faults);
        }
    }
    for set in &flags.set {
        match set.split_once('=') {
            Some((path, text)) if path.split('.').all(|part| plain(part).is_some()) => {
                layer.take_text(path, text, &format!("flag --set {path}"), faults);
            }
            // Not shown: it may be a password.
            _ => faults.add("", "needs KEY=VALUE, such as mqtt.host=192.168.1.2", "flag --set"),
        }
    }
    layer
}
