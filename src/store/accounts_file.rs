//! `accounts.json`: users, sessions and tokens. Readable by its owner only.
//!
//! A damaged file is set aside and never opens the door: without users everybody needs the pairing code, which only those can read who
//! can read the log. Not here: what is in it ([`crate::logic::accounts`]).

use std::path::{Path, PathBuf};

use super::Error;
use super::damaged::{self, Found};
use super::secrets::close_file;
use crate::atomic;
use crate::logic::accounts::Book;

const FILE_MODE: u32 = 0o600;
/// The file's name in the data folder.
pub const NAME: &str = "accounts.json";

/// The file.
#[derive(Debug)]
pub struct AccountsFile {
    path: PathBuf,
}

/// What [`AccountsFile::open`] found.
pub struct OpenedAccounts {
    /// The file.
    pub file: AccountsFile,
    /// Its content; empty if there was no file, or it was damaged.
    pub book: Book,
    /// Sentences for the log.
    pub warnings: Vec<String>,
    /// The file was damaged, and is set aside.
    pub is_damaged: bool,
}

/// Why a tool cannot work on a file.
#[derive(Debug, thiserror::Error)]
pub enum NoAccounts {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Error),
    /// It is something else.
    #[error("{} holds no accounts ({why}); nothing was changed", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl AccountsFile {
    /// Opens `accounts.json` in the data folder; it is written at the first change. Wrong permissions are put right; a damaged file is
    /// set aside.
    ///
    /// # Errors
    /// When the folder or the file cannot be used.
    pub fn open(folder: &Path) -> Result<OpenedAccounts, Error> {
        super::make_folder(folder)?;
        Self::open_own(&folder.join(NAME))
    }

    /// Makes the folder if it is missing, and takes the file away from other users, if it is there.
    ///
    /// # Errors
    /// When the folder or the file cannot be used.
    pub fn prepare(folder: &Path) -> Result<(), Error> {
        super::make_folder(folder)?;
        close_file(&folder.join(NAME)).map(drop)
    }

    /// A file of any name, for a tool: whatever else it may be, it is left as it is.
    ///
    /// # Errors
    /// When it cannot be read, or holds no accounts.
    pub fn open_at(path: &Path) -> Result<(Self, Book), NoAccounts> {
        let book = match damaged::look(path, Book::check)? {
            None => Book::default(),
            Some(Ok(book)) => book,
            Some(Err(why)) => return Err(NoAccounts::Damaged { path: path.to_owned(), why }),
        };
        Ok((Self { path: path.to_owned() }, book))
    }

    fn open_own(path: &Path) -> Result<OpenedAccounts, Error> {
        let mut warnings: Vec<String> = close_file(path)?.into_iter().collect();
        let (book, is_damaged) = match damaged::read(path, Book::check)? {
            Found::Good(book) => (book, false),
            Found::Nothing => (Book::default(), false),
            Found::SetAside(why) => {
                warnings.push(format!(
                    "{why}; NOBODY CAN SIGN IN WITH A NAME until the accounts are back: put a good file from a backup in its place and \
                     start again, or make the first user anew with the pairing code"
                ));
                (Book::default(), true)
            }
        };
        Ok(OpenedAccounts { file: Self { path: path.to_owned() }, book, warnings, is_damaged })
    }

    /// Replaces the content.
    ///
    /// # Errors
    /// When the disk does not take it; the old content stands.
    pub fn save(&mut self, book: &Book) -> Result<(), Error> {
        let mut bytes = serde_json::to_vec_pretty(book).expect("texts, times and lists always become JSON");
        bytes.push(b'\n');
        atomic::replace(&self.path, &bytes, FILE_MODE).map_err(Error::new("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::logic::access::Role;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";

    #[test]
    fn accounts_are_private_and_survive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut opened = AccountsFile::open(folder.path()).unwrap();
        assert!(opened.book.needs_setup() && opened.warnings.is_empty() && !path.exists());
        opened.book.add_user("anna", Role::Admin, HASH.into(), jiff::Timestamp::UNIX_EPOCH).unwrap();
        opened.file.save(&opened.book).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let again = AccountsFile::open(folder.path()).unwrap();
        assert!(again.book == opened.book && again.warnings[0].contains("mode 644"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_told_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        for (number, text) in ["", "{", r#"{"version":1,"users":[{"name":"geheim"}]}"#, r#"{"version":9}"#]
            .into_iter()
            .enumerate()
        {
            fs::write(&path, text).unwrap();
            let opened = AccountsFile::open(folder.path()).unwrap();
            assert!(opened.is_damaged && opened.book.needs_setup());
            let told = opened.warnings.join("\n");
            let aside = folder.path().join(format!("{NAME}.damaged-{}", number + 1));
            assert!(
                told.contains(&aside.display().to_string()) && told.contains("NOBODY CAN SIGN IN"),
                "{told}"
            );
            assert!(!told.contains("geheim") && fs::read_to_string(&aside).unwrap() == text);
            assert_eq!(fs::metadata(&aside).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
