//! Who subscribed to what, and the path of each message from its publisher to the sessions it concerns.
//!
//! One lock covers the subscriptions, the retained messages and the way into the router, so that all three agree on
//! one order of messages: a new subscriber gets each message once, as retained or as live. Each session gets one copy
//! however many of its filters match, with the highest of their QoS and all of their identifiers (MQTT 5, section
//! 3.3.4). Not here: sockets and sessions.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Limits;
use super::link::{Inlet, Router, RouterGone};
use super::message::{Message, Stamp};
use super::retained::Retained;
use super::topic;

/// The options of one subscription.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subscription {
    /// Highest QoS to deliver at.
    pub(super) qos: u8,
    /// MQTT 5: do not send the client its own messages.
    pub(super) no_local: bool,
    /// MQTT 5: leave the retain flag of live messages as it was published.
    pub(super) retain_as_published: bool,
    /// MQTT 5: when retained messages are sent.
    pub(super) retained: SendRetained,
    /// MQTT 5: the identifier to return with each message.
    pub(super) id: Option<usize>,
}

/// When a SUBSCRIBE is answered with the retained messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendRetained {
    Always,
    IfNew,
    Never,
}

/// The cap on filters, per client or in all, is reached.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyFilters;

/// Subscriptions, retained messages and the way into the router.
pub(super) struct Exchange {
    inner: Mutex<Inner>,
    limits: Limits,
}

struct Inner {
    inlet: Inlet,
    seats: Vec<Option<Seat>>,
    generation: u64,
    retained: Retained,
    filters: usize,
    not_retained: u64,
    router_failed: bool,
}

/// The subscriptions of one session.
struct Seat {
    generation: u64,
    /// Messages sent to it so far.
    sent: u64,
    online: bool,
    exact: HashMap<String, Subscription>,
    wild: HashMap<String, Subscription>,
}

/// Figures for [`super::Stats`].
pub(super) struct Census {
    pub(super) sessions: usize,
    pub(super) filters: usize,
    pub(super) retained_topics: usize,
    pub(super) retained_bytes: usize,
    pub(super) not_retained: u64,
    pub(super) router_failed: bool,
}

