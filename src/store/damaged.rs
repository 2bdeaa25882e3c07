//! Reading a JSON file that may be damaged: it is set aside, never half believed and never deleted.
//!
//! Not here: writing; see `crate::atomic`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::Error;

/// What was found at a path.
pub(super) enum Found<T> {
    /// No file: the first run.
    Nothing,
    Good(T),
    /// It could not be understood and now has another name; the sentence says so.
    SetAside(String),
}

/// Our files are some kilobytes; more is not ours and shall not fill the memory.
const MOST_BYTES: u64 = 4 << 20;

/// The file's content, if `good` accepts it.
///
/// # Errors
/// When the file cannot be read or set aside.
pub(super) fn read<T: DeserializeOwned>(
    path: &Path,
    good: fn(&T) -> Result<(), String>,
) -> Result<Found<T>, Error> {
    let Some(parsed) = look(path, good)? else { return Ok(Found::Nothing) };
    match parsed {
        Ok(content) => Ok(Found::Good(content)),
        Err(why) => {
            let aside = free_name(path);
            std::fs::rename(path, &aside).map_err(Error::new("set aside", path))?;
            let (path, aside) = (path.display(), aside.display());
            Ok(Found::SetAside(format!("{path} is damaged ({why}); it was set aside as {aside}")))
        }
    }
}

/// The same for those who change nothing: none if there is no file, else its content, or what is wrong with it.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn look<T: DeserializeOwned>(
    path: &Path,
    good: fn(&T) -> Result<(), String>,
) -> Result<Option<Result<T, String>>, Error> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::new("read", path)(error)),
    }
    let parsed = if bytes.len() as u64 > MOST_BYTES {
        Err("it is larger than 4 MiB".to_owned())
    } else {
        // The position only: serde's own text may quote the content, and one of the files holds secrets.
        serde_json::from_slice::<T>(&bytes)
            .map_err(|error| format!("it is not valid at line {}, column {}", error.line(), error.column()))
            .and_then(|content| good(&content).map(|()| content))
    };
    Ok(Some(parsed))
}

/// `state.json.damaged-1`, or the first number that is free. Beyond a hundred the last one is replaced.
fn free_name(path: &Path) -> PathBuf {
    let name = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{number}"));
        PathBuf::from(name)
    };
    (1..100).map(name).find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| name(100))
}
