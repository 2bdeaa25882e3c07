//! The embedded broker against stock clients (mosquitto 3.1.1 and 5, paho), with and without TLS, and against clients that mean harm.
//!
//! Needs `mosquitto_pub`, `mosquitto_sub` and a Python with paho-mqtt (named by `DOORWARD_PYTHON`); fails without.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod abuse;
mod clients;
mod fuzz;
mod kit;
mod limits;
mod tls;
mod wills;
