//! Bounds on time and memory, starting and stopping.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use doorward::broker::{self, Limits, Settings};
use doorward::logic::addresses::{Addresses, List};
use doorward::shutdown::Shutdown;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::kit::{APPLIANCE, Hello, Kit, Raw, packet, settings, text};

#[tokio::test(flavor = "multi_thread")]
async fn keep_alive_is_enforced_and_zero_means_never() {
    let kit = Kit::new().await;
    let mut never = Raw::open(kit.port, 4).await;
    assert_eq!(never.greet(&Hello { keep_alive: 0, ..Hello::new("never") }).await, [0x20, 2, 0, 0]);
    for version in [4, 5] {
        let mut raw = Raw::open(kit.port, version).await;
        raw.greet(&Hello { keep_alive: 1, ..Hello::new("mute") }).await;
        raw.ping().await;
        let start = Instant::now();
        raw.assert_last_word((version == 5).then_some(&[0xe0, 2, 0x8d, 0])).await;
        let after = start.elapsed();
        assert!(after > Duration::from_millis(1400) && after < Duration::from_secs(5), "{after:?}");
    }
    assert!(never.ping().await.is_empty());
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_are_too_large() {
    let kit = Kit::new().await;
    for version in [4, 5] {
        let mut raw = kit.client(version, "large").await;
        raw.publish("x", &vec![0; 10 << 20], 0).await;
        raw.assert_last_word((version == 5).then_some(&[0xe0, 2, 0x95, 0])).await;
        let mut raw = Raw::open(kit.port, version).await;
        raw.send(&packet(0x10, &vec![0; 100_000])).await;
        raw.assert_last_word(None).await;
        let mut raw = Raw::open(kit.port, version).await;
        let id = "x".repeat(2000);
        assert_eq!(raw.greet(&Hello::new(&id)).await[3], if version == 4 { 2 } else { 0x85 });
    }
    // A client that accepts only small packets is spared the large ones.
    let mut small = Raw::open(kit.port, 5).await;
    small.greet(&Hello { properties: &[0x27, 0, 0, 1, 0], ..Hello::new("small") }).await;
    small.subscribe("s", 1).await;
    let mut speaker = kit.client(4, "speaker").await;
    speaker.publish("s", &[b'a'; 300], 3).await;
    speaker.publish("s", b"short", 3).await;
    assert!(small.read().await.unwrap().ends_with(b"short"));
    assert_eq!(kit.broker.stats().undeliverable, 1);
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_stops_reading_is_cut() {
    let kit = Kit::with(Limits { write_time: Duration::from_secs(1), ..Limits::default() }).await;
    let mut stalled = kit.client(4, "stalled").await;
    stalled.subscribe("flood", 0).await;
    let mut reader = kit.client(5, "reader").await;
    reader.subscribe("flood", 0).await;
    let mut speaker = kit.client(5, "speaker").await;
    let picture = vec![7; 200_000];
    let start = Instant::now();
    while kit.broker.stats().connections == 3 {
        speaker.publish("flood", &picture, 0).await;
        assert_eq!(reader.read().await.unwrap().len(), picture.len() + 12, "the others get everything");
        assert!(start.elapsed() < Duration::from_secs(30), "still attached");
    }
    assert!(reader.ping().await.is_empty());
    assert_eq!(kit.broker.stats().sessions, 2);
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_broker_says_so_and_lets_the_appliance_in() {
    let kit = Kit::with(Limits { connections: 2, ..Limits::default() }).await;
    let first = kit.client(4, "1").await;
    let _second = kit.client(5, "2").await;
    for (version, expected) in [(4, &[0x20, 2, 0, 3][..]), (5, &[0x20, 3, 0, 0x89, 0])] {
        let mut raw = Raw::open(kit.port, version).await;
        assert_eq!(raw.greet(&Hello::new("3")).await, expected);
        raw.assert_last_word(None).await;
    }
    kit.client_as(APPLIANCE, 5, "us").await;
    let _again = kit.client(5, "2").await;
    drop(first);
    kit.until("a place is free", |stats| stats.connections == 1).await;
    kit.client(4, "3").await;
    kit.until("a place is free", |stats| stats.connections == 1).await;
    drop(_again);
    kit.until("all places are free", |stats| stats.connections == 0).await;
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_are_capped_per_client_and_in_all() {
    let limits = Limits { filters_per_client: 3, filters: 5, ..Limits::default() };
    let kit = Kit::with(limits).await;
    let mut first = kit.client(5, "1").await;
    for (filter, code) in [("a", 0), ("b/#", 0), ("c", 0), ("d", 0x97), ("a", 0)] {
        assert_eq!(first.subscribe(filter, 0).await, code, "{filter}");
    }
    let mut second = kit.client(4, "2").await;
    for (filter, code) in [("a", 0), ("b", 0), ("c", 0x80)] {
        assert_eq!(second.subscribe(filter, 0).await, code, "{filter}");
    }
    assert_eq!(kit.broker.stats().filters, 5);
    drop((first, second));
    kit.until("the filters are gone", |stats| stats.filters == 0).await;
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_expire_and_make_room() {
    let kit =
        Kit::with(Limits { connections: 6, session_expiry: Duration::from_secs(1), ..Limits::default() })
            .await;
    for n in 0..30 {
        let mut raw = Raw::open(kit.port, 4).await;
        let id = format!("sleeper{n}");
        assert_eq!(raw.greet(&Hello { clean: false, ..Hello::new(&id) }).await, [0x20, 2, 0, 0]);
        raw.subscribe("x", 1).await;
        drop(raw);
        kit.until("it left", |stats| stats.connections == 0).await;
    }
    assert!(kit.broker.stats().sessions <= 22);
    kit.until("all expired", |stats| (stats.sessions, stats.filters) == (0, 0)).await;
    // A session that the client gives up with its DISCONNECT.
    let mut raw = Raw::open(kit.port, 5).await;
    raw.greet(&Hello { properties: &[0x11, 0, 0, 0, 60], ..Hello::new("a") }).await;
    raw.send(&packet(0xe0, &[0, 5, 0x11, 0, 0, 0, 0])).await;
    kit.until("it ended", |stats| stats.sessions == 0).await;
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_was_away_too_long_for_is_dropped_and_counted() {
    let kit = Kit::new().await;
    let away = || Hello { clean: false, ..Hello::new("away") };
    let mut raw = Raw::open(kit.port, 4).await;
    raw.greet(&away()).await;
    raw.subscribe("big", 1).await;
    raw.send(&[0xe0, 0]).await;
    kit.until("it left", |stats| stats.connections == 0).await;
    let mut speaker = kit.client(4, "speaker").await;
    for n in 0..400u32 {
        let mut payload = vec![0; 100_000];
        payload[..4].copy_from_slice(&n.to_be_bytes());
        speaker.publish("big", &payload, 3).await;
        assert_eq!(speaker.read().await.unwrap()[0], 0x40);
    }
    let mut raw = Raw::open(kit.port, 4).await;
    assert_eq!(raw.greet(&away()).await, [0x20, 2, 1, 0]);
    let (mut got, mut last) = (0u64, None);
    while last != Some(399) {
        let heard = raw.read().await.unwrap();
        let number = u32::from_be_bytes(heard[11..15].try_into().unwrap());
        assert!(last < Some(number), "in order, each once");
        (got, last) = (got + 1, Some(number));
        raw.send(&[0x40, 2, heard[9], heard[10]]).await;
    }
    let lost = kit.broker.stats().lost;
    assert!(lost > 0, "40 MB do not fit");
    assert_eq!(got + lost, 400);
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_messages_are_capped() {
    let kit = Kit::with(Limits { retained_topics: 10, ..Limits::default() }).await;
    let mut raw = kit.client(4, "a").await;
    for n in 0..20 {
        raw.publish(&format!("kept/{n}"), b"1", 1).await;
    }
    raw.ping().await;
    let stats = kit.broker.stats();
    assert_eq!((stats.retained_topics, stats.not_retained), (10, 10));
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_unreleased_messages_than_agreed() {
    let kit = Kit::new().await;
    let mut raw = kit.client(5, "greedy").await;
    for id in 1..=101u16 {
        let mut body = text("q2");
        body.extend(id.to_be_bytes());
        body.extend([0, b'x']);
        raw.send(&packet(0x34, &body)).await;
    }
    for _ in 0..100 {
        assert_eq!(raw.read().await.unwrap()[0], 0x50);
    }
    raw.assert_last_word(Some(&[0xe0, 2, 0x93, 0])).await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_tells_the_clients_and_frees_the_port() {
    let kit = Kit::new().await;
    let port = kit.port;
    let mut v3 = kit.client(4, "3").await;
    let mut v5 = kit.client(5, "5").await;
    let mut unknown = Raw::open(port, 4).await;
    let start = Instant::now();
    kit.broker.stop().await;
    assert!(start.elapsed() < Duration::from_secs(3));
    v3.assert_last_word(None).await;
    v5.assert_last_word(Some(&[0xe0, 2, 0x8b, 0])).await;
    unknown.assert_last_word(None).await;
    let at_port = |shutdown: &Shutdown| {
        let bind = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        broker::start(Settings { bind, ..settings(Limits::default()) }, shutdown.clone())
    };
    let shutdown = Shutdown::new();
    let broker = at_port(&shutdown).await.unwrap();
    let kit = Kit { broker, port };
    kit.assert_alive().await;
    let taken = at_port(&shutdown).await.err().unwrap().to_string();
    assert!(taken.contains(&port.to_string()) && taken.contains("choose another port"), "{taken}");
    let mut v5 = kit.client(5, "5").await;
    shutdown.trigger();
    v5.assert_last_word(Some(&[0xe0, 2, 0x8b, 0])).await;
    kit.broker.stop().await;
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_ours() {
    let bind = "192.0.2.1:0".parse().unwrap();
    let error =
        broker::start(Settings { bind, ..settings(Limits::default()) }, Shutdown::new()).await.err().unwrap();
    let sentence = error.to_string();
    assert!(sentence.contains("192.0.2.1") && sentence.contains("no such address"), "{sentence}");
}

/// A client from an address that may not come is not even heard; this machine itself always is.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_may_not_come_is_closed_at_once() {
    let Some(other) = other_address() else {
        println!("SKIPPED: this machine has no address besides loopback to come from");
        return;
    };
    let addresses = Addresses { block: List::parse(&other.to_string()).unwrap(), ..Addresses::default() };
    let bind = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    let broker = broker::start(Settings { bind, addresses, ..settings(Limits::default()) }, Shutdown::new());
    let broker = broker.await.unwrap();
    let kit = Kit { port: broker.local_addr().port(), broker };
    kit.client(5, "at home").await;
    for n in 1..=3 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(other, 0)).unwrap();
        let mut client = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, kit.port))).await.unwrap();
        let mut heard = Vec::new();
        // Closed, or reset if it was quicker.
        let _ = timeout(Duration::from_secs(5), client.read_to_end(&mut heard)).await.expect("it is closed");
        assert!(heard.is_empty(), "{heard:x?}");
        kit.until("it is counted", |stats| stats.refused_addresses == n).await;
    }
    // To its own address and from there: that is this machine.
    drop(TcpStream::connect((other, kit.port)).await.unwrap());
    kit.client(4, "still at home").await;
    assert_eq!(kit.broker.stats().refused_addresses, 3);
    kit.broker.stop().await;
}

/// The address that this machine would use towards others; asking sends nothing.
fn other_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback()).then_some(own)
}
