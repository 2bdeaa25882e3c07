//! The HTTP server from outside: what the routes do, abuse, slow viewers, stock clients.
//!
//! Not here: who may use which route (`routes.rs`), and the page in a browser (`page.rs`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod rig;

use std::io::{Read, Write};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use doorward::http::{Limits, bind};
use doorward::hub::Next;
use doorward::jpeg;
use doorward::logic::access::Role;
use rig::log::Logged;
use rig::{Mjpeg, PASSWORD, Rig, TOKEN, bearer, connect, get, put, raw, send, wait_for};

const STILL: &str = "/api/cameras/porch/snapshot.jpg";

/// Small limits, so that the tests need not wait long.
fn limits() -> Limits {
    Limits {
        header_time: Duration::from_secs(2),
        body_time: Duration::from_secs(2),
        stall_time: Duration::from_secs(2),
        max_connections: 80,
        max_per_address: 60,
        ..Limits::default()
    }
}

fn assert_still_well(rig: &Rig, after: &str) {
    let begin = Instant::now();
    let answer = get(rig, STILL);
    assert_eq!(answer.status, 200, "after {after}");
    assert!(jpeg::check(&answer.body).is_ok(), "after {after}");
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?} after {after}", begin.elapsed());
}

#[test]
fn every_route_but_health_needs_a_credential() {
    let rig = Rig::start(limits());
    let event = send(&rig, "POST", "/api/cameras/porch/snapshot", &bearer(), "").json()["event"].clone();
    let event = format!("/api/events/{}", event.as_str().unwrap());
    let [picture, best, thumbnail, pinned] =
        ["snapshot.jpg", "best.jpg", "thumbnail.jpg", "pinned"].map(|part| format!("{event}/{part}"));
    let other = send(&rig, "POST", "/api/cameras/porch/snapshot", &bearer(), "").json()["event"].clone();
    let other = format!("/api/events/{}", other.as_str().unwrap());
    for (method, target, status, kind) in [
        ("GET", "/", 200, "text/html; charset=utf-8"),
        ("GET", "/healthz", 200, "text/plain; charset=utf-8"),
        ("GET", "/status", 200, "text/html; charset=utf-8"),
        ("GET", "/api/state", 200, "application/json"),
        ("GET", "/api/about", 200, "application/json"),
        ("GET", "/api/users", 200, "application/json"),
        ("GET", "/api/tokens", 200, "application/json"),
        ("GET", "/api/events", 200, "application/json"),
        ("GET", "/api/events?limit=1", 200, "application/json"),
        ("GET", "/api/v1/events?limit=1&type=snapshot&camera=porch", 200, "application/json"),
        ("GET", &event, 200, "application/json"),
        ("GET", &picture, 200, "image/jpeg"),
        ("GET", &best, 200, "image/jpeg"),
        ("GET", &thumbnail, 200, "image/jpeg"),
        ("PUT", &pinned, 400, "application/json"),
        ("DELETE", &other, 200, "application/json"),
        ("GET", "/api/cameras/porch/strip.jpg", 200, "image/jpeg"),
        ("POST", "/api/notify/test?targe=x", 400, "application/json"),
        ("GET", STILL, 200, "image/jpeg"),
        ("HEAD", "/api/cameras/porch/stream.mjpeg", 200, "multipart/x-mixed-replace; boundary=frame"),
        ("GET", "/api/cameras/porch/entities/fps", 200, "application/json"),
        ("GET", "/api/cameras/porch/entities/person/unknown", 200, "application/json"),
        ("PUT", "/api/cameras/porch/entities/fps", 400, "application/json"),
        ("POST", "/api/cameras/porch/snapshot", 202, "application/json"),
        ("GET", "/api/why?camera=porch", 200, "application/json"),
        ("GET", "/api/faces/self_test.svg", 200, "image/svg+xml"),
        ("POST", "/api/faces/enrol", 400, "application/json"),
        ("POST", "/api/faces/forget", 400, "application/json"),
    ] {
        let with = send(&rig, method, target, &bearer(), "");
        assert_eq!((with.status, with.header("content-type")), (status, Some(kind)), "{method} {target}");
        assert_eq!(with.header("x-content-type-options"), Some("nosniff"), "{target}");
        assert_eq!(with.header("cache-control"), Some("no-store"), "{target}");
        assert_eq!(with.header("referrer-policy"), Some("no-referrer"), "{target}");
        for header in
            ["", "Authorization: Bearer wrong\r\n", "Cookie: doorward=1\r\n", "X-Doorward-Ip: 1\r\n"]
        {
            let without = send(&rig, method, target, header, "");
            let expected = if target == "/healthz" { vec![200] } else { vec![401, 429] };
            assert!(expected.contains(&without.status), "{method} {target} {header}: {}", without.status);
            assert!(without.body.len() < 10_000, "nothing private");
        }
        if method == "GET" {
            let head = send(&rig, "HEAD", target, &bearer(), "");
            assert_eq!((head.status, head.header("content-type")), (200, Some(kind)), "HEAD {target}");
        }
    }
    let refused = send(&rig, "GET", STILL, "", "");
    assert_eq!((refused.status, refused.code().as_str()), (401, "unauthorized"));
    assert!(refused.header("www-authenticate").unwrap().starts_with("Basic realm=\"Doorward\""));
    let page = send(&rig, "GET", "/", "", "");
    assert_eq!((page.status, page.header("www-authenticate")), (401, None));
    assert!(String::from_utf8(page.body).unwrap().contains("Pairing code"), "nobody has an account yet");
}

