//! Who somebody is: names and passwords, and the record of refused logins.
//!
//! Not here: what a role may do; see [`super::acl`].

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::User;
use super::acl::Role;

/// One line in the log per address and this long.
const QUIET: Duration = Duration::from_secs(60);
/// Addresses remembered.
const MAX_ADDRESSES: usize = 256;

/// The users, with hashes instead of passwords.
pub(super) struct Users(Vec<Known>);

struct Known {
    name: [u8; 32],
    password: [u8; 32],
    role: Role,
}

impl Users {
    /// The users of the settings.
    pub(super) fn new(users: &[User]) -> Users {
        let hashed = |user: &User| Known {
            name: Sha256::digest(&user.name).into(),
            password: Sha256::digest(&user.password).into(),
            role: user.role,
        };
        Users(users.iter().map(hashed).collect())
    }

    /// Whether that is a name of the appliance itself.
    pub(super) fn is_appliance(&self, name: &str) -> bool {
        let name: [u8; 32] = Sha256::digest(name).into();
        self.0.iter().any(|known| known.role == Role::Appliance && known.name == name)
    }

    /// The role behind a name and a password, in a time that depends on neither: equal lengths by hashing, and all
    /// users are looked at. The hash is no protection of weak passwords at rest; ours are random and in memory only.
    pub(super) fn role(&self, name: &str, password: &str) -> Option<Role> {
        let (name, password): ([u8; 32], [u8; 32]) =
            (Sha256::digest(name).into(), Sha256::digest(password).into());
        let mut found = u32::MAX;
        for (at, known) in (0u32..).zip(&self.0) {
            let same: Choice = known.name.ct_eq(&name) & known.password.ct_eq(&password);
            found.conditional_assign(&at, same);
        }
        self.0.get(usize::try_from(found).ok()?).map(|known| known.role)
    }
}

/// Counts refused logins and decides which of them are worth a line in the log.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<IpAddr, (Instant, u64)>>);

impl Refusals {
    /// Notes one refusal; the number of refusals since the last line if it is time for a line.
    pub(super) fn note(&self, address: IpAddr, now: Instant) -> Option<u64> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.contains_key(&address) {
            if seen.len() >= MAX_ADDRESSES {
                seen.retain(|_, (last, _)| now.saturating_duration_since(*last) < QUIET);
            }
            if seen.len() >= MAX_ADDRESSES {
                return None;
            }
            seen.insert(address, (now, 0));
            return Some(1);
        }
        let (last, quiet) = seen.get_mut(&address)?;
        *quiet += 1;
        if now.saturating_duration_since(*last) < QUIET {
            return None;
        }
        *last = now;
        Some(std::mem::take(quiet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_pair_is_let_in() {
        let user =
            |name: &str, password: &str, role| User { name: name.into(), password: password.into(), role };
        let users = Users::new(&[user("us", "s3cret", Role::Appliance), user("ha", "other", Role::Client)]);
        assert_eq!(users.role("us", "s3cret"), Some(Role::Appliance));
        assert_eq!(users.role("ha", "other"), Some(Role::Client));
        for (name, password) in [("us", "other"), ("ha", "s3cret"), ("us", ""), ("", ""), ("us", "s3cret ")] {
            assert_eq!(users.role(name, password), None);
        }
        assert_eq!(Users::new(&[]).role("", ""), None);
        assert!(users.is_appliance("us") && !users.is_appliance("ha") && !users.is_appliance("other"));
    }

    #[test]
    fn one_line_a_minute_and_address() {
        let refusals = Refusals::default();
        let (home, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let start = Instant::now();
        assert_eq!(refusals.note(home, start), Some(1));
        for second in 1..60 {
            assert_eq!(refusals.note(home, start + Duration::from_secs(second)), None);
        }
        assert_eq!(refusals.note(other, start), Some(1));
        assert_eq!(refusals.note(home, start + Duration::from_secs(60)), Some(60));
        for n in 0..1000u32 {
            let _ = refusals.note(IpAddr::from(n.to_be_bytes()), start);
        }
        assert!(refusals.0.lock().unwrap().len() <= MAX_ADDRESSES);
    }
}
