//! Why a message did not arrive, in words that hold nothing secret.
//!
//! Not here: when to try again; see [`super::target`].

use std::error::Error;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Why an attempt failed. The words follow the target's name: "The target phone …". They may hold what a server said, so they are
/// shown only after [`Fault::shown`].
#[derive(Debug)]
pub(super) enum Fault {
    /// Worth another attempt.
    Later {
        /// What happened.
        why: String,
        /// How long the server wants to be left alone.
        wait: Option<Duration>,
    },
    /// The same message will never be taken.
    Never(String),
}

impl Fault {
    pub(super) fn later(why: impl Into<String>) -> Fault {
        Fault::Later { why: why.into(), wait: None }
    }

    pub(super) fn why(&self) -> &str {
        match self {
            Fault::Later { why, .. } | Fault::Never(why) => why,
        }
    }

    /// The same fault in words that anybody may read: without secrets, on one line and not long.
    pub(super) fn shown(self, secrets: &Secrets) -> Fault {
        // Secrets first: a half of one that was cut would not be found.
        let plain = |why: &str| short(&secrets.blot(why));
        match self {
            Fault::Later { why, wait } => Fault::Later { why: plain(&why), wait },
            Fault::Never(why) => Fault::Never(plain(&why)),
        }
    }
}

/// Texts that may not be shown, because a server may repeat what it was sent.
#[derive(Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Adds a text, and what it looks like in Base64.
    pub(super) fn add(&mut self, text: &str) {
        // Blotting out single letters would leave no sentence to read.
        const SHORTEST: usize = 3;
        if text.len() >= SHORTEST {
            self.0.extend([text.to_owned(), BASE64.encode(text)]);
            // The longest first, so that no part of one is left over by another within it.
            self.0.sort_by_key(|text| std::cmp::Reverse(text.len()));
        }
    }

    fn blot(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "…"))
    }
}

/// On one line, not long, and without a full stop, which the sentence around it has.
fn short(text: &str) -> String {
    const LONGEST: usize = 240;
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    let mut text = words.join(" ");
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text.trim_end_matches(['.', ':', ' ']).to_owned()
}

/// The innermost cause: what wraps it only repeats that something failed.
pub(super) fn cause(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// What TLS found wrong, if that is the cause.
pub(super) fn tls_cause(error: &(dyn Error + 'static)) -> Option<String> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found.to_string());
        }
        // An I/O error shows what it wraps, but its source is the source of that.
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && let Some(inner) = io.get_ref()
            && let Some(found) = tls_cause(inner)
        {
            return Some(found);
        }
        at = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_is_short_plain_and_without_secrets() {
        let mut secrets = Secrets::default();
        for secret in ["geheim", "geheim-und-mehr", "zwei  worte", "ab", ""] {
            secrets.add(secret);
        }
        let base64 = BASE64.encode("geheim");
        let table = [
            ("a\r\n\u{1b}[31mb\u{0}  c. ", "a [31mb c"),
            ("no geheim-und-mehr, geheim, ab or zwei  worte", "no …, …, ab or …"),
            (&format!("no {base64}"), "no …"),
        ];
        for (said, expected) in table {
            let Fault::Never(why) = Fault::Never(said.to_owned()).shown(&secrets) else { panic!() };
            assert_eq!(why, expected);
        }
        let at_the_edge = format!("{}geheim", "ä".repeat(237));
        let why = Fault::later(at_the_edge).shown(&secrets).why().to_owned();
        assert_eq!(why, format!("{}…", "ä".repeat(237)));
        assert_eq!(Fault::later("ä".repeat(500)).shown(&secrets).why().chars().count(), 241);
    }
}
