//! When a verdict about a track is told, and with which record.
//!
//! Not here: how faces become tracks (see `tracker`) and looks a verdict (see `verdict`).

use std::time::Instant;

use super::decision::{Decision, Kind, Rule};
use super::gallery::Match;
use super::quality::Flaw;
use super::track::Track;
use super::tracker::Settings;
use super::verdict::{Verdict, doubt, weigh};

/// The name of a track that has none yet, when its looks agree on one.
pub(super) fn name(track: &mut Track, settings: &Settings) -> Option<Decision> {
    let corrects = track.told_kind();
    if corrects == Some(Kind::Known) {
        return None;
    }
    match weigh(&track.votes, settings.known) {
        // Somebody whom nobody wants to hear of is as good as not there.
        Verdict::Known(person, ..) if person.is_ignored() => {
            track.excused = Some("ignored");
            None
        }
        Verdict::Known(person, found, rule) => {
            let decision = record(track, Kind::Known, rule, &found)?;
            let decision = Decision { person: Some(person), corrects, ..decision };
            track.told = Some(decision.clone());
            Some(decision)
        }
        Verdict::Unknown | Verdict::Open => None,
    }
}

/// `unknown` when the grace is over, `unsure` when nothing better can come.
pub(super) fn doubt_or_deny(
    track: &mut Track,
    settings: &Settings,
    named: &[(u64, Instant)],
    now: Instant,
) -> Option<Decision> {
    if track.told.is_some() || track.excused.is_some() {
        return None;
    }
    let gone = now.saturating_duration_since(track.last_seen) >= settings.track_timeout;
    let most_alike = |track: &Track| {
        let votes = track.votes.iter().map(|vote| &vote.found);
        votes.max_by(|a, b| a.score().total_cmp(&b.score())).cloned()
    };
    let found = most_alike(track)?;
    let decision = match weigh(&track.votes, settings.known) {
        Verdict::Unknown => {
            let since = *track.unknown_since.get_or_insert(now);
            if now.saturating_duration_since(since) < settings.unknown_grace {
                return None;
            }
            // Two faces of one frame are two people; anybody else who got a name since this one came may be the same person.
            let same = |(id, at): &(u64, Instant)| *at >= track.first_seen && !track.companions.contains(id);
            if named.iter().any(same) {
                track.excused = Some("known_nearby");
                return None;
            }
            record(track, Kind::Unknown, Rule::BelowLower, &found)?
        }
        Verdict::Open | Verdict::Known(..) => {
            track.unknown_since = None;
            if !gone && !track.is_worn_out() {
                return None;
            }
            record(track, Kind::Unsure, doubt(&track.votes, settings.known), &found)?
        }
    };
    track.told = Some(decision.clone());
    Some(decision)
}

/// Whether a track can be forgotten: out of view, and no answer is waited for.
pub(super) fn is_gone(track: &Track, settings: &Settings, now: Instant) -> bool {
    let waits =
        track.arrived && track.unknown_since.is_some() && track.told.is_none() && track.excused.is_none();
    now.saturating_duration_since(track.last_seen) >= settings.track_timeout && !waits
}

/// Why nothing was ever told about a track that is gone; `None` when something was.
pub(super) fn silence(track: &Track) -> Option<&'static str> {
    match (&track.told, track.excused) {
        (Some(_), _) => None,
        (None, Some(reason)) => Some(reason),
        (None, None) if !track.arrived => Some("still"),
        (None, None) => Some(track.last_flaw.map_or("gone_too_soon", Flaw::word)),
    }
}

fn record(track: &Track, kind: Kind, rule: Rule, found: &Match) -> Option<Decision> {
    let best = track.best?;
    Some(Decision {
        track: track.id,
        kind,
        rule,
        person: None,
        score: found.best.as_ref().map(|best| best.score),
        second: found.second.clone(),
        margin: found.margin(),
        rejected: found.rejected.clone(),
        face: best.view,
        frames: u32::try_from(track.votes.len()).unwrap_or(u32::MAX),
        captured_at: track.first_usable?,
        best_frame: best.frame,
        corrects: None,
    })
}
