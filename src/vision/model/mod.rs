//! The face models: finding faces in a picture (`Detector`) and turning a face into an embedding (`Recogniser`).
//!
//! Everything here speaks of pixels of the full picture, whatever a network saw of it.
//! The model files are part of the program; `docs/third-party.md` says where they come from.
//!
//! Not here: what an embedding means (see `logic::faces`), threads and frames (see `vision::faces`).

mod align;
mod onnx;
mod scale;
mod second;
mod seeta;
mod sface;
mod yunet;

pub use onnx::BadModel;
pub use second::SecondOpinion;
pub use seeta::Seeta;
pub use sface::Recogniser;
pub use yunet::YuNet;

use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use crate::logic::checksum::hex;
use crate::logic::faces::{Face, PixelRect};

/// A picture in memory: rows from top to bottom, three bytes (red, green, blue) for each pixel.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    width: usize,
    height: usize,
    rgb: &'a [u8],
}

impl<'a> Picture<'a> {
    /// `None` when the bytes do not fill exactly that size or the size is zero.
    pub fn new(width: usize, height: usize, rgb: &'a [u8]) -> Option<Picture<'a>> {
        let bytes = width.checked_mul(height)?.checked_mul(3)?;
        (bytes > 0 && bytes == rgb.len()).then_some(Picture { width, height, rgb })
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels, `3 * width * height` bytes.
    pub fn rgb(&self) -> &'a [u8] {
        self.rgb
    }

    /// Red, green and blue of one pixel; the caller keeps `x` and `y` inside the picture.
    fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = 3 * (y * self.width + x);
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }

    /// `region` rounded outwards to whole pixels and cut at the edges; the whole picture without a region.
    ///
    /// The result is `[x, y, width, height]`, or `None` when nothing of the region is inside.
    fn window(&self, region: Option<PixelRect>) -> Option<[usize; 4]> {
        let Some(region) = region else { return Some([0, 0, self.width, self.height]) };
        let cut = region.inside(self.width, self.height);
        let (x, y) = (cut.x.floor() as usize, cut.y.floor() as usize);
        let right = ((cut.x + cut.width).ceil() as usize).min(self.width);
        let bottom = ((cut.y + cut.height).ceil() as usize).min(self.height);
        (right > x && bottom > y).then(|| [x, y, right - x, bottom - y])
    }
}

/// Why a model gave no answer for a picture. None of these is the fault of the picture's owner; they are counted and logged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The runtime refused the input or failed inside.
    #[error("face model: {0}")]
    Runtime(String),
    /// The detector panicked; it was rebuilt and goes on with the next picture.
    #[error("the face detector panicked on a picture")]
    Panicked,
    /// The face gave no embedding: its points coincide or the network's answer has no direction.
    #[error("the face has no usable shape")]
    NoShape,
}

/// SHA-256 of everything that makes an embedding what it is: embeddings with another one cannot be compared.
pub fn checksum() -> String {
    let mut digest = Sha256::new();
    for part in [yunet::FILE, sface::FILE] {
        digest.update(part);
    }
    hex(&digest.finalize())
}

/// Finds faces. A real seam: YuNet through `rten`, or the cascade of `rustface`.
pub trait Detector: Send {
    /// The faces of `picture`, or of that part of it, best score first, in pixels of the full picture.
    ///
    /// # Errors
    /// When the model failed; the next picture may well work.
    fn detect(&mut self, picture: &Picture<'_>, region: Option<PixelRect>) -> Result<Vec<Face>, Error>;
}

/// Keeps the best of each group of boxes that overlap by more than `limit` (intersection over union); best score first.
fn keep_best(mut faces: Vec<Face>, limit: f32) -> Vec<Face> {
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Face> = Vec::new();
    for face in faces {
        if kept.iter().all(|better| better.rect.overlap(&face.rect) <= limit) {
            kept.push(face);
        }
    }
    kept
}

/// One worker thread for both networks: faces come one at a time, and the other cores belong to the cameras and the viewers.
fn one_thread() -> rten::RunOptions {
    static WORKER: OnceLock<Arc<rten::ThreadPool>> = OnceLock::new();
    let worker = WORKER.get_or_init(|| Arc::new(rten::ThreadPool::with_num_threads(1)));
    let mut options = rten::RunOptions::default();
    options.thread_pool = Some(Arc::clone(worker));
    options
}

/// The operators that the two networks use; naming them keeps some hundred others out of the program.
fn operators() -> rten::OpRegistry {
    rten::op_registry!(
        Add,
        BatchNormalization,
        Conv,
        MaxPool,
        Mul,
        PRelu,
        Relu,
        Reshape,
        Resize,
        Sigmoid,
        Sub,
        Transpose
    )
}

#[cfg(test)]
mod tests;
