//! Users: added, changed, locked, removed. There is always somebody who can let the others in: the last admin who may sign in stays.
//!
//! Not here: signing in ([`super::sessions`]), what names and passwords are fit ([`super::policy`]).

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::access::Role;
use super::super::events::timestamp;
use super::super::problem::{Problem, quoted};
use super::book::{Book, Known, Locked, User, is_same};
use super::policy;

/// Users at most: a household, not a company.
const MOST_USERS: usize = 100;
/// Networks that are remembered of a user; the one seen longest ago goes.
const MOST_KNOWN: usize = 16;
/// How long a network from which somebody signed in is theirs.
const KNOWN_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

impl Book {
    /// Whether a user of this name and role can be added; asked before a password is hashed for it.
    ///
    /// # Errors
    /// [`Problem::BadAccount`].
    pub fn check_new(&self, name: &str, role: Role) -> Result<(), Problem> {
        let bad = |detail: String| Err(Problem::BadAccount { detail });
        policy::check_name(name)?;
        if let Some(user) = self.user(name) {
            return bad(format!("There is a user {} already", user.name));
        }
        if self.users.len() >= MOST_USERS {
            return bad(format!("There are {MOST_USERS} users already; remove one first"));
        }
        match role {
            Role::Stream => bad("A user is a viewer or an admin; for a stream alone make a token".into()),
            Role::Viewer if self.users.is_empty() => bad("The first user has to be an admin".into()),
            Role::Viewer | Role::Admin => Ok(()),
        }
    }

    /// Adds a user; `hash` is the PHC string of the password.
    ///
    /// # Errors
    /// [`Problem::BadAccount`].
    pub fn add_user(&mut self, name: &str, role: Role, hash: String, now: Timestamp) -> Result<(), Problem> {
        self.check_new(name, role)?;
        self.users.push(User {
            name: name.into(),
            role,
            hash,
            locked: None,
            created: now,
            last_sign_in: None,
            known: Vec::new(),
            totp: None,
        });
        Ok(())
    }

    /// Sets a password; every session of the user ends but `keep`. Whoever was locked for wrong passwords may try again.
    ///
    /// # Errors
    /// [`Problem::NotFound`].
    pub fn set_password(&mut self, name: &str, hash: String, keep: Option<&str>) -> Result<(), Problem> {
        let user = self.user_mut(name).ok_or_else(|| no_user(name))?;
        user.hash = hash;
        user.locked = user.locked.filter(|why| *why != Locked::ByAttempts);
        self.end_sessions(name, keep);
        Ok(())
    }

    /// Makes somebody a viewer or an admin.
    ///
    /// # Errors
    /// [`Problem::NotFound`]; [`Problem::BadAccount`] for the last admin.
    pub fn set_role(&mut self, name: &str, role: Role) -> Result<(), Problem> {
        if role == Role::Stream {
            return Err(Problem::BadAccount { detail: "A user is a viewer or an admin".into() });
        }
        let mut next = self.clone();
        next.user_mut(name).ok_or_else(|| no_user(name))?.role = role;
        self.keep_an_admin(next, name)
    }

    /// Locks somebody and ends their sessions.
    ///
    /// # Errors
    /// [`Problem::NotFound`]; [`Problem::BadAccount`] for the last admin.
    pub fn lock(&mut self, name: &str) -> Result<(), Problem> {
        let mut next = self.clone();
        next.user_mut(name).ok_or_else(|| no_user(name))?.locked = Some(Locked::ByAdmin);
        next.end_sessions(name, None);
        self.keep_an_admin(next, name)
    }

    /// Locks a viewer for wrong passwords; nobody else can be locked by strangers.
    pub fn lock_for_attempts(&mut self, name: &str) {
        if let Some(user) = self.user_mut(name).filter(|user| user.role < Role::Admin) {
            user.locked = user.locked.or(Some(Locked::ByAttempts));
        }
    }

    /// Lets somebody sign in again.
    ///
    /// # Errors
    /// [`Problem::NotFound`].
    pub fn unlock(&mut self, name: &str) -> Result<(), Problem> {
        self.user_mut(name).ok_or_else(|| no_user(name))?.locked = None;
        Ok(())
    }

    /// Removes somebody with all sessions.
    ///
    /// # Errors
    /// [`Problem::NotFound`]; [`Problem::BadAccount`] for the last admin.
    pub fn delete_user(&mut self, name: &str) -> Result<(), Problem> {
        self.user(name).ok_or_else(|| no_user(name))?;
        let mut next = self.clone();
        next.users.retain(|user| !is_same(&user.name, name));
        next.end_sessions(name, None);
        self.keep_an_admin(next, name)
    }

    /// Ends every session of a user, or of an outside identity.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when there is nobody of that name.
    pub fn logout(&mut self, name: &str) -> Result<usize, Problem> {
        let n_ended = self.end_sessions(name, None);
        if n_ended == 0 && self.user(name).is_none() { Err(no_user(name)) } else { Ok(n_ended) }
    }

    /// Every user for `users/list`; nothing secret.
    #[must_use]
    pub fn users_json(&self, now: Timestamp) -> Value {
        let row = |user: &User| {
            let is_theirs = |session: &&super::Session| {
                session.outside.is_none() && is_same(&session.user, &user.name) && session.expires > now
            };
            json!({
                "name": user.name,
                "role": user.role.word(),
                "locked": user.locked.is_some(),
                "totp": user.totp.is_some(),
                "created": timestamp(user.created),
                "last_sign_in": user.last_sign_in.map(timestamp),
                "sessions": self.sessions.values().filter(is_theirs).count(),
            })
        };
        json!({ "users": self.users.iter().map(row).collect::<Vec<_>>() })
    }

    /// Whether the user signed in from this network within 30 days.
    #[must_use]
    pub fn is_known_from(&self, name: &str, network: IpAddr, now: Timestamp) -> bool {
        let is_fresh = |known: &Known| known.network == network && now.duration_since(known.at) <= KNOWN_FOR;
        self.user(name).is_some_and(|user| user.known.iter().any(is_fresh))
    }

    /// Takes `next` if somebody is left in it who can let others in.
    fn keep_an_admin(&mut self, next: Book, name: &str) -> Result<(), Problem> {
        let opens = |user: &User| user.role == Role::Admin && user.locked.is_none();
        if next.users.iter().any(opens) || !self.users.iter().any(opens) {
            *self = next;
            return Ok(());
        }
        let name = quoted(name);
        let detail = format!("{name} is the last admin who may sign in; make somebody else an admin first");
        Err(Problem::BadAccount { detail })
    }
}

impl User {
    /// Notes a sign-in from a network.
    pub(super) fn signed_in(&mut self, network: IpAddr, now: Timestamp) {
        self.last_sign_in = Some(now);
        self.known.retain(|known| known.network != network && now.duration_since(known.at) <= KNOWN_FOR);
        self.known.push(Known { network, at: now });
        // The newest stand at the end.
        self.known.drain(..self.known.len().saturating_sub(MOST_KNOWN));
    }

    /// Whether a one-time code is needed too.
    #[must_use]
    pub fn has_totp(&self) -> bool {
        self.totp.is_some()
    }
}

/// There is nobody of that name.
pub(super) fn no_user(name: &str) -> Problem {
    Problem::NotFound { what: format!("user {}", quoted(name)) }
}
