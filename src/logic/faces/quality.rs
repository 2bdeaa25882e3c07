//! Which faces are good enough for what: for a name, for "unknown", or for nothing but a doubt.
//!
//! The numbers were measured with YuNet and SFace on 126 faces of 32 people and on boxes that hold no face.
//!
//! Not here: whose face it is (see `gallery`).

use super::face::Face;

/// Narrower faces, in pixels of the full picture, get no name: below 40 pixels SFace misses its owner twice as often.
pub const MIN_WIDTH: f32 = 40.0;
/// Faces narrower than this share of the limit (32 of 40 pixels) are not looked at; between, they only count as a doubt.
const DOUBTFUL_SHARE: f32 = 0.8;
/// Detector's score from which a box is taken for a face: YuNet then finds all faces of the test set with 3 false boxes in 123 pictures.
pub const MIN_SCORE: f32 = 0.7;
/// A head tilted by more degrees matches markedly worse (at 20 degrees a fifth misses the limit for a name).
pub const MAX_ROLL_DEGREES: f32 = 20.0;
/// A nose farther from the middle of the eyes, in eye distances, is a profile.
pub const MAX_NOSE_OFFSET: f32 = 0.4;
/// Embeddings shorter than this come from boxes without a face: 95 % of those are below 5.9, clear faces are above 10.7.
pub const MIN_NORM: f32 = 7.0;
/// Below this the face is too blurred to be enrolled or to be called unknown; strong blur gives 8 to 10.
pub const CLEAR_NORM: f32 = 10.0;
/// With less detail across the face than this, in units of that up and down, it moved while the shutter was open: by an eighth of its
/// width or more. A face that moved by a fifth is no longer like its owner (below 0.44 of 18 except 1), with an embedding as long as ever.
pub const MIN_DETAIL_ACROSS: f32 = 0.35;
/// The cut for the recogniser is 112 pixels wide; a wider face gains nothing.
const ENOUGH_WIDTH: f32 = 112.0;

/// What keeps a face from being good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// The detector is not sure that it is a face.
    LowScore,
    /// Too few pixels.
    TooSmall,
    /// The head is tilted to a shoulder.
    Tilted,
    /// The head is turned away.
    Turned,
    /// The recogniser sees no face in it.
    NoFace,
    /// Too blurred to tell who it is not.
    Blurred,
    /// A second detector sees no face there.
    NotConfirmed,
    /// It is where faces do not count: in a mask, or outside of all regions.
    Masked,
    /// It hangs where a face was while nothing moved: a picture on a wall.
    Still,
}

impl Flaw {
    /// The word in records and interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Flaw::LowScore => "low_score",
            Flaw::TooSmall => "too_small",
            Flaw::Tilted => "tilted",
            Flaw::Turned => "turned",
            Flaw::NoFace => "no_face",
            Flaw::Blurred => "blurred",
            Flaw::NotConfirmed => "not_confirmed",
            Flaw::Masked => "masked",
            Flaw::Still => "still",
        }
    }
}

/// What one look at a face is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// For a name and for "unknown".
    Clear,
    /// For a name, but not for "unknown".
    Fair(Flaw),
    /// Only for the statement that somebody was there.
    Doubtful(Flaw),
    /// For nothing.
    Useless(Flaw),
}

/// The limits that a person may set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Width in pixels of the full picture from which a face may be named, see [`MIN_WIDTH`].
    pub min_width: f32,
    /// Detector's score from which a box is taken for a face, 0 to 1, see [`MIN_SCORE`].
    pub min_score: f32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { min_width: MIN_WIDTH, min_score: MIN_SCORE }
    }
}

impl Limits {
    /// What the face can be worth at best, before the recogniser has looked at it.
    pub fn grade(&self, face: &Face) -> Grade {
        let width = face.rect.width;
        if face.score.is_nan() || face.score < self.min_score {
            Grade::Useless(Flaw::LowScore)
        } else if width.is_nan() || width < self.min_width * DOUBTFUL_SHARE {
            Grade::Useless(Flaw::TooSmall)
        } else if width < self.min_width {
            Grade::Doubtful(Flaw::TooSmall)
        } else if face.roll_degrees().abs() > MAX_ROLL_DEGREES {
            Grade::Doubtful(Flaw::Tilted)
        } else if face.nose_offset().abs() > MAX_NOSE_OFFSET {
            Grade::Doubtful(Flaw::Turned)
        } else {
            Grade::Clear
        }
    }

