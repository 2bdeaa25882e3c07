//! How many wrong tokens one address may send: a bucket of attempts that fills again slowly.
//!
//! Pure: the time comes in. Not here: what a wrong token is ([`super::accounts`]).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Wrong tokens that are answered at once before the rate holds.
const BURST: f64 = 10.0;
/// Time in which one more attempt becomes free.
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
#[derive(Default)]
pub struct Throttle {
    buckets: BTreeMap<IpAddr, Bucket>,
}

struct Bucket {
    left: f64,
    at: Instant,
    /// Whether one too many was tried since the bucket was last full.
    overdrawn: bool,
}

impl Throttle {
    /// Counts a wrong token.
    pub fn wrong(&mut self, now: Instant, address: IpAddr) -> Verdict {
        let address = network(address);
        if !self.buckets.contains_key(&address) {
            self.make_room();
        }
        let bucket = self.buckets.entry(address).or_insert(Bucket { left: BURST, at: now, overdrawn: false });
        let refilled = now.saturating_duration_since(bucket.at).as_secs_f64() / REFILL.as_secs_f64();
        bucket.left = (bucket.left + refilled).min(BURST);
        bucket.at = now;
        if bucket.left < 1.0 {
            let wait_s = ((1.0 - bucket.left) * REFILL.as_secs_f64()).ceil() as u64;
            let first = !std::mem::replace(&mut bucket.overdrawn, true);
            return Verdict::TooMany { wait_s, first };
        }
        let first = bucket.left > BURST - 1e-6;
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
