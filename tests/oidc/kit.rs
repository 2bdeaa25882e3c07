//! The program with a provider configured, and a browser that keeps cookies and follows nothing by itself.
//!
//! Not here: assertions about who is let in.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

/// Waits until there is something.
pub(crate) fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An answer of a server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Every value of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    pub(crate) fn location(&self) -> &str {
        self.all("location").first().copied().unwrap_or_else(|| panic!("no Location: {self:?}"))
    }

    /// The value that a cookie was given.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        let given =
            self.all("set-cookie").into_iter().find_map(|line| line.strip_prefix(&format!("{name}=")));
        given.map(|rest| rest.split(';').next().unwrap_or_default().to_owned())
    }
}

/// One request to an address such as `http://127.0.0.1:9400/path?query`.
pub(crate) fn request(method: &str, url: &str, headers: &str, body: &str) -> Answer {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("{url}"));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).unwrap_or_else(|error| panic!("{url}: {error}"));
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let length = body.len();
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
    .expect("the request is taken");
    let mut text = Vec::new();
    stream.read_to_end(&mut text).expect("an answer in time");
    let text = String::from_utf8_lossy(&text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{url}: {text}"));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// A sign-in that was begun: where the browser goes, and what it keeps.
pub(crate) struct Begun {
    pub(crate) url: String,
    pub(crate) cookie: String,
}

impl Begun {
    /// A parameter that goes to the provider.
    pub(crate) fn parameter(&self, name: &str) -> String {
        let url = reqwest::Url::parse(&self.url).expect("an address");
        let found = url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        found.unwrap_or_else(|| panic!("no {name} in {url}"))
    }
}

/// The program, with a closed camera.
pub(crate) struct House {
    child: Child,
    place: tempfile::TempDir,
    pub(crate) page: String,
}

impl House {
    pub(crate) fn start(page: u16, issuer: &str, sets: &[String]) -> Self {
        let place = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command
            .current_dir(place.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .args(["--data-dir", "data"]);
        for set in [
            "node.id=n1".into(),
            "cameras.porch.source=demo".into(),
            "cameras.porch.privacy=true".into(),
            format!("broker.bind=127.0.0.1:{}", free_port()),
            format!("http.bind=127.0.0.1:{page}"),
            format!("http.url=http://127.0.0.1:{page}"),
            format!("oidc.issuer={issuer}"),
            "oidc.name=the house account".into(),
            "oidc.allowed_emails=anna@example.org".into(),
            "oidc.viewer_emails=ben@example.org".into(),
        ]
        .iter()
        .chain(sets)
        {
            command.args(["--set", set]);
        }
        let log = std::fs::File::create(place.path().join("log")).expect("a file");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        let child = command.spawn().expect("the program runs");
        let address = SocketAddr::from(([127, 0, 0, 1], page));
        let house = Self { child, place, page: format!("http://127.0.0.1:{page}") };
        until("the page", || {
            TcpStream::connect_timeout(&address, PATIENCE).ok().filter(|_| !house.log().is_empty())
        });
        house
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.place.path().join("log")).unwrap_or_default()
    }

    /// Waits for a refusal in the log.
    pub(crate) fn says(&self, why: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(why) {
            assert!(Instant::now() < deadline, "{why:?} is not in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn start_url(&self) -> String {
        format!("{}/api/v1/oidc/start", self.page)
    }

    pub(crate) fn begin(&self) -> Begun {
        let answer = request("GET", &self.start_url(), "", "");
        assert_eq!(answer.status, 302, "{answer:?}\n{}", self.log());
        let line = answer.all("set-cookie")[0];
        assert!(line.contains("; HttpOnly; SameSite=Lax") && line.contains("; Max-Age=600"), "{line}");
        let cookie = answer.cookie("doorward_oidc").expect("the cookie of the sign-in");
        assert!(!answer.location().contains(&cookie), "the cookie's secret stands in no address");
        Begun { url: answer.location().to_owned(), cookie }
    }

    /// The browser comes back, to an address of ours.
    pub(crate) fn back(&self, url: &str, cookie: Option<&str>) -> Answer {
        assert!(url.starts_with(&format!("{}/api/v1/oidc/callback?", self.page)), "{url}");
        let headers = cookie.map(|value| format!("Cookie: a=b; doorward_oidc={value}\r\n"));
        request("GET", url, &headers.unwrap_or_default(), "")
    }

    /// Who a session is, as REST tells it.
    pub(crate) fn who(&self, secret: &str) -> Value {
        let headers = format!("Cookie: doorward={secret}\r\n");
        let answer = request("GET", &format!("{}/api/v1/session", self.page), &headers, "");
        serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
    }

    /// Somebody was signed in.
    pub(crate) fn assert_in(&self, answer: &Answer, user: &str, role: &str) -> String {
        assert_eq!(answer.status, 200, "{answer:?}\n{}", self.log());
        assert!(answer.body.contains("location.replace(\"../../../\")"), "the page is loaded by one of ours");
        let lines = answer.all("set-cookie");
        let session = lines.iter().find(|line| line.starts_with("doorward=")).expect("a session");
        assert!(session.contains("HttpOnly") && session.contains("SameSite=Strict"), "{session}");
        assert!(lines.iter().any(|line| line.starts_with("doorward_oidc=; Max-Age=0")), "{lines:?}");
        let secret = answer.cookie("doorward").expect("a session");
        let who = self.who(&secret);
        assert_eq!((who["user"].as_str(), who["role"].as_str()), (Some(user), Some(role)), "{who}");
        secret
    }

    /// Nobody was, and the browser learns no details.
    pub(crate) fn assert_out(&self, answer: &Answer, why: &str) {
        assert_eq!(answer.status, 403, "{why}: {answer:?}\n{}", self.log());
        assert!(answer.cookie("doorward").is_none(), "{why}: {answer:?}");
        assert!(!answer.body.contains(why) && !answer.body.contains("example.org"), "{}", answer.body);
        assert!(answer.all("content-security-policy")[0].contains("default-src 'none'"));
        self.says(why);
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
