//! Requests about the appliance itself: its configuration, its log, its health, a backup, a restart.
//!
//! Not here: carrying them out ([`crate::app`]), and what a configuration may say ([`crate::config`]).

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::events::timestamp;
use super::fields::Fields;
use super::problem::Problem;

/// Every verb of this kind.
pub const VERBS: [&str; 8] =
    ["config/get", "config/validate", "config/set", "config/reload", "logs", "health", "backup", "restart"];

/// Lines in one answer at most; more are not kept.
pub const MOST_LINES: usize = 500;
/// Lines in an answer when nobody says how many.
pub const LINES: usize = 100;
/// A configuration of every key is a tenth of it.
const MOST_TEXT: usize = 256 * 1024;

/// What may be asked; the same over MQTT, REST and on the command line.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// The values of a key, of a section, or of all keys.
    ConfigGet(Option<String>),
    /// What would be wrong with the configuration after this change.
    ConfigValidate(Change),
    /// Write this change into the configuration file.
    ConfigSet(Change),
    /// Read the configuration anew and begin again with it.
    ConfigReload,
    /// The newest lines of the log.
    Logs {
        /// How many at most, 1 to [`MOST_LINES`].
        lines: usize,
        /// No lines that are less important.
        level: Level,
    },
    /// How the appliance and its cameras are.
    Health,
    /// Put what is needed to begin again elsewhere into one file.
    Backup {
        /// Events and their pictures too.
        events: bool,
    },
    /// Begin again.
    Restart,
}

/// A wanted change of the configuration file.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A piece of TOML, laid over the file.
    Toml(String),
    /// One key, or a whole section to be removed.
    Key {
        /// Its path, such as `mqtt.host`.
        path: String,
        /// Its value; none takes it out of the file.
        value: Option<Value>,
    },
}

impl Request {
    /// Reads the verb and the fields of a request.
    ///
    /// # Errors
    /// What is unknown, missing or of the wrong kind, with the field and what it takes.
    pub fn parse(verb: &str, body: &Map<String, Value>) -> Result<Request, Problem> {
        let fields = Fields { request: verb, body };
        match verb {
            "config/get" => {
                fields.only(&["path"])?;
                Ok(Request::ConfigGet(fields.text("path")?))
            }
            "config/validate" => Change::parse(&fields).map(Request::ConfigValidate),
            "config/set" => Change::parse(&fields).map(Request::ConfigSet),
            "logs" => {
                fields.only(&["lines", "level"])?;
                let lines = fields.count("lines", 1, MOST_LINES as u64)?;
                let lines = lines.and_then(|lines| usize::try_from(lines).ok()).unwrap_or(LINES);
                let level = match fields.text("level")? {
                    None => Level::Trace,
                    Some(word) => Level::of_word(&word)
                        .ok_or_else(|| fields.bad("level", "error, warn, info, debug or trace"))?,
                };
                Ok(Request::Logs { lines, level })
            }
            "backup" => {
                fields.only(&["events"])?;
                Ok(Request::Backup { events: fields.flag("events")?.unwrap_or(false) })
            }
            "config/reload" => fields.only(&[]).map(|()| Request::ConfigReload),
            "health" => fields.only(&[]).map(|()| Request::Health),
            "restart" => fields.only(&[]).map(|()| Request::Restart),
            other => Err(Problem::NotFound { what: format!("request {}", super::problem::quoted(other)) }),
        }
    }
}

impl Change {
    fn parse(fields: &Fields<'_>) -> Result<Change, Problem> {
        fields.only(&["toml", "path", "value"])?;
        let path = fields.text("path")?;
        let change = match (fields.text("toml")?, path, fields.body.get("value")) {
            (Some(toml), None, None) => Change::Toml(toml),
            (None, Some(path), Some(value)) => {
                Change::Key { path, value: Some(value.clone()).filter(|value| !value.is_null()) }
            }
            (None, Some(_), None) => return Err(fields.bad("value", "a value, or null for the default,")),
            (None, None, Some(_)) => return Err(fields.bad("path", "a key such as mqtt.host")),
            (Some(_), ..) => return Err(fields.wrong("takes either \"toml\", or \"path\" and \"value\"")),
            (None, None, None) => {
                return Err(fields.bad("toml", "a piece of TOML, or a key in \"path\" and its value"));
            }
        };
        let length = match &change {
            Change::Toml(text) => text.len(),
            Change::Key { path, value } => {
                path.len() + value.as_ref().map_or(0, |value| value.to_string().len())
            }
        };
        if length > MOST_TEXT { Err(Problem::TooLarge { limit: MOST_TEXT }) } else { Ok(change) }
    }
}

