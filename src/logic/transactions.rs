//! Requests that were answered lately, so that one that comes twice is carried out once: MQTT may deliver a message again.
//!
//! Not here: what the requests are ([`super::request`]).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// How long an answer is remembered.
const KEPT: Duration = Duration::from_secs(300);
/// Answers at once, and their bytes; the oldest go first.
const MOST: usize = 256;
const MOST_BYTES: usize = 1 << 20;

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it has to be carried out.
    New,
    /// It is being carried out; the asker hears of it together with the first.
    UnderWay,
    /// It was carried out, and this was the answer.
    Answered(Bytes),
}

/// The memory; `A` is somebody who waits for an answer.
#[derive(Debug)]
pub struct Transactions<A>(VecDeque<Entry<A>>);

#[derive(Debug)]
struct Entry<A> {
    /// The request with its transaction and its body, whatever the caller makes of them.
    key: String,
    at: Instant,
    answer: Option<Bytes>,
    /// Who asked again meanwhile.
    waiting: Vec<A>,
}

impl<A> Default for Transactions<A> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<A> Transactions<A> {
    /// Notes that `asker` asks for this, and says what is known of it.
    pub fn ask(&mut self, key: &str, now: Instant, asker: impl FnOnce() -> A) -> Known {
        self.0.retain(|entry| now.saturating_duration_since(entry.at) < KEPT);
        match self.0.iter_mut().find(|entry| entry.key == key) {
            Some(Entry { answer: Some(answer), .. }) => Known::Answered(answer.clone()),
            Some(entry) => {
                entry.waiting.push(asker());
                Known::UnderWay
            }
            None => {
                self.0.push_back(Entry { key: key.into(), at: now, answer: None, waiting: Vec::new() });
                self.0.drain(..self.0.len().saturating_sub(MOST));
                Known::New
            }
        }
    }

    /// Notes the answer; returns who asked again while it was being made.
    pub fn answered(&mut self, key: &str, answer: &Bytes) -> Vec<A> {
        let Some(entry) = self.0.iter_mut().find(|entry| entry.key == key) else { return Vec::new() };
        entry.answer = Some(answer.clone());
        let waiting = std::mem::take(&mut entry.waiting);
        let mut bytes: usize = self.0.iter().map(Entry::bytes).sum();
        while bytes > MOST_BYTES
            && let Some(oldest) = self.0.pop_front()
        {
            bytes -= oldest.bytes();
        }
        waiting
    }

    /// Forgets what is under way: its answer cannot arrive any more.
    pub fn give_up(&mut self) {
        self.0.retain(|entry| entry.answer.is_some());
    }
}

impl<A> Entry<A> {
    fn bytes(&self) -> usize {
        self.answer.as_ref().map_or(0, Bytes::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_carried_out_once_within_five_minutes() {
        let (mut known, start) = (Transactions::default(), Instant::now());
        assert_eq!(known.ask("a", start, || 1), Known::New);
        assert_eq!(known.ask("a", start, || 2), Known::UnderWay);
        assert_eq!(known.ask("b", start, || 3), Known::New);
        let answer = Bytes::from_static(b"done");
        assert_eq!(known.answered("a", &answer), [2]);
        let almost = start + Duration::from_secs(299);
        assert_eq!(known.ask("a", almost, || 4), Known::Answered(answer));
        assert_eq!(known.ask("a", start + Duration::from_secs(300), || 5), Known::New);
    }

    #[test]
    fn what_lost_its_answer_may_be_asked_again() {
        let (mut known, now) = (Transactions::default(), Instant::now());
        assert_eq!(known.ask("a", now, || 1), Known::New);
        known.give_up();
        assert_eq!(known.ask("a", now, || 2), Known::New);
    }

    #[test]
    fn memory_is_bounded_by_number_and_by_bytes() {
        let (mut known, now) = (Transactions::default(), Instant::now());
        for number in 0..1000 {
            assert_eq!(known.ask(&number.to_string(), now, || ()), Known::New);
        }
        assert_eq!(known.0.len(), MOST);
        let large = Bytes::from(vec![0; MOST_BYTES / 2 + 1]);
        for number in [998, 999] {
            let _ = known.answered(&number.to_string(), &large);
        }
        assert_eq!(known.ask("998", now, || ()), Known::New, "the older large answer went");
        assert_eq!(known.ask("999", now, || ()), Known::Answered(large));
    }
}
