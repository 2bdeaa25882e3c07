//! The newest frame of one camera: one slot, so nobody ever waits behind an old picture.
//!
//! The camera thread publishes and never waits; each [`Viewer`] takes the newest frame it has not seen and is told how many it skipped.
//! Not here: what a frame is ([`crate::frame`]), who looks at it and why.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::frame::Frame;

/// The one-slot exchange of a camera. Dropping frames is its normal work and is counted per viewer.
#[derive(Default)]
pub struct Hub {
    slot: Mutex<Slot>,
    threads: Condvar,
    tasks: Notify,
    watching: AtomicUsize,
    skipped: AtomicU64,
}

#[derive(Default)]
struct Slot {
    /// Publications so far; the frame in the slot is number `published`.
    published: u64,
    frame: Option<Arc<Frame>>,
    closed: bool,
}

/// What a viewer got.
#[derive(Debug)]
pub enum Next {
    /// The newest frame, not seen before by this viewer.
    Frame(Arc<Frame>),
    /// Nothing new within the patience.
    Quiet,
    /// The camera is gone for good; nothing will follow.
    Closed,
}

impl Hub {
    /// An empty, open hub.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the frame in the slot and wakes everybody. Never waits for a viewer.
    pub fn publish(&self, frame: Arc<Frame>) {
        let old = {
            let mut slot = self.slot();
            slot.published += 1;
            slot.frame.replace(frame)
        };
        self.threads.notify_all();
        self.tasks.notify_waiters();
        // Freed after the lock is gone: a frame may be megabytes.
        drop(old);
    }

    /// Ends the hub: viewers get [`Next::Closed`], and no picture is left to serve.
    pub fn close(&self) {
        {
            let mut slot = self.slot();
            slot.closed = true;
            slot.frame = None;
        }
        self.threads.notify_all();
        self.tasks.notify_waiters();
    }

    /// The frame in the slot, if the camera has published and is not closed.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<Frame>> {
        self.slot().frame.clone()
    }

    /// A reader for our own use (motion, faces, MQTT pictures); not counted as watching.
    #[must_use]
    pub fn viewer(self: &Arc<Self>) -> Viewer {
        Viewer { hub: Arc::clone(self), seen: 0, skipped: 0, counted: false }
    }

    /// A reader for a person; counted in [`Hub::watching`] until it is dropped.
    #[must_use]
    pub fn watch(self: &Arc<Self>) -> Viewer {
        self.watching.fetch_add(1, Ordering::Relaxed);
        let mut viewer = self.viewer();
        viewer.counted = true;
        viewer
    }

    /// How many people are watching now.
    #[must_use]
    pub fn watching(&self) -> usize {
        self.watching.load(Ordering::Relaxed)
    }

    /// Frames that viewers did not get because a newer one had replaced them, over all viewers.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }
}

/// One reader of a hub.
pub struct Viewer {
    hub: Arc<Hub>,
    seen: u64,
    skipped: u64,
    counted: bool,
}

impl Viewer {
    /// Blocks a thread for the next unseen frame, `patience` at most.
    pub fn next_blocking(&mut self, patience: Duration) -> Next {
        let deadline = Instant::now() + patience;
        let hub = Arc::clone(&self.hub);
        let mut slot = hub.slot();
        loop {
            if let Some(next) = self.look(&slot) {
                return next;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Next::Quiet;
            }
            slot = hub.threads.wait_timeout(slot, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The next unseen frame for a task; `None` once the hub is closed.
    pub async fn next(&mut self) -> Option<Arc<Frame>> {
        let hub = Arc::clone(&self.hub);
        loop {
            let published = hub.tasks.notified();
            tokio::pin!(published);
            // Registered before the look, so that a frame between look and wait is not lost.
            published.as_mut().enable();
            let looked = self.look(&hub.slot());
            match looked {
                Some(Next::Frame(frame)) => return Some(frame),
                Some(Next::Closed) => return None,
                Some(Next::Quiet) | None => published.await,
            }
        }
    }

    /// Frames this viewer missed so far.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn look(&mut self, slot: &Slot) -> Option<Next> {
        if slot.closed {
            return Some(Next::Closed);
        }
        if slot.published == self.seen {
            return None;
        }
        // A new viewer has missed nothing: its first frame is simply the newest.
        let missed = if self.seen == 0 { 0 } else { slot.published - self.seen - 1 };
        self.skipped += missed;
        self.hub.skipped.fetch_add(missed, Ordering::Relaxed);
        self.seen = slot.published;
        slot.frame.clone().map(Next::Frame)
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        if self.counted {
            self.hub.watching.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Raw;

    fn frame(seq: u64) -> Arc<Frame> {
        Arc::new(Frame::live(seq, Instant::now(), 2, 2, Raw::Rgb(bytes::Bytes::from_static(&[0; 12]))))
    }

    fn seq(next: &Next) -> Option<u64> {
        match next {
            Next::Frame(frame) => Some(frame.seq),
            Next::Quiet | Next::Closed => None,
        }
    }

    #[test]
    fn a_slow_viewer_gets_the_newest_and_counts_the_rest() {
        let hub = Hub::new();
        let mut viewer = hub.viewer();
        hub.publish(frame(1));
        assert_eq!(seq(&viewer.next_blocking(Duration::ZERO)), Some(1));
        for n in 2..=5 {
            hub.publish(frame(n));
        }
        assert_eq!(seq(&viewer.next_blocking(Duration::ZERO)), Some(5));
        assert_eq!((viewer.skipped(), hub.skipped()), (3, 3));
        assert!(matches!(viewer.next_blocking(Duration::ZERO), Next::Quiet));
    }

    #[test]
    fn closing_leaves_no_picture() {
        let hub = Hub::new();
        hub.publish(frame(1));
        let mut viewer = hub.viewer();
        hub.close();
        assert!(hub.latest().is_none());
        assert!(matches!(viewer.next_blocking(Duration::from_secs(5)), Next::Closed));
    }

    #[test]
    fn only_people_count_as_watching() {
        let hub = Hub::new();
        let (one, two, own) = (hub.watch(), hub.watch(), hub.viewer());
        assert_eq!(hub.watching(), 2);
        drop((one, own));
        assert_eq!(hub.watching(), 1);
        drop(two);
        assert_eq!(hub.watching(), 0);
    }

    #[test]
    fn no_wake_up_is_lost_between_threads_and_tasks() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        for n in 1..=200 {
            let hub = Hub::new();
            let (mut blocking, mut waiting) = (hub.viewer(), hub.viewer());
            let thread = std::thread::spawn(move || seq(&blocking.next_blocking(Duration::from_secs(10))));
            let task = runtime.spawn(async move { waiting.next().await.map(|frame| frame.seq) });
            hub.publish(frame(n));
            assert_eq!(thread.join().unwrap(), Some(n));
            assert_eq!(runtime.block_on(task).unwrap(), Some(n));
        }
    }
}
