//! One target: what waits for it, in order, and the attempts to tell it.
//!
//! Not here: a single attempt ([`super::mail`], [`super::hook`]).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::fault::Fault;
use super::message::Message;
use super::{Limits, hook, mail};
use crate::config::{Notify, Way};
use crate::logic::history::{Delivered, Delivery};

/// What waits for one target. It has an end: beyond it the oldest leaves.
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Waiting>>,
    news: tokio::sync::Notify,
    most: usize,
}

/// A delivery, and when it came to us by a clock that nobody sets.
struct Waiting {
    delivery: Delivery,
    since: Instant,
}

impl Queue {
    pub(super) fn new(most: usize) -> Queue {
        Queue { waiting: Mutex::default(), news: tokio::sync::Notify::new(), most }
    }

    /// Appends; returns the number of the oldest if it had to make room.
    pub(super) fn push(&self, delivery: Delivery) -> Option<i64> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back(Waiting { delivery, since: Instant::now() });
        self.news.notify_one();
        if waiting.len() > self.most {
            waiting.pop_front().map(|oldest| oldest.delivery.number)
        } else {
            None
        }
    }

    async fn next(&self) -> Waiting {
        loop {
            let first = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match first {
                Some(first) => return first,
                None => self.news.notified().await,
            }
        }
    }
}

/// Tells the target of everything in its queue; never ends by itself.
pub(super) async fn run(
    target: Arc<Notify>,
    queue: Arc<Queue>,
    limits: Limits,
    done: Arc<impl Fn(i64, Delivered)>,
) {
    let mut teller = Teller { target, limits, is_failing: false };
    loop {
        let waiting = queue.next().await;
        let end = teller.tell(&waiting).await;
        done(waiting.delivery.number, end);
    }
}

struct Teller {
    target: Arc<Notify>,
    limits: Limits,
    /// Whether the log was told so.
    is_failing: bool,
}

impl Teller {
    /// Tries until it arrives, can never arrive, or is too old.
    async fn tell(&mut self, waiting: &Waiting) -> Delivered {
        let mut last = None;
        for failures in 1.. {
            let left = self.time_left(waiting);
            if left.is_zero() {
                break;
            }
            // Read anew each time: a better picture may have replaced it, or it is no longer kept.
            let message = Message::of(&waiting.delivery, self.target.picture).await;
            let fault = match attempt(&self.target, &message, &self.limits).await {
                Ok(()) => {
                    self.works();
                    return Delivered::Told;
                }
                Err(fault) => fault,
            };
            self.fails(&fault);
            let wait = match fault {
                Fault::Never(why) => return Delivered::GivenUp(self.sentence(&why)),
                Fault::Later { ref why, wait } => {
                    last = Some(why.clone());
                    wait
                }
            };
            let pause = self.limits.pauses.pause(failures, chance(), wait);
            tokio::time::sleep(pause.min(self.time_left(waiting))).await;
        }
        let hours = self.target.give_up_after.as_secs() / 3600;
        let age = format!("was not told in time (notify.{}.give_up_after, {hours} h)", self.target.name);
        Delivered::GivenUp(match last {
            None => self.sentence(&age),
            Some(why) => format!("{} At last it {why}.", self.sentence(&age)),
        })
    }

    /// Until the delivery is too old. By the wall clock, because it may come from before the last start; and by one that nobody
    /// sets, so that a wall clock that was put back does not make it live for ever.
    fn time_left(&self, waiting: &Waiting) -> Duration {
        let limit = self.target.give_up_after;
        let age = Timestamp::now().duration_since(waiting.delivery.ts);
        // An event from the future has the age zero.
        let age = Duration::try_from(age).unwrap_or_default();
        limit.saturating_sub(age).min(limit.saturating_sub(waiting.since.elapsed()))
    }

    fn sentence(&self, what: &str) -> String {
        format!("The target {} {what}.", self.target.name)
    }

    fn fails(&mut self, fault: &Fault) {
        if !std::mem::replace(&mut self.is_failing, true) {
            let (name, why) = (&self.target.name, fault.why());
            match fault {
                Fault::Later { .. } => tracing::info!("the target {name} fails: it {why}; trying again"),
                Fault::Never(_) => {
                    tracing::info!("the target {name} fails: it {why}; this message is given up")
                }
            }
        }
    }

    fn works(&mut self) {
        if std::mem::take(&mut self.is_failing) {
            tracing::info!("the target {} works again", self.target.name);
        }
    }
}

/// One attempt, from the first packet to the server's answer.
pub(super) async fn attempt(target: &Notify, message: &Message, limits: &Limits) -> Result<(), Fault> {
    let told = async {
        match &target.way {
            Way::Mail(way) => mail::send(target, way, message, limits).await,
            Way::Hook(way) => hook::send(way, message, limits).await,
        }
    };
    let late = || Fault::later(format!("did not answer within {} seconds", limits.attempt.as_secs_f32()));
    tokio::time::timeout(limits.attempt, told).await.unwrap_or_else(|_| Err(late()))
}

/// Something from 0 to 1, for spreading load; not for secrets.
fn chance() -> f32 {
    let mut byte = [0u8];
    // Without randomness nothing is spread, which is no fault.
    let _ = getrandom::fill(&mut byte);
    f32::from(byte[0]) / 255.0
}
