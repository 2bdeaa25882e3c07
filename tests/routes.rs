//! The table of routes from outside: who may use what, wrong methods, bodies that are too large or nonsense, and sessions from their
//! beginning to their end. The walk goes over the OpenAPI document that the server answers.
//!
//! Not here: what the routes do besides (`http.rs`), and the document in the hands of a stranger (`appliance`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod rig;

use std::io::Write;
use std::time::{Duration, Instant};

use doorward::http::Limits;
use doorward::logic::access::Role;
use rig::{Answer, CAMERA, Mjpeg, PASSWORD, Rig, bearer, get, raw, read_answer, send, wait_for};
use serde_json::{Value, json};

/// What a browser says of our own page.
const OWN_SITE: &str = "Sec-Fetch-Site: same-origin\r\n";
/// The routes that nobody needs a credential for.
const OPEN: [&str; 7] = [
    "GET /healthz",
    "GET /sign-in",
    "GET /api/v1/session",
    "POST /api/v1/session",
    "POST /api/v1/setup",
    "GET /api/v1/oidc/start",
    "GET /api/v1/oidc/callback",
];

/// One method at one path of the document.
struct Operation {
    method: String,
    path: String,
    role: String,
    max_body: Option<usize>,
    /// Names of the fields of a body.
    fields: Vec<String>,
}

impl Operation {
    fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The path with something that fits into each parameter.
    fn target(&self, verb: &str) -> String {
        let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let pairs =
            [("{camera}", CAMERA), ("{id}", id), ("{name}", "nobody"), ("{key}", "fps"), ("{verb}", verb)];
        pairs.iter().fold(self.path.clone(), |path, (name, value)| path.replace(name, value))
    }

    /// The one verb of faces that fits where any verb does.
    fn verb(&self) -> &'static str {
        if self.path.contains("/faces/") { "forget" } else { "restart" }
    }
}

fn operations(rig: &Rig) -> Vec<Operation> {
    let document = get(rig, "/api/v1/openapi.json").json();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, about) in methods.as_object().unwrap() {
            let shape = about["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str();
            let shape = shape.map(|shape| document.pointer(shape.trim_start_matches('#')).unwrap());
            let fields = shape.and_then(|shape| shape["properties"].as_object());
            found.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                role: about["x-role"].as_str().unwrap().to_owned(),
                max_body: about["x-max-body"].as_u64().map(|max| max as usize),
                fields: fields.map(|fields| fields.keys().cloned().collect()).unwrap_or_default(),
            });
        }
    }
    assert!(found.len() > 40, "{} operations", found.len());
    found
}

fn cookie(secret: &str) -> String {
    format!("Cookie: doorward={secret}\r\n{OWN_SITE}")
}

fn token(secret: &str) -> String {
    format!("Authorization: Bearer {secret}\r\n")
}

/// A body with the fields of a schema, for what must be refused before anybody reads it.
fn ask(rig: &Rig, operation: &Operation, headers: &str) -> Answer {
    // The head is enough: a stream has no end, and a page need not be read.
    let method = if operation.method == "GET" { "HEAD" } else { &operation.method };
    send(rig, method, &operation.target(operation.verb()), headers, "")
}

#[test]
fn the_document_is_the_one_in_the_repository() {
    let rig = Rig::start(Limits::default());
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json")).unwrap();
    let told = get(&rig, "/api/openapi.json").json();
    assert!(told == serde_json::from_str::<Value>(&kept).unwrap(), "docs/openapi.json is another one");
}

#[test]
fn without_a_credential_only_what_is_named_here_is_open() {
    let rig = Rig::start(Limits::default());
    let mut open = Vec::new();
    for operation in operations(&rig) {
        let answer = ask(&rig, &operation, "");
        if operation.role == "open" {
            open.push(operation.line());
            // Outside accounts are off unless a provider is configured.
            let is_fine = [200, 400].contains(&answer.status)
                || (operation.path.contains("/oidc/") && answer.status == 404);
            assert!(is_fine, "{}: {}", operation.line(), answer.status);
        } else {
            assert_eq!(answer.status, 401, "{}", operation.line());
        }
        // The short spelling is the same.
        let short = operation.target(operation.verb()).replacen("/api/v1/", "/api/", 1);
        assert_eq!(send(&rig, &operation.method, &short, "", "").status == 401, operation.role != "open");
    }
    open.sort();
    let mut expected = OPEN.map(str::to_owned);
    expected.sort();
    assert_eq!(open, expected);
}

