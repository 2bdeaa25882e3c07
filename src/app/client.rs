//! The command line's way to a running appliance: the same requests as anybody's, over HTTP, with the token of the data folder.
//!
//! Not here: what the requests mean; see `crate::logic`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;

use super::address;
use crate::config::Config;
use crate::config::cli::{Audit, AuditFilter, Configure, EventFilter, Events, Faces, Notify, Seen, Whom};
use crate::logic::faces::training::image_text;
use crate::store::Secrets;

/// Longer than the slowest answer of the appliance.
const PATIENCE: Duration = Duration::from_secs(90);

/// Carries out a command about faces and says what came of it.
///
/// # Errors
/// With the appliance's words, or why there were none.
pub fn faces(config: &Config, command: Faces, mut say: impl FnMut(&str)) -> anyhow::Result<()> {
    let client = Client::new(config)?;
    let (verb, body) = match command {
        Faces::List => ("list", Map::new()),
        Faces::Enrol { name, photos, event, capture, camera, force } if photos.is_empty() => {
            let capture = (capture || event.is_none()).then_some(true);
            let rest = [("event_id", json!(event)), ("capture", json!(capture)), ("camera", json!(camera))];
            ("enrol", fields([("name", json!(name)), ("force", json!(force))].into_iter().chain(rest)))
        }
        Faces::Enrol { name, photos, force, .. } => return client.enrol_all(&name, &photos, force, say),
        Faces::Assign { name, seen: Seen { event, group }, force } => {
            let seen = [("event_id", json!(event)), ("group", json!(group))];
            ("assign", fields(seen.into_iter().chain([("name", json!(name)), ("force", json!(force))])))
        }
        Faces::Reject { event } => ("reject", fields([("event_id", json!(event))])),
        Faces::Ignore(whom) => ("ignore", whom_fields(whom)),
        Faces::Forget(whom) => ("forget", whom_fields(whom)),
        Faces::Test { photo, picture } => {
            if let Some(file) = picture {
                let svg = client.ask(Method::GET, "/api/faces/self_test.svg", Bytes::new())?;
                std::fs::write(&file, svg).with_context(|| file.display().to_string())?;
            }
            let image = photo.map(|photo| read(&photo).map(|bytes| image_text(&bytes))).transpose()?;
            ("test", fields([("image_b64", json!(image))]))
        }
    };
    say(&client.teach(verb, body)?);
    Ok(())
}

/// Asks why there was no event.
///
/// # Errors
/// With the appliance's words, or why there were none.
pub fn why(config: &Config, question: [(&str, Option<String>); 3]) -> anyhow::Result<String> {
    let path = format!("/api/why?{}", query(question));
    pretty(&Client::new(config)?.ask(Method::GET, &path, Bytes::new())?)
}

/// Carries out a command about events that are kept.
///
/// # Errors
/// With the appliance's words, or why there were none.
pub fn events(config: &Config, command: Events) -> anyhow::Result<String> {
    let of = |event: &str| format!("/api/events/{}", escaped(event));
    let (method, path, body) = match command {
        Events::List(filter) => {
            let EventFilter { from, to, types, camera, person, limit, offset } = filter;
            let fields = [
                ("from", from),
                ("to", to),
                ("type", types),
                ("camera", camera),
                ("person", person),
                ("limit", limit.map(|limit| limit.to_string())),
                ("offset", offset.map(|offset| offset.to_string())),
            ];
            (Method::GET, format!("/api/events?{}", query(fields)), "")
        }
        Events::Get { event } => (Method::GET, of(&event), ""),
        Events::Pin { event, undo } => {
            (Method::PUT, format!("{}/pinned", of(&event)), if undo { "OFF" } else { "ON" })
        }
        Events::Delete { event } => (Method::DELETE, of(&event), ""),
    };
    pretty(&Client::new(config)?.ask(method, &path, Bytes::from(body))?)
}

