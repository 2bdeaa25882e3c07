//! Events that are kept: what one holds, how they are asked for, and what is told of them to whom.
//!
//! Not here: how they lie on the disk ([`crate::archive`]), and when an event happens ([`super::appliance`]).

use std::path::PathBuf;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::entities;
use super::events::Sort;
use super::fields::Fields;
use super::problem::{Problem, quoted};

/// Events in one answer at most, and without `limit`.
pub const MOST_LISTED: usize = 500;
/// Events in an answer when nobody says how many.
pub const LISTED: usize = 50;
/// The largest `offset`; more than an archive may hold.
const MOST_SKIPPED: usize = 100_000_000;

/// One event on its way to the disk.
#[derive(Clone, Debug)]
pub struct Entry {
    /// ULID: the same in payload, topic, file name and URL.
    pub id: String,
    /// When the camera delivered the frame, or when it was noticed.
    pub ts: Timestamp,
    /// The word of its [`super::events::Sort`].
    pub sort: &'static str,
    /// The `event_type` of the payload.
    pub event_type: &'static str,
    /// Id of the camera; none for events of the appliance itself.
    pub camera: Option<String>,
    /// Slug of the person that it names.
    pub person: Option<String>,
    /// Everything that lists show, as JSON.
    pub record: Map<String, Value>,
    /// The picture that belongs to it.
    pub picture: Option<Bytes>,
    /// Names of the targets (`notify.<name>`) that are told.
    pub tell: Vec<String>,
}

/// What becomes known of an event after it was told: the end of motion, its length and its best picture.
#[derive(Clone, Debug, Default)]
pub struct Addition {
    /// Fields to add to the record; those of the same name are replaced.
    pub fields: Map<String, Value>,
    /// A better picture than the one that was told.
    pub best: Option<Bytes>,
}

/// Which events somebody wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// From this moment on, itself included.
    pub from: Option<Timestamp>,
    /// Up to this moment, itself included.
    pub to: Option<Timestamp>,
    /// Sorts (`motion`, `face` …) or event types (`unknown`, `start` …), any of them; empty = all.
    pub types: Vec<String>,
    /// Camera id.
    pub camera: Option<String>,
    /// Slug of a person.
    pub person: Option<String>,
    /// How many at most, 1 to [`MOST_LISTED`].
    pub limit: usize,
    /// How many of the newest to skip.
    pub offset: usize,
}

impl Default for Query {
    fn default() -> Query {
        Query {
            from: None,
            to: None,
            types: Vec::new(),
            camera: None,
            person: None,
            limit: LISTED,
            offset: 0,
        }
    }
}

/// What may be asked of the archive; the same over REST and MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Events, newest first: `{total, events[]}`.
    List(Query),
    /// One event: its record.
    Get(String),
    /// Keeps an event for good, or no longer.
    Pin {
        /// Its id.
        id: String,
        /// Whether it stays.
        pinned: bool,
    },
    /// Removes an event with its pictures and its clip.
    Delete(String),
    /// The thumbnails of one day at one camera as one picture.
    Strip {
        /// Camera id.
        camera: String,
        /// The day, in the time zone of the appliance; today without it.
        day: Option<Date>,
    },
}

/// The requests of `events/…`.
pub const VERBS: [&str; 4] = ["list", "get", "pin", "delete"];

impl Request {
    /// Reads the verb after `events/` and the fields of a request. Numbers and truths may come as text, as a query string has them.
    ///
    /// # Errors
    /// What is unknown, missing or of the wrong kind, with the field and what it takes.
    pub fn parse(verb: &str, body: &Map<String, Value>) -> Result<Request, Problem> {
        let request = format!("events/{verb}");
        let fields = Fields { request: &request, body };
        let id = || fields.needed("event_id", "the id of an event");
        match verb {
            "list" => query(fields).map(Request::List),
            "get" | "delete" => {
                fields.only(&["event_id"])?;
                id().map(if verb == "get" { Request::Get } else { Request::Delete })
            }
            "pin" => {
                fields.only(&["event_id", "pinned"])?;
                Ok(Request::Pin { pinned: fields.flag("pinned")?.unwrap_or(true), id: id()? })
            }
            other => Err(Problem::NotFound { what: format!("request events/{}", quoted(other)) }),
        }
    }
}

/// Words of sorts and of event types; a word that no event has would find nothing in silence.
fn types(fields: Fields<'_>) -> Result<Vec<String>, Problem> {
    let text = fields.text("type")?.unwrap_or_default();
    let words: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    let sorts: Vec<&str> = Sort::ALL.iter().map(|sort| sort.word()).collect();
    let is_known = |word: &str| sorts.contains(&word) || entities::event_types().any(|known| known == word);
    match words.iter().find(|word| !is_known(word)) {
        None => Ok(words.into_iter().map(str::to_owned).collect()),
        Some(odd) => Err(Problem::NotAChoice {
            value: quoted(odd),
            allowed: format!("{}, or an event type such as unknown or start", sorts.join(", ")),
        }),
    }
}

