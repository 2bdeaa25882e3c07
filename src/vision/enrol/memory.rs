//! `embeddings.json`: what the models made of each photograph, so that a start does not look at all of them again.
//!
//! Everything in it can be made again from the photographs; a file that is damaged, or that other models wrote, is left aside.
//! Embeddings of different models mean different things and are never compared.
//! Not here: looking at photographs (see `examine`).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::examine::{LookOfFace, Seen};
use super::folder::Stamp;
use crate::atomic;
use crate::logic::faces::{EMBEDDING_LENGTH, Embedding, Refusal};

const VERSION: u32 = 1;
/// Only the user that runs the appliance may read it: a face can be recognised by it.
const FILE_MODE: u32 = 0o600;
/// A larger file is not ours: ten thousand photographs take some 10 MB.
const MAX_BYTES: u64 = 64 << 20;

/// One photograph that was looked at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Examined {
    pub(super) stamp: Stamp,
    /// SHA-256 of the file, hexadecimal: the same photograph under another name or date.
    pub(super) sha256: String,
    pub(super) outcome: Result<Seen, Refusal>,
}

/// The file.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    model: String,
}

#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    /// Checksum of the models.
    model: String,
    /// By path below the folder of faces.
    photos: BTreeMap<String, Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    bytes: u64,
    modified_ns: u64,
    sha256: String,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Face {
        /// 128 numbers of 32 bits, little-endian, as base64.
        embedding: String,
        /// Its length before it was normalised.
        norm: f32,
        #[serde(flatten)]
        look: LookOfFace,
    },
    Refused(Refusal),
}

impl Memory {
    /// The file in the folder of faces, for embeddings of these models.
    pub(super) fn new(root: &Path, model: String) -> Memory {
        Memory { path: root.join("embeddings.json"), model }
    }

    /// What is remembered; nothing where the file is missing, damaged or of other models, with a remark for the log.
    pub(super) fn load(&self) -> (BTreeMap<PathBuf, Examined>, Option<String>) {
        let nothing = |why: String| (BTreeMap::new(), Some(why));
        let bytes = match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (BTreeMap::new(), None),
            Ok(metadata) if metadata.len() > MAX_BYTES => return nothing("is too large to be ours".into()),
            Ok(_) | Err(_) => std::fs::read(&self.path),
        };
        let content: Content = match bytes
            .map_err(|error| error.to_string())
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()))
        {
            Ok(content) => content,
            Err(why) => return nothing(format!("cannot be read ({why})")),
        };
        if content.version != VERSION || content.model != self.model {
            return nothing("was made by other face models".into());
        }
        let photos = content.photos.into_iter();
        (photos.filter_map(|(path, entry)| Some((path.into(), examined(entry)?))).collect(), None)
    }

    /// Keeps what is known now.
    ///
    /// # Errors
    /// When the file cannot be written; the old one stands then.
    pub(super) fn save(&self, photos: &BTreeMap<PathBuf, Examined>) -> io::Result<()> {
        let photos =
            photos.iter().filter_map(|(path, examined)| Some((path.to_str()?.to_owned(), entry(examined))));
        let content = Content { version: VERSION, model: self.model.clone(), photos: photos.collect() };
        let mut bytes = serde_json::to_vec_pretty(&content).map_err(io::Error::other)?;
        bytes.push(b'\n');
        atomic::replace(&self.path, &bytes, FILE_MODE)
    }
}

fn entry(examined: &Examined) -> Entry {
    let outcome = match &examined.outcome {
        Ok(Seen { embedding, look }) => {
            let bytes: Vec<u8> = embedding.vector.iter().flat_map(|value| value.to_le_bytes()).collect();
            Outcome::Face { embedding: STANDARD.encode(bytes), norm: embedding.norm, look: *look }
        }
        Err(refusal) => Outcome::Refused(refusal.clone()),
    };
    let Stamp { bytes, modified_ns } = examined.stamp;
    Entry { bytes, modified_ns, sha256: examined.sha256.clone(), outcome }
}

/// `None` for an entry that makes no sense; its photograph is looked at again.
fn examined(entry: Entry) -> Option<Examined> {
    let outcome = match entry.outcome {
        Outcome::Face { embedding, norm, look } => {
            let bytes = STANDARD.decode(embedding).ok()?;
            let (values, rest) = bytes.as_chunks::<4>();
            let mut vector = [0.0; EMBEDDING_LENGTH];
            if values.len() != vector.len() || !rest.is_empty() {
                return None;
            }
            vector.iter_mut().zip(values).for_each(|(value, bytes)| *value = f32::from_le_bytes(*bytes));
            let length = vector.iter().map(|value| value * value).sum::<f32>();
            if !norm.is_finite() || (length - 1.0).abs() > 1e-3 {
                return None;
            }
            Ok(Seen { embedding: Embedding { vector, norm }, look })
        }
        Outcome::Refused(refusal) => Err(refusal),
    };
    let stamp = Stamp { bytes: entry.bytes, modified_ns: entry.modified_ns };
    Some(Examined { stamp, sha256: entry.sha256, outcome })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::checksum::sha256;

    fn some() -> BTreeMap<PathBuf, Examined> {
        let mut raw = [0.5; EMBEDDING_LENGTH];
        raw[7] = -3.25;
        let look =
            LookOfFace { px: 96.0, score: 0.91, sharpness: 0.8, yaw: -3.0, roll: 1.0, detail_across: 0.7 };
        let seen = Seen { embedding: Embedding::from_raw(&raw).unwrap(), look };
        let stamp = Stamp { bytes: 12, modified_ns: 34 };
        let examined = |outcome| Examined { stamp, sha256: sha256(b"x"), outcome };
        BTreeMap::from([
            ("Alice/1.jpg".into(), examined(Ok(seen))),
            ("Alice/2.jpg".into(), examined(Err(Refusal::SeveralFaces(3)))),
            ("Bob/Jürgen.png".into(), examined(Err(Refusal::NoFace))),
        ])
    }

    #[test]
    fn what_is_saved_is_read_back_and_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::new(folder.path(), "m1".into());
        assert_eq!(memory.load(), (BTreeMap::new(), None));
        memory.save(&some()).unwrap();
        assert_eq!(memory.load(), (some(), None));
        assert_eq!(std::fs::metadata(&memory.path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn other_models_and_damage_are_left_aside() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::new(folder.path(), "m1".into());
        memory.save(&some()).unwrap();
        let (photos, why) = Memory::new(folder.path(), "m2".into()).load();
        assert!(photos.is_empty() && why.unwrap().contains("other face models"));
        let whole = std::fs::read_to_string(&memory.path).unwrap();
        for (at, damage) in [(whole.len() / 2, ""), (0, ""), (1, "]")] {
            std::fs::write(&memory.path, format!("{}{damage}", &whole[..at])).unwrap();
            let (photos, why) = memory.load();
            assert!(photos.is_empty() && why.unwrap().contains("cannot be read"));
        }
        // One entry of nonsense costs only itself.
        std::fs::write(&memory.path, whole.replacen("\"embedding\": \"", "\"embedding\": \"AAAA", 1))
            .unwrap();
        assert_eq!(memory.load().0.len(), 2);
    }
}
