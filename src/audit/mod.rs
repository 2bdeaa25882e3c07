//! The audit log: the way in for everybody who has something to note, and the thread that keeps it in a database of its own.
//!
//! Not here: what is noted, and what a list means ([`crate::logic::audit`]).

mod book;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use jiff::Timestamp;

pub use self::book::{Book, FILE};
use crate::inbox::Reply;
use crate::logic::audit::{Entry, Request};
use crate::logic::command::Answer;
use crate::logic::input::Now;
use crate::logic::problem::Problem;

/// Entries that may wait for the disk.
const WAITING: usize = 1024;
/// Longest wait without a look at what is too old.
const LOOK_EVERY: Duration = Duration::from_secs(600);

/// What the log's thread is asked.
pub enum Order {
    /// Keep this.
    Note(Entry),
    /// Answer this.
    Ask(Request, Reply),
}

/// Why there can be no audit log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its database is of a later version than this program knows.
    #[error(
        "{path} was written by a newer Doorward (version {found}, this one knows {known}). \
         Install that one again, or move the file away to begin a new audit log"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// It cannot be opened or made.
    #[error("the audit log: {0}. Check the space and the permissions of the data folder")]
    Disk(String),
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
        if self.queue.try_send(Order::Note(entry)).is_err() && self.lost.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::warn!("the disk is too slow for the audit log; some entries are lost");
        }
    }

    /// Entries that were lost because the queue was full.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Asks for entries, or to remove them, without waiting.
    pub fn ask(&self, request: Request, reply: Reply) {
        match self.queue.try_send(Order::Ask(request, reply)) {
            Ok(()) | Err(TrySendError::Full(Order::Note(_)) | TrySendError::Disconnected(Order::Note(_))) => {
            }
            Err(
                TrySendError::Full(Order::Ask(_, reply)) | TrySendError::Disconnected(Order::Ask(_, reply)),
            ) => reply(Err(Problem::Busy)),
        }
    }
}

/// The body of the thread `audit`: keeps the book until nobody can note anything any more, then writes what waits.
pub fn run(mut book: Book, orders: &Receiver<Order>) {
    loop {
        let due = book.due().map(|due| due.saturating_duration_since(Instant::now()));
        let order = orders.recv_timeout(due.map_or(LOOK_EVERY, |due| due.min(LOOK_EVERY)));
        match order {
            Ok(Order::Note(entry)) => book.note(now(), entry),
            Ok(Order::Ask(request, reply)) => reply(book.ask(now(), &request).map(Answer::Data)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return book.close(now()),
        }
        book.tick(now());
    }
}

fn now() -> Now {
    Now { instant: Instant::now(), wall: Timestamp::now() }
}
