//! `doorward eval` through its front door, on a folder made of the photographs of the tests; and the comparison with OpenCV.
//!
//! Not here: single figures and rules; see the tests in `src/vision/eval` and `src/logic/faces`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Where each photograph of the tests goes.
const PHOTOS: [(&str, &str); 12] = [
    ("known/obama/1.jpg", "Barack/1.jpg"),
    ("known/obama/2.jpg", "Barack/2.jpg"),
    ("known/obama/3.jpg", "Barack/3.jpg"),
    ("known/obama/4.jpg", "Barack/4, the senator.jpg"),
    ("known/macron/2.jpg", "Emmanuel/2.jpg"),
    ("known/ardern/2.jpg", "Jacinda/2.jpg"),
    ("single/biden.jpg", "_strangers/biden.jpg"),
    ("single/collins.jpg", "_strangers/collins.jpg"),
    ("single/hopper.jpg", "_strangers/Grace/1.jpg"),
    ("nonface/chelsea.png", "_nofaces/chelsea.png"),
    ("nonface/coffee.png", "_nofaces/coffee.png"),
    ("nonface/coffee.png", "_nofaces/table.clip/1.png"),
];

fn source(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/faces").join(file)
}

fn put(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(from, to).unwrap();
}

/// The photographs, a passage of somebody known, one of a stranger, and two files that cannot be used.
fn album() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (from, to) in PHOTOS {
        put(&source(from), &root.path().join(to));
    }
    passage("known/obama/2.jpg", &root.path().join("Barack/visit.clip"));
    passage("single/hopper.jpg", &root.path().join("_strangers/visit.clip"));
    std::fs::write(root.path().join("Jacinda/broken.jpg"), "no picture").unwrap();
    std::fs::write(root.path().join("Emmanuel/notes.txt"), "no picture").unwrap();
    root
}

/// Somebody comes nearer, in six frames.
fn passage(photo: &str, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let photo = image::open(source(photo)).unwrap().to_rgb8();
    for n in 0..6 {
        let height = 260 + 30 * n;
        let width = photo.width() * height / photo.height();
        let small = image::imageops::resize(&photo, width, height, image::imageops::FilterType::Triangle);
        let mut frame = image::RgbImage::from_pixel(640, 480, image::Rgb([96, 100, 92]));
        image::imageops::replace(&mut frame, &small, 40 + 40 * i64::from(n), 20);
        frame.save(folder.join(format!("{n:02}.jpg"))).unwrap();
    }
}

fn doorward(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    // No settings of this machine.
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("DOORWARD_")) {
        command.env_remove(key);
    }
    command.args(arguments).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_photographs_of_the_tests_are_found_and_told_apart() {
    let (album, work) = (album(), tempfile::tempdir().unwrap());
    let folder = album.path().display().to_string();
    let done = doorward(&["eval", &folder, "--out", "results", "--json", "faces.json"], work.path());
    let (out, err) = (text(&done.stdout), text(&done.stderr));
    assert!(done.status.success(), "{out}\n{err}");
    println!("{out}\n{err}");
    assert!(out.contains("photos with a face found    9 of 9  100.0 %"), "{out}");
    assert!(err.contains("broken.jpg: the picture is not a readable JPEG or PNG picture"), "{err}");
    assert!(err.contains("notes.txt: only JPEG and PNG"), "{err}");

    let results = work.path().join("results");
    let read = |file: &str| std::fs::read_to_string(results.join(file)).unwrap();
    let summary: Value = serde_json::from_str(&read("summary.json")).unwrap();
    assert_eq!(summary["detection"]["recall"], 1.0);
    assert_eq!(summary["pairs"]["genuine"], 6);
    assert_eq!(summary["pairs"]["impostor"], 30);
    assert!(summary["pairs"]["equal_error"]["rate"].as_f64().unwrap() < 0.01, "{summary:#}");
    for (key, right, wrong) in
        [("enrolled", 4, 0), ("strangers", 3, 0), ("left_out", 6, 0), ("no_face", 0, 0)]
    {
        assert_eq!((&summary[key]["right"], &summary[key]["wrong"]), (&right.into(), &wrong.into()), "{key}");
    }

    let csv = read("decisions.csv");
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 1 + 4 + 3 + 6);
    assert!(lines[0].starts_with("set,file,truth,x,y,width,height,score,norm,roll,yaw,sharpness,best,"));
    let quoted = lines.iter().find(|line| line.contains("senator")).unwrap();
    assert!(quoted.starts_with("enrolled,\"Barack/4, the senator.jpg\",Barack,"), "{quoted}");
    assert!(quoted.ends_with(",known,margin_ok,right,true"), "{quoted}");
    // The comma inside the quoted name is the only one too many.
    let columns = |line: &str| line.matches(',').count();
    let usual = lines.iter().filter(|line| !line.contains("senator"));
    assert!(usual.into_iter().all(|line| columns(line) == columns(lines[0])), "{csv}");

    for plot in ["scores.svg", "roc.svg"] {
        is_well_formed(&read(plot)).unwrap_or_else(|fault| panic!("{plot}: {fault}"));
    }
    let clips = read("passages.csv");
    for wanted in [
        "Barack/visit.clip,6,Barack,Barack,",
        "_strangers/visit.clip,6,unknown,unknown,",
        "table.clip,1,nothing,,,right",
    ] {
        assert!(clips.contains(wanted), "{wanted} in {clips}");
    }
    assert_eq!(clips.matches(",right\n").count(), 3, "{clips}");

    let faces: Value =
        serde_json::from_str(&std::fs::read_to_string(work.path().join("faces.json")).unwrap()).unwrap();
    let photos = faces["photos"].as_array().unwrap();
    assert_eq!(photos.len(), 11);
    let face = &photos[0]["faces"][0];
    assert_eq!(face["embedding"].as_array().unwrap().len(), 128);
    assert_eq!((face["points"].as_array().unwrap().len(), face["box"].as_array().unwrap().len()), (5, 4));
    assert!(face["embed_ms"].as_f64().unwrap() > 0.0 && photos[0]["detect_ms"].as_f64().unwrap() > 0.0);
}

