//! `secrets.json`: what the appliance made at its first run to keep strangers out. Readable by its owner only.
//!
//! Not here: comparing and checking them; see the HTTP side and the broker.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Error;
use super::damaged::{self, Found};
use crate::atomic;
use crate::config::Secret;

const VERSION: u32 = 1;
const FILE_MODE: u32 = 0o600;

/// Thirty-two signs that people can read out and type: no 0 and o, no 1, l and i. Each is worth 5 bits, and 256 is a
/// multiple of 32, so that a random byte chooses each equally often.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789_";

/// 28 signs are 140 bits.
const TOKEN_SIGNS: usize = 28;

/// 20 signs are 100 bits.
const PASSWORD_SIGNS: usize = 20;

/// The secrets of this appliance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// Lets a browser or a camera integration in.
    pub http_token: Secret,
    /// The embedded broker's user `doorward`: this appliance itself.
    pub broker_doorward: Secret,
    /// The embedded broker's user `homeassistant`: Home Assistant, and people with `mosquitto_sub`.
    pub broker_homeassistant: Secret,
}

/// What [`Secrets::open`] found.
#[derive(Debug)]
pub struct Opened {
    /// The secrets.
    pub secrets: Secrets,
    /// They are new: show them once.
    pub created: bool,
    /// Sentences for the log.
    pub warnings: Vec<String>,
}

/// The file's layout. No `Debug`: it holds plain text.
#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    http_token: String,
    broker: BrokerUsers,
}

#[derive(Serialize, Deserialize)]
struct BrokerUsers {
    doorward: String,
    homeassistant: String,
}

impl Secrets {
    /// Opens `secrets.json` in the folder, and makes both if they are missing. Wrong permissions are put right; a
    /// damaged file is set aside and everything in it is new.
    ///
    /// # Errors
    /// When the folder or the file cannot be used, or the system gives no random bytes.
    pub fn open(folder: &Path) -> Result<Opened, Error> {
        let mut warnings = Vec::new();
        super::make_folder(folder)?;
        warnings.extend(open_folder(folder)?);
        let path = folder.join("secrets.json");
        warnings.extend(close_file(&path)?);
        match damaged::read(&path, good)? {
            Found::Good(content) => return Ok(Opened { secrets: content.into(), created: false, warnings }),
            Found::Nothing => {}
            Found::SetAside(why) => warnings.push(format!("{why}; the token and the passwords are new")),
        }
        let content = random_content().map_err(Error::new("make random passwords for", &path))?;
        let mut bytes = serde_json::to_vec_pretty(&content).expect("texts always become JSON");
        bytes.push(b'\n');
        atomic::replace(&path, &bytes, FILE_MODE).map_err(Error::new("write", &path))?;
        Ok(Opened { secrets: content.into(), created: true, warnings })
    }
}

impl From<Content> for Secrets {
    fn from(content: Content) -> Self {
        Self {
            http_token: Secret::new(content.http_token),
            broker_doorward: Secret::new(content.broker.doorward),
            broker_homeassistant: Secret::new(content.broker.homeassistant),
        }
    }
}

/// An empty secret would let everybody in. A short one may be the owner's own choice.
fn good(content: &Content) -> Result<(), String> {
    let all = [&content.http_token, &content.broker.doorward, &content.broker.homeassistant];
    if content.version != VERSION {
        Err(format!("its version {} is not known to this program", content.version))
    } else if all.iter().any(|secret| secret.chars().count() < 8) {
        Err("a secret in it has fewer than 8 characters".to_owned())
    } else {
        Ok(())
    }
}

fn random_content() -> io::Result<Content> {
    let broker =
        BrokerUsers { doorward: random_text(PASSWORD_SIGNS)?, homeassistant: random_text(PASSWORD_SIGNS)? };
    Ok(Content { version: VERSION, http_token: random_text(TOKEN_SIGNS)?, broker })
}

