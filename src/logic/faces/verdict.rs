//! From several looks at one face to a verdict: a name, "nobody of the gallery", or not yet.
//!
//! Not here: which looks belong to one face (see `track`), and when a verdict is told (see `tracker`).

use super::decision::{Kind, Rule};
use super::gallery::{Match, PersonId};
use super::quality::Grade;

/// Cosine from which one look speaks for a person: no false accept in 7,624 pairs of different people, 3.6 % false rejects.
pub const KNOWN: f32 = 0.45;
/// A look this much below that still agrees with others: three at 0.40 are as good as two at 0.45.
const CONFIRM_BELOW: f32 = 0.05;
/// The second person must be this much less alike, or nobody is named.
pub const MARGIN: f32 = 0.06;
/// Below this a clear look speaks for nobody: 0.363 is the published equal-error threshold of SFace.
pub const UNKNOWN: f32 = 0.36;
/// Looks that must agree for a name, one of them from [`KNOWN`] up; never one alone.
const AGREEING: usize = 2;
/// Looks that must agree when none reaches [`KNOWN`].
const AGREEING_BELOW: usize = 3;
/// Clear looks without a likeness before somebody is called unknown.
const CLEAR_LOOKS: usize = 2;
/// A name needs this many times more agreeing looks than any other name has.
const LEAD: usize = 3;

/// One usable look at a face.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Vote {
    /// What it is worth; never `Useless`.
    pub(super) grade: Grade,
    /// Who it is like.
    pub(super) found: Match,
}

impl Vote {
    fn is_good(&self) -> bool {
        matches!(self.grade, Grade::Clear | Grade::Fair(_))
    }

    /// Whether it speaks for its best person, from this score up.
    fn speaks_for(&self, score: f32) -> Option<&PersonId> {
        let best = self.found.best.as_ref()?;
        let distinct = self.found.margin().is_none_or(|margin| margin >= MARGIN);
        (self.is_good() && best.score >= score && distinct).then_some(&best.person)
    }
}

/// What the votes say together.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// This person; the match is that of the most certain vote.
    Known(PersonId, Match, Rule),
    /// Nobody of the gallery.
    Unknown,
    /// Neither, for now.
    Open,
}

/// Below this a clear look speaks for nobody; a low threshold for a name moves it too, so that a face never counts for both.
pub fn unknown_below(known: f32) -> f32 {
    UNKNOWN.min(known - CONFIRM_BELOW)
}

/// Weighs the votes; `known` is the threshold for a name.
pub(super) fn weigh(votes: &[Vote], known: f32) -> Verdict {
    if let Some((person, found, rule)) = leader(votes, known) {
        return Verdict::Known(person.clone(), found.clone(), rule);
    }
    let limit = unknown_below(known);
    let n_clear = votes.iter().filter(|vote| vote.grade == Grade::Clear).count();
    if n_clear >= CLEAR_LOOKS && votes.iter().all(|vote| vote.found.score() < limit) {
        Verdict::Unknown
    } else {
        Verdict::Open
    }
}

fn leader(votes: &[Vote], known: f32) -> Option<(&PersonId, &Match, Rule)> {
    let agreeing = |person: &PersonId| {
        votes.iter().filter(|v| v.speaks_for(known - CONFIRM_BELOW) == Some(person)).count()
    };
    let surest = votes
        .iter()
        .filter(|vote| vote.speaks_for(known - CONFIRM_BELOW).is_some())
        .max_by(|a, b| a.found.score().total_cmp(&b.found.score()))?;
    let person = surest.speaks_for(known - CONFIRM_BELOW)?;
    let n = agreeing(person);
    let rivals = votes
        .iter()
        .filter_map(|vote| vote.speaks_for(known - CONFIRM_BELOW))
        .filter(|rival| *rival != person);
    if rivals.into_iter().any(|rival| n < LEAD * agreeing(rival)) {
        return None;
    }
    if surest.speaks_for(known).is_some() && n >= AGREEING {
        Some((person, &surest.found, Rule::MarginOk))
    } else if n >= AGREEING_BELOW {
        Some((person, &surest.found, Rule::ThreeFrames))
    } else {
        None
    }
}

