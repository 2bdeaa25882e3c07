//! Users, their sessions, tokens and the pairing code: what is kept, and every decision about it.
//!
//! Pure: the time, random bytes and the outcome of a password's hash come in. Not here: hashing and files ([`crate::door`]).

use std::net::IpAddr;

use super::access::{Caller, Role};

/// Where a request comes from, for the throttle and the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub address: IpAddr,
    /// The client's address and each proxy's, with commas.
    pub route: String,
}

/// What may be asked in words: the verbs `users/…`, `token/…` and `pair`.
#[derive(Clone, Debug, PartialEq)]
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

/// What people ask for themselves over HTTP, beside the verbs.
#[derive(Clone, Debug, PartialEq)]
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
