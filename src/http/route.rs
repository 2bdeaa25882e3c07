//! Text of a request → one of a closed list of routes, with who may use it and how.
//!
//! Not here: answering. A new route does not compile until it has methods, an access rule and an answer.

use std::fmt;
use std::time::Duration;

use hyper::Method;
use jiff::civil::Date;
use serde_json::{Map, Value};

use crate::logic::faces::training::VERBS;
use crate::logic::kept_file::{self, KeptFile};
use crate::logic::problem::{Problem, quoted};

/// Slowest and quickest `?fps=`.
const FPS: std::ops::RangeInclusive<f64> = 0.1..=60.0;

/// The pictures of an event; its clip is served in ranges.
const PICTURES: [KeptFile; 3] = [KeptFile::Picture, KeptFile::Best, KeptFile::Thumbnail];

/// Everything that can be asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Route {
    /// `/`
    Page,
    /// `/healthz`
    Health,
    /// `/api/state`
    State,
    /// `/api/events?from=&to=&type=&camera=&person=&limit=&offset=`
    Events { fields: Map<String, Value> },
    /// `/api/events/<id>`
    Event { id: String },
    /// `/api/events/<id>/pinned`
    EventPin { id: String },
    /// `/api/events/<id>/snapshot.jpg`, `best.jpg` or `thumbnail.jpg`
    EventPicture { id: String, file: KeptFile },
    /// `/api/events/<id>/clip.mp4`; `range` is the header of that name, which the front adds for the inner server.
    EventClip { id: String, range: Option<String> },
    /// `/api/notify/test?target=`
    TryNotify { fields: Map<String, Value> },
    /// `/api/cameras/<cam>/strip.jpg?day=`
    Strip { camera: String, day: Option<Date> },
    /// `/api/cameras/<cam>/snapshot.jpg`
    Still { camera: String },
    /// `/api/cameras/<cam>/stream.mjpeg?fps=`; `pace` is the time between two parts, if it was asked for.
    Stream { camera: String, pace: Option<Duration> },
    /// `/api/cameras/<cam>/entities/<key>`
    Entity { camera: String, key: String },
    /// `/api/cameras/<cam>/snapshot`
    TakeSnapshot { camera: String },
    /// `/api/faces`
    Faces,
    /// `/api/faces/<verb>`, with the fields of the query.
    Teach { verb: &'static str, fields: Map<String, Value> },
    /// `/api/faces/self_test.svg`
    SelfTestPicture,
    /// `/api/requests/<verb>`
    Request { verb: String },
    /// `/api/why?camera=&from=&to=`
    Why { fields: Map<String, Value> },
}

impl Route {
    /// Reads path and query.
    ///
    /// # Errors
    /// [`Problem::NotFound`] for a path that does not exist, else what is wrong with the query.
    pub(super) fn parse(path: &str, query: &Query) -> Result<Self, Problem> {
        let mut segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        // The version may be named; it counts up when an answer changes so that old programs would misread it.
        if segments.starts_with(&["api", "v1"]) {
            segments.remove(1);
        }
        let route = match *segments.as_slice() {
            [""] => Self::Page,
            ["healthz"] => Self::Health,
            ["api", "state"] => Self::State,
            ["api", "events"] => Self::Events { fields: query.fields() },
            ["api", "events", id, ref rest @ ..] if !id.is_empty() => {
                let id = id.to_owned();
                match *rest {
                    [] => Self::Event { id },
                    ["pinned"] => Self::EventPin { id },
                    ["clip.mp4"] => Self::EventClip { id, range: query.get("range").map(str::to_owned) },
                    [name] => {
                        let file = PICTURES.into_iter().find(|picture| picture.name() == name);
                        Self::EventPicture { id, file: file.ok_or_else(|| no_path(path))? }
                    }
                    _ => return Err(no_path(path)),
                }
            }
            ["api", "notify", "test"] => Self::TryNotify { fields: query.fields() },
            ["api", "faces"] => Self::Faces,
            ["api", "faces", "self_test.svg"] => Self::SelfTestPicture,
            ["api", "faces", verb] => {
                let verb = VERBS.into_iter().find(|known| *known == verb).ok_or_else(|| no_path(path))?;
                Self::Teach { verb, fields: query.fields() }
            }
            ["api", "requests", ref verb @ ..] if !verb.is_empty() => Self::Request { verb: verb.join("/") },
            ["api", "why"] => Self::Why { fields: query.fields() },
            ["api", "cameras", camera, ref rest @ ..] if !camera.is_empty() => {
                let camera = camera.to_owned();
                match *rest {
                    ["snapshot.jpg"] => Self::Still { camera },
                    ["stream.mjpeg"] => Self::Stream { camera, pace: pace(query)? },
                    ["snapshot"] => Self::TakeSnapshot { camera },
                    ["strip.jpg"] => Self::Strip { camera, day: day(query)? },
                    // Keys such as `person/unknown` have slashes of their own.
                    ["entities", ref key @ ..] if !key.is_empty() => {
                        Self::Entity { camera, key: key.join("/") }
                    }
                    _ => return Err(no_path(path)),
                }
            }
            _ => return Err(no_path(path)),
        };
        Ok(route)
    }

