//! One request: route, method, access, answer; or the way to the inner server.
//!
//! Not here: connections ([`super::front`]).

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    CONNECTION, HOST, HeaderName, HeaderValue, RANGE, SET_COOKIE, TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use hyper::{HeaderMap, Method, Request, StatusCode};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::sync::OwnedSemaphorePermit;

use super::access::{self, Key, Refusal, Site};
use super::notes::Notes;
use super::reply::{self, Reply};
use super::route::{Found, Picture, Query, Route};
use super::table::{Body, Needs, Operation};
use super::visitor::{Link, OF_PROXIES, Visitor};
use super::{Shared, account, api, events, faces, openapi, outside, page};
use crate::logic::access::{Caller, How};
use crate::logic::oidc::Back;
use crate::logic::problem::Problem;
use crate::logic::request;

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
    let is_chunked = request.headers().contains_key(TRANSFER_ENCODING);
    let secure = secure_address(&request);
    let mut notes = Notes::new(&request, link.peer);
    let outcome = handle(shared, link, request, &mut notes).await;
    notes.end(shared, outcome.as_ref().err());
    let mut outcome = outcome.unwrap_or_else(|problem| {
        Outcome::Reply(match secure.filter(|_| problem == Problem::PlainHttp) {
            Some(address) => reply::moved(&address),
            None => reply::problem(&problem),
        })
    });
    // A proxy before us may see the end of such a body elsewhere; what it sends as the rest must not become a request of somebody else.
    if let Outcome::Reply(reply) = &mut outcome
        && is_chunked
    {
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    outcome
}

/// The same address with TLS, which this port speaks too. None for what changes something: it has travelled in the clear already, and its
/// sender shall notice.
fn secure_address(request: &Request<Incoming>) -> Option<String> {
    // Behind a proxy it would lead to where the client has been, and round and round.
    if OF_PROXIES.iter().any(|name| request.headers().contains_key(*name)) {
        return None;
    }
    let host = request.headers().get(HOST)?.to_str().ok()?;
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let fits = is_read && !host.is_empty() && host.chars().all(is_host);
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    fits.then(|| format!("https://{host}{path}"))
}

/// One request that may be answered.
struct Asked {
    route: Route,
    operation: &'static Operation,
    visitor: Visitor,
    /// Somebody, except where nobody needs to be.
    entered: Option<(Key, Caller)>,
    method: Method,
    range: Option<String>,
    /// What the browser that comes back from a provider says and shows.
    back: (Back, Option<String>),
    body: Bytes,
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
    let found = Found::of(request.uri().path(), request.method())?;
    // Never the query: it may hold the token.
    tracing::debug!(peer = visitor.route, method = %request.method(), path = request.uri().path(), "request");
    let query = Query::parse(request.uri().query().unwrap_or(""));
    let operation = found.operation;
    let entered = match enter(shared, &visitor, operation, &request, &query) {
        Ok(entered) => entered,
        Err(refused) => return Ok(Outcome::Reply(*refused)),
    };
    notes.caller =
        entered.as_ref().filter(|_| operation.needs != Needs::Nothing).map(|(_, caller)| caller.clone());
    let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
    if is_change {
        // Where no credential is needed, none that travels by itself can be misused.
        let key = entered
            .as_ref()
            .filter(|_| operation.needs != Needs::Nothing)
            .map_or(Key::Header, |(key, _)| *key);
        if !access::may_change(key, access::site(request.headers())) {
            return Err(Problem::CrossSite);
        }
    }
    if let Some((key, caller)) = &entered {
        allow(&found, caller)?;
        if is_change && *key == Key::Ingress {
            tracing::info!(user = caller.name, method = %request.method(), path = request.uri().path(), "asked through Home Assistant");
        }
    }
    let route = found.route(&query)?;
    let method = request.method().clone();
    let range = request.headers().get(RANGE).and_then(|range| plain_range(range.to_str().ok()?));
    let back = if route == Route::OutsideBack {
        (back(&query), outside::browser(request.headers()))
    } else {
        Default::default()
    };
    let limits = &shared.limits;
    let body = if is_change {
        body(operation.body.limit(limits.max_body), operation.body.time(limits.body_time), request).await?
    } else {
        Bytes::new()
    };
    dispatch(shared, Asked { route, operation, visitor, entered, method, range, back, body }).await
}

/// Who asks. Nobody is fine where nothing is needed; else the answer is the refusal, or the page to sign in.
fn enter(
    shared: &Shared,
    visitor: &Visitor,
    operation: &Operation,
    request: &Request<Incoming>,
    query: &Query,
) -> Result<Option<(Key, Caller)>, Box<Reply>> {
    // A page asks again and again, and a token in its address would not go with that.
    let nothing = Query::default();
    let query = if operation.is_page() { &nothing } else { query };
    match access::check(shared, visitor, request.method(), request.headers(), query) {
        Ok(entered) => Ok(Some(entered)),
        Err(Refusal::Missing) if operation.needs == Needs::Nothing => Ok(None),
        Err(refusal) => {
            let problem = match refusal {
                Refusal::Missing => Problem::Unauthorized,
                Refusal::Wrong => {
                    shared.door.wrong(visitor.address, Instant::now()).err().unwrap_or(Problem::Unauthorized)
                }
            };
            // Whoever signs in shows the cookie of a session that has ended.
            if operation.needs == Needs::Nothing && problem == Problem::Unauthorized {
                return Ok(None);
            }
            Err(Box::new(refuse(shared, operation, request.headers(), &problem)))
        }
    }
}

