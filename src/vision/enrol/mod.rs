//! The household on disk: reads `faces/<Name>/*.jpg`, again whenever a file there changes, and carries out what people teach.
//!
//! Directories are polled, which works on every file system, network shares included. A photograph that cannot be used is refused with a
//! sentence and the rest goes on.
//!
//! Not here: the thread that polls (see `app`), and what a gallery is used for (see `logic::faces`).

mod examine;
mod folder;
mod household;
mod memory;
mod report;
mod training;
mod unknown;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::model;
use crate::logic::checksum::sha256;
use crate::logic::faces::{Gallery, SelfTest};
pub use examine::Eyes;
pub(super) use examine::only_face;
use folder::{Folder, PhotoFile};
pub(super) use household::MIN_WIDTH;
use memory::{Examined, Memory};
pub use training::Taught;
pub use unknown::Grouped;

/// New photographs are looked at for so long in one poll, so that faces in front of a camera do not wait: one or two of them.
const POLL_FOR: Duration = Duration::from_millis(150);
/// During a long import people hear of it so often.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// During a long import what is known is saved after so many photographs, or when a quarter of them is new.
const SAVE_AFTER: usize = 200;

/// Who else may want to read the folder of faces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It is ours alone: everything in it is made private.
    Ours,
    /// The user chose it, perhaps to share it: only what we write is private.
    Shared,
}

/// A sentence about a photograph, a folder or two people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The file or folder, relative to the folder of faces.
    pub path: String,
    /// What is the matter and what to do.
    pub sentence: String,
}

/// A group of faces without a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its number, never used again.
    pub number: u32,
    /// Photographs of it.
    pub n_photos: usize,
}

/// Everybody.
#[derive(Clone, Debug, Default)]
pub struct Household {
    /// Everybody who can be recognised now.
    pub gallery: Arc<Gallery>,
    /// How well they can be told apart.
    pub self_test: Arc<SelfTest>,
    /// Faces that nobody has named yet.
    pub unknown: Vec<Group>,
    /// Faces of which nobody wants to hear.
    pub ignored: Vec<Group>,
    /// Photographs and folders that do not count.
    pub refusals: Vec<Remark>,
    /// What is worth knowing about those that count.
    pub notes: Vec<Remark>,
    /// Photographs that were not looked at yet.
    pub n_left: usize,
    /// The folder is there but cannot be listed, so nobody knows who lives here.
    pub is_unreadable: bool,
}

/// Keeps the folder of faces and what is known about it.
#[derive(Debug)]
pub struct Enroller {
    root: PathBuf,
    owner: Owner,
    memory: Memory,
    photos: BTreeMap<PathBuf, Examined>,
    /// Entries of `photos` that are not saved yet.
    n_unsaved: usize,
    folder: Folder,
    gallery: Arc<Gallery>,
    self_test: Arc<SelfTest>,
    first: bool,
    /// The folder has changed and nobody was told.
    is_untold: bool,
    told_at: Option<Instant>,
    /// The number of the next group of faces.
    next_group: u32,
    /// Why the memory file was not used, until the first poll tells it.
    warning: Option<String>,
}

impl Enroller {
    /// Watches `root`, which need not exist yet.
    pub fn new(root: PathBuf, owner: Owner) -> Enroller {
        let memory = Memory::new(&root, model::checksum());
        let (photos, warning) = memory.load();
        Enroller {
            root,
            owner,
            memory,
            photos,
            n_unsaved: 0,
            folder: Folder::default(),
            gallery: Arc::default(),
            self_test: Arc::default(),
            first: true,
            is_untold: false,
            told_at: None,
            next_group: 1,
            warning,
        }
    }

