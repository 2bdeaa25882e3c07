//! What the door and its thread share: the accounts as they are now, the throttles, and the ways to tell of an attack.
//!
//! Not here: any decision about accounts.

use std::net::IpAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::audit;
use crate::inbox::Inbox;
use crate::logic::accounts::{Book, Origin};
use crate::logic::audit::{Entry, Kind, Level};
use crate::logic::input::{Alarm, AlarmKind, Input};
use crate::logic::problem::Problem;
use crate::logic::throttle::{Throttle, Verdict};

pub(super) struct Room {
    /// Replaced as a whole, by the keeper alone.
    book: Mutex<Arc<Book>>,
    /// Wrong tokens and cookies.
    credentials: Mutex<Throttle>,
    /// Wrong passwords. By themselves: a camera card with an old token shall keep nobody of its address from signing in.
    sign_ins: Mutex<Throttle>,
    inbox: Inbox,
    audit: audit::Log,
    /// Those who asked about themselves and have not had their turn.
    pub(super) waiting: AtomicUsize,
    /// Counts the changes of the book.
    pub(super) changes: watch::Sender<u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Room {
    pub(super) fn new(book: Book, inbox: Inbox, audit: audit::Log) -> Self {
        let (book, changes) = (Mutex::new(Arc::new(book)), watch::channel(0).0);
        Self {
            book,
            credentials: Mutex::default(),
            sign_ins: Mutex::default(),
            inbox,
            audit,
            waiting: AtomicUsize::new(0),
            changes,
        }
    }

    /// The accounts as they are now.
    pub(super) fn book(&self) -> Arc<Book> {
        Arc::clone(&lock(&self.book))
    }

    /// Makes these the accounts, and has everybody look whether they may stay.
    pub(super) fn replace(&self, book: Book) {
        *lock(&self.book) = Arc::new(book);
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn credentials(&self) -> MutexGuard<'_, Throttle> {
        lock(&self.credentials)
    }

    /// Whether passwords from this address are not even looked at.
    pub(super) fn refuses_sign_in(&self, address: IpAddr, now: Instant) -> Result<(), Problem> {
        let verdict = lock(&self.sign_ins).refuses(now, address);
        verdict.map_or(Ok(()), |verdict| self.verdict(verdict, address, None))
    }

    /// Counts a wrong password.
    pub(super) fn wrong_sign_in(&self, address: IpAddr, now: Instant) {
        let _ = lock(&self.sign_ins).wrong(now, address);
    }

    /// What an address hears; people hear of the first one too many.
    pub(super) fn verdict(
        &self,
        verdict: Verdict,
        address: IpAddr,
        user: Option<String>,
    ) -> Result<(), Problem> {
        match verdict {
            Verdict::Wrong { .. } => Ok(()),
            Verdict::TooMany { wait_s, first } => {
                if first {
                    self.alarm(AlarmKind::TooManyAttempts, address, user);
                }
                Err(Problem::TooManyAttempts { wait_s })
            }
        }
    }

    /// Tells people that somebody tries to get in.
    pub(super) fn alarm(&self, kind: AlarmKind, address: IpAddr, user: Option<String>) {
        let alarm = Alarm { kind, address: address.to_string(), user };
        tracing::warn!(%address, user = alarm.user.as_deref().unwrap_or_default(), "{}", sentence(kind));
        self.note(Entry {
            ts: Timestamp::now(),
            level: Level::Alert,
            kind: Kind::Attack,
            alert: true,
            user: alarm.user.clone().unwrap_or_default(),
            address: alarm.address.clone(),
            text: sentence(kind).into(),
        });
        // The appliance may be too busy to hear of it; the address is held back all the same.
        let _ = self.inbox.send(Input::Alarm(alarm), None);
    }

    /// Notes what somebody did at the door.
    pub(super) fn note_sign_in(&self, level: Level, user: &str, origin: &Origin, ts: Timestamp, text: &str) {
        let (user, address, text) = (user.to_owned(), origin.route.clone(), text.to_owned());
        self.note(Entry { ts, level, kind: Kind::SignIn, alert: false, user, address, text });
    }

    fn note(&self, entry: Entry) {
        self.audit.note(entry);
    }
}

fn sentence(kind: AlarmKind) -> &'static str {
    match kind {
        AlarmKind::TooManyAttempts => "too many wrong passwords, codes or tokens; further ones have to wait",
        AlarmKind::AccountLocked => "too many wrong passwords; the account is locked",
        AlarmKind::Probe => "somebody looks for a hole",
    }
}
