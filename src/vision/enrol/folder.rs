//! What stands in the folder of faces: who, which files, and since when.
//!
//! Not here: what is on the photographs (see `enrol`).

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Remark, remark};
use crate::logic::faces::{PersonId, slug};

/// Folders read at most.
const MAX_PEOPLE: usize = 200;
/// Photographs of one person at most; more than a dozen add nothing.
const MAX_PHOTOS: usize = 50;
/// Characters of a name at most.
const MAX_NAME: usize = 60;
/// The word that stands for a face nobody knows, so no person can have it.
const RESERVED: &str = "unknown";
/// Pictures that people put here and Doorward cannot read.
const OTHER_PICTURES: [&str; 8] = ["heic", "heif", "webp", "gif", "bmp", "tif", "tiff", "avif"];

/// When a file changed, and its size: another file under the same name has another stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp { bytes: metadata.len(), modified: metadata.modified().ok() }
    }
}

/// A file that may be a photograph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PhotoFile {
    /// Relative to the folder of faces.
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    person: PersonId,
}

/// The folder of faces at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Folder {
    /// Sorted by person and file name.
    pub(super) photos: Vec<PhotoFile>,
    pub(super) refusals: Vec<Remark>,
    /// The folder is there and cannot be listed.
    pub(super) is_unreadable: bool,
}

impl Folder {
    /// Lists the folder; one that does not exist is empty.
    pub(super) fn read(root: &Path) -> Folder {
        let mut folder = Folder::default();
        let entries = match sorted_entries(root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return folder,
            Err(error) => {
                let sentence =
                    format!("The folder cannot be listed ({error}); check its owner and permissions.");
                folder.refusals.push(remark(Path::new("."), sentence));
                folder.is_unreadable = true;
                return folder;
            }
        };
        let mut names = BTreeMap::new();
        for path in entries {
            let relative = relative(&path, root);
            if path.is_dir() {
                if let Err(sentence) = folder.read_person(&path, &relative, &mut names) {
                    folder.refusals.push(remark(&relative, sentence));
                }
            } else if is_picture(&path) {
                let sentence =
                    "The photo belongs to nobody; put it into a folder that has the person's name.";
                folder.refusals.push(remark(&relative, sentence.into()));
            }
        }
        folder
    }

    fn read_person(
        &mut self,
        path: &Path,
        relative: &Path,
        names: &mut BTreeMap<String, String>,
    ) -> Result<(), String> {
        let name = relative.to_str().ok_or("The name is not UTF-8 text; rename the folder.")?.trim();
        if name.chars().count() > MAX_NAME || name.is_empty() || name.chars().any(char::is_control) {
            return Err(format!(
                "The name is empty, longer than {MAX_NAME} characters or has control characters; rename the folder."
            ));
        }
        let word = slug(name);
        if word == RESERVED {
            return Err(format!(
                "\"{RESERVED}\" stands for a face nobody knows; give the folder a person's name."
            ));
        }
        if let Some(other) = names.get(&word) {
            return Err(format!(
                "The name becomes \"{word}\" in topics and addresses, as {other} does already; rename one folder, or put \
                 the photos together if it is the same person."
            ));
        }
        if names.len() >= MAX_PEOPLE {
            return Err(format!("There are more than {MAX_PEOPLE} people; remove some folders."));
        }
        names.insert(word.clone(), name.to_owned());
        let person = PersonId { slug: word.into(), name: name.into() };
        let entries = sorted_entries(path).map_err(|error| {
            format!("The folder cannot be listed ({error}); check its owner and permissions.")
        })?;
        let mut n_photos = 0;
        for path in entries.into_iter().filter(|path| is_picture(path)) {
            let relative = relative.join(path.file_name().unwrap_or_default());
            match usable(&path, n_photos) {
                Ok(stamp) => {
                    n_photos += 1;
                    self.photos.push(PhotoFile { path: relative, stamp, person: person.clone() });
                }
                Err(sentence) => self.refusals.push(remark(&relative, sentence)),
            }
        }
        Ok(())
    }

    /// Each person with the paths of their photographs.
    pub(super) fn people(&self) -> Vec<(PersonId, Vec<&PathBuf>)> {
        let mut people: Vec<(PersonId, Vec<&PathBuf>)> = Vec::new();
        for photo in &self.photos {
            match people.last_mut().filter(|(person, _)| *person == photo.person) {
                Some((_, paths)) => paths.push(&photo.path),
                None => people.push((photo.person.clone(), vec![&photo.path])),
            }
        }
        people
    }
}

/// Whether a file can be read as a photograph at all; only regular files are opened, because a pipe would never end.
fn usable(path: &Path, n_photos: usize) -> Result<Stamp, String> {
    let metadata = fs::metadata(path)
        .map_err(|error| format!("The photo cannot be read ({error}); check its permissions."))?;
    if !metadata.is_file() {
        return Err("This is not a file; remove it.".into());
    }
    if OTHER_PICTURES.contains(&extension(path).as_str()) {
        return Err("Only JPEG and PNG pictures can be read; save the photo as one of them.".into());
    }
    if n_photos >= MAX_PHOTOS {
        return Err(format!(
            "There are more than {MAX_PHOTOS} photos of this person; a dozen different ones are plenty."
        ));
    }
    Ok(Stamp::of(&metadata))
}

/// Files and folders, without hidden ones, in the order of their names.
fn sorted_entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn relative(path: &Path, root: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_owned()
}

fn is_picture(path: &Path) -> bool {
    let extension = extension(path);
    ["jpg", "jpeg", "png"].contains(&extension.as_str()) || OTHER_PICTURES.contains(&extension.as_str())
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}
