//! The audit log: who did what, from where, and what became of it.
//!
//! Not here: keeping it ([`crate::audit`] does), and what is written when somebody asks a thousand times ([`flood`]).

pub mod flood;

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::problem::{Problem, quoted};

/// Entries in one answer at most.
pub const MOST_LISTED: usize = 500;
/// Entries in an answer when nobody says how many.
pub const LISTED: usize = 100;
/// The largest `offset`; more than a log may hold.
const MOST_SKIPPED: u64 = 1_000_000;
/// Days for which an entry is kept.
pub const KEEP_DAYS: i64 = 90;
/// Entries that are kept at most.
pub const MOST_KEPT: u64 = 100_000;
/// Of these, entries about people who were not let in: nobody can push out what others did by knocking.
pub const MOST_STRANGERS: u64 = 50_000;

/// How much an entry matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Done as asked.
    Info,
    /// Refused, or worth a look.
    Warning,
    /// Somebody tries to get in.
    Alert,
}

impl Level {
    /// Every level, the least first.
    pub const ALL: [Level; 3] = [Level::Info, Level::Warning, Level::Alert];

    /// The word in lists.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Alert => "alert",
        }
    }
}

/// What an entry is about; `type` of a list takes the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Signing in and out, first run, passwords, second factors.
    SignIn,
    /// Users: added, removed, locked …
    User,
    /// Tokens: created, revoked.
    Token,
    /// Something was changed: over HTTP, MQTT or on the command line.
    Change,
    /// Somebody was refused: role, address, credential.
    Refused,
    /// Somebody looked for a door: probe paths, guessing.
    Attack,
    /// The log itself: cleared, its oldest entries removed.
    Audit,
    /// The certificate, the lists of addresses, a factory reset.
    System,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 8] = [
        Kind::SignIn,
        Kind::User,
        Kind::Token,
        Kind::Change,
        Kind::Refused,
        Kind::Attack,
        Kind::Audit,
        Kind::System,
    ];

    /// The word in lists.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::User => "user",
            Self::Token => "token",
            Self::Change => "change",
            Self::Refused => "refused",
            Self::Attack => "attack",
            Self::Audit => "audit",
            Self::System => "system",
        }
    }

    /// Whether it is about somebody who was not let in, so that anybody can make as many entries as they like.
    #[must_use]
    pub const fn is_of_strangers(self) -> bool {
        match self {
            Self::Refused | Self::Attack => true,
            Self::SignIn | Self::User | Self::Token | Self::Change | Self::Audit | Self::System => false,
        }
    }
}

/// One line of the log, before it has its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub ts: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// What it is about.
    pub kind: Kind,
    /// Whether people were told with an event.
    pub alert: bool,
    /// Who: a user, `token NAME`, `local key`, Home Assistant's user, `mqtt`; empty if nobody knows.
    pub user: String,
    /// The way of the request: the client's address, then each proxy that passed it on, with commas; empty if it was not a network.
    pub address: String,
    /// What happened, in a sentence. Never a secret.
    pub text: String,
}

/// Which entries somebody wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// From this moment on, itself included.
    pub from: Option<Timestamp>,
    /// Up to this moment, itself included.
    pub to: Option<Timestamp>,
    /// This level and those that matter more.
    pub level: Level,
    /// Any of these kinds; empty = all.
    pub kinds: Vec<Kind>,
    /// Only of this user.
    pub user: Option<String>,
    /// Only with this address on the way.
    pub address: Option<IpAddr>,
    /// Only those with, or without, an event.
    pub alert: Option<bool>,
    /// How many at most, 1 to [`MOST_LISTED`].
    pub limit: usize,
    /// How many of the newest to skip.
    pub offset: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            from: None,
            to: None,
            level: Level::Info,
            kinds: Vec::new(),
            user: None,
            address: None,
            alert: None,
            limit: LISTED,
            offset: 0,
        }
    }
}

/// What may be asked of the log; the same over REST, MQTT and on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `audit/list`: entries, newest first.
    List(Query),
    /// `audit/clear`: removes every entry, and notes that.
    Clear,
}

/// The requests of `audit/…`.
pub const VERBS: [&str; 2] = ["list", "clear"];

impl Request {
    /// Reads the verb after `audit/` and the fields of a request.
    ///
    /// # Errors
    /// What is unknown or of the wrong kind, with the field and what it takes.
    pub fn parse(verb: &str, body: &Map<String, Value>) -> Result<Self, Problem> {
        let request = format!("audit/{verb}");
        let fields = Fields { request: &request, body };
        match verb {
            "list" => query(fields).map(Self::List),
            "clear" => fields.only(&[]).map(|()| Self::Clear),
            other => Err(Problem::NotFound { what: format!("request audit/{}", quoted(other)) }),
        }
    }
}

