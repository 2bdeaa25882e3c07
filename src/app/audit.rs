//! The audit log of a running appliance: its thread, and its first entry if the lists of addresses are switched off.
//!
//! Not here: the log ([`crate::audit`]).

use jiff::Timestamp;

use super::crew::Crew;
use crate::audit::{Book, Log, run};
use crate::config::Config;
use crate::logic::audit::{Entry, Kind, Level};

/// Starts the thread, which ends when nobody can note anything any more.
pub(super) fn start(core: &mut Crew, book: Book, config: &Config, now: Timestamp) -> Log {
    let (log, noted) = Log::new();
    core.spawn("audit", move || run(book, &noted));
    if config.access.lists_disabled {
        tell_open(&log, now);
    }
    log
}

/// Begun with `--disable-ip-lists`: that shall not go unnoticed.
fn tell_open(log: &Log, ts: Timestamp) {
    let text =
        "Begun with --disable-ip-lists: everybody may come, whatever access.allow and access.block say.";
    tracing::warn!("{text} Begin again without it as soon as you are in");
    let (user, address) = (String::new(), String::new());
    let (level, kind) = (Level::Warning, Kind::System);
    log.note(Entry { ts, level, kind, alert: false, user, address, text: text.into() });
}
