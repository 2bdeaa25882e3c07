//! From where people may come, through a real proxy and without one; what is noted of it, and who looks for a hole.
//!
//! Not here: the lists themselves (`logic/addresses.rs`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod rig;

use std::io::{BufReader, Write};
use std::net::{IpAddr, Ipv4Addr};

use doorward::http::Limits;
use doorward::logic::access::Role;
use doorward::logic::addresses::{Addresses, List};
use rig::ingress::{ask, connect_from};
use rig::proxy::{PREFIX, PROXY, Proxy};
use rig::{Answer, Rig, bearer, noisy_picture, raw, read_answer, send, wait_for};
use serde_json::{Value, json};

const STATE: &str = "/api/state";
const FPS: &str = "/api/cameras/porch/entities/fps";
/// An address of this machine that plays somebody in the house.
const GUEST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

fn list(text: &str) -> List {
    List::parse(text).unwrap()
}

fn start(addresses: Addresses) -> Rig {
    let limits = Limits { max_connections: 80, ..Limits::default() };
    Rig::among(addresses, None, limits, 15.0, vec![noisy_picture(1), noisy_picture(2)])
}

/// The lists of a home with a proxy.
fn with_proxy() -> Addresses {
    Addresses { trusted_proxies: list(&PROXY.to_string()), ..Addresses::default() }
}

