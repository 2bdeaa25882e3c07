//! The first packet: CONNECT in either version, and CONNACK.
//!
//! Pure. Not here: reading it from a socket under a time limit; see [`super::gate`].

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use rumqttd::protocol::{
    ConnAck, ConnAckProperties, ConnectReturnCode, LastWill, LastWillProperties, Login, Packet,
    PublishProperties,
};

use super::message::Message;
use super::topic;
use super::wire::{self, Version};

/// Longest client id taken, in bytes.
const MAX_CLIENT_ID: usize = 1024;

/// What a client wants.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) version: Version,
    /// May be empty: the broker is to choose one.
    pub(super) client_id: String,
    /// Forget an older session.
    pub(super) clean: bool,
    /// How often the client promises to be heard; zero for never.
    pub(super) keep_alive: Duration,
    /// How long the client wants its session kept when it leaves.
    pub(super) expiry: Duration,
    /// MQTT 5: unacknowledged messages that the client accepts.
    pub(super) receive_maximum: u16,
    /// MQTT 5: the largest packet that the client accepts, in bytes.
    pub(super) max_packet: usize,
    pub(super) will: Option<Will>,
    pub(super) login: Option<Login>,
}

/// What to say when the client goes without a word.
#[derive(Debug, Clone)]
pub(super) struct Will {
    pub(super) message: Message,
    /// MQTT 5: wait this long for the client to come back first.
    pub(super) delay: Duration,
}

/// Why a client is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// An MQTT version that this broker does not speak.
    Level,
    /// A packet that is not valid, or a second meaning that this broker does not support.
    Malformed,
    ClientId,
    WillTopic,
    /// MQTT 5 extended authentication.
    AuthMethod,
    /// A login that is wrong.
    Login,
    /// No login, or a will that its user may not publish.
    NotAuthorized,
    Busy,
}

/// The protocol level of a complete CONNECT frame; none if it is not MQTT at all.
fn level(frame: &[u8]) -> Option<u8> {
    match wire::body(frame) {
        [0, 4, b'M', b'Q', b'T', b'T', level, ..] | [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', level, ..] => {
            Some(*level)
        }
        _ => None,
    }
}

/// Reads a whole CONNECT frame. The error holds the version to answer in; without one there is nothing to answer to.
pub(super) fn read(frame: BytesMut) -> Result<Greeting, (Refusal, Option<Version>)> {
    let version = match level(&frame) {
        Some(4) => Version::V3,
        Some(5) => Version::V5,
        Some(..4) => return Err((Refusal::Level, Some(Version::V3))),
        Some(6..) => return Err((Refusal::Level, Some(Version::V5))),
        None => return Err((Refusal::Malformed, None)),
    };
    let fail = |refusal| (refusal, Some(version));
    let Some(Packet::Connect(connect, properties, will, will_properties, login)) =
        wire::codec_read(version, frame)
    else {
        return Err(fail(Refusal::Malformed));
    };
    let properties = properties.as_ref();
    if properties.is_some_and(|properties| properties.authentication_method.is_some()) {
        return Err(fail(Refusal::AuthMethod));
    }
    let receive_maximum = properties.and_then(|properties| properties.receive_maximum).unwrap_or(u16::MAX);
    let max_packet = properties.and_then(|properties| properties.max_packet_size).unwrap_or(u32::MAX);
    if receive_maximum == 0 || max_packet == 0 {
        return Err(fail(Refusal::Malformed));
    }
    let needs_id = version == Version::V3 && !connect.clean_session;
    let id = &connect.client_id;
    if id.len() > MAX_CLIENT_ID || id.contains('\0') || (id.is_empty() && needs_id) {
        return Err(fail(Refusal::ClientId));
    }
    let expiry = match version {
        Version::V3 if connect.clean_session => 0,
        Version::V3 => u32::MAX,
        Version::V5 => properties.and_then(|properties| properties.session_expiry_interval).unwrap_or(0),
    };
    Ok(Greeting {
        version,
        client_id: connect.client_id,
        clean: connect.clean_session,
        keep_alive: Duration::from_secs(connect.keep_alive.into()),
        expiry: Duration::from_secs(expiry.into()),
        receive_maximum,
        max_packet: usize::try_from(max_packet).unwrap_or(usize::MAX),
        will: will.map(|will| read_will(&will, will_properties)).transpose().map_err(fail)?,
        login,
    })
}

fn read_will(will: &LastWill, properties: Option<LastWillProperties>) -> Result<Will, Refusal> {
    let name = std::str::from_utf8(&will.topic).map_err(|_| Refusal::Malformed)?;
    if !topic::valid_name(name) {
        return Err(Refusal::WillTopic);
    }
    let mut message = Message::new(name, &will.message, will.qos as u8, will.retain);
    let mut delay = 0;
    if let Some(properties) = properties {
        delay = properties.delay_interval.unwrap_or(0);
        message.properties = PublishProperties {
            payload_format_indicator: properties.payload_format_indicator,
            message_expiry_interval: properties.message_expiry_interval,
            content_type: properties.content_type,
            response_topic: properties.response_topic,
            correlation_data: properties.correlation_data,
            user_properties: properties.user_properties,
            ..PublishProperties::default()
        };
    }
    Ok(Will { message, delay: Duration::from_secs(delay.into()) })
}

