//! The command line: commands and flags.
//!
//! Not here: what the commands do; see `main` and `crate::app`.

mod accounts;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use accounts::{OfFile, OneUser, PasswordFrom, Token, User};

/// A camera appliance for Home Assistant: motion and the faces of the household over MQTT, with no cloud.
#[derive(Clone, Parser)]
#[command(name = "doorward", version, about, max_term_width = 100)]
#[command(after_help = "Every key of the configuration can also be set in the environment: mqtt.host is \
                        DOORWARD__MQTT__HOST. Flags win over the environment, the environment over the file.")]
pub struct Cli {
    /// What to do; `run` when nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags that every command takes.
    #[command(flatten)]
    pub flags: Flags,
}

impl Cli {
    /// The command, or the default one.
    #[must_use]
    pub fn command(&self) -> Command {
        self.command.clone().unwrap_or(Command::Run)
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum Command {
    /// Run the appliance (the default).
    Run,
    /// Run as an app of Home Assistant: with the options of its page there, and the MQTT broker that its Supervisor names.
    App(HomeAssistant),
    /// Run with the built-in demo scene, whatever cameras there are.
    Demo,
    /// Write a first configuration file: every key with what it does, the cameras of this machine, and what --set says.
    Init {
        /// The file, which must not exist yet.
        #[arg(value_name = "FILE", default_value = "doorward.toml")]
        file: PathBuf,
    },
    /// Check the configuration, list every mistake, and exit with 0 only if there is none.
    CheckConfig,
    /// Ask the running appliance whether it is well; exit with 0 only if it is (for container health checks).
    Health,
    /// Teach the running appliance faces, or ask about them. Answers are JSON.
    #[command(subcommand)]
    Faces(Faces),
    /// Ask the running appliance for the events that it keeps. Answers are JSON.
    #[command(subcommand)]
    Events(Events),
    /// Messages about events: mail, web hooks, ntfy.
    #[command(subcommand)]
    Notify(Notify),
    /// Ask the running appliance why there was no event. The answer is JSON.
    Why {
        /// Only this camera.
        #[arg(long, value_name = "ID")]
        camera: Option<String>,
        /// The beginning, such as 2026-01-02T03:04:05Z. Without it: ten minutes before the end.
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// The end. Without it: now.
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
    },
    /// Show, check or change the configuration of the running appliance. Answers are JSON.
    #[command(subcommand)]
    Config(Configure),
    /// Show the newest lines of the running appliance's log.
    Logs {
        /// How many at most, 1 to 500.
        #[arg(short = 'n', long, value_name = "N")]
        lines: Option<u32>,
        /// No lines that are less important: error, warn, info, debug or trace.
        #[arg(long, value_name = "LEVEL")]
        level: Option<String>,
    },
    /// Have the running appliance put its configuration, identity, settings, secrets and photos into one file.
    Backup {
        /// Events and their pictures too; no clips.
        #[arg(long)]
        events: bool,
    },
    /// Put a backup into the data folder, while no appliance runs there.
    Restore {
        /// The backup.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Replace what is there.
        #[arg(long)]
        force: bool,
    },
    /// Have the running appliance begin again, with everything read anew.
    Restart,
    /// Users who sign in on the page. Asks the running appliance; when none runs, works on its file.
    #[command(subcommand)]
    User(User),
    /// Tokens: keys for programs. Asks the running appliance; when none runs, works on its file. Answers are JSON.
    #[command(subcommand)]
    Token(Token),
    /// Have the running appliance make a new pairing code for the first user.
    Pair {
        /// Draw it as a QR code too.
        #[arg(long)]
        qr: bool,
    },
    /// Look at what the broker holds of this appliance, say what Home Assistant would refuse or miss, and what to do; exit with 0 only
    /// if there is no fault.
    Doctor,
    /// Take everything of this appliance from the broker, so that its devices leave Home Assistant; then it can be removed.
    Uninstall,
    /// Measure how well faces are found and named, on a folder of your own photos.
    Eval(Eval),
}

/// How Home Assistant runs its apps. Its Supervisor wants `$SUPERVISOR_TOKEN`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct HomeAssistant {
    /// The options of the app.
    #[arg(long, value_name = "PATH", default_value = "/data/options.json")]
    pub options: PathBuf,
    /// Where the Supervisor is.
    #[arg(long, value_name = "URL", default_value = "http://supervisor")]
    pub supervisor: String,
    /// How many seconds to wait for its first answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub wait: u64,
}

/// What can be asked about events; the words are those of the MQTT requests.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Events {
    /// List events, newest first.
    List(EventFilter),
    /// Show one event.
    Get {
        /// Its id.
        #[arg(value_name = "EVENT_ID")]
        event: String,
    },
    /// Keep an event for good.
    Pin {
        /// Its id.
        #[arg(value_name = "EVENT_ID")]
        event: String,
        /// Let it go again when its time has come.
        #[arg(long)]
        undo: bool,
    },
    /// Remove an event with its pictures and its clip.
    Delete {
        /// Its id.
        #[arg(value_name = "EVENT_ID")]
        event: String,
    },
}

