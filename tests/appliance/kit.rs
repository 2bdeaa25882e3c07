//! Appliances in this process, a real Mosquitto, and a plain HTTP reader, each ended with its value.
//!
//! Not here: assertions about behaviour.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use doorward::app::{App, Facts};
use doorward::config::cli::Flags;
use doorward::config::{Config, Sources, load};
use doorward::logic::state::State;
use serde_json::Value;
use tempfile::TempDir;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::log::Logged;
use crate::observer::{Door, PATIENCE, run_with_input, tool};

/// The base of all topics of the appliances here.
pub(crate) const BASE: &str = "doorward/n1";

/// What all appliances here have in common.
const OWN: [&str; 2] = ["node.id=n1", "node.name=House"];

/// `doorward/n1/<rest>`
pub(crate) fn t(rest: &str) -> String {
    format!("{BASE}/{rest}")
}

/// One of two places for appliances that run vision; the machine has few cores.
pub(crate) struct Seat;

static SEATS: (Mutex<usize>, Condvar) = (Mutex::new(2), Condvar::new());

impl Seat {
    pub(crate) fn take() -> Self {
        let mut free = SEATS.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = SEATS.1.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Self
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        *SEATS.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        SEATS.1.notify_one();
    }
}

/// Everything that the appliances of this process log.
fn logged() -> &'static Logged {
    static LOGGED: std::sync::OnceLock<Logged> = std::sync::OnceLock::new();
    static START: Once = Once::new();
    let all = LOGGED.get_or_init(Logged::default);
    START.call_once(|| {
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| all.clone());
        let both = tracing_subscriber::registry().with(LevelFilter::INFO).with(lines);
        both.with(doorward::journal::layer()).init();
    });
    all
}

/// Waits for a line of the log of this process that holds every one of `parts`.
pub(crate) fn wait_for_log(parts: &[&str]) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = logged().text();
        if let Some(line) = text.lines().find(|line| parts.iter().all(|part| line.contains(part))) {
            return line.to_owned();
        }
        assert!(Instant::now() < deadline, "no line with {parts:?} in the log:\n{text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until there is something.
pub(crate) fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A configuration made of flags: a folder, free ports, and `sets`, which win over a `doorward.toml` in the folder.
pub(crate) fn configuration(data_dir: &Path, sets: &[String]) -> Config {
    let flags = Flags {
        data_dir: Some(data_dir.to_owned()),
        http_bind: Some("127.0.0.1:0".into()),
        set: OWN.map(str::to_owned).into_iter().chain(sets.iter().cloned()).collect(),
        ..Flags::default()
    };
    let searched = vec![data_dir.join("doorward.toml")];
    load(&Sources { flags, searched, host_name: "test".into(), ..Sources::default() }.looked_again())
        .unwrap_or_else(|faults| panic!("{faults}"))
}

/// A running appliance. Dropping it stops it.
pub(crate) struct Home {
    app: Option<App>,
    pub(crate) facts: Facts,
    pub(crate) data: Arc<TempDir>,
    sets: Vec<String>,
    _seat: Option<Seat>,
}

impl Home {
    /// An appliance with the embedded broker.
    pub(crate) fn embedded(sets: &[&str]) -> Self {
        let sets: Vec<String> =
            ["broker.bind=127.0.0.1:0"].iter().chain(sets).map(|set| (*set).to_owned()).collect();
        Self::start(Arc::new(tempfile::tempdir().expect("a temporary folder")), sets)
    }

    /// An appliance with the embedded broker on a folder that is there already.
    pub(crate) fn embedded_in(data: TempDir, sets: &[&str]) -> Self {
        let sets = ["broker.bind=127.0.0.1:0"].iter().chain(sets).map(|set| (*set).to_owned()).collect();
        Self::start(Arc::new(data), sets)
    }

    /// An appliance that talks to a Mosquitto.
    pub(crate) fn external(door: &Door, sets: &[&str]) -> Self {
        let own = [
            "mqtt.host=127.0.0.1".to_owned(),
            format!("mqtt.port={}", door.port),
            format!("mqtt.username={}", door.user),
            format!("mqtt.password={}", door.password),
        ];
        let sets = own.into_iter().chain(sets.iter().map(|set| (*set).to_owned())).collect();
        Self::start(Arc::new(tempfile::tempdir().expect("a temporary folder")), sets)
    }

    fn start(data: Arc<TempDir>, sets: Vec<String>) -> Self {
        // A closed camera costs nothing.
        let is_closed = sets.iter().any(|set| set.ends_with(".privacy=true"));
        let _seat = (!is_closed).then(Seat::take);
        logged();
        let config = configuration(data.path(), &sets);
        let app = App::start(&config).unwrap_or_else(|error| panic!("{error:#}"));
        let facts = app.facts().clone();
        Self { app: Some(app), facts, data, sets, _seat }
    }

    /// Stops it and starts it again on the same folder.
    pub(crate) fn restart(self) -> Self {
        let sets = self.sets.clone();
        self.restart_with(sets)
    }

    /// Stops it and starts it again with another configuration; texts in `sets` are changed by `change`.
    pub(crate) fn restart_changed(self, change: impl Fn(&str) -> String) -> Self {
        let sets = self.sets.iter().map(|set| change(set)).collect();
        self.restart_with(sets)
    }

    fn restart_with(mut self, sets: Vec<String>) -> Self {
        self.stop();
        let data = Arc::clone(&self.data);
        drop(self);
        Self::start(data, sets)
    }

    /// Stops it, which must be clean; returns how long it took.
    pub(crate) fn stop(&mut self) -> Duration {
        let began = Instant::now();
        let app = self.app.take().expect("it is stopped once");
        assert!(app.stop(), "something had to be left behind");
        began.elapsed()
    }

    /// How people and Home Assistant enter the embedded broker.
    pub(crate) fn door(&self) -> Door {
        let (user, password) = self.facts.broker_login.as_ref().expect("the embedded broker runs");
        let port = self.facts.broker.expect("the embedded broker runs").port();
        Door { port, user: user.clone(), password: password.expose().to_owned() }
    }

    /// Runs a command of the program against it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        self.command_with(arguments, "")
    }

    /// The same with a standard input.
    pub(crate) fn command_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.arg("--data-dir").arg(self.data.path());
        command.args(["--http-bind", &self.facts.http.to_string()]).args(arguments);
        let broker = self.facts.broker.map(|broker| format!("broker.bind={broker}"));
        let sets = self.sets.iter().filter(|set| !set.starts_with("broker.bind=")).cloned();
        for set in OWN.map(str::to_owned).into_iter().chain(sets).chain(broker) {
            command.args(["--set", &set]);
        }
        run_with_input(command, input.as_bytes())
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.app.as_ref().expect("it runs").state()
    }

    /// Gets a path with the local key; status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, Vec<u8>) {
        http_get(self.facts.http, path, self.facts.token.expose())
    }

    /// The same as JSON; it has to succeed.
    pub(crate) fn get_json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).expect("JSON")
    }

    /// A request with the local key; head and body.
    pub(crate) fn http(&self, request: &str, headers: &str, body: &str) -> (String, Vec<u8>) {
        http(self.facts.http, request, self.facts.token.expose(), headers, body)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(app) = self.app.take() {
            let _ = app.stop();
        }
    }
}

