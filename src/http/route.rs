//! Text of a request → one of a closed list of routes.
//!
//! A path is found in the table first, so that what does not exist and wrong methods are told to everybody; the query is read only for
//! those who are let in. Not here: which routes there are ([`super::table`]), and answering.

use std::fmt;
use std::time::Duration;

use hyper::Method;
use jiff::civil::Date;
use serde_json::{Map, Value};

use super::table::{self, Operation, Row, TABLE};
use crate::logic::faces::training::VERBS;
use crate::logic::kept_file::{self, KeptFile};
use crate::logic::problem::{Problem, quoted};
use crate::logic::request;

/// Slowest and quickest `?fps=`.
const FPS: std::ops::RangeInclusive<f64> = 0.1..=60.0;

/// Everything that can be asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Route {
    /// The page.
    Page,
    /// The page to sign in.
    SignInPage,
    /// The page about account, users, tokens and the audit log.
    StatusPage,
    /// How we are, for supervisors.
    Health,
    /// The OpenAPI document.
    OpenApi,
    /// What this appliance is.
    About,
    /// Who the asker is.
    Session,
    /// A new session.
    SignIn,
    /// The end of the session.
    SignOut,
    /// The first user.
    Setup,
    /// To the provider of outside identities, and back from it.
    OutsideStart,
    OutsideBack,
    /// A new password for the asker.
    OwnPassword,
    /// A second factor for the asker: its beginning, its confirmation, its end.
    TotpBegin,
    TotpConfirm,
    TotpEnd,
    /// Changes of a user.
    ChangeUser {
        name: String,
    },
    /// Everything that is true.
    State,
    /// A request in words; the body adds to the fields if the operation takes one.
    Verb {
        verb: String,
        fields: Map<String, Value>,
    },
    /// Whether an event is kept for good.
    EventPin {
        id: String,
    },
    /// The thumbnails of a day in one picture.
    Strip {
        camera: String,
        day: Option<Date>,
    },
    /// What the inner server answers.
    Picture(Picture),
    /// An entity, and its new value.
    Entity {
        camera: String,
        key: String,
    },
    WriteEntity {
        camera: String,
        key: String,
    },
    /// A picture as an event.
    TakeSnapshot {
        camera: String,
    },
    /// A request about faces, with the fields of the query.
    Teach {
        verb: &'static str,
        fields: Map<String, Value>,
    },
    /// The likeness table of the household.
    SelfTestPicture,
}

/// Pictures, streams and clips: what the inner server is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Picture {
    /// The newest one; `overlay` is whether boxes are drawn, if that was asked for.
    Still { camera: String, overlay: Option<bool> },
    /// MJPEG; `pace` is the time between two parts, if it was asked for.
    Stream { camera: String, pace: Option<Duration>, overlay: Option<bool> },
    /// One of an event.
    Event { id: String, file: KeptFile },
    /// The film of an event; `range` is the header of that name, which the front adds.
    Clip { id: String, range: Option<String> },
}

impl Route {
    pub(super) fn verb(verb: &str, fields: Map<String, Value>) -> Self {
        Self::Verb { verb: verb.into(), fields }
    }
}

/// A path and a method that are in the table.
pub(super) struct Found {
    pub(super) operation: &'static Operation,
    taken: Vec<(&'static str, String)>,
}

impl Found {
    /// Looks up a path and a method; GET stands for HEAD.
    ///
    /// # Errors
    /// [`Problem::NotFound`], or [`Problem::WrongMethod`] with those that the path takes.
    pub(super) fn of(path: &str, method: &Method) -> Result<Self, Problem> {
        let mut segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        // The version need not be named; it counts up when an answer changes so that old programs would misread it.
        if segments.first() == Some(&"api") && segments.get(1) != Some(&"v1") {
            segments.insert(1, "v1");
        }
        let fitting = TABLE.iter().find_map(|row| Some((row, fit(row.path, &segments)?)));
        let (row, taken) =
            fitting.ok_or_else(|| Problem::NotFound { what: format!("path {}", quoted(path)) })?;
        let wanted = if method == Method::HEAD { Method::GET.as_str() } else { method.as_str() };
        let operation = row.operations.iter().find(|operation| operation.method.word() == wanted);
        let operation = operation.ok_or_else(|| Problem::WrongMethod { allowed: allowed(row) })?;
        Ok(Self { operation, taken })
    }

