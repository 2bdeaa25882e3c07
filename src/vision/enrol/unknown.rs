//! Faces without a name, grouped by likeness, so that a person is named once and not forty times; and folders that are on their way out.
//!
//! Not here: when a face is called unknown (see `logic::faces`).

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::examine::{Seen, cut_out};
use super::folder::{Folder, Role, Stamp, UNKNOWN};
use super::household::fit;
use super::memory::Examined;
use super::{Enroller, Eyes, Household};
use crate::atomic;
use crate::logic::checksum::sha256;
use crate::logic::faces::template::template;
use crate::logic::faces::verdict::KNOWN;
use crate::logic::faces::{Embedding, cosine};
use crate::logic::picture::Rect;

/// Photographs of one group that are kept: enough to choose from when it gets a name.
const MAX_PER_GROUP: usize = 8;
/// Groups that are kept; the one that was not seen for the longest time goes.
const MAX_GROUPS: usize = 50;
/// A face more alike to a kept one than this adds nothing to its group.
const SAME_LOOK: f32 = 0.9;
/// Folders that are being removed begin so; the start after a power cut removes what is left of them.
pub(super) const LEAVING: &str = ".leaving-";
/// Photographs and folders of them are for the user alone that runs the appliance.
pub(super) const FILE_MODE: u32 = 0o600;

/// The group that a face was put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grouped {
    /// Its number.
    pub group: u32,
    /// Whether the face begins it.
    pub is_new: bool,
}

impl Enroller {
    /// Keeps the face of an event that nobody could name, with those that are like it; `None` when it is not good enough, or when
    /// it cannot be written. `keep` is how long groups are kept; nothing is kept at zero. The household is given if it changed.
    pub fn note_unknown(
        &mut self,
        jpeg: &[u8],
        place: Rect,
        keep: Duration,
        eyes: &mut Eyes<'_>,
    ) -> Option<(Grouped, Option<Household>)> {
        if keep.is_zero() {
            return None;
        }
        let cut = cut_out(jpeg, Some(place), eyes).ok()?;
        let seen = eyes.bytes(&cut).ok()?;
        fit(&Role::Unknown(0), &seen).ok()?;
        let has_dropped = self.drop_old(keep, SystemTime::now());
        let grouped = match self.group_of(&seen) {
            Some(group) => Grouped { group, is_new: false },
            None => Grouped { group: self.next_group, is_new: true },
        };
        match self.keep_unknown(grouped.group, &cut, &seen) {
            Ok(None) if !has_dropped => Some((grouped, None)),
            Ok(new) => Some((grouped, Some(self.look_again(new.as_slice(), eyes)))),
            Err(error) => {
                tracing::warn!("an unknown face cannot be kept: {error}");
                None
            }
        }
    }

    fn group_of(&self, seen: &Seen) -> Option<u32> {
        let likeness = |group: u32| {
            let faces = self.embeddings(&Role::Unknown(group));
            template(&faces).map_or(-1.0, |template| cosine(&template, &seen.embedding.vector))
        };
        let groups = self.folder.groups(Role::Unknown).into_iter().map(|group| (group, likeness(group)));
        let best = groups.max_by(|a, b| a.1.total_cmp(&b.1))?;
        (best.1 >= KNOWN).then_some(best.0)
    }

    /// The embeddings of every photograph of a role that was looked at.
    pub(super) fn embeddings(&self, role: &Role) -> Vec<&Embedding> {
        let examined = self.folder.of(role).filter_map(|path| self.photos.get(path));
        examined.filter_map(|examined| Some(&examined.outcome.as_ref().ok()?.embedding)).collect()
    }

    /// Keeps the face if it adds something to its group; the file, if it does.
    fn keep_unknown(&mut self, group: u32, cut: &[u8], seen: &Seen) -> std::io::Result<Option<PathBuf>> {
        let faces = self.embeddings(&Role::Unknown(group));
        let adds = faces.iter().all(|face| cosine(&face.vector, &seen.embedding.vector) < SAME_LOOK);
        let relative = PathBuf::from(UNKNOWN).join(group.to_string());
        if faces.len() >= MAX_PER_GROUP || !adds {
            // Only the date of the folder says that they were here again.
            std::fs::File::open(self.root.join(relative))?.set_modified(SystemTime::now())?;
            return Ok(None);
        }
        let groups = self.folder.groups(Role::Unknown);
        if faces.is_empty() && groups.len() >= MAX_GROUPS {
            let oldest = groups.into_iter().min_by_key(|group| self.seen_at(*group));
            oldest.map_or(Ok(()), |group| self.remove(&PathBuf::from(UNKNOWN).join(group.to_string())))?;
        }
        let path = relative.join(format!("{}.jpg", &sha256(cut)[..16]));
        self.write(&path, cut, seen)?;
        Ok(Some(path))
    }

