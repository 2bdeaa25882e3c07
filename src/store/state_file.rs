//! `state.json`: the values that people changed at run time. They win over the first values of the configuration.
//!
//! Not here: which keys there are and what they mean. A camera's values are a free map, so that a newer or older
//! program keeps what it does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Error;
use super::damaged::{self, Found};
use crate::atomic;

/// The layout of the file that this program reads and writes.
const VERSION: u32 = 1;

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    version: u32,
    /// Per camera id: entity key to value.
    #[serde(default)]
    pub cameras: BTreeMap<String, BTreeMap<String, Value>>,
    /// Devices that a person has deleted in Home Assistant, by object id.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub declined: BTreeSet<String>,
    /// The address under which the house was last seen from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_address: Option<String>,
}

impl Default for Stored {
    fn default() -> Self {
        Self { version: VERSION, cameras: BTreeMap::new(), declined: BTreeSet::new(), public_address: None }
    }
}

impl Stored {
    /// The value of a camera's key, if it was ever changed.
    #[must_use]
    pub fn get(&self, camera: &str, key: &str) -> Option<&Value> {
        self.cameras.get(camera)?.get(key)
    }

    /// Sets the value of a camera's key.
    pub fn set(&mut self, camera: &str, key: &str, value: impl Into<Value>) {
        self.cameras.entry(camera.to_owned()).or_default().insert(key.to_owned(), value.into());
    }
}

/// The file, and what is known to be in it.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    /// What the disk holds for sure; none = nothing yet.
    on_disk: Option<Stored>,
    bytes_written: u64,
}

impl StateFile {
    /// Opens `state.json` in the folder, which is made if it is missing. A damaged file is set aside: the text is then
    /// a warning for the log, and the defaults count.
    ///
    /// # Errors
    /// When the folder or the file cannot be used.
    pub fn open(folder: &Path) -> Result<(Self, Stored, Option<String>), Error> {
        super::make_folder(folder)?;
        let path = folder.join("state.json");
        let (on_disk, warning) = match damaged::read(&path, known_version)? {
            Found::Nothing => (None, None),
            Found::Good(stored) => (Some(stored), None),
            Found::SetAside(why) => (None, Some(format!("{why}; the configured values count again"))),
        };
        let stored = on_disk.clone().unwrap_or_default();
        Ok((Self { path, on_disk, bytes_written: 0 }, stored, warning))
    }

    /// Puts the values on the disk; they are safe when this returns. Returns at once when nothing has changed.
    ///
    /// # Errors
    /// When the disk refuses; the old content then stands.
    pub fn save(&mut self, stored: &Stored) -> Result<(), Error> {
        if self.on_disk.as_ref() == Some(stored) {
            return Ok(());
        }
        let bytes = encode(stored);
        // A rename without the last sync may or may not have happened: then the disk is not known to hold either.
        self.on_disk = None;
        atomic::replace(&self.path, &bytes, 0o644).map_err(Error::new("write", &self.path))?;
        self.on_disk = Some(stored.clone());
        self.bytes_written += bytes.len() as u64;
        Ok(())
    }

    /// Bytes handed to the disk since the file was opened: SD cards wear out.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }
}

fn encode(stored: &Stored) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(stored).expect("maps with text keys always become JSON");
    bytes.push(b'\n');
    bytes
}

fn known_version(stored: &Stored) -> Result<(), String> {
    match stored.version {
        VERSION => Ok(()),
        other => Err(format!("its version {other} is not known to this program")),
    }
}

