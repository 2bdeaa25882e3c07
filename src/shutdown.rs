//! The stop signal: told once, heard by threads and tasks alike.
//!
//! Not here: who stops in which order; that is [`crate::app`].

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// A cheap handle to one stop signal; clones share it.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<Signal>);

#[derive(Default)]
struct Signal {
    told: Mutex<bool>,
    threads: Condvar,
    tasks: Notify,
}

impl Shutdown {
    /// A signal that has not been given yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the signal. Giving it twice is harmless.
    pub fn trigger(&self) {
        *self.0.told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.threads.notify_all();
        self.0.tasks.notify_waiters();
    }

    /// Whether the signal was given.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        *self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks a thread for `at_most`, or until the signal; true once the signal was given.
    #[must_use]
    pub fn wait(&self, at_most: Duration) -> bool {
        let deadline = Instant::now() + at_most;
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        while !*told {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            told = self.0.threads.wait_timeout(told, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *told
    }

    /// Ends once the signal was given.
    pub async fn triggered(&self) {
        let heard = self.0.tasks.notified();
        tokio::pin!(heard);
        // Registered before the look, so that a signal between look and wait is not lost.
        heard.as_mut().enable();
        if !self.is_triggered() {
            heard.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_and_tasks_both_hear_it() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        for _ in 0..100 {
            let signal = Shutdown::new();
            let (for_thread, for_task) = (signal.clone(), signal.clone());
            let thread = std::thread::spawn(move || for_thread.wait(Duration::from_secs(10)));
            let task = runtime.spawn(async move { for_task.triggered().await });
            signal.trigger();
            assert!(thread.join().unwrap());
            let heard = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), task).await });
            assert!(matches!(heard, Ok(Ok(()))));
        }
    }

    #[test]
    fn waiting_without_a_signal_ends_in_time() {
        assert!(!Shutdown::new().wait(Duration::from_millis(5)));
    }
}