/// A plain HTTP/1.1 GET; status and body.
pub(crate) fn http_get(address: SocketAddr, path: &str, token: &str) -> (u16, Vec<u8>) {
    let (head, body) = http(address, &format!("GET {path}"), token, "", "");
    (status(&head), body)
}

/// The status in a head.
pub(crate) fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
}

/// A plain HTTP/1.1 request, such as `PUT /path`, with further header lines; head and body of the answer.
pub(crate) fn http(
    address: SocketAddr,
    request: &str,
    token: &str,
    headers: &str,
    body: &str,
) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).expect("the page answers");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit can be set");
    let length = body.len();
    let ask = format!(
        "{request} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(ask.as_bytes()).expect("the request is taken");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer in time");
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an HTTP head");
    let text = String::from_utf8_lossy(&answer[..head]).into_owned();
    (text, answer.split_off(head + 4))
}

/// A port that is free now, and that nobody gets who asks the system for any: those lie higher.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run at the same time begin in different places.
    let first = 20_000 + (std::process::id() % 100) as u16 * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A web server that takes messages, in a process of its own; see `tests/py/notify_http.py`.
pub(crate) struct Receiver {
    process: Child,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    /// Listens on a port, gives the answers in turn, and the last one for ever.
    pub(crate) fn start(port: u16, answers: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py/notify_http.py");
        let python = std::env::var("DOORWARD_PYTHON").unwrap_or_else(|_| "python3".into());
        let mut command = Command::new(python);
        command.arg(script).args(answers).args(["--port", &port.to_string()]).stdout(Stdio::piped());
        let mut process = command.spawn().expect("python3 runs; ./doorward.sh test brings its own");
        let output = BufReader::new(process.stdout.take().expect("it has a standard output"));
        let taken = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&taken);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).expect("JSON lines");
                into.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let receiver = Self { process, taken };
        until("the receiver listens", || receiver.taken().first().cloned());
        receiver
    }

    fn taken(&self) -> Vec<Value> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The messages so far.
    pub(crate) fn messages(&self) -> Vec<Value> {
        self.taken().into_iter().filter(|line| line.get("json").is_some()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A real Mosquitto with one user, on a port of its own.
pub(crate) struct Mosquitto {
    process: Option<Child>,
    pub(crate) folder: TempDir,
    pub(crate) door: Door,
}

impl Mosquitto {
    /// Without persistence: killing it wipes it. `options` are further lines for the listener.
    pub(crate) fn start(options: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let door = Door { port: free_port(), user: "house".into(), password: "a secret".into() };
        let file = folder.path().join("passwd");
        let mut command = tool("mosquitto_passwd");
        command.args(["-c", "-b"]).arg(&file).args([&door.user, &door.password]);
        assert!(run_with_input(command, b"").status.success(), "mosquitto_passwd works");
        // As root it would change its user and then not reach the folder.
        let conf = format!(
            "user root\npersistence_location {}/\nlistener {} 127.0.0.1\nallow_anonymous false\npassword_file {}\n{options}\n",
            folder.path().display(),
            door.port,
            file.display()
        );
        std::fs::write(folder.path().join("mosquitto.conf"), conf).expect("the configuration is written");
        let mut broker = Self { process: None, folder, door };
        broker.run();
        broker
    }

    /// Starts the process; returns when it listens.
    pub(crate) fn run(&mut self) {
        let mut command = tool("mosquitto");
        let log =
            std::fs::File::options().create(true).append(true).open(self.log_file()).expect("a log file");
        command.arg("-c").arg(self.folder.path().join("mosquitto.conf")).stderr(log).stdout(Stdio::null());
        self.process = Some(command.spawn().expect("mosquitto runs"));
        let port = self.door.port;
        until(&format!("mosquitto on {port}"), || TcpStream::connect(("127.0.0.1", port)).ok());
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("it can be killed");
        process.wait().expect("its end can be waited for");
    }

    /// Makes it take and send nothing, as a hanging machine does.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Ends the freeze.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("it runs").id().to_string();
        assert!(tool("kill").args([signal, &process]).status().expect("kill runs").success());
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
