//! The SeetaFace cascade of the `rustface` crate: a permissive detector without a neural runtime.
//!
//! The cascade looks at grey pixels through a window of 40 pixels over a pyramid that starts at the size it is given (its
//! `set_min_face_size` does nothing in 0.1.7), so the picture is shrunk first to keep it quick.
//!
//! It gives boxes and no points, but an embedding needs points: guessed from the box they cost likeness (cosine 0.67 to 0.96 to the
//! properly aligned face, measured on portraits). So the cascade decides where faces are, and YuNet looks only at those small cuts to
//! find the points (0.93 to 0.97). Where it sees no face, the guess stays.
//!
//! Not here: which detector is used; see `vision::faces`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Detector, Error, Picture, YuNet, scale};
use crate::logic::faces::{Face, PixelRect};

/// The cascade's file, unchanged from the crate; `docs/third-party.md` names its origin.
pub(super) static FILE: &[u8] = include_bytes!("../../../models/seeta_fd_frontal_v1.0.bin");

/// The picture, or the region of it, is shrunk to this width: 480x270 takes some 20 ms, 1280x720 some 250.
const MAX_WIDTH: usize = 480;
/// The same for a tall region.
const MAX_HEIGHT: usize = 480;
/// The cascade's window; smaller pictures hold no face that it could find.
const WINDOW: usize = 40;
/// The cascade's own default threshold is 3.85; below 2 most boxes are no faces (`rustface`'s documentation names 2.8 and 4.5).
const LOWEST_SCORE: f64 = 2.0;

/// Where the five points of a face from the front lie in a box of this detector, as fractions of its width and height.
const POINTS: [[f32; 2]; 5] = [[0.30, 0.375], [0.70, 0.375], [0.5, 0.59], [0.325, 0.775], [0.675, 0.775]];

/// Around each side of a box so much of its size is shown to YuNet.
const MARGIN: f32 = 0.4;
/// Longest side of that cut in the network's input: the face is about 90 pixels wide in it, and a look costs a few milliseconds.
const CUT_SIDE: usize = 160;
/// A face that YuNet sees in the cut is the same one when the boxes overlap so much (intersection over union).
const SAME_FACE_OVERLAP: f32 = 0.3;

/// The detector.
pub struct Seeta {
    model: rustface::Model,
    points: YuNet,
}

impl Seeta {
    /// Loads the built-in cascade.
    ///
    /// # Errors
    /// Only when the program was built with a damaged file.
    pub fn load() -> Result<Seeta, super::BadModel> {
        let model = rustface::read_model(std::io::Cursor::new(FILE))
            .map_err(|_| super::BadModel("the cascade does not load"))?;
        Ok(Seeta { model, points: YuNet::load(CUT_SIDE)? })
    }
}

impl Detector for Seeta {
    fn detect(&mut self, picture: &Picture<'_>, region: Option<PixelRect>) -> Result<Vec<Face>, Error> {
        let Some(window) = picture.window(region) else { return Ok(Vec::new()) };
        let [left, top, width, height] = window;
        let ratio = (MAX_WIDTH as f32 / width as f32).min(MAX_HEIGHT as f32 / height as f32).min(1.0);
        let fit = |side: usize| ((side as f32 * ratio).round() as usize).clamp(1, side);
        let (small_width, small_height) = (fit(width), fit(height));
        if small_width < WINDOW || small_height < WINDOW {
            return Ok(Vec::new());
        }
        let mut grey = Vec::with_capacity(small_width * small_height);
        scale::shrink(picture, window, small_width, small_height, |_, row| {
            grey.extend(
                row.as_chunks::<3>()
                    .0
                    .iter()
                    .map(|[r, g, b]| (0.299 * r + 0.587 * g + 0.114 * b + 0.5) as u8),
            );
        });
        let (scale_x, scale_y) = (width as f32 / small_width as f32, height as f32 / small_height as f32);
        let mut faces = Vec::new();
        for info in self.run(&grey, small_width, small_height)? {
            let bbox = info.bbox();
            let rect = PixelRect {
                x: bbox.x() as f32 * scale_x + left as f32,
                y: bbox.y() as f32 * scale_y + top as f32,
                width: bbox.width() as f32 * scale_x,
                height: bbox.height() as f32 * scale_y,
            };
            faces.push(self.with_points(picture, rect, confidence(info.score()))?);
        }
        faces.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(faces)
    }
}

impl Seeta {
    fn run(&self, grey: &[u8], width: usize, height: usize) -> Result<Vec<rustface::FaceInfo>, Error> {
        // A fresh cascade for each picture (1 ms): it cannot be sent between threads, and after a panic its state is unknown.
        let model = self.model.clone();
        catch_unwind(AssertUnwindSafe(|| {
            let mut cascade = rustface::create_detector_with_model(model);
            cascade.set_score_thresh(LOWEST_SCORE);
            cascade.detect(&rustface::ImageData::new(grey, width as u32, height as u32))
        }))
        .map_err(|_| Error::Panicked)
    }

    /// The face with YuNet's box and points, which every limit of `logic::faces::quality` is meant for, or else with guessed ones.
    fn with_points(&mut self, picture: &Picture<'_>, rect: PixelRect, score: f32) -> Result<Face, Error> {
        let seen = self.points.detect(picture, Some(rect.grown(MARGIN)))?;
        let same = seen.iter().find(|face| face.rect.overlap(&rect) > SAME_FACE_OVERLAP);
        Ok(match same {
            Some(face) => Face { score, ..*face },
            None => {
                let points = POINTS.map(|[u, v]| [rect.x + u * rect.width, rect.y + v * rect.height]);
                Face { rect, score, points }
            }
        })
    }
}

/// The cascade's score as 0 to 1, so that the default limit of 0.7 falls on the cascade's own default of about 3.85.
fn confidence(score: f64) -> f32 {
    (score / (score + 1.65)).clamp(0.0, 1.0) as f32
}
