//! Decisions. Pure: no IO, no clock, no thread, no randomness; all of that comes in as arguments.

pub mod faces;