    /// The route, with what the query says.
    ///
    /// # Errors
    /// What is wrong with path or query.
    pub(super) fn route(&self, query: &Query) -> Result<Route, Problem> {
        (self.operation.route)(&Asked { taken: &self.taken, query })
    }

    /// What stands in the path for a parameter.
    pub(super) fn taken(&self, name: &str) -> Option<&str> {
        self.taken.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// What stands in place of the parameters if the path fits; never nothing.
fn fit(template: &'static str, segments: &[&str]) -> Option<Vec<(&'static str, String)>> {
    let mut taken = Vec::new();
    let mut rest = segments;
    for part in template[1..].split('/') {
        let (first, after) = rest.split_first()?;
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            None if part != *first => return None,
            None => rest = after,
            Some(name) => match name.strip_suffix('*') {
                Some(name) => {
                    taken.push((name, rest.join("/")));
                    rest = &[];
                }
                None => {
                    taken.push((name, (*first).to_owned()));
                    rest = after;
                }
            },
        }
    }
    (rest.is_empty() && taken.iter().all(|(_, value)| !value.is_empty())).then_some(taken)
}

/// The methods that a path takes, for `Allow`.
fn allowed(row: &Row) -> String {
    let mut words: Vec<&str> = row.operations.iter().map(|operation| operation.method.word()).collect();
    if words.contains(&table::Method::Get.word()) {
        words.push("HEAD");
    }
    words.join(", ")
}

/// Path and query, for the rows of the table.
pub(super) struct Asked<'a> {
    taken: &'a [(&'static str, String)],
    query: &'a Query,
}

impl Asked<'_> {
    /// A parameter of the path, which the row has; as it came, so that it fits into another path.
    pub(super) fn text(&self, name: &str) -> String {
        self.taken
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    }

    /// The same for what may hold any letters: `%2F` is a slash.
    pub(super) fn decoded(&self, name: &str) -> String {
        decoded(&self.text(name), false)
    }

    /// A parameter of the path as a field of a request.
    pub(super) fn field(&self, name: &str, field: &str) -> Map<String, Value> {
        Map::from_iter([(field.to_owned(), Value::String(self.decoded(name)))])
    }

    /// A parameter of the query.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name)
    }

    /// Those of the query as fields of a request.
    pub(super) fn fields(&self) -> Map<String, Value> {
        self.query.fields()
    }

    pub(super) fn event_picture(&self, file: KeptFile) -> Route {
        Route::Picture(Picture::Event { id: self.text("id"), file })
    }

    /// `requests/<verb>`
    pub(super) fn request(&self) -> Result<Route, Problem> {
        let verb = self.decoded("verb");
        if request::verbs().any(|known| known == verb) {
            return Ok(Route::verb(&verb, Map::new()));
        }
        Err(Problem::NotFound { what: format!("request {}", quoted(&verb)) })
    }
}

/// `faces/<verb>`
pub(super) fn teaching(asked: &Asked<'_>) -> Result<Route, Problem> {
    let wanted = asked.text("verb");
    let verb = VERBS.into_iter().find(|known| *known == wanted);
    let verb =
        verb.ok_or_else(|| Problem::NotFound { what: format!("request faces/{}", quoted(&wanted)) })?;
    Ok(Route::Teach { verb, fields: asked.fields() })
}

/// `?day=`
pub(super) fn day(asked: &Asked<'_>) -> Result<Option<Date>, Problem> {
    let Some(text) = asked.query("day") else { return Ok(None) };
    let bad = || {
        let detail = format!("\"day\" needs a day such as 2026-01-31, not \"{}\"", quoted(text));
        Problem::BadRequest { detail }
    };
    text.parse().map(Some).map_err(|_| bad())
}

/// `?fps=`
pub(super) fn pace(asked: &Asked<'_>) -> Result<Option<Duration>, Problem> {
    let Some(text) = asked.query("fps") else { return Ok(None) };
    let fps: f64 = text.parse().map_err(|_| Problem::NotANumber { value: quoted(text) })?;
    if fps.is_nan() {
        return Err(Problem::NotANumber { value: quoted(text) });
    }
    if !FPS.contains(&fps) {
        return Err(Problem::OutOfRange { value: quoted(text), min: *FPS.start(), max: *FPS.end() });
    }
    Ok(Some(Duration::from_secs_f64(1.0 / fps)))
}

