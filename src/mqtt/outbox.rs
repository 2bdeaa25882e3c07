//! What happened and waits to be told over MQTT: bounded, newest kept, every drop counted.
//!
//! Not here: state; the newest snapshot is always at hand and needs no queue.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::logic::events::Event;

/// Messages that may wait while the broker is away.
const CAPACITY: usize = 64;

/// One thing to tell.
#[derive(Clone, Debug)]
pub enum News {
    /// An event with its picture.
    Event(Arc<Event>),
    /// Privacy: replace every picture of this camera that is still shown somewhere.
    Blank(String),
    /// The picture of the last face at this camera shows somebody who is forgotten.
    BlankFace(String),
    /// A new picture for an entity.
    Picture {
        /// Camera id.
        camera: String,
        /// Key of the entity.
        key: &'static str,
        /// The picture.
        jpeg: Bytes,
    },
}

/// The queue from the appliance to the MQTT task, and the figures that come back.
#[derive(Default)]
pub struct Outbox {
    waiting: Mutex<VecDeque<News>>,
    arrived: Notify,
    connected: AtomicBool,
    connections: AtomicU64,
    dropped: AtomicU64,
}

impl Outbox {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<News>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds news together with the state that they lead to, which `change_state` puts in place: whoever takes news sees that
    /// state, and nobody sees the state before the news. The oldest news go when too much waits.
    pub fn push(&self, news: Vec<News>, change_state: impl FnOnce()) {
        let mut waiting = self.waiting();
        let is_filled = !news.is_empty();
        waiting.extend(news);
        while waiting.len() > CAPACITY {
            waiting.pop_front();
            self.count_drop();
        }
        change_state();
        drop(waiting);
        if is_filled {
            self.arrived.notify_one();
        }
    }

    /// Returns once news wait.
    pub(super) async fn filled(&self) {
        while self.waiting().is_empty() {
            self.arrived.notified().await;
        }
    }

    /// Everything that waits, in order, and the state of that moment as `read_state` gives it.
    pub(super) fn take<T>(&self, read_state: impl FnOnce() -> T) -> (Vec<News>, T) {
        let mut waiting = self.waiting();
        let state = read_state();
        (waiting.drain(..).collect(), state)
    }

    pub(super) fn count_drop(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_connected(&self, connected: bool) {
        if connected {
            self.connections.fetch_add(1, Ordering::Relaxed);
        }
        self.connected.store(connected, Ordering::Relaxed);
    }

    /// Whether the broker has us connected now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Connections after the first.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.connections.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// News that were never sent: too many, or too old.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
