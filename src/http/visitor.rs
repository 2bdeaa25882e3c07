//! Where a request comes from: the connection, and what stands before it.
//!
//! Not here: who sends it ([`super::access`]).

use std::net::IpAddr;

use hyper::HeaderMap;

use super::Shared;
use crate::logic::accounts::Origin;
use crate::logic::problem::Problem;

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
}

impl Visitor {
    /// Reads the connection and the headers that proxies add.
    ///
    /// # Errors
    /// [`Problem::AddressRefused`], and [`Problem::PlainHttp`].
    pub(super) fn of(shared: &Shared, link: Link, _headers: &HeaderMap) -> Result<Self, Problem> {
        let peer = link.peer.to_canonical();
        let visitor = Self {
            address: peer,
            route: peer.to_string(),
            // What goes to an address of our own never leaves the machine.
            is_local: peer.is_loopback() || peer == link.own.to_canonical(),
            is_ingress: shared.ingress_proxy == Some(peer),
            is_secure: link.is_tls,
        };
        if visitor.may_speak_plainly(shared) { Ok(visitor) } else { Err(Problem::PlainHttp) }
    }

    /// Whether nobody between the visitor and us could listen, or the owner does not mind.
    fn may_speak_plainly(&self, shared: &Shared) -> bool {
        self.is_secure || self.is_local || self.is_ingress || shared.plain
    }

    /// The same for the throttle and the audit log.
    pub(super) fn origin(&self) -> Origin {
        Origin { address: self.address, route: self.route.clone() }
    }
}