#[test]
fn wrong_paths_methods_and_values_are_told_apart() {
    let rig = Rig::start(limits());
    for (method, target, status, code) in [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/api/cameras/other/snapshot.jpg", 404, "not_found"),
        ("GET", "/api/cameras/other/stream.mjpeg", 404, "not_found"),
        ("GET", "/api/cameras/porch/entities/nothing", 404, "not_found"),
        ("GET", "/api/events/01J/snapshot.jpg", 404, "not_found"),
        ("PUT", "/api/cameras/other/entities/fps", 404, "not_found"),
        ("POST", "/api/cameras/other/snapshot", 404, "not_found"),
        ("GET", "/api/cameras/porch/stream.mjpeg?fps=0", 400, "out_of_range"),
        ("GET", "/api/cameras/porch/stream.mjpeg?fps=NaN", 400, "not_a_number"),
        ("GET", "/api/events?limit=zero", 400, "bad_request"),
        ("GET", "/api/events?since=1", 400, "bad_request"),
        ("GET", "/api/events?from=yesterday", 400, "bad_request"),
        ("GET", "/api/events/01J", 404, "not_found"),
        ("DELETE", "/api/events/..%2f..", 404, "not_found"),
        ("GET", "/api/events/01ARZ3NDEKTSV4RRFFQ69G5FAV/clip.mp4", 404, "not_found"),
        ("POST", "/api/events/01J/pinned", 405, "wrong_method"),
        ("GET", "/api/cameras/porch/strip.jpg?day=today", 400, "bad_request"),
        ("GET", "/api/cameras/other/strip.jpg", 404, "not_found"),
        ("DELETE", "/", 405, "wrong_method"),
        ("POST", "/api/state", 405, "wrong_method"),
        ("GET", "/api/cameras/porch/snapshot", 405, "wrong_method"),
        ("OPTIONS", "/api/cameras/porch/entities/fps", 405, "wrong_method"),
    ] {
        let answer = send(&rig, method, target, &bearer(), "");
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {target}");
        assert!(answer.json()["error"].is_string() && answer.json()["detail"].is_string());
        assert_eq!(answer.header("allow").is_some(), status == 405);
    }
    let allow = send(&rig, "DELETE", "/api/cameras/porch/entities/fps", &bearer(), "");
    assert_eq!(allow.header("allow"), Some("GET, PUT, HEAD"));
}

