//! What of a request is written into the audit log: each change, each refusal, each look for a hole.
//!
//! Never a query string, a header or a body: they may hold secrets. Sign-ins are noted by the door. Not here: keeping the log
//! ([`crate::audit`]).

use std::net::IpAddr;
use std::sync::PoisonError;
use std::time::Instant;

use hyper::{Method, StatusCode};
use jiff::Timestamp;

use super::Shared;
use super::reply::status;
use super::route::Route;
use super::visitor::Visitor;
use crate::logic::access::Caller;
use crate::logic::audit::{Entry, Kind, Level};
use crate::logic::input::{Alarm, AlarmKind, Input};
use crate::logic::probes;
use crate::logic::problem::Problem;
use crate::logic::request::changes;

/// Our own paths are shorter, but for strange ids.
const LONGEST_PATH: usize = 120;

/// Method and path of a request.
#[derive(Clone, Debug)]
pub(super) struct Asked(String);

impl Asked {
    /// `PUT cameras/porch/entities/privacy`: without what all paths begin with.
    pub(super) fn new(method: &Method, path: &str) -> Self {
        let short = ["/api/v1/", "/api/"].iter().find_map(|beginning| path.strip_prefix(beginning));
        let plain = short.unwrap_or(path).chars().filter(|c| !c.is_control());
        Self(format!("{method} {}", plain.take(LONGEST_PATH).collect::<String>()))
    }
}

/// Somebody came from an address that is not let in. The same words whatever they asked for, so that a scan is one entry a minute.
pub(super) fn address_refused(shared: &Shared, route: &str) {
    let text = "Refused for the address: access.allow does not have it, or access.block does.";
    note(shared, Level::Warning, Kind::Refused, "", route, text.into());
}

/// Somebody was turned away before it was known who it is.
pub(super) fn turned_away(shared: &Shared, (peer, path): (IpAddr, &str), asked: &Asked, problem: &Problem) {
    let route = peer.to_canonical().to_string();
    match problem {
        // Noted with the whole way already; see [`address_refused`].
        Problem::AddressRefused { address } => {
            let from = address.parse().unwrap_or(peer);
            if is_probe(path, from) {
                probe(shared, from, address, asked);
            }
        }
        problem if status(problem) == StatusCode::FORBIDDEN => {
            let text = format!("{}: {}", asked.0, problem.code());
            note(shared, Level::Warning, Kind::Refused, "", &route, text);
        }
        _ => {}
    }
}

/// What came of a request of somebody who was let in.
pub(super) fn outcome(
    shared: &Shared,
    visitor: &Visitor,
    caller: &Caller,
    (asked, is_change): (&Asked, bool),
    problem: Option<&Problem>,
) {
    let (level, kind, word) = match problem {
        Some(problem) if status(problem) == StatusCode::FORBIDDEN => {
            (Level::Warning, Kind::Refused, problem.code())
        }
        Some(_) | None if !is_change => return,
        Some(problem) => (Level::Info, Kind::Change, problem.code()),
        None => (Level::Info, Kind::Change, "done"),
    };
    note(shared, level, kind, &caller.name, &visitor.route, format!("{}: {word}", asked.0));
}

/// Whether a request changes something.
pub(super) fn is_change(route: &Route, method: &Method) -> bool {
    match route {
        Route::Request { verb } => changes(verb),
        Route::Teach { verb, .. } => changes(&format!("faces/{verb}")),
        _ => !matches!(*method, Method::GET | Method::HEAD),
    }
}

/// A stranger asked for something that is not here and that nobody asks for who means well. One event an address and hour.
pub(super) fn probe(shared: &Shared, address: IpAddr, route: &str, asked: &Asked) {
    let mut probes = shared.probes.lock().unwrap_or_else(PoisonError::into_inner);
    let alert = probes.tells(Instant::now(), address);
    drop(probes);
    note_alarm(shared, alert, route, format!("{}: somebody looks for a way in", asked.0));
    if alert {
        let alarm = Alarm { kind: AlarmKind::Probe, address: address.to_string(), user: None };
        // The appliance may be too busy to hear of it; it is noted all the same.
        let _ = shared.inbox.send(Input::Alarm(alarm), None);
    }
}

/// Whether a path is one that [`probe`] is about.
pub(super) fn is_probe(path: &str, address: IpAddr) -> bool {
    probes::is_probe(path, address)
}

fn note_alarm(shared: &Shared, alert: bool, address: &str, text: String) {
    let (ts, user, address) = (Timestamp::now(), String::new(), address.to_owned());
    shared.audit.note(Entry { ts, level: Level::Alert, kind: Kind::Attack, alert, user, address, text });
}

fn note(shared: &Shared, level: Level, kind: Kind, user: &str, address: &str, text: String) {
    let (user, address) = (user.to_owned(), address.to_owned());
    shared.audit.note(Entry { ts: Timestamp::now(), level, kind, alert: false, user, address, text });
}
