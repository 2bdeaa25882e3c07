//! Wrong passwords, counted for each account: after ten in a row a viewer is locked, and everybody has to wait longer and longer.
//!
//! Wrong ones from a network from which the user signed in lately count by themselves, so that an attack from elsewhere does not slow
//! the owner at home. Names that nobody has are counted too: an answer shall not tell which names there are. Not here: what one
//! address may try ([`super::super::throttle`]).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Wrong ones in a row before anything happens.
const FREE: u32 = 10;
/// The first wait; each further wrong one doubles it …
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// … up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After so long without a wrong one the row is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);
/// Names that nobody has, of which a row is kept; the one tried longest ago makes room.
const MOST_STRANGERS: usize = 256;

/// From where somebody tries: a network that is the user's own, or anywhere else.
pub type Side = Option<IpAddr>;

/// What kind of account a name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// An admin: slowed, never locked.
    Admin,
    /// A viewer: locked.
    Viewer,
    /// Nobody's.
    Nobody,
}

/// What follows from one more wrong password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Counted,
    /// It was the last one before waits begin: people are told.
    Slowed,
    /// The account is to be locked, and people are told.
    Lock,
}

/// The rows of wrong passwords.
#[derive(Default)]
pub struct Attempts {
    /// By name in small letters and side.
    users: BTreeMap<(String, Side), Row>,
    strangers: BTreeMap<String, Row>,
}

#[derive(Clone, Copy)]
struct Row {
    wrong: u32,
    last: Instant,
}

impl Row {
    fn wait(&self, now: Instant) -> Option<Duration> {
        let doublings = self.wrong.checked_sub(FREE)?.min(8);
        let wait = (FIRST_WAIT * (1 << doublings)).min(LONGEST_WAIT);
        let left = wait.saturating_sub(now.saturating_duration_since(self.last));
        (!left.is_zero()).then_some(left)
    }
}

impl Attempts {
    /// Seconds to wait until a password for this name is looked at; none = it is now.
    #[must_use]
    pub fn wait(&self, now: Instant, name: &str, side: Side, account: Account) -> Option<u64> {
        let name = name.to_ascii_lowercase();
        let row = match account {
            Account::Nobody => self.strangers.get(&name),
            Account::Admin | Account::Viewer => self.users.get(&(name, side)),
        };
        row.and_then(|row| row.wait(now)).map(|left| left.as_secs_f64().ceil() as u64)
    }

    /// Counts a wrong password.
    pub fn wrong(&mut self, now: Instant, name: &str, side: Side, account: Account) -> Outcome {
        let is_fresh = |row: &mut Row| now.saturating_duration_since(row.last) < FORGOTTEN;
        self.users.retain(|_, row| is_fresh(row));
        self.strangers.retain(|_, row| is_fresh(row));
        let (name, new) = (name.to_ascii_lowercase(), Row { wrong: 0, last: now });
        let row = match account {
            Account::Nobody => {
                self.make_room(&name);
                self.strangers.entry(name).or_insert(new)
            }
            Account::Admin | Account::Viewer => self.users.entry((name, side)).or_insert(new),
        };
        *row = Row { wrong: row.wrong.saturating_add(1), last: now };
        match (row.wrong, account) {
            (FREE, Account::Viewer) => Outcome::Lock,
            (FREE, Account::Admin | Account::Nobody) => Outcome::Slowed,
            _ => Outcome::Counted,
        }
    }

    /// The user has signed in from there.
    pub fn right(&mut self, name: &str, side: Side) {
        self.users.remove(&(name.to_ascii_lowercase(), side));
    }

    /// The account begins anew: an admin has unlocked it, or set a password.
    pub fn forget(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        self.users.retain(|(of, _), _| *of != name);
        self.strangers.remove(&name);
    }

    fn make_room(&mut self, name: &str) {
        if self.strangers.len() < MOST_STRANGERS || self.strangers.contains_key(name) {
            return;
        }
        let oldest = self.strangers.iter().min_by_key(|(_, row)| row.last).map(|(name, _)| name.clone());
        if let Some(oldest) = oldest {
            self.strangers.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_HOME: Side = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 5)));

    #[test]
    fn after_ten_a_viewer_is_locked_and_an_admin_waits_longer_and_longer() {
        for (account, tenth) in [
            (Account::Viewer, Outcome::Lock),
            (Account::Admin, Outcome::Slowed),
            (Account::Nobody, Outcome::Slowed),
        ] {
            let (mut attempts, mut now) = (Attempts::default(), Instant::now());
            for number in 1..=10 {
                assert_eq!(attempts.wait(now, "anna", None, account), None, "{account:?} {number}");
                let expected = if number == 10 { tenth } else { Outcome::Counted };
                assert_eq!(attempts.wrong(now, "Anna", None, account), expected, "{account:?} {number}");
            }
            for seconds in [5, 10, 20, 40, 60, 60, 60] {
                assert_eq!(attempts.wait(now, "ANNA", None, account), Some(seconds), "{account:?}");
                now += Duration::from_secs(seconds - 1);
                assert_eq!(attempts.wait(now, "anna", None, account), Some(1), "{account:?}");
                now += Duration::from_secs(1);
                assert_eq!(attempts.wait(now, "anna", None, account), None, "never for good: {account:?}");
                assert_eq!(attempts.wrong(now, "anna", None, account), Outcome::Counted);
            }
        }
    }

    #[test]
    fn the_owner_at_home_is_not_slowed_by_strangers_elsewhere() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..50 {
            let _ = attempts.wrong(now, "anna", None, Account::Admin);
        }
        assert_eq!(attempts.wait(now, "anna", None, Account::Admin), Some(60));
        assert_eq!(attempts.wait(now, "anna", AT_HOME, Account::Admin), None);
        attempts.right("anna", AT_HOME);
        assert_eq!(
            attempts.wait(now, "anna", None, Account::Admin),
            Some(60),
            "that does not help the strangers"
        );
        attempts.forget("ANNA");
        assert_eq!(attempts.wait(now, "anna", None, Account::Admin), None);
    }

    #[test]
    fn only_wrong_ones_in_a_row_count_and_a_day_ends_the_row() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..3 {
            for _ in 0..9 {
                assert_eq!(attempts.wrong(now, "bob", AT_HOME, Account::Viewer), Outcome::Counted);
            }
            attempts.right("bob", AT_HOME);
        }
        for _ in 0..9 {
            let _ = attempts.wrong(now, "bob", None, Account::Viewer);
        }
        let tomorrow = now + FORGOTTEN;
        assert_eq!(attempts.wrong(tomorrow, "bob", None, Account::Viewer), Outcome::Counted);
    }

    #[test]
    fn strangers_do_not_fill_the_memory_nor_push_users_out() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..10 {
            let _ = attempts.wrong(now, "anna", None, Account::Admin);
        }
        for number in 0..5000_u32 {
            let at = now + Duration::from_millis(number.into());
            let _ = attempts.wrong(at, &format!("name{number}"), None, Account::Nobody);
        }
        assert_eq!((attempts.strangers.len(), attempts.users.len()), (MOST_STRANGERS, 1));
        assert!(attempts.wait(now, "anna", None, Account::Admin).is_some());
    }
}
