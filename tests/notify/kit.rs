//! What the scenes need: servers in Python, certificates, targets from configuration text, and the telling loop itself.
//!
//! Not here: assertions about what arrives.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use doorward::config::{self, Config, Notify, Sources};
use doorward::logic::backoff::Backoff;
use doorward::logic::history::{Delivered, Delivery};
use doorward::logic::problem::Problem;
use doorward::notify::{self, Limits, Parts, Trial};
use doorward::shutdown::Shutdown;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Longer than anything takes; only failures wait for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// An event's id, as the appliance makes them.
pub(crate) const ID: &str = "01JAB3X5N7Q9R1T3V5W7Y9Z1B3";

/// A server of `tests/py` as its own process.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    lines: UnboundedReceiver<Value>,
}

fn python() -> String {
    std::env::var("DOORWARD_PYTHON").unwrap_or_else(|_| "python3".into())
}

/// Whether mail can be tested here; where CI is set, it has to be.
#[expect(clippy::print_stdout, reason = "what is skipped says why")]
pub(crate) fn has_mail_server() -> bool {
    let found = Command::new(python()).args(["-c", "import aiosmtpd"]).output();
    if found.is_ok_and(|done| done.status.success()) {
        return true;
    }
    let reason =
        format!("{} has no aiosmtpd; './doorward.sh test' brings its own Python that has.", python());
    assert!(std::env::var_os("CI").is_none(), "CI is set, so this may not be skipped: {reason}");
    println!("skipped: {reason}");
    false
}

impl Server {
    pub(crate) async fn start(script: &str, arguments: &[&str]) -> Server {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py").join(script);
        let mut child = Command::new(python())
            .arg(path)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} is needed for this test: {error}", python()));
        let output = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = unbounded_channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = tell.send(serde_json::from_str(&line).unwrap_or(json!({ "broken": line })));
            }
        });
        let mut server = Server { child, port: 0, lines };
        let first = server.next().await;
        server.port = first["port"].as_u64().unwrap().try_into().unwrap();
        server
    }

    pub(crate) async fn http(arguments: &[&str]) -> Server {
        Server::start("notify_http.py", arguments).await
    }

    /// The next thing that the server took.
    pub(crate) async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.lines.recv()).await;
        line.expect("the server took nothing in time").expect("the server has ended")
    }

    /// What it took that nobody has looked at.
    pub(crate) fn rest(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.lines.try_recv().ok()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder with an authority and a certificate of it for 127.0.0.1.
pub(crate) struct Certificates {
    pub(crate) folder: tempfile::TempDir,
}

impl Certificates {
    pub(crate) fn new() -> Certificates {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = authority.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        let issuer = Issuer::new(authority, key);
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = server.signed_by(&key, &issuer).unwrap();
        std::fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        Certificates { folder }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

/// The configuration of this text.
pub(crate) fn configured(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("doorward.toml");
    std::fs::write(&path, text).unwrap();
    let sources = Sources { file: Some(path), ..Sources::default() };
    config::load(&sources).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Short times, so that a scene takes seconds.
pub(crate) fn limits() -> Limits {
    Limits {
        connect: Duration::from_secs(2),
        attempt: Duration::from_secs(2),
        pauses: Backoff { first: Duration::from_millis(50), longest: Duration::from_millis(1500) },
        most_waiting: 1000,
    }
}

/// The telling loop at work.
pub(crate) struct Stage {
    deliveries: UnboundedSender<Delivery>,
    trials: UnboundedSender<Trial>,
    ends: UnboundedReceiver<(i64, Delivered)>,
    pub(crate) shutdown: Shutdown,
    pub(crate) task: tokio::task::JoinHandle<()>,
}

impl Stage {
    pub(crate) fn new(configuration: &str) -> Stage {
        Stage::with(configured(configuration).notify, limits())
    }

    /// As [`Stage::new`], but messages are given up after `limit`.
    pub(crate) fn impatient(configuration: &str, limit: Duration) -> Stage {
        let mut targets = configured(configuration).notify;
        for target in &mut targets {
            target.give_up_after = limit;
        }
        Stage::with(targets, limits())
    }

    pub(crate) fn with(targets: Vec<Notify>, limits: Limits) -> Stage {
        let _ = log();
        let (deliveries, to_tell) = unbounded_channel();
        let (trials, to_try) = unbounded_channel();
        let (tell, ends) = unbounded_channel();
        let done = move |number, end| {
            let _ = tell.send((number, end));
        };
        let parts = Parts { targets, deliveries: to_tell, trials: to_try, done, limits };
        let shutdown = Shutdown::new();
        let task = tokio::spawn(notify::run(parts, shutdown.clone()));
        Stage { deliveries, trials, ends, shutdown, task }
    }

    pub(crate) fn send(&self, delivery: Delivery) {
        self.deliveries.send(delivery).unwrap();
    }

    /// The next delivery that has an end.
    pub(crate) async fn end(&mut self) -> (i64, Delivered) {
        let end = tokio::time::timeout(PATIENCE, self.ends.recv()).await;
        end.expect("no delivery has ended in time").expect("the loop has ended")
    }

    /// Why the next one was given up.
    pub(crate) async fn given_up(&mut self) -> String {
        match self.end().await.1 {
            Delivered::GivenUp(why) => why,
            Delivered::Told => panic!("it was told"),
        }
    }

    pub(crate) fn has_no_end_yet(&mut self) -> bool {
        self.ends.try_recv().is_err()
    }

    pub(crate) async fn try_out(&self, target: Option<&str>) -> Result<Value, Problem> {
        let (tell, answer) = tokio::sync::oneshot::channel();
        let reply = Box::new(move |result| {
            let _ = tell.send(result);
        });
        let trial = Trial { target: target.map(str::to_owned), reply };
        assert!(self.trials.send(trial).is_ok());
        tokio::time::timeout(PATIENCE, answer).await.unwrap().unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

/// An event for a target, without a picture.
pub(crate) fn delivery(number: i64, target: &str) -> Delivery {
    let ts = jiff::Timestamp::now();
    let record = json!({
        "v": 1, "id": ID, "sort": "face", "event_type": "known", "camera": "porch", "person": "juergen",
        "title": "Jürgen Groß ist am Gartentor 🚪", "number": number,
    });
    let Value::Object(record) = record else { unreachable!() };
    Delivery { number, target: target.to_owned(), record, ts, picture: None }
}

/// Bytes that stand for a picture, with every value in them, in a file.
pub(crate) fn picture(folder: &Path) -> (PathBuf, String) {
    let bytes: Vec<u8> = (0..200_000u32).map(|at| (at.wrapping_mul(at) / 7 % 256) as u8).collect();
    let path = folder.join("event.jpg");
    std::fs::write(&path, &bytes).unwrap();
    (path, doorward::logic::checksum::sha256(&bytes))
}

/// Everything that was logged by all scenes of this process.
pub(crate) fn log() -> String {
    static LOG: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    let log = LOG.get_or_init(|| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&log);
        tracing_subscriber::fmt()
            .with_env_filter("doorward=trace,info")
            .with_ansi(false)
            .with_writer(move || Sink(Arc::clone(&writer)))
            .init();
        log
    });
    String::from_utf8_lossy(&log.lock().unwrap()).into_owned()
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Waits for something that has no event of its own.
pub(crate) async fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A server that takes connections and never says a word.
pub(crate) fn silent_server() -> (std::net::TcpListener, u16) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}
