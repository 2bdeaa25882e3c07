//! What the appliance sees: motion and faces.
//!
//! Not here: what follows from it; see `logic`.

pub mod enrol;
pub mod eval;
pub mod faces;
pub mod model;
pub mod motion;
pub mod photo;
