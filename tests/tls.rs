//! TLS on the page's port: stock clients, streams, who may do without, other certificates while it runs, and clients that mean harm.
//!
//! Not here: MQTT over TLS (`broker/tls.rs`), and when a certificate is renewed (`src/tls/keep.rs`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod rig;

use std::io::{BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use doorward::http::Limits;
use doorward::logic::addresses::{Addresses, List};
use doorward::tls::Source;
use rcgen::{CertificateParams, KeyPair};
use rig::tls::{Secure, made, met, secure, trust};
use rig::{Answer, Mjpeg, Rig, Serving, bearer, connect, get, raw, read_answer, wait_for};
use socket2::{Domain, Socket, Type};

const STILL: &str = "/api/cameras/porch/snapshot.jpg";
const STREAM: &str = "/api/cameras/porch/stream.mjpeg";
const PROTECTING: [(&str, &str); 7] = [
    ("strict-transport-security", "max-age=31536000"),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("cache-control", "no-store"),
];

fn limits() -> Limits {
    Limits {
        header_time: Duration::from_secs(2),
        stall_time: Duration::from_secs(2),
        max_connections: 400,
        max_per_address: 300,
        ..Limits::default()
    }
}

/// What curl got: its exit code, and the answer.
fn curl(arguments: &[&str]) -> (i32, Option<Answer>) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--include", "--max-time", "20"]).args(["-H", bearer().trim()]).args(arguments);
    let output = command.output().expect("this test needs curl");
    let answer = read_answer(&mut &output.stdout[..], arguments.contains(&"--head")).ok();
    (output.status.code().unwrap(), answer)
}

fn curl_trusting(rig: &Rig, arguments: &[&str]) -> Answer {
    let file = rig.run_dir.path().join("tls/cert.pem");
    let (code, answer) = curl(&[&["--cacert", file.to_str().unwrap()], arguments].concat());
    assert_eq!(code, 0, "{arguments:?}: {answer:?}");
    answer.unwrap()
}

fn url(rig: &Rig, scheme: &str, path: &str) -> String {
    format!("{scheme}://127.0.0.1:{}{path}", rig.address.port())
}

fn request(stream: &mut (impl Read + Write), target: &str) -> std::io::Result<Answer> {
    write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", bearer())?;
    read_answer(&mut BufReader::new(stream), false)
}

/// An address of this machine that is not a loopback one. Connecting from there to a loopback address, we look like another machine.
fn elsewhere() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.1:9").expect("this test needs a network interface besides the loopback");
    socket.local_addr().unwrap().ip()
}

/// The machine that runs the tests may have any address.
fn everybody() -> Addresses {
    Addresses { allow: List::parse("all").unwrap(), ..Addresses::default() }
}

/// A connection from that address.
fn from_elsewhere(to: SocketAddr) -> std::net::TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(elsewhere(), 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
    socket.into()
}

fn ask_from_elsewhere(rig: &Rig, text: &str) -> Answer {
    let mut stream = from_elsewhere(rig.address);
    stream.write_all(text.as_bytes()).unwrap();
    read_answer(&mut BufReader::new(stream), text.starts_with("HEAD")).unwrap()
}

#[test]
fn curl_gets_everything_over_tls_on_the_same_port() {
    let rig = Rig::start(limits());
    for version in ["1.2", "1.3"] {
        let only = ["--tls-max", version, "--tlsv1.2"];
        for path in ["/", "/api/state", "/nothing", STILL, "/api/cameras/porch/snapshot.jpg?x=1"] {
            let answer = curl_trusting(&rig, &[&only[..], &[&url(&rig, "https", path)]].concat());
            for (name, value) in PROTECTING {
                assert_eq!(answer.header(name), Some(value), "{name} of {path}");
            }
        }
    }
    let still = curl_trusting(&rig, &[&url(&rig, "https", STILL)]);
    assert!(still.status == 200 && doorward::jpeg::check(&still.body).is_ok());
    let head = curl_trusting(&rig, &["--head", &url(&rig, "https", STREAM)]);
    assert_eq!((head.status, head.header("x-frame-options")), (200, Some("DENY")));
    // By its name too, and on the same port without TLS, as this machine may.
    let by_name = format!("https://localhost:{}/healthz", rig.address.port());
    assert_eq!(curl_trusting(&rig, &[&by_name]).status, 200);
    let plain = get(&rig, STILL);
    assert_eq!((plain.status, plain.header("strict-transport-security")), (200, None));
    assert_eq!(plain.header("x-frame-options"), Some("DENY"));
    // Whoever does not know the certificate does not connect: 60 is curl's word for that.
    assert_eq!(curl(&[&url(&rig, "https", "/healthz")]).0, 60);
    let (code, answer) = curl(&["--insecure", &url(&rig, "https", "/healthz")]);
    assert_eq!((code, answer.unwrap().status), (0, 200));
}

