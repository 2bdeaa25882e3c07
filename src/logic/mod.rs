//! The rooms where decisions are made: pure code, no IO, no clock, no thread, no randomness.
//!
//! Time and everything random come in as arguments; what shall happen goes out as values.

pub mod picture;
pub mod problem;
