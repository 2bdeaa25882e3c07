//! Tokens: keys for programs, limited in what they open and for how long, and shown once.
//!
//! A token has 135 random bits behind a beginning by which people recognise it. Not here: what a scope allows ([`super::super::access`]).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::access::{Caller, How, Role, Scope};
use super::super::checksum::{hex, sha256};
use super::super::events::timestamp;
use super::super::problem::{Problem, quoted};
use super::book::{Book, Token};
use super::signs::signs;

/// Tokens at once.
pub const MOST_TOKENS: usize = 200;
/// Random bytes of a token: those of its id, then one for each of its signs.
pub const TOKEN_BYTES: usize = ID_BYTES + SIGNS;
/// How every token begins.
const BEGINNING: &str = "dw_";
const SIGNS: usize = 27;
const ID_BYTES: usize = 4;

/// A token as somebody wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// For people; may be empty.
    pub name: String,
    /// What it is good for.
    pub kind: Role,
    /// The only camera.
    pub camera: Option<String>,
    /// For how many seconds; none = until it is revoked.
    pub ttl_s: Option<u64>,
}

/// The token itself, made of random bytes.
#[must_use]
pub fn token_secret(random: &[u8; TOKEN_BYTES]) -> String {
    format!("{BEGINNING}{}", signs(&random[ID_BYTES..]))
}

/// Whether something looks like a token of ours.
#[must_use]
pub fn is_token(text: &str) -> bool {
    text.starts_with(BEGINNING)
}

impl Book {
    /// Makes a token of random bytes; the answer to whoever asked, with the token in it.
    ///
    /// # Errors
    /// [`Problem::BadAccount`] when there are too many.
    pub fn create_token(
        &mut self,
        wanted: Wanted,
        random: &[u8; TOKEN_BYTES],
        now: Timestamp,
    ) -> Result<Value, Problem> {
        self.tokens.retain(|token| token.holds(now));
        if self.tokens.len() >= MOST_TOKENS {
            let detail = format!("There are {MOST_TOKENS} tokens already; revoke one first");
            return Err(Problem::BadAccount { detail });
        }
        let Wanted { name, kind, camera, ttl_s } = wanted;
        let id = hex(&random[..ID_BYTES]);
        if self.tokens.iter().any(|token| token.id == id) {
            return Err(Problem::Busy);
        }
        let secret = token_secret(random);
        let life = ttl_s.map(|seconds| SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)));
        let expires = life.map(|life| now.saturating_add(life).unwrap_or(Timestamp::MAX));
        let path = camera.as_ref().filter(|_| kind == Role::Stream);
        let path = path.map(|camera| format!("/api/v1/cameras/{camera}/stream.mjpeg?token={secret}"));
        let token = Token { id, name, kind, camera, created: now, expires, digest: sha256(&secret) };
        let mut answer = token.to_json();
        answer["token"] = json!(secret);
        answer["path"] = json!(path);
        self.tokens.push(token);
        Ok(answer)
    }

    /// Every token for `token/list`; nothing secret.
    #[must_use]
    pub fn tokens_json(&self, now: Timestamp) -> Value {
        let held = self.tokens.iter().filter(|token| token.holds(now));
        json!({ "tokens": held.map(Token::to_json).collect::<Vec<_>>() })
    }

    /// Ends a token.
    ///
    /// # Errors
    /// [`Problem::NotFound`].
    pub fn revoke(&mut self, id: &str) -> Result<(), Problem> {
        let before = self.tokens.len();
        self.tokens.retain(|token| token.id != id);
        let was_there = self.tokens.len() < before;
        was_there.then_some(()).ok_or_else(|| Problem::NotFound { what: format!("token {}", quoted(id)) })
    }

    /// Who shows this token; none if it is none of ours, or has ended. Tokens are random enough that their digests may be looked up
    /// in any time.
    #[must_use]
    pub fn token(&self, secret: &str, now: Timestamp) -> Option<Caller> {
        let digest = sha256(secret);
        self.tokens.iter().find(|token| token.digest == digest && token.holds(now)).map(Token::caller)
    }

    /// The token of that id as it is now.
    #[must_use]
    pub fn token_of_id(&self, id: &str, now: Timestamp) -> Option<Caller> {
        self.tokens.iter().find(|token| token.id == id && token.holds(now)).map(Token::caller)
    }

    /// When a token ends by itself.
    #[must_use]
    pub fn token_until(&self, id: &str) -> Option<Timestamp> {
        self.tokens.iter().find(|token| token.id == id).and_then(|token| token.expires)
    }
}

impl Token {
    fn holds(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }

    fn caller(&self) -> Caller {
        let name = if self.name.is_empty() { &self.id } else { &self.name };
        let scope = Scope { role: self.kind, camera: self.camera.clone() };
        Caller { how: How::Token(self.id.clone()), name: format!("token {name}"), scope }
    }

    fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "kind": self.kind.word(),
            "camera": self.camera,
            "created": timestamp(self.created),
            "expires": self.expires.map(timestamp),
        })
    }
}
