//! What is kept of users, sessions and tokens: the content of `accounts.json`.
//!
//! Passwords are Argon2id hashes as PHC strings; sessions, tokens and recovery codes only SHA-256 digests. Not here: the decisions
//! (the files beside this one), and the file ([`crate::store`]).

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::access::Role;
use super::policy;

/// Counts up when an older program could not read it.
const VERSION: u32 = 1;

/// Everything that is kept. No `Debug`: it holds hashes.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Book {
    version: u32,
    pub(super) users: Vec<User>,
    /// By the digest of their secret.
    pub(super) sessions: BTreeMap<String, Session>,
    pub(super) tokens: Vec<Token>,
}

/// Somebody with a password.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// As it was written at first; upper and lower case are the same user.
    pub name: String,
    /// Viewer or admin.
    #[serde(with = "role")]
    pub role: Role,
    /// The PHC string of the password.
    pub hash: String,
    /// Whether the user cannot sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<Locked>,
    /// When the account was made.
    #[serde(with = "moment")]
    pub created: Timestamp,
    /// When the user last signed in.
    #[serde(default, with = "moment_or_none", skip_serializing_if = "Option::is_none")]
    pub last_sign_in: Option<Timestamp>,
    /// Networks from which the user signed in, and when last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) known: Vec<Known>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) totp: Option<Totp>,
}

/// Why a user cannot sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Locked {
    /// An admin wants it so. Sessions have ended.
    ByAdmin,
    /// Too many wrong passwords came. Sessions go on: a stranger shall not be able to end them.
    ByAttempts,
}

/// A network from which a user signed in.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) network: IpAddr,
    #[serde(with = "moment")]
    pub(super) at: Timestamp,
}

/// A second factor.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Totp {
    /// Base 32. It has to be kept as it is: the codes are made from it.
    pub(super) secret: String,
    /// The last step whose code was used; it and earlier ones open nothing any more.
    pub(super) last_step: u64,
    /// Digests of the recovery codes that are left.
    pub(super) recovery: Vec<String>,
}

/// Somebody who is signed in.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The user's name, or the mail address of an outside identity.
    pub user: String,
    /// What an outside identity may do; none = a user of ours.
    #[serde(default, with = "role_or_none", skip_serializing_if = "Option::is_none")]
    pub outside: Option<Role>,
    /// Since when.
    #[serde(with = "moment")]
    pub created: Timestamp,
    /// Until when, whatever happens.
    #[serde(with = "moment")]
    pub expires: Timestamp,
}

/// A key for a program.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// What it is revoked by.
    pub id: String,
    /// For people; may be empty.
    pub name: String,
    /// What it is good for.
    #[serde(with = "role")]
    pub kind: Role,
    /// The only camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    /// When it was made.
    #[serde(with = "moment")]
    pub created: Timestamp,
    /// When it ends; none = when it is revoked.
    #[serde(default, with = "moment_or_none", skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    pub(super) digest: String,
}

impl Default for Book {
    fn default() -> Self {
        Self { version: VERSION, users: Vec::new(), sessions: BTreeMap::new(), tokens: Vec::new() }
    }
}

impl Book {
    /// Whether a file with this content may be believed.
    ///
    /// # Errors
    /// What is wrong, without quoting it.
    pub fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!("its version {} is not known to this program", self.version));
        }
        let mut names: Vec<String> = self.users.iter().map(|user| user.name.to_lowercase()).collect();
        names.sort();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("two users in it have the same name".into());
        }
        for user in &self.users {
            policy::check_name(&user.name).map_err(|_| "a user in it has an impossible name")?;
            if !user.hash.starts_with("$argon2id$") || user.role == Role::Stream {
                return Err("a user in it has no usable password or role".into());
            }
        }
        let digests = self.sessions.keys().chain(self.tokens.iter().map(|token| &token.digest));
        let is_digest = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if digests.into_iter().all(is_digest) { Ok(()) } else { Err("a digest in it is none".into()) }
    }

    /// Whether there is no user yet, so that the pairing code makes the first one.
    #[must_use]
    pub fn needs_setup(&self) -> bool {
        self.users.is_empty()
    }

    /// The user of that name, however it is spelt.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| is_same(&user.name, name))
    }

    pub(super) fn user_mut(&mut self, name: &str) -> Option<&mut User> {
        self.users.iter_mut().find(|user| is_same(&user.name, name))
    }
}

/// Whether two names mean the same user; names are ASCII.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

mod role {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::logic::access::Role;

    pub(super) fn serialize<S: Serializer>(role: &Role, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(role.word())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Role, D::Error> {
        let word = String::deserialize(from)?;
        Role::of_word(&word).ok_or_else(|| de::Error::custom("not a role"))
    }
}

mod role_or_none {
    use serde::{Deserializer, Serializer};

    use crate::logic::access::Role;

    pub(super) fn serialize<S: Serializer>(role: &Option<Role>, to: S) -> Result<S::Ok, S::Error> {
        match role {
            Some(role) => super::role::serialize(role, to),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Role>, D::Error> {
        super::role::deserialize(from).map(Some)
    }
}

mod moment {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(|_| de::Error::custom("not a time"))
    }
}

mod moment_or_none {
    use jiff::Timestamp;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::moment::serialize(at, to),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        super::moment::deserialize(from).map(Some)
    }
}
