//! The evaluation as text for people.
//!
//! Not here: the same for programs (see `files`) and as pictures (see `plots`).

use std::fmt::Write;

use super::measure::{BANDS, Detection, Pairs, THRESHOLDS, Tally, costs};
use super::passages::{Passage, Told};
use super::shots::Shots;
use super::statistics::{median, share, upper_bound};
use super::trials::{Outcome, Set, Trial};

/// Mistakes listed one by one at most; `decisions.csv` has all.
const LISTED: usize = 20;

/// Everything that was measured.
pub(super) struct Results<'a> {
    pub(super) shots: &'a Shots,
    pub(super) detection: &'a Detection,
    pub(super) pairs: &'a Pairs,
    pub(super) trials: &'a [Trial],
    pub(super) passages: &'a [Passage],
    pub(super) known: f32,
}

/// A share as text: `98.4 %`, `-` of nothing.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), |share| format!("{:.1} %", 100.0 * share))
}

/// The text.
pub(super) fn text(results: &Results<'_>) -> String {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = detection(&mut text, results);
    let _ = pairs(&mut text, results.pairs);
    let _ = decisions(&mut text, results);
    let _ = passages(&mut text, results.passages);
    text
}

fn detection(text: &mut String, results: &Results<'_>) -> std::fmt::Result {
    let Detection { n_photos, n_found, n_empty, by_band, false_by_band, false_past_norm, .. } =
        results.detection;
    let n_false: usize = false_by_band.iter().sum();
    let n_past: usize = false_past_norm.iter().sum();
    writeln!(text, "Detection")?;
    writeln!(
        text,
        "  photos with a face found    {n_found} of {n_photos}  {}",
        percent(share(*n_found, *n_photos))
    )?;
    writeln!(
        text,
        "  false boxes                 {n_false} on {n_empty} pictures without a face, {n_past} past the norm gate, {} good enough for a name",
        results.detection.n_false_clear
    )?;
    writeln!(
        text,
        "  width of the box, pixels    {}",
        columns(BANDS.iter().map(|(name, _)| (*name).to_owned()))
    )?;
    writeln!(text, "    faces found               {}", columns(by_band.iter().map(usize::to_string)))?;
    writeln!(text, "    false boxes               {}", columns(false_by_band.iter().map(usize::to_string)))?;
    writeln!(
        text,
        "    past the norm gate        {}",
        columns(false_past_norm.iter().map(usize::to_string))
    )?;
    for file in results.detection.not_found.iter().take(LISTED) {
        writeln!(text, "  no face found: {file}")?;
    }
    let (detect, embed) = costs(results.shots);
    let ms = |cost: Option<f64>| cost.map_or_else(|| "-".into(), |cost| format!("{cost:.0} ms"));
    writeln!(text, "  median time                 {} a picture, {} a face", ms(detect), ms(embed))
}

fn columns(cells: impl Iterator<Item = String>) -> String {
    cells.map(|cell| format!("{cell:>8}")).collect()
}

fn pairs(text: &mut String, pairs: &Pairs) -> std::fmt::Result {
    let (genuine, impostor) = (&pairs.genuine, &pairs.impostor);
    let quantiles = |scores: &super::statistics::Sorted| {
        let at = |part| scores.quantile(part).map_or_else(|| "-".into(), |score| format!("{score:.3}"));
        columns([0.0, 0.05, 0.5, 0.95, 1.0].into_iter().map(at))
    };
    writeln!(text, "\nPairs of photos (cosine)           least    5 %  median    95 %    most")?;
    writeln!(text, "  same person     {:>8} pairs {}", genuine.len(), quantiles(genuine))?;
    writeln!(text, "  two people      {:>8} pairs {}", impostor.len(), quantiles(impostor))?;
    if pairs.n_copies > 0 {
        writeln!(
            text,
            "  {} pairs of one person are copies of one picture and were left out",
            pairs.n_copies
        )?;
    }
    match pairs.equal_error() {
        Some(error) => {
            writeln!(
                text,
                "  equal error rate            {} at {:.3}",
                percent(Some(error.rate)),
                error.threshold
            )?;
        }
        None => {
            writeln!(text, "  equal error rate            - (needs two photos of somebody, and two people)")?
        }
    }
    for (far, name) in [(0.001, "0.1 %"), (0.0, "0")] {
        if let Some((tar, threshold)) = pairs.tar_at(far) {
            writeln!(text, "  accepted at FAR {name:<5}       {} at {threshold:.3}", percent(Some(tar)))?;
        }
    }
    for threshold in THRESHOLDS {
        let n_wrong = impostor.accepted(threshold);
        writeln!(
            text,
            "  at {threshold:.3}                    TAR {}, FAR {n_wrong} of {} (below {} with 95 % certainty)",
            percent(genuine.accept_rate(threshold)),
            impostor.len(),
            upper_bound(n_wrong, impostor.len())
                .map_or_else(|| "-".into(), |bound| format!("{:.2} %", 100.0 * bound)),
        )?;
    }
    Ok(())
}

