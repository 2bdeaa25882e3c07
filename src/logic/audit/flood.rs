//! What of many entries is written: somebody who knocks a thousand times gets a few lines and a number, so that nobody fills the disk.
//!
//! Pure: the time comes in. Not here: how much is kept in all ([`super::MOST_KEPT`]).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{Entry, Kind};
use crate::logic::throttle::network;

/// Entries are counted for so long before the number is written.
pub const WINDOW: Duration = Duration::from_secs(60);
/// Different entries about strangers that are written in that time, over all addresses …
const MOST_OF_STRANGERS: usize = 30;
/// … and from one address.
const MOST_OF_ONE: usize = 5;
/// Different entries of people who were let in that are counted; more are written one by one.
const MOST_COUNTED: usize = 512;

/// What was written since the window began.
#[derive(Default)]
pub struct Flood {
    /// When it began.
    began: Option<Instant>,
    /// Each different entry, and how often it came again.
    seen: BTreeMap<(String, &'static str, String, String), Again>,
    /// Entries about strangers that were only counted, and the last of them.
    others: Option<Again>,
    /// How many of strangers are among `seen`, by address.
    of_strangers: BTreeMap<String, usize>,
}

struct Again {
    last: Entry,
    count: u64,
}

impl Flood {
    /// Takes an entry: what is to be written now. Ask [`Flood::due`] first.
    pub fn take(&mut self, now: Instant, entry: Entry) -> Option<Entry> {
        // Each of these is one of its kind.
        if matches!(entry.kind, Kind::Audit | Kind::System) {
            return Some(entry);
        }
        self.began.get_or_insert(now);
        let Entry { kind, user, address, text, .. } = &entry;
        let whose = if kind.is_of_strangers() { neighbourhood(address) } else { address.clone() };
        let key = (whose, kind.word(), user.clone(), text.clone());
        if let Some(again) = self.seen.get_mut(&key) {
            *again = Again { count: again.count + 1, last: entry };
            return None;
        }
        if kind.is_of_strangers() {
            let n_all: usize = self.of_strangers.values().sum();
            let n_here = self.of_strangers.get(&key.0).copied().unwrap_or(0);
            if n_all >= MOST_OF_STRANGERS || n_here >= MOST_OF_ONE {
                let count = self.others.as_ref().map_or(0, |others| others.count) + 1;
                self.others = Some(Again { last: entry, count });
                return None;
            }
            *self.of_strangers.entry(key.0.clone()).or_default() += 1;
        } else if self.seen.len() >= MOST_COUNTED {
            return Some(entry);
        }
        self.seen.insert(key, Again { last: entry.clone(), count: 0 });
        Some(entry)
    }

    /// What is to be written because the window is over: how often each entry came again. Nothing before that.
    pub fn due(&mut self, now: Instant) -> Vec<Entry> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Vec::new();
        }
        self.end()
    }

    /// Ends the window at once.
    pub fn end(&mut self) -> Vec<Entry> {
        let Self { seen, others, .. } = std::mem::take(self);
        let again = seen.into_values().filter(|again| again.count > 0).map(|Again { last, count }| {
            let text = format!("{} ({count} more of the same)", last.text);
            Entry { text, ..last }
        });
        let others = others.map(|Again { last, count }| {
            let text =
                format!("{count} more were refused and not written one by one; the last: {}", last.text);
            Entry { text, alert: false, ..last }
        });
        again.chain(others).collect()
    }

    /// When the window is over; none while there is none.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.began.map(|began| began + WINDOW)
    }
}

/// What counts as one stranger: the first address of the way, and with IPv6 everybody of the same customer.
fn neighbourhood(route: &str) -> String {
    let first = route.split(',').next().unwrap_or(route).trim();
    first.parse::<IpAddr>().map_or_else(|_| first.to_owned(), |address| network(address).to_string())
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn entry(kind: Kind, address: &str, text: &str) -> Entry {
        let ts = "2026-01-01T00:00:00Z".parse().unwrap();
        let (address, text) = (address.to_owned(), text.to_owned());
        Entry { ts, level: Level::Warning, kind, alert: false, user: String::new(), address, text }
    }

    #[test]
    fn the_same_is_written_once_and_then_counted() {
        let (mut flood, start) = (Flood::default(), Instant::now());
        for n in 0..1000 {
            let written = flood.take(start, entry(Kind::Refused, "8.8.8.8", "GET /: refused"));
            assert_eq!(written.is_some(), n == 0);
        }
        assert!(flood.due(start + WINDOW - Duration::from_millis(1)).is_empty());
        let counted = flood.due(start + WINDOW);
        assert_eq!(counted.len(), 1);
        assert_eq!(counted[0].text, "GET /: refused (999 more of the same)");
        assert!(flood.due(start + 2 * WINDOW).is_empty() && flood.deadline().is_none());
        assert!(flood.take(start + WINDOW, entry(Kind::Refused, "8.8.8.8", "GET /: refused")).is_some());
    }

    #[test]
    fn a_scanner_gets_a_few_lines_whatever_it_asks_for() {
        let (mut flood, start) = (Flood::default(), Instant::now());
        let mut n_written = 0;
        for n in 0..10_000 {
            let text = format!("GET /{n}: refused");
            n_written += usize::from(flood.take(start, entry(Kind::Refused, "8.8.8.8", &text)).is_some());
        }
        assert_eq!(n_written, MOST_OF_ONE);
        // The same customer with another address of its own.
        let mut n_written = 0;
        for n in 0..100 {
            let address = format!("2001:db8::{n:x}, 10.0.0.1");
            n_written +=
                usize::from(flood.take(start, entry(Kind::Attack, &address, &n.to_string())).is_some());
        }
        assert_eq!(n_written, MOST_OF_ONE);
        // Ten thousand scanners together.
        for n in 0..10_000u32 {
            let address = std::net::Ipv4Addr::from_bits(0x0808_0000 + n).to_string();
            n_written += usize::from(flood.take(start, entry(Kind::Refused, &address, "GET /")).is_some());
        }
        assert_eq!(n_written, MOST_OF_STRANGERS - MOST_OF_ONE);
        let counted = flood.end();
        assert_eq!(counted.len(), 1);
        let n_only_counted = 10_000 - 5 + 100 - 5 + 10_000 - 20;
        assert!(counted[0].text.starts_with(&format!("{n_only_counted} more")), "{}", counted[0].text);
    }

    #[test]
    fn nothing_of_people_who_are_in_is_lost() {
        let (mut flood, start) = (Flood::default(), Instant::now());
        for n in 0..2000 {
            assert!(flood.take(start, entry(Kind::Change, "192.168.1.9", &n.to_string())).is_some(), "{n}");
        }
        for _ in 0..3 {
            assert!(flood.take(start, entry(Kind::Audit, "", "cleared")).is_some());
        }
        for n in 0..5 {
            let written = flood.take(start, entry(Kind::Change, "192.168.1.9", "7")).is_some();
            assert!(!written, "{n}: counted");
        }
        let counted = flood.end();
        assert_eq!((counted.len(), counted[0].text.as_str()), (1, "7 (5 more of the same)"));
    }
}
