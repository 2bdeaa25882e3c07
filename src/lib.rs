//! Doorward: a camera appliance for Home Assistant.
//!
//! The modules in reading order. `logic` decides and touches nothing; the edges touch the world and do not know
//! each other; `app` joins them.

pub mod logic;

pub mod frame;
pub mod hub;
pub mod inbox;
pub mod jpeg;
pub mod shutdown;

pub mod http;
