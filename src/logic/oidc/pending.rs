//! The sign-ins that were begun and not finished: each is good once, for ten minutes, in the browser that began it.
//!
//! Time and random bytes come in. Not here: what the provider then says ([`super::claims`]).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest, Sha256};

use super::Refusal;
use crate::logic::throttle::network;

/// How long somebody may take at the provider.
pub const LIFE: Duration = Duration::from_mins(10);
/// Sign-ins that may wait; the route that begins them is open to everybody.
const MOST: usize = 100;
/// Of one address, so that a stranger who begins many pushes out only those of their own.
const MOST_PER_ADDRESS: usize = 10;
/// Random bytes of each secret.
const SECRET: usize = 32;
/// Random bytes that one sign-in takes.
pub const RANDOM: usize = 4 * SECRET;

/// What a begun sign-in sends to the provider and to the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Names the sign-in on its way through the browser.
    pub state: String,
    /// Comes back within the token.
    pub nonce: String,
    /// The hash of what we will show together with the code (PKCE, S256).
    pub challenge: String,
    /// For the browser's cookie; it never stands in an address.
    pub browser: String,
}

/// What is left to finish a sign-in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The token must have it.
    pub nonce: String,
    /// What [`Begun::challenge`] is the hash of.
    pub verifier: String,
    browser: [u8; 32],
    address: IpAddr,
    since: Instant,
}

/// The sign-ins that wait, by the hash of their state.
#[derive(Default)]
pub struct Pending {
    waiting: BTreeMap<[u8; 32], Waiting>,
}

impl Pending {
    /// Begins one.
    pub fn begin(&mut self, now: Instant, address: IpAddr, random: &[u8; RANDOM]) -> Begun {
        let address = network(address);
        self.waiting.retain(|_, waiting| now.saturating_duration_since(waiting.since) <= LIFE);
        self.make_room(|waiting| waiting.address == address, MOST_PER_ADDRESS);
        self.make_room(|_| true, MOST);
        let secret = |number: usize| BASE64.encode(&random[number * SECRET..(number + 1) * SECRET]);
        let [state, nonce, verifier, browser] = [0, 1, 2, 3].map(secret);
        let challenge = BASE64.encode(Sha256::digest(&verifier));
        let waiting =
            Waiting { nonce: nonce.clone(), verifier, browser: digest(&browser), address, since: now };
        self.waiting.insert(digest(&state), waiting);
        Begun { state, nonce, challenge, browser }
    }

    /// Takes one out, whatever comes of it. What strangers show is compared only as hashes, so that the time it takes tells nothing.
    ///
    /// # Errors
    /// [`Refusal::UnknownState`], [`Refusal::TooLate`], [`Refusal::OtherBrowser`].
    pub fn take(&mut self, now: Instant, state: &str, browser: Option<&str>) -> Result<Waiting, Refusal> {
        let waiting = self.waiting.remove(&digest(state)).ok_or(Refusal::UnknownState)?;
        if now.saturating_duration_since(waiting.since) > LIFE {
            return Err(Refusal::TooLate);
        }
        if browser.map(digest) != Some(waiting.browser) {
            return Err(Refusal::OtherBrowser);
        }
        Ok(waiting)
    }

    /// Removes the oldest of some until fewer than `most` of them are left.
    fn make_room(&mut self, of: impl Fn(&Waiting) -> bool, most: usize) {
        while self.waiting.values().filter(|waiting| of(waiting)).count() >= most {
            let some = self.waiting.iter().filter(|(_, waiting)| of(waiting));
            let Some(oldest) = some.min_by_key(|(_, waiting)| waiting.since).map(|(key, _)| *key) else {
                return;
            };
            self.waiting.remove(&oldest);
        }
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: u8) -> [u8; RANDOM] {
        std::array::from_fn(|at| seed.wrapping_add(u8::try_from(at).unwrap()))
    }

    fn home() -> IpAddr {
        "192.168.1.7".parse().unwrap()
    }

    #[test]
    fn each_is_good_once_in_time_and_in_its_own_browser() {
        let begin = Instant::now();
        // after how long, the state is ours, the browser's cookie, what comes of it
        for (after, is_ours, cookie, expected) in [
            (1, true, Some(true), Ok(())),
            (600, true, Some(true), Ok(())),
            (601, true, Some(true), Err(Refusal::TooLate)),
            (1, false, Some(true), Err(Refusal::UnknownState)),
            (1, true, Some(false), Err(Refusal::OtherBrowser)),
            (1, true, None, Err(Refusal::OtherBrowser)),
        ] {
            let mut pending = Pending::default();
            let begun = pending.begin(begin, home(), &random(1));
            let state = if is_ours { begun.state.as_str() } else { "guessed" };
            let browser = cookie.map(|right| if right { begun.browser.as_str() } else { "another" });
            let now = begin + Duration::from_secs(after);
            let taken = pending.take(now, state, browser);
            assert_eq!(taken.clone().map(drop), expected, "{after} s, {is_ours}, {cookie:?}");
            if let Ok(waiting) = taken {
                assert_eq!(waiting.nonce, begun.nonce);
                assert_eq!(BASE64.encode(Sha256::digest(&waiting.verifier)), begun.challenge);
            }
            let again = pending.take(now, &begun.state, Some(&begun.browser));
            let is_left = !is_ours;
            assert_eq!(again.is_ok(), is_left, "a state is used up by whatever was tried with it");
        }
    }

    #[test]
    fn the_four_secrets_are_different_and_long() {
        let begun = Pending::default().begin(Instant::now(), home(), &random(9));
        let Begun { state, nonce, challenge, browser } = begun;
        let mut all = [state, nonce, challenge, browser];
        assert!(all.iter().all(|text| text.len() == 43 && !text.contains(['+', '/', '='])), "{all:?}");
        all.sort();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_stranger_who_begins_many_pushes_out_only_their_own() {
        let (mut pending, begin) = (Pending::default(), Instant::now());
        let mut dice = 0u8;
        let mut begin_from = |pending: &mut Pending, address: IpAddr, after: u64| {
            dice += 1;
            pending.begin(begin + Duration::from_millis(after), address, &random(dice))
        };
        let ours = begin_from(&mut pending, home(), 0);
        let stranger: IpAddr = "203.0.113.9".parse().unwrap();
        let theirs: Vec<Begun> = (1..50).map(|at| begin_from(&mut pending, stranger, at)).collect();
        assert_eq!(pending.waiting.len(), 1 + MOST_PER_ADDRESS);
        let now = begin + Duration::from_secs(1);
        assert_eq!(pending.take(now, &theirs[0].state, Some(&theirs[0].browser)), Err(Refusal::UnknownState));
        assert!(pending.take(now, &theirs[48].state, Some(&theirs[48].browser)).is_ok());
        assert!(pending.take(now, &ours.state, Some(&ours.browser)).is_ok());
        for number in 0..150u8 {
            let address = IpAddr::from([10, 0, number, 1]);
            begin_from(&mut pending, address, 2000 + u64::from(number));
        }
        assert_eq!(pending.waiting.len(), MOST);
        let late = begin + LIFE + Duration::from_mins(1);
        pending.begin(late, home(), &random(250));
        assert_eq!(pending.waiting.len(), 1, "what is too old is forgotten");
    }
}
