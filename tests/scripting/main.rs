//! Every line of `docs/scripting.md`, run as it stands there against a running appliance with the demo scene: once with Mosquitto and
//! the rules of `mosquitto/`, once with the embedded broker.
//!
//! Not here: whether the rules keep others out; see `tests/mosquitto`.

#![allow(clippy::print_stdout, reason = "how long each block took, shown with --nocapture")]

#[path = "../mosquitto/kit.rs"]
mod broker;
mod page;

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use broker::{Broker, end, free_port, password};
use page::{Block, blocks, fits};

/// Longer than any block waits by itself.
const LIMIT: Duration = Duration::from_secs(120);

/// A running program that ends with this value.
struct Appliance(Child);

impl Appliance {
    /// The demo scene twice as fast as life, as the node and with the camera of the page.
    fn start(place: &Path, sets: &[String]) -> Self {
        let own = [
            "node.id=home",
            "http.bind=127.0.0.1:0",
            "cameras.porch.source=demo:seed=1,speed=2",
            "cameras.porch.fps=10",
            "cameras.porch.motion.hold=1",
            "faces.unknown_grace=1",
            "faces.cadence=8",
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.current_dir(place).env_clear().arg("--data-dir").arg(place.join("data"));
        for set in own.iter().copied().chain(sets.iter().map(String::as_str)) {
            command.args(["--set", set]);
        }
        let log = fs::File::create(place.join("log")).expect("a log file");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Self(command.spawn().expect("the program runs"))
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

/// The page's blocks and the folder in which they run.
struct Page {
    folder: PathBuf,
    blocks: Vec<Block>,
}

impl Page {
    /// Writes the page's files, with this broker and login in place of the page's.
    fn open(place: &Path, port: u16, user: &str, password: &str) -> Self {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scripting.md"))
            .expect("the page is there");
        let (blocks, folder) = (blocks(&text), place.join("scripts"));
        fs::create_dir(&folder).expect("a folder");
        for block in &blocks {
            let Some(name) = &block.file else { continue };
            let mut code = block.code.clone();
            if name == "door.sh" {
                for (key, value) in
                    [("HOST", "127.0.0.1"), ("PORT", &port.to_string()), ("USER", user), ("PASS", password)]
                {
                    let line = code.lines().find(|line| line.starts_with(&format!("{key}=")));
                    let line = line.unwrap_or_else(|| panic!("door.sh sets {key}")).to_owned();
                    code = code.replacen(&line, &format!("{key}='{value}'"), 1);
                }
            }
            fs::write(folder.join(name), code).expect("the file is written");
        }
        Self { folder, blocks }
    }

    fn run(&self) {
        let shown: Vec<&Block> = self.blocks.iter().filter(|block| block.file.is_none()).collect();
        assert!(shown.len() > 20, "the page has only {} blocks", shown.len());
        for block in shown {
            let began = Instant::now();
            let said = self.run_block(block);
            println!("line {}: {:.1} s", block.line, began.elapsed().as_secs_f64());
            if let Some(expected) = &block.output {
                let place = format!("docs/scripting.md, line {}", block.line);
                assert!(fits(&said, expected), "{place}:\n{}\nsaid:\n{said}\nnot:\n{expected}", block.code);
            }
        }
    }

    /// Runs a block as the page says it is run; it has to succeed.
    fn run_block(&self, block: &Block) -> String {
        let python = std::env::var("DOORWARD_PYTHON").unwrap_or_else(|_| "python3".into());
        let path = Path::new(&python).parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        let path = format!("{path}:{}", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("sh");
        command.current_dir(&self.folder).env("PATH", path).args(["-eu", "-c"]);
        command.arg(format!(". ./door.sh\n{}", block.code));
        let (out, err) = (self.folder.join("stdout"), self.folder.join("stderr"));
        let file = |path: &Path| fs::File::create(path).expect("a file");
        let mut process =
            command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).spawn().expect("sh runs");
        let deadline = Instant::now() + LIMIT;
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        loop {
            if let Some(status) = process.try_wait().expect("its state can be asked") {
                let (said, complained) = (read(&out), read(&err));
                let line = block.line;
                assert!(
                    status.success(),
                    "docs/scripting.md, line {line}: {status}\n{}\n{said}\n{complained}",
                    block.code
                );
                return said;
            }
            if Instant::now() > deadline {
                end(&mut process);
                panic!("docs/scripting.md, line {}, does not end: {}", block.line, read(&out));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn the_page_works_with_mosquitto_and_its_rules() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let broker = Broker::start();
    let sets = [
        "mqtt.host=127.0.0.1".to_owned(),
        format!("mqtt.port={}", broker.port),
        "mqtt.username=home".to_owned(),
        format!("mqtt.password={}", password("home")),
    ];
    let _appliance = Appliance::start(place.path(), &sets);
    Page::open(place.path(), broker.port, "scripts", &password("scripts")).run();
}

#[test]
fn the_page_works_with_the_embedded_broker() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let _appliance = Appliance::start(place.path(), &[format!("broker.bind=127.0.0.1:{port}")]);
    let deadline = Instant::now() + broker::PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = fs::read_to_string(place.path().join("log")).unwrap_or_default();
        assert!(Instant::now() < deadline, "no broker on {port}:\n{log}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let secrets =
        fs::read_to_string(place.path().join("data/secrets.json")).expect("made at the first start");
    let secrets: serde_json::Value = serde_json::from_str(&secrets).expect("JSON");
    let password = secrets["broker"]["homeassistant"].as_str().expect("the login for people");
    Page::open(place.path(), port, "homeassistant", password).run();
}
