//! Doorward: a camera appliance for Home Assistant.
//!
//! The modules in reading order. `logic` decides and touches nothing; the edges touch the world and do not know
//! each other; `app` joins them.

pub mod logic;

pub mod config;

mod atomic;
pub mod audit;
mod canvas;
mod database;
pub mod door;
mod font;
pub mod frame;
pub mod hub;
pub mod inbox;
pub mod journal;
pub mod jpeg;
pub mod shutdown;
pub mod tls;

pub mod archive;
pub mod broker;
pub mod camera;
pub mod clips;
pub mod http;
pub mod mqtt;
pub mod notify;
pub mod oidc;
pub mod public_address;
pub mod store;
pub mod supervisor;
pub mod vision;

pub mod app;