fn query(fields: Fields<'_>) -> Result<Query, Problem> {
    fields.only(&["from", "to", "type", "camera", "person", "limit", "offset"])?;
    let count = |key, min: usize, max: usize| {
        let number = fields.count(key, min as u64, max as u64)?;
        Ok::<_, Problem>(number.and_then(|number| usize::try_from(number).ok()))
    };
    let query = Query {
        from: fields.time("from")?,
        to: fields.time("to")?,
        types: types(fields)?,
        camera: fields.text("camera")?,
        person: fields.text("person")?,
        limit: count("limit", 1, MOST_LISTED)?.unwrap_or(LISTED),
        offset: count("offset", 0, MOST_SKIPPED)?.unwrap_or(0),
    };
    if let (Some(from), Some(to)) = (query.from, query.to)
        && from > to
    {
        return Err(fields.wrong("takes no \"from\" that is later than \"to\""));
    }
    Ok(query)
}

/// The target that a trial message is for; none = all of them.
///
/// # Errors
/// What is unknown or of the wrong kind.
pub fn target_to_try(body: &Map<String, Value>) -> Result<Option<String>, Problem> {
    let fields = Fields { request: "notify/test", body };
    fields.only(&["target"])?;
    fields.text("target")
}

/// An event on its way to one target; on the disk until it has arrived or was given up.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its number in the archive; 0 for a trial, which is not kept.
    pub number: i64,
    /// Name of the target: `notify.<name>`.
    pub target: String,
    /// The event's record, as in lists.
    pub record: Map<String, Value>,
    /// When it happened.
    pub ts: Timestamp,
    /// The event's best picture, if it has one and the target wants it.
    pub picture: Option<PathBuf>,
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It arrived.
    Told,
    /// Never again; why, in a sentence without any secret.
    GivenUp(String),
}

/// What the archive has to say by itself.
#[derive(Clone, Debug, PartialEq)]
pub enum ArchiveNews {
    /// The disk takes nothing more; events are told but not kept. The system's words.
    Full(String),
    /// Events are kept again, and how many were not.
    Free {
        /// Events that were not kept.
        lost: u64,
    },
    /// The database was damaged, has been set aside under this name, and a fresh one begun.
    Damaged(String),
    /// How much is kept.
    Holds {
        /// Events.
        events: u64,
        /// Bytes of pictures, clips and the database.
        bytes: u64,
    },
}

/// The answer to a list.
#[must_use]
pub fn page(query: &Query, total: u64, events: Vec<Value>) -> Value {
    json!({ "total": total, "limit": query.limit, "offset": query.offset, "events": events })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(verb: &str, body: &Value) -> Result<Request, Problem> {
        Request::parse(verb, body.as_object().unwrap())
    }

    #[test]
    fn requests_are_read_from_json_and_from_query_strings() {
        assert_eq!(parse("list", &json!({})).unwrap(), Request::List(Query::default()));
        let body = json!({
            "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z", "type": "motion, unknown", "camera": "porch",
            "person": "anna", "limit": "10", "offset": 20,
        });
        let at = "2026-01-01T00:00:00Z".parse().ok();
        let query = Query {
            from: at,
            to: at,
            types: vec!["motion".into(), "unknown".into()],
            camera: Some("porch".into()),
            person: Some("anna".into()),
            limit: 10,
            offset: 20,
        };
        assert_eq!(parse("list", &body).unwrap(), Request::List(query));
        let id = || "01J".to_owned();
        assert_eq!(parse("get", &json!({"event_id": "01J"})).unwrap(), Request::Get(id()));
        assert_eq!(parse("delete", &json!({"event_id": "01J"})).unwrap(), Request::Delete(id()));
        for (body, pinned) in [
            (json!({"event_id": "01J"}), true),
            (json!({"event_id": "01J", "pinned": true}), true),
            (json!({"event_id": "01J", "pinned": false}), false),
        ] {
            assert_eq!(parse("pin", &body).unwrap(), Request::Pin { id: id(), pinned });
        }
    }

    #[test]
    fn every_wrong_field_gets_its_sentence() {
        for (verb, body, part) in [
            ("list", json!({"since": 1}), "takes no \"since\", only from, to, type"),
            ("list", json!({"from": "yesterday"}), "a time such as"),
            ("list", json!({"from": 5}), "text in \"from\""),
            ("list", json!({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}), "later than"),
            ("list", json!({"limit": 0}), "from 1 to 500 in \"limit\""),
            ("list", json!({"limit": 501}), "from 1 to 500"),
            ("list", json!({"limit": "x"}), "a whole number"),
            ("list", json!({"limit": 1.5}), "a whole number"),
            ("list", json!({"offset": -1}), "from 0 to 100000000 in \"offset\""),
            ("list", json!({"type": ["motion"]}), "text in \"type\""),
            ("list", json!({"type": "motion,facer"}), "motion, face, camera"),
            ("get", json!({}), "the id of an event in \"event_id\""),
            ("get", json!({"event_id": "01J", "camera": "x"}), "takes no \"camera\""),
            ("pin", json!({"event_id": "01J", "pinned": "yes"}), "true or false in \"pinned\""),
            ("erase", json!({}), "request events/erase"),
        ] {
            let advice = parse(verb, &body).unwrap_err();
            assert!(
                format!("{} {}", advice.title(), advice.advice()).contains(part),
                "{verb} {body}: {}",
                advice.advice()
            );
        }
    }
}
