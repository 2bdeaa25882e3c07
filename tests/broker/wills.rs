//! Last wills: who gets them, and when.

use std::time::{Duration, Instant};

use crate::kit::{Hello, Kit, Raw, mosquitto_sub_start, packet};

const WILL: (&str, &str, u8) = ("wills/a", "gone", 0x08);

/// A listener on the wills, and a client that left one.
async fn scene(kit: &Kit, version: u8, hello: Hello<'_>) -> (Raw, Raw) {
    let mut listener = kit.client(4, "listener").await;
    listener.subscribe("wills/#", 0).await;
    let mut raw = Raw::open(kit.port, version).await;
    let connack = raw.greet(&Hello { will: Some(WILL), ..hello }).await;
    assert_eq!(connack[3], 0);
    (listener, raw)
}

/// No will came: what is said after it arrives first.
async fn assert_silent(listener: &mut Raw) {
    listener.publish("wills/marker", b"marker", 0).await;
    assert!(listener.read().await.unwrap().ends_with(b"marker"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_client_a_mute_one_and_one_that_asks() {
    let kit = Kit::new().await;
    for version in [4, 5] {
        let (mut listener, raw) = scene(&kit, version, Hello::new("killed")).await;
        raw.reset();
        assert!(listener.read().await.unwrap().ends_with(b"gone"), "reset");
        let (mut listener, raw) = scene(&kit, version, Hello::new("closed")).await;
        drop(raw);
        assert!(listener.read().await.unwrap().ends_with(b"gone"), "closed");
        let (mut listener, _raw) = scene(&kit, version, Hello { keep_alive: 1, ..Hello::new("mute") }).await;
        assert!(listener.read().await.unwrap().ends_with(b"gone"), "keep-alive");
        let (mut listener, mut raw) = scene(&kit, version, Hello::new("faulty")).await;
        raw.send(&[0xf0, 0]).await;
        assert!(listener.read().await.unwrap().ends_with(b"gone"), "protocol error");
    }
    for asks in [&[0xe0, 1, 4][..], &[0xe0, 2, 4, 0]] {
        let (mut listener, mut raw) = scene(&kit, 5, Hello::new("asks")).await;
        raw.send(asks).await;
        assert!(listener.read().await.unwrap().ends_with(b"gone"), "DISCONNECT with will");
    }
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polite_client_leaves_none() {
    let kit = Kit::new().await;
    for version in [4, 5] {
        let (mut listener, mut raw) = scene(&kit, version, Hello::new("polite")).await;
        raw.send(&[0xe0, 0]).await;
        raw.assert_last_word(None).await;
        kit.until("it left", |stats| stats.connections == 1).await;
        assert_silent(&mut listener).await;
    }
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_sends_the_will_of_the_old_connection() {
    let kit = Kit::new().await;
    for version in [4, 5] {
        let (mut listener, mut old) = scene(&kit, version, Hello::new("same")).await;
        let _new = kit.client(version, "same").await;
        assert!(listener.read().await.unwrap().ends_with(b"gone"));
        old.assert_last_word((version == 5).then_some(&[0xe0, 2, 0x8e, 0])).await;
    }
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_will_waits_for_the_client() {
    let kit = Kit::new().await;
    let patient = || Hello {
        clean: false,
        properties: &[0x11, 0, 0, 0, 60],
        will_properties: &[0x18, 0, 0, 0, 2],
        ..Hello::new("patient")
    };
    let (mut listener, raw) = scene(&kit, 5, patient()).await;
    raw.reset();
    kit.until("it is gone", |stats| stats.connections == 1).await;
    let (mut back, start) = (Raw::open(kit.port, 5).await, Instant::now());
    assert_eq!(back.greet(&Hello { will: Some(WILL), ..patient() }).await[2], 1, "session present");
    tokio::time::sleep(Duration::from_millis(3500).saturating_sub(start.elapsed())).await;
    assert_silent(&mut listener).await;
    let start = Instant::now();
    back.reset();
    assert!(listener.read().await.unwrap().ends_with(b"gone"));
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_start_ends_the_delay_of_a_will() {
    let kit = Kit::new().await;
    let hello = Hello {
        properties: &[0x11, 0, 0, 0, 60],
        will_properties: &[0x18, 0, 0, 0, 60],
        ..Hello::new("restarted")
    };
    let (mut listener, raw) = scene(&kit, 5, hello).await;
    raw.reset();
    kit.until("it is gone", |stats| stats.connections == 1).await;
    assert_silent(&mut listener).await;
    let _new = kit.client(5, "restarted").await;
    assert!(listener.read().await.unwrap().ends_with(b"gone"));
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_leaves_its_will_when_killed() {
    let kit = Kit::new().await;
    for version in ["311", "5"] {
        let mut listener = kit.client(5, "listener").await;
        listener.subscribe("wills/#", 1).await;
        let before = kit.broker.stats().filters;
        let args = [
            "-t",
            "x",
            "--will-topic",
            "wills/m",
            "--will-payload",
            "gone",
            "--will-retain",
            "--will-qos",
            "1",
        ];
        let sub = mosquitto_sub_start(kit.port, version, &args);
        kit.until("mosquitto has subscribed", |stats| stats.filters == before + 1).await;
        drop(sub);
        assert!(listener.read().await.unwrap().ends_with(b"gone"));
        assert_eq!(kit.broker.stats().retained_topics, 1);
        listener.send(&packet(0x40, &[0, 1])).await;
        listener.ping().await;
    }
    kit.broker.stop().await;
}
