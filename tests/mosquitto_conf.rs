//! The files in `mosquitto/`, tried with the real Mosquitto and its own clients.
//!
//! Not here: the appliance; it is tested against Mosquitto elsewhere. Uses nothing but std.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
/// Retained from the start and readable by all users: whoever gets it has subscribed.
const READY: &str = "doorward/ready/status";
const USERS: [&str; 3] = ["doorward", "homeassistant", "scripts"];

/// Mosquitto with our configuration on a port of its own; it ends with this value.
struct Broker {
    process: Child,
    port: u16,
    folder: PathBuf,
}

impl Broker {
    fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("doorward-mosquitto-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a temporary folder");
        let passwords = folder.join("passwd");
        for (n, user) in USERS.iter().enumerate() {
            let create: &[&str] = if n == 0 { &["-c"] } else { &[] };
            let mut command = program("mosquitto_passwd");
            command.args(create).arg("-b").arg(&passwords).args([*user, &password(user)]);
            succeeded(&command.output().expect("mosquitto_passwd runs"));
        }
        let port = free_port();
        fs::write(folder.join("mosquitto.conf"), configuration(&folder, port))
            .expect("the configuration is written");
        let mut broker = Self { process: run(&folder), port, folder };
        broker.wait_until_up();
        let mut command = broker.client("mosquitto_pub", "doorward", &password("doorward"));
        succeeded(&command.args(["-r", "-t", READY, "-m", "online"]).output().expect("mosquitto_pub runs"));
        broker
    }

    fn wait_until_up(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.process.try_wait().expect("its state can be asked");
            assert!(ended.is_none() && Instant::now() < deadline, "mosquitto did not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn client(&self, client: &str, user: &str, password: &str) -> Command {
        let mut command = program(client);
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.to_string(),
            "-u",
            user,
            "-P",
            password,
            "-q",
            "1",
        ]);
        command
    }

    /// Publishes as `user`; the broker's refusal of a single message does not show here.
    fn publish(&self, user: &str, topic: &str, payload: &str) {
        let mut command = self.client("mosquitto_pub", user, &password(user));
        succeeded(&command.args(["-t", topic, "-m", payload]).output().expect("mosquitto_pub runs"));
    }

    /// Subscribes as `user` to filters that cover [`READY`]; returns when the broker has taken them.
    fn subscribe(&self, user: &str, filters: &[&str]) -> Subscriber {
        let mut command = self.client("mosquitto_sub", user, &password(user));
        command.args(["-F", "%t %l"]).stdout(Stdio::piped()).stderr(Stdio::null());
        for filter in filters {
            command.args(["-t", filter]);
        }
        let mut process = command.spawn().expect("mosquitto_sub runs");
        let output = BufReader::new(process.stdout.take().expect("it was asked for"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let subscriber = Subscriber { process, lines };
        assert_eq!(subscriber.line(), format!("{READY} 6"));
        subscriber
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A running `mosquitto_sub`.
struct Subscriber {
    process: Child,
    lines: Receiver<String>,
}

impl Subscriber {
    /// The next message: its topic and how many bytes it has.
    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a message in time")
    }

    /// The topics of all messages up to the one on `last`, which must come.
    fn topics_until(&self, last: &str) -> Vec<String> {
        let mut topics = Vec::new();
        while topics.last().is_none_or(|topic| topic != last) {
            let line = self.line();
            topics.push(line.split(' ').next().expect("a line begins with a topic").to_owned());
        }
        topics
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts Mosquitto with the configuration in this folder.
fn run(folder: &Path) -> Child {
    let log = fs::File::create(folder.join("log")).expect("a log file");
    let mut command = program("mosquitto");
    command.arg("-c").arg(folder.join("mosquitto.conf")).stderr(log).spawn().expect("mosquitto starts")
}

/// The configuration of the repository with this test's port and folders in place of the system's.
fn configuration(folder: &Path, port: u16) -> String {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("mosquitto");
    let mut text =
        fs::read_to_string(repository.join("mosquitto.conf")).expect("the file is in the repository");
    for (theirs, ours) in [
        ("listener 1883", format!("listener {port} 127.0.0.1")),
        ("/etc/mosquitto/doorward.passwd", folder.join("passwd").display().to_string()),
        ("/etc/mosquitto/doorward.acl", repository.join("doorward.acl").display().to_string()),
        ("/var/lib/mosquitto/", format!("{}/", folder.display())),
    ] {
        let line_or_path = format!("{theirs}\n");
        assert_eq!(
            text.matches(&line_or_path).count(),
            1,
            "{theirs} stands in the configuration exactly once"
        );
        text = text.replace(&line_or_path, &format!("{ours}\n"));
    }
    // Started by root, Mosquitto would become a user who cannot read this folder.
    text + "user root\n"
}

/// A program of Mosquitto; Debian keeps the broker where only root looks.
fn program(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin";
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    Command::new(
        found.unwrap_or_else(|| panic!("{name} is not installed; ./doorward.sh setup test brings it")),
    )
}

fn password(user: &str) -> String {
    format!("secret of {user}")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn only_the_right_password_gets_in() {
    let broker = Broker::start("passwords");
    for user in USERS {
        broker.publish(user, "doorward/home/request/ping", "{}");
    }
    for (user, password) in [("doorward", "wrong"), ("doorward", ""), ("stranger", "secret of doorward")] {
        let mut command = broker.client("mosquitto_pub", user, password);
        let output =
            command.args(["-t", "doorward/home/request/ping", "-m", "{}"]).output().expect("it runs");
        assert!(!output.status.success(), "{user} with the password {password:?} was let in");
    }
    let mut nobody = program("mosquitto_pub");
    nobody.args(["-h", "127.0.0.1", "-p", &broker.port.to_string(), "-t", "x", "-m", "x"]);
    assert!(!nobody.output().expect("it runs").status.success(), "somebody without a name was let in");
}

#[test]
fn each_user_writes_only_what_is_theirs() {
    let broker = Broker::start("writing");
    let everything = broker.subscribe("doorward", &["doorward/#", "homeassistant/#"]);
    let last = "doorward/home/status";
    let allowed = [
        ("homeassistant", "doorward/home/porch/privacy/set"),
        ("homeassistant", "doorward/home/porch/snapshot/press"),
        ("homeassistant", "doorward/home/restart/press"),
        ("homeassistant", "doorward/home/request/motion/reset"),
        ("homeassistant", "homeassistant/status"),
        ("scripts", "doorward/home/request/snapshot"),
        ("doorward", "homeassistant/device/doorward_1/config"),
        ("doorward", "doorward/home/porch/event/face"),
        ("doorward", last),
    ];
    let denied = [
        ("homeassistant", "doorward/home/porch/event/face"),
        ("homeassistant", "doorward/home/porch/motion"),
        ("homeassistant", "doorward/home/porch/image/live"),
        ("homeassistant", "doorward/home/status"),
        ("scripts", "doorward/home/porch/event/face"),
        ("scripts", "doorward/home/porch/privacy/set"),
        ("scripts", "doorward/home/porch/snapshot/press"),
        ("scripts", "homeassistant/device/doorward_1/config"),
        ("doorward", "homeassistant/status"),
    ];
    for (user, topic) in denied.iter().chain(&allowed) {
        broker.publish(user, topic, user);
    }
    assert_eq!(everything.topics_until(last), allowed.map(|(_, topic)| topic));
}

#[test]
fn each_user_reads_only_what_is_theirs() {
    let broker = Broker::start("reading");
    let home_assistant = broker.subscribe("homeassistant", &["#"]);
    let scripts = broker.subscribe("scripts", &["#"]);
    let shared =
        ["doorward/home/porch/image/event/01J", "doorward/home/porch/event/face", "doorward/home/status"];
    let not_for_scripts = ["doorward/home/porch/faces/present", "doorward/home/porch/privacy/set"];
    for topic in not_for_scripts.iter().chain(&shared) {
        broker.publish("doorward", topic, "x");
    }
    let all: Vec<_> = not_for_scripts.iter().chain(&shared).copied().collect();
    assert_eq!(home_assistant.topics_until(shared[2]), all);
    assert_eq!(scripts.topics_until(shared[2]), shared);
}

#[test]
fn pictures_of_two_megabytes_arrive_and_larger_ones_than_four_do_not() {
    let broker = Broker::start("size");
    let home_assistant = broker.subscribe("homeassistant", &["doorward/#"]);
    for (megabytes, topic) in [(5, "doorward/home/porch/image/motion"), (2, "doorward/home/porch/image/face")]
    {
        let picture = broker.folder.join("picture");
        fs::write(&picture, vec![b'x'; megabytes * 1024 * 1024]).expect("a picture is written");
        let mut command = broker.client("mosquitto_pub", "doorward", &password("doorward"));
        // The broker drops the connection of a client that sends too much, so the status may be either.
        let mut child =
            command.args(["-t", topic, "-f"]).arg(&picture).stderr(Stdio::piped()).spawn().expect("it runs");
        wait_at_most(&mut child);
    }
    assert_eq!(home_assistant.line(), format!("doorward/home/porch/image/face {}", 2 * 1024 * 1024));
}

#[test]
fn a_retained_state_survives_a_restart_of_the_broker() {
    let mut broker = Broker::start("restart");
    // SIGTERM, upon which Mosquitto writes its file; std can only send SIGKILL.
    let pid = broker.process.id().to_string();
    succeeded(&Command::new("kill").arg(pid).output().expect("kill runs"));
    broker.process.wait().expect("it ends");
    broker.process = run(&broker.folder);
    broker.wait_until_up();
    // Subscribing waits for the message that was retained at the start.
    broker.subscribe("homeassistant", &["doorward/#"]);
}

fn wait_at_most(child: &mut Child) {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().expect("its state can be asked").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("it can be ended");
            let mut said = String::new();
            let _ = child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said));
            panic!("the client hangs: {said}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
