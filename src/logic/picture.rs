//! Pixels as plain data: what the detectors look at, and boxes on a picture.
//!
//! Not here: JPEG, and where pixels come from; see [`crate::frame`] and [`crate::jpeg`].

use serde::{Deserialize, Serialize};

/// An 8-bit gray picture, smaller than the camera's by the whole factor `scale`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gray {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Camera pixels per gray pixel along one side: 1, 2, 4 or 8.
    pub scale: usize,
    /// `width * height` bytes, row by row, 0 black to 255 white.
    pub data: Vec<u8>,
}

/// A full-size picture, three bytes a pixel in the order red, green, blue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `3 * width * height` bytes, row by row.
    pub data: Vec<u8>,
}

/// Something that is shown on a picture for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Where it is.
    pub place: Rect,
    /// What it is.
    pub kind: MarkKind,
    /// The word beside it; may be empty.
    pub label: String,
}

/// What a mark shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// Something moves.
    Motion,
    /// The face of somebody known.
    Known,
    /// A face that has no name, or none yet.
    Face,
}

/// A rectangle as fractions of the picture, 0 to 1 from the top left corner, so that it fits any size of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rect {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

impl Rect {
    /// The whole picture.
    pub const WHOLE: Self = Self { x: 0.0, y: 0.0, w: 1.0, h: 1.0 };

    /// The smallest rectangle around both.
    #[must_use]
    pub fn around(self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        Self {
            x,
            y,
            w: (self.x + self.w).max(other.x + other.w) - x,
            h: (self.y + self.h).max(other.y + other.h) - y,
        }
    }

    /// The same rectangle grown by `margin` of its own size on each side, cut at the picture's edge.
    #[must_use]
    pub fn grown(self, margin: f32) -> Self {
        let x = (self.x - self.w * margin).max(0.0);
        let y = (self.y - self.h * margin).max(0.0);
        Self {
            x,
            y,
            w: (self.x + self.w * (1.0 + margin)).min(1.0) - x,
            h: (self.y + self.h * (1.0 + margin)).min(1.0) - y,
        }
    }
}
