//! One request: route, method, access, answer; or the way to the inner server.
//!
//! Not here: connections ([`super::front`]).

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{HeaderName, HeaderValue, RANGE, SET_COOKIE, WWW_AUTHENTICATE};
use hyper::{HeaderMap, Method, Request};
use serde_json::Map;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::sync::OwnedSemaphorePermit;

use super::access::{self, Key, Refusal, Site};
use super::notes::Notes;
use super::reply::{self, Reply};
use super::route::{Query, Route};
use super::visitor::{Link, Visitor};
use super::{Shared, api, events, faces, page};
use crate::logic::access::Caller;
use crate::logic::history;
use crate::logic::problem::Problem;

/// The inner server answers at once; longer means that it is overloaded.
const INNER_TIME: Duration = Duration::from_secs(5);
/// Pause before the private socket is tried again while the inner server builds itself anew.
const INNER_PAUSE: Duration = Duration::from_millis(20);

/// What a request leads to.
pub(super) enum Outcome {
    /// An answer of ours.
    Reply(Reply),
    /// The inner server has begun to answer; its bytes are the client's from now on.
    Inner(UnixStream, OwnedSemaphorePermit, Caller),
}

/// Answers one request, and notes what is worth a note.
pub(super) async fn answer(shared: &Shared, link: Link, request: Request<Incoming>) -> Outcome {
    let mut notes = Notes::new(&request, link.peer);
    let outcome = handle(shared, link, request, &mut notes).await;
    notes.end(shared, outcome.as_ref().err());
    outcome.unwrap_or_else(|problem| Outcome::Reply(reply::problem(&problem)))
}

async fn handle(
    shared: &Shared,
    link: Link,
    mut request: Request<Incoming>,
    notes: &mut Notes,
) -> Result<Outcome, Problem> {
    let visitor = Visitor::of(shared, link, request.headers_mut())?;
    notes.came(shared, &visitor, &request);
    check_ascii(&request, visitor.is_ingress)?;
    let query = Query::parse(request.uri().query().unwrap_or(""));
    let route = Route::parse(request.uri().path(), &query)?;
    route.check(request.method())?;
    // Never the query: it may hold the token.
    tracing::debug!(peer = visitor.route, method = %request.method(), path = request.uri().path(), "request");
    if route.is_open() {
        return Ok(Outcome::Reply(api::health(shared)));
    }
    let (key, caller) = match access::check(shared, &visitor, request.method(), request.headers(), &query) {
        Ok(entered) => entered,
        Err(refusal) => {
            return Ok(Outcome::Reply(refuse(shared, &visitor, &route, request.headers(), refusal)));
        }
    };
    notes.caller = Some(caller.clone());
    let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
    if is_change && !access::may_change(key, access::site(request.headers())) {
        return Err(Problem::CrossSite);
    }
    if is_change && key == Key::Ingress {
        tracing::info!(user = caller.name, method = %request.method(), path = request.uri().path(), "asked through Home Assistant");
    }
    dispatch(shared, route, key, caller, request).await
}

async fn dispatch(
    shared: &Shared,
    route: Route,
    key: Key,
    caller: Caller,
    request: Request<Incoming>,
) -> Result<Outcome, Problem> {
    let reply = match &route {
        Route::Page => page::page(key == Key::Ingress),
        Route::Health => api::health(shared),
        Route::State => api::state(shared),
        Route::Events { fields } => events::list(shared, fields).await?,
        Route::Event { id } if *request.method() == Method::DELETE => {
            events::ask(shared, history::Request::Delete(id.clone())).await?
        }
        Route::Event { id } => events::ask(shared, history::Request::Get(id.clone())).await?,
        Route::EventPin { id } => {
            let id = id.clone();
            let body = body(shared.limits.max_body, shared.limits.body_time, request).await?;
            events::pin(shared, &id, &body).await?
        }
        Route::EventPicture { .. } => return inner(shared, &route, request.method(), caller).await,
        Route::EventClip { id, .. } => {
            let range = request.headers().get(RANGE).and_then(|range| range.to_str().ok());
            let route = Route::EventClip { id: id.clone(), range: range.and_then(plain_range) };
            return inner(shared, &route, request.method(), caller).await;
        }
        Route::TryNotify { fields } => events::try_notify(shared, fields).await?,
        Route::Strip { camera, day } => {
            let (camera, day) = (camera.clone(), *day);
            events::ask(shared, history::Request::Strip { camera, day }).await?
        }
        Route::Still { camera } | Route::Stream { camera, .. } => {
            api::camera(&shared.now(), camera)?;
            return inner(shared, &route, request.method(), caller).await;
        }
        Route::Entity { camera, key } if *request.method() == Method::PUT => {
            let body = body(shared.limits.max_body, shared.limits.body_time, request).await?;
            api::write_entity(shared, camera, key, &body).await?
        }
        Route::Entity { camera, key } => api::read_entity(shared, camera, key)?,
        Route::TakeSnapshot { camera } => {
            body(shared.limits.max_body, shared.limits.body_time, request).await?;
            api::take_snapshot(shared, camera).await?
        }
        Route::Faces => faces::teach(shared, "list", Map::new(), &Bytes::new()).await?,
        Route::Teach { verb, fields } => {
            let body = body(faces::MAX_BODY, faces::BODY_TIME, request).await?;
            faces::teach(shared, verb, fields.clone(), &body).await?
        }
        Route::Request { verb } => {
            let body = body(faces::MAX_BODY, faces::BODY_TIME, request).await?;
            api::request(shared, verb, &body).await?
        }
        Route::SelfTestPicture => faces::self_test_picture(shared),
        Route::Why { fields } => faces::why(shared, fields).await?,
    };
    Ok(Outcome::Reply(reply))
}

