//! MQTT packets as bytes, 3.1.1 and 5, after the CONNECT.
//!
//! rumqttd's codecs read and write the packets that are worth a codec; a panic in them is caught and counts as a
//! malformed packet. Framing, acknowledgements and DISCONNECT are done here: the codec's `check` and DISCONNECT of
//! 0.20.0 are wrong for an MQTT 5 reason code without properties. Not here: what a packet means; see [`super::gate`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::{BufMut, BytesMut};
use rumqttd::protocol::v4::V4;
use rumqttd::protocol::v5::V5;
use rumqttd::protocol::{Filter, Packet, Protocol, Publish, PublishProperties};

use super::message::Message;

/// The protocol of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// MQTT 3.1.1.
    V3,
    /// MQTT 5.
    V5,
}

/// Why the broker ends a connection: the MQTT 5 reason codes that it uses in DISCONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Reason {
    Malformed = 0x81,
    Protocol = 0x82,
    Internal = 0x83,
    ShuttingDown = 0x8B,
    KeepAlive = 0x8D,
    TakenOver = 0x8E,
    TopicInvalid = 0x90,
    ReceiveMaximum = 0x93,
    TopicAlias = 0x94,
    TooLarge = 0x95,
}

/// The acknowledgements that are a packet id and a reason: their first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Ack {
    Publish = 0x40,
    Received = 0x50,
    Release = 0x62,
    Complete = 0x70,
}

/// One packet from a client.
#[derive(Debug)]
pub(super) enum Inbound {
    /// PUBLISH; the packet id is 0 at QoS 0.
    Publish { message: Message, id: u16 },
    /// PUBACK, PUBREC, PUBREL or PUBCOMP; `failed` for an MQTT 5 reason of 0x80 and above.
    Ack { kind: Ack, id: u16, failed: bool },
    /// SUBSCRIBE with its MQTT 5 subscription identifier.
    Subscribe { id: u16, filters: Vec<Filter>, identifier: Option<usize> },
    /// UNSUBSCRIBE.
    Unsubscribe { id: u16, filters: Vec<String> },
    /// PINGREQ.
    Ping,
    /// DISCONNECT; `expiry_secs` is a new MQTT 5 session expiry.
    Disconnect { with_will: bool, expiry_secs: Option<u32> },
}

/// The length of the first packet in `bytes` with its header; none while it is not complete.
///
/// Errors: a length field of more than four bytes, or a packet of more than `max` bytes.
pub(super) fn frame_len(bytes: &[u8], max: usize) -> Result<Option<usize>, Reason> {
    let mut length = 0usize;
    for (at, byte) in bytes.iter().skip(1).enumerate() {
        if at == 4 {
            return Err(Reason::Malformed);
        }
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let whole = length + at + 2;
            if whole > max {
                return Err(Reason::TooLarge);
            }
            return Ok((bytes.len() >= whole).then_some(whole));
        }
    }
    Ok(None)
}

/// What follows the fixed header of a whole packet.
pub(super) fn body(frame: &[u8]) -> &[u8] {
    let length_bytes = frame.iter().skip(1).take_while(|byte| *byte & 0x80 != 0).count() + 1;
    frame.get(1 + length_bytes..).unwrap_or_default()
}

/// Reads one whole packet with rumqttd's codec.
pub(super) fn codec_read(version: Version, mut frame: BytesMut) -> Option<Packet> {
    let max = frame.len();
    let read = catch_unwind(AssertUnwindSafe(|| match version {
        Version::V3 => V4.read_mut(&mut frame, max),
        Version::V5 => V5.read_mut(&mut frame, max),
    }));
    read.ok().and_then(Result::ok)
}

/// Writes one packet with rumqttd's codec; false, with `out` unchanged, if it cannot.
pub(super) fn codec_write(version: Version, packet: Packet, out: &mut BytesMut) -> bool {
    let before = out.len();
    let written = catch_unwind(AssertUnwindSafe(|| match version {
        Version::V3 => V4.write(packet, out),
        Version::V5 => V5.write(packet, out),
    }));
    let done = matches!(written, Ok(Ok(_)));
    if !done {
        out.truncate(before);
    }
    done
}

/// Reads one whole packet of a client that is connected.
pub(super) fn decode(version: Version, frame: BytesMut) -> Result<Inbound, Reason> {
    match frame[0] {
        0x30..=0x3f => decode_publish(version, frame),
        0x40 => decode_ack(version, Ack::Publish, &frame),
        0x50 => decode_ack(version, Ack::Received, &frame),
        0x62 => decode_ack(version, Ack::Release, &frame),
        0x70 => decode_ack(version, Ack::Complete, &frame),
        0x82 => match codec_read(version, frame) {
            Some(Packet::Subscribe(subscribe, properties)) => {
                let identifier = properties.and_then(|properties| properties.id);
                if subscribe.pkid == 0 || identifier == Some(0) {
                    return Err(Reason::Protocol);
                }
                Ok(Inbound::Subscribe { id: subscribe.pkid, filters: subscribe.filters, identifier })
            }
            _ => Err(Reason::Malformed),
        },
        0xa2 => match codec_read(version, frame) {
            Some(Packet::Unsubscribe(packet, _)) if packet.pkid == 0 || packet.filters.is_empty() => {
                Err(Reason::Protocol)
            }
            Some(Packet::Unsubscribe(packet, _)) => {
                Ok(Inbound::Unsubscribe { id: packet.pkid, filters: packet.filters })
            }
            _ => Err(Reason::Malformed),
        },
        0xc0 if frame.len() == 2 => Ok(Inbound::Ping),
        0xe0 => decode_disconnect(version, frame),
        // CONNECT a second time, AUTH, or what only a server sends; else wrong header flags.
        0x10 | 0x20 | 0x90 | 0xb0 | 0xd0 | 0xf0 => Err(Reason::Protocol),
        _ => Err(Reason::Malformed),
    }
}

