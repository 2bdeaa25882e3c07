//! What stock clients expect: both versions on one port, QoS, retained messages, sessions, properties, rights.

use doorward::broker::Limits;
use std::time::Duration;

use crate::kit::{
    APPLIANCE, Hello, Kit, Raw, mosquitto_pub, mosquitto_pub_as, mosquitto_sub, packet, paho, text,
};

macro_rules! paho_scenes {
    ($($scene:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $scene() {
            let kit = Kit::new().await;
            assert_eq!(paho(kit.port, stringify!($scene), &[]).await.ok(), "ok\n");
            kit.broker.stop().await;
        }
    )*};
}

paho_scenes! { wrong_password properties retained no_local sessions order large }

#[tokio::test(flavor = "multi_thread")]
async fn one_port_speaks_both_versions() {
    let kit = Kit::new().await;
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_is_told_that_the_password_is_wrong() {
    let kit = Kit::new().await;
    for version in ["311", "5"] {
        let refused = mosquitto_pub_as(("ha", "wrong"), kit.port, version, &["-t", "x", "-m", "y"]).await;
        assert_ne!(refused.code, Some(0));
        assert!(refused.stderr.to_lowercase().contains("bad user name or password"), "{refused:?}");
    }
    for (version, hello, expected) in [
        (4, Hello { login: None, ..Hello::new("a") }, &[0x20, 2, 0, 5][..]),
        (4, Hello { login: Some(("ha", "no")), ..Hello::new("a") }, &[0x20, 2, 0, 4]),
        (5, Hello { login: None, ..Hello::new("a") }, &[0x20, 3, 0, 0x87, 0]),
        (5, Hello { login: Some(("ha", "no")), ..Hello::new("a") }, &[0x20, 3, 0, 0x86, 0]),
    ] {
        let mut raw = Raw::open(kit.port, version).await;
        assert_eq!(raw.greet(&hello).await, expected);
        raw.assert_last_word(None).await;
    }
    assert_eq!(kit.broker.stats().refused_logins, 6);
    kit.assert_alive().await;
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_retained_messages_reach_mosquitto() {
    let kit = Kit::new().await;
    let mut appliance = kit.client_as(APPLIANCE, 5, "us").await;
    for n in 0..500 {
        appliance.publish(&format!("doorward/n1/cam{n}/status"), b"online", 1).await;
    }
    appliance.ping().await;
    assert_eq!(kit.broker.stats().retained_topics, 500);
    for version in ["311", "5"] {
        for qos in ["0", "1"] {
            let args = ["-t", "doorward/#", "-q", qos, "-C", "500", "-F", "%t %r"];
            let heard = mosquitto_sub(kit.port, version, &args).await.ok();
            let mut topics: Vec<&str> = heard.lines().collect();
            assert!(topics.iter().all(|line| line.ends_with(" 1")), "the retain flag");
            topics.sort_unstable();
            topics.dedup();
            assert_eq!(topics.len(), 500, "MQTT {version} QoS {qos}");
        }
    }
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_empty_retained_message_deletes() {
    let kit = Kit::new().await;
    let mut raw = kit.client(4, "a").await;
    raw.publish("keep/me", b"1", 1).await;
    raw.publish("keep/me", b"", 0).await;
    raw.ping().await;
    assert_eq!(kit.broker.stats().retained_topics, 1);
    raw.publish("keep/me", b"", 1).await;
    raw.ping().await;
    assert_eq!(kit.broker.stats().retained_topics, 0);
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_forges_what_only_the_appliance_says() {
    let kit = Kit::new().await;
    let mut listener = kit.client(5, "listener").await;
    assert_eq!(listener.subscribe("#", 1).await, 1);
    for (version, puback) in [(4, &[0x40, 2, 0, 7][..]), (5, &[0x40, 4, 0, 7, 0x87, 0])] {
        let mut forger = kit.client(version, "forger").await;
        for topic in ["doorward/n1/porch/event/face", "doorward/n1/porch/image/live", "doorward/n1/status"] {
            forger.publish(topic, b"forged", 3).await;
            assert_eq!(forger.read().await.as_deref(), Some(puback), "{topic}");
            forger.publish(topic, b"forged", 0).await;
            forger.publish(topic, b"forged", 4).await;
            assert_eq!(forger.read().await.unwrap()[0], 0x50);
            forger.send(&[0x62, 2, 0, 7]).await;
            assert_eq!(forger.read().await.unwrap()[0], 0x70);
        }
        let hello = Hello { will: Some(("doorward/n1/status", "offline", 0x20)), ..Hello::new("willful") };
        let connack = Raw::open(kit.port, version).await.greet(&hello).await;
        assert_eq!(connack[3], if version == 4 { 5 } else { 0x87 });
    }
    let allowed = ["doorward/n1/porch/privacy/set", "doorward/n1/request/snapshot", "zigbee/lamp"];
    for topic in allowed {
        mosquitto_pub(kit.port, "5", &["-q", "1", "-t", topic, "-m", "x"]).await.ok();
    }
    mosquitto_pub_as(APPLIANCE, kit.port, "311", &["-t", "doorward/n1/porch/event/face", "-m", "real"])
        .await
        .ok();
    for expected in allowed.into_iter().chain(["doorward/n1/porch/event/face"]) {
        let heard = listener.read().await.unwrap();
        assert!(heard.windows(expected.len()).any(|part| part == expected.as_bytes()), "{expected}");
        assert!(!heard.windows(6).any(|part| part == b"forged"));
        if heard[0] & 6 != 0 {
            let id = 2 + 2 + expected.len();
            listener.send(&[0x40, 2, heard[id], heard[id + 1]]).await;
        }
    }
    let stats = kit.broker.stats();
    assert_eq!((stats.retained_topics, stats.denied_publishes), (0, 20));
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_alias_maximum_of_a_client_mixes_up_nothing() {
    let kit = Kit::new().await;
    let mut raw = kit.client(4, "a").await;
    for topic in ["alias/1", "alias/2", "alias/3"] {
        raw.publish(topic, topic.as_bytes(), 1).await;
    }
    raw.ping().await;
    let args = ["-D", "connect", "topic-alias-maximum", "10", "-t", "alias/+", "-C", "3", "-F", "%t=%p"];
    let heard = mosquitto_sub(kit.port, "5", &args).await.ok();
    assert_eq!(heard, "alias/1=alias/1\nalias/2=alias/2\nalias/3=alias/3\n");
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connack_states_the_terms() {
    let kit = Kit::with(Limits { session_expiry: Duration::from_secs(60), ..Limits::default() }).await;
    let mut raw = Raw::open(kit.port, 5).await;
    let connack = raw.greet(&Hello { properties: &[0x11, 0, 1, 0, 0], ..Hello::new("") }).await;
    assert_eq!(&connack[2..4], &[0, 0]);
    let has = |property: &[u8]| connack.windows(property.len()).any(|part| part == property);
    assert!(has(&[0x22, 0, 0]), "no topic aliases");
    assert!(has(&[0x2a, 0]), "no shared subscriptions");
    assert!(has(&[0x29, 1]), "subscription identifiers");
    assert!(has(&[0x11, 0, 0, 0, 60]), "the session expiry that it gets");
    assert!(has(b"auto-"), "an assigned client id");
    let mut again = Raw::open(kit.port, 5).await;
    assert_ne!(again.greet(&Hello::new("")).await, connack);
    let refused = Raw::open(kit.port, 4).await.greet(&Hello { clean: false, ..Hello::new("") }).await;
    assert_eq!(refused, [0x20, 2, 0, 2], "3.1.1 without an id cannot keep a session");
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unacknowledged_messages_come_again() {
    let kit = Kit::new().await;
    let hello = || Hello { clean: false, ..Hello::new("forgetful") };
    let mut raw = Raw::open(kit.port, 4).await;
    raw.greet(&hello()).await;
    assert_eq!(raw.subscribe("again", 2).await, 2);
    for (flags, payload) in [(2, b"one"), (4, b"two")] {
        mosquitto_pub(
            kit.port,
            "5",
            &["-q", &(flags / 2).to_string(), "-t", "again", "-m", std::str::from_utf8(payload).unwrap()],
        )
        .await
        .ok();
        assert_eq!(raw.read().await.unwrap()[0], 0x30 | flags);
    }
    raw.send(&[0x50, 2, 0, 2]).await;
    assert_eq!(raw.read().await.unwrap(), [0x62, 2, 0, 2]);
    raw.reset();
    kit.until("the connection is gone", |stats| stats.connections == 0).await;
    let mut raw = Raw::open(kit.port, 4).await;
    assert_eq!(raw.greet(&hello()).await, [0x20, 2, 1, 0], "session present");
    let again = raw.read().await.unwrap();
    assert_eq!(again[0], 0x3a, "the first one again, with DUP");
    assert!(again.ends_with(b"one"));
    assert_eq!(raw.read().await.unwrap(), [0x62, 2, 0, 2], "the release of the second");
    raw.send(&[0x40, 2, 0, 1, 0x70, 2, 0, 2]).await;
    assert!(raw.ping().await.is_empty());
    kit.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unsubscribing_ends_delivery() {
    let kit = Kit::new().await;
    for version in [4, 5] {
        let mut raw = kit.client(version, "u").await;
        raw.subscribe("u/#", 0).await;
        let mut body = vec![0, 3];
        body.extend(if version == 5 { &[0][..] } else { &[] });
        body.extend(text("u/#"));
        body.extend(text("never"));
        raw.send(&packet(0xa2, &body)).await;
        let expected: &[u8] = if version == 5 { &[0xb0, 5, 0, 3, 0, 0, 0x11] } else { &[0xb0, 2, 0, 3] };
        assert_eq!(raw.read().await.unwrap(), expected);
        raw.publish("u/x", b"1", 0).await;
        assert!(raw.ping().await.is_empty());
    }
    kit.broker.stop().await;
}