    /// The methods it takes; GET stands for HEAD too.
    pub(super) fn methods(&self) -> &'static [Method] {
        const GET: &[Method] = &[Method::GET];
        match self {
            Self::Page
            | Self::Health
            | Self::State
            | Self::Events { .. }
            | Self::EventPicture { .. }
            | Self::EventClip { .. }
            | Self::Strip { .. }
            | Self::Still { .. }
            | Self::Stream { .. }
            | Self::Faces
            | Self::SelfTestPicture
            | Self::Why { .. } => GET,
            Self::Event { .. } => &[Method::GET, Method::DELETE],
            Self::EventPin { .. } => &[Method::PUT],
            Self::Entity { .. } => &[Method::GET, Method::PUT],
            Self::TakeSnapshot { .. }
            | Self::Teach { .. }
            | Self::TryNotify { .. }
            | Self::Request { .. } => &[Method::POST],
        }
    }

    /// Whether it may be used without a credential.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Health => true,
            Self::Page
            | Self::State
            | Self::Events { .. }
            | Self::Event { .. }
            | Self::EventPin { .. }
            | Self::EventPicture { .. }
            | Self::EventClip { .. }
            | Self::Strip { .. }
            | Self::TryNotify { .. }
            | Self::Still { .. }
            | Self::Stream { .. }
            | Self::Entity { .. }
            | Self::TakeSnapshot { .. }
            | Self::Faces
            | Self::Teach { .. }
            | Self::SelfTestPicture
            | Self::Request { .. }
            | Self::Why { .. } => false,
        }
    }

    /// Accepts the method, with GET for HEAD.
    ///
    /// # Errors
    /// [`Problem::WrongMethod`] with those it takes.
    pub(super) fn check(&self, method: &Method) -> Result<(), Problem> {
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        if self.methods().contains(wanted) {
            return Ok(());
        }
        Err(Problem::WrongMethod { allowed: self.allowed() })
    }

    fn allowed(&self) -> String {
        let mut words: Vec<&str> = self.methods().iter().map(Method::as_str).collect();
        if words.contains(&"GET") {
            words.push("HEAD");
        }
        words.join(", ")
    }
}

/// The inverse of [`Route::parse`]; the inner server is asked with it.
impl fmt::Display for Route {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page => write!(to, "/"),
            Self::Health => write!(to, "/healthz"),
            Self::State => write!(to, "/api/state"),
            // Fields never go to the inner server.
            Self::Events { .. } => write!(to, "/api/events"),
            Self::Event { id } => write!(to, "/api/events/{id}"),
            Self::EventPin { id } => write!(to, "/api/events/{id}/pinned"),
            Self::EventPicture { id, file } => write!(to, "{}", kept_file::url(id, *file)),
            Self::EventClip { id, range } => {
                write!(to, "{}", kept_file::url(id, KeptFile::Clip))?;
                range.as_ref().map_or(Ok(()), |range| write!(to, "?range={range}"))
            }
            Self::TryNotify { .. } => write!(to, "/api/notify/test"),
            Self::Strip { camera, day } => {
                write!(to, "/api/cameras/{camera}/strip.jpg")?;
                day.map_or(Ok(()), |day| write!(to, "?day={day}"))
            }
            Self::Still { camera } => write!(to, "/api/cameras/{camera}/snapshot.jpg"),
            Self::Stream { camera, pace } => {
                write!(to, "/api/cameras/{camera}/stream.mjpeg")?;
                pace.map_or(Ok(()), |pace| write!(to, "?fps={}", 1.0 / pace.as_secs_f64()))
            }
            Self::Entity { camera, key } => write!(to, "/api/cameras/{camera}/entities/{key}"),
            Self::TakeSnapshot { camera } => write!(to, "/api/cameras/{camera}/snapshot"),
            Self::Faces => write!(to, "/api/faces"),
            Self::Teach { verb, .. } => write!(to, "/api/faces/{verb}"),
            Self::SelfTestPicture => write!(to, "/api/faces/self_test.svg"),
            Self::Request { verb } => write!(to, "/api/requests/{verb}"),
            Self::Why { .. } => write!(to, "/api/why"),
        }
    }
}

