//! How the process is doing: memory, processor, viewers; and the supervisor's watchdog, fed only while the appliance answers.
//!
//! Not here: what is published of it.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use sd_notify::NotifyState;

use crate::hub::Hub;
use crate::inbox::Inbox;
use crate::logic::input::{Input, Now};
use crate::logic::state::NodeState;
use crate::mqtt::Outbox;
use crate::shutdown::Shutdown;

const EVERY: Duration = Duration::from_secs(2);
/// An appliance that does not answer for this long hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Reading a sensor may wake it up, so it is asked less often.
const SENSOR_EVERY: Duration = Duration::from_secs(30);
/// The clock was put right if the start seems to have moved by more. Boards without a battery begin in the past.
const CLOCK_STEP: SignedDuration = SignedDuration::from_secs(30);
/// Clock ticks a second in `/proc`; fixed by the kernel's interface to programs.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) struct Health {
    pub(super) hubs: BTreeMap<String, Arc<Hub>>,
    pub(super) inbox: Inbox,
    pub(super) outbox: Arc<Outbox>,
    pub(super) started: Now,
}

impl Health {
    /// The body of the health thread.
    pub(super) fn run(&self, stop: &Shutdown) {
        notify(&[NotifyState::Ready]);
        let mut status = String::new();
        let mut cpu = Window::new(Duration::from_secs(60), Duration::ZERO);
        let mut disk = Window::new(Duration::from_secs(3600), Duration::from_secs(60));
        let (mut temp_c, mut sensed) = (temperature(), Instant::now());
        let mut started = self.started.wall;
        loop {
            let now = Instant::now();
            let uptime = self.started.instant.elapsed();
            let by_clock = Timestamp::now().checked_sub(uptime).unwrap_or(started);
            if by_clock.duration_since(started).abs() > CLOCK_STEP {
                started = by_clock;
            }
            let (cpu_used, elapsed) = cpu.growth(now, cpu_seconds());
            let cpu_pct = if elapsed.is_zero() { 0.0 } else { cpu_used / elapsed.as_secs_f64() * 100.0 };
            let written_kb = written_bytes() / 1024;
            if now.saturating_duration_since(sensed) >= SENSOR_EVERY {
                (temp_c, sensed) = (temperature(), now);
            }
            let node = NodeState {
                started,
                uptime_s: uptime.as_secs(),
                rss_mb: (rss_bytes() / 1_048_576.0).round(),
                cpu_pct: (cpu_pct * 10.0).round() / 10.0,
                temp_c,
                disk_written_kb: written_kb,
                disk_written_kb_h: disk.growth(now, written_kb as f64).0 as u64,
                mqtt_connected: self.outbox.is_connected(),
            };
            let viewers = self.hubs.iter().map(|(id, hub)| (id.clone(), hub.watching())).collect();
            let words = if node.mqtt_connected { "connected to the broker" } else { "no broker" };
            match self.inbox.ask(Input::Health(node, viewers), ANSWER_LIMIT) {
                Ok(_) => notify(&[NotifyState::Watchdog]),
                Err(problem) => tracing::error!("the appliance does not answer: {problem}"),
            }
            if status != words {
                notify(&[NotifyState::Status(words)]);
                status = words.into();
            }
            if stop.wait(EVERY) {
                return;
            }
        }
    }
}

/// Tells the service manager; without one this does nothing.
pub(super) fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

/// Tells the service manager that we end, or begin again.
pub(super) fn tell_end(again: bool) {
    if !again {
        return notify(&[NotifyState::Stopping]);
    }
    // The watchdog gets a full span, because nobody feeds it on the way.
    let now = NotifyState::monotonic_usec_now().into_iter();
    notify(&[NotifyState::Reloading].into_iter().chain(now).collect::<Vec<_>>());
    notify(&[NotifyState::Watchdog, NotifyState::Status("beginning again")]);
}

/// A figure that only grows, looked at over the last while.
struct Window {
    span: Duration,
    /// Samples are this far apart at least.
    every: Duration,
    samples: VecDeque<(Instant, f64)>,
}

impl Window {
    fn new(span: Duration, every: Duration) -> Self {
        Self { span, every, samples: VecDeque::new() }
    }

