//! Every key with its value and where that was written, for people; secrets stay hidden.
//!
//! Not here: what the values mean; see [`super::check`].

use std::fmt;

use serde_json::{Value, json};

use super::keys::{self, Key, Kind};
use super::secret::Secret;
use super::sources::Sources;
use super::suggest;
use super::value::allowed;
use super::values::Values;
use crate::logic::picture::Rect;

/// What stands for a secret.
const HIDDEN: &str = "…";

/// Where a configuration came from, and every key of it.
#[derive(Clone)]
pub struct Origin {
    /// The layers that were read.
    pub sources: Sources,
    /// All keys; those of cameras and targets once for each.
    pub listed: Vec<Listed>,
}

/// The environment may hold passwords.
impl fmt::Debug for Origin {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Origin")
    }
}

/// One key.
#[derive(Clone)]
pub struct Listed {
    /// Its path, such as `mqtt.host`.
    pub key: String,
    /// Its value; dots for a secret that is set.
    pub value: Value,
    /// Where it was written, such as `doorward.toml:12`; empty for the default.
    pub place: String,
    kind: &'static Kind,
    /// The value itself, to see whether it has changed.
    exact: Secret,
}

impl Listed {
    /// As answers have it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let from = if self.place.is_empty() { "default" } else { &self.place };
        let mut json = json!({
            "key": self.key,
            "value": self.value,
            "from": from,
            "default": default(self.kind),
            "allowed": allowed(self.kind),
        });
        let unit = match self.kind {
            Kind::Integer { unit, .. } | Kind::Number { unit, .. } => *unit,
            Kind::Text { .. } | Kind::Secret { .. } | Kind::Choice(_) | Kind::Switch(_) | Kind::Rects => "",
        };
        if !unit.is_empty() {
            json["unit"] = json!(unit);
        }
        if matches!(self.kind, Kind::Secret { .. }) {
            json["secret"] = json!(true);
        }
        json
    }
}

/// All keys of these values.
pub(super) fn list(values: &Values) -> Vec<Listed> {
    let mut listed = Vec::new();
    for key in keys::KEYS {
        match keys::family(key.path) {
            None => listed.push(one(values, key, key.path.to_owned())),
            Some((family, _)) => {
                let names = values.names(family.path).into_iter();
                listed.extend(names.map(|name| one(values, key, key.path.replacen('*', &name, 1))));
            }
        }
    }
    listed
}

fn one(values: &Values, key: &'static Key, path: String) -> Listed {
    let exact = match &key.kind {
        Kind::Text { .. } | Kind::Choice(_) | Kind::Secret { .. } => json!(values.text(&path)),
        Kind::Switch(_) => json!(values.switch(&path)),
        Kind::Integer { .. } => json!(values.integer::<i64>(&path)),
        Kind::Number { .. } => json!(values.number(&path)),
        Kind::Rects => {
            let sides = |rect: Rect| json!([rect.x, rect.y, rect.w, rect.h].map(thousandths));
            values.rects(&path).into_iter().map(sides).collect()
        }
    };
    let is_hidden = matches!(key.kind, Kind::Secret { .. }) && exact != "";
    Listed {
        value: if is_hidden { json!(HIDDEN) } else { exact.clone() },
        place: values.place(&path).to_owned(),
        kind: &key.kind,
        exact: Secret::new(exact.to_string()),
        key: path,
    }
}

fn thousandths(side: f32) -> f64 {
    (f64::from(side) * 1000.0).round() / 1000.0
}

fn default(kind: &Kind) -> Value {
    match kind {
        Kind::Text { default, .. } => json!(default),
        Kind::Secret { .. } => json!(""),
        Kind::Choice(words) => json!(words[0]),
        Kind::Switch(default) => json!(default),
        Kind::Integer { default, .. } => json!(default),
        Kind::Number { default, .. } => json!(default),
        Kind::Rects => json!([]),
    }
}

impl Origin {
    /// The keys at a path: one, a section, or all of them.
    ///
    /// # Errors
    /// What may be asked for instead, when there is no such key.
    pub fn at(&self, path: Option<&str>) -> Result<Vec<&Listed>, String> {
        let Some(path) = path else { return Ok(self.listed.iter().collect()) };
        let below = format!("{path}.");
        let is_meant = |listed: &&Listed| listed.key == path || listed.key.starts_with(&below);
        let found: Vec<&Listed> = self.listed.iter().filter(is_meant).collect();
        let is_known = keys::FAMILIES.iter().any(|family| family.path == path);
        if !found.is_empty() || is_known {
            return Ok(found);
        }
        match keys::family(path).filter(|_| keys::find(path).is_some() || keys::is_section(path)) {
            Some((family, _)) => Err(format!("a {} that is configured", family.noun)),
            None => {
                let instead = suggest::instead_of(path);
                Err(format!("a key or a section{}", instead.trim_end_matches('?')))
            }
        }
    }

    /// Keys whose value is another one than here.
    #[must_use]
    pub fn differing(&self, other: &Origin) -> Vec<String> {
        let value = |of: &Origin, key: &str| {
            of.listed.iter().find(|listed| listed.key == key).map(|listed| listed.exact.clone())
        };
        let mut keys: Vec<&String> =
            self.listed.iter().chain(&other.listed).map(|listed| &listed.key).collect();
        keys.sort();
        keys.dedup();
        let differs = |key: &&String| value(self, key) != value(other, key);
        keys.into_iter().filter(differs).cloned().collect()
    }

    /// Where the value of a key was written; none if it is the default.
    #[must_use]
    pub fn place(&self, key: &str) -> Option<&str> {
        let found = self.listed.iter().find(|listed| listed.key == key)?;
        Some(found.place.as_str()).filter(|place| !place.is_empty())
    }
}