    /// When a group was last seen.
    pub(super) fn seen_at(&self, group: u32) -> SystemTime {
        let folder = self.root.join(UNKNOWN).join(group.to_string());
        std::fs::metadata(folder).and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Removes the groups that were not seen for so long; whether there were any.
    fn drop_old(&mut self, keep: Duration, now: SystemTime) -> bool {
        let mut has_dropped = false;
        for group in self.folder.groups(Role::Unknown) {
            let age = now.duration_since(self.seen_at(group)).unwrap_or_default();
            if age <= keep {
                continue;
            }
            match self.remove(&PathBuf::from(UNKNOWN).join(group.to_string())) {
                Ok(()) => has_dropped = true,
                Err(error) => {
                    tracing::warn!("the old group {group} of unknown faces cannot be removed: {error}");
                }
            }
        }
        has_dropped
    }

    /// Writes a photograph of which it is known what it shows; folders on the way are made. After an error nothing of it is left.
    pub(super) fn write(&mut self, relative: &Path, bytes: &[u8], seen: &Seen) -> std::io::Result<()> {
        let path = self.root.join(relative);
        make_private(path.parent().unwrap_or(&self.root))?;
        if let Err(error) = atomic::replace(&path, bytes, FILE_MODE) {
            self.clear_failed(&path);
            return Err(error);
        }
        // The file is found again by its checksum, so the models need not look at it once more.
        let stamp = Stamp { bytes: 0, modified_ns: 0 };
        let examined = Examined { stamp, sha256: sha256(bytes), outcome: Ok(seen.clone()) };
        self.photos.insert(relative.to_owned(), examined);
        Ok(())
    }

    fn clear_failed(&self, path: &Path) {
        let _ = std::fs::remove_file(atomic::temp_of(path));
        // Only folders that are empty go, up to the folder of faces.
        let mut folder = path.parent();
        while let Some(empty) = folder.filter(|folder| *folder != self.root && folder.starts_with(&self.root))
        {
            if std::fs::remove_dir(empty).is_err() {
                break;
            }
            folder = empty.parent();
        }
    }

    /// Removes a folder: out of sight at once, then from the disk, so that a power cut leaves no half of it.
    pub(super) fn remove(&mut self, relative: &Path) -> std::io::Result<()> {
        let name = relative.to_string_lossy().replace('/', "-");
        let leaving = self.root.join(format!("{LEAVING}{name}"));
        let _ = std::fs::remove_dir_all(&leaving);
        std::fs::rename(self.root.join(relative), &leaving)?;
        self.folder.photos.retain(|photo| !photo.path.starts_with(relative));
        if let Err(error) = std::fs::remove_dir_all(&leaving) {
            tracing::warn!("{} is tried again at the next start: {error}", leaving.display());
        }
        Ok(())
    }

    /// The household after a change of files that we made ourselves: these are looked at, others may wait for the next poll.
    pub(super) fn look_again(&mut self, ours: &[PathBuf], eyes: &mut Eyes<'_>) -> Household {
        let folder = Folder::read(&self.root);
        if !folder.is_unreadable {
            self.folder = folder;
        }
        for photo in self.folder.photos.clone().iter().filter(|photo| ours.contains(&photo.path)) {
            self.examine(photo, eyes);
        }
        self.examine_new(eyes);
        self.household()
    }
}

/// Makes a folder and those above it that are missing, for this user alone.
pub(super) fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Takes a photograph and the folders above it away from everybody but this user. What belongs to somebody else stays as it is: the
/// folder around it is closed.
pub(super) fn close_to_others(root: &Path, relative: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for place in relative.ancestors().map(|above| root.join(above)) {
        let Ok(metadata) = std::fs::metadata(&place) else { continue };
        if metadata.permissions().mode() & 0o077 != 0 {
            let mode = if metadata.is_dir() { 0o700 } else { FILE_MODE };
            let _ = std::fs::set_permissions(&place, std::fs::Permissions::from_mode(mode));
        }
    }
}

/// Removes what a power cut left of folders that were being removed.
pub(super) fn clear_leftovers(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(LEAVING.as_bytes()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
