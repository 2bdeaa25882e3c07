//! The newest lines of the log in memory, for those who ask over the network; warnings for those who listen.
//!
//! A process has one log, so there is one journal. Not here: what is written to standard error; see `main`.

use std::collections::VecDeque;
use std::fmt::{Debug, Write};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::broadcast;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::logic::admin::{Level, Line, MOST_LINES};

/// Characters of one line; the rest is cut.
const LONGEST: usize = 1000;
/// Warnings that wait for a slow listener; it misses the oldest beyond them.
const WAITING: usize = 64;
/// Warnings that listeners hear in [`WINDOW`] at most. What is broken may say so very often.
const MOST_TOLD: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);
/// The target of lines that only those may read who run the appliance: they are in its log, never in the journal, which is sent over
/// the network.
pub const ON_SITE: &str = "doorward::on_site";
/// What sends warnings on must not be told its own: each would lead to the next.
const CARRIERS: [&str; 4] = ["doorward::mqtt", "doorward::broker", "rumqttc", "rumqttd"];

static JOURNAL: LazyLock<Journal> = LazyLock::new(|| Journal {
    lines: Mutex::default(),
    pace: Mutex::default(),
    warnings: broadcast::channel(WAITING).0,
});

/// The newest lines, and the way to those who listen.
struct Journal {
    lines: Mutex<VecDeque<Line>>,
    pace: Mutex<Pace>,
    warnings: broadcast::Sender<Line>,
}

/// How much was told in this window.
#[derive(Default)]
struct Pace {
    since: Option<Instant>,
    told: u32,
    left_out: u64,
}

impl Pace {
    /// Whether one more may be told, and how many were left out before it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW) {
            (self.since, self.told) = (Some(now), 0);
        }
        if self.told >= MOST_TOLD {
            self.left_out += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// The newest lines that are at least as important as `level`, oldest first, at most `count`.
#[must_use]
pub fn newest(count: usize, level: Level) -> Vec<Line> {
    let lines = JOURNAL.lines.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = lines.iter().rev().filter(|line| line.level <= level).take(count);
    let mut found: Vec<Line> = wanted.cloned().collect();
    found.reverse();
    found
}

/// Warnings and errors from now on, but for those about sending them. Their number in a minute is limited.
#[must_use]
pub fn warnings() -> broadcast::Receiver<Line> {
    JOURNAL.warnings.subscribe()
}

/// What has to be put into the subscriber of the process, so that there is a journal.
#[must_use]
pub fn layer<S: Subscriber>() -> impl Layer<S> {
    Keeper
}

struct Keeper;

impl<S: Subscriber> Layer<S> for Keeper {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        let target = words.target.unwrap_or_else(|| event.metadata().target().to_owned());
        let level = level(*event.metadata().level());
        if target == ON_SITE {
            return;
        }
        // Libraries write packets and headers at their finer levels, passwords among them.
        if level > Level::Info && !target.starts_with("doorward") {
            return;
        }
        let message = words.message + &words.fields;
        keep(Line { ts: Timestamp::now(), level, target, message: cut(&message) });
    }
}

fn keep(line: Line) {
    if line.level <= Level::Warn && !CARRIERS.iter().any(|carrier| line.target.starts_with(carrier)) {
        tell(line.clone());
    }
    let mut lines = JOURNAL.lines.lock().unwrap_or_else(PoisonError::into_inner);
    if lines.len() >= MOST_LINES {
        lines.pop_front();
    }
    lines.push_back(line);
}

fn tell(mut line: Line) {
    let admitted = JOURNAL.pace.lock().unwrap_or_else(PoisonError::into_inner).admit(Instant::now());
    let Some(left_out) = admitted else { return };
    if left_out > 0 {
        let _ = write!(line.message, " ({left_out} warnings before this one were left out)");
    }
    // Without listeners there is nobody to tell.
    let _ = JOURNAL.warnings.send(line);
}

fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::TRACE => Level::Trace,
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The message of an event and its fields, as text.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
    /// Lines of the `log` crate carry their target as a field.
    target: Option<String>,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "log.target" => self.target = Some(value.to_owned()),
            _ => self.record_debug(field, &format_args!("{value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name if name.starts_with("log.") => Ok(()),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// One test, because there is one journal.
    #[test]
    fn lines_are_kept_cut_and_told() {
        let subscriber = tracing_subscriber::registry().with(layer());
        let mut heard = warnings();
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "rumqttc::state", "CONNECT with password");
            tracing::debug!(target: "doorward::x", "a detail");
            tracing::info!(target: "doorward::x", camera = "porch", n = 5, "something {}", "happened");
            tracing::warn!(target: "doorward::x", "{}", "ä".repeat(5000));
            tracing::warn!(target: "doorward::mqtt::session", "MQTT: nobody takes this");
        });
        let lines = newest(10, Level::Trace);
        let texts: Vec<&str> = lines.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(texts[..2], ["a detail", "something happened camera=porch n=5"]);
        assert_eq!(texts[2].chars().count(), LONGEST + 1);
        assert_eq!(texts.len(), 4);
        assert_eq!(newest(1, Level::Warn)[0].target, "doorward::mqtt::session");
        assert_eq!(newest(10, Level::Info).len(), 3);
        assert_eq!(heard.try_recv().unwrap().message.chars().count(), LONGEST + 1);
        assert!(heard.try_recv().is_err(), "the warning of MQTT is not told over MQTT");

        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer()), || {
            for number in 0..2 * MOST_LINES {
                tracing::error!(target: "doorward::x", "fault {number}");
            }
        });
        assert_eq!(newest(10_000, Level::Trace).len(), MOST_LINES);
        assert_eq!(newest(1, Level::Trace)[0].message, format!("fault {}", 2 * MOST_LINES - 1));
        let told = std::iter::from_fn(|| heard.try_recv().ok()).count();
        assert_eq!(told, MOST_TOLD as usize - 1, "one was told before");
    }

    #[test]
    fn what_was_left_out_is_said() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let admitted: Vec<_> = (0..25).map(|_| pace.admit(start)).collect();
        assert_eq!(admitted.iter().flatten().count(), 20);
        assert_eq!(pace.admit(start + WINDOW), Some(5));
        assert_eq!(pace.admit(start + WINDOW), Some(0));
    }
}
