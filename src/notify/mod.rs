//! Telling people: mail and web hooks with the picture, tried until they arrive or are given up.
//!
//! Each target has a task of its own, so that one that hangs delays nobody else; what waits for it keeps its order.
//! Not here: who is told of what ([`crate::logic::rules`]), and keeping what was not told yet ([`crate::archive`]).

mod fault;
mod hook;
mod mail;
mod message;
mod target;
mod trial;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinError, JoinSet};

use crate::config::Notify;
use crate::logic::backoff::Backoff;
use crate::logic::history::{Delivered, Delivery};
use crate::shutdown::Shutdown;

use target::Queue;
pub use trial::Trial;

/// Everything the tasks work with.
pub struct Parts<Done> {
    /// Whom to tell, and how.
    pub targets: Vec<Notify>,
    /// What to tell; the appliance has decided that the target wants it.
    pub deliveries: UnboundedReceiver<Delivery>,
    /// Wishes to try a target now.
    pub trials: UnboundedReceiver<Trial>,
    /// Hears how the delivery of a number ended. What it never hears of was not told and has to come again at the next start.
    pub done: Done,
    /// How long and how often; [`Limits::default`] outside of tests.
    pub limits: Limits,
}

/// How long things may take and how often they are tried.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until a connection stands.
    pub connect: Duration,
    /// From the beginning of an attempt to its end.
    pub attempt: Duration,
    /// Between attempts.
    pub pauses: Backoff,
    /// Deliveries that may wait for one target; beyond that the oldest is given up.
    pub most_waiting: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect: Duration::from_secs(10),
            attempt: Duration::from_secs(30),
            pauses: Backoff { first: Duration::from_secs(2), longest: Duration::from_mins(10) },
            most_waiting: 1000,
        }
    }
}

/// Tells every target until the stop signal; attempts that are under way then are dropped.
pub async fn run<Done>(parts: Parts<Done>, shutdown: Shutdown)
where
    Done: Fn(i64, Delivered) + Send + Sync + 'static,
{
    let Parts { targets, mut deliveries, mut trials, done, limits } = parts;
    let done = Arc::new(done);
    // Tasks end when this is dropped.
    let mut tasks = JoinSet::new();
    let mut queues = BTreeMap::new();
    let targets: Vec<Arc<Notify>> = targets.into_iter().map(Arc::new).collect();
    for target in &targets {
        let queue = Arc::new(Queue::new(limits.most_waiting));
        queues.insert(target.name.to_string(), Arc::clone(&queue));
        tasks.spawn(target::run(Arc::clone(target), queue, limits, Arc::clone(&done)));
    }
    loop {
        tokio::select! {
            () = shutdown.triggered() => return,
            Some(delivery) = deliveries.recv() => sort(delivery, &queues, done.as_ref()),
            Some(trial) = trials.recv() => { tasks.spawn(trial.run(targets.clone(), limits)); }
            Some(ended) = tasks.join_next() => pass_on(ended),
        }
    }
}

/// Puts a delivery into the queue of its target.
fn sort(delivery: Delivery, queues: &BTreeMap<String, Arc<Queue>>, done: &impl Fn(i64, Delivered)) {
    let Delivery { number, target, .. } = &delivery;
    let Some(queue) = queues.get(target) else {
        let why = format!("There is no notify.{target} in the configuration any more.");
        return done(*number, Delivered::GivenUp(why));
    };
    let target = target.clone();
    if let Some(oldest) = queue.push(delivery) {
        let why = format!("Too many messages wait for {target}; this was the oldest.");
        done(oldest, Delivered::GivenUp(why));
    }
}

/// A panic in a task may not pass in silence.
fn pass_on(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}
