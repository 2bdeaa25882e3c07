//! From single looks to the state that people see: how long motion must last, how long it is held, what is told once.
//!
//! Not here: pictures.

use std::time::{Duration, Instant};

use super::{Change, Reason, Tally};

/// Quiet for less than this does not interrupt motion that has just begun, so that 30 looks a second are not stricter than 5.
const GAP: Duration = Duration::from_millis(150);

/// What one look says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// Nothing moves, and nothing kept us from seeing it.
    Quiet,
    /// Something moves.
    Motion,
    /// Something would count as motion but for this reason.
    Held(Reason),
    /// Nothing counts, and this is why a person may ask.
    Note(Reason),
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) min_duration: Duration,
    pub(super) hold: Duration,
}

/// The state between looks.
#[derive(Default)]
pub(super) struct Episode {
    moving: Option<Span>,
    /// Motion that has not lasted long enough yet.
    pending: Option<Span>,
    /// The same for motion that is held back although it is certain (masked, inhibited).
    pending_held: Option<Span>,
    /// When each reason was last in force; a reason is told again only after it was quiet for the hold time.
    last: [Option<Instant>; Reason::ALL.len()],
    tally: Tally,
}

#[derive(Clone, Copy)]
struct Span {
    first: Instant,
    last: Instant,
}

impl Span {
    fn at(now: Instant) -> Self {
        Self { first: now, last: now }
    }

    fn length(self) -> Duration {
        self.last.saturating_duration_since(self.first)
    }
}

impl Episode {
    pub(super) fn moving(&self) -> bool {
        self.moving.is_some()
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Takes one look in.
    pub(super) fn see(&mut self, now: Instant, sight: Sight, times: Times) -> Option<Change> {
        let ended = self.pass_time(now, times);
        let change = match sight {
            Sight::Motion => self.see_motion(now, times),
            Sight::Held(reason) => self.hold_back(now, reason, times),
            Sight::Note(reason) => {
                self.note(now, reason, times);
                None
            }
            Sight::Quiet => None,
        };
        self.forget_brief(now, times);
        ended.or(change)
    }

    fn see_motion(&mut self, now: Instant, times: Times) -> Option<Change> {
        if let Some(span) = &mut self.moving {
            span.last = span.last.max(now);
            return None;
        }
        let pending = extended(self.pending, now);
        self.pending = Some(pending);
        if pending.length() < times.min_duration {
            return None;
        }
        self.pending = None;
        self.moving = Some(pending);
        self.tally.motions += 1;
        Some(Change::Started)
    }

    /// Light, shake and start explain a picture at once; a mask or an inhibition only holds back what would have lasted.
    fn hold_back(&mut self, now: Instant, reason: Reason, times: Times) -> Option<Change> {
        let lasting = match reason {
            Reason::Masked | Reason::Inhibited => {
                let pending = extended(self.pending_held, now);
                self.pending_held = Some(pending);
                pending.length() >= times.min_duration
            }
            Reason::LightChange | Reason::Starting | Reason::Shake | Reason::BelowArea | Reason::TooBrief => {
                true
            }
        };
        if !lasting {
            return None;
        }
        let fresh = self.note(now, reason, times);
        (fresh && self.moving.is_none()).then_some(Change::Suppressed(reason))
    }

    /// True if the reason was not in force within the hold time.
    fn note(&mut self, now: Instant, reason: Reason, times: Times) -> bool {
        let last = &mut self.last[reason.index()];
        let fresh = last.is_none_or(|last| now.saturating_duration_since(last) >= times.hold.max(GAP));
        *last = Some(now);
        if fresh {
            self.tally.held[reason.index()] += 1;
        }
        fresh
    }

    fn forget_brief(&mut self, now: Instant, times: Times) {
        let over = |span: Span| now.saturating_duration_since(span.last) >= GAP;
        self.pending_held = self.pending_held.filter(|span| !over(*span));
        if self.pending.is_some_and(over) {
            self.pending = None;
            self.note(now, Reason::TooBrief, times);
        }
    }

    /// Ends motion that was quiet for the hold time.
    pub(super) fn pass_time(&mut self, now: Instant, times: Times) -> Option<Change> {
        let span = self.moving?;
        (now.saturating_duration_since(span.last) >= times.hold).then(|| self.end(span))
    }

    /// Ends motion whatever the time, and forgets motion that had only begun.
    pub(super) fn stop(&mut self) -> Option<Change> {
        self.pending = None;
        self.pending_held = None;
        let span = self.moving?;
        Some(self.end(span))
    }

    fn end(&mut self, span: Span) -> Change {
        self.moving = None;
        Change::Ended { lasted: span.length() }
    }

    pub(super) fn next_deadline(&self, times: Times) -> Option<Instant> {
        self.moving.and_then(|span| span.last.checked_add(times.hold))
    }
}

/// Only a quiet look breaks a span, see [`Episode::forget_brief`]: looks may be seconds apart.
fn extended(span: Option<Span>, now: Instant) -> Span {
    span.map_or(Span::at(now), |span| Span { last: span.last.max(now), ..span })
}
