//! The audit log's way in, for everybody who has something to note; and the log itself, a database of its own.
//!
//! Not here: what is noted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::logic::audit::Entry;

/// Entries that may wait for the disk.
const WAITING: usize = 1024;

/// What the log's thread is asked.
pub enum Order {
    /// Keep this.
    Note(Entry),
}

/// The sending end; cheap to clone.
#[derive(Clone)]
pub struct Log {
    queue: SyncSender<Order>,
    lost: Arc<AtomicU64>,
}

impl Log {
    /// Both ends.
    #[must_use]
    pub fn new() -> (Self, Receiver<Order>) {
        let (queue, orders) = sync_channel(WAITING);
        (Self { queue, lost: Arc::default() }, orders)
    }

    /// Notes an entry without waiting; with the queue full it is lost, and counted.
    pub fn note(&self, entry: Entry) {
        if self.queue.try_send(Order::Note(entry)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
