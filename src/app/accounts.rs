//! The door of the appliance; and `doorward user`, `doorward token` and `doorward pair`, through the running appliance, or on its file
//! while none runs.
//!
//! Not here: what the commands mean ([`crate::logic::accounts`]).

use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::address;
use super::client::Client;
use crate::audit;
use crate::config::Config;
use crate::config::cli::{OfFile, OneUser, PasswordFrom, Token, User};
use crate::door::{self, Door, Keeper, hash};
use crate::inbox::Inbox;
use crate::logic::accounts::{Book, Request};
use crate::logic::input::Now;
use crate::logic::qr;
use crate::store::accounts_file;
use crate::store::{AccountsFile, Claim, OpenedAccounts};

/// The door and its thread, with a pairing code while there is no user.
pub(super) fn door(
    config: &Config,
    local_key: &str,
    accounts: OpenedAccounts,
    inbox: &Inbox,
    audit: &audit::Log,
) -> (Door, Keeper) {
    let (inbox, audit, settings) = (inbox.clone(), audit.clone(), config.accounts);
    let (book, save) = (accounts.book, save(accounts.file));
    let (door, mut keeper) = Door::new(door::Parts { local_key, settings, book, save, inbox, audit });
    if door.needs_setup()
        && let Err(problem) = keeper.pair(Timestamp::now())
    {
        tracing::error!("there is no pairing code: {problem}");
    }
    (door, keeper)
}

/// How accounts get into their file.
fn save(mut file: AccountsFile) -> door::Save {
    Box::new(move |book: &Book| file.save(book).map_err(|error| error.source.to_string()))
}

/// Carries out a command about users; false if a password was checked and is wrong.
///
/// # Errors
/// With the words of whoever refused it.
pub fn user(config: &Config, command: User, mut say: impl FnMut(&str)) -> anyhow::Result<bool> {
    let (who, verb, mut body) = match command {
        User::Check { who, password } => return check(config, &who, password),
        User::List(of) => {
            say(&pretty(&Way::to(config, &of, false)?.ask("users/list", Map::new())?)?);
            return Ok(true);
        }
        User::Add { who, role, password } => return add(config, &who, role, password, say).map(|()| true),
        User::Passwd { who, end_totp, password } => {
            let password = new_password(&who.name, password)?;
            let body = fields([("password", json!(password)), ("end_totp", json!(end_totp))]);
            (who, "users/passwd", body)
        }
        User::Role { who, role } => (who, "users/role", fields([("role", json!(role))])),
        User::Del(who) => (who, "users/delete", Map::new()),
        User::Lock(who) => (who, "users/lock", Map::new()),
        User::Unlock(who) => (who, "users/unlock", Map::new()),
        User::Logout(who) => (who, "users/logout", Map::new()),
    };
    body.insert("name".into(), json!(who.name));
    say(&pretty(&Way::to(config, &who.of, false)?.ask(verb, body)?)?);
    Ok(true)
}

fn add(
    config: &Config,
    who: &OneUser,
    role: Option<String>,
    password: PasswordFrom,
    mut say: impl FnMut(&str),
) -> anyhow::Result<()> {
    let password = new_password(&who.name, password)?;
    let mut way = Way::to(config, &who.of, true)?;
    let role = match role {
        Some(role) => role,
        None => {
            let listed = way.ask("users/list", Map::new())?;
            let is_first = listed["users"].as_array().is_some_and(Vec::is_empty);
            if is_first { "admin".into() } else { "viewer".into() }
        }
    };
    let body = fields([("name", json!(who.name)), ("password", json!(password)), ("role", json!(role))]);
    say(&pretty(&way.ask("users/add", body)?)?);
    Ok(())
}

/// Looks into the file itself: over the network this would be a way to try passwords.
fn check(config: &Config, who: &OneUser, from: PasswordFrom) -> anyhow::Result<bool> {
    let path = who.of.file.clone().unwrap_or_else(|| config.data_dir.join(accounts_file::NAME));
    let (_, book) = AccountsFile::open_at(&path)?;
    let password = entered(&format!("Password of {}: ", who.name), from)?;
    Ok(hash::is_right(&password, book.user(&who.name).map(|user| user.hash.as_str())))
}

/// Carries out a command about tokens.
///
/// # Errors
/// With the words of whoever refused it.
pub fn token(config: &Config, command: Token) -> anyhow::Result<String> {
    let (verb, body) = match command {
        Token::List => ("token/list", Map::new()),
        Token::Revoke { id } => ("token/revoke", fields([("id", json!(id))])),
        Token::Create { kind, camera, name, days } => {
            let ttl_s = days.map(|days| days * 86_400);
            let all = [
                ("kind", json!(kind)),
                ("camera", json!(camera)),
                ("name", json!(name)),
                ("ttl_s", json!(ttl_s)),
            ];
            ("token/create", fields(all))
        }
    };
    let mut way = Way::to(config, &OfFile { file: None }, false)?;
    if let (Way::File(_), Some(camera)) = (&way, body.get("camera").and_then(Value::as_str))
        && !config.cameras.iter().any(|known| known.id.as_str() == camera)
    {
        bail!(
            "the configuration has no camera {camera}; start the appliance if it finds its camera by itself, and ask again"
        );
    }
    pretty(&way.ask(verb, body)?)
}

