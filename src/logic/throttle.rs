//! How many wrong tokens, passwords or pairing codes one address may send: a bucket of attempts that fills again slowly.
//!
//! Pure: the time comes in. Not here: what a wrong one is ([`super::accounts`]), and what one account takes ([`super::accounts`] too).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Wrong ones that are answered at once before the rate holds, if nobody says how many.
const BURST: u32 = 10;
/// Time in which one more attempt becomes free, if nobody says how much.
const REFILL: Duration = Duration::from_secs(6);
/// Addresses remembered; the one seen longest ago makes room.
const MOST_ADDRESSES: usize = 1024;

/// What became of one wrong attempt.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is simply wrong.
    Wrong {
        /// The first of this address since a while.
        first: bool,
    },
    /// It was one too many.
    TooMany {
        /// Seconds until the next is free.
        wait_s: u64,
        /// The first such one since a while.
        first: bool,
    },
}

/// The attempts left to each address.
pub struct Throttle {
    burst: f64,
    refill: f64,
    buckets: BTreeMap<IpAddr, Bucket>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new(BURST, REFILL)
    }
}

struct Bucket {
    left: f64,
    at: Instant,
    /// Whether one too many was tried since the bucket was last full.
    overdrawn: bool,
}

impl Throttle {
    /// `burst` wrong ones are free; then one in each `refill`.
    #[must_use]
    pub fn new(burst: u32, refill: Duration) -> Self {
        Self { burst: burst.into(), refill: refill.as_secs_f64(), buckets: BTreeMap::new() }
    }

    /// Whether an attempt is not even looked at; asked before it costs anything. Counts nothing.
    pub fn refuses(&mut self, now: Instant, address: IpAddr) -> Option<Verdict> {
        let (burst, refill) = (self.burst, self.refill);
        let bucket = self.buckets.get_mut(&network(address))?;
        bucket.fill(now, burst, refill);
        bucket.too_many(refill)
    }

    /// Counts a wrong one.
    pub fn wrong(&mut self, now: Instant, address: IpAddr) -> Verdict {
        let address = network(address);
        if !self.buckets.contains_key(&address) {
            self.make_room();
        }
        let (burst, refill) = (self.burst, self.refill);
        let bucket = self.buckets.entry(address).or_insert(Bucket { left: burst, at: now, overdrawn: false });
        bucket.fill(now, burst, refill);
        if let Some(verdict) = bucket.too_many(refill) {
            return verdict;
        }
        let first = bucket.left > burst - 1e-6;
        bucket.overdrawn &= !first;
        bucket.left -= 1.0;
        Verdict::Wrong { first }
    }

    fn make_room(&mut self) {
        if self.buckets.len() < MOST_ADDRESSES {
            return;
        }
        let oldest = self.buckets.iter().min_by_key(|(_, bucket)| bucket.at).map(|(address, _)| *address);
        if let Some(oldest) = oldest {
            self.buckets.remove(&oldest);
        }
    }
}

impl Bucket {
    fn fill(&mut self, now: Instant, burst: f64, refill: f64) {
        let refilled = now.saturating_duration_since(self.at).as_secs_f64() / refill;
        self.left = (self.left + refilled).min(burst);
        self.at = now;
    }

    fn too_many(&mut self, refill: f64) -> Option<Verdict> {
        // What is one attempt but for the rounding is one.
        if self.left >= 1.0 - 1e-9 {
            return None;
        }
        let wait_s = ((1.0 - self.left) * refill).ceil() as u64;
        let first = !std::mem::replace(&mut self.overdrawn, true);
        Some(Verdict::TooMany { wait_s, first })
    }
}

/// One IPv6 customer owns a whole /64, so its addresses count as one; IPv4 in IPv6 clothes counts as IPv4.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0a00_0000 + last).into()
    }

    #[test]
    fn ten_are_free_then_one_in_six_seconds() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        for attempt in 0..10 {
            assert_eq!(throttle.wrong(start, address(1)), Verdict::Wrong { first: attempt == 0 });
        }
        assert_eq!(throttle.wrong(start, address(1)), Verdict::TooMany { wait_s: 6, first: true });
        assert_eq!(throttle.wrong(start, address(1)), Verdict::TooMany { wait_s: 6, first: false });
        assert_eq!(throttle.wrong(start, address(2)), Verdict::Wrong { first: true });
        let later = start + Duration::from_millis(6100);
        assert_eq!(throttle.wrong(later, address(1)), Verdict::Wrong { first: false });
        assert!(matches!(throttle.wrong(later, address(1)), Verdict::TooMany { .. }));
        let tomorrow = start + Duration::from_secs(86400);
        assert_eq!(throttle.wrong(tomorrow, address(1)), Verdict::Wrong { first: true });
    }

    #[test]
    fn asking_counts_nothing_and_other_rates_hold_too() {
        let (mut guesses, start) = (Throttle::new(5, Duration::from_secs(120)), Instant::now());
        for attempt in 0..5 {
            assert_eq!(guesses.refuses(start, address(1)), None);
            assert_eq!(guesses.wrong(start, address(1)), Verdict::Wrong { first: attempt == 0 });
        }
        assert_eq!(guesses.refuses(start, address(1)), Some(Verdict::TooMany { wait_s: 120, first: true }));
        assert_eq!(guesses.refuses(start, address(1)), Some(Verdict::TooMany { wait_s: 120, first: false }));
        assert_eq!(guesses.refuses(start, address(2)), None);
        let later = start + Duration::from_secs(121);
        assert_eq!(guesses.refuses(later, address(1)), None);
        assert_eq!(guesses.wrong(later, address(1)), Verdict::Wrong { first: false });
        assert!(guesses.refuses(later, address(1)).is_some());
    }

    #[test]
    fn memory_is_bounded_and_keeps_the_newest() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        for last in 0..5000 {
            throttle.wrong(start + Duration::from_millis(u64::from(last)), address(last));
        }
        assert_eq!(throttle.buckets.len(), MOST_ADDRESSES);
        assert!(throttle.buckets.contains_key(&address(4999)) && !throttle.buckets.contains_key(&address(0)));
    }

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let same = |one: &str, other: &str| network(one.parse().unwrap()) == network(other.parse().unwrap());
        assert!(same("2001:db8::1", "2001:db8::ffff:2"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:10.0.0.1", "10.0.0.1"));
        assert!(!same("10.0.0.1", "10.0.0.2"));
    }
}