/// Whether the caller may do what the operation does.
fn allow(found: &Found, caller: &Caller) -> Result<(), Problem> {
    match found.operation.needs {
        Needs::Nothing => Ok(()),
        Needs::Role(role) => caller.may(role, found.taken("camera")),
        Needs::Session => match caller.how {
            How::Session(_) => Ok(()),
            How::LocalKey | How::Ingress | How::TrustedNetwork | How::Mqtt | How::Token(_) => {
                Err(Problem::NoAccount)
            }
        },
        Needs::Verb(prefix) => {
            let verb = found.taken("verb").unwrap_or_default();
            caller.may(request::role(&format!("{prefix}{verb}")), None)
        }
    }
}

async fn dispatch(shared: &Shared, asked: Asked) -> Result<Outcome, Problem> {
    let Asked { route, operation, visitor, entered, method, range, back, body } = asked;
    let is_framed = entered.as_ref().is_some_and(|(key, _)| *key == Key::Ingress);
    let caller = entered.map(|(_, caller)| caller);
    let reply = match route {
        Route::Page => page::page(is_framed),
        Route::SignInPage if shared.door.needs_setup() => page::set_up(StatusCode::OK),
        Route::SignInPage => page::sign_in(StatusCode::OK),
        Route::StatusPage => page::status(is_framed),
        Route::Health => api::health(shared),
        Route::OpenApi => reply::json(StatusCode::OK, &openapi::document()),
        Route::About => api::about(shared),
        Route::Session => account::session(shared, caller.as_ref()),
        Route::OutsideStart => outside::begin(shared, &visitor).await,
        Route::OutsideBack => outside::finish(shared, &visitor, back.0, back.1).await,
        Route::SignIn => account::sign_in(shared, &visitor, &body).await?,
        Route::Setup => account::set_up(shared, &visitor, &body).await?,
        Route::SignOut | Route::OwnPassword | Route::TotpBegin | Route::TotpConfirm | Route::TotpEnd => {
            account::own(shared, &visitor, &route, caller.ok_or(Problem::Unauthorized)?, &body).await?
        }
        Route::ChangeUser { name } => account::change(shared, &name, &body).await?,
        Route::State => api::state(shared),
        Route::Verb { verb, fields } => {
            let body = if operation.body == Body::Nothing { Bytes::new() } else { body };
            api::request(shared, &verb, fields, &body).await?
        }
        Route::EventPin { id } => events::pin(shared, &id, &body).await?,
        Route::Strip { camera, day } => events::strip(shared, camera, day).await?,
        Route::Picture(picture) => {
            let picture = match picture {
                Picture::Clip { id, .. } => Picture::Clip { id, range },
                Picture::Still { ref camera, .. } | Picture::Stream { ref camera, .. } => {
                    api::camera(&shared.now(), camera)?;
                    picture
                }
                Picture::Event { .. } => picture,
            };
            return inner(shared, &picture, &method, caller.ok_or(Problem::Unauthorized)?).await;
        }
        Route::Entity { camera, key } => api::read_entity(shared, &camera, &key)?,
        Route::WriteEntity { camera, key } => api::write_entity(shared, &camera, &key, &body).await?,
        Route::TakeSnapshot { camera } => api::take_snapshot(shared, &camera).await?,
        Route::Teach { verb, fields } => faces::teach(shared, verb, fields, &body).await?,
        Route::SelfTestPicture => faces::self_test_picture(shared),
    };
    Ok(Outcome::Reply(reply))
}

fn back(query: &Query) -> Back {
    let text = |name: &str| query.get(name).map(str::to_owned);
    Back { state: text("state"), code: text("code"), error: text("error"), issuer: text("iss") }
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

fn refuse(shared: &Shared, operation: &Operation, headers: &HeaderMap, problem: &Problem) -> Reply {
    let is_page = operation.is_page();
    let mut reply = match is_page {
        true if shared.door.needs_setup() => page::set_up(reply::status(problem)),
        true => page::sign_in(reply::status(problem)),
        false => reply::problem(problem),
    };
    // A script of ours must get the answer, not the browser's password window.
    if !is_page && access::site(headers) != Site::Own && !headers.contains_key("x-doorward") {
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
    let whole = tokio::time::timeout(time, whole(limit, request.into_body())).await;
    whole.unwrap_or_else(|_| Err(Problem::BadRequest { detail: "The body did not come in time".into() }))
}

/// Copies every piece: each one holds on to a buffer of some thousand bytes, and a body may come in pieces of one byte.
async fn whole(limit: usize, mut body: Incoming) -> Result<Bytes, Problem> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::BadRequest { detail: "The body is damaged".into() })?;
        let piece = frame.into_data().unwrap_or_default();
        if whole.len() + piece.len() > limit {
            return Err(Problem::TooLarge { limit });
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.into())
}

/// Asks the inner server and waits until it begins to answer. Nothing of the client's own words goes in: the target is
/// rendered anew, and `Connection: close` frees tiny_http's thread at once.
async fn inner(
    shared: &Shared,
    picture: &Picture,
    method: &Method,
    caller: Caller,
) -> Result<Outcome, Problem> {
    let limit = shared.limits.max_viewers;
    let place = shared.viewers.clone().try_acquire_owned().map_err(|_| Problem::TooManyViewers { limit })?;
    let head = format!("{method} {picture} HTTP/1.1\r\nHost: doorward\r\nConnection: close\r\n\r\n");
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
