//! One client that was let in: its packets in, its messages out, until it leaves.
//!
//! Not here: letting it in and what happens after it left ([`super::gate`]), and bytes ([`super::wire`]).

use std::time::Instant;

use bytes::BytesMut;
use rumqttd::protocol::{Filter, Packet, RetainForwardRule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::acl::{self, Role};
use super::exchange::{SendRetained, Subscription};
use super::gate::{Gate, Wire};
use super::message::Message;
use super::outbox::Flight;
use super::sessions::Session;
use super::topic::{self, FilterFault};
use super::wire::{self, Ack, Inbound, Reason, Version};

/// QoS 2 messages of one client that it has not released yet; told to MQTT 5 clients as Receive Maximum.
pub(super) const RECEIVE_MAXIMUM: u16 = 100;
/// Bytes gathered before they are written.
const WRITE_CHUNK: usize = 64 << 10;
/// Room made before each read, and the most that an idle buffer keeps.
const READ_CHUNK: usize = 16 << 10;
/// Retained messages waiting for one client, above which it may not subscribe to more.
const MAX_WAITING: usize = 20_000;

/// MQTT 5 reasons of acknowledgements.
mod code {
    pub(super) const SUCCESS: u8 = 0;
    pub(super) const NO_SUBSCRIPTION: u8 = 0x11;
    pub(super) const UNSPECIFIED: u8 = 0x80;
    pub(super) const NOT_AUTHORIZED: u8 = 0x87;
    pub(super) const FILTER_INVALID: u8 = 0x8F;
    pub(super) const TOPIC_INVALID: u8 = 0x90;
    pub(super) const UNKNOWN_ID: u8 = 0x92;
    pub(super) const QUOTA: u8 = 0x97;
    pub(super) const NO_SHARED: u8 = 0x9E;
}

/// How a visit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// DISCONNECT. Its MQTT 5 reason may ask for the will, and it may change the session expiry.
    Left { with_will: bool, expiry_secs: Option<u32> },
    /// The socket closed or stalled.
    Lost,
    /// We end it and say why.
    Fault(Reason),
}

/// One connection of one session.
pub(super) struct Visit<'a> {
    pub(super) gate: &'a Gate,
    pub(super) session: &'a mut Session,
    pub(super) role: Role,
    pub(super) version: Version,
    /// The largest packet that the client accepts, in bytes.
    pub(super) max_packet: usize,
    /// Silence after which the client counts as gone.
    pub(super) patience: Option<std::time::Duration>,
    /// Bytes read and not yet understood.
    pub(super) input: BytesMut,
    /// Whole packets not yet written.
    pub(super) output: BytesMut,
}