/// Which events to list.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct EventFilter {
    /// From this time on, such as 2026-01-02T03:04:05Z.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Up to this time.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Sorts or types, with commas: motion, face, camera, security, system, snapshot, known, unknown, start …
    #[arg(long = "type", value_name = "TYPES")]
    pub types: Option<String>,
    /// Only of this camera.
    #[arg(long, value_name = "ID")]
    pub camera: Option<String>,
    /// Only of this person, as `faces list` names them.
    #[arg(long, value_name = "PERSON")]
    pub person: Option<String>,
    /// How many at most, 1 to 500.
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
    /// How many of the newest to skip.
    #[arg(long, value_name = "N")]
    pub offset: Option<u32>,
}

/// What can be asked about the configuration; the words are those of the MQTT requests.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Configure {
    /// Show what the appliance runs with, and where it was written.
    Get {
        /// A key such as mqtt.host, or a section such as cameras.porch; without it all keys.
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
    /// Say what would be wrong with a piece of TOML laid over the configuration; exit with 0 only if nothing is.
    Validate {
        /// The piece; - for standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Write a value into the configuration file. A reload makes it effective.
    Set {
        /// The key.
        #[arg(value_name = "KEY", required_unless_present = "file")]
        key: Option<String>,
        /// Its value.
        #[arg(value_name = "VALUE", required_unless_present_any = ["file", "default"])]
        value: Option<String>,
        /// Take the key, or a whole section, out of the file instead.
        #[arg(long, requires = "key", conflicts_with = "value")]
        default: bool,
        /// Write all of this piece of TOML instead; - for standard input.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "value", "default"])]
        file: Option<PathBuf>,
    },
    /// Have the appliance read its configuration anew and begin again with it, if there is no mistake in it.
    Reload,
}

/// What can be asked about messages.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Notify {
    /// Have the running appliance send a trial message now, and say what came of it; exit with 0 only if it arrived.
    Test {
        /// The name of one target, the last part of its section; without it every target.
        target: Option<String>,
    },
}