#[test]
fn through_ingress_the_page_may_be_framed_and_nothing_insists_on_tls() {
    let serving =
        Serving { ingress_proxy: Some(rig::ingress::PROXY), limits: limits(), ..Serving::default() };
    let rig = Rig::serving(serving);
    let home = rig::ingress::HomeAssistant::start(rig.address);
    for path in ["/", STILL] {
        let target =
            format!("GET {}{path} HTTP/1.1\r\nHost: ha\r\nConnection: close\r\n\r\n", rig::ingress::PREFIX);
        let answer = raw(home.address, target.as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("SAMEORIGIN"));
        assert_eq!(answer.header("strict-transport-security"), None);
        assert_eq!(answer.header("cross-origin-opener-policy"), None);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

#[test]
fn other_machines_are_led_to_tls() {
    let rig = Rig::serving(Serving { addresses: everybody(), limits: limits(), ..Serving::default() });
    for (request, status, location) in [
        ("GET / HTTP/1.1\r\nHost: door:8420\r\n\r\n", 308, Some("https://door:8420/")),
        ("HEAD /healthz HTTP/1.1\r\nHost: door\r\n\r\n", 308, Some("https://door/healthz")),
        (
            "GET /x%0d?a=1&b=%20 HTTP/1.1\r\nHost: [::1]:8420\r\n\r\n",
            308,
            Some("https://[::1]:8420/x%0d?a=1&b=%20"),
        ),
        // Another target than the host's is not ours to name.
        ("GET http://evil.example/x HTTP/1.1\r\nHost: door\r\n\r\n", 308, Some("https://door/x")),
        ("GET / HTTP/1.1\r\nHost: door/evil?\r\n\r\n", 403, None),
        ("GET / HTTP/1.1\r\nHost: a@evil.example\r\n\r\n", 403, None),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 403, None),
        ("GET / HTTP/1.0\r\n\r\n", 403, None),
        // A proxy would be led round in a circle.
        ("GET / HTTP/1.1\r\nHost: door\r\nX-Forwarded-Proto: https\r\n\r\n", 403, None),
        ("POST /api/cameras/porch/snapshot HTTP/1.1\r\nHost: door\r\nContent-Length: 0\r\n\r\n", 403, None),
        (
            "PUT /api/cameras/porch/entities/fps HTTP/1.1\r\nHost: door\r\nContent-Length: 1\r\n\r\n5",
            403,
            None,
        ),
    ] {
        // The right credential changes nothing.
        let request = request.replacen("\r\n", &format!("\r\n{}", bearer()), 1);
        let answer = ask_from_elsewhere(&rig, &request);
        assert_eq!((answer.status, answer.header("location")), (status, location), "{request}");
        if status == 403 {
            assert_eq!(answer.code(), "plain_http");
        }
    }
    let secured = {
        let mut stream = from_elsewhere(rig.address);
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut connection = rustls::ClientConnection::new(trust(&[&made(&rig)]), name).unwrap();
        request(&mut rustls::Stream::new(&mut connection, &mut stream), "/healthz").unwrap()
    };
    assert_eq!(secured.status, 200);
}

#[test]
fn the_owner_may_allow_plain_http() {
    let rig =
        Rig::serving(Serving { plain: true, addresses: everybody(), limits: limits(), ..Serving::default() });
    let answer = ask_from_elsewhere(&rig, "GET /healthz HTTP/1.1\r\nHost: door\r\n\r\n");
    assert_eq!((answer.status, answer.header("location")), (200, None));
    // A browser that came with TLS once may come without it again.
    let answer = curl_trusting(&rig, &[&url(&rig, "https", "/healthz")]);
    assert_eq!((answer.status, answer.header("strict-transport-security")), (200, None));
}

#[test]
fn every_address_of_ipv4_and_ipv6_is_served() {
    let rig = Rig::serving(Serving { bind: "[::]:0", limits: limits(), ..Serving::default() });
    for host in ["127.0.0.1", "[::1]", "localhost"] {
        let https = format!("https://{host}:{}/healthz", rig.address.port());
        assert_eq!(curl_trusting(&rig, &[&https]).status, 200, "{host}");
        let (code, answer) = curl(&[&https.replace("https", "http")]);
        assert_eq!((code, answer.unwrap().status), (0, 200), "{host}");
    }
}

#[test]
fn streams_keep_their_rate_over_tls_and_stalled_viewers_are_cut() {
    let rig = Rig::start(limits());
    let trust = trust(&[&made(&rig)]);
    let mut viewer = Mjpeg::over(secure(rig.address, &trust).unwrap(), "").unwrap();
    let stalled: Vec<Mjpeg<Secure>> =
        (0..3).map(|_| Mjpeg::over(secure(rig.address, &trust).unwrap(), "").unwrap()).collect();
    let mut plain = Mjpeg::open(rig.address, "").unwrap();
    viewer.next().unwrap();
    let begin = Instant::now();
    for _ in 0..60 {
        viewer.next().unwrap();
        plain.next().unwrap();
    }
    let rate = 60.0 / begin.elapsed().as_secs_f64();
    assert!((13.0..17.5).contains(&rate), "{rate} frames a second");
    wait_for("the end of those who take nothing", || rig.hub.watching() == 2);
    viewer.next().unwrap();
    drop((viewer, stalled));
    wait_for("the viewer's end", || rig.hub.watching() == 1);
}

#[test]
fn stopping_ends_secure_connections_in_time() {
    let mut rig = Rig::start(limits());
    let trust = trust(&[&made(&rig)]);
    let mut idle = secure(rig.address, &trust).unwrap();
    assert_eq!(request(&mut idle, "/healthz").unwrap().status, 200);
    let mut viewer = Mjpeg::over(secure(rig.address, &trust).unwrap(), "").unwrap();
    viewer.next().unwrap();
    let mut half = connect(rig.address);
    half.write_all(&[0x16, 3, 1, 0, 200, 1]).unwrap();
    assert!(rig.stop() < Duration::from_secs(2));
    while viewer.next().is_ok() {}
}

/// A pair of the owner's, in two files.
struct Own {
    folder: tempfile::TempDir,
}

impl Own {
    fn source(&self) -> Source {
        Source::Given {
            cert_file: self.folder.path().join("own.pem"),
            key_file: self.folder.path().join("own.key"),
        }
    }

    /// Puts a new pair in place and returns its certificate as PEM.
    fn put(&self) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(self.folder.path().join("own.pem"), certificate.pem()).unwrap();
        std::fs::write(self.folder.path().join("own.key"), key.serialize_pem()).unwrap();
        certificate.pem().into_bytes()
    }
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_old_ones_go_on() {
    let own = Own { folder: tempfile::tempdir().unwrap() };
    let first = own.put();
    let serving = Serving { certificate: Some(own.source()), limits: limits(), ..Serving::default() };
    let mut rig = Rig::serving(serving);
    let mut old = secure(rig.address, &trust(&[&first])).unwrap();
    let mut stream = Mjpeg::over(secure(rig.address, &trust(&[&first])).unwrap(), "").unwrap();
    let now = jiff::Timestamp::now();
    let second = own.put();
    assert_eq!(rig.keeper.look(now), None);
    assert!(!rig.keeper.look(now).unwrap().is_warning);
    let both = trust(&[&first, &second]);
    let mut new = secure(rig.address, &both).unwrap();
    assert_ne!(met(&new), met(&old));
    assert!(secure(rig.address, &trust(&[&first])).is_err(), "the first one is not shown any more");
    for stream in [&mut old, &mut new] {
        assert_eq!(request(stream, "/healthz").unwrap().status, 200);
    }
    stream.next().unwrap();
    // Something that is no pair changes nothing.
    std::fs::write(own.folder.path().join("own.key"), "no key").unwrap();
    assert_eq!(rig.keeper.look(now), None);
    assert!(rig.keeper.look(now).unwrap().is_warning);
    assert_eq!(met(&secure(rig.address, &both).unwrap()), met(&new));
}

#[test]
fn after_a_year_the_certificate_is_another_one() {
    let mut rig = Rig::start(limits());
    let first = made(&rig);
    let old = secure(rig.address, &trust(&[&first])).unwrap();
    rig.keeper.look(jiff::Timestamp::now() + Duration::from_hours(366 * 24)).unwrap();
    let second = made(&rig);
    assert_ne!(first, second);
    let shown = curl(&["--insecure", &url(&rig, "https", "/healthz")]);
    assert_eq!(shown.1.unwrap().status, 200);
    // A client whose clock is right meets the new one, and finds that it is from the future.
    let error = secure(rig.address, &trust(&[&second])).unwrap_err().to_string();
    assert!(error.contains("not valid yet") || error.contains("NotValidYet"), "{error}");
    drop(old);
}

#[test]
fn tls_garbage_and_unfinished_handshakes_harm_nobody() {
    let rig = Rig::start(limits());
    for garbage in [
        &[0x16][..],
        &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0],
        &[0x16, 0xff, 0xff, 0xff, 0xff, 0, 0, 0],
        &[0x16, 3, 1, 0xff, 0xff],
        &[0x16; 70_000],
        b"\x16GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = connect(rig.address);
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < 100 && !rest.windows(4).any(|four| four == b"HTTP"), "{rest:?}");
    }
    // A handshake that begins well and never ends, 200 times.
    let hello = {
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut client = rustls::ClientConnection::new(trust(&[&made(&rig)]), name).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        hello
    };
    let begin = Instant::now();
    let mut half: Vec<_> = (0..200)
        .map(|n| {
            let mut stream = connect(rig.address);
            let part = if n % 2 == 0 { &hello[..] } else { &hello[..20] };
            stream.write_all(part).unwrap();
            stream
        })
        .collect();
    let asked = Instant::now();
    assert_eq!(get(&rig, STILL).status, 200);
    assert_eq!(curl_trusting(&rig, &[&url(&rig, "https", STILL)]).status, 200);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    for stream in &mut half {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    assert!(
        begin.elapsed() < Duration::from_secs(6),
        "they are closed after the limit: {:?}",
        begin.elapsed()
    );
    assert_eq!(get(&rig, STILL).status, 200);
}
