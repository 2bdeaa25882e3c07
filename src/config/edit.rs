//! Changing the configuration file for somebody: checked as a whole first, comments and order kept.
//!
//! Not here: reading and writing the file; see `crate::app`.

use config::{Value, ValueKind};
use toml::de::DeValue;
use toml_edit::{Array, DocumentMut, Item, Table, TableLike};

use super::cli::Flags;
use super::faults::{Fault, Faults};
use super::keys::{self, Kind};
use super::layers::{self, Layer, Trial};
use super::sources::Sources;
use super::value::Written;
use super::{Config, load_trial};
use crate::logic::admin::{Change, Mistake};

/// The annotated file, every key with its default.
const ANNOTATED: &str = include_str!("../../config/doorward.toml");
/// Where a value stands that somebody sent.
const REQUEST: &str = "request";

/// The text of the configuration file after a change, and what it means. `sources` name the file, `text` is what is in it now.
///
/// # Errors
/// Every mistake that would then be in the configuration. Secrets are mistakes here.
pub fn changed(sources: &Sources, text: &str, change: &Change) -> Result<(String, Config), Vec<Mistake>> {
    let told = |faults: &Faults| faults.iter().map(Mistake::from).collect::<Vec<_>>();
    let mut faults = Faults::default();
    let layer = layer_of(change, &mut faults);
    refuse_secrets(&layer, &mut faults);
    if !faults.is_empty() {
        return Err(told(&faults));
    }
    // Once as a layer, so that mistakes have the lines of what was sent; then the file as it would be.
    let trial = Trial { text: Some(text), layer: Some(layer.clone()) };
    load_trial(sources, trial).map_err(|faults| told(&faults))?;
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        let message = format!("the configuration file is not valid TOML: {}", error.message());
        vec![Mistake { key: String::new(), line: None, place: String::new(), message }]
    })?;
    // A text of comments alone would be taken for what stands behind the last section.
    let head = if document.is_empty() { std::mem::take(&mut document).to_string() } else { String::new() };
    let gap = if head.is_empty() { "" } else { "\n" };
    put_all(&mut document, &layer);
    if let Change::Key { path, value: None } = change {
        remove(&mut document, path);
    }
    let text = format!("{head}{gap}{document}");
    let trial = Trial { text: Some(&text), layer: None };
    let config = load_trial(sources, trial).map_err(|faults| told(&faults))?;
    Ok((text, config))
}

/// The keys that a change sets or takes out of the file.
#[must_use]
pub fn keys_of(change: &Change) -> Vec<String> {
    match change {
        Change::Key { path, .. } => vec![path.clone()],
        Change::Toml(_) => {
            let layer = layer_of(change, &mut Faults::default());
            layer.0.into_keys().filter(|path| keys::find(path).is_some()).collect()
        }
    }
}