/// Asks for a new pairing code; what to show.
///
/// # Errors
/// With the words of whoever refused it.
pub fn pair(config: &Config, with_picture: bool) -> anyhow::Result<String> {
    if Claim::take(&config.data_dir).is_ok() {
        bail!(
            "no appliance runs with the data folder {}; it makes a code whenever it starts without a user",
            config.data_dir.display()
        );
    }
    let answer = Client::new(config)?.request("pair", &Map::new())?;
    let code = answer["code"].as_str().context("the answer has no code")?;
    let until = answer["until"].as_str().unwrap_or_default();
    let url = config.http.url.clone().unwrap_or_else(|| address::page_url(config.http.bind));
    let mut text = format!("{code}\nOpen {url} and make the first account with it, until {until}.\n");
    if with_picture && let Some(drawn) = qr::blocks(&format!("{url}#code={code}")) {
        text += &format!("\n{drawn}\n");
    }
    Ok(text)
}

/// Who carries a request out.
enum Way {
    Running(Client),
    /// Nobody else uses the file meanwhile.
    File(Box<Desk>),
}

struct Desk {
    keeper: Keeper,
    _door: Door,
    _claim: Option<Claim>,
}

impl Way {
    /// The way to the accounts. `is_first`: they may not exist yet.
    fn to(config: &Config, of: &OfFile, is_first: bool) -> anyhow::Result<Self> {
        if let Some(file) = &of.file {
            if !is_first && !file.exists() {
                bail!("{} does not exist; `user add` makes it", file.display());
            }
            return Desk::open(config, file, None);
        }
        let folder = &config.data_dir;
        match Claim::take(folder) {
            Err(_) => Ok(Self::Running(Client::new(config)?)),
            Ok(_) if !is_first && !folder.exists() => bail!(
                "no appliance has ever run with the data folder {}; name its folder with --data-dir or its configuration with --config",
                folder.display()
            ),
            Ok(claim) => {
                // Makes the folder, and closes the file to others.
                AccountsFile::prepare(folder)?;
                Desk::open(config, &folder.join(accounts_file::NAME), Some(claim))
            }
        }
    }

    fn ask(&mut self, verb: &str, body: Map<String, Value>) -> anyhow::Result<Value> {
        match self {
            Self::Running(client) => client.request(verb, &body),
            Self::File(desk) => {
                let now = Now { instant: Instant::now(), wall: Timestamp::now() };
                let outcome = Request::parse(verb, &body).and_then(|request| desk.keeper.verb(request, now));
                outcome.map_err(|problem| anyhow::anyhow!("{} ({})", problem.advice(), problem.code()))
            }
        }
    }
}

impl Desk {
    fn open(config: &Config, path: &Path, claim: Option<Claim>) -> anyhow::Result<Way> {
        let (file, book) = AccountsFile::open_at(path)?;
        let ((inbox, _), (audit, _)) = (Inbox::new(), audit::Log::new());
        let (settings, save) = (config.accounts, save(file));
        let (door, keeper) = Door::new(door::Parts { local_key: "", settings, book, save, inbox, audit });
        Ok(Way::File(Box::new(Self { keeper, _door: door, _claim: claim })))
    }
}

/// A new password: asked for twice on a terminal, so that a slip of the finger locks nobody out.
fn new_password(name: &str, from: PasswordFrom) -> anyhow::Result<String> {
    let password = entered(&format!("New password of {name}: "), from)?;
    if is_typed(from) && entered("Once more: ", from)? != password {
        bail!("the two passwords differ; nothing was changed");
    }
    Ok(password)
}

fn is_typed(from: PasswordFrom) -> bool {
    !from.password_stdin && std::io::stdin().is_terminal()
}

fn entered(prompt: &str, from: PasswordFrom) -> anyhow::Result<String> {
    if is_typed(from) {
        return rpassword::prompt_password(prompt).context("no password can be read from the terminal");
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("no password can be read from standard input")?;
    let password = line.trim_end_matches(['\n', '\r']);
    if password.is_empty() { bail!("standard input holds no password") } else { Ok(password.to_owned()) }
}

/// A body of those fields that were given.
fn fields<const N: usize>(all: [(&str, Value); N]) -> Map<String, Value> {
    let given = all.into_iter().filter(|(_, value)| !value.is_null());
    given.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn pretty(answer: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(answer)? + "\n")
}
