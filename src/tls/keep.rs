//! Where the certificate comes from: made, renewed and kept in the data folder, or the owner's own files, reloaded when they change.
//!
//! Time comes in as an argument, but for [`Keeper::run`]. Not here: what a pair must be ([`super::pair`]).

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::pair::{self, Pair};
use super::{Certificate, Facts};
use crate::atomic;
use crate::shutdown::Shutdown;

/// How long before its end a certificate of ours is replaced.
const RENEW_BEFORE: Duration = Duration::from_hours(30 * 24);
/// How long before its end the owner of a certificate is reminded.
const REMIND_BEFORE: Duration = Duration::from_hours(14 * 24);
/// After a renewal failed, when it is tried again.
const RETRY_AFTER: Duration = Duration::from_hours(1);
/// How often the files and the date are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Where the certificate comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// We make it ourselves.
    Made {
        /// The folder for `cert.pem` and `key.pem`.
        folder: PathBuf,
        /// Host names and IP addresses that a new one is for; the first names the machine.
        names: Vec<String>,
    },
    /// It is the owner's.
    Given {
        /// PEM file with the certificate and those between it and its authority.
        cert_file: PathBuf,
        /// PEM file with its private key.
        key_file: PathBuf,
    },
}

/// Something worth a line in the logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// A sentence.
    pub text: String,
    /// Somebody should do something.
    pub is_warning: bool,
}

/// Who looks after the certificate.
pub struct Keeper {
    source: Source,
    certificate: Arc<Certificate>,
    /// The files that were read last, good or not.
    read: Stamps,
    /// The files at the last look. They are read when they have stayed the same for two looks: a pair is not replaced at once.
    seen: Stamps,
    reminded: Expiry,
    retry: Option<Timestamp>,
}

/// What tells one version of a file from another.
type Stamp = Option<(i64, i64, u64, u64)>;
type Stamps = [Stamp; 2];

/// How near the end of a certificate is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Expiry {
    Far,
    Near,
    Over,
}

impl Keeper {
    /// Reads the certificate, or makes the first one; and what there is to tell.
    ///
    /// # Errors
    /// A sentence, when the owner's files cannot be used or ours cannot be written.
    pub fn open(source: Source, now: Timestamp) -> Result<(Self, Vec<News>), String> {
        let read = source.stamps();
        let (pair, mut news) = match &source {
            Source::Made { folder, names } => kept_or_made(folder, names, now)?,
            Source::Given { .. } => (source.given()?, Vec::new()),
        };
        news.push(News::fact(format!("The certificate for TLS is {}", describe(&pair.facts))));
        let certificate = Certificate::new(pair);
        let reminded = Expiry::Far;
        let mut keeper = Self { source, certificate, seen: read, read, reminded, retry: None };
        news.extend(keeper.remind(now));
        Ok((keeper, news))
    }

    /// What the listeners show; always the newest.
    #[must_use]
    pub fn certificate(&self) -> Arc<Certificate> {
        Arc::clone(&self.certificate)
    }

    /// Looks at the date and at the owner's files, and shows another certificate if there is one.
    pub fn look(&mut self, now: Timestamp) -> Option<News> {
        match &self.source {
            Source::Made { folder, names } => {
                let is_due = is_due(&self.certificate.facts(), now) && self.retry.is_none_or(|at| now >= at);
                if !is_due {
                    return None;
                }
                let made = make(folder, names, now);
                Some(self.renewed(made, now))
            }
            Source::Given { .. } => {
                let stamps = self.source.stamps();
                let is_settled = stamps == std::mem::replace(&mut self.seen, stamps);
                if stamps == self.read || !is_settled {
                    return self.remind(now);
                }
                self.read = stamps;
                Some(self.reloaded())
            }
        }
    }

    /// Looks now and then until the signal; `tell` hears what happened.
    pub async fn run(mut self, shutdown: Shutdown, tell: impl Fn(News) + Send) {
        loop {
            tokio::select! {
                () = shutdown.triggered() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            // The files may lie where reading takes its time.
            let look = move || {
                let news = self.look(Timestamp::now());
                (self, news)
            };
            match tokio::task::spawn_blocking(look).await {
                Ok((keeper, news)) => {
                    self = keeper;
                    news.into_iter().for_each(&tell);
                }
                Err(_panicked_or_stopped) => return,
            }
        }
    }

    fn renewed(&mut self, made: Result<Pair, String>, now: Timestamp) -> News {
        match made {
            Ok(pair) => {
                self.retry = None;
                let text = format!("The certificate for TLS was renewed: it is {}", describe(&pair.facts));
                self.certificate.show(pair);
                News::fact(text)
            }
            Err(why) => {
                self.retry = Some(now + RETRY_AFTER);
                News::warning(format!(
                    "The certificate for TLS could not be renewed: {why}. It is tried again in an hour"
                ))
            }
        }
    }

    fn reloaded(&mut self) -> News {
        match self.source.given() {
            Ok(pair) => {
                self.reminded = Expiry::Far;
                let text = format!("The certificate for TLS was read anew: it is {}", describe(&pair.facts));
                self.certificate.show(pair);
                News::fact(text)
            }
            Err(why) => {
                News::warning(format!("The new certificate for TLS is not used, the one before stays: {why}"))
            }
        }
    }

    /// Reminds of an end that comes near; each time once.
    fn remind(&mut self, now: Timestamp) -> Option<News> {
        let facts = self.certificate.facts();
        let is_ours = matches!(self.source, Source::Made { .. });
        let expiry = expiry(&facts, now);
        let is_new = expiry > self.reminded;
        self.reminded = expiry;
        let word = match expiry {
            Expiry::Near => "ends",
            Expiry::Over => "has ended",
            Expiry::Far => return None,
        };
        let text = format!(
            "The certificate in tls.cert_file {word} at {}; put a new pair in its place",
            facts.not_after
        );
        (is_new && !is_ours).then(|| News::warning(text))
    }
}

impl Source {
    fn files(&self) -> [PathBuf; 2] {
        match self {
            Self::Made { folder, .. } => files(folder),
            Self::Given { cert_file, key_file } => [cert_file.clone(), key_file.clone()],
        }
    }