#[test]
fn each_role_opens_what_it_is_for_and_nothing_else() {
    let rig = Rig::start(Limits::default());
    rig.user("anna", Role::Admin);
    let viewer = cookie(&rig.user("ben", Role::Viewer));
    let stream = token(&rig.token(Role::Stream, None, None));
    let other_stream = token(&rig.token(Role::Stream, Some("shed"), None));
    let viewer_token = token(&rig.token(Role::Viewer, None, None));
    let one_camera = token(&rig.token(Role::Viewer, Some(CAMERA), None));
    for operation in operations(&rig) {
        let line = operation.line();
        let refused = |headers: &str, code: &str| {
            // Not HEAD, so that the body tells why.
            let answer = send(&rig, &operation.method, &operation.target(operation.verb()), headers, "");
            assert_eq!((answer.status, answer.code().as_str()), (403, code), "{line} with {headers}");
        };
        let let_in = |headers: &str| {
            let status = ask(&rig, &operation, headers).status;
            assert!(![401, 403, 500].contains(&status), "{line} with {headers}: {status}");
        };
        match operation.role.as_str() {
            "open" => {}
            "stream" => {
                let_in(&stream);
                let_in(&viewer);
                let_in(&one_camera);
                refused(&other_stream, "forbidden");
            }
            "viewer" => {
                refused(&stream, "forbidden");
                let_in(&viewer);
                let_in(&viewer_token);
                if operation.path.contains("{camera}") {
                    let_in(&one_camera)
                } else {
                    refused(&one_camera, "forbidden")
                }
            }
            "admin" | "of the verb" => {
                refused(&stream, "forbidden");
                refused(&viewer, "forbidden");
                refused(&viewer_token, "forbidden");
            }
            "session" => {
                refused(&stream, "no_account");
                refused(&viewer_token, "no_account");
                refused(&bearer(), "no_account");
            }
            other => panic!("{line} needs {other}"),
        }
    }
    let ping = |headers: &str| send(&rig, "POST", "/api/requests/ping", headers, "").status;
    assert_eq!((ping(&viewer), ping(&viewer_token), ping(&stream), ping(&bearer())), (200, 200, 403, 200));
    assert_eq!(send(&rig, "POST", "/api/requests/nonsense", &bearer(), "").status, 404);
    assert_eq!(send(&rig, "POST", "/api/requests/nonsense", &viewer, "").status, 403);
}

#[test]
fn a_wrong_method_is_told_those_that_fit() {
    let rig = Rig::start(Limits::default());
    let all = operations(&rig);
    for operation in &all {
        let fitting =
            || all.iter().filter(|other| other.path == operation.path).map(|other| other.method.as_str());
        for wrong in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"] {
            if fitting().any(|method| method == wrong) {
                continue;
            }
            let answer = send(&rig, wrong, &operation.target("ping"), &bearer(), "");
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (405, "wrong_method"),
                "{wrong} {}",
                operation.path
            );
            let allowed = answer.header("allow").unwrap();
            assert!(fitting().all(|method| allowed.split(", ").any(|word| word == method)), "{allowed}");
            assert_eq!(allowed.contains("HEAD"), fitting().any(|method| method == "GET"), "{allowed}");
        }
    }
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_is_sent() {
    let rig = Rig::start(Limits::default());
    let session = cookie(&rig.user("anna", Role::Admin));
    let mut n_bodies = 0;
    for operation in operations(&rig) {
        let Some(max) = operation.max_body else { continue };
        n_bodies += 1;
        let ask = |length: String| {
            let target = operation.target(if operation.path.contains("/faces/") { "test" } else { "ping" });
            let head =
                format!("{} {target} HTTP/1.1\r\nHost: test\r\n{session}{length}\r\n", operation.method);
            let mut stream = rig::connect(rig.address);
            stream.write_all(head.as_bytes()).unwrap();
            let answer = read_answer(&mut std::io::BufReader::new(stream), false).unwrap();
            assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"), "{}", operation.line());
        };
        ask(format!("Content-Length: {}\r\n", max + 1));
        ask("Content-Length: 99999999999\r\n".into());
    }
    assert!(n_bodies > 10, "{n_bodies} routes take a body");
    let chunks = format!(
        "POST /api/users HTTP/1.1\r\nHost: a\r\n{}Transfer-Encoding: chunked\r\n\r\n11170\r\n{}\r\n",
        bearer(),
        "x".repeat(0x11170)
    );
    assert_eq!(raw(rig.address, chunks.as_bytes()).unwrap().status, 413);
}

