//! Cookies, tokens and live streams at the real server with the real door.
//!
//! Not here: the routes for signing in ([`http`]), and the door by itself (`tests/door.rs`).

#![allow(clippy::unwrap_used, reason = "a test may stop where its own ground is missing")]

mod rig;

use std::time::{Duration, Instant};

use doorward::http::Limits;
use doorward::logic::access::Role;
use doorward::logic::accounts::Request;
use rig::{Mjpeg, PASSWORD, Rig, send};

const STILL: &str = "/api/cameras/porch/snapshot.jpg";

fn cookie(session: &str) -> String {
    format!("Cookie: doorward={session}\r\n")
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn live_streams_end_within_a_second_of_the_word() {
    let rig = Rig::start(Limits::default());
    let anna = cookie(&rig.user("anna", Role::Admin));
    rig.user("bob", Role::Viewer);
    let mut witness = Mjpeg::open_as(rig.address, "", &anna).unwrap();
    let bob = || "bob".to_owned();
    let unlock = Request::Lock { name: bob(), on: false };
    let orders = [
        Request::Logout { name: bob() },
        Request::Lock { name: bob(), on: true },
        Request::SetPassword { name: bob(), password: PASSWORD.into(), end_totp: false },
        Request::DeleteUser { name: bob() },
    ];
    for order in orders {
        rig.verb(unlock.clone()).unwrap();
        let session = cookie(&rig.sign_in("bob"));
        assert_eq!(send(&rig, "GET", STILL, &session, "").status, 200);
        let mut streams = [0; 3].map(|_| Mjpeg::open_as(rig.address, "", &session).unwrap());
        streams.iter_mut().for_each(|stream| drop(stream.next().unwrap()));
        let began = Instant::now();
        rig.verb(order.clone()).unwrap();
        for stream in &mut streams {
            while stream.next().is_ok() {
                assert!(began.elapsed() < Duration::from_secs(1), "{order:?}: still there");
            }
        }
        println!("{order:?}: three streams ended within {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(1), "{order:?}");
        assert_eq!(send(&rig, "GET", STILL, &session, "").status, 401, "{order:?}");
        witness.next().unwrap();
    }
    assert_eq!(send(&rig, "GET", STILL, &anna, "").status, 200);
}

#[test]
fn a_stream_ends_when_its_token_does() {
    let rig = Rig::start(Limits::default());
    let token = rig.token(Role::Stream, Some("porch"), Some(2));
    let mut stream = Mjpeg::open_as(rig.address, &format!("?token={token}"), "").unwrap();
    let began = Instant::now();
    while stream.next().is_ok() {
        assert!(began.elapsed() < Duration::from_secs(4), "still there");
    }
    assert!(began.elapsed() > Duration::from_millis(900), "not at once: {:?}", began.elapsed());
    assert_eq!(send(&rig, "GET", STILL, &bearer(&token), "").status, 401, "expired");
}

#[test]
fn tokens_open_what_they_are_for_in_every_way() {
    let rig = Rig::start(Limits::default());
    let basic = |token: &str| {
        let pair = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("any:{token}"));
        format!("Authorization: Basic {pair}\r\n")
    };
    let token = rig.token(Role::Viewer, None, None);
    for headers in [bearer(&token), basic(&token)] {
        assert_eq!(send(&rig, "GET", "/api/state", &headers, "").status, 200);
    }
    assert_eq!(send(&rig, "GET", &format!("/api/state?token={token}"), "", "").status, 200);
    assert_eq!(send(&rig, "GET", "/api/state", &cookie(&token), "").status, 401, "a token is no cookie");
    let session = rig.user("anna", Role::Admin);
    assert_eq!(send(&rig, "GET", "/api/state", &cookie(&session), "").status, 200);
    assert_eq!(send(&rig, "GET", "/api/state", &bearer(&session), "").status, 401, "a cookie is no token");
}
