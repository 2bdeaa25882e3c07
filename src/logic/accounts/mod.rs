//! Users, their sessions, tokens and the pairing code: what is kept, and every decision about it.
//!
//! Pure: the time, random bytes and the outcome of a password's hash come in. Not here: hashing ([`crate::door`]) and files
//! ([`crate::store`]).

mod attempts;
mod book;
mod pairing;
pub mod policy;
mod sessions;
mod signs;
#[cfg(test)]
mod tests;
mod tokens;
mod totp;
mod users;
pub mod verbs;

use std::fmt;
use std::net::IpAddr;

use super::access::{Caller, Role};

pub use attempts::{Account, Attempts, Outcome, Side};
pub use book::{Book, Locked, Session, Token, User};
pub use pairing::Pairing;
pub use sessions::{Judged, SECRET_BYTES, session_digest, session_secret};
pub use tokens::{MOST_TOKENS, TOKEN_BYTES, Wanted, is_token, token_secret};
pub use totp::{Pending, RECOVERY_BYTES, RECOVERY_CODES, TOTP_BYTES, recovery_codes};

/// How long accounts and sessions are good, and what a password needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Days after which somebody has to sign in again, 1 to 365.
    pub session_days: u32,
    /// Characters of a password at least, 8 to 64.
    pub min_password: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { session_days: 30, min_password: 10 }
    }
}

/// Where a request comes from, for the throttle and the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub address: IpAddr,
    /// The client's address and each proxy's, with commas.
    pub route: String,
}

/// What may be asked in words: the verbs `users/…`, `token/…` and `pair`.
#[derive(Clone, PartialEq)]
pub enum Request {
    /// `users/list`: no passwords, no hashes.
    Users,
    /// `users/add`
    AddUser {
        /// The name.
        name: String,
        /// The password.
        password: String,
        /// Viewer or admin.
        role: Role,
    },
    /// `users/passwd`: an admin sets a password.
    SetPassword {
        /// Whose.
        name: String,
        /// The new one.
        password: String,
        /// The second factor ends too, for somebody who has lost it.
        end_totp: bool,
    },
    /// `users/role`
    SetRole {
        /// Whose.
        name: String,
        /// Viewer or admin.
        role: Role,
    },
    /// `users/lock`, `users/unlock`
    Lock {
        /// Whom.
        name: String,
        /// False to unlock.
        on: bool,
    },
    /// `users/logout`: ends every session of the user, and its streams.
    Logout {
        /// Whom.
        name: String,
    },
    /// `users/delete`
    DeleteUser {
        /// Whom.
        name: String,
    },
    /// `token/list`: no secrets.
    Tokens,
    /// `token/create`: the answer has the secret, once.
    CreateToken {
        /// For people; may be empty.
        name: String,
        /// What it is good for: stream, viewer or admin (`kind` in words).
        kind: Role,
        /// The only camera.
        camera: Option<String>,
        /// For how many seconds; none = until it is revoked.
        ttl_s: Option<u64>,
    },
    /// `token/revoke`
    RevokeToken {
        /// Its id.
        id: String,
    },
    /// `pair`: a new pairing code, while there is no user. Never over MQTT.
    Pair,
}

impl Request {
    /// The verb.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Users => "users/list",
            Self::AddUser { .. } => "users/add",
            Self::SetPassword { .. } => "users/passwd",
            Self::SetRole { .. } => "users/role",
            Self::Lock { on: true, .. } => "users/lock",
            Self::Lock { on: false, .. } => "users/unlock",
            Self::Logout { .. } => "users/logout",
            Self::DeleteUser { .. } => "users/delete",
            Self::Tokens => "token/list",
            Self::CreateToken { .. } => "token/create",
            Self::RevokeToken { .. } => "token/revoke",
            Self::Pair => "pair",
        }
    }

    /// What it is about: a user, a token; empty if it is about all.
    #[must_use]
    pub fn about(&self) -> &str {
        match self {
            Self::AddUser { name, .. }
            | Self::SetPassword { name, .. }
            | Self::SetRole { name, .. }
            | Self::Lock { name, .. }
            | Self::Logout { name }
            | Self::DeleteUser { name }
            | Self::CreateToken { name, .. } => name,
            Self::RevokeToken { id } => id,
            Self::Users | Self::Tokens | Self::Pair => "",
        }
    }
}

/// Without the password, wherever it may be written.
impl fmt::Debug for Request {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} {:?}", self.verb(), self.about())
    }
}

/// What people ask for themselves over HTTP, beside the verbs.
#[derive(Clone, PartialEq)]
pub enum SelfService {
    /// The first user, an admin, with the pairing code; signs in.
    Setup {
        /// The pairing code as typed.
        code: String,
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
    /// With a password, and a one-time or recovery code if the account wants one.
    SignIn {
        /// The name.
        name: String,
        /// The password.
        password: String,
        /// The code.
        code: Option<String>,
    },
    /// With the word of an OpenID provider, which was checked.
    SignInOutside {
        /// The verified mail address, one of those allowed.
        email: String,
        /// What may be done.
        role: Role,
    },
    /// Ends the caller's session.
    SignOut(Caller),
    /// A new password for the caller; its other sessions end.
    Password {
        /// Who.
        caller: Caller,
        /// The present one.
        old: String,
        /// The new one.
        new: String,
    },
    /// Begins a second factor; answers secret, address for the app, and QR code. It holds once it is confirmed.
    TotpBegin {
        /// Who.
        caller: Caller,
        /// The present password.
        password: String,
    },
    /// Confirms it with a code; answers the recovery codes, once.
    TotpConfirm {
        /// Who.
        caller: Caller,
        /// The code.
        code: String,
    },
    /// Ends it.
    TotpEnd {
        /// Who.
        caller: Caller,
        /// The present password.
        password: String,
    },
}

/// Without passwords and codes, wherever it may be written.
impl fmt::Debug for SelfService {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, who) = match self {
            Self::Setup { name, .. } => ("Setup", name),
            Self::SignIn { name, .. } => ("SignIn", name),
            Self::SignInOutside { email, .. } => ("SignInOutside", email),
            Self::SignOut(caller) => ("SignOut", &caller.name),
            Self::Password { caller, .. } => ("Password", &caller.name),
            Self::TotpBegin { caller, .. } => ("TotpBegin", &caller.name),
            Self::TotpConfirm { caller, .. } => ("TotpConfirm", &caller.name),
            Self::TotpEnd { caller, .. } => ("TotpEnd", &caller.name),
        };
        write!(to, "{what} {who:?}")
    }
}
