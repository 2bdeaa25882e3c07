//! What is on a photograph: one usable face with its embedding, or the reason why not.
//!
//! Not here: what the photograph is for, which decides how good it must be (see `household`).

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::jpeg;
use crate::logic::faces::decision::FaceView;
use crate::logic::faces::quality::{MIN_NORM, MIN_SCORE};
use crate::logic::faces::{Embedding, Face, PixelRect, Refusal};
use crate::logic::picture::Rect;
use crate::vision::model::{Detector, Picture, Recogniser, SecondOpinion};
use crate::vision::photo;

/// A photograph is shrunk to this many pixels on its longer side.
pub(in crate::vision) const PHOTO_SIDE: usize = 1280;
/// Around each side of a face that is cut out of a camera's picture stays so much of its size: the detector needs the whole head.
const CUT_MARGIN: f32 = 0.6;
/// JPEG quality of such a cut: it is small, and what it loses is lost for ever.
const CUT_QUALITY: u8 = 95;

/// The models that look at photographs.
pub struct Eyes<'a> {
    /// Finds faces on photographs.
    pub detector: &'a mut dyn Detector,
    /// Makes embeddings.
    pub recogniser: &'a mut Recogniser,
    /// Has to see a face too before it is taught, if there is one.
    pub second: Option<&'a SecondOpinion>,
}

/// A face on a photograph.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) embedding: Embedding,
    pub(super) look: LookOfFace,
}

impl Seen {
    /// The same as a decision has it, with no place in a picture.
    pub(super) fn view(&self) -> FaceView {
        let LookOfFace { px, score, sharpness, yaw, roll, .. } = self.look;
        FaceView { fractions: [0.0; 4], px, sharpness, yaw, roll, score, norm: self.embedding.norm }
    }
}

/// How a face looks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LookOfFace {
    /// Pixels of the photograph, shrunk to [`PHOTO_SIDE`].
    pub(super) px: f32,
    /// The detector's score, 0 to 1.
    pub(super) score: f32,
    /// 0 (a blur) to 1 (crisp).
    pub(super) sharpness: f32,
    /// Degrees.
    pub(super) yaw: f32,
    /// Degrees.
    pub(super) roll: f32,
    /// See [`crate::logic::faces::tracker::Answer::detail_across`].
    pub(super) detail_across: f32,
}

impl Eyes<'_> {
    /// The one face on a photograph in a file.
    pub(super) fn file(&mut self, path: &Path) -> Result<Seen, Refusal> {
        let photo = photo::open(path, PHOTO_SIDE).map_err(unreadable)?;
        let picture = photo.picture();
        let face = only_face(&self.faces(&picture)?)?;
        self.look(&picture, &face)
    }

    /// The one face on a photograph in memory, for teaching.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<Seen, Refusal> {
        let photo = photo::read(bytes, PHOTO_SIDE).map_err(unreadable)?;
        let picture = photo.picture();
        let face = only_face(&self.faces(&picture)?)?;
        let doubts = |second: &SecondOpinion| !second.confirms(&picture, &face).unwrap_or(true);
        if self.second.is_some_and(doubts) { Err(Refusal::NotConfirmed) } else { self.look(&picture, &face) }
    }

    /// Every face that counts, best score first.
    pub(super) fn faces(&mut self, picture: &Picture<'_>) -> Result<Vec<Face>, Refusal> {
        let mut faces = self.detector.detect(picture, None).map_err(unexamined)?;
        faces.retain(|face| face.score >= MIN_SCORE);
        Ok(faces)
    }

    /// A closer look at one face.
    pub(super) fn look(&mut self, picture: &Picture<'_>, face: &Face) -> Result<Seen, Refusal> {
        let answer = self.recogniser.embed(picture, face).map_err(unexamined)?;
        if answer.embedding.norm < MIN_NORM {
            return Err(Refusal::NoFace);
        }
        let look = LookOfFace {
            px: face.rect.width,
            score: face.score,
            sharpness: answer.sharpness,
            yaw: face.yaw_degrees(),
            roll: face.roll_degrees(),
            detail_across: answer.detail_across,
        };
        Ok(Seen { embedding: answer.embedding, look })
    }
}

/// The face of a picture that has just one.
///
/// # Errors
/// When there is none, or several.
pub(in crate::vision) fn only_face(faces: &[Face]) -> Result<Face, Refusal> {
    match *faces {
        [] => Err(Refusal::NoFace),
        [face] => Ok(face),
        _ => Err(Refusal::SeveralFaces(faces.len())),
    }
}

/// Cuts a face out of a camera's picture, as a JPEG of its own. `place` is the face; without it the picture has to show just one.
pub(super) fn cut_out(jpeg: &[u8], place: Option<Rect>, eyes: &mut Eyes<'_>) -> Result<Vec<u8>, Refusal> {
    let rgb = jpeg::decode_rgb(jpeg).map_err(|_| Refusal::Unreadable("cannot be read".into()))?;
    let damaged = || Refusal::Unreadable("has no pixels".into());
    let picture = Picture::new(rgb.width, rgb.height, &rgb.data).ok_or_else(damaged)?;
    let (width, height) = (rgb.width as f32, rgb.height as f32);
    let face = match place {
        Some(Rect { x, y, w, h }) => {
            PixelRect { x: x * width, y: y * height, width: w * width, height: h * height }
        }
        None => only_face(&eyes.faces(&picture)?)?.rect,
    };
    let cut = face.grown(CUT_MARGIN).inside(rgb.width, rgb.height);
    let (left, top) = (cut.x as usize, cut.y as usize);
    let (cut_width, cut_height) = (cut.width as usize, cut.height as usize);
    if cut_width == 0 || cut_height == 0 {
        return Err(Refusal::NoFace);
    }
    let mut pixels = Vec::with_capacity(3 * cut_width * cut_height);
    for row in top..top + cut_height {
        let start = 3 * (row * rgb.width + left);
        pixels.extend_from_slice(&rgb.data[start..start + 3 * cut_width]);
    }
    let jpeg = jpeg::encode_rgb(cut_width, cut_height, &pixels, CUT_QUALITY);
    Ok(jpeg.map_err(|_| damaged())?.to_vec())
}

fn unreadable(error: photo::Error) -> Refusal {
    Refusal::Unreadable(error.to_string())
}

fn unexamined(error: crate::vision::model::Error) -> Refusal {
    Refusal::Unreadable(format!("could not be examined ({error})"))
}