    fn stamps(&self) -> Stamps {
        self.files().map(|file| {
            let file = std::fs::metadata(file).ok()?;
            Some((file.mtime(), file.mtime_nsec(), file.ino(), file.len()))
        })
    }

    /// The owner's pair; the error names the keys.
    fn given(&self) -> Result<Pair, String> {
        let [cert_file, key_file] = self.files();
        let read = |key: &str, file: &Path| {
            std::fs::read(file).map_err(|error| format!("{key}: {} cannot be read: {error}", file.display()))
        };
        let (certificate, key) = (read("tls.cert_file", &cert_file)?, read("tls.key_file", &key_file)?);
        pair::read(&certificate, &key).map_err(|why| {
            format!("tls.cert_file {} with tls.key_file {}: {why}", cert_file.display(), key_file.display())
        })
    }
}

impl News {
    fn fact(text: String) -> Self {
        Self { text, is_warning: false }
    }

    fn warning(text: String) -> Self {
        Self { text, is_warning: true }
    }
}

fn files(folder: &Path) -> [PathBuf; 2] {
    [folder.join("cert.pem"), folder.join("key.pem")]
}

/// A certificate that is not valid *yet* is kept: it is more likely that the clock has not been set, on a board without one of its own.
fn is_due(facts: &Facts, now: Timestamp) -> bool {
    now + RENEW_BEFORE >= facts.not_after
}

fn expiry(facts: &Facts, now: Timestamp) -> Expiry {
    match facts.not_after {
        end if now >= end => Expiry::Over,
        end if now + REMIND_BEFORE >= end => Expiry::Near,
        _later => Expiry::Far,
    }
}

fn describe(facts: &Facts) -> String {
    let signer = if facts.is_self_signed { "self-signed" } else { "signed by an authority" };
    let (names, end) = (facts.names.join(", "), facts.not_after);
    format!("{signer}, for {names}, valid until {end}, SHA-256 fingerprint {}", facts.fingerprint)
}

/// The certificate in the folder, or a new one if that is missing, damaged or too old.
fn kept_or_made(folder: &Path, names: &[String], now: Timestamp) -> Result<(Pair, Vec<News>), String> {
    let [cert_file, key_file] = files(folder);
    let why = match (std::fs::read(&cert_file), std::fs::read(&key_file)) {
        (Ok(certificate), Ok(key)) => {
            keep_private(&key_file).map_err(|error| unwritten(&key_file, &error))?;
            match pair::read(&certificate, &key) {
                Ok(pair) if !is_due(&pair.facts, now) => return Ok((pair, Vec::new())),
                Ok(_) => News::fact("The certificate for TLS is old; a new one is made".into()),
                Err(why) => News::warning(format!("{}: {why}; a new certificate is made", folder.display())),
            }
        }
        (Err(one), Err(other)) if [one.kind(), other.kind()] == [io::ErrorKind::NotFound; 2] => {
            return Ok((make(folder, names, now)?, Vec::new()));
        }
        (Err(why), _) | (_, Err(why)) => {
            News::warning(format!("{}: {why}; a new certificate is made", folder.display()))
        }
    };
    Ok((make(folder, names, now)?, vec![why]))
}

/// Makes a pair and writes it, the key first: a power cut between the two leaves a pair that does not fit, which the next start replaces.
fn make(folder: &Path, names: &[String], now: Timestamp) -> Result<Pair, String> {
    let made = pair::make(names, now)?;
    let [cert_file, key_file] = files(folder);
    std::fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
    for (file, text, mode) in [(&key_file, &made.key, 0o600), (&cert_file, &made.certificate, 0o644)] {
        atomic::replace(file, text.as_bytes(), mode).map_err(|error| unwritten(file, &error))?;
    }
    pair::read(made.certificate.as_bytes(), made.key.as_bytes())
}

fn unwritten(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be written: {error}", path.display())
}

/// A copy from elsewhere may have come with other rights.
fn keep_private(key_file: &Path) -> io::Result<()> {
    let mut rights = std::fs::metadata(key_file)?.permissions();
    if rights.mode() & 0o077 == 0 {
        return Ok(());
    }
    rights.set_mode(0o600);
    std::fs::set_permissions(key_file, rights)
}

#[cfg(test)]
mod tests;