/// Numbers that look like chance and are the same at every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())].clone()
    }

    fn value(&mut self) -> Value {
        let texts = [
            json!(""),
            json!("anna"),
            json!("a\u{0}b"),
            json!("\u{202e}evil"),
            json!("x".repeat(3000)),
            json!("../../etc/passwd"),
            json!("' OR 1=1 --"),
            json!("stream"),
            json!("admin"),
            json!("porch"),
            json!("1999-01-01T00:00:00Z"),
            json!(" \n\t"),
            json!("\u{1f600}".repeat(40)),
            json!(null),
            json!(true),
            json!(-1),
            json!(0),
            json!(1e308),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(0.1),
            json!([]),
            json!({}),
            json!([[[[1]]]]),
            json!({ "a": { "b": [null] } }),
        ];
        self.pick(&texts)
    }

    fn body(&mut self, fields: &[String]) -> Vec<u8> {
        let mut body = serde_json::Map::new();
        for field in fields {
            if self.roll(5) > 0 {
                body.insert(field.clone(), self.value());
            }
        }
        if self.roll(4) == 0 {
            body.insert("strange".into(), self.value());
        }
        let mut text = Value::Object(body).to_string().into_bytes();
        match self.roll(8) {
            0 => text.truncate(self.roll(text.len())),
            1 => text = vec![b'['; 50_000],
            2 => text = [b"{\"a\":".repeat(9000), b"1".to_vec(), b"}".repeat(9000)].concat(),
            3 => {
                let at = self.roll(text.len());
                text[at] = self.pick(&[0, 0xff, 0xc3, b'"', b'\\', 0x80]);
            }
            4 => {
                text = self
                    .pick(&[
                        &b"null"[..],
                        b"\"password\"",
                        b"12345",
                        b"NaN",
                        b"1e999999",
                        b"\xef\xbb\xbf{}",
                        b"{}{}",
                        b"\0",
                    ])
                    .to_vec()
            }
            _ => {}
        }
        text
    }
}

#[test]
fn nonsense_is_never_a_fault_of_ours() {
    let rig = Rig::start(Limits { max_connections: 400, ..Limits::default() });
    let session = cookie(&rig.user("anna", Role::Admin));
    let key = bearer();
    let mut dice = Dice(0x5eed_1234_9876_abcd);
    let mut n_refused = 0;
    for operation in operations(&rig).into_iter().filter(|operation| operation.max_body.is_some()) {
        for round in 0..30 {
            // Nothing that would end the test: each round another verb that only looks or takes little.
            let verb = dice.pick(&[
                "ping",
                "why",
                "motion/inhibit",
                "users/add",
                "token/create",
                "events/list",
                "users/role",
            ]);
            let verb = if operation.path.contains("/faces/") { "test" } else { verb };
            let fields = match operation.fields.is_empty() {
                true => ["name", "password", "camera", "seconds", "value", "kind", "limit", "from"]
                    .map(str::to_owned)
                    .to_vec(),
                false => operation.fields.clone(),
            };
            let body = dice.body(&fields);
            // The asker's own account takes a session, which a right password would change.
            let who = if operation.role == "session" { &session } else { &key };
            let head = format!(
                "{} {} HTTP/1.1\r\nHost: test\r\n{who}Content-Length: {}\r\nConnection: close\r\n\r\n",
                operation.method,
                operation.target(verb),
                body.len()
            );
            let answer = raw(rig.address, &[head.as_bytes(), &body].concat()).unwrap();
            let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
            let about = format!("{} {verb}, round {round}: {shown}: {answer:?}", operation.line());
            // The rig has no faces thread, and whoever asks for it is told to try again.
            assert!(answer.status < 500 || answer.code() == "busy", "{about}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{about}");
            let told = answer.json();
            if answer.status >= 400 {
                n_refused += 1;
                assert!(["error", "code", "detail"].iter().all(|field| told[field].is_string()), "{about}");
                assert!(!told.to_string().contains("correct horse"), "{about}");
            }
        }
    }
    assert!(n_refused > 200, "{n_refused} were refused");
    assert_eq!(get(&rig, "/api/state").status, 200);
}

