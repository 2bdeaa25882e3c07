//! The program as Home Assistant's Supervisor starts it: options in a JSON file, and questions to a stand-in for the Supervisor.
//!
//! Not here: the rules for the app's own files (`tests/app.rs`), its page behind the ingress proxy (`tests/ingress.rs`).

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kit::{Mosquitto, Seat, free_port, t};
use crate::observer::{Door, Observer, PATIENCE};

const TOKEN: &str = "0123456789abcdef-of-the-supervisor";

type Answers = dyn Fn(usize, &str) -> (u16, Value) + Send;

/// Answers as the Supervisor does; whoever has not its token gets 401.
struct Supervisor {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Supervisor {
    /// `answers` makes status and body of the number of the question, from 0, and its path.
    fn start(answers: Box<Answers>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it has an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let book = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let _ = answer(client, &book, &answers);
            }
        });
        Self { address, asked }
    }

    /// It names that broker, and the app's page.
    fn naming(door: &Door) -> Self {
        let service = service(door);
        Self::start(Box::new(move |_, path| match path {
            "/services/mqtt" => (200, service.clone()),
            _ => info(),
        }))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn answer(client: TcpStream, asked: &Mutex<Vec<String>>, answers: &Answers) -> std::io::Result<()> {
    let mut lines = BufReader::new(&client).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut is_known = false;
    for line in lines {
        let line = line?;
        is_known |= line.eq_ignore_ascii_case(&format!("authorization: Bearer {TOKEN}"));
        if line.is_empty() {
            break;
        }
    }
    let number = {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(path.clone());
        asked.len() - 1
    };
    let (status, body) = if is_known { answers(number, &path) } else { error(401, "unauthorized") };
    let body = body.to_string();
    write!(
        &client,
        "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn service(door: &Door) -> Value {
    json!({ "result": "ok", "data": {
        "addon": "core_mosquitto", "host": "127.0.0.1", "port": door.port, "ssl": false, "protocol": "3.1.1",
        "username": door.user, "password": door.password,
    } })
}

fn info() -> (u16, Value) {
    (
        200,
        json!({ "result": "ok", "data": { "slug": "local_doorward", "ingress": true, "hostname": "local-doorward" } }),
    )
}

fn error(status: u16, message: &str) -> (u16, Value) {
    (status, json!({ "result": "error", "message": message }))
}

/// The program in the place of the app's container, with its output in files.
struct Started {
    process: Child,
    place: TempDir,
}

impl Started {
    fn new(options: &str, supervisor: SocketAddr, more: impl FnOnce(&mut Command, &Path)) -> Self {
        Self::waiting(6, options, supervisor, more)
    }

    /// The same, with so many seconds for the Supervisor.
    fn waiting(
        seconds: u32,
        options: &str,
        supervisor: SocketAddr,
        more: impl FnOnce(&mut Command, &Path),
    ) -> Self {
        let place = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| place.path().join(name);
        std::fs::write(path("options.json"), options).expect("the options are written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.current_dir(place.path()).env_clear();
        command.args(["app", "--wait", &seconds.to_string(), "--options"]).arg(path("options.json"));
        command.args(["--supervisor", &format!("http://{supervisor}")]);
        command.arg("--data-dir").arg(path("data"));
        command.env("SUPERVISOR_TOKEN", TOKEN);
        command.env("DOORWARD__NODE__ID", "n1").env("DOORWARD__HTTP__BIND", "127.0.0.1:0");
        command.env("DOORWARD__HTTP__INGRESS_PROXY", "172.30.32.2");
        command.env("DOORWARD__BROKER__BIND", format!("127.0.0.1:{}", free_port()));
        more(&mut command, place.path());
        let file = |name| File::create(path(name)).expect("a file for the output");
        command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
        let process = command.spawn().expect("the program runs");
        Self { process, place }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.place.path().join(name)).expect("it was made")
    }

    /// Everything that it said, which is what the app's log shows.
    fn log(&self) -> String {
        self.read("out") + &self.read("err")
    }

    fn says(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "{text:?} is not in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The exit code, and everything that it said.
    fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("its state can be asked") {
                return (status.code(), self.log());
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A camera that takes no time of the processor.
fn closed_camera(command: &mut Command) {
    command.env("DOORWARD__CAMERAS__PORCH__SOURCE", "demo").env("DOORWARD__CAMERAS__PORCH__PRIVACY", "true");
}

#[test]
fn empty_options_connect_to_the_broker_that_the_supervisor_names() {
    let (broker, _seat) = (Mosquitto::start(""), Seat::take());
    let observer = Observer::new(&broker.door);
    let supervisor = Supervisor::naming(&broker.door);
    let started = Started::new("{\"cameras\": [], \"mqtt\": {}}", supervisor.address, |_, _| {});
    observer.says(0, &t("status"), "online");
    started.says("in Home Assistant's side bar");
    started.says("make your account with the pairing code ");
    let (document, _) = observer.next(0, "the appliance's document", |message| {
        message.topic.starts_with("homeassistant/device/") && message.text().contains("\"cu\"")
    });
    assert_eq!(document.json()["dev"]["cu"], "homeassistant://hassio/ingress/local_doorward");
    assert_eq!(supervisor.asked(), ["/services/mqtt", "/addons/self/info"]);
    let log = started.log();
    assert!(
        log.contains(&format!("the one that Home Assistant names: 127.0.0.1:{}", broker.door.port)),
        "{log}"
    );
    assert!(!log.contains(TOKEN) && !log.contains(&broker.door.password), "{log}");
}

#[test]
fn a_supervisor_and_a_broker_that_come_later_are_waited_for() {
    let broker = Mosquitto::start("");
    let observer = Observer::new(&broker.door);
    let service = service(&broker.door);
    let supervisor = Supervisor::start(Box::new(move |number, _| match number {
        0 => error(502, "starting"),
        1 => error(400, "Service not enabled"),
        2 => (200, service.clone()),
        _ => info(),
    }));
    let started = Started::waiting(60, "{}", supervisor.address, |command, _| closed_camera(command));
    observer.says(0, &t("status"), "online");
    started.says("does not answer (status 502)");
    assert_eq!(supervisor.asked().len(), 4);
}

#[test]
fn options_make_cameras_and_a_broker_of_ones_own_wins() {
    let broker = Mosquitto::start("");
    let observer = Observer::new(&broker.door);
    let supervisor = Supervisor::naming(&Door { port: 1, ..broker.door.clone() });
    let Door { port, user, password } = &broker.door;
    let options = json!({
        "name": "Our house",
        "cameras": [
            { "name": "Haustür", "source": "demo", "area": "Hof" },
            { "name": "Back door", "source": "demo" },
        ],
        "mqtt": { "host": "127.0.0.1", "port": port, "username": user, "password": password },
        "log_level": "debug",
    });
    let started = Started::new(&options.to_string(), supervisor.address, |command, place| {
        // What only the file can say goes on to work, and an option wins over the file.
        let file =
            "node.name = \"File\"\n[cameras.haustuer]\nprivacy = true\n[cameras.back_door]\nprivacy = true\n";
        std::fs::write(place.join("doorward.toml"), file).expect("a file");
        command.arg("--config").arg(place.join("doorward.toml"));
    });
    for id in ["haustuer", "back_door"] {
        observer.says(0, &t(&format!("{id}/state")), "privacy");
    }
    let named = |name: &str| {
        let is_it = |message: &crate::observer::Message| {
            message.topic.starts_with("homeassistant/device/") && message.json()["dev"]["name"] == name
        };
        observer.next(0, name, is_it).0.json()
    };
    assert_eq!(named("Haustür")["dev"]["sa"], "Hof");
    named("Back door");
    named("Our house");
    assert_eq!(supervisor.asked(), ["/addons/self/info"], "nobody asks for a broker who has one");
    started.says("the one in the configuration");
    assert!(started.log().contains("DEBUG"));
}

#[test]
fn mistakes_in_the_options_are_sentences_and_exit_code_78() {
    let options = json!({
        "cameras": [
            { "name": "Front", "source": "rtsp://x" },
            { "source": "demo" },
            { "name": "front!" },
            { "name": "Back", "colour": 1 },
            "demo",
        ],
        "mqtt": { "host": "http://x", "password": "hunter2hunter2" },
        "picture_interval": 900,
        "clips": "film",
        "log_level": "loud",
        "camera": "demo",
    });
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (code, log) = Started::new(&options.to_string(), nobody, |_, _| {}).end();
    assert_eq!(code, Some(78), "{log}");
    for part in [
        "option \"Cameras\", \"Front\", \"Where pictures come from\"",
        "option \"Cameras\", entry 2",
        "option \"Cameras\", \"front!\"",
        "unknown option \"colour\", allowed: name, source, area",
        "option \"Cameras\", entry 5",
        "option \"Other MQTT broker\", \"Host\"",
        "option \"Seconds between pictures\"",
        "0.5 to 60 seconds",
        "allowed: off, h264, mjpeg (option \"Films of events\")",
        "error, warn, info, debug, trace or a filter",
        "unknown option \"camera\", allowed: name, ",
    ] {
        assert!(log.contains(part), "{part} is missing in:\n{log}");
    }
    assert!(!log.contains("hunter2"), "{log}");
    for (options, sentence) in
        [("[1]", "not a JSON object"), ("{\"mqtt\": {", "not JSON, from line 1, column")]
    {
        let (code, log) = Started::new(options, nobody, |_, _| {}).end();
        assert!(code == Some(78) && log.contains(sentence) && log.contains("options.json"), "{code:?} {log}");
    }
}

/// The embedded broker of a program that was started in that place lets Home Assistant in.
fn serves_a_broker(started: &Started) {
    started.says("user homeassistant, password ");
    let out = started.read("out");
    let line = out.lines().find(|line| line.contains("mosquitto_sub")).expect("how to watch it");
    let word =
        |flag: &str| line.split_whitespace().skip_while(|word| *word != flag).nth(1).expect(flag).to_owned();
    let port = word("-p").parse().expect("a port");
    let observer = Observer::new(&Door { port, user: word("-u"), password: word("-P") });
    observer.says(0, &t("status"), "online");
}

#[test]
fn without_a_broker_the_embedded_one_runs() {
    let none = Supervisor::start(Box::new(|_, path| match path {
        "/services/mqtt" => error(400, "Service not enabled"),
        _ => info(),
    }));
    let started = Started::new("{}", none.address, |command, _| closed_camera(command));
    started.says("Home Assistant has no MQTT broker. Best install the app Mosquitto broker");
    serves_a_broker(&started);
    assert!(none.asked().len() > 1, "it was asked again: {:?}", none.asked());

    let strict = Supervisor::naming(&Door { port: 1, user: String::new(), password: String::new() });
    let started = Started::new("{}", strict.address, |command, _| {
        closed_camera(command);
        command.env("SUPERVISOR_TOKEN", "another");
    });
    started.says("refuses to name its MQTT broker (status 401)");
    serves_a_broker(&started);
    assert_eq!(strict.asked()[0], "/services/mqtt");
}

#[test]
fn without_a_supervisor_the_file_or_the_embedded_broker_does() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let started = Started::new("{}", nobody, |command, _| closed_camera(command));
    started.says("Home Assistant's Supervisor does not answer (");
    started.says("so its MQTT broker is not known");
    serves_a_broker(&started);

    let broker = Mosquitto::start("");
    let observer = Observer::new(&broker.door);
    let _started = Started::new("{}", nobody, |command, place| {
        closed_camera(command);
        let Door { port, user, password } = &broker.door;
        let file = format!(
            "[mqtt]\nhost = \"127.0.0.1\"\nport = {port}\nusername = \"{user}\"\npassword = \"{password}\"\n"
        );
        std::fs::write(place.join("doorward.toml"), file).expect("a file");
    });
    observer.says(0, &t("status"), "online");
}
