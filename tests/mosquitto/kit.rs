//! Mosquitto with the repository's files on ports of its own, its clients as our users, and certificates made by our script.
//!
//! Not here: assertions about who may do what. `tests/scripting` uses this file too.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// No step takes longer on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Everybody who has a password here. "shed" is an appliance without lines of its own.
const USERS: [&str; 5] = ["home", "shed", "homeassistant", "scripts", "reader"];

/// Mosquitto with our configuration; it ends with this value.
pub(crate) struct Broker {
    process: Child,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
}

impl Broker {
    /// With `mosquitto.conf` and `doorward.acl`.
    pub(crate) fn start() -> Self {
        Self::with(&doorward_acl(), &[])
    }

    /// With these rules, and these texts as files of `conf.d`.
    pub(crate) fn with(acl: &str, included: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| folder.path().join(name).display().to_string();
        for (n, user) in USERS.iter().enumerate() {
            let create: &[&str] = if n == 0 { &["-c"] } else { &[] };
            let mut command = program("mosquitto_passwd");
            command.args(create).args(["-b", &file("passwd"), user, &password(user)]);
            succeeded(&command.output().expect("mosquitto_passwd runs"));
        }
        write(Path::new(&file("acl")), acl);
        fs::create_dir(file("conf.d")).expect("a folder");
        for (n, text) in included.iter().enumerate() {
            write(&folder.path().join(format!("conf.d/{n}.conf")), text);
        }
        let port = free_port();
        let text = adapted(
            "mosquitto.conf",
            &[
                ("listener 1883\n", format!("listener {port} 127.0.0.1\n")),
                ("/etc/mosquitto/doorward.passwd", file("passwd")),
                ("/etc/mosquitto/doorward.acl", file("acl")),
                ("/var/lib/mosquitto/", format!("{}/", folder.path().display())),
                ("/etc/mosquitto/conf.d", file("conf.d")),
            ],
        );
        // Started by root, Mosquitto would become a user who cannot read this folder. It may be stated once only.
        write(&folder.path().join("mosquitto.conf"), &format!("user root\n{text}"));
        let mut broker = Self { process: run(folder.path()), port, folder };
        broker.wait_until_up();
        for node in ["home", "shed"] {
            broker.publish_with(&["-r"], node, &ready(node), "{}");
        }
        broker
    }

    /// Ends it as the system does at shutdown, and starts it anew.
    pub(crate) fn restart(&mut self) {
        // SIGTERM, upon which Mosquitto writes its file; std can only send SIGKILL.
        let pid = self.process.id().to_string();
        succeeded(&Command::new("kill").arg(pid).output().expect("kill runs"));
        self.process.wait().expect("it ends");
        self.process = run(self.folder.path());
        self.wait_until_up();
    }

