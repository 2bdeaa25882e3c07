//! People from photographs: reads `faces/<Name>/*.jpg`, again whenever a file there changes.
//!
//! Directories are polled, which works on every file system, network shares included. A photograph that cannot be used is refused with a
//! sentence and the rest goes on.
//!
//! Not here: the thread that polls (see `app`), and what a gallery is used for (see `logic::faces`).

mod folder;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::model::{Detector, Recogniser};
use super::photo;
use crate::logic::faces::gallery::Person;
use crate::logic::faces::quality::{CLEAR_NORM, MIN_SCORE};
use crate::logic::faces::{Embedding, Face, Gallery, PersonId, cosine};
use folder::{Folder, Stamp};

/// Time between two polls that notices a photograph soon and costs nothing worth naming.
pub const POLL_EVERY: Duration = Duration::from_secs(2);
/// A photograph is shrunk to this many pixels on its longer side.
pub(super) const PHOTO_SIDE: usize = 1280;
/// A face must be so many pixels wide in it.
const MIN_WIDTH: f32 = 80.0;
/// Photographs more alike than this are copies of one.
pub(super) const COPY: f32 = 0.95;
/// A photograph less like the others of its person than this shows somebody else.
const OUTLIER: f32 = 0.30;
/// Two people more alike than this may be taken for each other (sisters have 0.31 to 0.43, twins 0.54 to 0.79).
const ALIKE: f32 = 0.40;
/// Photographs read in one poll at most, so that the caller can stop in time.
const PHOTOS_PER_POLL: usize = 20;

/// A sentence about a photograph, a folder or two people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The file or folder, relative to the folder of faces.
    pub path: String,
    /// What is the matter and what to do.
    pub sentence: String,
}

/// What a poll found.
#[derive(Clone, Debug)]
pub struct Update {
    /// Everybody who can be recognised now.
    pub gallery: Arc<Gallery>,
    /// Photographs and folders that do not count.
    pub refusals: Vec<Remark>,
    /// What is worth knowing about those that count.
    pub notes: Vec<Remark>,
    /// Photographs were left for the next poll, which should follow at once.
    pub unfinished: bool,
}

/// Watches a folder of faces.
#[derive(Debug)]
pub struct Enroller {
    root: PathBuf,
    photos: BTreeMap<PathBuf, Examined>,
    folder: Folder,
    first: bool,
}

#[derive(Debug)]
struct Examined {
    stamp: Stamp,
    outcome: Result<Embedding, String>,
}

impl Enroller {
    /// Watches `root`, which need not exist yet.
    pub fn new(root: PathBuf) -> Enroller {
        Enroller { root, photos: BTreeMap::new(), folder: Folder::default(), first: true }
    }

    /// Looks at the folder; `None` when nothing changed since the last time.
    pub fn poll(&mut self, detector: &mut dyn Detector, recogniser: &mut Recogniser) -> Option<Update> {
        let folder = Folder::read(&self.root);
        // A folder that cannot be read just now (a network share, say) must not make everybody a stranger.
        let folder = if folder.is_unreadable {
            Folder { photos: self.folder.photos.clone(), ..folder }
        } else {
            folder
        };
        if !self.first && folder == self.folder && folder.photos.iter().all(|photo| self.is_examined(photo)) {
            return None;
        }
        self.first = false;
        self.folder = folder;
        let wanted = &self.folder.photos;
        self.photos.retain(|path, _| wanted.iter().any(|photo| photo.path == *path));
        let mut left = PHOTOS_PER_POLL;
        for photo in &self.folder.photos {
            let known = self.photos.get(&photo.path).is_some_and(|examined| examined.stamp == photo.stamp);
            if known || left == 0 {
                continue;
            }
            left -= 1;
            let outcome = examine(&self.root.join(&photo.path), detector, recogniser);
            self.photos.insert(photo.path.clone(), Examined { stamp: photo.stamp, outcome });
        }
        Some(self.update())
    }

    fn is_examined(&self, photo: &folder::PhotoFile) -> bool {
        self.photos.get(&photo.path).is_some_and(|examined| examined.stamp == photo.stamp)
    }

    fn update(&self) -> Update {
        let unfinished = !self.folder.photos.iter().all(|photo| self.is_examined(photo));
        let mut refusals = self.folder.refusals.clone();
        let mut notes = Vec::new();
        let mut people = Vec::new();
        for (id, paths) in self.folder.people() {
            let mut good = Vec::new();
            for path in paths {
                match self.photos.get(path).map(|examined| &examined.outcome) {
                    Some(Ok(embedding)) => good.push((path, embedding)),
                    Some(Err(sentence)) => refusals.push(remark(path, sentence.clone())),
                    None => {}
                }
            }
            people.extend(person(id, good, &mut refusals, &mut notes));
        }
        note_alike(&people, &mut notes);
        Update { gallery: Arc::new(Gallery::new(people)), refusals, notes, unfinished }
    }
}