fn no_path(path: &str) -> Problem {
    Problem::NotFound { what: format!("path {}", quoted(path)) }
}

fn day(query: &Query) -> Result<Option<Date>, Problem> {
    let Some(text) = query.get("day") else { return Ok(None) };
    let bad = || {
        let detail = format!("\"day\" needs a day such as 2026-01-31, not \"{}\"", quoted(text));
        Problem::BadRequest { detail }
    };
    text.parse().map(Some).map_err(|_| bad())
}

fn pace(query: &Query) -> Result<Option<Duration>, Problem> {
    let Some(text) = query.get("fps") else { return Ok(None) };
    let fps: f64 = text.parse().map_err(|_| Problem::NotANumber { value: quoted(text) })?;
    if fps.is_nan() {
        return Err(Problem::NotANumber { value: quoted(text) });
    }
    if !FPS.contains(&fps) {
        return Err(Problem::OutOfRange { value: quoted(text), min: *FPS.start(), max: *FPS.end() });
    }
    Ok(Some(Duration::from_secs_f64(1.0 / fps)))
}

/// A decoded query string. It may hold the token, hence no `Debug`.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes `a=b&c=d` with `+` and `%xx`; what is not UTF-8 becomes the replacement character.
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(decoded_pair).collect())
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

fn decoded_pair((key, value): (&str, &str)) -> (String, String) {
    (decoded(key), decoded(value))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let value = escape.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        (rest, _) = match (first, value) {
            (b'%', Some(value)) => (&after[2..], bytes.push(value)),
            (b'+', _) => (after, bytes.push(b' ')),
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
        Route::parse(path, &Query::parse(query))
    }

    /// One of each route.
    fn every() -> Vec<Route> {
        let camera = || "porch".to_owned();
        vec![
            Route::Page,
            Route::Health,
            Route::State,
            Route::Events { fields: Map::new() },
            Route::Event { id: "01J".into() },
            Route::EventPin { id: "01J".into() },
            Route::EventPicture { id: "01J".into(), file: KeptFile::Picture },
            Route::EventPicture { id: "01J".into(), file: KeptFile::Best },
            Route::EventPicture { id: "01J".into(), file: KeptFile::Thumbnail },
            Route::EventClip { id: "01J".into(), range: None },
            Route::EventClip { id: "01J".into(), range: Some("bytes=0-".into()) },
            Route::TryNotify { fields: Map::new() },
            Route::Strip { camera: camera(), day: None },
            Route::Strip { camera: camera(), day: Some(jiff::civil::date(2026, 1, 31)) },
            Route::Still { camera: camera() },
            Route::Stream { camera: camera(), pace: None },
            Route::Stream { camera: camera(), pace: Some(Duration::from_millis(400)) },
            Route::Entity { camera: camera(), key: "person/unknown".into() },
            Route::TakeSnapshot { camera: camera() },
            Route::Faces,
            Route::Teach { verb: "enrol", fields: Map::new() },
            Route::SelfTestPicture,
            Route::Request { verb: "motion/inhibit".into() },
            Route::Why { fields: Map::new() },
        ]
    }

    #[test]
    fn parsing_is_the_inverse_of_rendering() {
        for route in every() {
            assert_eq!(parse(&route.to_string()).unwrap(), route);
        }
    }

    #[test]
    fn only_health_is_open_and_every_route_has_a_method() {
        for route in every() {
            assert_eq!(route.is_open(), route == Route::Health, "{route}");
            assert!(route.methods().iter().all(|method| route.check(method).is_ok()));
            assert!(route.check(&Method::PATCH).is_err() && route.check(&Method::OPTIONS).is_err());
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
            "/api/faces/erase",
            "/api/faces/enrol/x",
            "/../etc/passwd",
            "/page.html",
            "*",
        ] {
            match parse(target) {
                Ok(Route::Page) => assert_eq!(target, ""),
                Ok(route) => panic!("{target} became {route}"),
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
        let Route::Events { fields } = parse("/api/v1/events?type=face&limit=7&token=x").unwrap() else {
            panic!("events")
        };
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
