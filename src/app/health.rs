//! How the process is doing: memory, processor, viewers; and the supervisor's watchdog, fed only while the appliance answers.
//!
//! Not here: what is published of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::hub::Hub;
use crate::inbox::Inbox;
use crate::logic::input::Input;
use crate::logic::state::NodeState;
use crate::mqtt::Outbox;
use crate::shutdown::Shutdown;

const EVERY: Duration = Duration::from_secs(2);
/// An appliance that does not answer for this long hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Clock ticks a second in `/proc`; fixed by the kernel's interface to programs.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) struct Health {
    pub(super) hubs: BTreeMap<String, Arc<Hub>>,
    pub(super) inbox: Inbox,
    pub(super) outbox: Arc<Outbox>,
    pub(super) started: Instant,
}

impl Health {
    /// The body of the health thread.
    pub(super) fn run(&self, stop: &Shutdown) {
        notify(&[NotifyState::Ready]);
        let mut before = (Instant::now(), cpu_seconds());
        let mut status = String::new();
        loop {
            let now = (Instant::now(), cpu_seconds());
            let elapsed = now.0.saturating_duration_since(before.0).as_secs_f64();
            let cpu_pct = if elapsed > 0.0 { (now.1 - before.1) / elapsed * 100.0 } else { 0.0 };
            before = now;
            let node = NodeState {
                uptime_s: self.started.elapsed().as_secs(),
                rss_mb: (rss_bytes() / 1_048_576.0).round(),
                cpu_pct: (cpu_pct * 10.0).round() / 10.0,
                disk_written_kb: written_bytes() / 1024,
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