/// Whether every element of the drawing is closed, in order, and every `<` and `"` belongs to one: enough for what we write.
fn is_well_formed(svg: &str) -> Result<(), String> {
    let mut open = Vec::new();
    for piece in svg.split('<').skip(1) {
        let (tag, after) = piece.split_once('>').ok_or_else(|| format!("<{piece} has no end"))?;
        if after.contains(['&', '"']) || tag.matches('"').count() % 2 != 0 {
            return Err(format!("a stray mark in <{piece}"));
        }
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        if let Some(closed) = tag.strip_prefix('/') {
            if open.pop() != Some(closed) {
                return Err(format!("</{closed}> closes something else"));
            }
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    if open.is_empty() && svg.starts_with("<svg ") { Ok(()) } else { Err(format!("{open:?} stay open")) }
}

#[test]
fn what_cannot_be_measured_is_said_in_a_sentence() {
    let work = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(work.path().join("empty/_strangers")).unwrap();
    std::fs::create_dir_all(work.path().join("broken/Alice")).unwrap();
    std::fs::write(work.path().join("broken/Alice/1.jpg"), "no picture").unwrap();
    for (folder, wanted) in [
        ("empty", "there is nobody in it"),
        ("nowhere", "cannot be listed"),
        ("broken", "no photo of anybody could be read"),
    ] {
        let done = doorward(&["eval", folder], work.path());
        assert_eq!(done.status.code(), Some(1), "{folder}");
        assert!(text(&done.stderr).contains(wanted), "{folder}: {}", text(&done.stderr));
        assert!(done.stdout.is_empty());
    }
    for arguments in [["--fps", "0"], ["--threshold", "2"]] {
        let done = doorward(&[&["eval", "empty"], &arguments[..]].concat(), work.path());
        assert_eq!(done.status.code(), Some(2), "{arguments:?}");
        assert!(text(&done.stderr).contains("needs a number from"), "{}", text(&done.stderr));
    }
}

#[test]
fn embeddings_equal_those_of_opencv_on_the_same_pictures() {
    let python = std::env::var("DOORWARD_PYTHON").unwrap_or_else(|_| "python3".into());
    let has_it = Command::new(&python).args(["-c", "import cv2, onnx, numpy"]).output();
    if !has_it.is_ok_and(|done| done.status.success()) {
        let reason =
            format!("{python} has no OpenCV and onnx; './doorward.sh test' brings its own Python that has.");
        assert!(std::env::var_os("CI").is_none(), "CI is set, so this may not be skipped: {reason}");
        println!("skipped: {reason}");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/opencv_faces.py");
    let done = Command::new(&python).arg(script).arg(env!("CARGO_BIN_EXE_doorward")).output().unwrap();
    let (out, err) = (text(&done.stdout), text(&done.stderr));
    println!("{out}");
    assert!(done.status.success(), "{out}\n{err}");
    assert!(out.contains("cosine, aligned by our points"), "{out}");
}