    /// What it is worth once the recogniser has looked: `norm` is the length of its embedding, `detail_across` says whether it moved.
    pub fn grade_with(&self, face: &Face, norm: f32, detail_across: f32) -> Grade {
        match self.grade(face) {
            useless @ Grade::Useless(_) => useless,
            _ if norm.is_nan() || norm < MIN_NORM => Grade::Useless(Flaw::NoFace),
            Grade::Clear if norm < CLEAR_NORM || detail_across < MIN_DETAIL_ACROSS => {
                Grade::Fair(Flaw::Blurred)
            }
            grade @ (Grade::Clear | Grade::Fair(_) | Grade::Doubtful(_)) => grade,
        }
    }
}

/// How promising a face is, 0 to about 1, to choose the best of a track: size, the detector's score and a straight look.
pub fn promise(face: &Face) -> f32 {
    let size = face.rect.width.min(ENOUGH_WIDTH) / ENOUGH_WIDTH;
    let straight = 1.0 - face.nose_offset().abs().min(1.0) / 2.0;
    size * face.score * straight
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::faces::PixelRect;

    fn face(width: f32, score: f32, roll: f32, nose: f32) -> Face {
        let (sin, cos) = roll.to_radians().sin_cos();
        let at = |x: f32, y: f32| [x * cos - y * sin, x * sin + y * cos];
        let points =
            [at(0.0, 0.0), at(40.0, 0.0), at(20.0 + 40.0 * nose, 20.0), at(5.0, 40.0), at(35.0, 40.0)];
        Face { rect: PixelRect { x: 0.0, y: 0.0, width, height: width * 1.2 }, score, points }
    }

    #[test]
    fn each_limit_has_its_reason() {
        let limits = Limits::default();
        for (face, norm, wanted) in [
            (face(80.0, 0.9, 0.0, 0.0), 12.0, Grade::Clear),
            (face(40.0, 0.7, 19.0, 0.39), 10.0, Grade::Clear),
            (face(80.0, 0.69, 0.0, 0.0), 12.0, Grade::Useless(Flaw::LowScore)),
            (face(80.0, f32::NAN, 0.0, 0.0), 12.0, Grade::Useless(Flaw::LowScore)),
            (face(31.9, 0.9, 0.0, 0.0), 12.0, Grade::Useless(Flaw::TooSmall)),
            (face(32.0, 0.9, 0.0, 0.0), 12.0, Grade::Doubtful(Flaw::TooSmall)),
            (face(39.9, 0.9, 0.0, 0.0), 12.0, Grade::Doubtful(Flaw::TooSmall)),
            (face(80.0, 0.9, -21.0, 0.0), 12.0, Grade::Doubtful(Flaw::Tilted)),
            (face(80.0, 0.9, 0.0, -0.41), 12.0, Grade::Doubtful(Flaw::Turned)),
            (face(80.0, 0.9, 0.0, 0.0), 9.9, Grade::Fair(Flaw::Blurred)),
            (face(80.0, 0.9, 0.0, 0.0), 6.9, Grade::Useless(Flaw::NoFace)),
            (face(35.0, 0.9, 0.0, 0.0), 6.9, Grade::Useless(Flaw::NoFace)),
            (face(80.0, 0.9, 0.0, 0.0), f32::NAN, Grade::Useless(Flaw::NoFace)),
        ] {
            assert_eq!(limits.grade_with(&face, norm, 0.7), wanted, "{face:?} with norm {norm}");
        }
        assert_eq!(limits.grade_with(&face(80.0, 0.9, 0.0, 0.0), 12.0, 0.34), Grade::Fair(Flaw::Blurred));
        let strict = Limits { min_width: 100.0, min_score: 0.95 };
        assert_eq!(strict.grade(&face(99.0, 0.96, 0.0, 0.0)), Grade::Doubtful(Flaw::TooSmall));
        assert_eq!(strict.grade(&face(120.0, 0.94, 0.0, 0.0)), Grade::Useless(Flaw::LowScore));
    }

    #[test]
    fn a_larger_straighter_face_promises_more() {
        let plain = promise(&face(60.0, 0.9, 0.0, 0.0));
        assert!(promise(&face(80.0, 0.9, 0.0, 0.0)) > plain);
        assert!(promise(&face(60.0, 0.9, 0.0, 0.3)) < plain);
        assert_eq!(promise(&face(112.0, 0.9, 0.0, 0.0)), promise(&face(400.0, 0.9, 0.0, 0.0)));
    }
}
