//! The options of the Home Assistant app, as its page in Home Assistant writes them into a JSON file, become settings of keys.
//!
//! Not here: the schema that Home Assistant checks first (`ha-addon/doorward/config.yaml`); what the Supervisor knows
//! (`crate::supervisor`).

use std::path::Path;

use serde_json::{Map, Value};

use super::faults::Faults;
use super::value::quote;
use crate::logic::faces::slug_or;

/// A value of a key that stands in no file and no variable of ours.
pub(super) struct Setting {
    pub(super) path: String,
    pub(super) text: String,
    pub(super) place: String,
}

/// An option.
pub(super) struct AppOption {
    /// Its name in the JSON.
    pub(super) name: &'static str,
    /// Its name on the page, which is that of `translations/en.yaml`.
    pub(super) title: &'static str,
    /// The key that it sets; for a camera the last part.
    pub(super) key: &'static str,
}

const fn option(name: &'static str, title: &'static str, key: &'static str) -> AppOption {
    AppOption { name, title, key }
}

/// The options that are one value.
pub(super) const PLAIN: &[AppOption] = &[
    option("name", "Name", "node.name"),
    option("picture_interval", "Seconds between pictures", "mqtt.picture_interval"),
    option("clips", "Films of events", "clips.format"),
    option("keep_days", "Days to keep events", "events.keep_days"),
    option("log_level", "Log level", "log.level"),
];
/// What can be said of each of the cameras.
pub(super) const CAMERA: &[AppOption] = &[
    option("name", "Name", "name"),
    option("source", "Where pictures come from", "source"),
    option("area", "Area", "area"),
];
/// A broker of the user's own.
pub(super) const BROKER: &[AppOption] = &[
    option("host", "Host", "mqtt.host"),
    option("port", "Port", "mqtt.port"),
    option("username", "User", "mqtt.username"),
    option("password", "Password", "mqtt.password"),
    option("tls", "Encrypted (TLS)", "mqtt.tls"),
];
/// The options that hold others.
pub(super) const CAMERAS: (&str, &str) = ("cameras", "Cameras");
pub(super) const MQTT: (&str, &str) = ("mqtt", "Other MQTT broker");

/// The settings that the file makes. What cannot be one is a mistake; whether a value suits its key is judged later.
pub(super) fn read(path: &Path, faults: &mut Faults) -> Vec<Setting> {
    let place = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            faults.add("", format!("the app's options cannot be read: {error}"), &place);
            return Vec::new();
        }
    };
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(options)) => {
            let mut reading = Reading { settings: Vec::new(), faults };
            reading.all(&options);
            return reading.settings;
        }
        Ok(_) => faults.add("", "the app's options are not a JSON object", &place),
        // Only where: the text may hold a password.
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            faults.add(
                "",
                format!("the app's options are not JSON, from line {line}, column {column} on"),
                &place,
            );
        }
    }
    Vec::new()
}

struct Reading<'a> {
    settings: Vec<Setting>,
    faults: &'a mut Faults,
}

impl Reading<'_> {
    fn all(&mut self, options: &Map<String, Value>) {
        for (name, value) in options {
            if let Some(option) = PLAIN.iter().find(|option| option.name == name) {
                self.value(option.key.to_owned(), value, format!("option \"{}\"", option.title));
            } else if name == CAMERAS.0 {
                self.cameras(value);
            } else if name == MQTT.0 {
                let place = format!("option \"{}\"", MQTT.1);
                self.group(value, BROKER, &place, |key| key.to_owned());
            } else {
                let known = PLAIN.iter().map(|option| option.name).chain([CAMERAS.0, MQTT.0]);
                self.unknown(name, known, "options of the app");
            }
        }
    }

    fn cameras(&mut self, value: &Value) {
        let place = format!("option \"{}\"", CAMERAS.1);
        let Some(cameras) = value.as_array() else {
            self.faults.add(CAMERAS.0, "needs a list with one entry for each camera", &place);
            return;
        };
        let mut ids: Vec<String> = Vec::new();
        for (at, camera) in cameras.iter().enumerate() {
            let name = camera.get("name").and_then(Value::as_str).unwrap_or_default().trim();
            if name.is_empty() {
                let place = format!("{place}, entry {}", at + 1);
                self.faults.add(CAMERAS.0, "needs a name for this camera, such as Front door", &place);
                continue;
            }
            let place = format!("{place}, \"{name}\"");
            let id = camera_id(name);
            if ids.contains(&id) {
                let message =
                    format!("a second camera with the short name {id:?}; give each camera a name of its own");
                self.faults.add(CAMERAS.0, message, &place);
                continue;
            }
            self.group(camera, CAMERA, &place, |key| format!("cameras.{id}.{key}"));
            ids.push(id);
        }
    }

    fn group(
        &mut self,
        value: &Value,
        options: &'static [AppOption],
        place: &str,
        path: impl Fn(&str) -> String,
    ) {
        let Some(fields) = value.as_object() else {
            let names: Vec<&str> = options.iter().map(|option| option.name).collect();
            self.faults.add("", format!("needs fields, allowed: {}", names.join(", ")), place);
            return;
        };
        for (name, value) in fields {
            match options.iter().find(|option| option.name == name) {
                Some(option) => self.value(path(option.key), value, format!("{place}, \"{}\"", option.title)),
                None => self.unknown(name, options.iter().map(|option| option.name), place),
            }
        }
    }

    fn value(&mut self, path: String, value: &Value, place: String) {
        let text = match value {
            Value::Null => return,
            Value::String(text) if text.is_empty() => return,
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(switch) => switch.to_string(),
            Value::Array(_) | Value::Object(_) => {
                self.faults.add(&path, "needs one value, not a list", &place);
                return;
            }
        };
        self.settings.push(Setting { path, text, place });
    }

    fn unknown(&mut self, name: &str, known: impl Iterator<Item = &'static str>, place: &str) {
        let names: Vec<&str> = known.collect();
        let message = format!("unknown option {}, allowed: {}", quote(name), names.join(", "));
        self.faults.add("", message, place);
    }
}

/// The topic segment of a camera that only has a name.
fn camera_id(name: &str) -> String {
    /// An [`super::Id`] is at most so long.
    const MOST: usize = 32;
    let word = slug_or(name, "camera");
    word.get(..MOST).unwrap_or(&word).trim_end_matches('_').to_owned()
}