/// Why these votes name nobody: what to say with `unsure`.
pub(super) fn doubt(votes: &[Vote], known: f32) -> Rule {
    let confirm = known - CONFIRM_BELOW;
    let mut named = votes.iter().filter_map(|vote| vote.speaks_for(confirm));
    let first = named.next();
    if first.is_some_and(|first| named.any(|other| other != first)) {
        return Rule::Conflict;
    }
    let good = || votes.iter().filter(|vote| vote.is_good());
    if good().count() < AGREEING {
        Rule::TooFewGoodFrames
    } else if good().any(|vote| vote.found.score() >= known && vote.speaks_for(known).is_none()) {
        Rule::SmallMargin
    } else {
        Rule::BetweenLimits
    }
}

/// What would be told of a face if two frames showed it exactly like this: for measuring with photographs, where there is but one.
///
/// `None` when the look is good for nothing, so that nothing would be told.
pub fn of_equal_looks(grade: Grade, found: &Match, known: f32) -> Option<(Kind, Rule, Option<PersonId>)> {
    if let Grade::Useless(_) = grade {
        return None;
    }
    let votes = vec![Vote { grade, found: found.clone() }; CLEAR_LOOKS.max(AGREEING)];
    Some(match weigh(&votes, known) {
        Verdict::Known(person, _, rule) => (Kind::Known, rule, Some(person)),
        Verdict::Unknown => (Kind::Unknown, Rule::BelowLower, None),
        Verdict::Open => (Kind::Unsure, doubt(&votes, known), None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::faces::gallery::Likeness;
    use crate::logic::faces::quality::Flaw;

    fn like(slug: &str, score: f32) -> Option<Likeness> {
        Some(Likeness { person: PersonId { slug: slug.into(), name: slug.into() }, score })
    }

    /// `a=0.50/0.30`: alice 0.50, bob 0.30; a leading `~` is a blurred look, `?` a doubtful one.
    fn votes(text: &str) -> Vec<Vote> {
        text.split_whitespace()
            .map(|word| {
                let (grade, word) = match word.split_at(1) {
                    ("~", rest) => (Grade::Fair(Flaw::Blurred), rest),
                    ("?", rest) => (Grade::Doubtful(Flaw::TooSmall), rest),
                    _ => (Grade::Clear, word),
                };
                let (who, scores) = word.split_once('=').unwrap();
                let (best, second) = scores.split_once('/').unwrap();
                let other = if who == "a" { "b" } else { "a" };
                let found = Match {
                    best: like(who, best.parse().unwrap()),
                    second: like(other, second.parse().unwrap()),
                    rejected: None,
                };
                Vote { grade, found }
            })
            .collect()
    }

    fn verdict(text: &str) -> String {
        let votes = votes(text);
        match weigh(&votes, KNOWN) {
            Verdict::Known(person, found, rule) => {
                format!("{} {:.2} {}", person.slug, found.score(), rule.word())
            }
            Verdict::Unknown => "unknown".into(),
            Verdict::Open => doubt(&votes, KNOWN).word().into(),
        }
    }

    #[test]
    fn the_table_of_verdicts() {
        for (looks, wanted) in [
            // A name needs two looks that agree, however sure one is.
            ("a=0.90/0.10", "too_few_good_frames"),
            ("a=0.50/0.10 a=0.41/0.10", "a 0.50 margin_ok"),
            ("a=0.41/0.10 a=0.70/0.10", "a 0.70 margin_ok"),
            ("~a=0.50/0.10 ~a=0.46/0.10", "a 0.50 margin_ok"),
            ("a=0.44/0.10 a=0.44/0.10", "between_limits"),
            ("a=0.44/0.10 a=0.44/0.10 a=0.40/0.10", "a 0.44 three_frames"),
            ("a=0.50/0.10 a=0.39/0.10", "between_limits"),
            // A doubtful look never speaks for a name.
            ("?a=0.90/0.10 ?a=0.90/0.10 ?a=0.90/0.10", "too_few_good_frames"),
            ("?a=0.90/0.10 a=0.90/0.10", "too_few_good_frames"),
            // Two people alike: nobody.
            ("a=0.60/0.55 a=0.61/0.56 a=0.60/0.58", "small_margin"),
            ("a=0.60/0.54 a=0.60/0.53", "a 0.60 margin_ok"),
            // Looks that contradict each other: nobody, until one name has three times as many.
            ("a=0.60/0.10 a=0.60/0.10 b=0.50/0.10", "conflict"),
            ("a=0.60/0.10 a=0.60/0.10 a=0.60/0.10 b=0.50/0.10", "a 0.60 margin_ok"),
            ("b=0.61/0.10 b=0.60/0.10 a=0.60/0.10 a=0.50/0.10", "conflict"),
            // Unknown: two clear looks, and none that is like anybody.
            ("a=0.35/0.10 b=0.20/0.10", "unknown"),
            ("a=0.35/0.10", "too_few_good_frames"),
            ("~a=0.20/0.10 ~a=0.20/0.10", "between_limits"),
            ("~a=0.20/0.10 a=0.20/0.10 a=0.20/0.10", "unknown"),
            ("a=0.20/0.10 a=0.20/0.10 ?a=0.37/0.10", "between_limits"),
            ("a=0.20/0.10 a=0.36/0.10 a=0.10/0.10", "between_limits"),
        ] {
            assert_eq!(verdict(looks), wanted, "{looks}");
        }
    }

    #[test]
    fn one_photograph_stands_for_two_frames() {
        for (look, wanted) in [
            ("a=0.46/0.10", Some((Kind::Known, Rule::MarginOk))),
            ("a=0.44/0.10", Some((Kind::Unsure, Rule::BetweenLimits))),
            ("a=0.46/0.41", Some((Kind::Unsure, Rule::SmallMargin))),
            ("a=0.35/0.10", Some((Kind::Unknown, Rule::BelowLower))),
            ("~a=0.35/0.10", Some((Kind::Unsure, Rule::BetweenLimits))),
            ("?a=0.90/0.10", Some((Kind::Unsure, Rule::TooFewGoodFrames))),
        ] {
            let vote = &votes(look)[0];
            let told = of_equal_looks(vote.grade, &vote.found, KNOWN).map(|(kind, rule, _)| (kind, rule));
            assert_eq!(told, wanted, "{look}");
        }
        assert_eq!(of_equal_looks(Grade::Useless(Flaw::NoFace), &Match::default(), KNOWN), None);
    }

    #[test]
    fn with_nobody_enrolled_everybody_is_unknown() {
        let nobody = Vote { grade: Grade::Clear, found: Match::default() };
        assert_eq!(weigh(&[nobody.clone(), nobody], KNOWN), Verdict::Unknown);
        assert_eq!(weigh(&[], KNOWN), Verdict::Open);
    }

    #[test]
    fn another_threshold_moves_the_limits_below_it() {
        let looks = votes("a=0.50/0.10 a=0.50/0.10");
        assert_eq!(weigh(&looks, 0.6), Verdict::Open);
        assert!(matches!(weigh(&looks, 0.5), Verdict::Known(..)));
        let weak = votes("a=0.32/0.10 a=0.32/0.10");
        assert_eq!(
            weigh(&weak, 0.35),
            Verdict::Open,
            "0.32 confirms at a threshold of 0.35, so it is not unknown"
        );
        assert_eq!(weigh(&weak, 0.6), Verdict::Unknown);
    }
}