/// Carries out a command about the audit log.
///
/// # Errors
/// With the appliance's words, or why there were none.
pub fn audit(config: &Config, command: Audit) -> anyhow::Result<String> {
    let (verb, body) = match command {
        Audit::List(AuditFilter { from, to, level, types, user, address, alert, limit, offset }) => {
            let words =
                [("from", json!(from)), ("to", json!(to)), ("level", json!(level)), ("type", json!(types))];
            let whom = [("user", json!(user)), ("address", json!(address)), ("alert", json!(alert))];
            let page = [("limit", json!(limit)), ("offset", json!(offset))];
            ("audit/list", fields(words.into_iter().chain(whom).chain(page)))
        }
        Audit::Clear => ("audit/clear", Map::new()),
    };
    Ok(serde_json::to_string_pretty(&Client::new(config)?.request(verb, &body)?)? + "\n")
}

/// Sends a trial message, and says for each target what came of it.
///
/// # Errors
/// When one did not arrive, with the appliance's words, or why there were none.
pub fn notify(config: &Config, command: Notify, mut say: impl FnMut(&str)) -> anyhow::Result<()> {
    let Notify::Test { target } = command;
    let path = format!("/api/notify/test?{}", query([("target", target)]));
    let answer: Value =
        serde_json::from_slice(&Client::new(config)?.ask(Method::POST, &path, Bytes::new())?)?;
    let mut n_failed = 0;
    for target in answer["targets"].as_array().into_iter().flatten() {
        let word = if target["ok"] == true { "arrived" } else { "failed" };
        n_failed += usize::from(target["ok"] != true);
        let text = |key: &str| target[key].as_str().unwrap_or_default().to_owned();
        say(&format!("{}: {word}. {}\n", text("target"), text("detail")));
    }
    if n_failed > 0 { bail!("{n_failed} of the messages did not arrive") } else { Ok(()) }
}

/// Carries out a command about the appliance itself.
///
/// # Errors
/// With the appliance's words, or why there were none.
pub fn admin(config: &Config, command: Admin) -> anyhow::Result<String> {
    let (verb, body) = match command {
        Admin::Configure(Configure::Get { key }) => ("config/get", fields([("path", json!(key))])),
        Admin::Configure(Configure::Validate { file }) => {
            ("config/validate", fields([("toml", json!(text_of(&file)?))]))
        }
        Admin::Configure(Configure::Set { file: Some(file), .. }) => {
            ("config/set", fields([("toml", json!(text_of(&file)?))]))
        }
        Admin::Configure(Configure::Set { key, value, .. }) => {
            // No value stands for the default, so the field has to be there.
            let mut body = fields([("path", json!(key))]);
            body.insert("value".into(), json!(value));
            ("config/set", body)
        }
        Admin::Configure(Configure::Reload) => ("config/reload", Map::new()),
        Admin::Logs { lines, level } => ("logs", fields([("lines", json!(lines)), ("level", json!(level))])),
        Admin::Backup { events } => ("backup", fields([("events", json!(events))])),
        Admin::Restart => ("restart", Map::new()),
    };
    let answer = Client::new(config)?.request(verb, &body)?;
    if verb == "logs" {
        return Ok(log_lines(&answer));
    }
    let text = serde_json::to_string_pretty(&answer)? + "\n";
    if answer["ok"] == false { bail!("there are mistakes:\n{text}") } else { Ok(text) }
}

/// A command about the appliance itself.
pub enum Admin {
    /// About its configuration.
    Configure(Configure),
    /// Its log.
    Logs {
        /// How many lines.
        lines: Option<u32>,
        /// No less important ones.
        level: Option<String>,
    },
    /// A backup.
    Backup {
        /// With events.
        events: bool,
    },
    /// A new start.
    Restart,
}

/// Lines as they look on a terminal.
fn log_lines(answer: &Value) -> String {
    let word = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let shown = |line: &Value| {
        let level = word(line, "level").to_uppercase();
        format!("{} {level:5} {}\n", word(line, "ts"), word(line, "message"))
    };
    answer["lines"].as_array().into_iter().flatten().map(shown).collect()
}