fn query(fields: Fields<'_>) -> Result<Query, Problem> {
    fields.only(&["from", "to", "level", "type", "user", "address", "alert", "limit", "offset"])?;
    let count = |key, min, max| {
        let number = fields.count(key, min, max)?;
        Ok::<_, Problem>(number.and_then(|number| usize::try_from(number).ok()))
    };
    let alert = match fields.text("alert") {
        // A query string and the command line have text only.
        Ok(Some(text)) => Some(text.parse().map_err(|_| fields.bad("alert", "true or false"))?),
        Ok(None) => None,
        Err(_) => fields.flag("alert")?,
    };
    let address = fields.text("address")?.map(|text| text.parse::<IpAddr>());
    let query = Query {
        from: fields.time("from")?,
        to: fields.time("to")?,
        level: level(fields)?,
        kinds: kinds(fields)?,
        user: fields.text("user")?,
        address: address.transpose().map_err(|_| fields.bad("address", "an IP address"))?,
        alert,
        limit: count("limit", 1, MOST_LISTED as u64)?.unwrap_or(LISTED),
        offset: count("offset", 0, MOST_SKIPPED)?.unwrap_or(0),
    };
    if let (Some(from), Some(to)) = (query.from, query.to)
        && from > to
    {
        return Err(fields.wrong("takes no \"from\" that is later than \"to\""));
    }
    Ok(query)
}

fn level(fields: Fields<'_>) -> Result<Level, Problem> {
    let Some(word) = fields.text("level")? else { return Ok(Level::Info) };
    let known = Level::ALL.into_iter().find(|level| level.word() == word);
    known.ok_or_else(|| fields.bad("level", "info, warning or alert"))
}

fn kinds(fields: Fields<'_>) -> Result<Vec<Kind>, Problem> {
    let text = fields.text("type")?.unwrap_or_default();
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let known = |word: &str| Kind::ALL.into_iter().find(|kind| kind.word() == word);
    let needs = || Kind::ALL.map(Kind::word).join(", ") + " (several with commas between them)";
    words.map(|word| known(word).ok_or_else(|| fields.bad("type", &needs()))).collect()
}

/// An entry of a list.
#[must_use]
pub fn shown(id: i64, entry: &Entry) -> Value {
    let Entry { ts, level, kind, alert, user, address, text } = entry;
    json!({
        "id": id,
        "ts": super::events::timestamp(*ts),
        "level": level.word(),
        "type": kind.word(),
        "alert": alert,
        "user": user,
        "address": address,
        "text": text,
    })
}

/// The answer to a list.
#[must_use]
pub fn page(total: u64, entries: Vec<Value>) -> Value {
    json!({ "total": total, "entries": entries })
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
        assert_eq!(parse("clear", &json!({})).unwrap(), Request::Clear);
        let body = json!({
            "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z", "level": "warning", "type": "refused, attack",
            "user": "anna", "address": "192.168.1.9", "alert": true, "limit": "500", "offset": 20,
        });
        let at = "2026-01-01T00:00:00Z".parse().ok();
        let query = Query {
            from: at,
            to: at,
            level: Level::Warning,
            kinds: vec![Kind::Refused, Kind::Attack],
            user: Some("anna".into()),
            address: "192.168.1.9".parse().ok(),
            alert: Some(true),
            limit: 500,
            offset: 20,
        };
        assert_eq!(parse("list", &body).unwrap(), Request::List(query));
        for (text, expected) in
            [(json!("false"), Some(false)), (json!("true"), Some(true)), (json!(null), None)]
        {
            let query = Query { alert: expected, ..Query::default() };
            assert_eq!(parse("list", &json!({ "alert": text })).unwrap(), Request::List(query));
        }
    }

    #[test]
    fn every_wrong_field_gets_its_sentence() {
        for (verb, body, part) in [
            ("list", json!({"camera": "porch"}), "takes no \"camera\", only from, to, level, type, user"),
            ("list", json!({"from": "yesterday"}), "a time such as"),
            ("list", json!({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}), "later than"),
            ("list", json!({"level": "loud"}), "info, warning or alert in \"level\""),
            ("list", json!({"type": "refused,attac"}), "sign_in, user, token, change"),
            ("list", json!({"address": "home"}), "an IP address in \"address\""),
            ("list", json!({"alert": "maybe"}), "true or false in \"alert\""),
            ("list", json!({"alert": 1}), "true or false in \"alert\""),
            ("list", json!({"limit": 0}), "from 1 to 500 in \"limit\""),
            ("list", json!({"limit": 501}), "from 1 to 500"),
            ("list", json!({"offset": -1}), "from 0 to 1000000 in \"offset\""),
            ("clear", json!({"before": 1}), "takes no \"before\", no fields at all"),
            ("erase", json!({}), "request audit/erase"),
        ] {
            let problem = parse(verb, &body).unwrap_err();
            let words = format!("{} {}", problem.title(), problem.advice());
            assert!(words.contains(part), "{verb} {body}: {words}");
        }
    }
}