/// An annotated file with what the flags say, and with these cameras (id and source) unless the flags name any.
///
/// # Errors
/// Every mistake in the flags.
pub fn annotated(flags: &Flags, cameras: &[(String, String)]) -> Result<String, Faults> {
    let mut faults = Faults::default();
    let mut layer = layers::of_flags(flags, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    if !layer.0.keys().any(|path| path.starts_with("cameras.")) {
        for (id, source) in cameras {
            layer.take_text(&format!("cameras.{id}.source"), source, "", &mut faults);
        }
    }
    let mut document: DocumentMut = ANNOTATED.parse().expect("a test reads the annotated file");
    put_all(&mut document, &layer);
    let text = document.to_string();
    let sources = Sources { host_name: "doorward".to_owned(), ..Sources::default() };
    load_trial(&sources, Trial { text: Some(&text), layer: None }).map(|_| text)
}

/// Whether the flags set a secret, which then stands in the file.
#[must_use]
pub fn has_secret(flags: &Flags) -> bool {
    let mut faults = Faults::default();
    refuse_secrets(&layers::of_flags(flags, &mut Faults::default()), &mut faults);
    !faults.is_empty()
}

fn layer_of(change: &Change, faults: &mut Faults) -> Layer {
    let mut layer = Layer::default();
    match change {
        Change::Toml(text) => return layers::of_text(text, REQUEST, faults).unwrap_or_default(),
        Change::Key { path, value: Some(serde_json::Value::String(text)) } => {
            layer.take_text(path, text, REQUEST, faults);
        }
        Change::Key { path, value: Some(value) } => {
            // JSON is TOML but for null, and for objects, which no key takes.
            let text = value.to_string();
            match DeValue::parse(&text) {
                Ok(value) => {
                    layer.take_named(path, &Written::Toml(value.get_ref()), REQUEST, faults);
                }
                Err(_) => faults.add(path, "not a value that a key can have", REQUEST),
            }
        }
        // What no key and no section is called is not in the file either, but saying so helps.
        Change::Key { path, value: None } if keys::find(path).is_none() && !keys::is_section(path) => {
            layer.take_text(path, "", REQUEST, faults);
        }
        Change::Key { value: None, .. } => {}
    }
    layer
}

/// Requests travel over brokers and through logs of others, where no secret belongs.
fn refuse_secrets(layer: &Layer, faults: &mut Faults) {
    for (path, value) in &layer.0 {
        let is_secret = keys::find(path).is_some_and(|key| matches!(key.kind, Kind::Secret { .. }));
        if !is_secret || matches!(&value.kind, ValueKind::String(text) if text.is_empty()) {
            continue;
        }
        let file = format!("{path}_file");
        let message = if keys::find(&file).is_some() {
            format!(
                "secret, so it is not taken from a request; write it into a file and name that with {file}"
            )
        } else {
            "secret, so it is not taken from a request; write it into the configuration file by hand"
                .to_owned()
        };
        faults.add(path, message, value.origin().unwrap_or(REQUEST));
    }
}

fn put_all(document: &mut DocumentMut, layer: &Layer) {
    // In the order of the manual, so that new keys of a section stand as they do there.
    let mut all: Vec<(&String, &Value)> = layer.0.iter().collect();
    let rank = |path: &str| keys::KEYS.iter().position(|key| key.path == keys::pattern(path));
    all.sort_by_key(|(path, _)| rank(path));
    for (path, value) in all {
        let below = format!("{path}.");
        if matches!(value.kind, ValueKind::Table(_)) && layer.0.keys().any(|key| key.starts_with(&below)) {
            // Its keys make it.
            continue;
        }
        put(document.as_table_mut(), path, &value.kind);
    }
}

fn put(table: &mut dyn TableLike, path: &str, value: &ValueKind) {
    let Some((first, rest)) = path.split_once('.') else { return put_here(table, path, value) };
    let below = table.entry(first).or_insert_with(|| {
        let mut new = Table::new();
        // Its header is written only if something stands right under it.
        new.set_implicit(true);
        Item::Table(new)
    });
    let below = below.as_table_like_mut().expect("the text was read as a configuration before");
    put(below, rest, value);
}

fn put_here(table: &mut dyn TableLike, key: &str, value: &ValueKind) {
    let Some(mut new) = toml_value(value) else {
        // A section without keys: a camera at its defaults.
        if table.get(key).is_none() {
            table.insert(key, Item::Table(Table::new()));
        }
        return;
    };
    match table.get_mut(key) {
        Some(Item::Value(old)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        _ => drop(table.insert(key, Item::Value(new))),
    }
}

/// None for a section.
fn toml_value(value: &ValueKind) -> Option<toml_edit::Value> {
    match value {
        ValueKind::String(text) => Some(text.as_str().into()),
        ValueKind::Boolean(switch) => Some((*switch).into()),
        ValueKind::I64(number) => Some((*number).into()),
        ValueKind::Float(number) => Some((*number).into()),
        ValueKind::Array(items) => {
            let items = items.iter().filter_map(|item| toml_value(&item.kind));
            Some(items.collect::<Array>().into())
        }
        _ => None,
    }
}

fn remove(document: &mut DocumentMut, path: &str) {
    let mut parts: Vec<&str> = path.split('.').collect();
    let Some(last) = parts.pop() else { return };
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for part in parts {
        match table.get_mut(part).and_then(Item::as_table_like_mut) {
            Some(below) => table = below,
            None => return,
        }
    }
    table.remove(last);
}

impl From<&Fault> for Mistake {
    fn from(fault: &Fault) -> Mistake {
        let line = fault.place.rsplit_once(':').and_then(|(_, line)| line.parse().ok());
        let is_request = fault.place == REQUEST || fault.place.starts_with("request:");
        let message = match &fault.value {
            Some(value) => format!("{value}: {}", fault.message),
            None => fault.message.clone(),
        };
        let place = if is_request { String::new() } else { fault.place.clone() };
        Mistake { key: fault.key.clone(), line, place, message }
    }
}
