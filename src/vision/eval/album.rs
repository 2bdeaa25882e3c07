//! The folder of an evaluation: whose photographs it holds, and which folders are passages.
//!
//! ```text
//! FOLDER/Alice/1.jpg            a photograph of Alice
//! FOLDER/Alice/evening.clip/    frames of one passage of Alice, in the order of their names
//! FOLDER/_strangers/7.jpg       a stranger; every file another person
//! FOLDER/_strangers/tall man/   photographs of one stranger
//! FOLDER/_strangers/9.clip/     frames of one passage of a stranger
//! FOLDER/_nofaces/garden.png    no human face in it
//! FOLDER/_nofaces/cat.clip/     frames of a passage without a human face
//! ```
//!
//! Not here: what is on the pictures (see `shots`).

use std::path::{Path, PathBuf};

/// Folders with this ending hold the frames of one passage.
const CLIP: &str = ".clip";
const STRANGERS: &str = "_strangers";
const NO_FACES: &str = "_nofaces";
/// The files that count as pictures.
const PICTURES: [&str; 3] = ["jpg", "jpeg", "png"];

/// Photographs of one person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Someone {
    /// The folder's name, or the file's for a stranger with one photograph.
    pub(super) name: String,
    pub(super) photos: Vec<PathBuf>,
}

/// Who is to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    /// Somebody with a folder of this name.
    Person(String),
    Stranger,
    NoFace,
}

/// Frames of one passage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clip {
    pub(super) truth: Truth,
    pub(super) folder: PathBuf,
    /// Sorted by name.
    pub(super) frames: Vec<PathBuf>,
}

/// Everything in the folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Album {
    pub(super) people: Vec<Someone>,
    pub(super) strangers: Vec<Someone>,
    pub(super) no_faces: Vec<PathBuf>,
    pub(super) clips: Vec<Clip>,
    /// Sentences about files and folders that do not count.
    pub(super) remarks: Vec<String>,
}

impl Album {
    /// Lists the folder.
    ///
    /// # Errors
    /// A sentence when it cannot be listed or holds nobody.
    pub(super) fn read(root: &Path) -> Result<Album, String> {
        let entries = list(root).map_err(|error| {
            format!(
                "{}: the folder cannot be listed ({error}); name a folder that has one folder a person.",
                root.display()
            )
        })?;
        let mut album = Album::default();
        for path in entries {
            let name = name(&path);
            if !path.is_dir() {
                album.remark(&path, "it belongs to nobody; put it into a folder with the person's name");
            } else if name == STRANGERS {
                album.read_strangers(&path);
            } else if name == NO_FACES {
                let photos = album.read_folder(&path, &Truth::NoFace, |album, folder| {
                    album.remark(folder, "it is neither a picture nor a clip; a clip's folder ends in .clip");
                });
                album.no_faces.extend(photos);
            } else if name.starts_with('_') {
                album.remark(&path, "only _strangers and _nofaces have a meaning; rename it");
            } else {
                let photos = album.read_folder(&path, &Truth::Person(name.clone()), |album, folder| {
                    album.remark(
                        folder,
                        "it does not count; a folder with the frames of a clip ends in .clip",
                    );
                });
                album.people.push(Someone { name, photos });
            }
        }
        let is_empty = album.people.iter().all(|person| person.photos.is_empty());
        if is_empty {
            return Err(format!(
                "{}: there is nobody in it; make one folder a person with JPEG or PNG photos, such as {}.",
                root.display(),
                root.join("Alice").join("1.jpg").display()
            ));
        }
        Ok(album)
    }

    fn read_strangers(&mut self, path: &Path) {
        let photos = self.read_folder(path, &Truth::Stranger, |album, folder| {
            let photos = album.read_folder(folder, &Truth::Stranger, |album, deeper| {
                album.remark(deeper, "it does not count; a folder with the frames of a clip ends in .clip");
            });
            album.strangers.push(Someone { name: name(folder), photos });
        });
        let one_each = photos.into_iter().map(|photo| Someone { name: name(&photo), photos: vec![photo] });
        self.strangers.extend(one_each);
    }

    /// The photographs of a folder; its clips are kept, and `other` gets every other folder.
    fn read_folder(&mut self, path: &Path, truth: &Truth, other: impl Fn(&mut Album, &Path)) -> Vec<PathBuf> {
        let mut photos = Vec::new();
        for path in self.listed(path) {
            if is_picture(&path) {
                photos.push(path);
            } else if !path.is_dir() {
                self.remark(&path, "only JPEG and PNG pictures can be read");
            } else if name(&path).ends_with(CLIP) {
                let frames: Vec<PathBuf> =
                    self.listed(&path).into_iter().filter(|frame| is_picture(frame)).collect();
                if frames.is_empty() {
                    self.remark(&path, "the clip has no frames; put JPEG or PNG pictures into it");
                } else {
                    self.clips.push(Clip { truth: truth.clone(), folder: path, frames });
                }
            } else {
                other(self, &path);
            }
        }
        photos
    }

    fn listed(&mut self, path: &Path) -> Vec<PathBuf> {
        list(path).unwrap_or_else(|error| {
            self.remark(path, &format!("it cannot be listed ({error})"));
            Vec::new()
        })
    }

    fn remark(&mut self, path: &Path, what: &str) {
        self.remarks.push(format!("{}: {what}.", path.display()));
    }
}

/// What is in a folder, without hidden entries, sorted by name.
fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    PICTURES.contains(&ending.as_str()) && path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        root
    }

    #[test]
    fn every_place_has_its_meaning() {
        let root = folder(&[
            "Alice/1.jpg",
            "Alice/walk.clip/01.png",
            "Alice/walk.clip/00.png",
            "Alice/old/1.jpg",
            "Alice/notes.txt",
            "_strangers/a.jpg",
            "_strangers/b.JPEG",
            "_strangers/Carol/1.jpg",
            "_strangers/Carol/2.jpg",
            "_strangers/Carol/x.clip/1.jpg",
            "_strangers/y.clip/1.jpg",
            "_nofaces/tree.png",
            "_nofaces/cat.clip/1.png",
            "_other/1.jpg",
            "loose.jpg",
            ".hidden/1.jpg",
        ]);
        let album = Album::read(root.path()).unwrap();
        let names = |people: &[Someone]| {
            people.iter().map(|one| format!("{} {}", one.name, one.photos.len())).collect::<Vec<_>>()
        };
        assert_eq!(names(&album.people), ["Alice 1"]);
        assert_eq!(names(&album.strangers), ["Carol 2", "a.jpg 1", "b.JPEG 1"]);
        assert_eq!(album.no_faces.len(), 1);
        let clips: Vec<_> = album.clips.iter().map(|clip| (name(&clip.folder), clip.truth.clone())).collect();
        let wanted = [
            ("walk.clip", Truth::Person("Alice".into())),
            ("cat.clip", Truth::NoFace),
            ("x.clip", Truth::Stranger),
            ("y.clip", Truth::Stranger),
        ];
        assert_eq!(clips, wanted.map(|(name, truth)| (name.to_owned(), truth)));
        assert_eq!(name(&album.clips[0].frames[0]), "00.png");
        assert_eq!(album.remarks.len(), 4, "{:#?}", album.remarks);
    }

    #[test]
    fn a_folder_with_nobody_is_an_error_that_says_what_to_do() {
        let empty = folder(&["_strangers/1.jpg", "Alice/.hidden.jpg"]);
        assert!(Album::read(empty.path()).unwrap_err().contains("one folder a person"));
        assert!(Album::read(&empty.path().join("nowhere")).unwrap_err().contains("cannot be listed"));
    }
}