#[test]
fn settings_make_the_round_trip() {
    let rig = Rig::start(limits());
    for (key, body, value) in [
        ("fps", "5", "5"),
        ("fps", r#"{"value": 7.5}"#, "7.5"),
        ("motion_detection", "OFF", "OFF"),
        ("motion_detection", r#"{"value": true}"#, "ON"),
        ("face_threshold", "0.6", "0.6"),
    ] {
        let answer = put(&rig, key, body);
        assert_eq!((answer.status, answer.json()["value"].as_str()), (200, Some(value)), "{key} {body}");
        let read = get(&rig, &format!("/api/cameras/porch/entities/{key}")).json();
        assert_eq!(read["value"].as_str(), Some(value));
    }
    for (key, body, status, code) in [
        ("fps", "NaN", 400, "not_a_number"),
        ("fps", "0", 400, "out_of_range"),
        ("fps", "inf", 400, "out_of_range"),
        ("fps", "", 400, "not_a_number"),
        ("fps", r#"{"value":[]}"#, 400, "bad_request"),
        ("motion_detection", "on", 400, "not_a_choice"),
        ("viewers", "5", 403, "read_only"),
        ("nothing", "5", 404, "not_found"),
        ("fps/", "5", 404, "not_found"),
    ] {
        let answer = put(&rig, key, body);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{key} {body}");
    }
    assert_eq!(
        get(&rig, "/api/cameras/porch/entities/fps").json()["value"],
        "7.5",
        "refusals change nothing"
    );
    let pressed = put(&rig, "snapshot", "PRESS").json();
    let picture = get(&rig, &format!("/api/events/{}/snapshot.jpg", pressed["event"].as_str().unwrap()));
    assert!(jpeg::check(&picture.body).is_ok());
    let state = get(&rig, "/api/state").json();
    let camera = &state["cameras"][0];
    assert_eq!(camera["name"], "Front porch");
    let rows = camera["entities"].as_array().unwrap();
    assert_eq!(rows.len(), doorward::logic::entities::CAMERA.len());
    let fps = rows.iter().find(|row| row["key"] == "fps").unwrap();
    assert_eq!(
        (fps["kind"].as_str(), fps["min"].as_f64(), fps["max"].as_f64()),
        (Some("number"), Some(1.0), Some(60.0))
    );
    assert_eq!(state["events"][0]["id"], pressed["event"]);
}

#[test]
fn privacy_leaves_no_picture() {
    let rig = Rig::start(limits());
    let event = send(&rig, "POST", "/api/cameras/porch/snapshot", &bearer(), "").json();
    assert_eq!(get(&rig, event["path"].as_str().unwrap()).status, 200);
    let mut viewer = Mjpeg::open(rig.address, "").unwrap();
    viewer.next().unwrap();
    assert_eq!(put(&rig, "privacy", "ON").json()["value"], "ON");
    let card = get(&rig, STILL);
    assert_eq!((card.status, card.header("content-type")), (503, Some("image/jpeg")));
    assert_eq!(jpeg::check(&card.body).unwrap(), (320, 240));
    wait_for("the card in the stream", || jpeg::check(&viewer.next().unwrap()).unwrap() == (320, 240));
    assert_eq!(get(&rig, event["path"].as_str().unwrap()).status, 404, "old pictures are gone");
    assert_eq!(send(&rig, "POST", "/api/cameras/porch/snapshot", &bearer(), "").code(), "privacy");
    put(&rig, "privacy", "OFF");
    wait_for("the live picture", || jpeg::check(&viewer.next().unwrap()).unwrap() == (640, 480));
}

#[test]
fn the_page_loads_nothing_from_elsewhere_and_cookies_are_for_it_alone() {
    let rig = Rig::start(limits());
    let session = rig.user("anna", Role::Admin);
    let cookie = format!("Cookie: a=b; doorward={session}\r\n");
    for path in ["/", "/status"] {
        let page = send(&rig, "GET", path, &cookie, "");
        assert_eq!(page.status, 200);
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
    }
    assert_eq!(send(&rig, "GET", "/api/state", &cookie, "").status, 200);
    assert_eq!(send(&rig, "GET", STILL, &cookie, "").status, 200);
    let change = |more: &str| {
        send(&rig, "PUT", "/api/cameras/porch/entities/fps", &format!("{cookie}{more}"), "9").status
    };
    assert_eq!(change("Sec-Fetch-Site: same-origin\r\n"), 200);
    assert_eq!(change("Origin: http://test\r\n"), 200);
    assert_eq!(change(""), 403);
    assert_eq!(change("Origin: http://evil\r\n"), 403);
    assert_eq!(change("Sec-Fetch-Site: cross-site\r\nOrigin: http://test\r\n"), 403);
    let basic = "Authorization: Basic eDo5ZjJjNGI3ZTFkOGE0YzAzYjVlNmY3YTgwOTFiMmMzZA==\r\n";
    assert_eq!(send(&rig, "GET", STILL, basic, "").status, 200, "any user, the token as password");
    let foreign = format!("{basic}Origin: http://evil\r\n");
    assert_eq!(send(&rig, "PUT", "/api/cameras/porch/entities/fps", &foreign, "9").status, 403);
    let stale = send(&rig, "GET", "/", "Cookie: doorward=old\r\n", "");
    assert!(stale.status == 401 && stale.header("set-cookie").unwrap().contains("Max-Age=0"));
}

#[test]
fn wrong_tokens_are_slowed_down_and_the_right_one_still_opens() {
    let rig = Rig::start(limits());
    let statuses: Vec<u16> =
        (0..15).map(|n| send(&rig, "GET", &format!("/api/state?token={n}"), "", "").status).collect();
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[11..], [429; 4]);
    let refused = send(&rig, "GET", "/api/state?token=x", "", "");
    assert!(refused.header("retry-after").is_some() && refused.code() == "too_many_attempts");
    assert_eq!(get(&rig, "/api/state").status, 200);
}

#[test]
fn no_secret_is_in_a_log_line() {
    let logged = Logged::default();
    let writer = logged.clone();
    let everything = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    everything.with_writer(move || writer.clone()).init();
    let rig = Rig::start(limits());
    for target in ["/", "/api/state", "/nothing", STILL, "/api/cameras/porch/stream.mjpeg?fps=0&"] {
        let mark = if target.contains('?') { '&' } else { '?' };
        send(&rig, "GET", &format!("{target}{mark}token={TOKEN}"), &bearer(), "");
    }
    put(&rig, "fps", TOKEN);
    Mjpeg::open(rig.address, &format!("?token={TOKEN}")).unwrap().next().unwrap();
    let session = rig.user("anna", Role::Admin);
    let token = rig.token(Role::Stream, Some(rig::CAMERA), None);
    Mjpeg::open_as(rig.address, &format!("?token={token}"), "").unwrap().next().unwrap();
    let own = format!("Cookie: doorward={session}\r\nOrigin: http://test\r\n");
    let mut answers = Vec::new();
    for (method, path, body) in [
        ("GET", format!("/api/cameras/shed/stream.mjpeg?token={token}"), String::new()),
        ("GET", format!("/api/state?token={token}"), String::new()),
        (
            "POST",
            "/api/session".into(),
            format!("{{\"user\": \"anna\", \"password\": \"{PASSWORD}\", \"x\": 1}}"),
        ),
        ("POST", "/api/session".into(), format!("\"{PASSWORD}\"")),
        (
            "POST",
            "/api/session".into(),
            format!("{{\"user\": \"{PASSWORD}\", \"password\": \"{PASSWORD}\"}}"),
        ),
        ("POST", "/api/setup".into(), format!("{{\"code\": \"{PASSWORD}\"}}")),
        (
            "PUT",
            "/api/session/password".into(),
            format!("{{\"old\": \"{PASSWORD}!\", \"new\": \"{PASSWORD}\"}}"),
        ),
        (
            "POST",
            "/api/users".into(),
            format!("{{\"name\": \"ben\", \"password\": {{\"a\": \"{PASSWORD}\"}}}}"),
        ),
        ("POST", "/api/tokens".into(), format!("[\"{PASSWORD}\"]")),
        ("DELETE", format!("/api/tokens/{PASSWORD}").replace(' ', "-"), String::new()),
    ] {
        // The token shows itself, or the session does.
        let headers = if path.contains("token=") { "" } else { &own };
        let answer = send(&rig, method, &path, headers, &body);
        assert!(answer.status >= 400, "{method} {path}");
        answers.push(String::from_utf8(answer.body).unwrap());
    }
    let text = logged.text();
    assert!(text.contains("path=\"/api/state\""), "requests are logged: {text}");
    for secret in [TOKEN, &session, &token, PASSWORD] {
        assert!(!text.contains(secret), "{secret} is in the log");
        assert!(!answers.concat().contains(secret), "{secret} is in {answers:?}");
    }
}

/// The inputs that stop or stall a tiny_http on the network; none may cost another client anything.
#[test]
fn abuse_costs_nobody_else_anything() {
    let rig = Rig::start(limits());
    let key = bearer();
    let post = "POST /api/cameras/porch/snapshot HTTP/1.1\r\nHost: a\r\n";
    let put_fps = "PUT /api/cameras/porch/entities/fps HTTP/1.1\r\nHost: a\r\n";
    for (what, request, status) in [
        ("an absurd length", format!("{post}{key}Content-Length: 18446744073709551615\r\n\r\n"), 431),
        ("a negative length", format!("{put_fps}{key}Content-Length: -1\r\n\r\n"), 400),
        ("two lengths", format!("{put_fps}{key}Content-Length: 1\r\nContent-Length: 2\r\n\r\n55"), 400),
        ("identity", format!("{put_fps}{key}Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\n5"), 400),
        ("too large", format!("{put_fps}{key}Content-Length: 999999\r\n\r\n"), 413),
        (
            "chunks too large",
            format!("{put_fps}{key}Transfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n{}", "x".repeat(70_000)),
            413,
        ),
        ("HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n".into(), 400),
        ("HTTP/9.9", "GET / HTTP/9.9\r\n\r\n".into(), 400),
        ("no HTTP", "hello\r\n\r\n".into(), 400),
        (
            "bytes beyond ASCII",
            format!("GET /api/state HTTP/1.1\r\nHost: a\r\nX-Name: J\u{f6}rg\r\n{key}\r\n"),
            400,
        ),
        ("a path beyond ASCII", format!("GET /api/\u{f6} HTTP/1.1\r\nHost: a\r\n{key}\r\n"), 400),
        ("a long head", format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(100_000)), 431),
        ("many headers", format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(2000)), 431),
        ("a long path", format!("GET /{} HTTP/1.1\r\n\r\n", "z".repeat(20_000)), 404),
    ] {
        match raw(rig.address, request.as_bytes()) {
            Ok(answer) => assert_eq!(answer.status, status, "{what}"),
            // hyper closes at once when it has not seen a request line that it could answer.
            Err(error) => assert!(["HTTP/2.0", "a long head"].contains(&what), "{what}: {error}"),
        }
        assert_still_well(&rig, what);
    }
    let mut tls = connect(rig.address);
    tls.write_all(&[0x16, 3, 1, 0, 200, 1, 0]).unwrap();
    let mut rest = Vec::new();
    assert!(matches!(tls.read_to_end(&mut rest), Ok(0) | Err(_)), "TLS is closed");
    assert_still_well(&rig, "TLS");
    abuse_by_holding_on(&rig);
}

