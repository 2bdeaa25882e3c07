//! Why a photograph does not count for a person, in the words of whoever took it.
//!
//! Not here: looking at photographs (see `vision::enrol`).

use serde::{Deserialize, Serialize};

use super::quality::CLEAR_NORM;

/// What is the matter with a photograph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It cannot be read as a picture; the reason follows "The photo".
    Unreadable(String),
    /// No face was found.
    NoFace,
    /// More than one face, and nobody knows who is meant.
    SeveralFaces(usize),
    /// The face has too few pixels.
    TooSmall {
        /// Width of the face in pixels of the photograph as it is looked at.
        px: f32,
        /// Width that is needed.
        needed: f32,
    },
    /// The recogniser does not see enough of a face.
    Blurred {
        /// Length of the embedding.
        norm: f32,
    },
    /// A second detector sees no face there.
    NotConfirmed,
    /// The same look is there already.
    Copy {
        /// The photograph that shows it.
        of: String,
    },
    /// It shows somebody else who is enrolled.
    LooksLike {
        /// Display name.
        name: String,
        /// Cosine with that person.
        likeness: f32,
    },
    /// It does not look like the other photographs of its person.
    Unlike {
        /// Display name.
        name: String,
        /// Cosine with the others.
        likeness: f32,
    },
}

impl Refusal {
    /// The stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Unreadable(_) => "unreadable",
            Refusal::NoFace => "no_face",
            Refusal::SeveralFaces(_) => "several_faces",
            Refusal::TooSmall { .. } => "too_small",
            Refusal::Blurred { .. } => "blurred",
            Refusal::NotConfirmed => "not_confirmed",
            Refusal::Copy { .. } => "copy",
            Refusal::LooksLike { .. } => "looks_like",
            Refusal::Unlike { .. } => "unlike",
        }
    }

    /// What is the matter and what to do, in a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Refusal::Unreadable(reason) => {
                format!("The photo {reason}; save it again as JPEG or take another one.")
            }
            Refusal::NoFace => {
                "The photo shows no face that can be found; take one from the front, in good light.".into()
            }
            Refusal::SeveralFaces(n) => {
                format!("The photo shows {n} faces; cut it so that only this person is on it.")
            }
            Refusal::TooSmall { px, needed } => format!(
                "The face is {px:.0} pixels wide, and at least {needed:.0} are needed; cut the photo to head and shoulders or \
                 take one from nearer."
            ),
            Refusal::Blurred { norm } => format!(
                "The face is too blurred or covered (its embedding has length {norm:.1}, and {CLEAR_NORM:.0} is needed); take a \
                 sharper photo in good light."
            ),
            Refusal::NotConfirmed => {
                "The second opinion sees no face there; take a photo from the front, or switch \
                                      faces.second_opinion off."
                    .into()
            }
            Refusal::Copy { of } => {
                format!(
                    "The photo is almost the same as {of} and adds nothing; another angle or light would."
                )
            }
            Refusal::LooksLike { name, likeness } => format!(
                "The face looks like {name} ({likeness:.2}). If it is somebody else all the same, ask again with \"force\": true; \
                 the two may then be told as unsure."
            ),
            Refusal::Unlike { name, likeness } => {
                format!(
                    "The photo does not look like the others of {name} ({likeness:.2}); is it the right person?"
                )
            }
        }
    }
}
