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
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::route::Query;
use crate::logic::checksum::hex;

/// Name of the cookie.
const COOKIE_NAME: &str = "doorward";
/// A year; the page is an appliance's, and signing in means finding the token again.
const COOKIE_SECONDS: u32 = 365 * 86400;

/// How the headers begin in which the ingress proxy names the user.
pub(super) const INGRESS_USER: &str = "x-remote-user-";

/// Knows the secret without keeping it: only digests.
pub(super) struct Guard {
    token: [u8; 32],
    /// What the cookie has to say: derived from the token, so that a stolen cookie does not reveal it.
    session: String,
}

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

impl Guard {
    /// Remembers the digests of the token.
    pub(super) fn new(token: &str) -> Self {
        let session = Sha256::new().chain_update("doorward session\0").chain_update(token).finalize();
        Self { token: Sha256::digest(token).into(), session: hex(&session) }
    }

    /// Any one right credential opens; a wrong one beside it does no harm.
    pub(super) fn check(&self, method: &Method, headers: &HeaderMap, query: &Query) -> Result<Key, Refusal> {
        let mut refusal = Refusal::Missing;
        if let Some(secret) = headers.get(AUTHORIZATION).map(|value| secret_of(value.to_str().unwrap_or("")))
        {
            if secret.is_some_and(|secret| self.is_token(&secret)) {
                return Ok(Key::Header);
            }
            refusal = Refusal::Wrong;
        }
        let is_read = method == Method::GET || method == Method::HEAD;
        if let Some(secret) = query.get("token").filter(|_| is_read) {
            if self.is_token(secret) {
                return Ok(Key::Query);
            }
            refusal = Refusal::Wrong;
        }
        if let Some(session) = cookie(headers) {
            if digest(session).ct_eq(&digest(&self.session)).into() {
                return Ok(Key::Cookie);
            }
            refusal = Refusal::Wrong;
        }
        Err(refusal)
    }

    /// Digests have one length, so that not even the token's length can be timed.
    fn is_token(&self, secret: &str) -> bool {
        digest(secret).ct_eq(&self.token).into()
    }

    /// The header that signs a browser in. No path is given: the browser then takes the page's own folder, which is right
    /// below a proxy's sub-path too.
    pub(super) fn set_cookie(&self) -> String {
        let session = &self.session;
        format!("{COOKIE_NAME}={session}; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Strict")
    }
}

/// The header that makes a browser forget a cookie that is no longer right.
pub(super) fn clear_cookie() -> String {
    format!("{COOKIE_NAME}=; Max-Age=0; HttpOnly; SameSite=Strict")
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

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
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

    const TOKEN: &str = "correct-horse-battery-staple";

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let named =
            |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        pairs.iter().map(named).collect()
    }

    fn check(method: Method, pairs: &[(&str, &str)], query: &str) -> Result<Key, Refusal> {
        Guard::new(TOKEN).check(&method, &headers(pairs), &Query::parse(query))
    }

    #[test]
    fn every_way_in_opens_with_the_token_only() {
        let basic = |pair: &str| format!("Basic {}", BASE64.encode(pair));
        let get = |authorization: &str| check(Method::GET, &[("authorization", authorization)], "");
        assert_eq!(get(&format!("Bearer {TOKEN}")), Ok(Key::Header));
        assert_eq!(get(&format!("bearer  {TOKEN}")), Ok(Key::Header));
        assert_eq!(get(&basic(&format!("anybody:{TOKEN}"))), Ok(Key::Header));
        assert_eq!(get(&basic(&format!(":{TOKEN}"))), Ok(Key::Header));
        let no_colon = basic(TOKEN);
        for wrong in
            ["", "Bearer", "Bearer ", "Bearer x", "Digest a", &basic("a:b"), &no_colon, "Basic %%%", TOKEN]
        {
            assert_eq!(get(wrong), Err(Refusal::Wrong), "{wrong}");
        }
        assert_eq!(check(Method::GET, &[], ""), Err(Refusal::Missing));
    }

    #[test]
    fn the_query_opens_reading_only() {
        let query = format!("a=b&token={TOKEN}");
        assert_eq!(check(Method::GET, &[], &query), Ok(Key::Query));
        assert_eq!(check(Method::HEAD, &[], &query), Ok(Key::Query));
        assert_eq!(check(Method::PUT, &[], &query), Err(Refusal::Missing));
        assert_eq!(check(Method::GET, &[], "token="), Err(Refusal::Wrong));
    }

    #[test]
    fn the_cookie_is_not_the_token() {
        let guard = Guard::new(TOKEN);
        let set = guard.set_cookie();
        assert!(!set.contains(TOKEN) && set.contains("HttpOnly") && set.contains("SameSite=Strict"));
        let pair = set.split(';').next().unwrap().to_owned();
        assert_eq!(check(Method::GET, &[("cookie", &format!("x=y; {pair}"))], ""), Ok(Key::Cookie));
        assert_eq!(check(Method::GET, &[("cookie", "doorward=")], ""), Err(Refusal::Wrong));
        assert_eq!(check(Method::GET, &[("cookie", "other=1")], ""), Err(Refusal::Missing));
        let as_password = format!("Bearer {}", pair.strip_prefix("doorward=").unwrap());
        assert_eq!(check(Method::GET, &[("authorization", &as_password)], ""), Err(Refusal::Wrong));
    }

    #[test]
    fn a_right_credential_beside_a_wrong_one_opens() {
        let stale = [("cookie", "doorward=old"), ("authorization", "Basic eDp5")];
        assert_eq!(check(Method::GET, &stale, &format!("token={TOKEN}")), Ok(Key::Query));
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