impl Exchange {
    /// An exchange with `seats` places for sessions.
    pub(super) fn new(router: &Router, seats: usize, limits: Limits) -> Result<Exchange, RouterGone> {
        let inner = Inner {
            inlet: router.publisher()?,
            seats: std::iter::repeat_with(|| None).take(seats).collect(),
            generation: 0,
            retained: Retained::default(),
            filters: 0,
            not_retained: 0,
            router_failed: false,
        };
        Ok(Exchange { inner: Mutex::new(inner), limits })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a free place: its slot and generation. None: all are taken.
    pub(super) fn take_seat(&self) -> Option<(usize, u64)> {
        let mut inner = self.lock();
        let slot = inner.seats.iter().position(Option::is_none)?;
        inner.generation += 1;
        let generation = inner.generation;
        inner.seats[slot] =
            Some(Seat { generation, sent: 0, online: true, exact: HashMap::new(), wild: HashMap::new() });
        Some((slot, generation))
    }

    /// Gives a place and its subscriptions back.
    pub(super) fn leave_seat(&self, slot: usize) {
        let mut inner = self.lock();
        if let Some(seat) = inner.seats[slot].take() {
            inner.filters -= seat.exact.len() + seat.wild.len();
        }
    }

    /// Says whether the session in `slot` has a client now; without one it collects no QoS 0 messages.
    pub(super) fn set_online(&self, slot: usize, online: bool) {
        if let Some(seat) = self.lock().seats[slot].as_mut() {
            seat.online = online;
        }
    }

    /// Adds or replaces a subscription to a valid filter and returns the retained messages to send for it.
    pub(super) fn subscribe(
        &self,
        slot: usize,
        filter: &str,
        wanted: Subscription,
        now: Instant,
    ) -> Result<Vec<Message>, TooManyFilters> {
        let mut inner = self.lock();
        let Inner { seats, filters, retained, .. } = &mut *inner;
        let Some(seat) = seats[slot].as_mut() else { return Ok(Vec::new()) };
        let of_client = seat.exact.len() + seat.wild.len();
        let table = if topic::is_wild(filter) { &mut seat.wild } else { &mut seat.exact };
        let is_new = !table.contains_key(filter);
        if is_new {
            if of_client >= self.limits.filters_per_client || *filters >= self.limits.filters {
                return Err(TooManyFilters);
            }
            *filters += 1;
        }
        table.insert(filter.to_owned(), wanted);
        let send = match wanted.retained {
            SendRetained::Always => true,
            SendRetained::IfNew => is_new,
            SendRetained::Never => false,
        };
        if !send {
            return Ok(Vec::new());
        }
        let mut found = retained.matching(filter, now);
        for message in &mut found {
            message.qos = message.qos.min(wanted.qos);
            message.properties.subscription_identifiers = wanted.id.into_iter().collect();
        }
        Ok(found)
    }

    /// Removes a subscription; false if there was none.
    pub(super) fn unsubscribe(&self, slot: usize, filter: &str) -> bool {
        let mut inner = self.lock();
        let Some(seat) = inner.seats[slot].as_mut() else { return false };
        let was = seat.exact.remove(filter).or_else(|| seat.wild.remove(filter)).is_some();
        inner.filters -= usize::from(was);
        was
    }

    /// Keeps `message` if it is to be retained and hands it to every session with a matching filter.
    /// `from` is the publisher's slot.
    pub(super) fn publish(&self, message: &Message, from: usize, now: Instant) {
        let mut inner = self.lock();
        let Inner { inlet, seats, retained, not_retained, router_failed, .. } = &mut *inner;
        if message.retain {
            let limits = &self.limits;
            if !retained.keep(message, now, limits.retained_topics, limits.retained_bytes) {
                *not_retained += 1;
            }
        }
        for (slot, seat) in seats.iter_mut().enumerate() {
            let Some(seat) = seat else { continue };
            let Some(copy) = seat.copy_of(message, slot == from) else { continue };
            let stamp = Stamp { generation: seat.generation, number: seat.sent };
            seat.sent += 1;
            if inlet.send(copy.pack(slot, stamp)).is_err() && !*router_failed {
                *router_failed = true;
                tracing::error!("the MQTT broker's router has died; restart Doorward");
            }
        }
    }

    /// Forgets retained messages whose time is over.
    pub(super) fn sweep(&self, now: Instant) {
        self.lock().retained.sweep(now);
    }

    /// Figures of this moment.
    pub(super) fn census(&self) -> Census {
        let inner = self.lock();
        let (retained_topics, retained_bytes) = inner.retained.size();
        Census {
            sessions: inner.seats.iter().flatten().count(),
            filters: inner.filters,
            retained_topics,
            retained_bytes,
            not_retained: inner.not_retained,
            router_failed: inner.router_failed,
        }
    }
}

impl Seat {
    /// The copy of `message` for this session; none if no filter wants it.
    fn copy_of(&self, message: &Message, is_own: bool) -> Option<Message> {
        let exact = self.exact.get(&message.topic).into_iter();
        let wild = self.wild.iter().filter(|(filter, _)| topic::matches(filter, &message.topic));
        let mut copy: Option<Message> = None;
        for subscription in exact.chain(wild.map(|(_, subscription)| subscription)) {
            if is_own && subscription.no_local {
                continue;
            }
            let copy = copy.get_or_insert_with(|| Message { qos: 0, retain: false, ..message.clone() });
            copy.qos = copy.qos.max(message.qos.min(subscription.qos));
            copy.retain |= message.retain && subscription.retain_as_published;
            copy.properties.subscription_identifiers.extend(subscription.id);
        }
        copy.filter(|copy| self.online || copy.qos > 0)
    }
}