/// A mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The key; empty if it is about none.
    pub key: String,
    /// The line of the text that was sent, or of the file.
    pub line: Option<usize>,
    /// Where it was written, such as `doorward.toml:3`; empty for what was sent.
    pub place: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl Mistake {
    /// As answers have it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "key": self.key, "line": self.line, "place": self.place, "message": self.message })
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.as_str(), self.line) {
            ("", None) => {}
            ("", Some(line)) => write!(to, "line {line}: ")?,
            (key, None) => write!(to, "{key}: ")?,
            (key, Some(line)) => write!(to, "{key} (line {line}): ")?,
        }
        to.write_str(&self.message)
    }
}

/// How important a line of the log is; the first is the most important.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something is odd and may need a look.
    Warn,
    /// Worth knowing.
    Info,
    /// For those who look for a fault.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    const ALL: [Level; 5] = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];

    /// The word in payloads.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }

    fn of_word(word: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.word() == word.to_ascii_lowercase())
    }
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub ts: Timestamp,
    /// How important.
    pub level: Level,
    /// Which part of the program.
    pub target: String,
    /// What happened.
    pub message: String,
}

impl Line {
    /// As answers and the topic `log` have it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "ts": timestamp(self.ts),
            "level": self.level.word(),
            "target": self.target,
            "message": self.message,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(verb: &str, body: &Value) -> Result<Request, Problem> {
        Request::parse(verb, body.as_object().unwrap())
    }

    #[test]
    fn every_verb_is_read() {
        let key = |value| Change::Key { path: "mqtt.host".into(), value };
        for (verb, body, request) in [
            ("config/get", json!({}), Request::ConfigGet(None)),
            ("config/get", json!({"path": "mqtt"}), Request::ConfigGet(Some("mqtt".into()))),
            ("config/validate", json!({"toml": "a=1"}), Request::ConfigValidate(Change::Toml("a=1".into()))),
            (
                "config/set",
                json!({"path": "mqtt.host", "value": "x"}),
                Request::ConfigSet(key(Some(json!("x")))),
            ),
            ("config/set", json!({"path": "mqtt.host", "value": null}), Request::ConfigSet(key(None))),
            ("config/reload", json!({}), Request::ConfigReload),
            ("logs", json!({}), Request::Logs { lines: LINES, level: Level::Trace }),
            ("logs", json!({"lines": "7", "level": "WARN"}), Request::Logs { lines: 7, level: Level::Warn }),
            ("health", json!({}), Request::Health),
            ("backup", json!({}), Request::Backup { events: false }),
            ("backup", json!({"events": true}), Request::Backup { events: true }),
            ("restart", json!({}), Request::Restart),
        ] {
            assert_eq!(parse(verb, &body).unwrap(), request, "{verb} {body}");
        }
    }

    #[test]
    fn every_wrong_field_gets_its_sentence() {
        for (verb, body, field, part) in [
            ("config/get", json!({"key": "x"}), None, "takes no \"key\", only path"),
            ("config/get", json!({"path": 5}), Some("path"), "text in \"path\""),
            ("config/set", json!({}), Some("toml"), "a piece of TOML"),
            ("config/set", json!({"path": "x"}), Some("value"), "null for the default"),
            ("config/set", json!({"value": 1}), Some("path"), "a key such as"),
            ("config/set", json!({"toml": "a", "path": "x"}), None, "either \"toml\""),
            ("logs", json!({"lines": 0}), Some("lines"), "from 1 to 500"),
            ("logs", json!({"level": "loud"}), Some("level"), "error, warn, info"),
            ("backup", json!({"events": "no"}), Some("events"), "true or false"),
            ("restart", json!({"now": true}), None, "no fields at all"),
            ("health", json!({"camera": "x"}), None, "no fields at all"),
        ] {
            let problem = parse(verb, &body).unwrap_err();
            assert_eq!(problem.field(), field, "{verb} {body}");
            assert!(problem.advice().contains(part), "{verb} {body}: {}", problem.advice());
        }
        let large = json!({ "toml": "#".repeat(MOST_TEXT + 1) });
        assert_eq!(parse("config/set", &large).unwrap_err().code(), "too_large");
        assert!(VERBS.iter().all(|verb| !matches!(parse(verb, &json!({})), Err(Problem::NotFound { .. }))));
    }
}
