//! The evaluation as files for other programs: `decisions.csv`, `passages.csv`, and every face as JSON.
//!
//! Not here: the figures themselves (see `measure`).

use serde_json::{Value, json};

use super::measure::round;
use super::passages::Passage;
use super::shots::{Seen, Shot, Shots};
use super::trials::Trial;

/// The columns of `decisions.csv`.
pub(super) const COLUMNS: &str = "set,file,truth,x,y,width,height,score,norm,roll,yaw,sharpness,best,best_score,second,second_score,\
                       margin,decision,rule,outcome,right";

/// One line for each decision.
pub(super) fn decisions(trials: &[Trial]) -> String {
    let lines = trials.iter().map(|trial| line(&cells(trial)));
    std::iter::once(COLUMNS.to_owned() + "\n").chain(lines).collect()
}

fn cells(trial: &Trial) -> Vec<String> {
    let number =
        |value: Option<f32>, digits: usize| value.map_or_else(String::new, |v| format!("{v:.digits$}"));
    let face = trial.seen.as_ref().map(|seen| &seen.face);
    let sharpness = trial.seen.as_ref().and_then(|seen| seen.answer.as_ref()).map(|answer| answer.sharpness);
    let (best, second) = (trial.found.best.as_ref(), trial.found.second.as_ref());
    let name = |of: Option<&crate::logic::faces::gallery::Likeness>| {
        of.map_or_else(String::new, |likeness| likeness.person.name.to_string())
    };
    let right = matches!(trial.outcome, super::trials::Outcome::Right);
    vec![
        trial.set.word().into(),
        trial.file.clone(),
        trial.truth.clone(),
        number(face.map(|face| face.rect.x), 1),
        number(face.map(|face| face.rect.y), 1),
        number(face.map(|face| face.rect.width), 1),
        number(face.map(|face| face.rect.height), 1),
        number(face.map(|face| face.score), 3),
        number(trial.seen.as_ref().map(Seen::norm), 2),
        number(face.map(crate::logic::faces::Face::roll_degrees), 1),
        number(face.map(crate::logic::faces::Face::yaw_degrees), 1),
        number(sharpness, 2),
        name(best),
        number(best.map(|best| best.score), 4),
        name(second),
        number(second.map(|second| second.score), 4),
        number(trial.found.margin(), 4),
        trial.decision.into(),
        trial.rule.into(),
        trial.outcome.word().into(),
        right.to_string(),
    ]
}

/// One line for each clip.
pub(super) fn passages(passages: &[Passage]) -> String {
    let head = "clip,frames,expected,told,seconds,outcome\n".to_owned();
    let lines = passages.iter().map(|passage| {
        line(&[
            passage.folder.clone(),
            passage.n_frames.to_string(),
            passage.expected.word().to_owned(),
            passage.told.join(" "),
            passage.seconds.map_or_else(String::new, |seconds| format!("{seconds:.3}")),
            passage.outcome.word().to_owned(),
        ])
    });
    std::iter::once(head).chain(lines).collect()
}

/// A line of CSV (RFC 4180).
fn line(cells: &[String]) -> String {
    let cell = |text: &String| {
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.clone()
        }
    };
    cells.iter().map(cell).collect::<Vec<_>>().join(",") + "\n"
}

/// Every face of every photograph, to compare with other programs.
pub(super) fn faces(shots: &Shots) -> Value {
    let people = shots.people.iter().chain(&shots.strangers).flat_map(|subject| &subject.shots);
    let photo = |shot: &Shot| {
        json!({
            "file": shot.file, "width": shot.size[0], "height": shot.size[1], "detect_ms": milliseconds(shot.detect_ms),
            "faces": shot.faces.iter().map(face).collect::<Vec<_>>(),
        })
    };
    json!({ "photos": people.chain(&shots.no_faces).map(photo).collect::<Vec<_>>() })
}

fn face(seen: &Seen) -> Value {
    let rect = seen.face.rect;
    let embedding = seen.answer.as_ref().map(|answer| answer.embedding.vector.to_vec());
    json!({
        "box": ([rect.x, rect.y, rect.width, rect.height].map(round)), "score": round(seen.face.score),
        "points": seen.face.points.map(|point| point.map(round)), "norm": round(seen.norm()),
        "embedding": embedding, "embed_ms": milliseconds(seen.embed_ms),
    })
}

fn milliseconds(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_would_break_a_line_are_quoted() {
        let cells = ["plain", "a, b", "say \"hi\"", "two\nlines"].map(str::to_owned);
        assert_eq!(line(&cells), "plain,\"a, b\",\"say \"\"hi\"\"\",\"two\nlines\"\n");
    }
}
