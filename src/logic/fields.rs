//! The fields of a request's body, read with one sentence for each mistake.
//!
//! Not here: which requests there are ([`super::request`]).

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::problem::{Problem, quoted};

/// A body, and the request that it belongs to. Numbers and truths may come as text, as a query string has them.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// The whole verb, such as `events/list`.
    pub request: &'a str,
    /// The fields, without those that every request may have.
    pub body: &'a Map<String, Value>,
}

impl Fields<'_> {
    /// What is wrong with one field; `needs` says what it takes: `a whole number from 1 to 5`.
    #[must_use]
    pub fn bad(&self, field: &str, needs: &str) -> Problem {
        Problem::BadField { request: self.request.into(), field: quoted(field), needs: needs.into() }
    }

    /// What is wrong with the body as a whole; the sentence goes on after the verb.
    #[must_use]
    pub fn wrong(&self, what: &str) -> Problem {
        Problem::BadRequest { detail: format!("{} {what}", self.request) }
    }

    /// Checks that nobody expects something of a field that does not exist.
    ///
    /// # Errors
    /// The first field that is not `known`, with those that are.
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        let Some(odd) = self.body.keys().find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
        let known =
            if known.is_empty() { "no fields at all".into() } else { format!("only {}", known.join(", ")) };
        Err(self.wrong(&format!("takes no \"{}\", {known}", quoted(odd))))
    }

    /// Text; none if it is missing, null or empty.
    ///
    /// # Errors
    /// When it is not text.
    pub fn text(&self, key: &str) -> Result<Option<String>, Problem> {
        match self.body.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(self.bad(key, "text")),
        }
    }

    /// Text that has to be there; `what` it is.
    ///
    /// # Errors
    /// When it is missing or not text.
    pub fn needed(&self, key: &str, what: &str) -> Result<String, Problem> {
        self.text(key)?.ok_or_else(|| self.bad(key, what))
    }

    /// A truth.
    ///
    /// # Errors
    /// When it is none.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Problem> {
        match self.body.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(on)) => Ok(Some(*on)),
            Some(_) => Err(self.bad(key, "true or false")),
        }
    }

    /// A point in time.
    ///
    /// # Errors
    /// When it is none.
    pub fn time(&self, key: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            self.bad(key, &format!("a time such as 2026-01-02T03:04:05Z, not \"{}\",", quoted(&text)))
        })
    }

    /// A whole number in a range.
    ///
    /// # Errors
    /// When it is none, or outside.
    pub fn count(&self, key: &str, min: u64, max: u64) -> Result<Option<u64>, Problem> {
        let number = match self.body.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        number
            .filter(|number| (min..=max).contains(number))
            .map(Some)
            .ok_or_else(|| self.bad(key, &format!("a whole number from {min} to {max}")))
    }
}