/// A cookie's secret and its attributes.
fn set_cookie(answer: &Answer) -> (String, String) {
    let line = answer.header("set-cookie").unwrap();
    let (pair, attributes) = line.split_once("; ").unwrap();
    (pair.strip_prefix("doorward=").unwrap().to_owned(), attributes.to_owned())
}

fn post(rig: &Rig, path: &str, headers: &str, body: &Value) -> Answer {
    send(rig, "POST", path, headers, &body.to_string())
}

#[test]
fn the_first_user_comes_in_with_the_pairing_code() {
    let rig = Rig::start(Limits::default());
    let nobody = get_session(&rig, "");
    assert_eq!(
        (&nobody["needs_setup"], &nobody["user"], &nobody["role"]),
        (&json!(true), &json!(null), &json!(null))
    );
    let page = String::from_utf8(send(&rig, "GET", "/", "", "").body).unwrap();
    assert!(page.contains("Pairing code") && page.contains("doorward pair"), "{page}");
    let wish = |code: &str, password: &str| json!({ "code": code, "name": "anna", "password": password });
    let set_up = |wish: &Value| post(&rig, "/api/v1/setup", "", wish);
    assert_eq!(set_up(&wish("0000-0000", PASSWORD)).code(), "pairing_code");
    let short = set_up(&wish(&rig.pairing, "short"));
    assert_eq!((short.status, short.code().as_str()), (400, "bad_account"));
    let foreign = post(&rig, "/api/v1/setup", "Origin: http://evil\r\n", &wish(&rig.pairing, PASSWORD));
    assert_eq!(foreign.code(), "cross_site");
    let done = set_up(&wish(&rig.pairing, PASSWORD));
    let (secret, attributes) = set_cookie(&done);
    assert_eq!((done.status, &done.json()["role"]), (200, &json!("admin")));
    let begins = attributes.strip_prefix("Max-Age=").unwrap();
    let (seconds, rest) = begins.split_once("; ").unwrap();
    assert_eq!(rest, "Path=/; HttpOnly; SameSite=Strict", "not Secure without TLS");
    assert!((29 * 86_400..=30 * 86_400).contains(&seconds.parse::<u64>().unwrap()), "{seconds}");
    let me = get_session(&rig, &cookie(&secret));
    assert_eq!(
        (&me["user"], &me["how"], &me["needs_setup"]),
        (&json!("anna"), &json!("session"), &json!(false))
    );
    assert!(me["until"].is_string());
    let again = set_up(&wish(&rig.pairing, PASSWORD));
    assert_eq!((again.status, again.code().as_str()), (409, "set_up_already"));
    let page = String::from_utf8(send(&rig, "GET", "/", "", "").body).unwrap();
    assert!(page.contains("id=\"password\"") && !page.contains("Pairing code"));
}

fn get_session(rig: &Rig, headers: &str) -> Value {
    let answer = send(rig, "GET", "/api/v1/session", headers, "");
    assert_eq!(answer.status, 200);
    answer.json()
}

