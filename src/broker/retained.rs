//! The retained messages, under a cap of topics and bytes.
//!
//! rumqttd's own retained table is not used: it hands at most 100 messages to a QoS 1 subscriber, never resends on a
//! second SUBSCRIBE, and drops a retained message on an empty publish without the retain flag. Not here: delivery.

use std::collections::HashMap;
use std::time::Instant;

use super::message::Message;
use super::topic;

/// All retained messages of the broker by topic.
#[derive(Default)]
pub(super) struct Retained {
    by_topic: HashMap<String, Kept>,
    bytes: usize,
}

struct Kept {
    message: Message,
    since: Instant,
}

impl Kept {
    fn size(&self) -> usize {
        2 * self.message.topic.len() + self.message.payload.len() + self.message.properties_size()
    }

    /// Seconds left of the MQTT 5 expiry, none without one; the error says that it ran out.
    fn left(&self, now: Instant) -> Result<Option<u32>, ()> {
        let Some(interval) = self.message.properties.message_expiry_interval else { return Ok(None) };
        let spent = u32::try_from(now.saturating_duration_since(self.since).as_secs()).unwrap_or(u32::MAX);
        interval.checked_sub(spent).filter(|left| *left > 0).map(Some).ok_or(())
    }

    /// The message as of `now`; none once it expired.
    fn at(&self, now: Instant) -> Option<Message> {
        let left = self.left(now).ok()?;
        let mut message = self.message.clone();
        message.properties.message_expiry_interval = left;
        Some(message)
    }
}

impl Retained {
    /// Keeps `message` in place of an older one on its topic, or forgets that one when the payload is empty.
    /// False: it was not kept, because a cap is reached; the older one is then gone too.
    pub(super) fn keep(
        &mut self,
        message: &Message,
        now: Instant,
        max_topics: usize,
        max_bytes: usize,
    ) -> bool {
        if let Some(old) = self.by_topic.remove(&message.topic) {
            self.bytes -= old.size();
        }
        if message.payload.is_empty() {
            return true;
        }
        let kept = Kept { message: Message { retain: true, ..message.clone() }, since: now };
        if self.by_topic.len() >= max_topics || self.bytes + kept.size() > max_bytes {
            return false;
        }
        self.bytes += kept.size();
        self.by_topic.insert(message.topic.clone(), kept);
        true
    }

    /// The messages that `filter` matches, in the order of their topics.
    pub(super) fn matching(&self, filter: &str, now: Instant) -> Vec<Message> {
        if !topic::is_wild(filter) {
            return self.by_topic.get(filter).and_then(|kept| kept.at(now)).into_iter().collect();
        }
        let mut found: Vec<Message> = self
            .by_topic
            .iter()
            .filter(|(name, _)| topic::matches(filter, name))
            .filter_map(|(_, kept)| kept.at(now))
            .collect();
        found.sort_by(|a, b| a.topic.cmp(&b.topic));
        found
    }

    /// Forgets what has expired.
    pub(super) fn sweep(&mut self, now: Instant) {
        let bytes = &mut self.bytes;
        self.by_topic.retain(|_, kept| {
            let alive = kept.left(now).is_ok();
            if !alive {
                *bytes -= kept.size();
            }
            alive
        });
    }

    /// Topics and bytes held.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.by_topic.len(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn message(topic: &str, payload: &'static [u8]) -> Message {
        Message::new(topic, payload, 1, true)
    }

    #[test]
    fn keeps_the_newest_and_forgets_on_empty() {
        let now = Instant::now();
        let mut retained = Retained::default();
        assert!(retained.keep(&message("a/b", b"1"), now, 10, 1000));
        assert!(retained.keep(&message("a/b", b"22"), now, 10, 1000));
        assert!(retained.keep(&message("a/c", b"3"), now, 10, 1000));
        let found = retained.matching("a/+", now);
        assert_eq!(found.iter().map(|m| m.payload.as_ref()).collect::<Vec<_>>(), [b"22".as_ref(), b"3"]);
        assert!(found.iter().all(|m| m.retain));
        assert_eq!(retained.matching("a/b", now).len(), 1);
        assert!(retained.keep(&message("a/b", b""), now, 10, 1000));
        assert!(retained.keep(&message("a/c", b""), now, 10, 1000));
        assert_eq!(retained.size(), (0, 0));
    }

    #[test]
    fn caps_topics_and_bytes() {
        let now = Instant::now();
        let mut retained = Retained::default();
        assert!(retained.keep(&message("a", b"1"), now, 2, 20));
        assert!(!retained.keep(&message("b", b"a payload that is too large"), now, 2, 20));
        assert!(retained.keep(&message("b", b"2"), now, 2, 20));
        assert!(!retained.keep(&message("c", b"3"), now, 2, 20));
        assert!(retained.keep(&message("a", b"4"), now, 2, 20), "a known topic may change at the cap");
        assert_eq!(retained.size().0, 2);
    }

    #[test]
    fn expiry_counts_down_once_and_ends() {
        let start = Instant::now();
        let mut mortal = message("a", b"1");
        mortal.properties.message_expiry_interval = Some(10);
        let mut retained = Retained::default();
        assert!(retained.keep(&mortal, start, 10, 1000));
        for _ in 0..2 {
            let found = retained.matching("a", start + Duration::from_secs(4));
            assert_eq!(found[0].properties.message_expiry_interval, Some(6));
        }
        assert!(retained.matching("#", start + Duration::from_secs(10)).is_empty());
        retained.sweep(start + Duration::from_secs(10));
        assert_eq!(retained.size(), (0, 0));
    }
}