fn abuse_by_holding_on(rig: &Rig) {
    let mut slow_body = connect(rig.address);
    write!(
        slow_body,
        "PUT /api/cameras/porch/entities/fps HTTP/1.1\r\nHost: a\r\n{}Content-Length: 100\r\n\r\n5",
        bearer()
    )
    .unwrap();
    let mut slow_head = connect(rig.address);
    slow_head.write_all(b"GET / HTTP/1.1\r\nHost:").unwrap();
    let silent = connect(rig.address);
    let mut kept: Vec<_> = (0..10).map(|_| connect(rig.address)).collect();
    for stream in &mut kept {
        write!(stream, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    }
    let viewers: Vec<Mjpeg> = (0..10).map(|_| Mjpeg::open(rig.address, "").unwrap()).collect();
    assert_still_well(rig, "slow and silent clients");
    for mut viewer in viewers {
        viewer.next().unwrap();
        viewer.next().unwrap();
    }
    let mut answer = String::new();
    slow_body.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    for (mut stream, what) in [(slow_head, "slow head"), (silent, "silent"), (kept.pop().unwrap(), "idle")] {
        let begin = Instant::now();
        let _ = stream.read_to_end(&mut Vec::new());
        assert!(begin.elapsed() < Duration::from_secs(4), "{what} is closed in time");
    }
    drop(kept);
    // More connections than one address may have: the others are told, and room comes back by itself.
    let crowd: Vec<_> = (0..70).map(|_| connect(rig.address)).collect();
    wait_for("a refusal", || {
        raw(rig.address, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").is_ok_and(|a| a.status == 503)
    });
    drop(crowd);
    wait_for("room", || {
        raw(rig.address, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").is_ok_and(|a| a.status == 200)
    });
    assert_still_well(rig, "a crowd");
}

#[test]
fn one_address_cannot_take_every_connection() {
    let rig = Rig::start(Limits { max_connections: 40, max_per_address: 20, ..limits() });
    let from = |last: u8| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::from(([127, 0, 0, last], 0)).into()).unwrap();
        socket.connect(&rig.address.into()).unwrap();
        std::net::TcpStream::from(socket)
    };
    let _crowd: Vec<_> = (0..60).map(|_| from(2)).collect();
    assert_still_well(&rig, "sixty connections of one address");
}

#[test]
fn viewers_that_stop_reading_are_cut_and_the_others_keep_their_rate() {
    let rig = Rig::start(limits());
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..15)
        .map(|_| {
            let (mut viewer, stop) = (Mjpeg::open(rig.address, "").unwrap(), Arc::clone(&stop));
            std::thread::spawn(move || {
                let (begin, mut frames) = (Instant::now(), 0);
                while !stop.load(Ordering::Relaxed) {
                    viewer.next().unwrap();
                    frames += 1;
                }
                f64::from(frames) / begin.elapsed().as_secs_f64()
            })
        })
        .collect();
    let sleepers: Vec<Mjpeg> = (0..5).map(|_| Mjpeg::open(rig.address, "").unwrap()).collect();
    wait_for("all twenty", || rig.hub.watching() == 20);
    let begin = Instant::now();
    wait_for("the five to be cut", || rig.hub.watching() == 15);
    assert!(begin.elapsed() < Duration::from_secs(8), "cut after {:?}", begin.elapsed());
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        let fps = reader.join().unwrap();
        assert!(fps >= 0.9 * 15.0, "a reader got {fps:.1} of 15 frames a second");
    }
    drop(sleepers);
    wait_for("nobody", || rig.hub.watching() == 0);
}

