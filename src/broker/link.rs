//! The router of rumqttd, wrapped so that only harmless packets reach it.
//!
//! The router serves as one bounded log per session: each session subscribes to one topic of its own (`s0`, `s1`, …)
//! at QoS 0 and [`super::exchange`] publishes into those. Client ids, topics, filters, QoS, retained messages and wills
//! of clients never get there, and that is where its panics and leaks live (shared subscriptions, odd client ids,
//! non-ASCII topics, acknowledgements out of order, logs and ids that are never freed).
//! The router's thread cannot be stopped; it idles once the last session is gone.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use rumqttd::local::{LinkBuilder, LinkError, LinkRx, LinkTx};
use rumqttd::protocol::{Disconnect, DisconnectReasonCode, Packet};
use rumqttd::{RouterConfig, Strategy};

use super::message::router_topic;

/// Bytes of one log segment. A session's log is four of these, and the last message of each may overshoot. It bounds
/// how far a slow client may fall behind; sessions that got the same message share its bytes.
const SEGMENT_BYTES: usize = 1 << 20;
const SEGMENTS: usize = 4;
/// Messages that the router puts before a session at once. More would only pin memory for stalled sessions.
const OUTGOING_MESSAGES: u64 = 100;

type Connect = dyn Fn(&str) -> Result<(LinkTx, LinkRx), RouterGone> + Send + Sync;

/// The router's thread has died, or refused a session because it has no room for one more.
#[derive(Debug)]
pub(super) struct RouterGone;

impl From<LinkError> for RouterGone {
    fn from(_: LinkError) -> RouterGone {
        RouterGone
    }
}

/// A running router.
pub(super) struct Router {
    /// A closure, because the type of the router's channel has no public name.
    connect: Box<Connect>,
}

impl Router {
    /// Starts the router's thread for at most `sessions` sessions and one publisher.
    pub(super) fn spawn(sessions: usize) -> Router {
        let config = RouterConfig {
            max_connections: sessions + 1,
            max_outgoing_packet_count: OUTGOING_MESSAGES,
            max_segment_size: SEGMENT_BYTES,
            max_segment_count: SEGMENTS,
            custom_segment: None,
            initialized_filters: None,
            shared_subscriptions_strategy: Strategy::default(),
        };
        let events = rumqttd::Router::new(0, config).spawn();
        let connect = move |id: &str| {
            let (tx, rx, _connack) = LinkBuilder::new(id, events.clone()).clean_session(true).build()?;
            Ok((tx, rx))
        };
        Router { connect: Box::new(connect) }
    }

    /// The one link that publishes. Blocks until the router answers.
    pub(super) fn publisher(&self) -> Result<Inlet, RouterGone> {
        let (tx, rx) = (self.connect)("publisher")?;
        Ok(Inlet { tx, _rx: rx })
    }

    /// The link of the session in `slot`, subscribed to the session's own topic. Blocks until the router answers.
    pub(super) fn session(&self, slot: usize) -> Result<Outlet, RouterGone> {
        let (mut tx, rx) = (self.connect)(&router_topic(slot))?;
        tx.subscribe(router_topic(slot))?;
        Ok(Outlet { tx, rx })
    }
}

/// The way into the router.
pub(super) struct Inlet {
    tx: LinkTx,
    _rx: LinkRx,
}

impl Inlet {
    /// Hands one packet to the router. An error means that the router is dead.
    pub(super) fn send(&mut self, packet: Packet) -> Result<(), RouterGone> {
        at_once(self.tx.send(packet))?;
        Ok(())
    }
}

/// What the router has for one session. Dropping it frees the router's slot.
pub(super) struct Outlet {
    tx: LinkTx,
    rx: LinkRx,
}

impl Outlet {
    /// The next packet for the session. Loses nothing when dropped while waiting.
    pub(super) async fn next(&mut self) -> Result<Packet, RouterGone> {
        loop {
            let Some(notification) = self.rx.next().await? else { continue };
            match Option::<Packet>::from(notification) {
                Some(packet) => return Ok(packet),
                // The router stopped because our buffer was full, and waits for this word.
                None => self.rx.ready()?,
            }
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        let goodbye = Disconnect { reason_code: DisconnectReasonCode::NormalDisconnection };
        // The only way to free the slot. An error means that the router is gone, and the slot with it.
        let _ = at_once(self.tx.send(Packet::Disconnect(goodbye, None)));
    }
}

/// Runs `LinkTx::send`, which is `async` in name only: it locks, pushes, and sends on a channel that the router's
/// thread drains.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("LinkTx::send of rumqttd 0.20.0 holds no await point"),
    }
}
