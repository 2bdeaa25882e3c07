//! `identity.json`: the ids that outlive a rename. Home Assistant knows devices and entities by them.
//!
//! Not here: the names in topics, which people choose; see [`crate::config`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Error;
use super::damaged::{self, Found};
use crate::atomic;

const VERSION: u32 = 1;

/// The file and its content; ids are made when they are first asked for.
#[derive(Debug)]
pub struct IdentityFile {
    path: PathBuf,
    content: Content,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Content {
    version: u32,
    node: Stable,
    #[serde(default)]
    cameras: BTreeMap<String, Stable>,
    #[serde(default)]
    people: BTreeMap<String, Stable>,
}

/// An id as it stands in the file: hyphenated text.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Stable(Uuid);

impl TryFrom<String> for Stable {
    type Error = uuid::Error;

    fn try_from(text: String) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

impl From<Stable> for String {
    fn from(id: Stable) -> Self {
        id.0.to_string()
    }
}

impl IdentityFile {
    /// Opens `identity.json` in the folder, and makes both if they are missing. A damaged file is set aside: the text
    /// is then a warning for the log, and every id is new.
    ///
    /// # Errors
    /// When the folder or the file cannot be used.
    pub fn open(folder: &Path) -> Result<(Self, Option<String>), Error> {
        super::make_folder(folder)?;
        let path = folder.join("identity.json");
        let (found, warning) = match damaged::read(&path, known_version)? {
            Found::Nothing => (None, None),
            Found::Good(content) => (Some(content), None),
            Found::SetAside(why) => {
                (None, Some(format!("{why}; Home Assistant will see new devices beside the old ones")))
            }
        };
        if let Some(content) = found {
            return Ok((Self { path, content }, warning));
        }
        let content = Content {
            version: VERSION,
            node: Stable(Uuid::new_v4()),
            cameras: BTreeMap::new(),
            people: BTreeMap::new(),
        };
        let file = Self { path, content };
        file.save()?;
        Ok((file, warning))
    }

    /// This appliance.
    #[must_use]
    pub fn node(&self) -> Uuid {
        self.content.node.0
    }

    /// The camera with this id in the configuration. The answer is on the disk before it is given.
    ///
    /// # Errors
    /// When a new id cannot be written.
    pub fn camera(&mut self, id: &str) -> Result<Uuid, Error> {
        self.known_or_new(id, |content| &mut content.cameras)
    }

    /// The person with this slug. The answer is on the disk before it is given.
    ///
    /// # Errors
    /// When a new id cannot be written.
    pub fn person(&mut self, slug: &str) -> Result<Uuid, Error> {
        self.known_or_new(slug, |content| &mut content.people)
    }

    /// Forgets the id of a person; nothing happens when there is none.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget_person(&mut self, slug: &str) -> Result<(), Error> {
        let Some(id) = self.content.people.remove(slug) else { return Ok(()) };
        let saved = self.save();
        if saved.is_err() {
            self.content.people.insert(slug.to_owned(), id);
        }
        saved
    }

    fn known_or_new(
        &mut self,
        name: &str,
        of: fn(&mut Content) -> &mut BTreeMap<String, Stable>,
    ) -> Result<Uuid, Error> {
        if let Some(known) = of(&mut self.content).get(name) {
            return Ok(known.0);
        }
        let new = Uuid::new_v4();
        of(&mut self.content).insert(name.to_owned(), Stable(new));
        if let Err(error) = self.save() {
            // An id that is announced but forgotten would leave a dead device in Home Assistant.
            of(&mut self.content).remove(name);
            return Err(error);
        }
        Ok(new)
    }

    fn save(&self) -> Result<(), Error> {
        let mut bytes = serde_json::to_vec_pretty(&self.content).expect("ids always become JSON");
        bytes.push(b'\n');
        atomic::replace(&self.path, &bytes, 0o644).map_err(Error::new("write", &self.path))
    }
}

fn known_version(content: &Content) -> Result<(), String> {
    match content.version {
        VERSION => Ok(()),
        other => Err(format!("its version {other} is not known to this program")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_once_and_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, warning) = IdentityFile::open(folder.path()).unwrap();
        assert_eq!(warning, None);
        let ids = [
            file.node(),
            file.camera("porch").unwrap(),
            file.camera("door").unwrap(),
            file.person("porch").unwrap(),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(id.get_version_num(), 4);
            assert!(!ids[..at].contains(id), "all differ");
        }
        let (mut again, _) = IdentityFile::open(folder.path()).unwrap();
        let found = [
            again.node(),
            again.camera("porch").unwrap(),
            again.camera("door").unwrap(),
            again.person("porch").unwrap(),
        ];
        assert_eq!(found, ids);
    }

    #[test]
    fn an_id_that_cannot_be_kept_is_not_given() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, _) = IdentityFile::open(folder.path()).unwrap();
        std::fs::create_dir(folder.path().join("identity.json.tmp")).unwrap();
        assert!(file.camera("porch").unwrap_err().to_string().contains("identity.json"));
        std::fs::remove_dir(folder.path().join("identity.json.tmp")).unwrap();
        let id = file.camera("porch").unwrap();
        assert_eq!(IdentityFile::open(folder.path()).unwrap().0.camera("porch").unwrap(), id);
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let node = IdentityFile::open(folder.path()).unwrap().0.node();
        std::fs::write(folder.path().join("identity.json"), "{\"version\":1,\"node\":\"no\"}").unwrap();
        let (file, warning) = IdentityFile::open(folder.path()).unwrap();
        assert!(warning.unwrap().contains("identity.json.damaged-1"));
        assert_ne!(file.node(), node);
        assert_eq!(IdentityFile::open(folder.path()).unwrap().0.node(), file.node(), "the new id is kept");
    }
}
