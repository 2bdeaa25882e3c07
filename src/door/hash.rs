//! Passwords as Argon2id hashes.
//!
//! Not here: whose they are ([`crate::logic::accounts`]).

use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::logic::problem::Problem;

/// Memory in KiB, passes, lanes: the first choice of OWASP's Password Storage Cheat Sheet for Argon2id with little memory (19 MiB, 2, 1).
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);

fn hasher() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).expect("the parameters are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The PHC string of a password, with a random salt.
///
/// # Errors
/// [`Problem::Busy`] when the system gives no random bytes or no memory.
pub fn hash(password: &str) -> Result<String, Problem> {
    let hashed = hasher().hash_password(password.as_bytes());
    give_back();
    match hashed {
        Ok(hash) => Ok(hash.to_string()),
        Err(error) => {
            tracing::error!(%error, "a password cannot be hashed");
            Err(Problem::Busy)
        }
    }
}

/// Whether this is the password of that hash. Without a hash as much work is done for nothing, so that the time does not tell whether
/// there is such a user.
#[must_use]
pub fn is_right(password: &str, hash: Option<&str>) -> bool {
    static NOBODYS: LazyLock<String> = LazyLock::new(|| hash_of_nobody().unwrap_or_default());
    let phc = hash.unwrap_or(&NOBODYS);
    let outcome =
        PasswordHash::new(phc).map(|phc| hasher().verify_password(password.as_bytes(), &phc).is_ok());
    give_back();
    outcome.unwrap_or(false) && hash.is_some()
}

/// Gives the 19 MiB of a hash back to the system; glibc would keep them for the next one, for good.
fn give_back() {
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code, reason = "std cannot ask the allocator")]
    // SAFETY: malloc_trim takes no pointer, touches only memory that is free, and locks what it looks at.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The hash of a password that nobody knows.
fn hash_of_nobody() -> Option<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).ok()?;
    hash(&crate::logic::checksum::hex(&random)).ok()
}

/// Does what only the first refusal would need, so that it takes no longer than others.
pub(super) fn warm_up() {
    let _ = is_right("", None);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn hashes_differ_and_open_for_their_password_only() {
        let (one, other) = (hash("correct horse").unwrap(), hash("correct horse").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, other, "each has a salt of its own");
        assert!(is_right("correct horse", Some(&one)) && is_right("correct horse", Some(&other)));
        assert!(!is_right("correct horsf", Some(&one)) && !is_right("", Some(&one)));
        assert!(!is_right("correct horse", None) && !is_right("x", Some("no hash")));
    }

    #[test]
    fn an_unknown_name_takes_as_long_as_a_wrong_password() {
        let known = hash("correct horse").unwrap();
        warm_up();
        let time = |hash: Option<&str>| {
            let began = Instant::now();
            assert!(!is_right("wrong", hash));
            began.elapsed()
        };
        // A busy machine makes single ones longer, so the quickest of each count, measured by turns.
        let pairs = (0..10).map(|_| (time(Some(&known)), time(None)));
        let quickest = |(a, b): (Duration, Duration), (c, d)| (a.min(c), b.min(d));
        let (known, unknown) = pairs.fold((Duration::MAX, Duration::MAX), quickest);
        println!("a wrong password takes {known:?}, an unknown name {unknown:?}");
        assert!(unknown > known / 3, "{known:?} {unknown:?}");
        let cost = |phc: &str| phc.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(cost(&hash_of_nobody().unwrap()), cost(&hash("x").unwrap()));
    }
}
