//! The door: who is somebody? Sessions and tokens are told at once; whatever hashes a password or writes the file takes its turn on
//! the door's own thread.
//!
//! Decisions are [`crate::logic::accounts`]'s. Not here: what a request needs ([`crate::http`]), what a role may
//! ([`crate::logic::access`]), and the file ([`crate::store`]).

pub mod hash;
mod keeper;
mod room;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

pub use keeper::Keeper;

use crate::audit;
use crate::inbox::{Inbox, Reply};
use crate::logic::access::{Caller, How, Role, Scope};
use crate::logic::accounts::{Book, Origin, Request, SelfService, Settings, session_digest};
use crate::logic::problem::Problem;
use crate::logic::throttle::Verdict;
use room::Room;

/// Askers that may wait for their turn; hashing takes about a twentieth of a second.
const WAITING: usize = 16;
/// Of them, those who ask about themselves, as everybody may who reaches the page; an admin who locks somebody out finds a place still.
const STRANGERS: usize = 12;

/// A credential as somebody shows it.
#[derive(Clone, Copy)]
pub enum Shown<'a> {
    /// The value of the page's cookie.
    Session(&'a str),
    /// A token, or the local key.
    Secret(&'a str),
}

/// What came of [`SelfService`].
pub enum Served {
    /// Signed in: the secret for the cookie, how long it holds, and who it is.
    SignedIn {
        /// The secret.
        secret: String,
        /// Until then.
        until: Timestamp,
        /// Who.
        caller: Caller,
    },
    /// Done; what there is to tell.
    Done(Value),
}

/// Without secrets, wherever it may be written.
impl std::fmt::Debug for Served {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SignedIn { until, caller, .. } => write!(to, "{} is signed in until {until}", caller.name),
            Self::Done(_) => to.write_str("done"),
        }
    }
}

/// How the asker hears of it.
pub type Tell = Box<dyn FnOnce(Result<Served, Problem>) + Send>;

/// How accounts get onto the disk; the error is the system's words.
pub type Save = Box<dyn FnMut(&Book) -> Result<(), String> + Send>;

/// What the door is made of.
pub struct Parts<'a> {
    /// The key of the data folder.
    pub local_key: &'a str,
    /// How long sessions hold, and what passwords need.
    pub settings: Settings,
    /// What was kept.
    pub book: Book,
    /// Keeps it.
    pub save: Save,
    /// Where alarms go.
    pub inbox: Inbox,
    /// Where it is noted who came.
    pub audit: audit::Log,
}

/// The door; shared by everybody who lets in.
pub struct Door {
    local_key: [u8; 32],
    room: Arc<Room>,
    queue: SyncSender<Task>,
}

/// What waits for its turn.
enum Task {
    Verb(Request, Reply),
    SelfService(SelfService, Origin, Tell),
}

impl Door {
    /// A door, and its thread.
    #[must_use]
    pub fn new(parts: Parts<'_>) -> (Self, Keeper) {
        let Parts { local_key, settings, book, save, inbox, audit } = parts;
        let (queue, tasks) = sync_channel(WAITING);
        let room = Arc::new(Room::new(book, inbox, audit));
        let door = Self { local_key: Sha256::digest(local_key).into(), room: Arc::clone(&room), queue };
        (door, Keeper::new(tasks, room, settings, save))
    }

    /// Whether there is no user yet, so that the pairing code makes the first one.
    #[must_use]
    pub fn needs_setup(&self) -> bool {
        self.room.book().needs_setup()
    }

    /// Who that is; none if it is nobody. `is_local`: the request comes from this machine itself; only then the local key opens.
    #[must_use]
    pub fn who(&self, shown: Shown<'_>, is_local: bool, now: Timestamp) -> Option<Caller> {
        match shown {
            Shown::Secret(secret) => {
                let digest: [u8; 32] = Sha256::digest(secret).into();
                if digest.ct_eq(&self.local_key).into() {
                    let (name, scope) = ("local key".into(), Scope::all(Role::Admin));
                    return is_local.then_some(Caller { how: How::LocalKey, name, scope });
                }
                self.room.book().token(secret, now)
            }
            Shown::Session(secret) => self.room.book().session(&session_digest(secret), now),
        }
    }

    /// Whether somebody who was let in may stay: the session or token still holds, and for the same. Streams ask it after each of
    /// [`Door::changes`].
    #[must_use]
    pub fn is_still_in(&self, caller: &Caller, now: Timestamp) -> bool {
        let book = self.room.book();
        let present = match &caller.how {
            How::Session(digest) => book.session(digest, now),
            How::Token(id) => book.token_of_id(id, now),
            How::LocalKey | How::Ingress | How::TrustedNetwork | How::Mqtt => return true,
        };
        present.is_some_and(|present| present.scope == caller.scope)
    }

    /// When the caller's credential ends by itself; none = never.
    #[must_use]
    pub fn until(&self, caller: &Caller) -> Option<Timestamp> {
        match &caller.how {
            How::Session(digest) => self.room.book().session_until(digest),
            How::Token(id) => self.room.book().token_until(id),
            How::LocalKey | How::Ingress | How::TrustedNetwork | How::Mqtt => None,
        }
    }

    /// Whether the caller's account wants a one-time code.
    #[must_use]
    pub fn has_totp(&self, caller: &Caller) -> bool {
        let is_session = matches!(caller.how, How::Session(_));
        is_session && self.room.book().user(&caller.name).is_some_and(|user| user.has_totp())
    }

    /// Tells whenever a session or a token may have ended.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.room.changes.subscribe()
    }

    /// Counts a wrong token or cookie from an address.
    ///
    /// # Errors
    /// [`Problem::TooManyAttempts`] when it was one too many.
    pub fn wrong(&self, address: IpAddr, now: Instant) -> Result<(), Problem> {
        let verdict = self.room.credentials().wrong(now, address);
        if let Verdict::Wrong { first: true } = verdict {
            tracing::info!(%address, "somebody tried a wrong token");
        }
        self.room.verdict(verdict, address, None)
    }

    /// Asks for something about users or tokens. Whoever passes it on notes who asked.
    pub fn ask(&self, request: Request, reply: Reply) {
        self.queue(Task::Verb(request, reply));
    }

    /// Asks for something about the asker. An address from which too many wrong passwords came is refused before it takes a turn.
    pub fn serve(&self, wish: SelfService, origin: Origin, tell: Tell) {
        if let SelfService::SignIn { .. } = &wish
            && let Err(problem) = self.room.refuses_sign_in(origin.address, Instant::now())
        {
            return tell(Err(problem));
        }
        if self.room.waiting.fetch_add(1, Ordering::Relaxed) >= STRANGERS {
            self.room.waiting.fetch_sub(1, Ordering::Relaxed);
            return tell(Err(Problem::Busy));
        }
        self.queue(Task::SelfService(wish, origin, tell));
    }

    fn queue(&self, task: Task) {
        match self.queue.try_send(task) {
            Ok(()) => {}
            Err(TrySendError::Full(task) | TrySendError::Disconnected(task)) => {
                if let Task::SelfService(..) = &task {
                    self.room.waiting.fetch_sub(1, Ordering::Relaxed);
                }
                task.refuse();
            }
        }
    }
}

impl Task {
    fn refuse(self) {
        match self {
            Self::Verb(_, reply) => reply(Err(Problem::Busy)),
            Self::SelfService(_, _, tell) => tell(Err(Problem::Busy)),
        }
    }
}