fn text_of(file: &Path) -> anyhow::Result<String> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    text.with_context(|| format!("{} cannot be read", file.display()))
}

/// A query string of those fields that were given.
fn query<const N: usize>(fields: [(&str, Option<String>); N]) -> String {
    let given = fields.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", escaped(&value?))));
    given.collect::<Vec<_>>().join("&")
}

fn whom_fields(Whom { person, event, group }: Whom) -> Map<String, Value> {
    fields([("person", json!(person)), ("event_id", json!(event)), ("group", json!(group))])
}

/// A body of those fields that were given.
fn fields(all: impl IntoIterator<Item = (&'static str, Value)>) -> Map<String, Value> {
    let given = all.into_iter().filter(|(_, value)| !value.is_null());
    given.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn read(photo: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(photo).with_context(|| format!("{} cannot be read", photo.display()))
}

fn pretty(answer: &[u8]) -> anyhow::Result<String> {
    let value: Value = serde_json::from_slice(answer).context("the answer is not JSON")?;
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

/// Only letters, digits and what needs no escaping stay as they are.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

pub(super) struct Client {
    runtime: tokio::runtime::Runtime,
    address: std::net::SocketAddr,
    token: String,
}

impl Client {
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        if !config.data_dir.join("secrets.json").exists() {
            bail!(
                "no appliance has ever run with the data folder {}; name its folder with --data-dir or its configuration with --config",
                config.data_dir.display()
            );
        }
        let token = Secrets::open(&config.data_dir)?.secrets.http_token.expose().to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, address: address::reachable(config.http.bind), token })
    }

    /// Enrols photo after photo; those that are refused are told, and the rest goes on.
    fn enrol_all(
        &self,
        name: &str,
        photos: &[std::path::PathBuf],
        force: bool,
        mut say: impl FnMut(&str),
    ) -> anyhow::Result<()> {
        let mut n_refused = 0;
        for (number, photo) in photos.iter().enumerate() {
            let outcome = read(photo).and_then(|bytes| {
                let image = json!(image_text(&bytes));
                self.teach(
                    "enrol",
                    fields([("name", json!(name)), ("image_b64", image), ("force", json!(force))]),
                )
            });
            let words = match outcome {
                Ok(_) => "enrolled".to_owned(),
                Err(error) => {
                    n_refused += 1;
                    format!("{error:#}")
                }
            };
            say(&format!("{}/{} {}: {words}\n", number + 1, photos.len(), photo.display()));
        }
        if n_refused > 0 { bail!("{n_refused} of {} photos were refused", photos.len()) } else { Ok(()) }
    }

    /// Asks what MQTT takes on `request/<verb>`; the data of the answer.
    pub(super) fn request(&self, verb: &str, body: &Map<String, Value>) -> anyhow::Result<Value> {
        let body = Value::Object(body.clone()).to_string();
        let answer = self.ask(Method::POST, &format!("/api/requests/{verb}"), body.into())?;
        serde_json::from_slice(&answer).context("the answer is not JSON")
    }

    fn teach(&self, verb: &str, body: Map<String, Value>) -> anyhow::Result<String> {
        let body = Value::Object(body).to_string();
        let answer = self.ask(Method::POST, &format!("/api/faces/{verb}"), body.into())?;
        pretty(&answer)
    }

    fn ask(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let address = self.address;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, address.to_string())
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Full::new(body))?;
        self.runtime.block_on(async {
            let stream = TcpStream::connect(address).await.with_context(|| {
                format!("no appliance answers at {address}; start it, or name its address with --http-bind")
            })?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            let carrier = tokio::spawn(connection);
            let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
            let answer = answer.context("the appliance did not answer in time")??;
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            carrier.abort();
            if status.is_success() {
                return Ok(body);
            }
            let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
            match (problem["detail"].as_str(), problem["code"].as_str()) {
                (Some(detail), Some(code)) => bail!("{detail} ({code})"),
                _ => bail!("the appliance answered {status}"),
            }
        })
    }
}