/// `?overlay=`: nothing but these words, so that nobody takes a misspelt one for the other.
pub(super) fn overlay(asked: &Asked<'_>) -> Result<Option<bool>, Problem> {
    match asked.query("overlay") {
        None => Ok(None),
        Some("1" | "true" | "on") => Ok(Some(true)),
        Some("0" | "false" | "off") => Ok(Some(false)),
        Some(value) => Err(Problem::NotAChoice { value: quoted(value), allowed: "0 or 1".into() }),
    }
}

impl Picture {
    /// Reads the target of a request of the front.
    ///
    /// # Errors
    /// When it is none of these.
    pub(super) fn parse(target: &str) -> Result<Self, Problem> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match Found::of(path, &Method::GET)?.route(&Query::parse(query))? {
            Route::Picture(picture) => Ok(picture),
            _other => Err(Problem::NotFound { what: format!("picture at {}", quoted(path)) }),
        }
    }
}

/// The inverse of [`Picture::parse`]; the inner server is asked with it.
impl fmt::Display for Picture {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { id, file } => write!(to, "{}", kept_file::url(id, *file)),
            Self::Clip { id, range } => {
                write!(to, "{}", kept_file::url(id, KeptFile::Clip))?;
                range.as_ref().map_or(Ok(()), |range| write!(to, "?range={range}"))
            }
            Self::Still { camera, overlay } => {
                let overlay = overlay.map(|on| format!("?overlay={on}")).unwrap_or_default();
                write!(to, "/api/cameras/{camera}/snapshot.jpg{overlay}")
            }
            Self::Stream { camera, pace, overlay } => {
                let fps = pace.map(|pace| format!("fps={}", 1.0 / pace.as_secs_f64()));
                let query: Vec<_> =
                    fps.into_iter().chain(overlay.map(|on| format!("overlay={on}"))).collect();
                let mark = if query.is_empty() { "" } else { "?" };
                write!(to, "/api/cameras/{camera}/stream.mjpeg{mark}{}", query.join("&"))
            }
        }
    }
}

/// A decoded query string. It may hold the token, hence no `Debug`.
#[derive(Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes `a=b&c=d` with `+` and `%xx`; what is not UTF-8 becomes the replacement character.
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(key, value)| (decoded(key, true), decoded(value, true))).collect())
    }

    /// Every field but the token, as in the JSON of a request: `true` and `false` are truths, everything else is text.
    fn fields(&self) -> Map<String, Value> {
        let value = |text: &String| match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            text => Value::String(text.to_owned()),
        };
        let fields = self.0.iter().filter(|(name, _)| name != "token");
        fields.map(|(name, text)| (name.clone(), value(text))).collect()
    }

    /// The first value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// `%xx` becomes its byte, and `plus` a space in a query.
