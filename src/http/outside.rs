//! Signing in with an outside identity: the way to the provider, and back with its word.
//!
//! The answer to the way back is a small page that loads ours: the cookie of a session does not go with a request that another site led
//! to. Not here: everything between ([`crate::oidc`] and [`crate::logic::oidc`]).

use std::time::{Duration, Instant};

use hyper::HeaderMap;
use hyper::header::{COOKIE, HeaderValue, LOCATION, SET_COOKIE};
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::reply::{self, Reply};
use super::visitor::Visitor;
use super::{Shared, account, page};
use crate::logic::accounts::SelfService;
use crate::logic::audit::{Entry, Kind, Level};
use crate::logic::oidc::{Ask, Back, Question, Refusal, Told, pending};
use crate::logic::problem::Problem;

/// The provider has its own, shorter limits; this is for a task that has died.
const PATIENCE: Duration = Duration::from_secs(30);
/// The cookie that ties a sign-in to the browser that began it. Its path is that of the two routes, under whatever prefix a proxy shows us.
const COOKIE_NAME: &str = "doorward_oidc";

/// With whose word people may sign in.
pub struct Outside {
    /// What the button says after "Sign in with".
    pub name: String,
    /// Who talks to the provider.
    pub desk: mpsc::Sender<Question>,
}

/// `GET /api/v1/oidc/start`: sends the browser to the provider.
pub(super) async fn begin(shared: &Shared, visitor: &Visitor) -> Reply {
    match ask(shared, Ask::Begin { address: visitor.address }).await {
        Ok(Told::Go { url, browser }) => {
            go(&url, &cookie(&browser, pending::LIFE.as_secs(), visitor.is_secure))
        }
        Ok(Told::Known(_)) => page::refused(&Problem::Busy),
        Err(Failure::Refused(refusal)) => refuse(shared, visitor, &refusal),
        Err(Failure::Problem(problem)) => page::refused(&problem),
    }
}

/// `GET /api/v1/oidc/callback`: the browser is back.
pub(super) async fn finish(shared: &Shared, visitor: &Visitor, back: Back, browser: Option<String>) -> Reply {
    let mut reply = match ask(shared, Ask::Finish { back, browser }).await {
        Ok(Told::Known(identity)) => {
            let wish = SelfService::SignInOutside { email: identity.email, role: identity.role };
            match account::served(shared, visitor, wish).await {
                Ok(signed_in) => page::landed(signed_in.headers().get(SET_COOKIE)),
                Err(problem) => page::refused(&problem),
            }
        }
        Ok(Told::Go { .. }) => page::refused(&Problem::Busy),
        Err(Failure::Refused(refusal)) => refuse(shared, visitor, &refusal),
        Err(Failure::Problem(problem)) => page::refused(&problem),
    };
    if let Ok(forget) = cookie("", 0, visitor.is_secure).parse() {
        reply.headers_mut().append(SET_COOKIE, forget);
    }
    reply
}

/// The value of our cookie in a request.
pub(super) fn browser(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value.to_owned())
}

/// `Lax`, because the browser comes back from another site, and has to bring it.
fn cookie(value: &str, seconds: u64, is_secure: bool) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={value}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

fn go(url: &str, cookie: &str) -> Reply {
    let (Ok(url), Ok(cookie)) = (url.parse::<HeaderValue>(), cookie.parse::<HeaderValue>()) else {
        return page::refused(&Problem::Busy);
    };
    let mut reply: Reply = Response::default();
    *reply.status_mut() = StatusCode::FOUND;
    let headers = reply.headers_mut();
    headers.extend(reply::COMMON.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.insert(LOCATION, url);
    headers.insert(SET_COOKIE, cookie);
    reply
}

enum Failure {
    Refused(Refusal),
    Problem(Problem),
}

async fn ask(shared: &Shared, ask: Ask) -> Result<Told, Failure> {
    let off =
        || Problem::NotFound { what: "sign-in with an outside account; set oidc.issuer to have one".into() };
    let outside = shared.outside.as_ref().ok_or_else(|| Failure::Problem(off()))?;
    let (reply, answer) = oneshot::channel();
    let tell = Box::new(move |outcome| {
        // The asker may have gone.
        let _ = reply.send(outcome);
    });
    let busy = || Failure::Problem(Problem::Busy);
    outside.desk.try_send(Question { ask, tell }).map_err(|_| busy())?;
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(outcome)) => outcome.map_err(Failure::Refused),
        Ok(Err(_)) | Err(_) => Err(busy()),
    }
}

/// Notes why, and tells the browser less. Whoever is refused again and again is held back like one who guesses passwords, and no longer noted.
fn refuse(shared: &Shared, visitor: &Visitor, refusal: &Refusal) -> Reply {
    let is_theirs = !matches!(refusal, Refusal::Unusable(_) | Refusal::Broken(_));
    if is_theirs && let Err(problem) = shared.door.wrong(visitor.address, Instant::now()) {
        return page::refused(&problem);
    }
    let why = refusal.sentence();
    tracing::info!(from = visitor.route, "nobody was signed in with an outside account: {why}");
    shared.audit.note(Entry {
        ts: Timestamp::now(),
        level: Level::Warning,
        kind: Kind::SignIn,
        alert: false,
        user: String::new(),
        address: visitor.route.clone(),
        text: format!("Sign-in with an outside account refused. {why}"),
    });
    page::refused(&refusal.problem())
}
