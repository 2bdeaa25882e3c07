//! What leaves the house: the targets that are told, and whom to ask for our own address.
//!
//! Not here: telling and asking; see [`crate::notify`] and [`crate::public_address`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lettre::message::{Mailbox, Mailboxes};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};

use super::check::{login_of, readable, secret};
use super::faults::Faults;
use super::keys::{FAMILIES, KEYS};
use super::values::Values;
use super::{Id, Login, Secret};
use crate::logic::rules::{self, Rule};

/// One target: whom to tell of what.
#[derive(Clone, Debug)]
pub struct Notify {
    /// The last part of `notify.<name>`.
    pub name: Id,
    /// Of what it is told.
    pub rule: Rule,
    /// How it is told.
    pub way: Way,
    /// Whether pictures go along.
    pub picture: bool,
    /// How long a message is tried again, 1 hour to a week.
    pub give_up_after: Duration,
}

/// How a target is told.
#[derive(Clone, Debug)]
pub enum Way {
    /// A mail to some people.
    Mail(Mail),
    /// A request to a web server.
    Hook(Hook),
}

/// A mail server and whom to write.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Host name or IP address.
    pub server: String,
    /// TCP port, never 0.
    pub port: u16,
    /// How it is talked to.
    pub security: Security,
    /// Whose certificates are trusted.
    pub trust: Trust,
    /// The user there; none = no login.
    pub login: Option<Login>,
    /// Who writes.
    pub from: Mailbox,
    /// Who is written to; at least one.
    pub to: Mailboxes,
}

/// How a mail server is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// In the clear until both sides have agreed on TLS; without TLS nothing is sent.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// In the clear.
    None,
}

/// A web server and what it understands.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Where; it parses as a [`reqwest::Url`]. Secret, since many such addresses let in whoever knows them.
    pub url: Secret,
    /// Whose certificates are trusted.
    pub trust: Trust,
    /// Who we are there.
    pub token: Option<Secret>,
    /// What it understands.
    pub form: Form,
}

/// What a web server understands.
#[derive(Clone, Debug)]
pub enum Form {
    /// The event as JSON.
    Json {
        /// Signs it.
        secret: Option<Secret>,
    },
    /// What ntfy takes.
    Ntfy {
        /// The topic at that server.
        topic: String,
    },
    /// What OneSignal takes.
    OneSignal {
        /// The app whose users are told.
        app_id: String,
        /// The segments of them.
        segments: Vec<String>,
    },
}

/// Who is asked for our own address, and how often.
#[derive(Clone, Debug)]
pub struct PublicAddress {
    /// Who.
    pub ask: Ask,
    /// 1 minute to 1 day.
    pub interval: Duration,
    /// Whose certificates are trusted.
    pub trust: Trust,
}

/// Who is asked for our own address.
#[derive(Clone, Debug)]
pub enum Ask {
    /// A web server that answers with it; it parses as a [`reqwest::Url`].
    Http(Secret),
    /// A name server.
    Dns(Question),
}

/// A name, and the name server that is asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name.
    pub name: String,
    /// Host name or IP address of the server.
    pub server: String,
    /// UDP port, 53 unless another was written.
    pub port: u16,
}

impl Question {
    /// Reads `NAME@SERVER` or `NAME@SERVER:PORT`; an IPv6 address with a port stands in brackets.
    ///
    /// # Errors
    /// What is needed.
    pub fn parse(text: &str) -> Result<Question, String> {
        Self::read(text).ok_or_else(|| {
            "needs dns:NAME@SERVER or dns:NAME@SERVER:PORT, such as dns:home.example.org@192.0.2.53"
                .to_owned()
        })
    }

    fn read(text: &str) -> Option<Question> {
        let (name, at) = text.split_once('@')?;
        let (server, port) = match at.strip_prefix('[') {
            Some(rest) => {
                let (server, port) = rest.split_once(']')?;
                server.parse::<std::net::Ipv6Addr>().ok()?;
                (server, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None if at.parse::<std::net::Ipv6Addr>().is_ok() => (at, None),
            None => at.split_once(':').map_or((at, None), |(server, port)| (server, Some(port))),
        };
        let port = port.map_or(Some(53), |port| port.parse().ok().filter(|port| *port != 0))?;
        let plain = |text: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
            !text.is_empty() && text.len() <= 253 && text.chars().all(fits)
        };
        let labels = name.trim_end_matches('.').split('.');
        let is_name = labels.into_iter().all(|label| (1..=63).contains(&label.len()));
        (plain(name) && !name.contains(':') && is_name && plain(server)).then(|| Question {
            name: name.to_owned(),
            server: server.to_owned(),
            port,
        })
    }
}

/// Whose certificates are trusted: the authorities in a PEM file, or those of the system.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The key that names the file, for messages.
    pub key: String,
    /// The file; none = those of the system.
    pub ca_file: Option<PathBuf>,
}

