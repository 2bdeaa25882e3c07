//! Sessions by client id: made, taken over, parked while their client is away, and ended.
//!
//! Not here: the connection that drives a session; see [`super::gate`].

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::exchange::Exchange;
use super::link::{Outlet, Router};
use super::message::Message;
use super::outbox::Outbox;

/// How long a newcomer waits for the connection it replaces to end.
const TAKEOVER_PATIENCE: Duration = Duration::from_secs(5);

/// The state of one client that may outlive its connection.
pub(super) struct Session {
    /// What the router has for this client.
    pub(super) outlet: Outlet,
    /// What is still to be sent or acknowledged.
    pub(super) outbox: Outbox,
    /// The number that the next message from the router should have.
    pub(super) expected: u64,
    /// Packet ids of QoS 2 messages received and not yet released.
    pub(super) unreleased: HashSet<u16>,
    /// Last, so that the router has freed the slot before another session may take it.
    seat: Seat,
}

impl Session {
    /// Its place in the exchange.
    pub(super) fn slot(&self) -> usize {
        self.seat.slot
    }

    /// Its generation; messages of another one are not for this session.
    pub(super) fn generation(&self) -> u64 {
        self.seat.generation
    }
}

/// A place in the exchange, given back on drop.
struct Seat {
    exchange: Arc<Exchange>,
    slot: usize,
    generation: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.exchange.leave_seat(self.slot);
    }
}

/// All sessions.
pub(super) struct Sessions {
    places: Mutex<HashMap<String, Place>>,
    exchange: Arc<Exchange>,
    router: Arc<Router>,
}

enum Place {
    /// A connection drives the session: `kick` asks it to end, `over` closes when it has.
    Busy { kick: Arc<Notify>, over: watch::Receiver<()> },
    /// Nobody is connected.
    Parked(Box<Parked>),
}

/// A session whose client is away.
pub(super) struct Parked {
    pub(super) session: Session,
    until: Instant,
    /// A will that waits, and when it is due.
    will: Option<(Instant, Message)>,
}

/// The right to a client id, and the session that waited under it.
pub(super) type Claimed = (Claim, Option<Box<Parked>>);

/// No session could be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSession {
    /// All places are taken, or the router is gone.
    Full,
    /// The connection with the same client id did not end in time.
    Stuck,
}

impl Sessions {
    /// No sessions yet.
    pub(super) fn new(exchange: Arc<Exchange>, router: Arc<Router>) -> Sessions {
        Sessions { places: Mutex::new(HashMap::new()), exchange, router }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims `key` for a new connection, ending an older one, and returns the parked session if there is one.
    pub(super) async fn claim(self: &Arc<Self>, key: &str) -> Result<Claimed, NoSession> {
        let deadline = tokio::time::Instant::now() + TAKEOVER_PATIENCE;
        loop {
            let mut over = match self.try_claim(key) {
                Ok(claimed) => return Ok(claimed),
                Err(over) => over,
            };
            // `changed` ends when the other connection drops its end; it never sends.
            if tokio::time::timeout_at(deadline, over.changed()).await.is_err() {
                return Err(NoSession::Stuck);
            }
        }
    }

    fn try_claim(self: &Arc<Self>, key: &str) -> Result<Claimed, watch::Receiver<()>> {
        let mut places = self.lock();
        if let Some(Place::Busy { kick, over }) = places.get(key) {
            kick.notify_one();
            return Err(over.clone());
        }
        let kick = Arc::new(Notify::new());
        let (over_tx, over) = watch::channel(());
        let old = places.insert(key.to_owned(), Place::Busy { kick: kick.clone(), over });
        let claim = Claim { sessions: self.clone(), key: key.to_owned(), kick, _over: over_tx };
        match old {
            Some(Place::Parked(parked)) => Ok((claim, Some(parked))),
            Some(Place::Busy { .. }) | None => Ok((claim, None)),
        }
    }

    /// Whether a connection drives the session of `key` now.
    pub(super) fn is_busy(&self, key: &str) -> bool {
        matches!(self.lock().get(key), Some(Place::Busy { .. }))
    }

    /// A fresh session. When all places are taken the parked session that would end first makes room.
    pub(super) async fn open(&self) -> Result<Session, NoSession> {
        let taken = self.exchange.take_seat().or_else(|| {
            self.evict();
            self.exchange.take_seat()
        });
        let (slot, generation) = taken.ok_or(NoSession::Full)?;
        let seat = Seat { exchange: self.exchange.clone(), slot, generation };
        let router = self.router.clone();
        let built = tokio::task::spawn_blocking(move || router.session(slot)).await;
        let outlet = built.ok().and_then(Result::ok).ok_or(NoSession::Full)?;
        Ok(Session { outlet, outbox: Outbox::new(), expected: 0, unreleased: HashSet::new(), seat })
    }

    /// Ends a session that waited for its client.
    pub(super) fn end(&self, parked: Box<Parked>, now: Instant) {
        // A will that still waits fires at the latest when its session ends.
        if let Some((_, will)) = &parked.will {
            self.exchange.publish(will, parked.session.slot(), now);
        }
    }

    fn evict(&self) {
        let mut places = self.lock();
        let first = places
            .iter()
            .filter_map(|(key, place)| match place {
                Place::Parked(parked) => Some((parked.until, key)),
                Place::Busy { .. } => None,
            })
            .min()
            .map(|(_, key)| key.clone());
        let evicted = first.and_then(|key| places.remove(&key));
        drop(places);
        if let Some(Place::Parked(parked)) = evicted {
            self.end(parked, Instant::now());
        }
    }

    /// Ends the parked sessions whose time is over and sends the wills that are due.
    pub(super) fn sweep(&self, now: Instant) {
        let mut wills = Vec::new();
        let mut ended = Vec::new();
        {
            let mut places = self.lock();
            let over: Vec<String> = places
                .iter()
                .filter(|(_, place)| matches!(place, Place::Parked(parked) if parked.until <= now))
                .map(|(key, _)| key.clone())
                .collect();
            ended.extend(over.iter().filter_map(|key| places.remove(key)));
            for place in places.values_mut() {
                if let Place::Parked(parked) = place
                    && parked.will.as_ref().is_some_and(|(due, _)| *due <= now)
                {
                    let slot = parked.session.slot();
                    wills.extend(parked.will.take().map(|(_, will)| (slot, will)));
                }
            }
        }
        for (slot, will) in wills {
            self.exchange.publish(&will, slot, now);
        }
        for place in ended {
            if let Place::Parked(parked) = place {
                self.end(parked, now);
            }
        }
    }
}

/// The right of one connection to a client id, given up on drop.
pub(super) struct Claim {
    sessions: Arc<Sessions>,
    key: String,
    kick: Arc<Notify>,
    _over: watch::Sender<()>,
}

impl Claim {
    /// Ends when another connection wants the same client id.
    pub(super) async fn kicked(&self) {
        self.kick.notified().await;
    }

    /// Keeps the session for the next connection, until `until`; `will` is to be sent when due unless that comes first.
    pub(super) fn park(self, session: Session, until: Instant, will: Option<(Instant, Message)>) {
        self.sessions.exchange.set_online(session.slot(), false);
        let parked = Place::Parked(Box::new(Parked { session, until, will }));
        self.sessions.lock().insert(self.key.clone(), parked);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut places = self.sessions.lock();
        let is_ours =
            matches!(places.get(&self.key), Some(Place::Busy { kick, .. }) if Arc::ptr_eq(kick, &self.kick));
        if is_ours {
            places.remove(&self.key);
        }
    }
}
