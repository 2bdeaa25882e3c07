//! Teaching with real photographs and real models, on a real disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::tests::{House, jpeg, source};
use super::training::Taught;
use super::*;
use crate::logic::faces::training::{EventFace, Job, Shot, Whom};
use crate::logic::picture::Rect;
use crate::logic::problem::Problem;

impl House {
    fn teach(&mut self, job: Job) -> Result<Taught, Problem> {
        let (enroller, mut eyes) = self.eyes();
        enroller.teach(job, &mut eyes)
    }

    fn enrol(&mut self, name: &str, photo: &str) -> Result<Taught, Problem> {
        let shot = Shot::Image(fs::read(source(photo)).unwrap().into());
        self.teach(Job::Enrol { name: name.into(), shot, force: false })
    }

    fn list(&mut self) -> Value {
        self.teach(Job::List { last_seen: BTreeMap::new() }).unwrap().data
    }

    fn unknown(&mut self, photo: &str) -> Grouped {
        let (enroller, mut eyes) = self.eyes();
        let face = face_of(photo, &mut eyes);
        enroller.note_unknown(&face.jpeg, face.place, Duration::from_secs(3600), &mut eyes).unwrap().0
    }

    fn event(&mut self, photo: &str, person: Option<&str>, group: Option<u32>) -> EventFace {
        let (_, mut eyes) = self.eyes();
        EventFace { person: person.map(str::to_owned), group, ..face_of(photo, &mut eyes) }
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root.path().join(folder)).into_iter().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn who(&mut self, photo: &str) -> Value {
        let shot = Shot::Image(fs::read(source(photo)).unwrap().into());
        self.teach(Job::Test(Some(shot))).unwrap().data["faces"][0].clone()
    }
}

/// The face of a photograph, as an event of a camera would have it.
fn face_of(photo: &str, eyes: &mut Eyes<'_>) -> EventFace {
    let photo = image::open(source(photo)).unwrap();
    let photo = photo.thumbnail(1280, 720);
    let rgb = photo.to_rgb8();
    let (width, height) = (rgb.width() as usize, rgb.height() as usize);
    let picture = model::Picture::new(width, height, rgb.as_raw()).unwrap();
    let [x, y, w, h] = eyes.faces(&picture).unwrap()[0].rect.fractions(width, height);
    EventFace {
        id: "01J".into(),
        jpeg: jpeg(&photo).into(),
        place: Rect { x, y, w, h },
        person: None,
        group: None,
    }
}

fn code(outcome: Result<Taught, Problem>) -> String {
    let problem = outcome.expect_err("it must be refused");
    format!("{}: {}", problem.code(), problem.advice())
}

#[test]
fn a_new_person_is_enrolled_and_recognised_and_kept_private() {
    let mut house = House::new();
    house.poll();
    let taught = house.enrol("Jürgen Groß", "known/obama/1.jpg").unwrap();
    assert_eq!((&taught.data["person"], &taught.data["photos"]), (&"juergen_gross".into(), &1.into()));
    assert!(taught.data["quality"]["px"].as_u64() > Some(80), "{}", taught.data);
    let household = taught.household.unwrap();
    assert_eq!((household.gallery.people().count(), household.n_left), (1, 0));
    assert_eq!(house.who("known/obama/2.jpg")["best"]["person"], "juergen_gross");
    // By slug, more photographs.
    for i in 2..=4 {
        house.enrol("juergen_gross", &format!("known/obama/{i}.jpg")).unwrap();
    }
    assert_eq!(house.files("Jürgen Groß").len(), 4);
    let root = house.root.path().to_owned();
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
    let photo = format!("Jürgen Groß/{}", house.files("Jürgen Groß")[0]);
    assert_eq!((mode("Jürgen Groß"), mode(&photo), mode("embeddings.json")), (0o700, 0o600, 0o600));
    let list = house.list();
    assert_eq!((&list["people"][0]["photos"], &list["self_test"]), (&4.into(), &"good".into()));
    // What a person copied there is made private too, in a folder that is ours.
    house.copy("single/biden.jpg", "Joe/1.jpg");
    house.poll();
    assert_eq!((mode("Joe"), mode("Joe/1.jpg"), mode("")), (0o700, 0o600, 0o700));
    assert!(house.poll().is_none(), "what we wrote ourselves is no news");
}

