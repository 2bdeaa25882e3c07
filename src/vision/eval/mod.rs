//! `doorward eval FOLDER`: how well faces are found and named, measured with the real models on photographs of one's own.
//!
//! `album` reads the folder, `shots` looks at the photographs, `trials` asks whom each face would be taken for, `passages` plays clips
//! through the face loop, `measure` counts with the functions of `statistics`; `report`, `files` and `plots` show it.
//!
//! Not here: the models and rules that are measured (see `vision::model` and `logic::faces`).

mod album;
mod files;
mod measure;
mod passages;
mod plots;
mod progress;
mod report;
mod scenes;
mod shots;
mod statistics;
mod trials;
mod variants;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crate::config::cli::Eval;
use crate::config::{Detector, Faces};
use crate::logic::faces::quality::Limits;
use crate::logic::faces::tracker::Settings;
use crate::vision::faces::{Finder, Models};
use album::Album;
use measure::{Detection, Pairs};
use progress::Progress;
use report::Results;
use shots::Eye;
use trials::Household;

/// Measures what `task` asks for with the limits of the configuration; the table goes to `out`, progress and remarks to `err`.
///
/// # Errors
/// A sentence when nothing could be measured, or a result could not be written.
pub fn run(task: &Eval, config: &Faces, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), String> {
    let root = &task.folder;
    let album = Album::read(root)?;
    let mut progress = Progress::new(err);
    album.remarks.iter().for_each(|remark| progress.remark(remark));
    let finder = match config.detector {
        Detector::Yunet => Finder::YuNet,
        Detector::Rustface => Finder::Rustface,
    };
    let mut models = Models::load(finder, config.detect_width as usize).map_err(|error| error.to_string())?;
    let limits = Limits { min_width: config.min_size as f32, min_score: config.min_score as f32 };
    let known = task.threshold as f32;

    let eye = Eye { root, limits, side: task.photo_side, is_timed: task.json.is_some() };
    let mut remarks = Vec::new();
    let shots = eye.look_at(&album, &mut models, &mut remarks, &mut progress);
    remarks.iter().for_each(|remark| progress.remark(remark));
    if shots.people.iter().all(|person| person.shots.is_empty()) {
        return Err(format!("{}: no photo of anybody could be read.", root.display()));
    }
    let household = Household::new(&shots.people, known);
    let trials = household.trials(&shots);
    let (detection, pairs) = (Detection::of(&shots), Pairs::of(&shots, &trials));
    let settings = Settings { known, limits, unknown_grace: config.unknown_grace, ..Settings::default() };
    let step = Duration::from_secs_f64(1.0 / task.fps);
    let passages =
        passages::play(root, &album.clips, &household.gallery(), settings, step, &mut models, &mut progress);
    let results = Results {
        shots: &shots,
        detection: &detection,
        pairs: &pairs,
        trials: &trials,
        passages: &passages,
        known,
    };
    let mut text = report::text(&results);
    if task.variants {
        text += &variants::measure(&shots, &household, limits, task.photo_side, &mut models, &mut progress)?;
    }
    // Who closed standard output does not want to read on; the files are still written.
    let _ = out.write_all(text.as_bytes());
    if let Some(folder) = &task.out {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("{}: the folder cannot be made: {error}.", folder.display()))?;
        let summary = measure::summary(&shots, &detection, &pairs, &trials);
        write(&folder.join("decisions.csv"), &files::decisions(&trials))?;
        write(&folder.join("passages.csv"), &files::passages(&passages))?;
        write(&folder.join("summary.json"), &format!("{summary:#}\n"))?;
        write(&folder.join("scores.svg"), &plots::scores(&pairs, known))?;
        write(&folder.join("roc.svg"), &plots::roc(&pairs))?;
    }
    match &task.json {
        Some(file) => write(file, &format!("{}\n", files::faces(&shots))),
        None => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: cannot be written: {error}.", path.display()))
}