    /// By how much the figure has grown in the span, or since the first look if that is younger; and that time.
    fn growth(&mut self, now: Instant, figure: f64) -> (f64, Duration) {
        let age = |sample: &(Instant, f64)| now.saturating_duration_since(sample.0);
        if self.samples.back().is_none_or(|newest| age(newest) >= self.every) {
            self.samples.push_back((now, figure));
        }
        // The oldest one is just about a span old.
        while self.samples.get(1).is_some_and(|second| age(second) >= self.span) {
            self.samples.pop_front();
        }
        let oldest = self.samples.front().copied().unwrap_or((now, figure));
        (figure - oldest.1, age(&oldest))
    }
}

/// The temperature of the processor in degrees Celsius, where the machine tells.
pub(super) fn temperature() -> Option<f64> {
    temperature_in(Path::new("/sys/class"))
}

/// The hottest thermal zone, else the hottest sensor of a processor.
fn temperature_in(class: &Path) -> Option<f64> {
    let entries =
        |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    // Thousandths of a degree; what no processor survives is a sensor that does not work.
    let degrees = |path: &Path| {
        let degrees = read(path)?.trim().parse::<f64>().ok()? / 1000.0;
        (1.0..=130.0).contains(&degrees).then_some(degrees)
    };
    let zones = entries(&class.join("thermal")).filter_map(|zone| degrees(&zone.join("temp")));
    let hottest = zones.reduce(f64::max).or_else(|| {
        let of_processor = |chip: &std::path::PathBuf| {
            let name = read(&chip.join("name")).unwrap_or_default();
            ["coretemp", "k10temp", "zenpower", "cpu_thermal"].contains(&name.trim())
        };
        let chips = entries(&class.join("hwmon")).filter(of_processor);
        let is_input = |path: &std::path::PathBuf| path.to_string_lossy().ends_with("_input");
        let sensors = chips.flat_map(|chip| entries(&chip).collect::<Vec<_>>()).filter(is_input);
        sensors.filter_map(|sensor| degrees(&sensor)).reduce(f64::max)
    });
    hottest.map(|degrees| (degrees * 10.0).round() / 10.0)
}

/// Resident memory of this process.
fn rss_bytes() -> f64 {
    // Field 2 of statm is resident pages (proc(5)); 4096 bytes on every system we build for.
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
    pages * 4096.0
}

/// Bytes that this process has had written to block devices.
fn written_bytes() -> u64 {
    // proc(5): write_bytes counts pages as they are marked for the disk, so it leaves out what goes to memory only.
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

/// Processor time of this process.
fn cpu_seconds() -> f64 {
    // Fields 14 and 15 of stat, counted after the command name, which ends with the last bracket (proc(5)).
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_forgets_what_is_older() {
        let start = Instant::now();
        let mut window = Window::new(Duration::from_secs(60), Duration::from_secs(10));
        let grown: Vec<f64> = (0..200_u32)
            .map(|second| {
                window.growth(start + Duration::from_secs(second.into()), f64::from(second) * 2.0).0
            })
            .collect();
        assert_eq!((grown[0], grown[5], grown[60]), (0.0, 10.0, 120.0));
        // Between two samples it is up to one of them longer.
        assert!(grown[100..].iter().all(|grown| (120.0..140.0).contains(grown)), "{grown:?}");
        assert!(window.samples.len() <= 8);
    }

    #[test]
    fn the_hottest_sensor_counts() {
        let class = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = class.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert_eq!(temperature_in(class.path()), None);
        put("hwmon/hwmon0/name", "nvme\n");
        put("hwmon/hwmon0/temp1_input", "80000\n");
        assert_eq!(temperature_in(class.path()), None, "a disk is no processor");
        put("hwmon/hwmon1/name", "coretemp\n");
        put("hwmon/hwmon1/temp1_input", "41250\n");
        assert_eq!(temperature_in(class.path()), Some(41.3));
        put("thermal/thermal_zone0/temp", "52345\n");
        put("thermal/thermal_zone1/temp", "-274000\n");
        assert_eq!(temperature_in(class.path()), Some(52.3));
    }
}
