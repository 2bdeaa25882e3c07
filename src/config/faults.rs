//! Mistakes in the configuration, in words that a person can act on.
//!
//! Not here: finding them; see [`super::layers`] and [`super::check`].

use std::fmt;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key's path such as `mqtt.port`; empty when no key is at fault.
    pub key: String,
    /// The value as written, shortened; none for secrets and where the value is not at fault.
    pub value: Option<String>,
    /// What is wrong, what is allowed, what to do.
    pub message: String,
    /// Where it was written, such as `doorward.toml:12` or `environment variable DOORWARD__MQTT__PORT`; may be empty.
    pub place: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.as_str(), &self.value) {
            ("", _) => {}
            (key, None) => write!(f, "{key}: ")?,
            (key, Some(value)) => write!(f, "{key} = {value}: ")?,
        }
        f.write_str(&self.message)?;
        if !self.place.is_empty() {
            write!(f, " ({})", self.place)?;
        }
        Ok(())
    }
}

/// Every mistake that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mistakes, in the order of the layers and of the lines.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// A mistake that is not about one value.
    pub(super) fn add(&mut self, key: &str, message: impl Into<String>, place: &str) {
        self.push(key, None, message.into(), place);
    }

    /// A value that is not allowed.
    pub(super) fn push(&mut self, key: &str, value: Option<String>, message: String, place: &str) {
        self.0.push(Fault { key: key.to_owned(), value, message, place: place.to_owned() });
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "The configuration has a mistake:")?,
            n => write!(f, "The configuration has {n} mistakes:")?,
        }
        self.0.iter().try_for_each(|fault| write!(f, "\n  - {fault}"))
    }
}

impl std::error::Error for Faults {}