#[test]
fn the_viewer_too_many_is_told_and_the_others_stay() {
    let rig = Rig::start(Limits { max_viewers: 3, ..limits() });
    let mut viewers: Vec<Mjpeg> = (0..3).map(|_| Mjpeg::open(rig.address, "").unwrap()).collect();
    let refused = Mjpeg::open(rig.address, "").err().unwrap();
    assert_eq!((refused.status, refused.code().as_str()), (503, "too_many_viewers"));
    assert!(refused.header("retry-after").is_some());
    for viewer in &mut viewers {
        viewer.next().unwrap();
    }
    assert_eq!(get(&rig, "/api/state").status, 200, "the page still works");
    viewers.pop();
    wait_for("room", || Mjpeg::open(rig.address, "").is_ok());
}

#[test]
fn the_rate_that_was_asked_for_is_kept() {
    let rig = Rig::start(limits());
    for asked in [2.0, 5.0, 10.0, 15.0] {
        let mut viewer = Mjpeg::open(rig.address, &format!("?fps={asked}")).unwrap();
        viewer.next().unwrap();
        let begin = Instant::now();
        let frames = 2.0 * asked;
        (0..frames as u32).for_each(|_| drop(viewer.next().unwrap()));
        let fps = frames / begin.elapsed().as_secs_f64();
        assert!((fps / asked - 1.0).abs() < 0.1, "{fps:.2} instead of {asked}");
    }
}

