//! Mutated packets from a fixed seed: none may stop the broker.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::kit::{Hello, Kit, Raw, packet, text};

/// Connections per version; the first mutated packet of each is surely read.
const ROUNDS: usize = 2000;
/// Packets on one connection at most: a mutation that is let pass may prepare the next.
const PER_CONNECTION: usize = 3;

/// Marsaglia's xorshift64; good enough to spread mutations, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).unwrap()).unwrap()
    }
}

/// Valid packets of every kind.
fn seeds(version: u8) -> Vec<Vec<u8>> {
    let none: &[u8] = if version == 5 { &[0] } else { &[] };
    let some: &[u8] = if version == 5 {
        b"\x17\x01\x01\x02\0\0\0\x09\x03\0\x01t\x08\0\x01r\x09\0\x01c\x26\0\x01a\0\x01b"
    } else {
        &[]
    };
    let body = |parts: &[&[u8]]| parts.concat();
    let hello = Hello { will: Some(("w/x", "gone", 0x28)), ..Hello::new("fuzz") };
    let some_len = some.len().saturating_sub(1);
    let mut with_properties = some.to_vec();
    if let Some(first) = with_properties.first_mut() {
        *first = u8::try_from(some_len).unwrap();
    }
    vec![
        hello.bytes(version),
        packet(0x31, &body(&[&text("f/a"), &with_properties, b"payload"])),
        packet(0x33, &body(&[&text("f/b"), &[0, 5], none, b"payload"])),
        packet(0x35, &body(&[&text("Über"), &[0, 6], none, b"payload"])),
        packet(0x82, &body(&[&[0, 1], none, &text("f/#"), &[1], &text("$share/g/f"), &[2]])),
        packet(0xa2, &body(&[&[0, 2], none, &text("f/#")])),
        packet(0x40, &[0, 1]),
        packet(0x50, &[0, 1]),
        packet(0x62, &[0, 6]),
        packet(0x70, &[0, 1]),
        packet(0x40, &[0, 1, 0, 0]),
        vec![0xc0, 0],
        vec![0xe0, 0],
        packet(0xe0, &[0, 5, 0x11, 0, 0, 0, 1]),
        packet(0xf0, &[0x18, 0]),
    ]
}

fn mutate(packet: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(packet.len().max(1)).min(packet.len().saturating_sub(1));
        match dice.roll(7) {
            _ if packet.is_empty() => packet.push(0),
            0 => packet[at] ^= 1 << dice.roll(8),
            1 => packet[at] = u8::try_from(dice.roll(256)).unwrap(),
            2 => packet[at] = [0, 1, 0x7f, 0x80, 0xff][dice.roll(5)],
            3 => packet.truncate(at),
            4 => packet.insert(at, u8::try_from(dice.roll(256)).unwrap()),
            5 => drop(packet.remove(at)),
            // The framing right again, so that the mutation gets past it.
            _ if packet.len() > 2 && packet.len() < 130 => {
                packet[1] = u8::try_from(packet.len() - 2).unwrap()
            }
            _ => packet.extend_from_within(at..),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mutated_packets() {
    let kit = Kit::new().await;
    let mut dice = Dice(0x5eed_0bad_cafe_f00d);
    for version in [4, 5] {
        let seeds = seeds(version);
        for _ in 0..ROUNDS {
            let mut raw = Raw::open(kit.port, version).await;
            if dice.roll(4) > 0 {
                raw.send(&Hello::new("fuzz").bytes(version)).await;
            }
            for _ in 0..=dice.roll(PER_CONNECTION) {
                let mut packet = seeds[dice.roll(seeds.len())].clone();
                mutate(&mut packet, &mut dice);
                raw.send(&packet).await;
            }
            // Our end, so that the broker comes to the end of a packet cut short; then whatever it answers.
            let _ = raw.socket.shutdown().await;
            let mut answers = Vec::new();
            let closed =
                tokio::time::timeout(Duration::from_secs(20), raw.socket.read_to_end(&mut answers)).await;
            assert!(closed.is_ok(), "the broker closes a connection that is half closed");
        }
    }
    let start = Instant::now();
    kit.until("all are gone", |stats| stats.connections == 0).await;
    assert!(start.elapsed() < Duration::from_secs(20));
    kit.assert_alive().await;
    kit.broker.stop().await;
}