fn decoded(text: &str, is_query: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let value = escape.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        (rest, _) = match (first, value) {
            (b'%', Some(value)) => (&after[2..], bytes.push(value)),
            (b'+', _) if is_query => (after, bytes.push(b' ')),
            (other, _) => (after, bytes.push(*other)),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(target: &str) -> Result<Route, Problem> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Found::of(path, &Method::GET)?.route(&Query::parse(query))
    }

    #[test]
    fn what_the_inner_server_is_asked_is_read_back() {
        let (camera, id) = (|| "porch".to_owned(), || "01J".to_owned());
        for picture in [
            Picture::Still { camera: camera(), overlay: None },
            Picture::Still { camera: camera(), overlay: Some(false) },
            Picture::Stream { camera: camera(), pace: None, overlay: None },
            Picture::Stream { camera: camera(), pace: None, overlay: Some(true) },
            Picture::Stream { camera: camera(), pace: Some(Duration::from_millis(400)), overlay: Some(true) },
            Picture::Event { id: id(), file: KeptFile::Picture },
            Picture::Event { id: id(), file: KeptFile::Best },
            Picture::Event { id: id(), file: KeptFile::Thumbnail },
            Picture::Clip { id: id(), range: None },
            Picture::Clip { id: id(), range: Some("bytes=0-".into()) },
        ] {
            assert_eq!(Picture::parse(&picture.to_string()).unwrap(), picture);
        }
        assert_eq!(Picture::parse("/api/state").unwrap_err().code(), "not_found");
    }

    /// Every row is found by its own path and no other, so that none hides one below it.
    #[test]
    fn every_row_of_the_table_is_reached() {
        for row in TABLE {
            let path = row.path.replace(['{', '}', '*'], "");
            for operation in row.operations {
                let method = Method::from_bytes(operation.method.word().as_bytes()).unwrap();
                let found = Found::of(&path, &method).unwrap();
                assert!(std::ptr::eq(found.operation, operation), "{method} {path}");
                assert!(!operation.summary.is_empty() && !operation.answers.is_empty(), "{method} {path}");
            }
            assert!(Found::of(&path, &Method::PATCH).is_err() && Found::of(&path, &Method::OPTIONS).is_err());
            let short = path.replacen("/api/v1/", "/api/", 1);
            let same = Found::of(&short, &Method::GET).ok().map(|found| std::ptr::from_ref(found.operation));
            assert_eq!(
                same,
                Found::of(&path, &Method::GET).ok().map(|found| std::ptr::from_ref(found.operation))
            );
        }
    }

    #[test]
    fn what_does_not_exist_is_not_found() {
        for target in [
            "",
            "//",
            "/api",
            "/api/",
            "/api/state/",
            "/api/cameras//stream.mjpeg",
            "/api/cameras/porch",
            "/api/cameras/porch/entities",
            "/api/events//snapshot.jpg",
            "/api/events/01J/other.jpg",
            "/api/events/01J/snapshot.jpg/x",
            "/api/notify",
            "/api/faces/",
            "/api/faces/enrol/x",
            "/api/requests/",
            "/api/users/",
            "/api/tokens//",
            "/../etc/passwd",
            "/page.html",
            "*",
        ] {
            match parse(target) {
                Ok(Route::Page) => assert_eq!(target, ""),
                Ok(route) => panic!("{target} became {route:?}"),
                Err(problem) => assert_eq!(problem.code(), "not_found", "{target}"),
            }
        }
    }

    #[test]
    fn fps_and_day_are_strict() {
        for (value, code) in [
            ("0", "out_of_range"),
            ("0.09", "out_of_range"),
            ("61", "out_of_range"),
            ("-5", "out_of_range"),
            ("inf", "out_of_range"),
            ("1e99", "out_of_range"),
            ("NaN", "not_a_number"),
            ("", "not_a_number"),
            ("5fps", "not_a_number"),
            ("5,5", "not_a_number"),
        ] {
            let problem = parse(&format!("/api/cameras/porch/stream.mjpeg?fps={value}")).unwrap_err();
            assert_eq!(problem.code(), code, "{value}");
        }
        for value in ["0.1", "15", "60", "12.5"] {
            assert!(parse(&format!("/api/cameras/porch/stream.mjpeg?fps={value}")).is_ok(), "{value}");
        }
        for value in ["", "today", "2026-13-01", "2026-02-30", "2026-1-1/.."] {
            let problem = parse(&format!("/api/cameras/porch/strip.jpg?day={value}")).unwrap_err();
            assert_eq!(problem.code(), "bad_request", "{value}");
        }
    }

    #[test]
    fn the_version_may_be_named() {
        assert_eq!(parse("/api/v1/state").unwrap(), Route::State);
        let Route::Verb { verb, fields } = parse("/api/v1/events?type=face&limit=7&token=x").unwrap() else {
            panic!("events")
        };
        assert_eq!(verb, "events/list");
        assert_eq!(Value::Object(fields), serde_json::json!({ "type": "face", "limit": "7" }));
        for target in ["/api/v2/state", "/api/v1", "/v1/api/state", "/api/v1/v1/state"] {
            assert_eq!(parse(target).unwrap_err().code(), "not_found", "{target}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("a=1&token=%41b%2B+c%&&b&a=2&%zz=%e2%82%ac");
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.get("token"), Some("Ab+ c%"));
        assert_eq!(query.get("b"), Some(""));
        assert_eq!(query.get("%zz"), Some("€"));
        assert_eq!(query.get("c"), None);
    }
}
