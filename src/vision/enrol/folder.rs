//! What stands in the folder of faces: who, which files, and since when.
//!
//! ```text
//! faces/Alice/1.jpg              shows Alice
//! faces/Alice/rejected/7.jpg     is not Alice, whatever it looks like
//! faces/_unknown/12/3.jpg        somebody unknown; all of folder 12 are alike
//! faces/_ignored/4/1.jpg         somebody whom nobody wants to hear of
//! faces/embeddings.json          what the models made of all these; can be deleted at any time
//! ```
//!
//! Not here: what is on the photographs (see `enrol`).

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Remark, remark};
use crate::logic::faces::PersonId;

/// Folders read at most.
const MAX_PEOPLE: usize = 200;
/// Photographs of one person at most; more than a dozen add nothing.
pub(super) const MAX_PHOTOS: usize = 50;
/// Folder with a folder a group of unknown faces.
pub(super) const UNKNOWN: &str = "_unknown";
/// Folder with a folder each for those whom nobody wants to hear of.
pub(super) const IGNORED: &str = "_ignored";
/// Folder inside a person's folder with looks that are not this person.
pub(super) const REJECTED: &str = "rejected";
/// Pictures that people put here and Doorward cannot read.
const OTHER_PICTURES: [&str; 8] = ["heic", "heif", "webp", "gif", "bmp", "tif", "tiff", "avif"];

/// When a file changed, and its size: another file under the same name has another stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) bytes: u64,
    /// Nanoseconds since 1970; 0 where the file system does not say.
    pub(super) modified_ns: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        let modified = metadata.modified().ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let modified_ns = modified.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0);
        Stamp { bytes: metadata.len(), modified_ns }
    }
}

/// What a photograph is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It shows this person.
    Person(PersonId),
    /// It does not show this person, although it once was taken for them.
    Rejected(PersonId),
    /// It shows somebody unknown, of this group.
    Unknown(u32),
    /// It shows somebody whom nobody wants to hear of.
    Ignored(u32),
}

/// A file that may be a photograph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PhotoFile {
    /// Relative to the folder of faces.
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    pub(super) role: Role,
}

/// The folder of faces at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Folder {
    /// Sorted by folder and file name.
    pub(super) photos: Vec<PhotoFile>,
    /// Everybody with a folder, also without photographs in it, and the folder's name.
    pub(super) people: Vec<(PersonId, PathBuf)>,
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
        for path in entries {
            let relative = relative(&path, root);
            let outcome = if !path.is_dir() {
                stray(&path)
            } else if relative == Path::new(UNKNOWN) {
                folder.read_groups(&path, &relative, Role::Unknown)
            } else if relative == Path::new(IGNORED) {
                folder.read_groups(&path, &relative, Role::Ignored)
            } else {
                folder.read_person(&path, &relative)
            };
            if let Err(sentence) = outcome {
                folder.refusals.push(remark(&relative, sentence));
            }
        }
        folder
    }

    fn read_person(&mut self, path: &Path, relative: &Path) -> Result<(), String> {
        let name = relative.to_str().ok_or("The name is not UTF-8 text; rename the folder.")?;
        let person = PersonId::named(name).map_err(|sentence| format!("{sentence} Rename the folder."))?;
        if let Some((other, _)) = self.people.iter().find(|(other, _)| other.slug == person.slug) {
            return Err(format!(
                "The name becomes \"{}\" in topics and addresses, as {} does already; rename one folder, or put the photos \
                 together if it is the same person.",
                person.slug, other.name
            ));
        }
        if self.people.len() >= MAX_PEOPLE {
            return Err(format!("There are more than {MAX_PEOPLE} people; remove some folders."));
        }
        self.people.push((person.clone(), relative.to_owned()));
        self.read_photos(path, relative, &Role::Person(person.clone()))?;
        let rejected = path.join(REJECTED);
        if rejected.is_dir() {
            self.read_photos(&rejected, &relative.join(REJECTED), &Role::Rejected(person))?;
        }
        Ok(())
    }

    fn read_groups(&mut self, path: &Path, relative: &Path, role: fn(u32) -> Role) -> Result<(), String> {
        for path in sorted_entries(path).map_err(unlisted)?.into_iter().filter(|path| path.is_dir()) {
            let name = path.file_name().unwrap_or_default();
            let number = name.to_str().and_then(|name| name.parse().ok());
            let number = number.ok_or("The folder of a group is a number; remove or rename what is not.")?;
            self.read_photos(&path, &relative.join(name), &role(number))?;
        }
        Ok(())
    }

    fn read_photos(&mut self, path: &Path, relative: &Path, role: &Role) -> Result<(), String> {
        let mut n_photos = 0;
        for path in sorted_entries(path).map_err(unlisted)?.into_iter().filter(|path| is_picture(path)) {
            let relative = relative.join(path.file_name().unwrap_or_default());
            match usable(&path, n_photos) {
                Ok(stamp) => {
                    n_photos += 1;
                    self.photos.push(PhotoFile { path: relative, stamp, role: role.clone() });
                }
                Err(sentence) => self.refusals.push(remark(&relative, sentence)),
            }
        }
        Ok(())
    }

    /// The paths of the photographs of one role.
    pub(super) fn of<'a, 'r>(&'a self, role: &'r Role) -> impl Iterator<Item = &'a PathBuf> + use<'a, 'r> {
        self.photos.iter().filter(move |photo| photo.role == *role).map(|photo| &photo.path)
    }

    /// Numbers of the groups of a sort, `Role::Unknown` or `Role::Ignored`, that have photographs.
    pub(super) fn groups(&self, sort: fn(u32) -> Role) -> Vec<u32> {
        let mut numbers: Vec<u32> = Vec::new();
        for photo in &self.photos {
            if let Role::Unknown(number) | Role::Ignored(number) = photo.role
                && photo.role == sort(number)
                && !numbers.contains(&number)
            {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        numbers
    }
}

fn unlisted(error: std::io::Error) -> String {
    format!("The folder cannot be listed ({error}); check its owner and permissions.")
}

/// A picture beside the folders instead of in one.
fn stray(path: &Path) -> Result<(), String> {
    let sentence = "The photo belongs to nobody; put it into a folder that has the person's name.";
    if is_picture(path) { Err(sentence.into()) } else { Ok(()) }
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