fn decisions(text: &mut String, results: &Results<'_>) -> std::fmt::Result {
    writeln!(text, "\nDecisions at {:.2} (a photo stands for two equal frames)", results.known)?;
    writeln!(text, "                                   all   right   wrong  unsure  missed")?;
    for (set, name) in [
        (Set::Enrolled, "enrolled, photo left out"),
        (Set::Stranger, "strangers"),
        (Set::LeftOut, "enrolled, person left out"),
        (Set::NoFace, "boxes without a face"),
    ] {
        let tally = Tally::of(results.trials, set);
        let counts = [tally.all(), tally.right, tally.wrong, tally.unsure, tally.missed];
        writeln!(text, "  {name:<28}{}", columns(counts.iter().map(usize::to_string)))?;
    }
    let named = [Set::Stranger, Set::LeftOut].map(|set| Tally::of(results.trials, set));
    let (n_named, n) = (named[0].wrong + named[1].wrong, named[0].all() + named[1].all());
    writeln!(
        text,
        "  strangers named: {n_named} of {n} (the true rate is below {} with 95 % certainty)",
        percent(upper_bound(n_named, n))
    )?;
    let not_right = |trial: &&Trial| trial.outcome != Outcome::Right;
    for trial in results.trials.iter().filter(not_right).take(LISTED) {
        let best = trial.found.best.as_ref().map_or_else(
            || "nobody to compare with".to_owned(),
            |best| format!("{} {:.3}", best.person.name, best.score),
        );
        writeln!(
            text,
            "  {} {}: {} ({}), {best}, {}",
            trial.outcome.word(),
            trial.set.word(),
            trial.decision,
            trial.rule,
            trial.file
        )?;
    }
    Ok(())
}

fn passages(text: &mut String, passages: &[Passage]) -> std::fmt::Result {
    if passages.is_empty() {
        return Ok(());
    }
    let count = |outcome| passages.iter().filter(|passage| passage.outcome == outcome).count();
    writeln!(text, "\nPassages")?;
    writeln!(
        text,
        "  {} clips: {} right, {} wrong, {} missed, {} unsure, {} nothing",
        passages.len(),
        count(Told::Right),
        count(Told::Wrong),
        count(Told::Missed),
        count(Told::Unsure),
        count(Told::Nothing)
    )?;
    let known =
        passages.iter().filter(|passage| matches!(passage.expected, super::passages::Expected::Known(_)));
    if let Some(seconds) = median(known.filter_map(|passage| passage.seconds).collect()) {
        writeln!(text, "  first usable frame to the name: median {seconds:.2} s")?;
    }
    for passage in passages {
        let told = if passage.told.is_empty() { "nothing".into() } else { passage.told.join(", ") };
        let after = passage.seconds.map_or_else(String::new, |seconds| format!(" after {seconds:.2} s"));
        writeln!(
            text,
            "  {:<7} {}: expected {}, told {told}{after} ({} frames)",
            passage.outcome.word(),
            passage.folder,
            passage.expected.word(),
            passage.n_frames
        )?;
    }
    Ok(())
}
