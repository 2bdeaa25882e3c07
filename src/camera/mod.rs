//! Cameras: where pictures come from, behind one trait, and the thread that publishes them.
//!
//! [`run()`] is the body of the camera thread; [`open`] turns a [`Spec`] into a [`Source`]. A source knows nothing of hubs,
//! rates and retries, the thread knows nothing of devices and files.
//! Not here: what anybody does with the pictures, and the wording of faults ([`crate::logic::problem`]).

use std::time::Instant;

use crate::frame::Raw;
use crate::logic::problem::Problem;
use crate::logic::source::Spec;
use crate::logic::state::Opened;
use pace::{Pace, interval_of};

mod card;
mod clip;
pub mod demo;
mod file;
mod pace;
mod run;
mod trace;
#[cfg(feature = "v4l")]
pub mod v4l2;

pub use run::{Drops, News, Parts, STALL_AFTER, Stats, run};

/// What the user would like; sources take the nearest that they can do and say so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wish {
    /// Pixels a row.
    pub width: Option<usize>,
    /// Rows.
    pub height: Option<usize>,
    /// Pictures a second, [`FPS`].
    pub fps: f64,
}

/// Rates that may be wished for, pictures a second.
pub const FPS: std::ops::RangeInclusive<f64> = 0.1..=60.0;

impl Wish {
    /// The size in pixels, 1280 x 720 where nothing was wished.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        match (self.width, self.height) {
            (Some(width), Some(height)) => (width, height),
            (Some(width), None) => (width, width * 9 / 16),
            (None, Some(height)) => (height * 16 / 9, height),
            (None, None) => (1280, 720),
        }
    }
}

/// One picture as a source delivers it.
pub struct Picture {
    /// The pixels.
    pub raw: Raw,
    /// Pixels a row. For JPEG the picture's own header wins.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// When the camera had taken it.
    pub captured_at: Instant,
    /// Older pictures that were waiting and passed over for this one.
    pub overtaken: u64,
    /// Pictures since the one before that the camera took and the driver never handed over.
    pub lost: u64,
}

/// Why there is no picture this time.
#[derive(Debug)]
pub enum Fault {
    /// Nothing came in time; ask again.
    Quiet,
    /// A picture came but cannot be used; the next may be well.
    Broken(Defect),
    /// The source has ended; only opening it anew can help.
    Lost(Problem),
}

/// What is wrong with one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// It is cut short.
    Truncated,
    /// It is no picture, or damaged.
    Damaged,
    /// Its size is absurd.
    Size,
    /// The driver marked it as faulty.
    Flagged,
}

/// A camera that is open. Dropping it closes the device.
pub trait Source {
    /// What was opened.
    fn opened(&self) -> &Opened;

    /// Waits for the next picture, until `until` at most, so that the caller can look at its orders.
    ///
    /// # Errors
    /// [`Fault::Quiet`] when the time is over; see there for the others.
    fn next(&mut self, until: Instant) -> Result<Picture, Fault>;

    /// Changes the rate while open. False when only opening anew can do that.
    fn set_fps(&mut self, fps: f64) -> bool;
}

/// Opens a source as near to the wish as it can.
///
/// # Errors
/// With the sentence to show to the user.
pub fn open(spec: &Spec, wish: Wish) -> Result<Box<dyn Source>, Problem> {
    match spec {
        Spec::V4l2 { device, format } => open_v4l2(spec, device, *format, wish),
        Spec::File(path) => Ok(Box::new(file::File::open(path, wish)?)),
        Spec::Demo { seed, speed } => Ok(Box::new(demo::Demo::new(*seed, *speed, wish)?)),
        Spec::Libcamera(_) => Err(Problem::NotBuilt { feature: "libcamera" }),
    }
}

#[cfg(feature = "v4l")]
fn open_v4l2(
    spec: &Spec,
    device: &crate::logic::source::Device,
    format: Option<crate::logic::source::PixelFormat>,
    wish: Wish,
) -> Result<Box<dyn Source>, Problem> {
    Ok(Box::new(v4l2::Camera::open(spec, device, format, wish)?))
}

#[cfg(not(feature = "v4l"))]
fn open_v4l2(
    _: &Spec,
    _: &crate::logic::source::Device,
    _: Option<crate::logic::source::PixelFormat>,
    _: Wish,
) -> Result<Box<dyn Source>, Problem> {
    Err(Problem::NotBuilt { feature: "v4l" })
}