#[test]
fn a_recogniser_that_takes_three_seconds_a_picture_slows_no_stream() {
    let rig = Rig::start(limits());
    let mut eyes = rig.hub.viewer();
    // Takes the newest picture as the faces thread does, decodes it, and then thinks for three seconds.
    let slow = std::thread::spawn(move || {
        for _ in 0..2 {
            if let Next::Frame(frame) = eyes.next_blocking(Duration::from_secs(5)) {
                assert!(frame.rgb().is_ok());
                std::thread::sleep(Duration::from_secs(3));
            }
        }
        eyes.skipped()
    });
    let mut viewer = Mjpeg::open(rig.address, "?fps=10").unwrap();
    viewer.next().unwrap();
    let begin = Instant::now();
    (0..50).for_each(|_| drop(viewer.next().unwrap()));
    let fps = 50.0 / begin.elapsed().as_secs_f64();
    assert!((fps / 10.0 - 1.0).abs() < 0.1, "{fps:.2} instead of 10");
    assert!(slow.join().unwrap() > 20, "the slow one skips what it has no time for");
}

#[test]
fn stopping_closes_streams_in_time() {
    let mut rig = Rig::start(limits());
    let mut viewers: Vec<Mjpeg> = (0..5).map(|_| Mjpeg::open(rig.address, "").unwrap()).collect();
    viewers[0].next().unwrap();
    let _idle = connect(rig.address);
    let took = rig.stop();
    assert!(took < Duration::from_secs(2), "{took:?}");
    for viewer in &mut viewers {
        wait_for("the end", || viewer.next().is_err());
    }
    assert!(std::net::TcpStream::connect(rig.address).is_err());
}

