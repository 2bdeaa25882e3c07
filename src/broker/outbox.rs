//! What one session still has to send, and what its client has not acknowledged yet.
//!
//! Pure: no socket, no clock. Order is kept: a message that has to wait for the window holds back all behind it.

use std::collections::VecDeque;

use super::message::Message;

/// Unacknowledged messages per client, whatever larger window the client offers.
const MAX_WINDOW: u16 = 100;

/// Outgoing messages of a session.
pub(super) struct Outbox {
    waiting: VecDeque<Message>,
    inflight: VecDeque<Flight>,
    window: u16,
    last_id: u16,
}

/// What the client has not acknowledged.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Flight {
    /// Its packet id.
    pub(super) id: u16,
    /// The PUBLISH that was sent, until its PUBACK or PUBREC; then none: PUBREL was sent, PUBCOMP is due.
    pub(super) message: Option<Message>,
}

impl Outbox {
    /// An empty outbox.
    pub(super) fn new() -> Outbox {
        Outbox { waiting: VecDeque::new(), inflight: VecDeque::new(), window: MAX_WINDOW, last_id: 0 }
    }

    /// Sets how many unacknowledged messages the client accepts.
    pub(super) fn set_window(&mut self, receive_maximum: u16) {
        self.window = receive_maximum.clamp(1, MAX_WINDOW);
    }

    /// Whether nothing waits, so that the router may be asked for more.
    pub(super) fn is_drained(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many messages wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Appends a message.
    pub(super) fn push(&mut self, message: Message) {
        self.waiting.push_back(message);
    }

    /// The next message that may go out now, with a packet id if its QoS needs one.
    pub(super) fn next(&mut self) -> Option<(Option<u16>, Message)> {
        let qos = self.waiting.front()?.qos;
        if qos > 0 && self.inflight.len() >= usize::from(self.window) {
            return None;
        }
        let message = self.waiting.pop_front()?;
        if qos == 0 {
            return Some((None, message));
        }
        let id = self.free_id();
        self.inflight.push_back(Flight { id, message: Some(message.clone()) });
        Some((Some(id), message))
    }

    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.inflight.iter().any(|flight| flight.id == self.last_id) {
                return self.last_id;
            }
        }
    }

    /// A PUBACK or PUBCOMP came, or the message cannot be sent at all: the packet id is free again.
    pub(super) fn finish(&mut self, id: u16) {
        self.inflight.retain(|flight| flight.id != id);
    }

    /// A PUBREC came. True: answer with PUBREL; false: the id is unknown.
    pub(super) fn received(&mut self, id: u16) -> bool {
        let flight = self.inflight.iter_mut().find(|flight| flight.id == id);
        flight.map(|flight| flight.message = None).is_some()
    }

    /// What to repeat, in order, on a new connection of the same session (MQTT 3.1.1 and 5, section 4.4).
    pub(super) fn resend(&self) -> Vec<Flight> {
        self.inflight.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(qos: u8) -> Message {
        Message::new("t", b"x", qos, false)
    }

    #[test]
    fn the_window_holds_back_in_order() {
        let mut outbox = Outbox::new();
        outbox.set_window(2);
        for qos in [1, 2, 1, 0] {
            outbox.push(message(qos));
        }
        assert_eq!(outbox.next().unwrap().0, Some(1));
        assert_eq!(outbox.next().unwrap().0, Some(2));
        assert!(outbox.next().is_none(), "the window is full");
        assert!(!outbox.is_drained());
        outbox.finish(1);
        assert_eq!(outbox.next().unwrap().0, Some(3));
        assert_eq!(outbox.next().unwrap().0, None, "QoS 0 needs no window");
        assert!(outbox.is_drained());
        assert!(outbox.received(2));
        assert!(!outbox.received(77));
        let (released, sent) = (Flight { id: 2, message: None }, Flight { id: 3, message: Some(message(1)) });
        assert_eq!(outbox.resend(), [released, sent]);
        outbox.finish(2);
        outbox.finish(3);
        assert!(outbox.resend().is_empty());
    }

    #[test]
    fn ids_wrap_and_skip_those_in_use() {
        let mut outbox = Outbox::new();
        outbox.last_id = u16::MAX - 1;
        for _ in 0..2 {
            outbox.push(message(1));
        }
        assert_eq!(outbox.next().unwrap().0, Some(u16::MAX));
        assert_eq!(outbox.next().unwrap().0, Some(1));
        outbox.last_id = u16::MAX;
        outbox.push(message(1));
        assert_eq!(outbox.next().unwrap().0, Some(2), "0 is no id and 1 is in use");
    }
}
