//! Long-lived threads: named, watched, joined. A thread that panics ends the appliance, so that a supervisor starts a clean one.
//!
//! Not here: what the threads do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::shutdown::Shutdown;

/// Pause between two looks at a thread that is still ending.
const GLANCE: Duration = Duration::from_millis(5);

/// The threads of the appliance.
pub(super) struct Crew {
    threads: Vec<(String, JoinHandle<()>)>,
    failed: Shutdown,
}

impl Crew {
    pub(super) fn new() -> Self {
        Self { threads: Vec::new(), failed: Shutdown::new() }
    }

    /// Heard once a thread has failed.
    pub(super) fn failure(&self) -> Shutdown {
        self.failed.clone()
    }

    /// Starts a thread; `name` has at most 15 characters, the kernel's limit.
    pub(super) fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) {
        let (failed, title) = (self.failed.clone(), name.to_owned());
        let guarded = move || {
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!(
                    "the thread {title} has failed; the appliance ends so that it can be started afresh"
                );
                failed.trigger();
            }
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(guarded);
        match thread {
            Ok(thread) => self.threads.push((name.into(), thread)),
            Err(error) => {
                tracing::error!(%error, "the thread {name} cannot be started");
                self.failed.trigger();
            }
        }
    }

    /// Waits for every thread until `deadline`; those that go on are named and kept. True if all have ended.
    pub(super) fn join(&mut self, deadline: Instant) -> bool {
        loop {
            let (ended, going): (Vec<_>, Vec<_>) =
                self.threads.drain(..).partition(|(_, thread)| thread.is_finished());
            for (_, thread) in ended {
                // Panics were caught inside.
                let _ = thread.join();
            }
            self.threads = going;
            if self.threads.is_empty() || Instant::now() >= deadline {
                break;
            }
            std::thread::sleep(GLANCE);
        }
        for (name, _) in &self.threads {
            tracing::debug!("the thread {name} goes on");
        }
        self.threads.is_empty()
    }
}
