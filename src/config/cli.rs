//! The command line: commands and flags.
//!
//! Not here: what the commands do; see `main` and `crate::app`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the appliance (the default).
    Run,
    /// Run with the built-in demo scene, whatever cameras there are.
    Demo,
    /// Check the configuration, list every mistake, and exit with 0 only if there is none.
    CheckConfig,
    /// Ask the running appliance whether it is well; exit with 0 only if it is (for container health checks).
    Health,
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