fn decode_publish(version: Version, frame: BytesMut) -> Result<Inbound, Reason> {
    let flags = frame[0];
    let Some(Packet::Publish(mut publish, properties)) = codec_read(version, frame) else {
        return Err(Reason::Malformed);
    };
    let payload = std::mem::take(&mut publish.payload);
    // QoS and packet id are private fields; without a payload this form is short: flags, packet id, topic.
    let head = publish.serialize();
    let id = u16::from_be_bytes([head[1], head[2]]);
    let properties = properties.unwrap_or_default();
    if properties.topic_alias.is_some() {
        return Err(Reason::TopicAlias);
    }
    if !properties.subscription_identifiers.is_empty() {
        return Err(Reason::Protocol);
    }
    let topic = std::str::from_utf8(&publish.topic).map_err(|_| Reason::Malformed)?;
    let mut message = Message::new(topic, &payload, (flags >> 1) & 3, flags & 1 == 1);
    message.properties = properties;
    Ok(Inbound::Publish { message, id })
}

fn decode_ack(version: Version, kind: Ack, frame: &[u8]) -> Result<Inbound, Reason> {
    // The properties behind the reason, if any, are of no use to a broker.
    let reason = match (version, body(frame)) {
        (_, [_, _]) => 0,
        (Version::V5, [_, _, reason, ..]) => *reason,
        (Version::V3 | Version::V5, _) => return Err(Reason::Malformed),
    };
    let id = u16::from_be_bytes([body(frame)[0], body(frame)[1]]);
    if id == 0 {
        return Err(Reason::Protocol);
    }
    Ok(Inbound::Ack { kind, id, failed: reason >= 0x80 })
}

fn decode_disconnect(version: Version, frame: BytesMut) -> Result<Inbound, Reason> {
    let (with_will, has_properties) = match (version, body(&frame)) {
        (_, []) => (false, false),
        (Version::V5, [reason]) => (*reason != 0, false),
        (Version::V5, [reason, ..]) => (*reason != 0, true),
        (Version::V3, _) => return Err(Reason::Malformed),
    };
    let mut expiry_secs = None;
    if has_properties {
        let Some(Packet::Disconnect(_, properties)) = codec_read(version, frame) else {
            return Err(Reason::Malformed);
        };
        expiry_secs = properties.and_then(|properties| properties.session_expiry_interval);
    }
    Ok(Inbound::Disconnect { with_will, expiry_secs })
}

/// Writes a PUBLISH; false, with `out` unchanged, if it cannot be written in `max` bytes.
pub(super) fn put_publish(
    version: Version,
    message: &Message,
    id: Option<u16>,
    again: bool,
    max: usize,
    out: &mut BytesMut,
) -> bool {
    let before = out.len();
    let topic_len = u16::try_from(message.topic.len()).unwrap_or(u16::MAX);
    let mut head = BytesMut::with_capacity(5 + message.topic.len());
    head.put_u8(0x30 | u8::from(message.retain) | message.qos << 1 | u8::from(again) << 3);
    head.put_u16(id.unwrap_or(0));
    head.put_u16(topic_len);
    head.put_slice(message.topic.as_bytes());
    let mut publish = Publish::deserialize(head.freeze());
    publish.payload = message.payload.clone();
    let properties = match version {
        Version::V3 => None,
        Version::V5 if message.properties == PublishProperties::default() => None,
        Version::V5 => Some(message.properties.clone()),
    };
    let done = codec_write(version, Packet::Publish(publish, properties), out) && out.len() - before <= max;
    if !done {
        out.truncate(before);
    }
    done
}

/// Writes an acknowledgement with an MQTT 5 reason, which 3.1.1 has no room for.
pub(super) fn put_ack(version: Version, kind: Ack, id: u16, reason: u8, out: &mut BytesMut) {
    out.put_u8(kind as u8);
    if reason == 0 || version == Version::V3 {
        out.put_u8(2);
        out.put_u16(id);
    } else {
        out.put_u8(4);
        out.put_u16(id);
        out.put_slice(&[reason, 0]);
    }
}