#[test]
fn enrolment_refuses_with_a_reason_and_leaves_nothing() {
    let mut house = House::new();
    house.enrol("Barack", "known/obama/1.jpg").unwrap();
    let portrait = image::open(source("single/hopper.jpg")).unwrap();
    let mut two = image::RgbImage::new(1024, 600);
    for x in [0, 512] {
        image::imageops::replace(&mut two, &portrait.to_rgb8(), x, 0);
    }
    let png_bomb = {
        let mut png = vec![0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0, 0, 13];
        png.extend(b"IHDR");
        png.extend([0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50, 8, 2, 0, 0, 0, 0x5d, 0x1c, 0x5b, 0x10]);
        png
    };
    let whole = fs::read(source("single/biden.jpg")).unwrap();
    for (bytes, wanted) in [
        (fs::read(source("nonface/chelsea.png")).unwrap(), "no_face: "),
        (jpeg(&two.into()), "several_faces: The photo shows 2 faces"),
        (jpeg(&portrait.thumbnail(130, 130)), "too_small: The face is"),
        (jpeg(&portrait.blur(14.0)), "blurred: "),
        (b"no picture".to_vec(), "unreadable: "),
        (Vec::new(), "unreadable: "),
        (whole[..2000].to_vec(), "unreadable: "),
        (png_bomb, "unreadable: "),
    ] {
        let shot = Shot::Image(bytes.into());
        let said = code(house.teach(Job::Enrol { name: "New".into(), shot, force: false }));
        // A face that is blurred enough is not found at all.
        assert!(said.starts_with(wanted) || (wanted == "blurred: " && said.starts_with("no_face")), "{said}");
    }
    assert!(code(house.enrol("Barack", "known/obama/1.jpg")).starts_with("copy: "));
    let said = code(house.enrol("Somebody else", "known/obama/2.jpg"));
    assert!(said.starts_with("looks_like: The face looks like Barack (0."), "{said}");
    for name in ["../x", "a/b", "", ".hidden", "_unknown", "unknown", &"n".repeat(300)] {
        assert!(code(house.enrol(name, "single/hopper.jpg")).starts_with("bad_name: "), "{name}");
    }
    house.enrol("🙂", "single/hopper.jpg").unwrap();
    assert_eq!(house.files(""), ["Barack", "embeddings.json", "🙂"]);
    assert_eq!(house.list()["people"].as_array().unwrap().len(), 2);
    // Who insists may have twins.
    let shot = Shot::Image(fs::read(source("known/obama/2.jpg")).unwrap().into());
    let taught = house.teach(Job::Enrol { name: "Twin".into(), shot, force: true }).unwrap();
    assert!(taught.data["warnings"][0].as_str().unwrap().contains("Barack"), "{}", taught.data);
    assert_eq!(taught.data["self_test"], "look_alikes");
}

#[test]
fn unknown_faces_are_grouped_and_named_once() {
    let mut house = House::new();
    house.enrol("Grace", "single/hopper.jpg").unwrap();
    let first = house.unknown("known/obama/1.jpg");
    assert!(first.is_new);
    for i in 2..=4 {
        assert_eq!(
            house.unknown(&format!("known/obama/{i}.jpg")),
            Grouped { group: first.group, is_new: false }
        );
    }
    let other = house.unknown("single/biden.jpg");
    assert!(other.is_new && other.group != first.group);
    // The same look again adds no picture.
    house.unknown("known/obama/1.jpg");
    let list = house.list();
    assert_eq!(list["unknown"][0]["photos"], 4, "{list}");
    assert_eq!(list["unknown"].as_array().unwrap().len(), 2);

    let event = house.event("known/obama/3.jpg", None, Some(first.group));
    let job = Job::Assign { whom: Whom::Event(event), name: "Barack".into(), force: false };
    let taught = house.teach(job).unwrap();
    assert_eq!(taught.data["photos"], 4, "{}", taught.data);
    let corrected = Some(("01J".to_owned(), Some(("barack".to_owned(), "Barack".to_owned()))));
    assert_eq!(taught.changed.corrected, corrected);
    assert_eq!(house.files("_unknown"), [other.group.to_string()]);
    assert_eq!(house.who("known/obama/2.jpg")["decision"], "known");

    // The second one is of no interest to anybody.
    house.teach(Job::Ignore(Whom::Group(other.group))).unwrap();
    assert_eq!(house.who("single/biden.jpg")["rule"], "ignored");
    assert_eq!(house.list()["ignored"][0]["group"], other.group);
    house.teach(Job::Forget(Whom::Group(other.group))).unwrap();
    assert_eq!(house.who("single/biden.jpg")["decision"], "unknown");
    assert!(house.unknown("single/biden.jpg").group > other.group, "numbers are never used again");
    let missing = Job::Assign { whom: Whom::Group(99), name: "X".into(), force: false };
    assert!(code(house.teach(missing)).starts_with("not_found"));
}

