//! The whole appliance, from the camera to the broker, watched by clients that are not ours (mosquitto_sub, a plain HTTP reader).
//!
//! Each module is one or two appliances with many checks, because every appliance runs real vision; at most two run at once.
//! Not here: the parts by themselves; they are tested beside their code and in the other folders of `tests/`.

#![allow(clippy::print_stdout, reason = "figures of a run, shown with --nocapture")]

mod accounts;
mod admin;
mod again;
mod app;
mod audit;
mod camera;
mod commands;
mod discovery;
mod documents;
mod embedded;
mod events;
mod external;
mod kit;
#[path = "../rig/log.rs"]
mod log;
mod observer;
mod openapi;
mod own_tls;
mod privacy;
mod process;
mod requests;
mod reset;
mod story;
mod telling;
mod tls;
mod training;