/// Writes the CONNACK of a refusal. 3.1.1 has no code for a malformed packet; that connection is just closed.
pub(super) fn put_refusal(version: Version, refusal: Refusal, out: &mut BytesMut) {
    let (v3, v5) = match refusal {
        Refusal::Level => (1, 0x84),
        Refusal::ClientId => (2, 0x85),
        Refusal::Busy => (3, 0x89),
        Refusal::Login => (4, 0x86),
        Refusal::NotAuthorized => (5, 0x87),
        Refusal::WillTopic => (5, 0x90),
        Refusal::AuthMethod => (5, 0x8C),
        Refusal::Malformed => (0, 0x81),
    };
    match version {
        Version::V3 if v3 == 0 => {}
        Version::V3 => out.put_slice(&[0x20, 2, 0, v3]),
        Version::V5 => out.put_slice(&[0x20, 3, 0, v5, 0]),
    }
}

/// What the broker tells an MQTT 5 client that it let in.
pub(super) struct Terms {
    /// An older session goes on.
    pub(super) session_present: bool,
    /// The id that the broker chose.
    pub(super) assigned_id: Option<String>,
    /// The session expiry, if it is not what the client asked for.
    pub(super) expiry: Option<Duration>,
    /// Unreleased QoS 2 messages that the broker accepts.
    pub(super) receive_maximum: u16,
    /// The largest packet that the broker accepts, in bytes.
    pub(super) max_packet: usize,
}

/// Writes the CONNACK of a client that was let in.
pub(super) fn put_welcome(version: Version, terms: Terms, out: &mut BytesMut) {
    let properties = ConnAckProperties {
        session_expiry_interval: terms
            .expiry
            .map(|expiry| u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX)),
        receive_max: Some(terms.receive_maximum),
        max_packet_size: u32::try_from(terms.max_packet).ok(),
        assigned_client_identifier: terms.assigned_id,
        topic_alias_max: Some(0),
        wildcard_subscription_available: Some(1),
        subscription_identifiers_available: Some(1),
        shared_subscription_available: Some(0),
        ..ConnAckProperties::default()
    };
    let connack = ConnAck { session_present: terms.session_present, code: ConnectReturnCode::Success };
    let written = wire::codec_write(version, Packet::ConnAck(connack, Some(properties)), out);
    debug_assert!(written, "a CONNACK of our own making can be written");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &[u8], level: u8, rest: &[u8]) -> BytesMut {
        let mut body = BytesMut::new();
        body.put_u16(u16::try_from(name.len()).unwrap());
        body.put_slice(name);
        body.put_u8(level);
        body.put_slice(rest);
        let mut frame = BytesMut::new();
        frame.put_u8(0x10);
        frame.put_u8(u8::try_from(body.len()).unwrap());
        frame.put_slice(&body);
        frame
    }

    #[test]
    fn the_level_decides_the_version() {
        let v3 = read(frame(b"MQTT", 4, &[2, 0, 60, 0, 1, b'a'])).unwrap();
        assert_eq!((v3.version, v3.client_id.as_str(), v3.expiry), (Version::V3, "a", Duration::ZERO));
        let v5 = read(frame(b"MQTT", 5, &[0, 0, 60, 5, 17, 0, 0, 0, 9, 0, 0])).unwrap();
        assert_eq!((v5.version, v5.client_id.as_str(), v5.expiry), (Version::V5, "", Duration::from_secs(9)));
        for (name, level, expected) in [
            (&b"MQIsdp"[..], 3, (Refusal::Level, Some(Version::V3))),
            (b"MQTT", 3, (Refusal::Level, Some(Version::V3))),
            (b"MQTT", 6, (Refusal::Level, Some(Version::V5))),
            (b"HTTP", 4, (Refusal::Malformed, None)),
            (b"MQTT", 5, (Refusal::Malformed, Some(Version::V5))),
        ] {
            assert_eq!(read(frame(name, level, &[0, 0])).unwrap_err(), expected, "{name:?} {level}");
        }
        let no_id = read(frame(b"MQTT", 4, &[0, 0, 60, 0, 0])).unwrap_err();
        assert_eq!(no_id, (Refusal::ClientId, Some(Version::V3)));
    }

    #[test]
    fn refusals_speak_both_versions() {
        for (refusal, v3, v5) in
            [(Refusal::Login, 4, 0x86), (Refusal::NotAuthorized, 5, 0x87), (Refusal::Busy, 3, 0x89)]
        {
            let mut out = BytesMut::new();
            put_refusal(Version::V3, refusal, &mut out);
            put_refusal(Version::V5, refusal, &mut out);
            assert_eq!(&out[..], &[0x20, 2, 0, v3, 0x20, 3, 0, v5, 0]);
        }
    }
}
