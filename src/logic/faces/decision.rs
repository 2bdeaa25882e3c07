//! What is told about a face: the kinds of decisions, the rules behind them and their record.
//!
//! Not here: how a decision comes about (see `verdict` and `track`).

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::gallery::{Likeness, PersonId};

/// What was decided; the `event_type` of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is this person.
    Known,
    /// It is nobody of the gallery.
    Unknown,
    /// Somebody was there, and it could not be told who.
    Unsure,
    /// Somebody who was told before is gone.
    Left,
}

impl Kind {
    /// The word in topics, payloads and interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Known => "known",
            Kind::Unknown => "unknown",
            Kind::Unsure => "unsure",
            Kind::Left => "left",
        }
    }
}

/// Why it was decided so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Known: at least two frames agree, one of them above the threshold, with enough margin to the second person.
    MarginOk,
    /// Known: three frames agree a little below the threshold.
    ThreeFrames,
    /// Unknown: at least two clear frames and all below the lower limit until the grace time ended.
    BelowLower,
    /// Unsure: too few frames were good enough.
    TooFewGoodFrames,
    /// Unsure: more like somebody than a stranger is, less than a name needs.
    BetweenLimits,
    /// Unsure: two people of the gallery are too alike here.
    SmallMargin,
    /// Unsure: frames of one track speak for different people.
    Conflict,
    /// Left: not seen for the time a track is kept.
    NotSeen,
}

impl Rule {
    /// The word in payloads and interfaces.
    pub fn word(self) -> &'static str {
        match self {
            Rule::MarginOk => "margin_ok",
            Rule::ThreeFrames => "three_frames",
            Rule::BelowLower => "below_lower",
            Rule::TooFewGoodFrames => "too_few_good_frames",
            Rule::BetweenLimits => "between_limits",
            Rule::SmallMargin => "small_margin",
            Rule::Conflict => "conflict",
            Rule::NotSeen => "not_seen",
        }
    }
}

/// The face of a decision, as it was in the track's best frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaceView {
    /// Left edge, top edge, width and height as fractions of the picture.
    pub fractions: [f32; 4],
    /// Width in pixels.
    pub px: f32,
    /// 0 (a blur) to 1 (crisp).
    pub sharpness: f32,
    /// Turn of the head in degrees, positive to the right side of the picture.
    pub yaw: f32,
    /// Tilt of the head in degrees, positive when the eye at the right is lower.
    pub roll: f32,
    /// How sure the detector was, 0 to 1.
    pub score: f32,
    /// Length of the embedding, the measure of a usable face: 10 and more is clear, below 7 is no face.
    pub norm: f32,
}

impl FaceView {
    /// How the face looks, in figures for people; where it is does not belong to them.
    pub fn figures(&self) -> Map<String, Value> {
        Map::from_iter([
            ("px".to_owned(), json!(round(self.px, 0) as i64)),
            ("sharpness".to_owned(), json!(round(self.sharpness, 2))),
            ("yaw".to_owned(), json!(round(self.yaw, 0) as i64)),
            ("roll".to_owned(), json!(round(self.roll, 0) as i64)),
            ("score".to_owned(), json!(round(self.score, 2))),
            ("norm".to_owned(), json!(round(self.norm, 1))),
        ])
    }
}

/// One decision about one track.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The track it is about; `Left` has the number of the decision before.
    pub track: u64,
    /// What.
    pub kind: Kind,
    /// Why.
    pub rule: Rule,
    /// Who: always with `Known`, never with `Unknown` and `Unsure`.
    pub person: Option<PersonId>,
    /// Cosine with the most likely person; `None` when nobody is enrolled.
    pub score: Option<f32>,
    /// The second most likely person.
    pub second: Option<Likeness>,
    /// `score` minus the second's score.
    pub margin: Option<f32>,
    /// Who it would have been, had not somebody said that this look is not that person.
    pub rejected: Option<PersonId>,
    /// The face in the best frame.
    pub face: FaceView,
    /// Frames whose face the recogniser looked at and found usable.
    pub frames: u32,
    /// When the camera delivered the first of them.
    pub captured_at: Instant,
    /// Sequence number of the frame with the best quality.
    pub best_frame: u64,
    /// What was told about this track before and is hereby corrected.
    pub corrects: Option<Kind>,
}

impl Decision {
    /// The fields of the event payload that belong to the decision, besides who and what.
    pub fn record(&self) -> Map<String, Value> {
        let second =
            self.second.as_ref().map(|s| json!({"person": &*s.person.slug, "score": round(s.score, 3)}));
        let mut record = Map::new();
        record.insert("score".into(), json!(self.score.map(|v| round(v, 3))));
        record.insert("second".into(), json!(second));
        record.insert("margin".into(), json!(self.margin.map(|v| round(v, 3))));
        let mut face = self.face.figures();
        face.insert("box".into(), json!(self.face.fractions.map(|v| round(v, 4))));
        record.insert("face".into(), Value::Object(face));
        record.insert("rule".into(), json!(self.rule.word()));
        record.insert("frames".into(), json!(self.frames));
        if let Some(person) = &self.rejected {
            record.insert("rejected".into(), json!(&*person.slug));
        }
        if let Some(kind) = self.corrects {
            record.insert("corrects".into(), json!(kind.word()));
        }
        record
    }
}

/// Rounds for people: an `f32` printed as `f64` would show digits that mean nothing.
pub fn round(value: f32, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (f64::from(value) * factor).round() / factor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_fields_of_the_contract() {
        let person = |slug: &str| PersonId { slug: slug.into(), name: slug.into() };
        let decision = Decision {
            track: 7,
            kind: Kind::Known,
            rule: Rule::MarginOk,
            person: Some(person("alice")),
            score: Some(0.712_34),
            second: Some(Likeness { person: person("bob"), score: 0.31 }),
            margin: Some(0.402_34),
            rejected: None,
            face: FaceView {
                fractions: [0.41, 0.22, 0.1, 0.17],
                px: 96.4,
                sharpness: 0.8,
                yaw: -12.3,
                roll: 3.2,
                score: 0.912,
                norm: 11.24,
            },
            frames: 4,
            captured_at: Instant::now(),
            best_frame: 99,
            corrects: None,
        };
        let wanted = json!({
            "score": 0.712, "second": {"person": "bob", "score": 0.31}, "margin": 0.402,
            "face": {"box": [0.41, 0.22, 0.1, 0.17], "px": 96, "sharpness": 0.8, "yaw": -12, "roll": 3, "score": 0.91,
                "norm": 11.2},
            "rule": "margin_ok", "frames": 4,
        });
        assert_eq!(Value::Object(decision.record()), wanted);
        let bare = Decision {
            score: None,
            second: None,
            margin: None,
            rejected: Some(person("carol")),
            corrects: Some(Kind::Unsure),
            ..decision
        };
        assert_eq!(bare.record()["rejected"], "carol");
        assert_eq!(bare.record()["score"], Value::Null);
        assert_eq!(bare.record()["corrects"], "unsure");
    }
}