    fn wait_until_up(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.process.try_wait().expect("its state can be asked");
            assert!(ended.is_none() && Instant::now() < deadline, "mosquitto did not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A stock client as one of our users.
    pub(crate) fn client(&self, client: &str, user: &str) -> Command {
        self.client_with(client, user, &password(user))
    }

    pub(crate) fn client_with(&self, client: &str, user: &str, password: &str) -> Command {
        let mut command = client_at(client, self.port);
        command.args(["-u", user, "-P", password]);
        command
    }

    /// Publishes as `user`; the broker's refusal of a single message does not show here.
    pub(crate) fn publish(&self, user: &str, topic: &str, payload: &str) {
        self.publish_with(&[], user, topic, payload);
    }

    pub(crate) fn publish_with(&self, options: &[&str], user: &str, topic: &str, payload: &str) {
        let mut command = self.client("mosquitto_pub", user);
        command.args(options).args(["-t", topic, "-m", payload]);
        succeeded(&command.output().expect("mosquitto_pub runs"));
    }

    /// Subscribes as `user` to filters that cover the user's [`ready`].
    pub(crate) fn subscribe(&self, user: &str, filters: &[&str]) -> Subscriber {
        Subscriber::new(self.client("mosquitto_sub", user), filters, &ready(user))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// Retained from the start and readable by this user: whoever gets it has subscribed.
pub(crate) fn ready(user: &str) -> String {
    let node = if user == "shed" { "shed" } else { "home" };
    format!("doorward/{node}/info")
}

/// A running `mosquitto_sub`.
pub(crate) struct Subscriber {
    process: Child,
    lines: Receiver<String>,
}

impl Subscriber {
    /// Adds filters and format to a client; returns when the broker has sent what it retains on `ready`.
    pub(crate) fn new(mut client: Command, filters: &[&str], ready: &str) -> Self {
        client.args(["-F", "%t %l"]).stdout(Stdio::piped()).stderr(Stdio::null());
        for filter in filters {
            client.args(["-t", filter]);
        }
        let mut process = client.spawn().expect("mosquitto_sub runs");
        let output = BufReader::new(process.stdout.take().expect("it was asked for"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let subscriber = Self { process, lines };
        subscriber.topics_until(ready);
        subscriber
    }

    /// The next message: its topic and how many bytes it has.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a message in time")
    }

    /// The topics of all messages up to the one on `last`, which must come; without those that say who is ready.
    pub(crate) fn topics_until(&self, last: &str) -> Vec<String> {
        let mut topics = Vec::new();
        loop {
            let line = self.line();
            let topic = line.split(' ').next().expect("a line begins with a topic").to_owned();
            let is_last = topic == last;
            if !["home", "shed"].map(ready).contains(&topic) {
                topics.push(topic);
            }
            if is_last {
                return topics;
            }
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// A folder in which `make-certificates.sh` works.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    /// With a certificate for a broker on this machine, and for these clients.
    pub(crate) fn new(clients: &[&str]) -> Self {
        let certificates = Self(tempfile::tempdir().expect("a temporary folder"));
        succeeded(&certificates.make(&["server", "localhost", "127.0.0.1"]));
        for client in clients {
            succeeded(&certificates.make(&["client", client]));
        }
        certificates
    }

    /// Runs the script.
    pub(crate) fn make(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(repository().join("make-certificates.sh"));
        command.arg(self.0.path()).args(arguments).output().expect("the script runs")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `tls.conf` on this port.
    pub(crate) fn tls_conf(&self, port: u16) -> String {
        let path = |name: &str| self.file(name).display().to_string();
        adapted(
            "tls.conf",
            &[
                ("listener 8883\n", format!("listener {port} 127.0.0.1\n")),
                ("/etc/mosquitto/certs/ca.crt", path("ca.crt")),
                ("/etc/mosquitto/certs/server.crt", path("server.crt")),
                ("/etc/mosquitto/certs/server.key", path("server.key")),
            ],
        )
    }

    /// A stock client that trusts our authority and shows this user's certificate, if any.
    pub(crate) fn client(&self, client: &str, port: u16, user: Option<&str>) -> Command {
        let mut command = client_at(client, port);
        command.arg("--cafile").arg(self.file("ca.crt"));
        if let Some(user) = user {
            command.arg("--cert").arg(self.file(&format!("{user}.crt")));
            command.arg("--key").arg(self.file(&format!("{user}.key")));
        }
        command
    }
}

/// The text of a file in `mosquitto/` with parts that stand in it exactly once put for others.
pub(crate) fn adapted(file: &str, changes: &[(&str, String)]) -> String {
    let mut text = fs::read_to_string(repository().join(file)).expect("the file is in the repository");
    for (theirs, ours) in changes {
        assert_eq!(text.matches(theirs).count(), 1, "{theirs:?} stands in {file} exactly once");
        text = text.replace(theirs, ours);
    }
    text
}

pub(crate) fn doorward_acl() -> String {
    adapted("doorward.acl", &[])
}

/// The folder of the files that are tried.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mosquitto")
}

fn write(file: &Path, text: &str) {
    fs::write(file, text).expect("the file is written");
}

/// Starts Mosquitto with the configuration in this folder.
fn run(folder: &Path) -> Child {
    let log = fs::File::create(folder.join("log")).expect("a log file");
    let mut command = program("mosquitto");
    command.arg("-c").arg(folder.join("mosquitto.conf")).stderr(log).spawn().expect("mosquitto starts")
}

/// A stock client without a login.
pub(crate) fn client_at(client: &str, port: u16) -> Command {
    let mut command = program(client);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1"]);
    command
}

/// A program of Mosquitto; Debian keeps the broker where only root looks.
pub(crate) fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin";
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    Command::new(
        found.unwrap_or_else(|| panic!("{name} is not installed; ./doorward.sh setup test brings it")),
    )
}

pub(crate) fn password(user: &str) -> String {
    format!("secret of {user}")
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

pub(crate) fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Waits for a program to end by itself, and returns what it said.
pub(crate) fn wait_at_most(child: &mut Child) -> String {
    let deadline = Instant::now() + PATIENCE;
    let ended = loop {
        if child.try_wait().expect("its state can be asked").is_some() {
            break true;
        }
        if Instant::now() > deadline {
            child.kill().expect("it can be ended");
            break false;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut said = String::new();
    let _ = child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said));
    assert!(ended, "the client hangs: {said}");
    said
}

pub(crate) fn end(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}