/// The same below the proxy's path.
fn through(proxy: &Proxy, request: &str, headers: &str, body: &str) -> Answer {
    let (method, path) = request.split_once(' ').unwrap();
    let length = body.len();
    let text = format!(
        "{method} {PREFIX}{path} HTTP/1.1\r\nHost: cam.example\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    raw(proxy.address, text.as_bytes()).unwrap()
}

fn forwarded(hops: &str) -> String {
    format!("X-Forwarded-For: {hops}\r\n")
}

/// Entries of the audit log, asked for by this machine itself.
fn audit(rig: &Rig, filter: &Value) -> Vec<Value> {
    let answer = send(rig, "POST", "/api/requests/audit/list", &bearer(), &filter.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["entries"].as_array().unwrap().clone()
}

fn probes(rig: &Rig) -> Vec<String> {
    let state = rig.state.borrow();
    let probes = state.recent.iter().filter(|event| event.event_type == "probe");
    probes.map(|event| event.title.clone()).collect()
}

#[test]
fn only_a_proxy_that_was_named_is_believed() {
    let rig = start(Addresses { trusted_networks: list("127.0.0.3"), ..with_proxy() });
    // From a stranger the words of proxies mean nothing, or less than nothing.
    for header in [
        forwarded("127.0.0.3"),
        forwarded("127.0.0.1"),
        forwarded("nonsense"),
        "Forwarded: for=127.0.0.3\r\n".into(),
        "X-Real-Ip: 127.0.0.3\r\n".into(),
        "X-Forwarded-Host: test\r\nX-Forwarded-Proto: https\r\n".into(),
    ] {
        assert_eq!(
            ask(&rig, IpAddr::from([127, 0, 0, 4]), "GET /api/state", &header, "").status,
            401,
            "{header}"
        );
    }
    assert_eq!(ask(&rig, GUEST, "GET /api/state", "", "").status, 200, "the trusted network itself");
    assert_eq!(
        ask(&rig, GUEST, "GET /api/state", &forwarded("127.0.0.3"), "").status,
        401,
        "a proxy that nobody named stands there, and anybody may stand behind it"
    );
    // From the proxy they count, read from our end.
    for (hops, status) in [
        ("127.0.0.3", 401),
        ("8.8.8.8", 403),
        ("127.0.0.3, 8.8.8.8", 403),
        ("8.8.8.8, 127.0.0.3", 403),
        ("127.0.0.3:4711", 401),
        ("unknown", 400),
        ("127.0.0.3, _x", 400),
        ("127.0.0.3, 10.0.0.256", 400),
    ] {
        let answer = ask(&rig, PROXY, "GET /api/state", &forwarded(hops), "");
        assert_eq!(answer.status, status, "{hops}: {answer:?}");
    }
    let split = "X-Forwarded-For: 8.8.8.8\r\nX-Forwarded-For: 127.0.0.3\r\n";
    assert_eq!(ask(&rig, PROXY, "GET /api/state", split, "").status, 403, "several headers are one list");
    let many = forwarded(&["127.0.0.3"; 33].join(","));
    assert_eq!(ask(&rig, PROXY, "GET /api/state", &many, "").status, 400);
}

#[test]
fn the_local_key_opens_only_from_this_machine_itself() {
    let rig = start(with_proxy());
    for (source, headers, status) in [
        (IpAddr::V4(Ipv4Addr::LOCALHOST), String::new(), 200),
        // The proxy itself, without anybody behind it.
        (PROXY, String::new(), 200),
        (PROXY, forwarded("127.0.0.1"), 200),
        (PROXY, forwarded("192.168.1.9"), 401),
        (PROXY, forwarded("127.0.0.1, 192.168.1.9"), 401),
        // Somebody passes it on who hides for whom.
        (IpAddr::V4(Ipv4Addr::LOCALHOST), forwarded("127.0.0.1"), 401),
        (IpAddr::V4(Ipv4Addr::LOCALHOST), "Via: 1.1 proxy\r\n".into(), 401),
    ] {
        let answer = ask(&rig, source, "GET /api/state", &format!("{}{headers}", bearer()), "");
        assert_eq!(answer.status, status, "{source} {headers}");
    }
}

#[test]
fn who_is_not_on_the_list_gets_one_sentence_and_one_entry() {
    let rig = start(Addresses { block: list("192.168.1.66"), ..with_proxy() });
    for (hops, refused) in
        [("8.8.8.8", "8.8.8.8"), ("192.168.1.66", "192.168.1.66"), ("8.8.4.4, 10.0.0.1", "8.8.4.4")]
    {
        // Not even the open route, and not a path that does not exist.
        for path in ["/", "/healthz", STATE, "/nothing"] {
            let headers = format!("{}{}", bearer(), forwarded(hops));
            let mut stream = connect_from(PROXY, rig.address).unwrap();
            // Without "Connection: close": it is the appliance that ends it.
            write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n{headers}\r\n").unwrap();
            let mut from = BufReader::new(stream);
            let answer = read_answer(&mut from, false).unwrap();
            assert_eq!((answer.status, answer.code().as_str()), (403, "address_refused"), "{hops} {path}");
            assert_eq!(answer.header("connection"), Some("close"));
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.starts_with(refused) && detail.contains("--disable-ip-lists"), "{detail}");
            let mut rest = Vec::new();
            std::io::Read::read_to_end(&mut from, &mut rest).unwrap();
            assert!(rest.is_empty());
        }
    }
    let entries = audit(&rig, &json!({ "type": "refused" }));
    let routes: Vec<&str> = entries.iter().map(|entry| entry["address"].as_str().unwrap()).collect();
    assert_eq!(routes, ["8.8.4.4, 10.0.0.1, 127.0.0.9", "192.168.1.66, 127.0.0.9", "8.8.8.8, 127.0.0.9"]);
    assert!(entries.iter().all(|entry| entry["level"] == "warning" && entry["alert"] == false));
    let everybody = start(Addresses { allow: list("all"), ..with_proxy() });
    assert_eq!(ask(&everybody, PROXY, "GET /healthz", &forwarded("8.8.8.8"), "").status, 200);
    let nobody = start(Addresses { allow: list(""), block: list("all"), ..Addresses::default() });
    assert_eq!(ask(&nobody, GUEST, "GET /healthz", "", "").status, 200, "the machine itself always may");
}

#[test]
fn a_trusted_network_needs_no_login_and_changes_only_from_our_page() {
    let networks = Addresses { trusted_networks: list("127.0.0.3"), ..Addresses::default() };
    let rig = start(networks.clone());
    assert_eq!(ask(&rig, GUEST, "GET /", "", "").status, 200);
    assert_eq!(ask(&rig, GUEST, "GET /api/state", "Cookie: doorward=old\r\n", "").status, 200);
    for wrong in ["Authorization: Bearer wrong\r\n", "Authorization: Basic eDp5\r\n"] {
        assert_eq!(ask(&rig, GUEST, "GET /api/state", wrong, "").status, 401, "{wrong}");
    }
    assert_eq!(ask(&rig, GUEST, "GET /api/state?token=wrong", "", "").status, 401);
    assert_eq!(ask(&rig, IpAddr::from([127, 0, 0, 4]), "GET /api/state", "", "").status, 401);
    let rig = start(Addresses { trusted_role: Role::Admin, ..networks });
    for (headers, status) in [
        ("", 403),
        ("Origin: http://evil\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Origin: http://test\r\n", 200),
        ("Sec-Fetch-Site: same-origin\r\n", 200),
    ] {
        assert_eq!(ask(&rig, GUEST, &format!("PUT {FPS}"), headers, "9").status, status, "{headers}");
    }
    let entries = audit(&rig, &json!({ "user": "trusted network" }));
    let texts: Vec<&str> = entries.iter().map(|entry| entry["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["PUT cameras/porch/entities/fps: done", "PUT cameras/porch/entities/fps: cross_site"]);
    assert_eq!((&entries[0]["type"], &entries[1]["type"]), (&json!("change"), &json!("refused")));
    assert_eq!(entries[0]["address"], "127.0.0.3");
}

#[test]
fn it_works_below_a_path_behind_a_proxy() {
    let addresses = Addresses {
        trusted_networks: list("192.168.1.9, 127.0.0.9"),
        trusted_role: Role::Admin,
        ..with_proxy()
    };
    let rig = start(addresses);
    let proxy = Proxy::start(rig.address, "192.168.1.9");
    let page = through(&proxy, "GET /", "", "");
    assert_eq!(page.status, 200, "{page:?}");
    let html = String::from_utf8(page.body).unwrap();
    for absolute in ["href=\"/", "src=\"/", "action=\"/", "fetch(\"/", "fetch('/", "fetch(`/"] {
        assert!(!html.contains(absolute), "{absolute} would leave {PREFIX}");
    }
    assert_eq!(
        through(&proxy, "GET /api/cameras/porch/snapshot.jpg", "", "").header("content-type"),
        Some("image/jpeg")
    );
    // The proxy rewrites Host; the page's own site is the one that the browser knows.
    let change = |headers: &str| through(&proxy, &format!("PUT {FPS}"), headers, "8").status;
    assert_eq!(change("Origin: https://cam.example\r\n"), 200);
    assert_eq!(change("Origin: https://evil.example\r\n"), 403);
    assert_eq!(
        change(&format!("Origin: http://{}\r\n", rig.address)),
        403,
        "the address behind the proxy is nobody's page"
    );
    // A client cannot choose the name, nor its address.
    assert_eq!(change("Origin: https://evil.example\r\nX-Forwarded-Host: evil.example\r\n"), 403);
    assert_eq!(through(&proxy, "GET /api/state", &forwarded("8.8.8.8"), "").status, 403);
    // Cookies and redirects do not leave the path: no Domain, no address of our own.
    let outside = Proxy::start(rig.address, "192.168.1.10");
    let stale = through(&outside, "GET /", "Cookie: doorward=old\r\n", "");
    assert_eq!(stale.status, 401);
    let cookie = stale.header("set-cookie").unwrap().to_ascii_lowercase();
    let reaches_the_page = !cookie.contains("path=") || cookie.contains("path=/;");
    assert!(reaches_the_page && !cookie.contains("domain="), "{cookie}");
    for answer in [&stale, &through(&proxy, "GET /", "", "")] {
        assert!(
            answer.header("location").is_none_or(|to| !to.starts_with('/') && !to.contains("://")),
            "{answer:?}"
        );
    }
}

#[test]
fn looking_for_a_hole_is_told_once() {
    let rig = start(Addresses { allow: list("all"), ..with_proxy() });
    let from = |hops: &str, path: &str, more: &str| {
        ask(&rig, PROXY, &format!("GET {path}"), &format!("{}{more}", forwarded(hops)), "").status
    };
    assert_eq!(from("8.8.8.8", "/robots.txt", ""), 404, "the usual answer");
    wait_for("the event", || probes(&rig).len() == 1);
    assert_eq!(probes(&rig), ["8.8.8.8 looks for a way in"]);
    for path in ["/.env", "/wp-login.php", "/robots.txt", "/.git/config"] {
        assert_eq!(from("8.8.8.8", path, ""), 404, "{path}");
    }
    // At home a tool may ask for robots.txt in good faith, but for nothing else of the list.
    assert_eq!(from("192.168.1.9", "/robots.txt", ""), 404);
    assert_eq!(from("192.168.1.9", "/cgi-bin/luci", ""), 404);
    wait_for("the second event", || probes(&rig).len() == 2);
    // Whoever is signed in looks for nothing.
    assert_eq!(send(&rig, "GET", "/.env", &bearer(), "").status, 404);
    let entries = audit(&rig, &json!({ "type": "attack" }));
    let shown: Vec<(&str, bool)> = entries
        .iter()
        .map(|entry| (entry["text"].as_str().unwrap(), entry["alert"].as_bool().unwrap()))
        .collect();
    let text = |path: &str| format!("GET {path}: somebody looks for a way in");
    let expected = [
        (text("/cgi-bin/luci"), true),
        (text("/.git/config"), false),
        (text("/wp-login.php"), false),
        (text("/.env"), false),
        (text("/robots.txt"), true),
    ];
    assert_eq!(shown, expected.each_ref().map(|(text, alert)| (text.as_str(), *alert)));
    assert!(entries.iter().all(|entry| entry["level"] == "alert"));
    assert_eq!(probes(&rig).len(), 2, "{:?}", probes(&rig));
}

/// The list shuts the Internet out, and who looks for a hole there is told of all the same.
#[test]
fn who_is_shut_out_is_told_of_too() {
    let rig = start(with_proxy());
    for path in ["/robots.txt", "/.env", "/"] {
        assert_eq!(ask(&rig, PROXY, &format!("GET {path}"), &forwarded("8.8.8.8"), "").status, 403);
    }
    wait_for("the event", || probes(&rig) == ["8.8.8.8 looks for a way in"]);
    assert_eq!(audit(&rig, &json!({ "type": "attack", "alert": true })).len(), 1);
}

#[test]
fn the_log_is_asked_in_pages_and_clearing_it_is_noted() {
    let rig = start(Addresses::default());
    let change = |value: u32| send(&rig, "PUT", FPS, &bearer(), &value.to_string()).status;
    assert_eq!((change(8), change(900)), (200, 400));
    assert_eq!(send(&rig, "GET", STATE, &bearer(), "").status, 200, "looking is not noted");
    assert_eq!(send(&rig, "POST", "/api/requests/ping", &bearer(), "").status, 200);
    let entries = audit(&rig, &json!({}));
    let texts: Vec<&str> = entries.iter().map(|entry| entry["text"].as_str().unwrap()).collect();
    assert_eq!(
        texts,
        ["PUT cameras/porch/entities/fps: out_of_range", "PUT cameras/porch/entities/fps: done"]
    );
    assert_eq!((&entries[0]["user"], &entries[0]["address"]), (&json!("local key"), &json!("127.0.0.1")));
    for body in ["{\"limit\":501}", "{\"limit\":0}", "{\"level\":\"loud\"}", "{\"who\":1}"] {
        assert_eq!(send(&rig, "POST", "/api/v1/requests/audit/list", &bearer(), body).status, 400, "{body}");
    }
    let cleared = send(&rig, "POST", "/api/v1/requests/audit/clear", &bearer(), "");
    assert_eq!(cleared.json(), json!({ "removed": 2 }));
    let entries = audit(&rig, &json!({}));
    let texts: Vec<&str> = entries.iter().map(|entry| entry["text"].as_str().unwrap()).collect();
    assert_eq!(texts[0], "POST requests/audit/clear: done");
    assert!(texts[1].contains("cleared; 2 entries") && texts.len() == 2, "{texts:?}");
    for (method, target) in [("POST", "/api/requests/audit/list"), ("POST", "/api/requests/audit/clear")] {
        assert_eq!(send(&rig, method, target, "", "").status, 401);
    }
}

/// A scan of a thousand paths from an address that is shut out is a handful of entries.
#[test]
fn a_scan_does_not_fill_the_log() {
    let rig = start(with_proxy());
    for n in 0..300 {
        assert_eq!(ask(&rig, PROXY, &format!("GET /{n}.php"), &forwarded("8.8.8.8"), "").status, 403);
    }
    let entries = audit(&rig, &json!({}));
    assert!(entries.len() <= 6, "{} entries", entries.len());
    assert_eq!(probes(&rig).len(), 1);
}
