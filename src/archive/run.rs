//! The archive's thread: takes orders one after the other, and writes when it is time.
//!
//! Not here: who starts it and who listens.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::{Archive, Kept, room};
use crate::inbox::Reply;
use crate::logic::history::{Addition, ArchiveNews, Delivered, Delivery, Entry, Request};
use crate::logic::input::Now;

/// What the archive is asked to do.
pub enum Order {
    /// Keep an event.
    Keep(Entry),
    /// Add what became known of it later.
    Add {
        /// The event.
        id: String,
        /// What is new.
        addition: Addition,
    },
    /// Add its clip.
    Clip {
        /// The event.
        id: String,
        /// The finished file, which is moved away.
        file: PathBuf,
        /// Fields to add to the record.
        fields: Map<String, Value>,
    },
    /// Forget the person with this slug.
    Forget(String),
    /// A delivery has ended.
    Delivered {
        /// Its number.
        number: i64,
        /// How.
        outcome: Delivered,
    },
    /// Answer a request of a person or a program.
    Ask(Request, Reply),
    /// Hand out an event with its best picture.
    Recall(String, Box<dyn FnOnce(Option<Kept>) + Send>),
    /// Copy the database into this file, which is new and empty, and say why if that fails.
    Copy(PathBuf, Box<dyn FnOnce(Result<(), String>) + Send>),
}

/// Carries orders out until nobody can send any, then writes what waits. Days are those of the system's time zone.
pub fn run(
    mut archive: Archive,
    orders: Receiver<Order>,
    mut tell: impl FnMut(ArchiveNews),
    mut deliver: impl FnMut(Delivery),
) {
    let zone = TimeZone::system();
    let mut is_open = true;
    while is_open {
        archive.take_news().into_iter().for_each(&mut tell);
        archive.take_deliveries().into_iter().for_each(&mut deliver);
        let due = archive.due().map(|due| due.saturating_duration_since(Instant::now()));
        let order = orders.recv_timeout(due.map_or(room::EVERY, |due| due.min(room::EVERY)));
        is_open = !matches!(order, Err(RecvTimeoutError::Disconnected));
        // A picture that makes a decoder panic must not end the keeping of all others.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            if let Ok(order) = order {
                carry_out(&mut archive, &zone, order);
            }
            let now = now();
            if !is_open || archive.due().is_some_and(|due| due <= now.instant) {
                archive.flush(now);
            }
            archive.tick(now);
        }));
        if outcome.is_err() {
            tracing::error!("an order to the archive failed; please report what is above");
        }
    }
    archive.take_news().into_iter().for_each(tell);
}

fn carry_out(archive: &mut Archive, zone: &TimeZone, order: Order) {
    let now = now();
    match order {
        Order::Keep(entry) => archive.keep(now, entry),
        Order::Add { id, addition } => archive.add(now, &id, addition),
        Order::Clip { id, file, fields } => archive.clip(now, &id, file, fields),
        Order::Forget(slug) => archive.forget(now, &slug),
        Order::Delivered { number, outcome } => archive.delivered(now, number, &outcome),
        Order::Ask(request, reply) => reply(archive.ask(now, zone, &request)),
        Order::Recall(id, reply) => reply(archive.recall(now, &id)),
        Order::Copy(to, then) => then(archive.copy(now, &to)),
    }
}

fn now() -> Now {
    Now { instant: Instant::now(), wall: Timestamp::now() }
}