/// Writes a SUBACK, or an UNSUBACK, whose codes 3.1.1 does not have.
pub(super) fn put_codes(version: Version, first_byte: u8, id: u16, codes: &[u8], out: &mut BytesMut) {
    let is_v5 = version == Version::V5;
    let mut length = 2 + usize::from(is_v5) + codes.len();
    out.put_u8(first_byte);
    loop {
        let low = u8::try_from(length & 0x7f).expect("seven bits fit");
        length >>= 7;
        out.put_u8(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    out.put_u16(id);
    if is_v5 {
        out.put_u8(0);
    }
    out.put_slice(codes);
}

/// Writes a DISCONNECT, which only MQTT 5 has in this direction.
pub(super) fn put_disconnect(version: Version, reason: Reason, out: &mut BytesMut) {
    match version {
        Version::V3 => {}
        Version::V5 => out.put_slice(&[0xe0, 2, reason as u8, 0]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames() {
        assert_eq!(frame_len(&[], 100), Ok(None));
        assert_eq!(frame_len(&[0xc0], 100), Ok(None));
        assert_eq!(frame_len(&[0xc0, 0], 100), Ok(Some(2)));
        assert_eq!(frame_len(&[0x30, 5, 0, 1], 100), Ok(None));
        assert_eq!(frame_len(&[0x30, 99], 100), Err(Reason::TooLarge));
        assert_eq!(frame_len(&[0x30, 0x80, 0x80, 0x80, 0x80, 1], 100), Err(Reason::Malformed));
        assert_eq!(frame_len(&[0x30, 0xff, 0xff, 0x7f], 100), Err(Reason::TooLarge));
        assert_eq!(frame_len(&[0x30, 0x80, 0x01], 1000), Ok(None));
    }

    #[test]
    fn a_publish_comes_back() {
        for version in [Version::V3, Version::V5] {
            for (qos, id) in [(0, None), (1, Some(7)), (2, Some(65535))] {
                let mut message = Message::new("Über/x", &[7; 300], qos, true);
                if version == Version::V5 {
                    message.properties.content_type = Some("image/jpeg".into());
                    message.properties.user_properties.push(("a".into(), "b".into()));
                }
                let mut out = BytesMut::new();
                assert!(put_publish(version, &message, id, false, 1000, &mut out));
                let len = frame_len(&out, 1000).unwrap().unwrap();
                assert_eq!(len, out.len());
                match decode(version, out).unwrap() {
                    Inbound::Publish { message: back, id: back_id } => {
                        assert_eq!(back, message);
                        assert_eq!(back_id, id.unwrap_or(0));
                    }
                    other => panic!("{other:?}"),
                }
                let mut small = BytesMut::from(&b"x"[..]);
                assert!(!put_publish(version, &message, id, false, 100, &mut small));
                assert_eq!(&small[..], b"x", "nothing of a packet that is too large is left");
            }
        }
    }

    #[test]
    fn short_forms_of_mqtt_5_are_read() {
        let read = |bytes: &[u8]| decode(Version::V5, BytesMut::from(bytes));
        assert!(matches!(read(&[0xe0, 0]), Ok(Inbound::Disconnect { with_will: false, .. })));
        assert!(matches!(read(&[0xe0, 1, 4]), Ok(Inbound::Disconnect { with_will: true, .. })));
        assert!(matches!(read(&[0xe0, 2, 4, 0]), Ok(Inbound::Disconnect { with_will: true, .. })));
        let expiry = read(&[0xe0, 7, 0, 5, 17, 0, 0, 0, 9]);
        assert!(matches!(expiry, Ok(Inbound::Disconnect { with_will: false, expiry_secs: Some(9) })));
        assert!(matches!(read(&[0x40, 2, 0, 9]), Ok(Inbound::Ack { id: 9, failed: false, .. })));
        assert!(matches!(read(&[0x40, 3, 0, 9, 0x87]), Ok(Inbound::Ack { id: 9, failed: true, .. })));
        assert!(matches!(read(&[0x50, 4, 0, 9, 0, 0]), Ok(Inbound::Ack { id: 9, failed: false, .. })));
        assert!(matches!(read(&[0x40, 2, 0, 0]), Err(Reason::Protocol)));
        assert!(matches!(read(&[0x40, 1, 0]), Err(Reason::Malformed)));
    }

    #[test]
    fn what_a_client_may_not_send_is_refused_without_a_panic() {
        for first in 0..=255u8 {
            for body in [&[][..], &[0], &[0, 1], &[0, 1, 0], &[0, 0, 0, 0, 0], &[255; 9]] {
                for version in [Version::V3, Version::V5] {
                    let mut frame = BytesMut::new();
                    frame.put_slice(&[first, u8::try_from(body.len()).unwrap()]);
                    frame.put_slice(body);
                    let _ = decode(version, frame);
                }
            }
        }
        let auth = decode(Version::V5, BytesMut::from(&[0xf0, 0][..]));
        assert!(matches!(auth, Err(Reason::Protocol)));
    }

    #[test]
    fn many_codes_have_a_long_length() {
        let mut out = BytesMut::new();
        put_codes(Version::V5, 0x90, 1, &[1; 200], &mut out);
        assert_eq!(&out[..6], &[0x90, 203 - 128 + 128, 1, 0, 1, 0]);
        assert_eq!(frame_len(&out, 1000), Ok(Some(out.len())));
    }
}