#[test]
fn people_sign_in_and_out() {
    let rig = Rig::start(Limits::default());
    rig.user("anna", Role::Admin);
    let sign_in =
        |password: &str| post(&rig, "/api/session", "", &json!({ "user": "anna", "password": password }));
    let refused = sign_in("not that one");
    assert_eq!((refused.status, refused.code().as_str()), (401, "wrong_login"));
    let stranger = post(&rig, "/api/session", "", &json!({ "user": "zoe", "password": PASSWORD }));
    assert_eq!(stranger.body, refused.body, "nobody learns which names there are");
    let (secret, _) = set_cookie(&sign_in(PASSWORD));
    let session = cookie(&secret);
    assert_eq!(send(&rig, "GET", "/api/state", &session, "").status, 200);
    for (site, status) in [("", 403), ("Origin: http://evil\r\n", 403), ("Origin: http://test\r\n", 200)] {
        let headers = format!("Cookie: doorward={secret}\r\n{site}");
        assert_eq!(
            send(&rig, "PUT", "/api/cameras/porch/entities/fps", &headers, "9").status,
            status,
            "{site}"
        );
    }
    assert_eq!(
        send(&rig, "DELETE", "/api/session", &format!("Cookie: doorward={secret}\r\n"), "").code(),
        "cross_site"
    );
    let mut viewer = open_stream(&rig, &session);
    viewer.next().unwrap();
    let out = send(&rig, "DELETE", "/api/session", &session, "");
    assert_eq!(out.status, 200);
    assert!(out.header("set-cookie").unwrap().starts_with("doorward=; Max-Age=0; Path=/;"));
    ends_within_a_second(viewer);
    let after = send(&rig, "GET", "/api/state", &session, "");
    assert_eq!(after.status, 401);
    assert!(after.header("set-cookie").unwrap().contains("Max-Age=0"), "the browser forgets it");
}

fn open_stream(rig: &Rig, headers: &str) -> Mjpeg {
    Mjpeg::open_with(rig.address, "", headers).unwrap()
}

fn ends_within_a_second(mut viewer: Mjpeg) {
    let begin = Instant::now();
    while viewer.next().is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(1), "the stream goes on");
    }
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
}

