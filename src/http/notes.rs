//! What of a request is written into the audit log: each change, each refusal, each look for a hole.
//!
//! Never a query string, a header or a body: they may hold secrets. Sign-ins are noted by the door. Not here: keeping the log
//! ([`crate::audit`]).

use std::net::IpAddr;
use std::sync::PoisonError;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use jiff::Timestamp;

use super::reply::status;
use super::route::Query;
use super::visitor::Visitor;
use super::{Shared, access};
use crate::logic::access::Caller;
use crate::logic::audit::{Entry, Kind, Level};
use crate::logic::input::{Alarm, AlarmKind, Input};
use crate::logic::probes::is_probe;
use crate::logic::problem::Problem;
use crate::logic::request::changes;

/// Our own paths are shorter, but for strange ids.
const LONGEST_PATH: usize = 120;

/// One request, as it becomes known.
pub(super) struct Notes {
    /// Method and path, without what all paths begin with: `PUT cameras/porch/entities/privacy`.
    asked: String,
    path: String,
    peer: IpAddr,
    is_change: bool,
    /// The way, once it is known.
    route: Option<String>,
    /// Who asks, once somebody was let in.
    pub(super) caller: Option<Caller>,
}

impl Notes {
    /// A request from `peer` of which nothing is known yet.
    pub(super) fn new(request: &Request<Incoming>, peer: IpAddr) -> Self {
        let (method, path) = (request.method(), request.uri().path());
        let short = ["/api/v1/", "/api/"].iter().find_map(|beginning| path.strip_prefix(beginning));
        let short = short.unwrap_or(path);
        let plain: String = short.chars().filter(|c| !c.is_control()).take(LONGEST_PATH).collect();
        Self {
            asked: format!("{method} {plain}"),
            path: path.to_owned(),
            peer: peer.to_canonical(),
            is_change: is_change(method, short),
            route: None,
            caller: None,
        }
    }

    /// It is known where the request comes from.
    pub(super) fn came(&mut self, shared: &Shared, visitor: &Visitor, request: &Request<Incoming>) {
        self.route = Some(visitor.route.clone());
        if is_probe(&self.path, visitor.address) {
            let query = Query::parse(request.uri().query().unwrap_or(""));
            let entered = access::check(shared, visitor, request.method(), request.headers(), &query);
            if entered.is_err() {
                self.probe(shared, visitor.address, &visitor.route);
            }
        }
    }

    /// What came of it.
    pub(super) fn end(&self, shared: &Shared, problem: Option<&Problem>) {
        let (peer, user) = (self.peer.to_string(), self.caller.as_ref().map(|caller| caller.name.as_str()));
        let route = self.route.as_ref().unwrap_or(&peer);
        match (problem, user) {
            // Noted with the whole way already; see [`address_refused`].
            (Some(Problem::AddressRefused { address }), _) => {
                let from = address.parse().unwrap_or(self.peer);
                if is_probe(&self.path, from) {
                    self.probe(shared, from, address);
                }
            }
            (Some(problem), user) if status(problem) == StatusCode::FORBIDDEN => {
                let text = format!("{}: {}", self.asked, problem.code());
                note(shared, (Level::Warning, Kind::Refused), user.unwrap_or_default(), route, text);
            }
            (problem, Some(user)) if self.is_change => {
                let word = problem.map_or("done", Problem::code);
                note(shared, (Level::Info, Kind::Change), user, route, format!("{}: {word}", self.asked));
            }
            (Some(_) | None, Some(_) | None) => {}
        }
    }

    /// A stranger asked for something that nobody asks for who means well. One event an address and hour.
    fn probe(&self, shared: &Shared, address: IpAddr, route: &str) {
        let alert =
            shared.probes.lock().unwrap_or_else(PoisonError::into_inner).tells(Instant::now(), address);
        let (ts, user, address) = (Timestamp::now(), String::new(), address.to_string());
        let text = format!("{}: somebody looks for a way in", self.asked);
        let (level, kind, route) = (Level::Alert, Kind::Attack, route.to_owned());
        shared.audit.note(Entry { ts, level, kind, alert, user, address: route, text });
        if alert {
            let alarm = Alarm { kind: AlarmKind::Probe, address, user: None };
            // The appliance may be too busy to hear of it; it is noted all the same.
            let _ = shared.inbox.send(Input::Alarm(alarm), None);
        }
    }
}

/// Somebody came from an address that is not let in. The same words whatever they asked for, so that a scan is one entry a minute.
pub(super) fn address_refused(shared: &Shared, route: &str) {
    let text = "Refused for the address: access.allow does not have it, or access.block does.";
    note(shared, (Level::Warning, Kind::Refused), "", route, text.into());
}

/// Whether a request changes something; `path` is the short one. Some ask with POST and change nothing.
fn is_change(method: &Method, path: &str) -> bool {
    let verb = path.strip_prefix("requests/").or_else(|| path.starts_with("faces/").then_some(path));
    let is_reading = verb.is_some_and(|verb| !changes(verb));
    !matches!(*method, Method::GET | Method::HEAD) && !is_reading
}

fn note(shared: &Shared, (level, kind): (Level, Kind), user: &str, address: &str, text: String) {
    let (user, address) = (user.to_owned(), address.to_owned());
    shared.audit.note(Entry { ts: Timestamp::now(), level, kind, alert: false, user, address, text });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_reads_is_no_change() {
        for (method, path, expected) in [
            (Method::GET, "cameras/porch/entities/privacy", false),
            (Method::HEAD, "state", false),
            (Method::PUT, "cameras/porch/entities/privacy", true),
            (Method::DELETE, "events/01J", true),
            (Method::POST, "cameras/porch/snapshot", true),
            (Method::POST, "requests/config/set", true),
            (Method::POST, "requests/audit/clear", true),
            (Method::POST, "requests/audit/list", false),
            (Method::POST, "requests/ping", false),
            (Method::POST, "faces/enrol", true),
            (Method::POST, "faces/test", false),
            (Method::POST, "requests/nonsense", false),
        ] {
            assert_eq!(is_change(&method, path), expected, "{method} {path}");
        }
    }
}
