//! What people do with their own account, and the changes of a user that are several requests: sessions, the first user, passwords, second factors.
//!
//! Not here: who may ([`super::table`]), and every decision ([`crate::logic::accounts`]).

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::SET_COOKIE;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::reply::{self, Reply};
use super::route::Route;
use super::visitor::Visitor;
use super::{Shared, access, api};
use crate::door::Served;
use crate::logic::access::{Caller, How};
use crate::logic::accounts::SelfService;
use crate::logic::events::timestamp;
use crate::logic::fields::Fields;
use crate::logic::problem::Problem;
use crate::logic::request;

/// A password takes a tenth of a second on a slow machine, and others may wait before it.
const PATIENCE: Duration = Duration::from_secs(30);

/// `GET /api/session`
pub(super) fn session(shared: &Shared, caller: Option<&Caller>) -> Reply {
    reply::json(StatusCode::OK, &describe(shared, caller))
}

fn describe(shared: &Shared, caller: Option<&Caller>) -> Value {
    json!({
        "user": caller.map(|caller| &caller.name),
        "role": caller.map(|caller| caller.scope.role.word()),
        "camera": caller.and_then(|caller| caller.scope.camera.as_ref()),
        "how": caller.map(|caller| how(&caller.how)),
        "until": caller.and_then(|caller| shared.door.until(caller)).map(timestamp),
        "totp": caller.is_some_and(|caller| shared.door.has_totp(caller)),
        "needs_setup": shared.door.needs_setup(),
        "outside": shared.outside.as_ref().map(|outside| &outside.name),
    })
}

fn how(how: &How) -> &'static str {
    match how {
        How::LocalKey => "local_key",
        How::Ingress => "ingress",
        How::TrustedNetwork => "trusted_network",
        How::Mqtt => "mqtt",
        How::Session(_) => "session",
        How::Token(_) => "token",
    }
}

/// `POST /api/session`
pub(super) async fn sign_in(shared: &Shared, visitor: &Visitor, body: &[u8]) -> Result<Reply, Problem> {
    let body = request::fields(body)?;
    let fields = Fields { request: "session", body: &body };
    fields.only(&["user", "password", "code"])?;
    let wish = SelfService::SignIn {
        name: fields.needed("user", "the name of a user")?,
        password: fields.needed("password", "the password")?,
        code: fields.text("code")?,
    };
    served(shared, visitor, wish).await
}

/// `POST /api/setup`
pub(super) async fn set_up(shared: &Shared, visitor: &Visitor, body: &[u8]) -> Result<Reply, Problem> {
    let body = request::fields(body)?;
    let fields = Fields { request: "setup", body: &body };
    fields.only(&["code", "name", "password"])?;
    let wish = SelfService::Setup {
        code: fields.needed("code", "the pairing code")?,
        name: fields.needed("name", "a name")?,
        password: fields.needed("password", "a password")?,
    };
    served(shared, visitor, wish).await
}

/// The routes below `/api/session` that belong to whoever is signed in.
pub(super) async fn own(
    shared: &Shared,
    visitor: &Visitor,
    route: &Route,
    caller: Caller,
    body: &[u8],
) -> Result<Reply, Problem> {
    if *route == Route::SignOut {
        let mut reply = served(shared, visitor, SelfService::SignOut(caller)).await?;
        keep(&mut reply, &access::clear_cookie());
        return Ok(reply);
    }
    let body = request::fields(body)?;
    let fields = |known: &[&str]| {
        let fields = Fields { request: "session", body: &body };
        fields.only(known).map(|()| fields)
    };
    let password = || fields(&["password"])?.needed("password", "the present password");
    let wish = match route {
        Route::OwnPassword => {
            let fields = fields(&["old", "new"])?;
            let old = fields.needed("old", "the present password")?;
            SelfService::Password { caller, old, new: fields.needed("new", "the new password")? }
        }
        Route::TotpBegin => SelfService::TotpBegin { caller, password: password()? },
        Route::TotpConfirm => {
            let code = fields(&["code"])?.needed("code", "the code of the authenticator app")?;
            SelfService::TotpConfirm { caller, code }
        }
        Route::TotpEnd => SelfService::TotpEnd { caller, password: password()? },
        _other => return Err(Problem::NoAccount),
    };
    served(shared, visitor, wish).await
}

/// `PUT /api/users/<name>`: every field is a request of its own. All are read before the first is asked.
pub(super) async fn change(shared: &Shared, name: &str, body: &[u8]) -> Result<Reply, Problem> {
    let body = request::fields(body)?;
    let fields = Fields { request: "users", body: &body };
    fields.only(&["role", "locked", "password", "end_totp"])?;
    let mut wishes: Vec<(&str, &[&str])> = Vec::new();
    if body.contains_key("role") {
        wishes.push(("users/role", &["role"]));
    }
    if body.contains_key("password") {
        wishes.push(("users/passwd", &["password", "end_totp"]));
    }
    if let Some(locked) = fields.flag("locked")? {
        wishes.push((if locked { "users/lock" } else { "users/unlock" }, &[]));
    }
    if wishes.is_empty() {
        return Err(fields.wrong("takes \"role\", \"locked\" or \"password\", and none of them is there"));
    }
    let state = shared.now();
    let read = |(verb, taken): (&str, &[&str])| {
        let mut fields = body.clone();
        fields.retain(|field, _| taken.contains(&field.as_str()));
        fields.insert("name".into(), json!(name));
        request::read(verb, &fields, &state)
    };
    let inputs = wishes.into_iter().map(read).collect::<Result<Vec<_>, Problem>>()?;
    for input in inputs {
        api::ask(shared, input, PATIENCE).await?;
    }
    Ok(reply::json(StatusCode::OK, &json!({})))
}

/// Asks the door, waits for its answer, and hands over the cookie if somebody is signed in now.
pub(super) async fn served(shared: &Shared, visitor: &Visitor, wish: SelfService) -> Result<Reply, Problem> {
    let (reply, answer) = oneshot::channel();
    let tell = Box::new(move |outcome| {
        // The asker may have gone.
        let _ = reply.send(outcome);
    });
    shared.door.serve(wish, visitor.origin(), tell);
    let served = match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(outcome)) => outcome?,
        Ok(Err(_)) | Err(_) => return Err(Problem::Busy),
    };
    match served {
        Served::Done(data) => Ok(reply::json(StatusCode::OK, &data)),
        Served::SignedIn { secret, until, caller } => {
            let mut reply = session(shared, Some(&caller));
            keep(&mut reply, &access::set_cookie(&secret, until, Timestamp::now(), visitor.is_secure));
            Ok(reply)
        }
    }
}

fn keep(reply: &mut Reply, cookie: &str) {
    if let Ok(cookie) = cookie.parse() {
        reply.headers_mut().insert(SET_COOKIE, cookie);
    }
}
