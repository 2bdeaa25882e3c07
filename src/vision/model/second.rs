//! A second opinion on one face: the SeetaFace cascade looks at the cut around a box of the first detector.
//!
//! The cascade finds little by itself (see `seeta`), but what it takes for a face is independent of what YuNet does: it was trained on
//! other pictures, sees no colour, and gives each face more than enough pixels, because the cut is levelled and scaled.
//!
//! It is asked where somebody wants it (`faces.second_opinion`): before a face is called unknown or taught. `docs/evaluation.md` has the
//! figures, and why it is off by default.
//!
//! Not here: those measurements (see `vision::eval`).

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::align::{Similarity, bilinear};
use super::{BadModel, Error, Picture, seeta};
use crate::logic::faces::{Face, PixelRect};

/// Around the 112 pixels that the recogniser gets, so many more are shown on each side; the face is some 85 pixels wide in it.
const MARGIN: usize = 44;
const SIDE: usize = 112 + 2 * MARGIN;
/// The cascade's answer counts when it shares so much with the box (intersection over union).
const SAME_FACE_OVERLAP: f32 = 0.3;
/// Score from which a box is confirmed: real faces on photographs had 10 and more, drawn ones often less (`docs/evaluation.md`).
const CONFIRMED: f64 = 8.0;
/// Samples along each side of a pixel at most, where a large face is made smaller.
const MAX_SAMPLES: usize = 6;

/// The cascade, to be asked about single faces.
pub struct SecondOpinion {
    model: rustface::Model,
}

impl SecondOpinion {
    /// Loads the built-in cascade.
    ///
    /// # Errors
    /// Only when the program was built with a damaged file.
    pub fn load() -> Result<SecondOpinion, BadModel> {
        let model = rustface::read_model(std::io::Cursor::new(seeta::FILE))
            .map_err(|_| BadModel("the cascade does not load"))?;
        Ok(SecondOpinion { model })
    }

    /// Whether the cascade sees a face here too.
    ///
    /// # Errors
    /// When the cascade panicked on the cut.
    pub fn confirms(&self, picture: &Picture<'_>, face: &Face) -> Result<bool, Error> {
        Ok(self.score(picture, face)? >= CONFIRMED)
    }

    /// The cascade's score of this face; 0 when it sees none. The cut is levelled by the face's points, because the cascade knows
    /// upright faces only.
    ///
    /// # Errors
    /// When the cascade panicked on the cut.
    fn score(&self, picture: &Picture<'_>, face: &Face) -> Result<f64, Error> {
        let Some(transform) = Similarity::to_points(&face.points) else { return Ok(0.0) };
        let cut = grey(picture, &transform);
        let [x, y] = transform.invert(face.rect.centre()).map(|v| v + MARGIN as f32);
        let (width, height) = (face.rect.width / transform.scale(), face.rect.height / transform.scale());
        let wanted = PixelRect { x: x - width / 2.0, y: y - height / 2.0, width, height };
        // A fresh cascade for each face (1 ms): it cannot be sent between threads, and after a panic its state is unknown.
        let model = self.model.clone();
        let found = catch_unwind(AssertUnwindSafe(|| {
            let mut cascade = rustface::create_detector_with_model(model);
            cascade.set_score_thresh(CONFIRMED);
            cascade.detect(&rustface::ImageData::new(&cut, SIDE as u32, SIDE as u32))
        }))
        .map_err(|_| Error::Panicked)?;
        let same = found.iter().filter(|info| {
            let bbox = info.bbox();
            let rect = PixelRect {
                x: bbox.x() as f32,
                y: bbox.y() as f32,
                width: bbox.width() as f32,
                height: bbox.height() as f32,
            };
            rect.overlap(&wanted) >= SAME_FACE_OVERLAP
        });
        Ok(same.map(rustface::FaceInfo::score).fold(0.0, f64::max))
    }
}

/// The cut as brightness; where one of its pixels covers several of the picture, their mean.
fn grey(picture: &Picture<'_>, transform: &Similarity) -> Vec<u8> {
    let n = (transform.scale().ceil() as usize).clamp(1, MAX_SAMPLES);
    let mut cut = Vec::with_capacity(SIDE * SIDE);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let mut sum = 0.0;
            for sample in 0..n * n {
                let [u, v] = [(x, sample % n), (y, sample / n)]
                    .map(|(at, part)| at as f32 - MARGIN as f32 + (part as f32 + 0.5) / n as f32 - 0.5);
                let [px, py] = transform.apply(u, v);
                let [red, green, blue] = bilinear(picture, px, py);
                sum += 0.299 * red + 0.587 * green + 0.114 * blue;
            }
            cut.push((sum / (n * n) as f32 + 0.5) as u8);
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::model::{Detector, YuNet};
    use crate::vision::photo;

    #[test]
    fn real_faces_are_confirmed_and_other_places_are_not() {
        let (second, mut yunet) = (SecondOpinion::load().unwrap(), YuNet::load(640).unwrap());
        for file in ["known/obama/3.jpg", "single/biden.jpg", "known/ardern/2.jpg"] {
            let path = format!("{}/tests/data/faces/{file}", env!("CARGO_MANIFEST_DIR"));
            let photo = photo::open(path.as_ref(), 1280).unwrap();
            let face = yunet.detect(&photo.picture(), None).unwrap()[0];
            assert!(second.confirms(&photo.picture(), &face).unwrap(), "{file}");
            let moved = |[x, y]: [f32; 2]| [x + 1.2 * face.rect.width, y + 1.5 * face.rect.height];
            let [x, y] = moved([face.rect.x, face.rect.y]);
            let beside =
                Face { rect: PixelRect { x, y, ..face.rect }, points: face.points.map(moved), ..face };
            assert!(!second.confirms(&photo.picture(), &beside).unwrap(), "{file}, beside the face");
        }
        let shapeless = Face { rect: PixelRect::default(), score: 1.0, points: [[5.0, 5.0]; 5] };
        let rgb = [90; 3 * 64 * 64];
        assert!(!second.confirms(&Picture::new(64, 64, &rgb).unwrap(), &shapeless).unwrap());
    }
}
