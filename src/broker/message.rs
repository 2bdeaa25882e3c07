//! One application message inside the broker, and its envelope through the router.
//!
//! Not here: bytes on the network; see [`super::wire`].

use bytes::Bytes;
use rumqttd::protocol::{Packet, Publish, PublishProperties};

/// A message between a publisher and its subscribers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    /// A valid topic name.
    pub(super) topic: String,
    /// Any bytes.
    pub(super) payload: Bytes,
    /// Quality of service: 0, 1 or 2.
    pub(super) qos: u8,
    /// The retain flag.
    pub(super) retain: bool,
    /// MQTT 5 properties; all empty for a message from a 3.1.1 client. Towards a subscriber the subscription
    /// identifiers are the subscriber's own.
    pub(super) properties: PublishProperties,
}

impl Message {
    /// A message without properties. The payload is copied, so that no small message keeps a large read buffer alive.
    pub(super) fn new(topic: &str, payload: &[u8], qos: u8, retain: bool) -> Message {
        Message {
            topic: topic.to_owned(),
            payload: Bytes::copy_from_slice(payload),
            qos,
            retain,
            properties: PublishProperties::default(),
        }
    }

    /// Bytes that the properties hold in memory, roughly.
    pub(super) fn properties_size(&self) -> usize {
        let p = &self.properties;
        let texts = p.response_topic.iter().chain(&p.content_type).map(String::len).sum::<usize>();
        let pairs = p.user_properties.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        texts + pairs + p.correlation_data.as_ref().map_or(0, Bytes::len)
    }

    /// The packet that carries this message to the session in `slot`.
    ///
    /// The router sees only the session's own topic, QoS 0 and no retain flag; the real values travel in one more
    /// user property, which [`Message::unpack`] takes off again.
    pub(super) fn pack(mut self, slot: usize, stamp: Stamp) -> Packet {
        use std::fmt::Write as _;
        let Stamp { generation, number } = stamp;
        let mut label = format!("{generation} {number} {} {}", self.qos, u8::from(self.retain));
        for id in self.properties.subscription_identifiers.drain(..) {
            let _ = write!(label, " {id}");
        }
        self.properties.user_properties.push((self.topic, label));
        let publish = Publish::new(Bytes::from(router_topic(slot)), self.payload, false);
        Packet::Publish(publish, Some(self.properties))
    }

    /// The message and stamp that [`Message::pack`] packed; none for anything else.
    pub(super) fn unpack(packet: Packet) -> Option<(Message, Stamp)> {
        let Packet::Publish(publish, Some(mut properties)) = packet else { return None };
        let (topic, label) = properties.user_properties.pop()?;
        let mut parts = label.split(' ');
        let generation = parts.next()?.parse().ok()?;
        let number = parts.next()?.parse().ok()?;
        let qos = parts.next()?.parse().ok()?;
        let retain = parts.next()? == "1";
        properties.subscription_identifiers = parts.filter_map(|id| id.parse().ok()).collect();
        let message = Message { topic, payload: publish.payload, qos, retain, properties };
        Some((message, Stamp { generation, number }))
    }
}

/// Whom a packet in the router is for, and its place in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Tells apart two sessions that used the same slot one after the other.
    pub(super) generation: u64,
    /// Counts the messages of a session from 0; a gap is what the router's log dropped because the client was slow.
    pub(super) number: u64,
}

/// The one router topic of a session; also its client id in the router. Plain ASCII, whatever the client is called.
pub(super) fn router_topic(slot: usize) -> String {
    format!("s{slot}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_comes_off_whole() {
        let mut message = Message::new("Über/x y", b"payload", 2, true);
        message.properties.user_properties.push(("k".into(), "v".into()));
        message.properties.subscription_identifiers = vec![1, 268_435_455];
        message.properties.response_topic = Some("r".into());
        let stamp = Stamp { generation: 99, number: 3 };
        let packet = message.clone().pack(7, stamp);
        match &packet {
            Packet::Publish(publish, Some(properties)) => {
                assert_eq!(publish.topic.as_ref(), b"s7");
                assert!(properties.subscription_identifiers.is_empty(), "the router refuses them");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(Message::unpack(packet), Some((message, stamp)));
    }
}