#[cfg(test)]
#[path = "power_cut_tests.rs"]
mod power_cut_tests;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_saved_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("made/when/missing");
        let (mut file, mut stored, warning) = StateFile::open(&folder).unwrap();
        assert_eq!((&stored, warning), (&Stored::default(), None));
        stored.set("porch", "motion_detection", false);
        stored.set("porch", "motion_threshold", 40);
        stored.set("door", "resolution", "1280x720");
        file.save(&stored).unwrap();
        let (_, again, warning) = StateFile::open(&folder).unwrap();
        assert_eq!((&again, warning), (&stored, None));
        assert_eq!(again.get("porch", "motion_detection"), Some(&Value::Bool(false)));
        assert_eq!(again.get("porch", "privacy"), None);
        let names: Vec<_> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["state.json"], "no temporary file stays");
    }

    #[test]
    fn nothing_new_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, mut stored, _) = StateFile::open(folder.path()).unwrap();
        stored.set("porch", "privacy", true);
        file.save(&stored).unwrap();
        let written = file.bytes_written();
        let size = std::fs::metadata(folder.path().join("state.json")).unwrap().len();
        assert_eq!(written, size);
        // A write would have to make its temporary file, which this folder in its place forbids.
        std::fs::create_dir(folder.path().join("state.json.tmp")).unwrap();
        file.save(&stored).unwrap();
        let (mut reopened, _, _) = StateFile::open(folder.path()).unwrap();
        reopened.save(&stored).unwrap();
        assert_eq!((file.bytes_written(), reopened.bytes_written()), (written, 0));
        stored.set("porch", "privacy", false);
        let error = file.save(&stored).unwrap_err().to_string();
        assert!(error.contains("state.json") && error.contains("--data-dir"), "{error}");
        // What failed is tried again.
        std::fs::remove_dir(folder.path().join("state.json.tmp")).unwrap();
        file.save(&stored).unwrap();
        assert_eq!(StateFile::open(folder.path()).unwrap().1, stored);
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let cases: [&[u8]; 6] =
            [b"", b"{", b"\0\0\0\0", b"[]", b"{\"version\":2}", b"{\"version\":1,\"cameras\":{\"porch\":5}}"];
        for (number, bytes) in cases.iter().enumerate() {
            std::fs::write(&path, bytes).unwrap();
            let (_, stored, warning) = StateFile::open(folder.path()).unwrap();
            assert_eq!(stored, Stored::default());
            let aside = folder.path().join(format!("state.json.damaged-{}", number + 1));
            assert!(warning.unwrap().contains(&aside.display().to_string()));
            assert_eq!(&std::fs::read(aside).unwrap(), bytes);
            assert!(!path.exists());
        }
    }

    #[test]
    fn keys_of_a_newer_program_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"version":1,"cameras":{"porch":{"from_the_future":{"a":[1,null]}}}}"#;
        std::fs::write(folder.path().join("state.json"), text).unwrap();
        let (mut file, mut stored, _) = StateFile::open(folder.path()).unwrap();
        stored.set("porch", "privacy", true);
        file.save(&stored).unwrap();
        let found = StateFile::open(folder.path()).unwrap().1;
        assert_eq!(found.get("porch", "from_the_future"), Some(&serde_json::json!({"a": [1, null]})));
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_told_in_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        // Below a file no folder can be made, even by root, for whom no folder is read-only.
        let error = StateFile::open(&folder.path().join("file/data")).unwrap_err().to_string();
        assert!(error.starts_with("cannot make the folder ") && error.contains("file/data"), "{error}");
        assert!(error.contains("chown") && error.contains("--data-dir"), "{error}");
        let read_only = folder.path().join("read-only");
        std::fs::create_dir(&read_only).unwrap();
        std::fs::set_permissions(&read_only, std::fs::Permissions::from_mode(0o555)).unwrap();
        let (mut file, mut stored, _) = StateFile::open(&read_only).unwrap();
        stored.set("porch", "privacy", true);
        if let Err(error) = file.save(&stored) {
            let error = error.to_string();
            assert!(error.starts_with("cannot write ") && error.contains("read-only/state.json"), "{error}");
        } else {
            assert_eq!(StateFile::open(&read_only).unwrap().1, stored, "root may write anywhere");
        }
    }
}
