//! Everything that a test program logs, to be read by its tests.
#![allow(unreachable_pub, reason = "two test programs have it in different places")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// The writer for a subscriber; copies write to the same place.
#[derive(Clone, Default)]
pub struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no writer panics")).into_owned()
    }
}

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
