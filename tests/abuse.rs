//! Bad input from the network against the program itself: it goes on, tells or closes, and its memory stays flat.
//!
//! Every case prints a figure; `docs/security.md` has them. Run `cargo test --test abuse -- --nocapture` to measure anew. Not here: what one
//! server in this process does with single odd requests (`tests/http.rs`), and the broker (`tests/broker`).

#![allow(clippy::print_stdout, reason = "figures of a run, shown with --nocapture")]
#![allow(clippy::unwrap_used, reason = "a test may stop where its own ground is missing")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than an answer takes on a loaded machine; an attack may not make others wait.
const PROMPT: Duration = Duration::from_secs(2);
/// What memory may grow by in one case, in kB: buffers of connections that the allocator keeps for the next ones.
const FLAT: u64 = 6 * 1024;
/// And in all cases together.
const FLAT_IN_ALL: u64 = 12 * 1024;
const CONNECTIONS: usize = 10_000;
const BATCH: usize = 500;

/// The program with a closed camera and the limits of a fresh installation.
struct Server {
    child: Child,
    place: tempfile::TempDir,
    address: SocketAddr,
    key: String,
}

impl Server {
    fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        let [page, broker] =
            [0, 0].map(|_: u8| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command
            .current_dir(place.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .args(["--data-dir", "data"]);
        for set in [
            "cameras.porch.source=demo".into(),
            "cameras.porch.privacy=true".into(),
            format!("broker.bind={broker}"),
            format!("http.bind={page}"),
        ] {
            command.args(["--set", &set]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut server = Self { child, place, address: page, key: String::new() };
        server.wait("the server", |server| server.is_well(PATIENCE));
        let secrets = std::fs::read(server.place.path().join("data/secrets.json")).unwrap();
        let secrets: Value = serde_json::from_slice(&secrets).unwrap();
        server.key = secrets["http_token"].as_str().unwrap().to_owned();
        server.settle();
        server
    }

    /// Waits until everything is loaded, and every buffer was used once.
    fn settle(&self) {
        crowd(self, BATCH);
        let (mut memory, mut since) = (self.memory(), Instant::now());
        self.wait("the end of loading", |server| {
            let now = server.memory();
            if now.abs_diff(memory) > 256 {
                (memory, since) = (now, Instant::now());
            }
            since.elapsed() > Duration::from_secs(1)
        });
    }

    fn wait(&self, what: &str, mut is_true: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_true(self) {
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Resident memory in kB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// A connection from one of this machine's own addresses 127.0.0.x.
    fn connect_from(&self, last: u8) -> std::io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into())?;
        socket.connect_timeout(&self.address.into(), PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(socket.into())
    }

    /// Whether somebody else gets an answer in time.
    fn is_well(&self, limit: Duration) -> bool {
        let began = Instant::now();
        let asked = TcpStream::connect(self.address).and_then(|mut stream| {
            stream.set_read_timeout(Some(limit))?;
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        });
        asked.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) && began.elapsed() < limit
    }

    /// Sends these bytes and reads until the server closes.
    fn raw(&self, bytes: &[u8]) -> String {
        self.answer(bytes, PATIENCE)
    }

    /// The same for what may leave both sides waiting: silence of that length is the end too.
    fn answer(&self, bytes: &[u8], silence: Duration) -> String {
        let mut stream = self.connect_from(2).unwrap();
        // A server that has heard enough closes before the end.
        let _ = stream.write_all(bytes);
        stream.set_read_timeout(Some(silence)).unwrap();
        let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Runs a case and prints its figure; then the server is well, and its memory has not grown much.
    fn case(&self, name: &str, attack: impl FnOnce(&Self) -> usize) {
        let (before, began) = (self.memory(), Instant::now());
        let number = attack(self);
        let took = began.elapsed().as_secs_f64();
        self.wait(&format!("an answer after {name}"), |server| server.is_well(PROMPT));
        let after = self.memory();
        println!("abuse: {name}: {number} in {took:.1} s, memory {before} kB before, {after} kB after");
        assert!(after < before + FLAT, "{name}: memory grew from {before} kB to {after} kB");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// Heads and bodies that come a byte at a time, silence, and connections that are closed on one side only.
#[test]
fn clients_that_never_finish_are_closed_and_delay_nobody() {
    let server = Server::start();
    // What so many connections take is kept for the next ones; it is a figure of its own, and then nothing may be added to it.
    let before = server.memory();
    let some = unfinished(&server);
    server.wait("the connections", |server| server.open_files() > some.len());
    assert!(server.is_well(PROMPT));
    println!("abuse: {} unfinished requests at once take {} kB", some.len(), server.memory() - before);
    drop(some);
    server.wait("their end", |server| server.open_files() < 64);
    server.case("slow heads, slow bodies and silence", |server| {
        let mut slow = unfinished(server);
        let (began, most) = (Instant::now(), slow.len());
        while !slow.is_empty() {
            assert!(began.elapsed() < Duration::from_secs(14), "{} of {most} are still open", slow.len());
            assert!(server.is_well(PROMPT), "others wait, {:?} after the beginning", began.elapsed());
            std::thread::sleep(Duration::from_millis(250));
            // Open ones take another byte and have said nothing, or have answered and wait for us to go.
            slow.retain_mut(|(stream, drips)| {
                let is_cut = *drips && stream.write(b"x").is_err();
                let ended = match stream.read(&mut [0; 4096]) {
                    Ok(0) => true,
                    Ok(_) => false,
                    Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
                };
                !(is_cut || ended)
            });
        }
        most
    });
    assert!(server.open_files() < 64, "{} files are open", server.open_files());
}

/// Connections with half a head, half a body, or nothing; true if more is to come.
fn unfinished(server: &Server) -> Vec<(TcpStream, bool)> {
    const HALF_A_BODY: &[u8] = b"POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{";
    let open = |number: usize| {
        let mut stream = server.connect_from(2).unwrap();
        let first: &[u8] = match number % 3 {
            0 => b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ",
            1 => HALF_A_BODY,
            _ => b"",
        };
        stream.write_all(first).unwrap();
        stream.set_nonblocking(true).unwrap();
        (stream, number % 3 != 2)
    };
    (0..120).map(open).collect()
}

#[test]
fn bad_input_is_answered_or_closed_and_memory_stays_flat() {
    let server = Server::start();
    let before = server.memory();
    server.case("connections in batches", |server| crowd(server, CONNECTIONS));
    server.case("half-open connections", half_open);
    server.case("TLS garbage", tls_garbage);
    server.case("smuggled requests", smuggling);
    server.case("headers that claim to be somebody", claims);
    server.case("paths that climb", paths);
    server.case("huge heads", huge_heads);
    server.case("bodies in pieces of one byte", crumbs);
    server.case("bytes that are no text", no_text);
    let after = server.memory();
    println!("abuse: all together: memory {before} kB before, {after} kB after");
    assert!(after < before + FLAT_IN_ALL, "{before} kB to {after} kB");
}

/// Connections of one address: what is admitted is bounded, the others are told or closed, and other addresses find room.
fn crowd(server: &Server, wanted: usize) -> usize {
    let mut opened = 0;
    while opened < wanted {
        let batch: Vec<TcpStream> =
            (0..BATCH.min(wanted - opened)).filter_map(|_| server.connect_from(2).ok()).collect();
        assert!(!batch.is_empty(), "connections are taken");
        opened += batch.len();
        assert!(server.is_well(PROMPT), "another address finds room beside {} connections", batch.len());
        // 128 of one address, 32 that are just being told, and what the program has open anyway.
        // Those of the batch before may still be on their way out.
        server.wait("few open files", |server| server.open_files() < 300);
    }
    opened
}

fn half_open(server: &Server) -> usize {
    const EACH: usize = 400;
    for _ in 0..EACH {
        // Gone at once, with a reset.
        let stream = Socket::from(server.connect_from(3).unwrap());
        stream.set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
        // Half a request, then a reset.
        let mut stream = server.connect_from(3).unwrap();
        stream.write_all(b"GET /healthz HT").unwrap();
        Socket::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
        // The end of what it says, at once.
        server.connect_from(3).unwrap().shutdown(Shutdown::Write).unwrap();
    }
    3 * EACH
}

fn tls_garbage(server: &Server) -> usize {
    const EACH: u32 = 300;
    let mut dice = 7u32;
    for number in 0..EACH {
        let mut bytes = vec![0x16, 3, (number % 5) as u8];
        for _ in 0..number * 7 {
            dice ^= dice << 13;
            dice ^= dice >> 17;
            dice ^= dice << 5;
            bytes.push(dice as u8);
        }
        let mut stream = server.connect_from(4).unwrap();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        // An alert of TLS, a reset or nothing; never an answer of HTTP.
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.windows(4).any(|four| four == b"HTTP"), "{:?}", String::from_utf8_lossy(&answer));
    }
    EACH as usize
}

/// A request inside another's body: whatever the outer one is answered, the inner one never is.
fn smuggling(server: &Server) -> usize {
    let inner = "GET /healthz HTTP/1.1\r\nHost: inner\r\n\r\n";
    let length = inner.len();
    let post = "POST /api/v1/session HTTP/1.1\r\nHost: a\r\n";
    let cases = [
        (
            "CL then TE",
            format!("{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"),
        ),
        (
            "TE then CL",
            format!("{post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{inner}"),
        ),
        (
            "TE alone, and more behind its end",
            format!("{post}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"),
        ),
        ("two lengths", format!("{post}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{inner}")),
        ("a list of lengths", format!("{post}Content-Length: 0, {length}\r\n\r\n{inner}")),
        ("a length with a sign", format!("{post}Content-Length: +{length}\r\n\r\n{inner}")),
        ("a negative length", format!("{post}Content-Length: -1\r\n\r\n{inner}")),
        ("a length without end", format!("{post}Content-Length: 99999999999999999999999\r\n\r\n{inner}")),
        (
            "TE identity",
            format!("{post}Transfer-Encoding: identity\r\nContent-Length: {length}\r\n\r\n{inner}"),
        ),
        (
            "TE chunked, identity",
            format!("{post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}"),
        ),
        ("TE xchunked", format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{inner}")),
        (
            "TE twice",
            format!(
                "{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{inner}"
            ),
        ),
        ("a space before the colon", format!("{post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{inner}")),
        (
            "a control character in TE",
            format!("{post}Transfer-Encoding:\u{b}chunked\r\n\r\n0\r\n\r\n{inner}"),
        ),
        ("a folded line", format!("{post}X-A: b\r\n Content-Length: 5\r\n\r\n{inner}")),
        ("a folded TE", format!("{post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{inner}")),
        (
            "a chunk larger than any",
            format!("{post}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n{inner}"),
        ),
        ("a chunk size with a sign", format!("{post}Transfer-Encoding: chunked\r\n\r\n-1\r\n{inner}")),
        (
            "a chunk without its end",
            format!("{post}Transfer-Encoding: chunked\r\n\r\n1\r\nAB\r\n0\r\n\r\n{inner}"),
        ),
        (
            "HTTP/1.0 with TE",
            format!("POST /api/v1/session HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"),
        ),
        ("HTTP/2 in the clear", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{inner}")),
        ("a return alone", format!("{post}X-A: b\rContent-Length: 5\r\n\r\n{inner}")),
    ];
    for (name, bytes) in &cases {
        let answer = server.answer(bytes.as_bytes(), PROMPT);
        let answers = answer.matches("HTTP/1.1 ").count();
        assert!(answers <= 1, "{name}: {answer}");
        assert!(!answer.contains("\r\n\r\nok"), "{name}: the inner request was answered: {answer}");
        assert!(answer.is_empty() || (400..500).contains(&status(&answer)), "{name}: {answer}");
    }
    // Odd, but not dangerous: one request, one answer.
    for bytes in [
        "GET http://evil.example/healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        "GET /healthz HTTP/1.1\nHost: a\nConnection: close\n\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
        "GET /healthz HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
        "TRACE /healthz HTTP/1.1\r\nHost: a\r\nCookie: doorward=secret\r\nConnection: close\r\n\r\n",
    ] {
        let answer = server.answer(bytes.as_bytes(), PROMPT);
        assert!(answer.matches("HTTP/1.1 ").count() <= 1 && status(&answer) < 500, "{bytes}: {answer}");
        assert!(!answer.contains("secret"), "{answer}");
    }
    cases.len()
}

/// Words of proxies, of Home Assistant and of our own two halves, from somebody who is none of them.
fn claims(server: &Server) -> usize {
    let headers = [
        "X-Doorward-Ip: 127.0.0.1",
        "X-Doorward-Tls: 1",
        "X-Doorward-User: admin",
        "X-Doorward: 1",
        "X-Ingress-Path: /api/hassio_ingress/x",
        "X-Remote-User-Id: 1",
        "X-Remote-User-Name: admin",
        "X-Remote-User-Display-Name: Admin",
        "X-Forwarded-For: 172.30.32.2",
        "X-Forwarded-User: admin",
        "X-Real-Ip: 172.30.32.2",
        "Forwarded: for=172.30.32.2;proto=https",
        "X-Original-Url: /healthz",
        "X-Rewrite-Url: /healthz",
        "X-Http-Method-Override: GET",
        "Authorization: Bearer",
        "Authorization: Basic Og==",
        "Cookie: doorward=",
    ];
    let all = headers.join("\r\n");
    for lines in headers.iter().copied().chain([all.as_str()]) {
        for (method, path) in [("GET", "/api/v1/state"), ("GET", "/api/v1/users"), ("POST", "/api/v1/users")]
        {
            let text = format!(
                "{method} {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let code = status(&server.raw(text.as_bytes()));
            assert!([401, 403, 429].contains(&code), "{code} for {method} {path} with {lines}");
        }
    }
    3 * (headers.len() + 1)
}

fn paths(server: &Server) -> usize {
    let climbs = [
        "..",
        "%2e%2e",
        "%2E%2E",
        "%252e%252e",
        ".%2e",
        "..;",
        "%c0%ae%c0%ae",
        "....",
        "..%00",
        "%u002e%u002e",
    ];
    let slashes = ["/", "%2f", "%2F", "%252f", "\\", "%5c", "//", "/./"];
    let files = ["secrets.json", "accounts.json", "state.json"];
    let below = [
        "",
        "api/v1/events/",
        "api/v1/events/01JAB3X5N7Q9R1T3V5W7Y9Z1B3/",
        "api/v1/cameras/porch/",
        "api/v1/faces/",
        "api/v1/requests/",
    ];
    let mut asked = 0;
    for (number, (climb, slash)) in
        climbs.iter().flat_map(|climb| slashes.map(|slash| (climb, slash))).enumerate()
    {
        let (file, below) = (files[number % files.len()], below[number % below.len()]);
        let up = format!("{climb}{slash}").repeat(1 + number % 4);
        for end in ["", "/snapshot.jpg", "/clip.mp4", "%00.jpg"] {
            let bytes = format!(
                "GET /{below}{up}{file}{end} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
                server.key
            );
            let answer = server.raw(bytes.as_bytes());
            assert!((400..500).contains(&status(&answer)), "{bytes}: {answer}");
            assert!(!answer.contains(&server.key) && !answer.contains("http_token"), "{bytes}: {answer}");
            asked += 1;
        }
    }
    asked
}

fn huge_heads(server: &Server) -> usize {
    let huge = "x".repeat(8 << 20);
    let many: String = (0..5000).map(|number| format!("X-{number}: y\r\n")).collect();
    let cookies: String =
        (0..90).map(|number| format!("Cookie: c{number}={}\r\n", "y".repeat(300))).collect();
    let table: Vec<(&str, Vec<u16>, String)> = vec![
        (
            "a cookie that fits",
            vec![200],
            format!(
                "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: a={}\r\n\r\n",
                &huge[..20_000]
            ),
        ),
        (
            "many cookies that fit",
            vec![200],
            format!("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{cookies}\r\n"),
        ),
        (
            "a session that is none",
            vec![401],
            format!(
                "GET /api/v1/state HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: doorward={}\r\n\r\n",
                &huge[..20_000]
            ),
        ),
        (
            "a cookie of 8 MB",
            vec![0, 400, 431],
            format!("GET /healthz HTTP/1.1\r\nHost: a\r\nCookie: a={huge}\r\n\r\n"),
        ),
        ("an address of 8 MB", vec![0, 400, 414, 431], format!("GET /{huge} HTTP/1.1\r\nHost: a\r\n\r\n")),
        ("a name of 8 MB", vec![0, 400, 431], format!("GET / HTTP/1.1\r\n{huge}: a\r\n\r\n")),
        (
            "five thousand headers",
            vec![0, 400, 431],
            format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
        ),
        ("a method of 8 MB", vec![0, 400, 431], format!("{huge} / HTTP/1.1\r\n\r\n")),
        (
            "a body of 8 MB",
            vec![0, 413],
            format!("POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n{huge}"),
        ),
        (
            "the same in one chunk",
            vec![0, 413],
            format!(
                "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n800000\r\n{huge}\r\n0\r\n\r\n"
            ),
        ),
    ];
    for (name, allowed, bytes) in &table {
        for _ in 0..4 {
            let answer = server.raw(bytes.as_bytes());
            assert!(
                allowed.contains(&status(&answer)) || (status(&answer) == 429 && allowed == &[401]),
                "{name}: {answer:.300}"
            );
        }
    }
    4 * table.len()
}

/// Each piece came in a packet of its own; whoever keeps them as they came keeps a buffer for each.
fn crumbs(server: &Server) -> usize {
    const EACH: usize = 10_000;
    let memory = server.memory();
    let open = |_| {
        let mut stream = server.connect_from(5).unwrap();
        stream.set_nodelay(true).unwrap();
        let head =
            "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 60000\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let mut streams: Vec<TcpStream> = (0..8).map(open).collect();
    for _ in 0..EACH {
        streams.iter_mut().for_each(|stream| stream.write_all(b"x").unwrap());
    }
    let grown = server.memory().saturating_sub(memory);
    assert!(grown < FLAT, "{} pieces take {grown} kB", 8 * EACH);
    8 * EACH
}

/// Zero bytes, broken UTF-8 and noise wherever text is expected.
fn no_text(server: &Server) -> usize {
    let odd: [&[u8]; 6] =
        [b"\0", b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x7f\x1b[31m"];
    let mut asked = 0;
    for odd in odd {
        let texts: Vec<Vec<u8>> = vec![
            [b"GET /api/v1/", odd, b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"].concat(),
            [b"GET /api/v1/events?limit=", odd, b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"]
                .concat(),
            [b"GET /healthz HTTP/1.1\r\nHost: ", odd, b"\r\nConnection: close\r\n\r\n"].concat(),
            [b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-", odd, b": b\r\nConnection: close\r\n\r\n"].concat(),
            [
                b"GET /api/v1/state HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ",
                odd,
                b"\r\nConnection: close\r\n\r\n",
            ]
            .concat(),
            [
                b"GET /api/v1/state HTTP/1.1\r\nHost: a\r\nCookie: doorward=",
                odd,
                b"\r\nConnection: close\r\n\r\n",
            ]
            .concat(),
            [b"G", odd, b"T / HTTP/1.1\r\nHost: a\r\n\r\n"].concat(),
            [b"GET / HTTP/1.", odd, b"\r\nHost: a\r\n\r\n"].concat(),
            odd.repeat(10_000),
        ];
        for text in texts {
            let answer = server.answer(&text, PROMPT);
            assert!(
                status(&answer) < 500,
                "{}: {answer}",
                String::from_utf8_lossy(&text[..text.len().min(200)])
            );
            asked += 1;
        }
        for (path, field) in [("session", "user"), ("session", "password"), ("setup", "code")] {
            let body = [b"{\"", field.as_bytes(), b"\": \"", odd, b"\"}"].concat();
            let head = format!(
                "POST /api/v1/{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let answer = server.raw(&[head.as_bytes(), &body].concat());
            assert!((400..500).contains(&status(&answer)), "{path}: {answer}");
            let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
            assert!(serde_json::from_str::<Value>(body).is_ok(), "every problem is JSON: {answer}");
            asked += 1;
        }
    }
    asked
}
