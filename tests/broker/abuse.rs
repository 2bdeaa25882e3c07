//! Every input that kills or stalls rumqttd's own listener, each followed by proof that the broker lives.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::kit::{APPLIANCE, Hello, Kit, PATIENCE, Raw, Running, packet, text};

#[tokio::test(flavor = "multi_thread")]
async fn odd_client_ids_connect_twice() {
    let kit = Kit::new().await;
    for version in [4, 5] {
        for id in ["a/b", "a+b", "a#b", "$a", "/", "+$#/%", "Ümlaut", "s0", "publisher", "日本"] {
            let mut first = kit.client(version, id).await;
            let mut second = kit.client(version, id).await;
            first.assert_last_word((version == 5).then_some(&[0xe0, 2, 0x8e, 0])).await;
            assert!(second.ping().await.is_empty());
        }
    }
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_over_the_connection_of_another_user() {
    let kit = Kit::new().await;
    let mut appliance = kit.client_as(APPLIANCE, 5, "doorward").await;
    let mut thief = kit.client(5, "doorward").await;
    assert!(appliance.ping().await.is_empty());
    assert!(thief.ping().await.is_empty());
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_then_reset_with_one_client_id() {
    let kit = Kit::new().await;
    for round in 0..50 {
        for clean in [true, false] {
            let version = 4 + round % 2;
            let mut raw = Raw::open(kit.port, version).await;
            raw.send(&Hello { clean, ..Hello::new("flaky") }.bytes(version)).await;
            if round % 3 == 0 {
                raw.read().await;
            }
            raw.reset();
        }
    }
    kit.until("all are gone", |stats| stats.connections == 0).await;
    kit.client(4, "flaky").await;
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_starts_with_an_umlaut_just_works() {
    let kit = Kit::new().await;
    for version in [4, 5] {
        let mut raw = kit.client(version, "ü").await;
        assert_eq!(raw.subscribe("Über/+", 0).await, 0);
        raw.publish("Über/x", "grün".as_bytes(), 0).await;
        assert!(raw.read().await.unwrap().ends_with("grün".as_bytes()));
        for topic in ["é", "日本/x", "\u{10ffff}"] {
            raw.publish(topic, b"1", 3).await;
            assert_eq!(raw.read().await.unwrap()[0], 0x40);
        }
    }
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_subscriptions_are_refused() {
    let kit = Kit::new().await;
    for (version, code) in [(4, 0x80), (5, 0x9e)] {
        let mut raw = Raw::open(kit.port, version).await;
        raw.greet(&Hello { clean: false, properties: &[0x11, 0, 0, 0, 60], ..Hello::new("member") }).await;
        assert_eq!(raw.subscribe("$share/g/x", 1).await, code);
        kit.client(4, "speaker").await.publish("x", b"1", 3).await;
        raw.reset();
    }
    kit.until("the members are gone", |stats| stats.connections == 0).await;
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_tls_and_silence_hold_up_nobody() {
    let kit = Kit::new().await;
    let mut silent = Vec::new();
    // More than there is room for: the oldest make room, and the three looked at below are among the newest.
    for _ in 0..64 {
        silent.push(Raw::open(kit.port, 4).await);
    }
    for _ in 0..20 {
        let mut tls = Raw::open(kit.port, 4).await;
        tls.send(&[0x16, 3, 1, 2, 0, 1]).await;
        silent.push(tls);
        silent.push(Raw::open(kit.port, 4).await);
        let mut half = Raw::open(kit.port, 4).await;
        half.send(&[0x10, 200, 1, 0, 4]).await;
        silent.push(half);
    }
    kit.assert_alive().await;
    silent[0].assert_last_word(None).await;
    let last = silent.len() - 3;
    let start = Instant::now();
    silent[last].assert_last_word(None).await;
    silent[last + 1].assert_last_word(None).await;
    silent[last + 2].assert_last_word(None).await;
    assert!(start.elapsed() < Duration::from_secs(15), "five seconds for a handshake or a CONNECT");
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_packet_type_at_the_wrong_time() {
    let kit = Kit::new().await;
    for version in [4, 5] {
        for first in 0..=255u8 {
            let mut raw = Raw::open(kit.port, version).await;
            raw.send(&packet(first, &[0, 1, 0])).await;
            // 0x10 is half a CONNECT, 0x16 would be TLS.
            if first != 0x10 && first != 0x16 {
                raw.assert_last_word(None).await;
            }
        }
        for first in [0x10, 0x20, 0x90, 0xb0, 0xd0, 0xf0, 0x00, 0x36, 0x80, 0x60] {
            for body in [&[][..], &[0, 1], &[0, 1, 0, 0]] {
                let mut raw = kit.client(version, "odd").await;
                raw.send(&packet(first, body)).await;
                let word = raw.read().await;
                if version == 5 {
                    assert_eq!(
                        word.as_deref().map(|word| (word[0], word[2] & 0xf0)),
                        Some((0xe0, 0x80)),
                        "{first:x}"
                    );
                    assert_eq!(raw.read().await, None);
                } else {
                    assert_eq!(word, None, "{first:x}");
                }
            }
        }
    }
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_topics_and_filters_are_refused() {
    let kit = Kit::new().await;
    for (version, refused) in [(4, 0x80), (5, 0x8f)] {
        let mut raw = kit.client(version, "bad").await;
        for filter in ["$SYS/#", "", "a#", "a/#/b", "+a", "$", "a\0"] {
            assert_eq!(raw.subscribe(filter, 0).await, refused, "{filter:?}");
        }
        raw.publish("$SYS/x", b"1", 3).await;
        let puback: &[u8] = if version == 4 { &[0x40, 2, 0, 7] } else { &[0x40, 4, 0, 7, 0x90, 0] };
        assert_eq!(raw.read().await.unwrap(), puback);
        for topic in ["", "a/+", "#", "a\0"] {
            let mut raw = kit.client(version, "bad").await;
            raw.publish(topic, b"1", 1).await;
            raw.assert_last_word((version == 5).then_some(&[0xe0, 2, 0x90, 0])).await;
        }
    }
    // An alias beyond the maximum of 0, a subscription identifier from a client, invalid UTF-8.
    for (body, code) in [
        (&[&text("a")[..], &[3, 0x23, 0, 1], b"x"].concat(), 0x94),
        (&[&text("")[..], &[3, 0x23, 0, 1], b"x"].concat(), 0x94),
        (&[&text("a")[..], &[2, 0x0b, 1], b"x"].concat(), 0x82),
        (&[&text("a")[..], &[6, 8, 0, 3], b"a/#"].concat(), 0x82),
        (&[0, 2, 0xc3, 0x28, 0].to_vec(), 0x81),
    ] {
        let mut raw = kit.client(5, "bad").await;
        raw.send(&packet(0x30, body)).await;
        raw.assert_last_word(Some(&[0xe0, 2, code, 0])).await;
    }
    assert_eq!(kit.broker.stats().retained_topics, 0);
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_protocols_and_old_versions_are_told() {
    let kit = Kit::new().await;
    let mut raw = Raw::open(kit.port, 4).await;
    raw.send(&packet(0x10, b"\0\x06MQIsdp\x03\x02\0\x3c\0\x01a")).await;
    raw.assert_last_word(Some(&[0x20, 2, 0, 1])).await;
    let mut raw = Raw::open(kit.port, 5).await;
    raw.send(&packet(0x10, b"\0\x04MQTT\x06\x02\0\x3c\0\0\x01a")).await;
    raw.assert_last_word(Some(&[0x20, 3, 0, 0x84, 0])).await;
    let mut raw = Raw::open(kit.port, 4).await;
    raw.send(b"GET / HTTP/1.1\r\n\r\n").await;
    raw.assert_last_word(None).await;
    let mut raw = Raw::open(kit.port, 5).await;
    let properties = b"\x15\0\x05SCRAM";
    let connack = raw.greet(&Hello { properties, ..Hello::new("a") }).await;
    assert_eq!(connack, [0x20, 3, 0, 0x8c, 0], "no extended authentication");
    kit.assert_alive().await;
    kit.broker.stop().await;
}

/// Starts itself again with few file descriptors, because the limit holds for the whole process.
#[tokio::test(flavor = "multi_thread")]
async fn out_of_file_descriptors_and_back() {
    let this = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    command.arg("-c").arg("ulimit -n 60; exec \"$0\" --ignored --exact abuse::few_descriptors").arg(this);
    let outcome = Running::start(&mut command).finish().await;
    assert!(outcome.stdout.contains("1 passed"), "{outcome:?}");
    assert_eq!(outcome.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by out_of_file_descriptors_and_back under a limit"]
async fn few_descriptors() {
    let kit = Kit::new().await;
    let mut sockets = Vec::new();
    // The connection that cannot be accepted waits in the listener's queue, so that accept fails again and again.
    while let Ok(socket) = tokio::net::TcpStream::connect(("127.0.0.1", kit.port)).await {
        sockets.push(socket);
        assert!(sockets.len() < 100, "the limit of descriptors does not hold");
    }
    sockets.truncate(sockets.len() / 2 + 4);
    let start = Instant::now();
    while kit.broker.stats().accept_errors < 3 && start.elapsed() < PATIENCE {
        if let Ok(socket) = tokio::net::TcpStream::connect(("127.0.0.1", kit.port)).await {
            sockets.push(socket);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let errors = kit.broker.stats().accept_errors;
    assert!(errors >= 3, "the descriptors did not run out");
    let rate = u128::from(errors) * 1000 / start.elapsed().as_millis().max(1);
    assert!(rate <= 20, "{rate} failed accepts a second");
    drop(sockets);
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_ids_and_filters_leave_nothing() {
    let kit = Kit::new().await;
    for n in 0..1000u16 {
        let mut raw = kit.client(4 + (n % 2) as u8, &format!("once{n}")).await;
        raw.subscribe(&format!("once/{n}/#"), 1).await;
        if n % 2 == 0 {
            raw.send(&[0xe0, 0]).await;
        }
    }
    kit.until("nothing is left", |stats| (stats.sessions, stats.filters, stats.connections) == (0, 0, 0))
        .await;
    kit.assert_alive().await;
    kit.broker.stop().await;
}