/// The range if it has only what ranges are made of; it goes on as part of a URL of ours.
fn plain_range(range: &str) -> Option<String> {
    let is_plain = range.len() <= 100
        && range.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'=' | b'-' | b','));
    is_plain.then(|| range.to_owned())
}

/// Bytes beyond ASCII have no meaning in any header we read and confuse what stands behind. Only Home Assistant names its
/// users in UTF-8.
fn check_ascii(request: &Request<Incoming>, is_ingress: bool) -> Result<(), Problem> {
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let is_user = |name: &HeaderName| is_ingress && name.as_str().starts_with(access::INGRESS_USER);
    let mut headers = request.headers().iter();
    let is_plain =
        target.is_ascii() && headers.all(|(name, value)| value.as_bytes().is_ascii() || is_user(name));
    let bad = || Problem::BadRequest { detail: "A header or the address holds bytes beyond ASCII".into() };
    if is_plain { Ok(()) } else { Err(bad()) }
}

fn refuse(shared: &Shared, visitor: &Visitor, route: &Route, headers: &HeaderMap, refusal: Refusal) -> Reply {
    let problem = match refusal {
        Refusal::Missing => Problem::Unauthorized,
        Refusal::Wrong => {
            shared.door.wrong(visitor.address, Instant::now()).err().unwrap_or(Problem::Unauthorized)
        }
    };
    let mut reply =
        if *route == Route::Page { page::sign_in(reply::status(&problem)) } else { reply::problem(&problem) };
    // A script of ours must get the answer, not the browser's password window.
    if *route != Route::Page && access::site(headers) != Site::Own && !headers.contains_key("x-doorward") {
        let challenge = HeaderValue::from_static("Basic realm=\"Doorward\", charset=\"UTF-8\"");
        reply.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    if access::has_cookie(headers)
        && let Ok(forget) = access::clear_cookie().parse()
    {
        reply.headers_mut().insert(SET_COOKIE, forget);
    }
    reply
}

async fn body(limit: usize, time: Duration, request: Request<Incoming>) -> Result<Bytes, Problem> {
    if request.body().size_hint().lower() > limit as u64 {
        return Err(Problem::TooLarge { limit });
    }
    let whole = Limited::new(request.into_body(), limit).collect();
    match tokio::time::timeout(time, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::TooLarge { limit }),
        Ok(Err(_)) => Err(Problem::BadRequest { detail: "The body is damaged".into() }),
        Err(_) => Err(Problem::BadRequest { detail: "The body did not come in time".into() }),
    }
}

/// Asks the inner server and waits until it begins to answer. Nothing of the client's own words goes in: the route is
/// rendered anew, and `Connection: close` frees tiny_http's thread at once.
async fn inner(shared: &Shared, route: &Route, method: &Method, caller: Caller) -> Result<Outcome, Problem> {
    let limit = shared.limits.max_viewers;
    let place = shared.viewers.clone().try_acquire_owned().map_err(|_| Problem::TooManyViewers { limit })?;
    let head = format!("{method} {route} HTTP/1.1\r\nHost: doorward\r\nConnection: close\r\n\r\n");
    let asked = tokio::time::timeout(INNER_TIME, async {
        let mut stream = connect(shared).await;
        stream.write_all(head.as_bytes()).await?;
        stream.ready(Interest::READABLE).await?;
        std::io::Result::Ok(stream)
    });
    match asked.await {
        Ok(Ok(stream)) => Ok(Outcome::Inner(stream, place, caller)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the inner server gave no answer");
            Err(Problem::Busy)
        }
        Err(_) => Err(Problem::Busy),
    }
}

/// Connects, however long it takes; the caller limits the time.
async fn connect(shared: &Shared) -> UnixStream {
    loop {
        match UnixStream::connect(&shared.socket).await {
            Ok(stream) => return stream,
            Err(error) => {
                tracing::debug!(%error, "the inner server refuses");
                shared.broken.store(true, Ordering::Relaxed);
                tokio::time::sleep(INNER_PAUSE).await;
            }
        }
    }
}