impl Trust {
    /// The authorities. The file is read each time, so that a mended one counts at once.
    ///
    /// # Errors
    /// A sentence that names the key, when there is none to trust.
    pub fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let key = &self.key;
        let Some(path) = &self.ca_file else {
            let found = rustls_native_certs::load_native_certs().certs;
            let none = format!("the system trusts no certificate authority; set {key} to the server's CA");
            return if found.is_empty() { Err(none) } else { Ok(found) };
        };
        let read = CertificateDer::pem_file_iter(path)
            .and_then(|certificates| certificates.collect::<Result<Vec<_>, pem::Error>>());
        match read {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(format!("{key}: {} holds no certificate", path.display())),
            Err(error) => Err(format!("{key}: {} cannot be used: {error}", path.display())),
        }
    }

    /// TLS for a client of `url`; an address without TLS trusts nobody, so that it needs no authorities.
    ///
    /// # Errors
    /// A sentence that names the key, when there is none to trust.
    pub fn client_config(&self, url: &reqwest::Url) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        if url.scheme() == "https" && roots.add_parsable_certificates(self.authorities()?).0 == 0 {
            return Err(format!("{}: none of its certificates can be used", self.key));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports the default versions");
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }
}

/// Which keys only some types take. Ignoring them in silence would leave their writer wondering.
const OF_TYPES: &[(&str, &[&str])] = &[
    ("mail", &["server", "port", "security", "username", "password", "password_file", "from", "to"]),
    ("webhook", &["url", "token", "token_file", "secret", "secret_file"]),
    ("ntfy", &["url", "token", "token_file", "topic"]),
    ("onesignal", &["url", "token", "token_file", "app_id", "segments"]),
];

/// OneSignal's own address.
const ONESIGNAL: &str = "https://api.onesignal.com/notifications";

pub(super) fn targets(values: &Values, faults: &mut Faults) -> Vec<Notify> {
    let names = values.names("notify");
    let most = FAMILIES.iter().find(|family| family.path == "notify").and_then(|family| family.most);
    if let Some(most) = most.filter(|most| names.len() > *most) {
        faults.add("notify", format!("{} targets are more than {most}; remove some", names.len()), "");
    }
    names.iter().filter_map(|name| Section::new(values, name).target(faults)).collect()
}

/// One `[notify.<name>]`.
struct Section<'a> {
    values: &'a Values,
    name: &'a str,
    path: String,
    kind: String,
}

