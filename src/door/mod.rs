//! The door: who is somebody? Sessions and tokens are told at once; whatever hashes a password or writes the file takes its turn on
//! the door's own thread.
//!
//! Decisions are [`crate::logic::accounts`]'s. Not here: what a request needs ([`crate::http`]) and what a role may ([`crate::logic::access`]).

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use crate::audit;
use crate::inbox::{Inbox, Reply};
use crate::logic::access::{Caller, How, Role, Scope};
use crate::logic::accounts::{Origin, Request, SelfService};
use crate::logic::input::{Alarm, AlarmKind, Input};
use crate::logic::problem::Problem;
use crate::logic::throttle::{Throttle, Verdict};

/// Askers that may wait for their turn; hashing takes about a tenth of a second.
const WAITING: usize = 16;

/// A credential as somebody shows it.
#[derive(Clone, Copy)]
pub enum Shown<'a> {
    /// The value of the page's cookie.
    Session(&'a str),
    /// A token, or the local key.
    Secret(&'a str),
}

/// What came of [`SelfService`].
#[derive(Debug)]
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

/// How the asker hears of it.
pub type Tell = Box<dyn FnOnce(Result<Served, Problem>) + Send>;

/// The door; shared by everybody who lets in.
pub struct Door {
    local_key: [u8; 32],
    throttle: Mutex<Throttle>,
    inbox: Inbox,
    queue: SyncSender<Task>,
    changes: watch::Sender<u64>,
}

/// What waits for its turn.
enum Task {
    Verb(Request, Reply),
    SelfService(SelfService, Origin, Tell),
}

/// The door's thread.
pub struct Keeper {
    tasks: Receiver<Task>,
}

impl Door {
    /// A door, and its thread.
    #[must_use]
    pub fn new(local_key: &str, inbox: Inbox, _log: audit::Log) -> (Self, Keeper) {
        let (queue, tasks) = sync_channel(WAITING);
        let (throttle, changes) = (Mutex::default(), watch::channel(0).0);
        let door = Self { local_key: Sha256::digest(local_key).into(), throttle, inbox, queue, changes };
        (door, Keeper { tasks })
    }

    /// Whether there is no user yet, so that the pairing code makes the first one.
    #[must_use]
    pub fn needs_setup(&self) -> bool {
        true
    }

    /// Who that is; none if it is nobody. `is_local`: the request comes from this machine itself; only then the local key opens.
    #[must_use]
    pub fn who(&self, shown: Shown<'_>, is_local: bool, _now: Timestamp) -> Option<Caller> {
        match shown {
            Shown::Secret(secret) => {
                let digest: [u8; 32] = Sha256::digest(secret).into();
                let is_key: bool = digest.ct_eq(&self.local_key).into();
                (is_key && is_local).then(|| Caller {
                    how: How::LocalKey,
                    name: "local key".into(),
                    scope: Scope::all(Role::Admin),
                })
            }
            Shown::Session(_) => None,
        }
    }

    /// Whether somebody who was let in may stay: the session or token still holds. Streams ask it after each of [`Door::changes`].
    #[must_use]
    pub fn is_still_in(&self, _caller: &Caller, _now: Timestamp) -> bool {
        true
    }

    /// When the caller's credential ends by itself; none = never.
    #[must_use]
    pub fn until(&self, _caller: &Caller) -> Option<Timestamp> {
        None
    }

    /// Whether the caller's account wants a one-time code.
    #[must_use]
    pub fn has_totp(&self, _caller: &Caller) -> bool {
        false
    }

    /// Tells whenever a session or a token has ended.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Counts a wrong token or cookie from an address.
    ///
    /// # Errors
    /// [`Problem::TooManyAttempts`] when it was one too many.
    pub fn wrong(&self, address: IpAddr, now: Instant) -> Result<(), Problem> {
        let verdict = self.throttle.lock().unwrap_or_else(PoisonError::into_inner).wrong(now, address);
        match verdict {
            Verdict::Wrong { first } => {
                if first {
                    tracing::info!(%address, "somebody tried a wrong token");
                }
                Ok(())
            }
            Verdict::TooMany { wait_s, first } => {
                if first {
                    let kind = AlarmKind::TooManyAttempts;
                    let alarm = Alarm { kind, address: address.to_string(), user: None };
                    // The appliance may be too busy to hear of it; the address is held back all the same.
                    let _ = self.inbox.send(Input::Alarm(alarm), None);
                }
                Err(Problem::TooManyAttempts { wait_s })
            }
        }
    }

    /// Asks for something about users or tokens. Whoever passes it on notes who asked.
    pub fn ask(&self, request: Request, reply: Reply) {
        match self.queue.try_send(Task::Verb(request, reply)) {
            Ok(()) => {}
            Err(TrySendError::Full(task) | TrySendError::Disconnected(task)) => task.refuse(),
        }
    }

    /// Asks for something about the asker.
    pub fn serve(&self, wish: SelfService, origin: Origin, tell: Tell) {
        match self.queue.try_send(Task::SelfService(wish, origin, tell)) {
            Ok(()) => {}
            Err(TrySendError::Full(task) | TrySendError::Disconnected(task)) => task.refuse(),
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

impl Keeper {
    /// The body of the thread `door`; ends when every [`Door`] is gone.
    pub fn run(self) {
        while let Ok(task) = self.tasks.recv() {
            task.refuse();
        }
    }
}
