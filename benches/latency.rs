//! How quick and how small the whole appliance is on the demo scene at 1280x720 and 15 pictures a second, with a real Mosquitto.
//!
//! `cargo bench --bench latency [-- ROUNDS]`; a round of the scene takes a minute. Latencies are those that the events tell of
//! themselves; memory and processor time are the kernel's figures of the program, which runs as a process of its own.
//! Not here: single parts; see the other benches.
#![allow(clippy::print_stdout, reason = "it is a report")]
#![allow(dead_code, reason = "the kit of the tests has more than is needed here")]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[path = "../tests/appliance/kit.rs"]
mod kit;
#[path = "../tests/rig/log.rs"]
mod log;
#[path = "../tests/appliance/observer.rs"]
mod observer;

use kit::{Mosquitto, t};
use observer::{Message, Observer};

const ROUND: Duration = Duration::from_secs(60);
/// Clock ticks a second in `/proc`; fixed by the kernel's interface to programs.
const TICKS_PER_SECOND: f64 = 100.0;

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let rounds: u32 = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(3);
    let broker = Mosquitto::start("");
    let observer = Observer::new(&broker.door);
    let data = tempfile::tempdir().expect("a temporary folder");
    let began = Instant::now();
    let program = start(&broker, data.path());
    let (online, _) = observer.next(0, "online", |m| m.topic == t("status"));
    let is_camera =
        |m: &Message| m.topic.starts_with("homeassistant/device/") && m.json()["dev"]["mdl"] == "Camera";
    let (announced, _) = observer.next(0, "the document of the camera", is_camera);
    let since = |message: &Message| message.at.saturating_duration_since(began).as_millis();
    println!("start -> online {} ms, start -> announced {} ms", since(&online), since(&announced));

    let (mut memory, mut cpu) = (Vec::new(), Vec::new());
    let mut before = (Instant::now(), processor_seconds(program.0.id()));
    while began.elapsed() < ROUND * rounds + ROUND / 4 {
        std::thread::sleep(Duration::from_secs(2));
        let now = (Instant::now(), processor_seconds(program.0.id()));
        cpu.push(100.0 * (now.1 - before.1) / now.0.duration_since(before.0).as_secs_f64());
        before = now;
        memory.push(resident_mb(program.0.id()));
    }
    let seen = observer.all();
    let of = |sort: &str, kind: &str, figure: &str| -> Vec<f64> {
        let events = seen.iter().filter(|m| m.topic == t(&format!("porch/event/{sort}"))).map(Message::json);
        events
            .filter(|event| event["event_type"] == kind)
            .filter_map(|event| event["latency"][figure].as_f64())
            .collect()
    };
    tell("capture -> motion event, ms", of("motion", "start", "capture_to_event_ms"));
    tell("capture -> name, ms", of("face", "known", "capture_to_name_ms"));
    tell("capture -> event with the name, ms", of("face", "known", "capture_to_event_ms"));
    tell("resident memory, MB (2^20)", memory);
    tell("processor, per cent of one core", cpu);
}

fn start(broker: &Mosquitto, data: &std::path::Path) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    command
        .arg("--data-dir")
        .arg(data)
        .current_dir(data)
        .env("DOORWARD__MQTT__PASSWORD", &broker.door.password);
    for set in [
        "node.id=n1",
        "http.bind=127.0.0.1:0",
        "mqtt.host=127.0.0.1",
        &format!("mqtt.port={}", broker.door.port),
        &format!("mqtt.username={}", broker.door.user),
        "cameras.porch.source=demo",
        "cameras.porch.width=1280",
        "cameras.porch.height=720",
        "cameras.porch.fps=15",
    ] {
        command.args(["--set", set]);
    }
    Program(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program runs"))
}

fn tell(what: &str, mut figures: Vec<f64>) {
    figures.sort_by(f64::total_cmp);
    let at = |part: f64| {
        figures.get(((figures.len() as f64 * part) as usize).min(figures.len().saturating_sub(1)))
    };
    match (at(0.5), at(0.99), figures.last()) {
        (Some(median), Some(p99), Some(most)) => {
            println!("{what}: median {median:.0}, p99 {p99:.0}, most {most:.0}, of {}", figures.len());
        }
        _ => println!("{what}: none was seen"),
    }
}

/// Field 2 of statm is resident pages (proc(5)); 4096 bytes on every system we build for.
fn resident_mb(process: u32) -> f64 {
    let statm = std::fs::read_to_string(format!("/proc/{process}/statm")).expect("it runs");
    let pages: f64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096.0 / 1_048_576.0
}

/// Fields 14 and 15 of stat, counted after the command name, which ends with the last bracket (proc(5)).
fn processor_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}