impl<'a> Section<'a> {
    fn new(values: &'a Values, name: &'a str) -> Self {
        let path = format!("notify.{name}");
        let kind = values.text(&format!("{path}.type"));
        Self { values, name, path, kind }
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn text(&self, name: &str) -> String {
        self.values.text(&self.key(name))
    }

    /// None when something is missing, which is then among the faults.
    fn target(&self, faults: &mut Faults) -> Option<Notify> {
        // Without a known type nothing can be said of the other keys.
        if is_at_fault(&self.key("type"), faults) {
            return None;
        }
        self.foreign_keys(faults);
        let rule = self.rule(faults);
        let way = match self.kind.as_str() {
            "mail" => Way::Mail(self.mail(faults)?),
            _ => Way::Hook(self.hook(faults)?),
        };
        Some(Notify {
            name: Id(self.name.to_owned()),
            rule,
            way,
            picture: self.values.switch(&self.key("picture")) && self.kind != "onesignal",
            give_up_after: Duration::from_hours(self.values.integer(&self.key("give_up_after"))),
        })
    }

    fn foreign_keys(&self, faults: &mut Faults) {
        let takes = |kind: &str, name: &str| {
            OF_TYPES.iter().any(|(word, names)| *word == kind && names.contains(&name))
        };
        for name in KEYS.iter().filter(|key| key.section() == "notify.*").map(super::keys::Key::name) {
            let types: Vec<&str> =
                OF_TYPES.iter().map(|(kind, _)| *kind).filter(|kind| takes(kind, name)).collect();
            let key = self.key(name);
            if !types.is_empty() && !types.contains(&self.kind.as_str()) && self.values.differs(&key) {
                let message = format!(
                    "only for type {}, but {} is {}; remove it, or set the type",
                    types.join(", "),
                    self.key("type"),
                    self.kind
                );
                faults.add(&key, message, self.values.place(&key));
            }
        }
    }

    fn rule(&self, faults: &mut Faults) -> Rule {
        let checked = "the text was checked when it was read";
        let words = |name: &str| rules::list(&self.text(name)).map(str::to_owned).collect::<Vec<_>>();
        let away = self.values.switch(&self.key("only_when_away"));
        let away_after = Duration::from_secs(self.values.integer(&self.key("away_after")));
        let cameras = words("cameras");
        let known = self.values.names("cameras");
        if let Some(odd) = cameras.iter().find(|id| !known.is_empty() && !known.contains(id)) {
            let key = self.key("cameras");
            let message = format!("there is no camera {odd}, only {}", known.join(", "));
            faults.add(&key, message, self.values.place(&key));
        }
        Rule {
            kinds: rules::kinds(&self.text("events")).expect(checked),
            cameras,
            people: words("people"),
            hours: rules::hours(&self.text("hours")).expect(checked),
            days: rules::days(&self.text("days")).expect(checked),
            away_after: away.then_some(away_after),
            quiet_too: self.values.switch(&self.key("quiet_too")),
        }
    }

    /// A text that may not be empty.
    fn needed(&self, name: &str, faults: &mut Faults) -> Option<String> {
        let key = self.key(name);
        let found = self.values.filled(&key);
        if found.is_none() && !is_at_fault(&key, faults) {
            let message = format!("needed for type {}", self.kind);
            faults.add(&key, message, self.values.place(&self.key("type")));
        }
        found
    }

    fn trust(&self, faults: &mut Faults) -> Trust {
        let key = self.key("ca_file");
        Trust { ca_file: readable(self.values, &key, faults), key }
    }

    fn mail(&self, faults: &mut Faults) -> Option<Mail> {
        let checked = "the address was checked when it was read";
        let [server, from, to] = ["server", "from", "to"].map(|name| self.needed(name, faults));
        let security = match self.text("security").as_str() {
            "tls" => Security::Tls,
            "none" => Security::None,
            _ => Security::StartTls,
        };
        let port = match (self.values.integer(&self.key("port")), security) {
            (0, Security::StartTls) => 587,
            (0, Security::Tls) => 465,
            (0, Security::None) => 25,
            (port, _) => port,
        };
        let password = secret(self.values, &self.key("password"), faults);
        let login = login_of(self.values, &self.path, password, faults);
        let trust = self.trust(faults);
        Some(Mail {
            server: server?,
            port,
            security,
            trust,
            login,
            from: from?.parse().expect(checked),
            to: to?.parse().expect(checked),
        })
    }

    fn hook(&self, faults: &mut Faults) -> Option<Hook> {
        let url = match self.kind.as_str() {
            "onesignal" => Some(self.values.filled(&self.key("url")).unwrap_or_else(|| ONESIGNAL.to_owned())),
            _ => self.needed("url", faults),
        };
        let token = secret(self.values, &self.key("token"), faults);
        if token.as_ref().is_some_and(|token| !token.expose().bytes().all(|byte| byte.is_ascii_graphic())) {
            let key = self.key("token_file");
            let message = "the first line of the file needs plain characters, without spaces";
            faults.add(&key, message, self.values.place(&key));
        }
        let form = match self.kind.as_str() {
            "ntfy" => self.needed("topic", faults).map(|topic| Form::Ntfy { topic }),
            "onesignal" => {
                if token.is_none() && !self.values.is_set(&self.key("token_file")) {
                    self.needed("token", faults);
                }
                let segments = rules::list(&self.text("segments")).map(str::to_owned).collect();
                self.needed("app_id", faults).map(|app_id| Form::OneSignal { app_id, segments })
            }
            _ => Some(Form::Json { secret: secret(self.values, &self.key("secret"), faults) }),
        };
        let trust = self.trust(faults);
        Some(Hook { url: Secret::new(url?), trust, token, form: form? })
    }
}

/// Whether something is wrong with the key already, so that it is told once.
fn is_at_fault(key: &str, faults: &Faults) -> bool {
    faults.iter().any(|fault| fault.key == key)
}

pub(super) fn public_address(values: &Values, faults: &mut Faults) -> Option<PublicAddress> {
    let key = "public_address.ca_file".to_owned();
    let trust = Trust { ca_file: readable(values, &key, faults), key };
    let ask = values.filled("public_address.ask")?;
    let ask = match ask.strip_prefix("dns:") {
        Some(question) => Ask::Dns(Question::parse(question).expect("checked when it was read")),
        None => Ask::Http(Secret::new(ask)),
    };
    Some(PublicAddress {
        ask,
        interval: Duration::from_secs(values.integer("public_address.interval")),
        trust,
    })
}
