//! Sessions: who is signed in, until when, and how somebody comes in.
//!
//! A session's secret is 256 random bits; only its digest is kept, so that whoever reads the file cannot use it. Not here: cookies
//! ([`crate::http`]).

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::super::access::{Caller, How, Role, Scope};
use super::super::checksum::{hex, sha256};
use super::book::{Book, Session, is_same};

/// Random bytes of a session's secret.
pub const SECRET_BYTES: usize = 32;
/// Sessions of one user at once; the oldest makes room.
const MOST_OF_USER: usize = 20;
/// Sessions at once.
const MOST: usize = 200;

/// What became of name, password and code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// They are right.
    In,
    /// The password is right, a code is wanted.
    CodeNeeded,
    /// Something is wrong; what, is for the audit log alone.
    Wrong(&'static str),
}

/// The secret of a session as the cookie has it.
#[must_use]
pub fn session_secret(random: [u8; SECRET_BYTES]) -> String {
    hex(&random)
}

/// How a session is kept and named.
#[must_use]
pub fn session_digest(secret: &str) -> String {
    sha256(secret)
}

impl Book {
    /// Judges a sign-in. `is_right`: the password is that of the user. A code that was right is used up.
    pub fn judge(&mut self, name: &str, is_right: bool, code: Option<&str>, now: Timestamp) -> Judged {
        let Some(user) = self.user_mut(name) else { return Judged::Wrong("there is no such user") };
        if !is_right {
            return Judged::Wrong("the password is wrong");
        }
        if user.locked.is_some() {
            return Judged::Wrong("the account is locked");
        }
        match (&mut user.totp, code.map(str::trim).filter(|code| !code.is_empty())) {
            (None, _) => Judged::In,
            (Some(_), None) => Judged::CodeNeeded,
            (Some(totp), Some(code)) => match totp.takes(code, now) {
                true => Judged::In,
                false => Judged::Wrong("the code is wrong or was used"),
            },
        }
    }

    /// Begins a session of a user, from a network; tells until when it holds, and who it is.
    pub fn begin_session(
        &mut self,
        name: &str,
        network: IpAddr,
        secret: &str,
        days: u32,
        now: Timestamp,
    ) -> Option<(Timestamp, Caller)> {
        let user = self.user_mut(name)?;
        user.signed_in(network, now);
        let (name, role) = (user.name.clone(), user.role);
        Some(self.begin(name, None, role, secret, days, now))
    }

    /// Begins a session of an outside identity.
    pub fn begin_outside(
        &mut self,
        email: &str,
        role: Role,
        secret: &str,
        days: u32,
        now: Timestamp,
    ) -> (Timestamp, Caller) {
        self.begin(email.to_owned(), Some(role), role, secret, days, now)
    }

    fn begin(
        &mut self,
        user: String,
        outside: Option<Role>,
        role: Role,
        secret: &str,
        days: u32,
        now: Timestamp,
    ) -> (Timestamp, Caller) {
        self.sessions.retain(|_, session| session.expires > now);
        while self.n_sessions(Some(&user)) >= MOST_OF_USER {
            self.end_oldest(Some(&user));
        }
        while self.n_sessions(None) >= MOST {
            self.end_oldest(None);
        }
        let life = SignedDuration::from_hours(24 * i64::from(days));
        let expires = now.saturating_add(life).unwrap_or(now);
        let digest = session_digest(secret);
        let caller =
            Caller { how: How::Session(digest.clone()), name: user.clone(), scope: Scope::all(role) };
        self.sessions.insert(digest, Session { user, outside, created: now, expires });
        (expires, caller)
    }

    fn n_sessions(&self, of: Option<&str>) -> usize {
        self.sessions.values().filter(|session| of.is_none_or(|user| is_same(&session.user, user))).count()
    }

    fn end_oldest(&mut self, of: Option<&str>) {
        let those = self.sessions.iter().filter(|(_, one)| of.is_none_or(|user| is_same(&one.user, user)));
        let oldest = those.min_by_key(|(_, session)| session.created).map(|(digest, _)| digest.clone());
        if let Some(oldest) = oldest {
            self.sessions.remove(&oldest);
        }
    }

    /// Who the session of that digest is; none if it has ended.
    #[must_use]
    pub fn session(&self, digest: &str, now: Timestamp) -> Option<Caller> {
        let session = self.sessions.get(digest).filter(|session| session.expires > now)?;
        let role = match session.outside {
            Some(role) => role,
            // Sessions end when somebody is locked or removed; this is the second lock on the same door.
            None => {
                let user = self.user(&session.user)?;
                if user.locked == Some(super::Locked::ByAdmin) {
                    return None;
                }
                user.role
            }
        };
        let (how, name) = (How::Session(digest.to_owned()), session.user.clone());
        Some(Caller { how, name, scope: Scope::all(role) })
    }

    /// When a session ends by itself.
    #[must_use]
    pub fn session_until(&self, digest: &str) -> Option<Timestamp> {
        self.sessions.get(digest).map(|session| session.expires)
    }

    /// Ends one session.
    pub fn end_session(&mut self, digest: &str) {
        self.sessions.remove(digest);
    }

    /// Ends the sessions of somebody, but `keep`; how many they were.
    pub(super) fn end_sessions(&mut self, name: &str, keep: Option<&str>) -> usize {
        let before = self.sessions.len();
        self.sessions
            .retain(|digest, session| !is_same(&session.user, name) || Some(digest.as_str()) == keep);
        before - self.sessions.len()
    }

    /// Ends the sessions of outside identities that may not come in any more, or may do something else now: the configuration may have
    /// changed. `role` tells what a mail address may do. Whether any has ended.
    pub fn keep_outside(&mut self, role: impl Fn(&str) -> Option<Role>) -> bool {
        let before = self.sessions.len();
        self.sessions.retain(|_, session| match session.outside {
            None => true,
            Some(held) => role(&session.user) == Some(held),
        });
        self.sessions.len() < before
    }
}
