//! Doorward.

pub mod logic;
pub mod vision;
