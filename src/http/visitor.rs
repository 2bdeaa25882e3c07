//! Where a request comes from: the connection, and what stands before it.
//!
//! What a proxy says about its clients is believed only of those that `access.trusted_proxies` names. `Forwarded` (RFC 7239) is read by
//! nobody here: one way to say a thing is enough. Not here: who sends the request ([`super::access`]), and the lists
//! ([`crate::logic::addresses`]).

use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::header::{HOST, HeaderName};

use super::{Shared, notes};
use crate::logic::accounts::Origin;
use crate::logic::addresses::{Journey, hop};
use crate::logic::problem::{Problem, quoted};

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_HOST: &str = "x-forwarded-host";
const FORWARDED_PROTO: &str = "x-forwarded-proto";
/// Headers by which a proxy shows that it passes something on.
pub(super) const OF_PROXIES: [&str; 6] =
    [FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, "forwarded", "x-real-ip", "via"];
/// More proxies than this stand before nobody's home.
const MOST_HOPS: usize = 32;

/// What is known of a connection before anything was read from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// The other end.
    pub(super) peer: IpAddr,
    /// Our end.
    pub(super) own: IpAddr,
    /// TLS is spoken.
    pub(super) is_tls: bool,
}

/// Where one request comes from.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    /// The client's address: the peer's, or the one that proxies named whom we believe.
    pub(super) address: IpAddr,
    /// The client's address and each proxy's, with commas.
    pub(super) route: String,
    /// The client is this machine itself.
    pub(super) is_local: bool,
    /// It comes through Home Assistant's ingress proxy.
    pub(super) is_ingress: bool,
    /// The client's words travelled over TLS.
    pub(super) is_secure: bool,
    /// Every step of the way is in a network that needs no login.
    pub(super) is_trusted: bool,
}

impl Visitor {
    /// Reads the connection and the headers that proxies add; `Host` becomes what the client asked for.
    ///
    /// # Errors
    /// [`Problem::AddressRefused`], [`Problem::BadRequest`] for what a trusted proxy should not say, and [`Problem::PlainHttp`].
    pub(super) fn of(shared: &Shared, link: Link, headers: &mut HeaderMap) -> Result<Self, Problem> {
        let (peer, own) = (link.peer.to_canonical(), link.own.to_canonical());
        if shared.ingress_proxy == Some(peer) {
            return Ok(Self::through_home_assistant(peer, own, link.is_tls, headers));
        }
        let is_proxy = shared.addresses.trusted_proxies.holds(peer);
        let journey =
            if is_proxy { shared.addresses.walk(peer, &forwarded(headers)?) } else { Journey::direct(peer) };
        let route = journey.route();
        if let Err(refused) = shared.addresses.check(&journey, own) {
            notes::address_refused(shared, &route);
            return Err(Problem::AddressRefused { address: refused.to_string() });
        }
        // A proxy that nobody named hides who its clients are: they are neither this machine nor anybody's trusted network.
        let is_hidden = !is_proxy && OF_PROXIES.iter().any(|name| headers.contains_key(*name));
        if is_hidden {
            shared.unnamed_proxy.call_once(|| tell_unnamed(peer));
        }
        if is_proxy && let Some(host) = headers.get(FORWARDED_HOST).and_then(first_host) {
            headers.insert(HOST, host);
        }
        let is_own = |hop: &IpAddr| hop.is_loopback() || *hop == own;
        let is_near = peer.is_loopback() || peer == own;
        let is_secure = link.is_tls || (is_proxy && says_https(headers));
        if !(is_secure || is_near || shared.plain) {
            return Err(Problem::PlainHttp);
        }
        Ok(Self {
            address: journey.client,
            route,
            // What goes to an address of our own never leaves the machine.
            is_local: !is_hidden && journey.known().iter().all(is_own),
            is_ingress: false,
            is_secure,
            is_trusted: !is_hidden && shared.addresses.is_trusted(&journey),
        })
    }

    /// Home Assistant has asked for its own login; what it says of the way before it is for the audit log only.
    fn through_home_assistant(peer: IpAddr, own: IpAddr, is_secure: bool, headers: &HeaderMap) -> Self {
        let hops = forwarded(headers).unwrap_or_default();
        let route: Vec<String> = hops.iter().chain([&peer]).map(ToString::to_string).collect();
        Self {
            address: peer,
            route: route.join(", "),
            is_local: peer.is_loopback() || peer == own,
            is_ingress: true,
            is_secure,
            is_trusted: false,
        }
    }

    /// The same for the throttle and the audit log.
    pub(super) fn origin(&self) -> Origin {
        Origin { address: self.address, route: self.route.clone() }
    }
}

/// The addresses that proxies added, the farthest first.
fn forwarded(headers: &HeaderMap) -> Result<Vec<IpAddr>, Problem> {
    let bad = |word: &str| {
        let detail = format!("A trusted proxy sent X-Forwarded-For with \"{}\" in it", quoted(word));
        Problem::BadRequest { detail: format!("{detail}, which is no IP address") }
    };
    let mut hops = Vec::new();
    for line in headers.get_all(FORWARDED_FOR) {
        let line = line.to_str().map_err(|_| bad("bytes beyond ASCII"))?;
        for word in line.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            hops.push(hop(word).ok_or_else(|| bad(word))?);
        }
    }
    if hops.len() > MOST_HOPS { Err(bad("more than 32 addresses")) } else { Ok(hops) }
}

/// The host that the client asked for, as the first proxy heard it.
fn first_host(value: &hyper::header::HeaderValue) -> Option<hyper::header::HeaderValue> {
    let host = value.to_str().ok()?.split(',').next()?.trim();
    if host.is_empty() { None } else { host.parse().ok() }
}

/// Whether every proxy says that it heard the words over TLS.
fn says_https(headers: &HeaderMap) -> bool {
    let name = HeaderName::from_static(FORWARDED_PROTO);
    let mut words =
        headers.get_all(name).iter().flat_map(|line| line.to_str().unwrap_or("").split(',')).peekable();
    words.peek().is_some() && words.all(|word| word.trim().eq_ignore_ascii_case("https"))
}

fn tell_unnamed(peer: IpAddr) {
    tracing::warn!(
        "{peer} passes on requests of others, but access.trusted_proxies does not name it: all of them count as coming from {peer}. \
         Add it there if it is your reverse proxy"
    );
}