#[test]
fn the_inner_server_comes_back_by_itself() {
    let rig = Rig::start(limits());
    std::fs::remove_file(rig.run_dir.path().join("http.sock")).unwrap();
    assert_still_well(&rig, "the private socket vanished");
}

#[test]
fn an_address_that_cannot_be_had_is_one_sentence() {
    let taken = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = taken.local_addr().unwrap();
    assert!(bind(address).unwrap_err().to_string().contains("taken by another program"));
    assert!(bind("192.0.2.1:8080".parse().unwrap()).unwrap_err().to_string().contains("not an address"));
}

#[test]
fn curl_and_ffmpeg_read_the_stream() {
    let rig = Rig::start(limits());
    let url = format!("http://{}/api/cameras/porch/stream.mjpeg?token={TOKEN}", rig.address);
    let ffmpeg = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-f", "mpjpeg", "-i", &url, "-frames:v", "50"])
        .args(["-f", "null", "-progress", "-", "-"])
        .output()
        .expect("ffmpeg is installed");
    let (out, faults) = (String::from_utf8_lossy(&ffmpeg.stdout), String::from_utf8_lossy(&ffmpeg.stderr));
    assert!(ffmpeg.status.success() && out.contains("frame=50"), "{out} {faults}");
    assert_eq!(faults, "");
    let still = format!("http://{}{STILL}", rig.address);
    let curl = Command::new("curl").args(["-sSf", "-u", &format!("any:{TOKEN}"), &still]).output();
    let curl = curl.expect("curl is installed");
    assert!(curl.status.success() && jpeg::check(&curl.stdout).is_ok());
    let stream = Command::new("curl").args(["-sS", "--max-time", "2", &url]).output().unwrap();
    let parts = stream.stdout.windows(7).filter(|window| window == b"--frame").count();
    assert!((20..=34).contains(&parts), "{parts} parts in two seconds");
}