fn random_text(n_signs: usize) -> io::Result<String> {
    let mut bytes = vec![0; n_signs];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

/// Tells when other users could put another file in the place of ours.
fn open_folder(folder: &Path) -> Result<Option<String>, Error> {
    let mode = fs::metadata(folder).map_err(Error::new("read", folder))?.permissions().mode();
    let folder = folder.display();
    Ok((mode & 0o022 != 0).then(|| {
        let mode = mode & 0o7777;
        format!("other users of this machine can write to the data folder {folder} (mode {mode:o}); close it with: chmod 700 {folder}")
    }))
}

/// Takes the file away from other users, if it is there.
pub(super) fn close_file(path: &Path) -> Result<Option<String>, Error> {
    let found = match fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::new("read", path)(error)),
    };
    if found & 0o077 == 0 {
        return Ok(None);
    }
    fs::set_permissions(path, Permissions::from_mode(FILE_MODE))
        .map_err(Error::new("close to other users", path))?;
    let path = path.display();
    Ok(Some(format!(
        "{path} was open to other users of this machine (mode {found:o}) and is closed now; if others use it, delete the \
         file and start again for new passwords"
    )))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn secrets_are_made_once_and_are_private() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let first = Secrets::open(&folder).unwrap();
        assert!(first.created && first.warnings.is_empty());
        assert_eq!((mode(&folder), mode(&folder.join("secrets.json"))), (0o700, 0o600));
        let again = Secrets::open(&folder).unwrap();
        assert!(!again.created && again.warnings.is_empty());
        assert_eq!(again.secrets, first.secrets);
        let shown = format!("{first:?}");
        for secret in
            [&first.secrets.http_token, &first.secrets.broker_doorward, &first.secrets.broker_homeassistant]
        {
            assert!(!shown.contains(secret.expose()) && !format!("{secret}").contains(secret.expose()));
            assert!(secret.expose().bytes().all(|sign| ALPHABET.contains(&sign)));
        }
        // 5 bits a sign.
        assert!(first.secrets.http_token.expose().len() * 5 >= 128);
        assert!(first.secrets.broker_doorward.expose().len() * 5 >= 80);
        assert_ne!(first.secrets.broker_doorward, first.secrets.broker_homeassistant);
    }

    #[test]
    fn every_sign_is_used_and_no_two_texts_are_equal() {
        assert_eq!(ALPHABET.iter().collect::<BTreeSet<_>>().len(), 32);
        let texts: BTreeSet<String> = (0..200).map(|_| random_text(TOKEN_SIGNS).unwrap()).collect();
        assert_eq!(texts.len(), 200);
        let signs: BTreeSet<char> = texts.iter().flat_map(|text| text.chars()).collect();
        assert_eq!(signs.len(), 32);
    }

    #[test]
    fn wrong_permissions_are_put_right_and_told() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let first = Secrets::open(&folder).unwrap();
        let file = folder.join("secrets.json");
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let again = Secrets::open(&folder).unwrap();
        assert_eq!(again.secrets, first.secrets);
        assert_eq!(mode(&file), 0o600);
        assert_eq!(again.warnings.len(), 1);
        assert!(again.warnings[0].contains("secrets.json") && again.warnings[0].contains("(mode 644)"));
    }

    #[test]
    fn a_folder_of_others_is_left_alone_but_told_when_it_is_dangerous() {
        let parent = tempfile::tempdir().unwrap();
        for (given, dangerous) in [(0o755, false), (0o700, false), (0o775, true), (0o777, true)] {
            fs::set_permissions(parent.path(), Permissions::from_mode(given)).unwrap();
            let told = Secrets::open(parent.path()).unwrap().warnings.join("\n");
            assert_eq!(told.contains("chmod 700"), dangerous, "{given:o}: {told}");
            assert_eq!(mode(parent.path()), given);
        }
        fs::set_permissions(parent.path(), Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn the_folder_is_private_whoever_makes_it() {
        let parent = tempfile::tempdir().unwrap();
        let folders = ["by-state", "by-identity"].map(|name| parent.path().join(name));
        crate::store::StateFile::open(&folders[0]).unwrap();
        crate::store::IdentityFile::open(&folders[1]).unwrap();
        for folder in &folders {
            assert_eq!(mode(folder), 0o700);
            assert!(Secrets::open(folder).unwrap().warnings.is_empty());
        }
    }

    #[test]
    fn a_leftover_temporary_file_never_lends_its_permissions() {
        let parent = tempfile::tempdir().unwrap();
        let leftover = parent.path().join("secrets.json.tmp");
        fs::write(&leftover, "x").unwrap();
        fs::set_permissions(&leftover, Permissions::from_mode(0o666)).unwrap();
        Secrets::open(parent.path()).unwrap();
        assert_eq!(mode(&parent.path().join("secrets.json")), 0o600);
    }

    #[test]
    fn a_damaged_or_empty_secret_is_never_used_and_never_shown() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("secrets.json");
        let empty =
            r#"{"version":1,"http_token":"","broker":{"doorward":"geheim123","homeassistant":"geheim123"}}"#;
        let wrong = r#"{"version":1,"http_token":"geheim123","broker":"geheim123"}"#;
        for (number, text) in [empty, wrong, ""].iter().enumerate() {
            fs::write(&file, text).unwrap();
            let opened = Secrets::open(parent.path()).unwrap();
            assert!(opened.created);
            let aside = parent.path().join(format!("secrets.json.damaged-{}", number + 1));
            let told = opened.warnings.join("\n");
            assert!(told.contains(&aside.display().to_string()) && !told.contains("geheim"), "{told}");
            assert_eq!(mode(&aside), 0o600);
        }
    }
}
