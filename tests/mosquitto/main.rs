//! The files in `mosquitto/`, tried with the real Mosquitto, its own clients, openssl, and the appliance.
//!
//! A message that must not arrive is followed by one that must: when that is there, the first would have been.
//! Not here: what the appliance says; it is tested in `tests/appliance`.

mod access;
mod bridge;
mod certificates;
mod kit;