    /// Looks at the folder for a moment; `None` when there is nothing to tell.
    pub fn poll(&mut self, eyes: &mut Eyes<'_>) -> Option<Household> {
        let folder = Folder::read(&self.root);
        // A folder that cannot be read just now (a network share, say) must not make everybody a stranger.
        let folder = if folder.is_unreadable {
            let Folder { photos, people, .. } = std::mem::take(&mut self.folder);
            Folder { photos, people, ..folder }
        } else {
            folder
        };
        let is_known = folder == self.folder && !self.is_untold;
        if !self.first && is_known && self.n_left() == 0 {
            return None;
        }
        if std::mem::take(&mut self.first) {
            unknown::clear_leftovers(&self.root);
        }
        self.folder = folder;
        self.examine_new(eyes);
        let is_due = self.told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY);
        (self.n_left() == 0 || is_due).then(|| self.household())
    }

    /// Whether photographs were not looked at yet, so that the next poll should follow at once.
    pub fn is_busy(&self) -> bool {
        self.n_left() > 0
    }

    fn examine_new(&mut self, eyes: &mut Eyes<'_>) {
        let began = Instant::now();
        for photo in self.folder.photos.clone() {
            if !self.is_examined(&photo) {
                self.examine(&photo, eyes);
                if began.elapsed() >= POLL_FOR {
                    break;
                }
            }
        }
        let wanted: BTreeSet<&Path> = self.folder.photos.iter().map(|photo| photo.path.as_path()).collect();
        let before = self.photos.len();
        // Only when all are looked at: a photograph that was moved is found again by its checksum.
        if self.n_left() == 0 && !self.folder.is_unreadable {
            self.photos.retain(|path, _| wanted.contains(path.as_path()));
            self.n_unsaved += before - self.photos.len();
        }
        let is_much = self.n_unsaved >= SAVE_AFTER.max(self.photos.len() / 4);
        if is_much || (self.n_unsaved > 0 && self.n_left() == 0) {
            self.save();
        }
    }

    fn examine(&mut self, photo: &PhotoFile, eyes: &mut Eyes<'_>) {
        let path = self.root.join(&photo.path);
        if self.owner == Owner::Ours {
            unknown::close_to_others(&self.root, &photo.path);
        }
        let sha256 = match std::fs::metadata(&path) {
            Ok(metadata) if metadata.len() <= super::photo::MAX_FILE_BYTES => {
                std::fs::read(&path).map(sha256).unwrap_or_default()
            }
            Ok(_) | Err(_) => String::new(),
        };
        let known = self.photos.values().find(|known| !sha256.is_empty() && known.sha256 == sha256);
        let outcome = match known {
            Some(known) => known.outcome.clone(),
            None => eyes.file(&path),
        };
        let examined = Examined { stamp: photo.stamp, sha256, outcome };
        self.photos.insert(photo.path.clone(), examined);
        self.n_unsaved += 1;
    }

    fn is_examined(&self, photo: &PhotoFile) -> bool {
        self.photos.get(&photo.path).is_some_and(|examined| examined.stamp == photo.stamp)
    }

    fn n_left(&self) -> usize {
        self.folder.photos.iter().filter(|photo| !self.is_examined(photo)).count()
    }

    fn household(&mut self) -> Household {
        (self.told_at, self.is_untold) = (Some(Instant::now()), false);
        let mut household = household::household(&self.folder, &self.photos);
        household.n_left = self.n_left();
        (self.gallery, self.self_test) = (Arc::clone(&household.gallery), Arc::clone(&household.self_test));
        household.is_unreadable = self.folder.is_unreadable;
        if let Some(why) = self.warning.take() {
            let sentence = format!("The file {why}; every photo is looked at again.");
            household.notes.push(Remark { path: "embeddings.json".into(), sentence });
        }
        let groups = household.unknown.iter().chain(&household.ignored);
        self.next_group = groups.map(|group| group.number + 1).chain([self.next_group]).max().unwrap_or(1);
        household
    }

    fn save(&mut self) {
        match self.memory.save(&self.photos) {
            Ok(()) => self.n_unsaved = 0,
            // Nothing is lost but time: the photographs themselves are there.
            Err(error) => {
                tracing::warn!("embeddings.json cannot be written ({error}); the next start takes longer")
            }
        }
    }
}

fn remark(path: &Path, sentence: String) -> Remark {
    Remark { path: path.display().to_string(), sentence }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod training_tests;