#[test]
fn a_rejected_look_never_gets_that_name_again() {
    let mut house = House::new();
    house.copy("known/obama/1.jpg", "Grace/wrong.jpg");
    house.poll();
    assert_eq!(house.who("known/obama/2.jpg")["best"]["person"], "grace");
    let event = house.event("known/obama/3.jpg", Some("grace"), None);
    let taught = house.teach(Job::Reject { person: "grace".into(), shot: Shot::Event(event) }).unwrap();
    assert_eq!((&taught.data["rejected"], taught.changed.retracted.as_deref()), (&1.into(), Some("grace")));
    assert_eq!(taught.changed.corrected, Some(("01J".into(), None)));
    assert!(!taught.data["warnings"].as_array().unwrap().is_empty(), "it looks like the only photo of Grace");
    let again = house.who("known/obama/3.jpg");
    assert_eq!((&again["rejected"], &again["decision"]), (&"grace".into(), &"unknown".into()), "{again}");

    // Naming somebody in an event that had another name does both.
    let event = house.event("known/obama/2.jpg", Some("grace"), None);
    let job = Job::Assign { whom: Whom::Event(event), name: "Barack".into(), force: true };
    let taught = house.teach(job).unwrap();
    assert_eq!(taught.changed.retracted.as_deref(), Some("grace"));
    assert_eq!((house.files("Barack").len(), house.files("Grace/rejected").len()), (1, 2));
    assert_eq!(house.who("known/obama/2.jpg")["best"]["person"], "barack");
}

#[test]
fn forgetting_leaves_no_trace() {
    let mut house = House::new();
    house.enrol("Grace", "single/hopper.jpg").unwrap();
    house.enrol("Barack", "known/obama/1.jpg").unwrap();
    let event = house.event("single/biden.jpg", Some("grace"), None);
    house.teach(Job::Reject { person: "grace".into(), shot: Shot::Event(event) }).unwrap();
    let taught = house.teach(Job::Forget(Whom::Person("grace".into()))).unwrap();
    assert_eq!(taught.changed.forgotten.as_deref(), Some("grace"));
    assert_eq!(house.files(""), ["Barack", "embeddings.json"]);
    let memory = fs::read_to_string(house.root.path().join("embeddings.json")).unwrap();
    assert!(memory.contains("Barack") && !memory.contains("Grace"), "{memory}");
    assert!(code(house.teach(Job::Forget(Whom::Person("Grace".into())))).starts_with("not_found"));
    // What a power cut left is gone after the next start.
    fs::create_dir(house.root.path().join(".leaving-Alice")).unwrap();
    house.restart();
    house.poll();
    assert!(!house.root.path().join(".leaving-Alice").exists());
}

#[test]
fn a_restart_looks_at_nothing_twice_and_other_models_at_everything() {
    let mut house = House::new();
    for i in 1..=4 {
        house.copy(&format!("known/obama/{i}.jpg"), &format!("Barack/{i}.jpg"));
    }
    house.copy("nonface/chelsea.png", "Barack/cat.png");
    let before = house.poll().unwrap();
    let memory = house.root.path().join("embeddings.json");
    let written = fs::metadata(&memory).unwrap().modified().unwrap();
    house.restart();
    let after = house.poll().unwrap();
    assert_eq!(
        after.gallery.people().next().unwrap().template(),
        before.gallery.people().next().unwrap().template()
    );
    assert_eq!((after.refusals.len(), after.n_left), (1, 0));
    assert_eq!(fs::metadata(&memory).unwrap().modified().unwrap(), written, "nothing was written again");
    // Embeddings of another model are not mixed with ours.
    let text = fs::read_to_string(&memory).unwrap();
    fs::write(&memory, text.replacen("\"model\": \"", "\"model\": \"0", 1)).unwrap();
    house.restart();
    let (enroller, mut eyes) = house.eyes();
    let again = enroller.poll(&mut eyes).unwrap();
    assert!(again.n_left > 0 && again.notes.iter().any(|note| note.sentence.contains("other face models")));
    assert_eq!(house.poll().unwrap().gallery.people().next().unwrap().n_photos, 4);
}

#[test]
fn a_capture_is_cut_to_the_face() {
    let mut house = House::new();
    let mut scene = image::RgbImage::from_pixel(1280, 720, image::Rgb([90, 110, 80]));
    let portrait = image::open(source("known/obama/1.jpg")).unwrap().thumbnail(400, 400).to_rgb8();
    image::imageops::replace(&mut scene, &portrait, 700, 200);
    let frame: Bytes = jpeg(&scene.into()).into();
    let shot = Shot::Frame(frame.clone());
    let taught = house.teach(Job::Enrol { name: "Barack".into(), shot, force: false }).unwrap();
    assert_eq!(taught.data["photos"], 1);
    let file = house.root.path().join("Barack").join(&house.files("Barack")[0]);
    assert!(image::image_dimensions(&file).unwrap().0 < 400 && fs::metadata(&file).unwrap().len() < 100_000);
    let nobody = jpeg(&image::RgbImage::from_pixel(640, 480, image::Rgb([90, 110, 80])).into());
    let shot = Shot::Frame(nobody.into());
    assert!(code(house.teach(Job::Enrol { name: "X".into(), shot, force: false })).starts_with("no_face"));
}
