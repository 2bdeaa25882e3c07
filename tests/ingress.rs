//! Home Assistant's ingress proxy: whoever comes from its address is signed in, and nobody else, whatever they say.
//!
//! Not here: the page in a browser below the proxy's path (`page.rs`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod rig;

use std::net::{IpAddr, Ipv4Addr};

use doorward::http::Limits;
use rig::ingress::{PROXY, ask};
use rig::log::Logged;
use rig::{Answer, Rig, TOKEN, bearer, noisy_picture};

const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const FPS: &str = "/api/cameras/porch/entities/fps";
/// Everything that Home Assistant adds, as anybody can write it.
const CLAIMS: &str = "X-Ingress-Path: /api/hassio_ingress/x\r\nX-Forwarded-For: 127.0.0.3\r\nX-Real-Ip: 127.0.0.3\r\n\
                      Forwarded: for=127.0.0.3\r\nX-Hass-Source: core.ingress\r\nX-Remote-User-Id: 1\r\n\
                      X-Remote-User-Name: admin\r\nX-Remote-User-Display-Name: Admin\r\n";
const OWN_SITE: &str = "Origin: http://test\r\n";

fn start(proxy: Option<IpAddr>) -> Rig {
    Rig::behind(proxy, Limits::default(), 15.0, vec![noisy_picture(1), noisy_picture(2)])
}

#[test]
fn only_the_proxy_needs_no_token() {
    let rig = start(Some(PROXY));
    for path in ["/", "/api/state", "/api/events", "/api/cameras/porch/snapshot.jpg"] {
        let request = format!("GET {path}");
        assert_eq!(ask(&rig, PROXY, &request, "", "").status, 200, "{path}");
        assert_eq!(ask(&rig, PROXY, &request, CLAIMS, "").status, 200, "{path}");
        assert_eq!(ask(&rig, OTHER, &request, "", "").status, 401, "{path}");
        assert_eq!(
            ask(&rig, OTHER, &request, CLAIMS, "").status,
            401,
            "{path} for whoever claims to be the proxy"
        );
        assert_eq!(ask(&rig, OTHER, &request, &bearer(), "").status, 200, "{path} with the token");
    }
    assert_eq!(ask(&rig, OTHER, &format!("PUT {FPS}"), &format!("{CLAIMS}{OWN_SITE}"), "9").status, 401);
}

#[test]
fn without_the_setting_there_is_no_proxy() {
    let rig = start(None);
    for source in [PROXY, OTHER, IpAddr::V4(Ipv4Addr::LOCALHOST)] {
        assert_eq!(ask(&rig, source, "GET /api/state", CLAIMS, "").status, 401, "{source}");
    }
}

#[test]
fn only_home_assistant_may_frame_the_page() {
    let rig = start(Some(PROXY));
    let policy = |answer: Answer| answer.header("content-security-policy").unwrap().to_owned();
    assert!(policy(ask(&rig, PROXY, "GET /", "", "")).contains("frame-ancestors 'self'"));
    for headers in [bearer(), String::new(), CLAIMS.to_owned()] {
        let policy = policy(ask(&rig, OTHER, "GET /", &headers, ""));
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    }
}

#[test]
fn changes_come_from_our_own_page_and_the_log_names_the_user() {
    let logged = Logged::default();
    let writer = logged.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let rig = start(Some(PROXY));
    let change = |source, headers: &str| ask(&rig, source, &format!("PUT {FPS}"), headers, "9").status;
    assert_eq!(change(PROXY, ""), 403, "a browser's own page says where it is from");
    assert_eq!(change(PROXY, "Origin: http://evil\r\n"), 403);
    assert_eq!(change(PROXY, "Sec-Fetch-Site: cross-site\r\nOrigin: http://test\r\n"), 403);
    let of_user =
        |name: &str| format!("{OWN_SITE}X-Remote-User-Id: 7\r\nX-Remote-User-Display-Name: {name}\r\n");
    assert_eq!(change(PROXY, &of_user("Jürgen Groß")), 200, "Home Assistant writes names in UTF-8");
    let forged = format!("{}{}", of_user("Mallory"), bearer());
    assert_eq!(change(OTHER, &forged), 200, "with the token");
    assert_eq!(
        change(OTHER, &format!("{}{}", of_user("Jürgen"), bearer())),
        400,
        "ASCII from everybody else"
    );
    let text = logged.text();
    let lines: Vec<&str> =
        text.lines().filter(|line| line.contains("asked through Home Assistant")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].contains("Jürgen Groß") && lines[0].contains(FPS), "{}", lines[0]);
    assert!(!text.contains("Mallory"), "{text}");
}

#[test]
fn wrong_tokens_never_lock_the_proxy_out() {
    let rig = start(Some(PROXY));
    for number in 0..40 {
        let request = format!("GET /api/state?token={number}");
        let stale = "Cookie: doorward=old\r\nAuthorization: Bearer wrong\r\n";
        assert_eq!(ask(&rig, PROXY, &request, stale, "").status, 200);
    }
    let statuses: Vec<u16> =
        (0..12).map(|n| ask(&rig, OTHER, &format!("GET /api/state?token={n}"), "", "").status).collect();
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    assert_eq!(ask(&rig, PROXY, "GET /api/state", "", "").status, 200);
    assert!(rig.state.borrow().recent.iter().all(|event| !event.title.contains(&PROXY.to_string())));
    assert_eq!(ask(&rig, OTHER, &format!("GET /api/state?token={TOKEN}"), "", "").status, 200);
}
