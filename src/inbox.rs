//! The one way in: whatever happens reaches the appliance through this bounded queue.
//!
//! Not here: what is done with it ([`crate::logic::appliance`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use crate::logic::command::Answer;
use crate::logic::input::Input;
use crate::logic::problem::Problem;

/// Inputs that may wait. The appliance handles one in microseconds, so a full queue means trouble, not load.
const CAPACITY: usize = 256;

/// How the sender of a request hears of its outcome.
pub type Reply = Box<dyn FnOnce(Result<Answer, Problem>) + Send>;

/// An input, with somebody waiting for the outcome or not.
pub struct Request {
    /// What happened or is asked.
    pub input: Input,
    /// Who waits.
    pub reply: Option<Reply>,
}

/// The sending end; cheap to clone.
#[derive(Clone)]
pub struct Inbox {
    queue: SyncSender<Request>,
    refused: Arc<AtomicU64>,
}

impl Inbox {
    /// Both ends of a new queue.
    #[must_use]
    pub fn new() -> (Self, Receiver<Request>) {
        let (queue, requests) = sync_channel(CAPACITY);
        (Self { queue, refused: Arc::default() }, requests)
    }

    /// Hands an input over without waiting; `reply`, if any, hears the outcome.
    ///
    /// # Errors
    /// [`Problem::Busy`] when the queue is full or the appliance is stopping; counted.
    pub fn send(&self, input: Input, reply: Option<Reply>) -> Result<(), Problem> {
        self.queue.try_send(Request { input, reply }).map_err(|error| {
            match error {
                TrySendError::Full(_) | TrySendError::Disconnected(_) => {}
            }
            self.refused.fetch_add(1, Ordering::Relaxed);
            Problem::Busy
        })
    }

    /// Hands over news that nobody waits for. News that must not be lost waits for room; the queue empties in microseconds.
    pub fn tell(&self, input: Input) {
        // Nobody listens any more only while the process stops.
        let _ = self.queue.send(Request { input, reply: None });
    }

    /// Hands an input over and blocks this thread for the outcome, `at_most` this long.
    ///
    /// # Errors
    /// What the appliance answers, or [`Problem::Busy`] when it does not in time.
    pub fn ask(&self, input: Input, at_most: Duration) -> Result<Answer, Problem> {
        let (reply, outcome) = sync_channel(1);
        self.send(
            input,
            Some(Box::new(move |answer| {
                // The asker may have given up.
                let _ = reply.try_send(answer);
            })),
        )?;
        outcome.recv_timeout(at_most).unwrap_or(Err(Problem::Busy))
    }

    /// Inputs that were refused because the queue was full.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
