//! Who may come in: reads credentials, compares them in constant time, and tells other web sites' requests from our page's.
//!
//! The token has 128 random bits or more, so that guessing is hopeless at any rate. The right token therefore always opens, even
//! from an address that sent many wrong ones: behind a proxy or a container's network all clients share one address, and one bad
//! client must not lock the others out.
//!
//! Home Assistant's ingress proxy needs no token: it has asked for Home Assistant's own login. It is told by the address of the
//! connection and by nothing that a request says. Not here: accounts and roles.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use hyper::{HeaderMap, Method};
use jiff::Timestamp;

use super::Shared;
use super::route::Query;
use super::visitor::Visitor;
use crate::door::Shown;
use crate::logic::access::{Caller, How, Role, Scope};

/// Name of the cookie.
const COOKIE_NAME: &str = "doorward";

/// How the headers begin in which the ingress proxy names the user.
pub(super) const INGRESS_USER: &str = "x-remote-user-";

/// How somebody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// `Authorization: Bearer` or `Basic`.
    Header,
    /// `?token=`, on GET only.
    Query,
    /// The page's cookie.
    Cookie,
    /// The connection comes from Home Assistant's ingress proxy.
    Ingress,
}

/// Why somebody did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing was shown.
    Missing,
    /// What was shown is wrong.
    Wrong,
}

/// Where a request comes from, as far as the browser says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// From our own page.
    Own,
    /// From another one.
    Other,
    /// Not said: a program, or an old browser.
    Unsaid,
}

/// Any one right credential opens; a wrong one beside it does no harm.
pub(super) fn check(
    shared: &Shared,
    visitor: &Visitor,
    method: &Method,
    headers: &HeaderMap,
    query: &Query,
) -> Result<(Key, Caller), Refusal> {
    if visitor.is_ingress {
        let scope = Scope::all(Role::Admin);
        return Ok((Key::Ingress, Caller { how: How::Ingress, name: ingress_user(headers), scope }));
    }
    let now = Timestamp::now();
    let mut refusal = Refusal::Missing;
    let mut opens = |key, shown: Option<Shown<'_>>| {
        refusal = Refusal::Wrong;
        shown.and_then(|shown| shared.door.who(shown, visitor.is_local, now)).map(|caller| (key, caller))
    };
    if let Some(value) = headers.get(AUTHORIZATION) {
        let secret = secret_of(value.to_str().unwrap_or(""));
        if let Some(entered) = opens(Key::Header, secret.as_deref().map(Shown::Secret)) {
            return Ok(entered);
        }
    }
    let is_read = method == Method::GET || method == Method::HEAD;
    if let Some(secret) = query.get("token").filter(|_| is_read)
        && let Some(entered) = opens(Key::Query, Some(Shown::Secret(secret)))
    {
        return Ok(entered);
    }
    if let Some(session) = cookie(headers)
        && let Some(entered) = opens(Key::Cookie, Some(Shown::Session(session)))
    {
        return Ok(entered);
    }
    Err(refusal)
}

/// The header that keeps a session in the browser until it ends. Scripts cannot read the cookie, and no other site's page can make the
/// browser send it. It belongs to the whole host: under which path a proxy shows us nobody tells us, and what is set by
/// `…/api/v1/session` without a path would not go with the page.
pub(super) fn set_cookie(secret: &str, until: Timestamp, now: Timestamp, is_secure: bool) -> String {
    let seconds = until.duration_since(now).as_secs().max(0);
    let secure = if is_secure { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={secret}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict{secure}")
}

/// The header that makes a browser forget a cookie that is no longer right.
pub(super) fn clear_cookie() -> String {
    format!("{COOKIE_NAME}=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict")
}

/// Whether the request shows our cookie, right or wrong.
pub(super) fn has_cookie(headers: &HeaderMap) -> bool {
    cookie(headers).is_some()
}

/// Judges by `Sec-Fetch-Site`, which only browsers can set and only towards HTTPS and localhost, else by `Origin`.
pub(super) fn site(headers: &HeaderMap) -> Site {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("sec-fetch-site") {
        Some("same-origin" | "none") => return Site::Own,
        Some(_) => return Site::Other,
        None => {}
    }
    let Some(origin) = text(ORIGIN.as_str()) else { return Site::Unsaid };
    let host = origin.split_once("://").map(|(_, host)| host);
    if host.is_some() && host == text(HOST.as_str()) { Site::Own } else { Site::Other }
}

/// The name of Home Assistant's user, for the log. It means something only in what the ingress proxy sends.
pub(super) fn ingress_user(headers: &HeaderMap) -> String {
    let names = ["display-name", "name", "id"].map(|part| format!("{INGRESS_USER}{part}"));
    let name = names.iter().find_map(|name| headers.get(name));
    let name = name.map_or("somebody".into(), |name| String::from_utf8_lossy(name.as_bytes()));
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Whether a request that changes something may be carried out. Cookies, Home Assistant's among them, travel by themselves, so there the browser has to
/// say that our own page asks; the others must at least not be from elsewhere (browsers also repeat Basic by themselves).
pub(super) fn may_change(key: Key, site: Site) -> bool {
    match (key, site) {
        (_, Site::Own) | (Key::Header | Key::Query, Site::Unsaid) => true,
        (_, Site::Other) | (Key::Cookie | Key::Ingress, Site::Unsaid) => false,
    }
}

fn secret_of(authorization: &str) -> Option<String> {
    let (scheme, rest) = authorization.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(BASE64.decode(rest).ok()?).ok()?;
    let (_user, password) = pair.split_once(':')?;
    Some(password.to_owned())
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderName;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let named =
            |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        pairs.iter().map(named).collect()
    }

    #[test]
    fn other_sites_change_nothing() {
        for (pairs, expected) in [
            (vec![("sec-fetch-site", "same-origin"), ("origin", "http://a")], Site::Own),
            (vec![("sec-fetch-site", "same-site")], Site::Other),
            (vec![("sec-fetch-site", "cross-site")], Site::Other),
            (vec![("origin", "http://door:8080"), ("host", "door:8080")], Site::Own),
            (vec![("origin", "http://door:9090"), ("host", "door:8080")], Site::Other),
            (vec![("origin", "null"), ("host", "null")], Site::Other),
            (vec![("host", "door:8080")], Site::Unsaid),
        ] {
            assert_eq!(site(&headers(&pairs)), expected, "{pairs:?}");
        }
        assert!(may_change(Key::Cookie, Site::Own) && !may_change(Key::Cookie, Site::Unsaid));
        assert!(may_change(Key::Ingress, Site::Own) && !may_change(Key::Ingress, Site::Unsaid));
        assert!(may_change(Key::Header, Site::Unsaid) && !may_change(Key::Header, Site::Other));
    }
}
