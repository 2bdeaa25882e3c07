//! Text of a request → one of a closed list of routes, with who may use it and how.
//!
//! Not here: answering. A new route does not compile until it has methods, an access rule and an answer.

use std::fmt;
use std::time::Duration;

use hyper::Method;
use serde_json::{Map, Value};

use crate::logic::faces::training::VERBS;
use crate::logic::problem::{Problem, quoted};

/// Slowest and quickest `?fps=`.
const FPS: std::ops::RangeInclusive<f64> = 0.1..=60.0;
/// Events that `?limit=` may ask for.
const MOST_EVENTS: usize = 500;
const DEFAULT_EVENTS: usize = 50;

/// Everything that can be asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Route {
    /// `/`
    Page,
    /// `/healthz`
    Health,
    /// `/api/state`
    State,
    /// `/api/events?limit=`
    Events { limit: usize },
    /// `/api/events/<id>/snapshot.jpg`
    EventPicture { id: String },
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
    /// `/api/why?camera=&from=&to=`
    Why { fields: Map<String, Value> },
}

impl Route {
    /// Reads path and query.
    ///
    /// # Errors
    /// [`Problem::NotFound`] for a path that does not exist, else what is wrong with the query.
    pub(super) fn parse(path: &str, query: &Query) -> Result<Self, Problem> {
        let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let route = match *segments.as_slice() {
            [""] => Self::Page,
            ["healthz"] => Self::Health,
            ["api", "state"] => Self::State,
            ["api", "events"] => Self::Events { limit: limit(query)? },
            ["api", "events", id, "snapshot.jpg"] if !id.is_empty() => Self::EventPicture { id: id.into() },
            ["api", "faces"] => Self::Faces,
            ["api", "faces", "self_test.svg"] => Self::SelfTestPicture,
            ["api", "faces", verb] => {
                let verb = VERBS.into_iter().find(|known| *known == verb).ok_or_else(|| no_path(path))?;
                Self::Teach { verb, fields: query.fields() }
            }
            ["api", "why"] => Self::Why { fields: query.fields() },
            ["api", "cameras", camera, ref rest @ ..] if !camera.is_empty() => {
                let camera = camera.to_owned();
                match *rest {
                    ["snapshot.jpg"] => Self::Still { camera },
                    ["stream.mjpeg"] => Self::Stream { camera, pace: pace(query)? },
                    ["snapshot"] => Self::TakeSnapshot { camera },
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
            | Self::Still { .. }
            | Self::Stream { .. }
            | Self::Faces
            | Self::SelfTestPicture
            | Self::Why { .. } => GET,
            Self::Entity { .. } => &[Method::GET, Method::PUT],
            Self::TakeSnapshot { .. } | Self::Teach { .. } => &[Method::POST],
        }
    }

    /// Whether it may be used without a credential.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Health => true,
            Self::Page
            | Self::State
            | Self::Events { .. }
            | Self::EventPicture { .. }
            | Self::Still { .. }
            | Self::Stream { .. }
            | Self::Entity { .. }
            | Self::TakeSnapshot { .. }
            | Self::Faces
            | Self::Teach { .. }
            | Self::SelfTestPicture
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
            Self::Events { limit } => write!(to, "/api/events?limit={limit}"),
            Self::EventPicture { id } => write!(to, "/api/events/{id}/snapshot.jpg"),
            Self::Still { camera } => write!(to, "/api/cameras/{camera}/snapshot.jpg"),
            Self::Stream { camera, pace } => {
                write!(to, "/api/cameras/{camera}/stream.mjpeg")?;
                pace.map_or(Ok(()), |pace| write!(to, "?fps={}", 1.0 / pace.as_secs_f64()))
            }
            Self::Entity { camera, key } => write!(to, "/api/cameras/{camera}/entities/{key}"),
            Self::TakeSnapshot { camera } => write!(to, "/api/cameras/{camera}/snapshot"),
            Self::Faces => write!(to, "/api/faces"),
            // Fields never go to the inner server.
            Self::Teach { verb, .. } => write!(to, "/api/faces/{verb}"),
            Self::SelfTestPicture => write!(to, "/api/faces/self_test.svg"),
            Self::Why { .. } => write!(to, "/api/why"),
        }
    }
}

fn no_path(path: &str) -> Problem {
    Problem::NotFound { what: format!("path {}", quoted(path)) }
}

fn limit(query: &Query) -> Result<usize, Problem> {
    let Some(text) = query.get("limit") else { return Ok(DEFAULT_EVENTS) };
    match text.parse() {
        Ok(limit) if (1..=MOST_EVENTS).contains(&limit) => Ok(limit),
        Ok(_) => Err(Problem::OutOfRange { value: quoted(text), min: 1.0, max: MOST_EVENTS as f64 }),
        Err(_) => Err(Problem::NotANumber { value: quoted(text) }),
    }
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
            Route::Events { limit: 7 },
            Route::EventPicture { id: "01J".into() },
            Route::Still { camera: camera() },
            Route::Stream { camera: camera(), pace: None },
            Route::Stream { camera: camera(), pace: Some(Duration::from_millis(400)) },
            Route::Entity { camera: camera(), key: "person/unknown".into() },
            Route::TakeSnapshot { camera: camera() },
            Route::Faces,
            Route::Teach { verb: "enrol", fields: Map::new() },
            Route::SelfTestPicture,
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
            assert!(route.check(&Method::DELETE).is_err() && route.check(&Method::OPTIONS).is_err());
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
    fn fps_and_limit_are_strict() {
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
        assert_eq!(parse("/api/events").unwrap(), Route::Events { limit: DEFAULT_EVENTS });
        for value in ["0", "501", "-1", "x", "1.5"] {
            assert!(parse(&format!("/api/events?limit={value}")).is_err(), "{value}");
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