/// What can be taught and asked about faces; the words are those of the MQTT requests.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Faces {
    /// List who is enrolled, who came unknown and who is ignored.
    List,
    /// Add photos to a person, who may be new.
    Enrol {
        /// Who it is.
        name: String,
        /// JPEG or PNG files, one face in each.
        #[arg(value_name = "PHOTO")]
        photos: Vec<PathBuf>,
        /// Instead of photos: the face of this event.
        #[arg(long, value_name = "ID", conflicts_with = "photos")]
        event: Option<String>,
        /// Instead of photos: the face in front of the camera now.
        #[arg(long, conflicts_with_all = ["photos", "event"])]
        capture: bool,
        /// Which camera, if there are several.
        #[arg(long, value_name = "ID", requires = "capture")]
        camera: Option<String>,
        /// Take the face although it looks like somebody else.
        #[arg(long)]
        force: bool,
    },
    /// Say who somebody is whom the appliance has seen.
    Assign {
        /// Who it is.
        name: String,
        /// Whom you mean.
        #[command(flatten)]
        seen: Seen,
        /// Take the face although it looks like somebody else.
        #[arg(long)]
        force: bool,
    },
    /// Say that the name in an event is wrong: this look never gets that name again.
    Reject {
        /// The event.
        #[arg(value_name = "EVENT_ID")]
        event: String,
    },
    /// Never tell of somebody again.
    Ignore(Whom),
    /// Remove a person, or a group of faces, with everything that is kept about them.
    Forget(Whom),
    /// Decide about one picture, or test the household with its own photos.
    Test {
        /// The picture; without it the household is tested.
        #[arg(value_name = "PHOTO")]
        photo: Option<PathBuf>,
        /// Save the table of likenesses as a picture (SVG) too.
        #[arg(long, value_name = "FILE", conflicts_with = "photo")]
        picture: Option<PathBuf>,
    },
}

/// Somebody who was seen.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(required = true, multiple = false)]
pub struct Seen {
    /// The face of this event.
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// A group of faces, as `list` numbers them.
    #[arg(long, value_name = "NUMBER")]
    pub group: Option<u32>,
}

/// Somebody who was seen, or a person.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(required = true, multiple = false)]
pub struct Whom {
    /// A person, by name.
    #[arg(long, value_name = "NAME")]
    pub person: Option<String>,
    /// The face of this event.
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// A group of faces, as `list` numbers them.
    #[arg(long, value_name = "NUMBER")]
    pub group: Option<u32>,
}

/// What to measure; docs/evaluation.md explains folder and figures. Limits come from the configuration (faces.*).
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Eval {
    /// One folder of photos per person; _strangers and _nofaces for everybody and everything else; folders that end in
    /// .clip hold the frames of a passage.
    pub folder: PathBuf,
    /// Also write decisions.csv, passages.csv, summary.json, scores.svg and roc.svg into this folder.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Also write every face with box, points, embedding and times as JSON; each is then measured five times.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Also measure each face small, gray, compressed, blurred and tilted, and what a second detector says to it.
    #[arg(long)]
    pub variants: bool,
    /// Frames per second of the clips.
    #[arg(long, value_name = "FPS", default_value_t = 5.0, value_parser = frame_rate)]
    pub fps: f64,
    /// The likeness from which a face gets a name.
    #[arg(long, value_name = "COSINE", default_value_t = 0.45, value_parser = threshold)]
    pub threshold: f64,
    /// Photos are shrunk to this many pixels on the longer side, as they are for enrolment.
    #[arg(long, value_name = "PIXELS", default_value_t = 1280)]
    pub photo_side: usize,
}

fn frame_rate(text: &str) -> Result<f64, String> {
    between(text, 0.1, 60.0)
}

fn threshold(text: &str) -> Result<f64, String> {
    between(text, 0.30, 0.90)
}

fn between(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value| (least..=most).contains(value));
    value.ok_or_else(|| format!("needs a number from {least} to {most}"))
}

/// Flags that every command takes. No `Debug`: `--set` may hold a password after all.
#[derive(Args, Clone, Default)]
pub struct Flags {
    /// The configuration file. Without it: $DOORWARD_CONFIG, else ./doorward.toml, else /etc/doorward/doorward.toml,
    /// else no file.
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// The folder for state, secrets and faces (data_dir).
    #[arg(long, global = true, value_name = "PATH")]
    pub data_dir: Option<PathBuf>,
    /// Where the web page is served, such as 127.0.0.1:8420 (http.bind).
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub http_bind: Option<String>,
    /// How much is logged: error, warn, info, debug, trace or a filter (log.level).
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Sets any key, such as mqtt.host=192.168.1.2; may be given several times. Not for passwords: every user of the
    /// machine can read command lines.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}