fn remark(path: &Path, sentence: String) -> Remark {
    Remark { path: path.display().to_string(), sentence }
}

/// The embedding of the one face on a photograph, or why there is none.
fn examine(
    path: &Path,
    detector: &mut dyn Detector,
    recogniser: &mut Recogniser,
) -> Result<Embedding, String> {
    let photo = photo::open(path, PHOTO_SIDE)
        .map_err(|error| format!("The photo {error}; save it again as JPEG or take another one."))?;
    let failed = |error| format!("The photo could not be examined ({error}); take another one.");
    let mut faces = detector.detect(&photo.picture(), None).map_err(failed)?;
    faces.retain(|face| face.score >= MIN_SCORE);
    let face = only_face(&faces)?;
    let look = recogniser.embed(&photo.picture(), &face).map_err(failed)?;
    if !is_clear(&look.embedding) {
        return Err("The face is too blurred or covered; take a sharper photo in good light.".into());
    }
    Ok(look.embedding)
}

/// The one face of a photograph, large enough to be enrolled.
///
/// # Errors
/// A sentence for the person who took the photograph.
pub(super) fn only_face(faces: &[Face]) -> Result<Face, String> {
    let face = match *faces {
        [] => {
            return Err(
                "The photo shows no face that can be found; take one from the front, in good light.".into()
            );
        }
        [face] => face,
        _ => {
            return Err(format!(
                "The photo shows {} faces; cut it so that only this person is on it.",
                faces.len()
            ));
        }
    };
    if face.rect.width < MIN_WIDTH {
        return Err(format!(
            "The face is {:.0} pixels wide when the photo is {PHOTO_SIDE} pixels large, and at least {MIN_WIDTH} are needed; \
             cut the photo to the head and shoulders or take one from nearer.",
            face.rect.width
        ));
    }
    Ok(face)
}

/// Whether the recogniser saw enough of the face for it to be enrolled.
pub(super) fn is_clear(embedding: &Embedding) -> bool {
    embedding.norm >= CLEAR_NORM
}

/// A person from usable photographs by the rules of the folder of faces: copies count once, and photographs of somebody else do not.
pub(super) fn template(id: PersonId, photos: &[(&PathBuf, &Embedding)]) -> Option<Person> {
    person(id, photos.to_vec(), &mut Vec::new(), &mut Vec::new())
}

/// A person from their usable photographs, without copies and without photographs of somebody else.
fn person(
    id: PersonId,
    photos: Vec<(&PathBuf, &Embedding)>,
    refusals: &mut Vec<Remark>,
    notes: &mut Vec<Remark>,
) -> Option<Person> {
    let mut kept: Vec<(&PathBuf, &Embedding)> = Vec::new();
    for (path, embedding) in photos {
        match kept.iter().find(|(_, other)| cosine(&other.vector, &embedding.vector) > COPY) {
            Some((copy, _)) => {
                let file = copy.file_name().unwrap_or_default().display();
                let sentence = format!(
                    "The photo is almost the same as {file} and adds nothing; another angle or light would."
                );
                notes.push(remark(path, sentence));
            }
            None => kept.push((path, embedding)),
        }
    }
    // With two photographs that differ, nobody can say which one is wrong.
    let is_outlier = |i: usize| {
        let others = kept.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, (_, e))| (*e).clone());
        let others = Person::from_photos(id.clone(), &others.collect::<Vec<_>>());
        kept.len() > 2 && others.is_some_and(|others| others.likeness(&kept[i].1.vector) < OUTLIER)
    };
    let outliers: Vec<bool> = (0..kept.len()).map(is_outlier).collect();
    let mut good = Vec::new();
    for ((path, embedding), is_outlier) in kept.iter().zip(outliers) {
        if is_outlier {
            let sentence =
                format!("The photo does not look like the others of {}; is it the right person?", id.name);
            refusals.push(remark(path, sentence));
        } else {
            good.push((*embedding).clone());
        }
    }
    Person::from_photos(id, &good)
}

fn note_alike(people: &[Person], notes: &mut Vec<Remark>) {
    for (i, one) in people.iter().enumerate() {
        for other in &people[..i] {
            let likeness = one.likeness(other.template());
            if likeness > ALIKE {
                let sentence = format!(
                    "{} and {} look alike to the recogniser ({likeness:.2}); they may be told as unsure, or one as the other. \
                     More photos of both may help.",
                    other.id.name, one.id.name
                );
                notes.push(Remark { path: one.id.name.to_string(), sentence });
            }
        }
    }
}

#[cfg(test)]
mod tests;