impl Visit<'_> {
    /// Serves the client. May be dropped at any await: whatever is in `output` then is the rest of what was begun.
    pub(super) async fn run(&mut self, socket: &mut impl Wire) -> End {
        self.resend();
        let mut heard = tokio::time::Instant::now();
        // Packets that came together with the CONNECT.
        if let Err(end) = self.take_packets() {
            return end;
        }
        loop {
            let more = self.fill();
            if !self.flush(socket).await {
                return End::Lost;
            }
            let patience = self.patience;
            self.input.reserve(READ_CHUNK);
            tokio::select! {
                read = socket.read_buf(&mut self.input) => {
                    if !matches!(read, Ok(1..)) {
                        return End::Lost;
                    }
                    heard = tokio::time::Instant::now();
                    if let Err(end) = self.take_packets() {
                        return end;
                    }
                }
                packet = self.session.outlet.next(), if self.session.outbox.is_drained() => {
                    let Ok(packet) = packet else { return End::Fault(Reason::Internal) };
                    self.on_delivery(packet);
                }
                () = std::future::ready(()), if more => {}
                () = tokio::time::sleep_until(heard + patience.unwrap_or_default()), if patience.is_some() => {
                    return End::Fault(Reason::KeepAlive);
                }
            }
        }
    }

    /// Takes a packet from the router.
    fn on_delivery(&mut self, packet: Packet) {
        // Anything else is the router's answer to our own subscription, or left over from an older session.
        if let Some((message, stamp)) = Message::unpack(packet)
            && stamp.generation == self.session.generation()
        {
            self.gate.counters.lost.add(stamp.number.saturating_sub(self.session.expected));
            self.session.expected = stamp.number + 1;
            self.session.outbox.push(message);
        }
    }

    /// Repeats what an earlier connection left unacknowledged.
    fn resend(&mut self) {
        for Flight { id, message } in self.session.outbox.resend() {
            match message {
                Some(message) => self.put(&message, Some(id), true),
                None => wire::put_ack(self.version, Ack::Release, id, 0, &mut self.output),
            }
        }
    }

    /// Moves messages from the outbox to the output; true if there is more than one chunk.
    fn fill(&mut self) -> bool {
        while self.output.len() < WRITE_CHUNK {
            let Some((id, message)) = self.session.outbox.next() else { return false };
            self.put(&message, id, false);
        }
        true
    }

    fn put(&mut self, message: &Message, id: Option<u16>, again: bool) {
        if !wire::put_publish(self.version, message, id, again, self.max_packet, &mut self.output) {
            // Larger than the client accepts: MQTT 5 section 3.1.2.11.4 wants it dropped as if it were sent.
            self.gate.counters.undeliverable.add(1);
            if let Some(id) = id {
                self.session.outbox.finish(id);
            }
        }
    }

    /// Writes all output; false if the client did not take it in time.
    async fn flush(&mut self, socket: &mut impl Wire) -> bool {
        let limit = self.gate.limits.write_time;
        let done = matches!(timeout(limit, write_all(socket, &mut self.output)).await, Ok(true));
        if self.output.capacity() > 4 * WRITE_CHUNK {
            self.output = BytesMut::new();
        }
        done
    }

    fn take_packets(&mut self) -> Result<(), End> {
        while let Some(len) =
            wire::frame_len(&self.input, self.gate.limits.packet_bytes).map_err(End::Fault)?
        {
            let frame = self.input.split_to(len);
            let packet = wire::decode(self.version, frame).map_err(End::Fault)?;
            self.handle(packet)?;
        }
        if self.input.is_empty() && self.input.capacity() > READ_CHUNK {
            self.input = BytesMut::new();
        }
        Ok(())
    }

    fn handle(&mut self, packet: Inbound) -> Result<(), End> {
        match packet {
            Inbound::Publish { message, id } => return self.on_publish(&message, id).map_err(End::Fault),
            Inbound::Ack { kind, id, failed } => self.on_ack(kind, id, failed),
            Inbound::Subscribe { id, filters, identifier } => self.on_subscribe(id, &filters, identifier),
            Inbound::Unsubscribe { id, filters } => self.on_unsubscribe(id, &filters),
            Inbound::Ping => self.output.extend_from_slice(&[0xd0, 0]),
            Inbound::Disconnect { with_will, expiry_secs } => {
                return Err(End::Left { with_will, expiry_secs });
            }
        }
        Ok(())
    }

    fn on_publish(&mut self, message: &Message, id: u16) -> Result<(), Reason> {
        let response = message.properties.response_topic.as_deref();
        if response.is_some_and(|name| name.is_empty() || name.contains(['+', '#', '\0'])) {
            return Err(Reason::Protocol);
        }
        let unreleased = &mut self.session.unreleased;
        if message.qos == 2 && !unreleased.contains(&id) && unreleased.len() >= usize::from(RECEIVE_MAXIMUM) {
            return Err(Reason::ReceiveMaximum);
        }
        let reason = self.judge(message)?;
        let is_new = message.qos < 2 || reason != code::SUCCESS || self.session.unreleased.insert(id);
        if reason != code::SUCCESS {
            self.gate.counters.denied.add(1);
        } else if is_new {
            self.gate.exchange.publish(message, self.session.slot(), Instant::now());
        }
        match message.qos {
            0 => {}
            1 => wire::put_ack(self.version, Ack::Publish, id, reason, &mut self.output),
            _two => wire::put_ack(self.version, Ack::Received, id, reason, &mut self.output),
        }
        Ok(())
    }

    /// The reason to acknowledge a message with; the error ends the connection.
    fn judge(&self, message: &Message) -> Result<u8, Reason> {
        let name = message.topic.as_str();
        if name.starts_with('$') {
            return Ok(code::TOPIC_INVALID);
        }
        if !topic::valid_name(name) {
            return Err(Reason::TopicInvalid);
        }
        let is_empty = message.payload.is_empty();
        let may = acl::may_publish(self.role, &self.gate.ours, name, message.retain, is_empty);
        Ok(if may { code::SUCCESS } else { code::NOT_AUTHORIZED })
    }

    fn on_ack(&mut self, kind: Ack, id: u16, failed: bool) {
        match kind {
            Ack::Publish | Ack::Complete => self.session.outbox.finish(id),
            Ack::Received if failed => self.session.outbox.finish(id),
            Ack::Received => {
                let known = self.session.outbox.received(id);
                let reason = if known { code::SUCCESS } else { code::UNKNOWN_ID };
                wire::put_ack(self.version, Ack::Release, id, reason, &mut self.output);
            }
            Ack::Release => {
                let known = self.session.unreleased.remove(&id);
                let reason = if known { code::SUCCESS } else { code::UNKNOWN_ID };
                wire::put_ack(self.version, Ack::Complete, id, reason, &mut self.output);
            }
        }
    }

    fn on_subscribe(&mut self, id: u16, filters: &[Filter], identifier: Option<usize>) {
        let codes: Vec<u8> = filters.iter().map(|filter| self.subscribe(filter, identifier)).collect();
        wire::put_codes(self.version, 0x90, id, &codes, &mut self.output);
    }

    /// Subscribes to one filter and returns its code for the SUBACK.
    fn subscribe(&mut self, filter: &Filter, identifier: Option<usize>) -> u8 {
        let refuse = |reason: u8| match self.version {
            Version::V3 => code::UNSPECIFIED,
            Version::V5 => reason,
        };
        match topic::check_filter(&filter.path) {
            Ok(()) => {}
            Err(FilterFault::Invalid) => return refuse(code::FILTER_INVALID),
            Err(FilterFault::Shared) => return refuse(code::NO_SHARED),
        }
        if self.session.outbox.waiting() > MAX_WAITING {
            return refuse(code::QUOTA);
        }
        let wanted = Subscription {
            qos: filter.qos as u8,
            no_local: filter.nolocal,
            retain_as_published: filter.preserve_retain,
            retained: match filter.retain_forward_rule {
                RetainForwardRule::OnEverySubscribe => SendRetained::Always,
                RetainForwardRule::OnNewSubscribe => SendRetained::IfNew,
                RetainForwardRule::Never => SendRetained::Never,
            },
            id: identifier,
        };
        match self.gate.exchange.subscribe(self.session.slot(), &filter.path, wanted, Instant::now()) {
            Ok(retained) => {
                retained.into_iter().for_each(|message| self.session.outbox.push(message));
                wanted.qos
            }
            Err(_too_many) => refuse(code::QUOTA),
        }
    }

    fn on_unsubscribe(&mut self, id: u16, filters: &[String]) {
        let slot = self.session.slot();
        let remove = |filter: &String| {
            if self.gate.exchange.unsubscribe(slot, filter) { code::SUCCESS } else { code::NO_SUBSCRIPTION }
        };
        let codes: Vec<u8> = match self.version {
            Version::V3 => {
                for filter in filters {
                    remove(filter);
                }
                Vec::new()
            }
            Version::V5 => filters.iter().map(remove).collect(),
        };
        wire::put_codes(self.version, 0xb0, id, &codes, &mut self.output);
    }
}

/// Writes all of `output`; false if the socket is closed. What was written is gone from `output`, even when dropped; under TLS the rest
/// of it then goes out with the next write.
pub(super) async fn write_all(socket: &mut impl Wire, output: &mut BytesMut) -> bool {
    while !output.is_empty() {
        if !matches!(socket.write_buf(output).await, Ok(1..)) {
            return false;
        }
    }
    socket.flush().await.is_ok()
}
