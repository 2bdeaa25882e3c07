//! How far a long evaluation is, on standard error.
//!
//! Not here: results; they go to standard output and into files.

use std::io::Write;
use std::time::{Duration, Instant};

/// Time between two lines; short jobs print none.
const EVERY: Duration = Duration::from_secs(5);

/// Tells how far something is.
pub(super) struct Progress<'a> {
    out: &'a mut dyn Write,
    what: &'static str,
    done: usize,
    all: usize,
    told: Instant,
}

impl<'a> Progress<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Progress<'a> {
        Progress { out, what: "", done: 0, all: 0, told: Instant::now() }
    }

    /// The next job of so many steps.
    pub(super) fn begin(&mut self, what: &'static str, all: usize) {
        (self.what, self.done, self.all) = (what, 0, all);
    }

    /// One step is done.
    pub(super) fn step(&mut self) {
        self.done += 1;
        if self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            // Nobody looks any more if standard error is closed; the work goes on.
            let _ = writeln!(self.out, "{}: {} of {}", self.what, self.done, self.all);
        }
    }

    /// A sentence about something that does not count.
    pub(super) fn remark(&mut self, sentence: &str) {
        let _ = writeln!(self.out, "{sentence}");
    }
}
