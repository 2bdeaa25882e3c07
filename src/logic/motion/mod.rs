//! Motion: small gray pictures in, "something moves" out, with the reason when it is held back.
//!
//! Not here: where pictures come from ([`crate::vision`]), and what motion is worth a message.
//!
//! The parts: `background` learns the scene and the noise of each pixel, `mask` and `blobs` find what differs and how big it is,
//! `light` and `shake` recognise changes that are no motion, `episode` makes a steady state of single looks.
//! Nothing here knows the frame rate: all constants are times, and `now` comes in.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::picture::{Gray, Rect};

mod background;
mod blobs;
mod detector;
mod episode;
mod light;
mod mask;
#[cfg(test)]
mod scene;
mod shake;
#[cfg(test)]
mod tests;

pub use detector::Detector;

/// What people may turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Knobs {
    /// How many gray levels a pixel must differ from the scene, 1 to 255. A trembling pixel needs more; it learns that by itself.
    pub threshold: u8,
    /// Smallest thing that counts, in square pixels of the camera's picture.
    pub min_area: u32,
    /// Radius of the blur before the comparison, in pixels of the small gray picture, 0 (none) to 16.
    pub blur: u8,
    /// How far pieces are grown before they are joined, in pixels of the small gray picture, 0 to 16; does not count towards the area.
    pub dilate: u8,
    /// How long something must move before it counts.
    pub min_duration: Duration,
    /// Motion ends after this time without any.
    pub hold: Duration,
    /// A thing that stays this long belongs to the scene.
    pub learning_time: Duration,
    /// Where motion counts; empty means everywhere.
    pub regions: Vec<Rect>,
    /// Where motion does not count, even within a region.
    pub masks: Vec<Rect>,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            threshold: 25,
            min_area: 3000,
            blur: 0,
            dilate: 2,
            min_duration: Duration::from_millis(200),
            hold: Duration::from_secs(5),
            learning_time: Duration::from_secs(60),
            regions: Vec::new(),
            masks: Vec::new(),
        }
    }
}

/// What one look at a picture gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The state for people: motion lasted long enough and is not over for the hold time.
    pub moving: bool,
    /// What changed with this look.
    pub change: Option<Change>,
    /// This picture alone shows motion, before minimum duration and hold.
    pub raw: bool,
    /// Why this picture does not count as motion although it differs from the scene.
    pub why: Option<Reason>,
    /// Share of the picture that moves, per cent.
    pub area_pct: f32,
    /// Area of the biggest thing that differs from the scene, in square pixels of the camera's picture, counted or not: for tuning.
    pub area_px: u32,
    /// Boxes around what moves, biggest first, at most [`MAX_BOXES`]; they do not overlap.
    pub boxes: Vec<Rect>,
}

/// More boxes help nobody.
pub const MAX_BOXES: usize = 8;

/// What a look or the passing of time changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Motion began.
    Started,
    /// Motion is over.
    Ended {
        /// From the first to the last picture with motion, without the hold time.
        lasted: Duration,
    },
    /// Something looked like motion and was held back; told once until the reason was quiet for the hold time.
    Suppressed(Reason),
}

/// Why a picture that differs from the scene is not motion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The light of the room or of a patch changed.
    LightChange,
    /// The scene is being learnt, after start, reset or a new picture size.
    Starting,
    /// Somebody asked to ignore motion for a while.
    Inhibited,
    /// It is where motion does not count.
    Masked,
    /// The camera moved.
    Shake,
    /// It is smaller than the minimum area.
    BelowArea,
    /// It was over before the minimum duration.
    TooBrief,
}

impl Reason {
    /// All reasons, in the order of [`Tally`].
    pub const ALL: [Self; 7] = [
        Self::LightChange,
        Self::Starting,
        Self::Inhibited,
        Self::Masked,
        Self::Shake,
        Self::BelowArea,
        Self::TooBrief,
    ];

    /// The word for it in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LightChange => "light_change",
            Self::Starting => "starting",
            Self::Inhibited => "inhibited",
            Self::Masked => "masked",
            Self::Shake => "shake",
            Self::BelowArea => "below_area",
            Self::TooBrief => "too_brief",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// How often each thing happened since the detector was made, in episodes, not pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Motions that began.
    pub motions: u32,
    held: [u32; Reason::ALL.len()],
}

impl Tally {
    /// How often this reason held motion back.
    #[must_use]
    pub fn held(&self, reason: Reason) -> u32 {
        self.held[reason.index()]
    }
}
