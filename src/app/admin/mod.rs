//! Carries out requests about the appliance itself, on threads of their own: nothing else waits for the disk.
//!
//! A backup takes its time, so it has a thread to itself and the quick answers go on meanwhile.
//! Not here: which requests there are ([`crate::logic::admin`]), and how a new start is made ([`super::again`]).

mod backup;
mod configuration;
pub(super) mod restore;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::crew::Crew;
use crate::archive;
use crate::config::Config;
use crate::inbox::Reply;
use crate::journal;
use crate::logic::admin::{Level, Line, Request};
use crate::logic::command::Answer;
use crate::logic::problem::Problem;
use crate::logic::publication;
use crate::logic::state::State;
use crate::mqtt::Outbox;
use crate::shutdown::Shutdown;

/// Bytes of log in one answer; brokers refuse large messages.
const MOST_LOG: usize = 200_000;
/// Requests that may wait.
const WAITING: usize = 16;

/// What the requests are about.
#[derive(Clone)]
pub(super) struct Admin {
    pub(super) config: Arc<Config>,
    /// The folder of the archive.
    pub(super) events: PathBuf,
    pub(super) state: watch::Receiver<Arc<State>>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) archive: SyncSender<archive::Order>,
    /// Told when the appliance shall begin again.
    pub(super) again: Shutdown,
    /// Ends a backup that is under way.
    pub(super) stop: Shutdown,
}

struct Task {
    request: Request,
    reply: Reply,
}

/// The ways to the threads.
pub(super) struct Desk {
    quick: SyncSender<Task>,
    slow: SyncSender<Task>,
}

/// Starts the threads; they end when the desk is gone.
pub(super) fn start(crew: &mut Crew, admin: Admin) -> Desk {
    let (quick, asked) = sync_channel(WAITING);
    // While one backup is made, one more may wait.
    let (slow, backups) = sync_channel(1);
    let other = admin.clone();
    crew.spawn("admin", move || admin.run(&asked));
    crew.spawn("backup", move || other.run(&backups));
    Desk { quick, slow }
}

impl Desk {
    pub(super) fn ask(&self, request: Request, reply: Reply) {
        let desk = if matches!(request, Request::Backup { .. }) { &self.slow } else { &self.quick };
        match desk.try_send(Task { request, reply }) {
            Ok(()) => {}
            Err(TrySendError::Full(task) | TrySendError::Disconnected(task)) => {
                (task.reply)(Err(Problem::Busy));
            }
        }
    }
}

impl Admin {
    fn run(&self, tasks: &Receiver<Task>) {
        while let Ok(Task { request, reply }) = tasks.recv() {
            let ends = matches!(request, Request::ConfigReload | Request::Restart);
            let outcome = self.answer(request);
            let again = ends && outcome.is_ok();
            reply(outcome.map(Answer::Data));
            // The answer is on its way before anything stops.
            if again {
                self.again.trigger();
            }
        }
    }

    fn answer(&self, request: Request) -> Result<Value, Problem> {
        match request {
            Request::ConfigGet(path) => self.get(path.as_deref()),
            Request::ConfigValidate(change) => Ok(self.validate(&change)),
            Request::ConfigSet(change) => self.set(&change),
            Request::ConfigReload => {
                let changed = self.config.origin.differing(&self.checked()?.origin);
                tracing::info!("the configuration was read anew; beginning again with it");
                Ok(json!({ "restarting": true, "changed": changed }))
            }
            Request::Restart => {
                self.checked()?;
                tracing::info!("a new start was asked for");
                Ok(json!({ "restarting": true }))
            }
            Request::Logs { lines, level } => Ok(logs(lines, level)),
            Request::Health => {
                let state = Arc::clone(&self.state.borrow());
                let (reconnects, dropped) = (self.outbox.reconnects(), self.outbox.dropped());
                Ok(publication::health(&state, Timestamp::now(), reconnects, dropped))
            }
            Request::Backup { events } => self.backup(events),
        }
    }
}

/// The newest lines that fit, oldest first.
fn logs(count: usize, level: Level) -> Value {
    let found = journal::newest(count, level);
    let mut room = MOST_LOG;
    let fits = |line: &&Line| {
        let bytes = line.to_json().to_string().len();
        room = room.saturating_sub(bytes);
        room > 0
    };
    let n_fitting = found.iter().rev().take_while(fits).count();
    let left_out = found.len() - n_fitting;
    let lines: Vec<Value> = found[left_out..].iter().map(Line::to_json).collect();
    json!({ "lines": lines, "left_out": left_out })
}
