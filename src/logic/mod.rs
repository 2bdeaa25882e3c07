//! The rooms where decisions are made: pure code, no IO, no clock, no thread, no randomness.
//!
//! Time and everything random come in as arguments; what shall happen goes out as values.

pub mod access;
pub mod accounts;
pub mod addresses;
pub mod admin;
pub mod appliance;
pub mod audit;
pub mod backoff;
pub mod checksum;
pub mod command;
pub mod discovery;
pub mod effect;
pub mod entities;
pub mod events;
pub mod exposure;
pub mod faces;
pub mod fields;
pub mod history;
pub mod input;
pub mod kept_file;
pub mod lint;
pub mod motion;
pub mod oidc;
pub mod pace;
pub mod picture;
pub mod preroll;
pub mod probes;
pub mod problem;
pub mod publication;
pub mod qr;
pub mod quiet;
pub mod request;
pub mod rules;
pub mod source;
pub mod state;
pub mod steady;
pub mod throttle;
pub mod topics;
pub mod transactions;
pub mod why;
pub mod wording;
