//! How often something may be asked: so many at once, and then so many a second.
//!
//! Not here: wrong passwords; the HTTP side and the broker hold those back by address.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Requests of one verb that are taken at once. A hand that clicks or a script over a folder never gets there.
const AT_ONCE: u32 = 50;
/// After those, one of the same verb in this time: ten a second.
const EVERY: Duration = Duration::from_millis(100);

/// What was asked lately, by verb: when the next request would be on time if they came evenly.
#[derive(Clone, Debug, Default)]
pub struct Pace(BTreeMap<String, Instant>);

impl Pace {
    /// Whether one more request of this verb is taken now; it is counted if it is. (The virtual scheduling form of the generic
    /// cell rate algorithm, ITU-T I.371.)
    pub fn takes(&mut self, verb: &str, now: Instant) -> bool {
        let due = self.0.get(verb).copied().unwrap_or(now).max(now);
        let is_taken = due.saturating_duration_since(now) <= EVERY * (AT_ONCE - 1);
        if is_taken {
            // Verbs that are on time again need no entry, so strange ones do not pile up.
            self.0.retain(|_, due| *due > now);
            self.0.insert(verb.to_owned(), due + EVERY);
        }
        is_taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_at_once_and_then_ten_a_second_for_each_verb() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let taken = (0..200).filter(|_| pace.takes("snapshot", start)).count();
        assert_eq!(taken, 50);
        assert!(pace.takes("ping", start), "another verb is not held back");
        let second = (1..=100).filter(|n| pace.takes("snapshot", start + Duration::from_millis(10 * n)));
        assert_eq!(second.count(), 10);
        let later = start + Duration::from_secs(60);
        assert_eq!((0..200).filter(|_| pace.takes("snapshot", later)).count(), 50);
        assert_eq!(pace.0.len(), 1, "what is on time again is forgotten");
    }
}