#[test]
fn streams_end_with_what_opened_them_and_no_other() {
    let rig = Rig::start(Limits::default());
    let admin = cookie(&rig.user("anna", Role::Admin));
    let ben = cookie(&rig.user("ben", Role::Viewer));
    let made =
        post(&rig, "/api/tokens", &admin, &json!({ "kind": "stream", "camera": CAMERA, "name": "tablet" }));
    let made = made.json();
    let path = made["path"].as_str().unwrap();
    let mut staying = open_stream(&rig, &admin);
    let ends = |what: &str, headers: &str, end: &dyn Fn() -> Answer| {
        let mut viewer = open_stream(&rig, headers);
        viewer.next().unwrap();
        let answer = end();
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        ends_within_a_second(viewer);
    };
    ends("log out everywhere", &ben, &|| send(&rig, "DELETE", "/api/users/ben/sessions", &admin, ""));
    let again = cookie(&rig.sign_in("ben"));
    ends("lock", &again, &|| send(&rig, "PUT", "/api/users/ben", &admin, r#"{"locked": true}"#));
    let locked = post(&rig, "/api/session", "", &json!({ "user": "ben", "password": PASSWORD }));
    assert_eq!(locked.code(), "wrong_login");
    assert_eq!(send(&rig, "PUT", "/api/users/ben", &admin, r#"{"locked": false}"#).status, 200);
    let again = cookie(&rig.sign_in("ben"));
    ends("a new password by an admin", &again, &|| {
        send(&rig, "PUT", "/api/users/ben", &admin, r#"{"password": "another long password"}"#)
    });
    let mut by_token = Mjpeg::open_path(rig.address, path, "").unwrap();
    by_token.next().unwrap();
    let id = made["id"].as_str().unwrap();
    assert_eq!(send(&rig, "DELETE", &format!("/api/tokens/{id}"), &admin, "").status, 200);
    ends_within_a_second(by_token);
    assert_eq!(Mjpeg::open_path(rig.address, path, "").err().unwrap().status, 401);
    let own = cookie(&rig.sign_in("anna"));
    let password = json!({ "old": PASSWORD, "new": "a password of my own" }).to_string();
    ends("one's own new password ends the other sessions", &own, &|| {
        send(&rig, "PUT", "/api/session/password", &admin, &password)
    });
    wait_for("the admin's own stream goes on", || staying.next().is_ok());
    assert_eq!(send(&rig, "DELETE", "/api/users/ben", &admin, "").status, 200);
    assert_eq!(send(&rig, "DELETE", "/api/users/ben", &admin, "").status, 404);
}

#[test]
fn a_token_that_runs_out_ends_its_stream() {
    let rig = Rig::start(Limits::default());
    let secret = rig.token(Role::Stream, Some(CAMERA), Some(1));
    let mut viewer = open_stream(&rig, &token(&secret));
    viewer.next().unwrap();
    let begin = Instant::now();
    while viewer.next().is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(2), "the stream goes on");
    }
    assert_eq!(send(&rig, "GET", "/api/cameras/porch/snapshot.jpg", &token(&secret), "").status, 401);
}

#[test]
fn tokens_open_in_three_ways_and_no_page() {
    let rig = Rig::start(Limits::default());
    let viewer = rig.token(Role::Viewer, None, None);
    let basic = |pair: &str| {
        use base64::Engine as _;
        format!("Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(pair))
    };
    let in_address = format!("/api/state?token={viewer}");
    for (target, headers, status) in [
        ("/api/state", token(&viewer), 200),
        ("/api/state", basic(&format!("anybody:{viewer}")), 200),
        (in_address.as_str(), String::new(), 200),
        ("/", token(&viewer), 200),
        (&format!("/?token={viewer}"), String::new(), 401),
        (&format!("/status?token={viewer}"), String::new(), 401),
        ("/", basic(&format!("{viewer}:anybody")), 401),
    ] {
        let answer = send(&rig, "GET", target, &headers, "");
        assert_eq!(answer.status, status, "{target} {headers}");
        assert!(!String::from_utf8_lossy(&answer.body).contains(&viewer), "{target}");
    }
    let admin = rig.token(Role::Admin, None, None);
    let change = |target: &str, headers: &str| send(&rig, "PUT", target, headers, "9").status;
    let fps = "/api/cameras/porch/entities/fps";
    assert_eq!(change(fps, &token(&admin)), 200);
    assert_eq!(change(&format!("{fps}?token={admin}"), ""), 401, "no change with a token in the address");
    assert_eq!(change(fps, &format!("{}Origin: http://evil\r\n", basic(&format!("x:{admin}")))), 403);
}

#[test]
fn a_second_factor_is_begun_asked_for_and_ended() {
    let rig = Rig::start(Limits::default());
    let session = cookie(&rig.user("anna", Role::Admin));
    let totp =
        |method: &str, body: Value| send(&rig, method, "/api/session/totp", &session, &body.to_string());
    assert_eq!(totp("POST", json!({ "password": "wrong" })).code(), "wrong_password");
    let begun = totp("POST", json!({ "password": PASSWORD })).json();
    assert!(
        begun["qr_svg"].as_str().unwrap().contains("<svg")
            && begun["uri"].as_str().unwrap().starts_with("otpauth://")
    );
    assert_eq!(totp("PUT", json!({ "code": "000000" })).code(), "bad_account");
    let code = rig::totp_code(begun["secret"].as_str().unwrap(), 0);
    let confirmed = totp("PUT", json!({ "code": code }));
    let codes = confirmed.json()["recovery_codes"].as_array().unwrap().clone();
    assert_eq!(codes.len(), 10);
    assert_eq!(get_session(&rig, &session)["totp"], true);
    let sign_in = |more: Value| {
        let mut wish = json!({ "user": "anna", "password": PASSWORD });
        wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        post(&rig, "/api/session", "", &wish)
    };
    assert_eq!((sign_in(json!({})).status, sign_in(json!({})).code()), (401, "code_needed".into()));
    assert_eq!(sign_in(json!({ "code": "000000" })).code(), "wrong_login");
    assert_eq!(sign_in(json!({ "code": codes[0] })).status, 200);
    assert_eq!(sign_in(json!({ "code": codes[0] })).code(), "wrong_login", "each opens once");
    assert_eq!(totp("DELETE", json!({ "password": PASSWORD })).status, 200);
    assert_eq!(sign_in(json!({})).status, 200);
}
