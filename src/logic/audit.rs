//! The audit log: who did what, from where, and what became of it.
//!
//! Not here: keeping it ([`crate::audit`] does).

use jiff::Timestamp;

/// How much an entry matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Done as asked.
    Info,
    /// Refused, or worth a look.
    Warning,
    /// Somebody tries to get in.
    Alert,
}

/// What an entry is about; `type` of a list takes the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Signing in and out, first run, passwords, second factors.
    SignIn,
    /// Users: added, removed, locked …
    User,
    /// Tokens: created, revoked.
    Token,
    /// Something was changed: over HTTP, MQTT or on the command line.
    Change,
    /// Somebody was refused: role, address, credential.
    Refused,
    /// Somebody looked for a door: probe paths, guessing.
    Attack,
    /// The log itself: cleared, its oldest entries removed.
    Audit,
    /// The certificate, the lists of addresses, a factory reset.
    System,
}

/// One line of the log, before it has its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub ts: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// What it is about.
    pub kind: Kind,
    /// Whether people were told with an event.
    pub alert: bool,
    /// Who: a user, `token NAME`, `local key`, Home Assistant's user, `mqtt`; empty if nobody knows.
    pub user: String,
    /// The way of the request: the client's address, then each proxy that passed it on, with commas; empty if it was not a network.
    pub address: String,
    /// What happened, in a sentence. Never a secret.
    pub text: String,
}
