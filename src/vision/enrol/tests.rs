//! Real folders with real photographs.

use std::fs;

use super::*;
use crate::vision::model::{Recogniser, YuNet};

pub(super) struct House {
    pub(super) root: tempfile::TempDir,
    enroller: Enroller,
    yunet: YuNet,
    recogniser: Recogniser,
}

impl House {
    pub(super) fn new() -> House {
        let root = tempfile::tempdir().unwrap();
        let enroller = Enroller::new(root.path().to_owned(), Owner::Ours);
        House { root, enroller, yunet: YuNet::load(640).unwrap(), recogniser: Recogniser::load().unwrap() }
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// The program starts anew on the same folder.
    pub(super) fn restart(&mut self) {
        self.enroller = Enroller::new(self.root.path().to_owned(), Owner::Ours);
    }

    pub(super) fn copy(&self, photo: &str, path: &str) {
        self.put(path, &fs::read(source(photo)).unwrap());
    }

    pub(super) fn eyes(&mut self) -> (&mut Enroller, Eyes<'_>) {
        (
            &mut self.enroller,
            Eyes { detector: &mut self.yunet, recogniser: &mut self.recogniser, second: None },
        )
    }

    /// Polls until every photograph was looked at.
    pub(super) fn poll(&mut self) -> Option<Household> {
        let (enroller, mut eyes) = self.eyes();
        let mut last = enroller.poll(&mut eyes);
        while enroller.is_busy() {
            last = enroller.poll(&mut eyes).or(last);
        }
        last
    }
}

pub(super) fn source(photo: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/faces").join(photo)
}

fn names(update: &Household) -> Vec<(&str, usize)> {
    update.gallery.people().map(|person| (&*person.id.name, person.n_photos)).collect()
}

fn about<'a>(remarks: &'a [Remark], path: &str) -> &'a str {
    let found: Vec<_> = remarks.iter().filter(|remark| remark.path == path).collect();
    let [remark] = found[..] else { panic!("{} remarks about {path}: {remarks:?}", found.len()) };
    &remark.sentence
}

pub(super) fn jpeg(picture: &image::DynamicImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

#[test]
fn a_new_a_changed_and_a_removed_photo_count_without_a_restart() {
    let mut house = House::new();
    assert!(names(&house.poll().unwrap()).is_empty());
    assert!(house.poll().is_none(), "nothing changed");
    house.copy("known/obama/1.jpg", "Barack Obama/1.jpg");
    house.copy("single/hopper.jpg", "Grace/portrait.JPEG");
    let update = house.poll().unwrap();
    assert_eq!(names(&update), [("Barack Obama", 1), ("Grace", 1)]);
    assert_eq!((update.refusals.len(), update.notes.len(), update.n_left), (0, 0, 0));
    assert_eq!(update.gallery.people().next().unwrap().id.slug.as_ref(), "barack_obama");
    assert!(house.poll().is_none());

    house.copy("known/obama/2.jpg", "Barack Obama/2.jpg");
    house.put("Grace/portrait.JPEG", &fs::read(source("single/collins.jpg")).unwrap());
    let before = update.gallery.people().nth(1).unwrap().template().to_owned();
    let update = house.poll().unwrap();
    assert_eq!(names(&update), [("Barack Obama", 2), ("Grace", 1)]);
    assert!(update.gallery.people().nth(1).unwrap().likeness(&before) < 0.4, "the photo is another one now");

    fs::remove_dir_all(house.root.path().join("Grace")).unwrap();
    assert_eq!(names(&house.poll().unwrap()), [("Barack Obama", 2)]);
    fs::remove_dir_all(house.root.path()).unwrap();
    assert!(names(&house.poll().unwrap()).is_empty());
}

#[test]
fn what_cannot_be_used_is_refused_and_the_rest_goes_on() {
    let mut house = House::new();
    house.copy("single/biden.jpg", "Joe/good.jpg");
    house.copy("nonface/chelsea.png", "Joe/cat.png");
    let portrait = image::open(source("single/hopper.jpg")).unwrap();
    let mut two = image::RgbImage::new(1024, 600);
    for x in [0, 512] {
        image::imageops::replace(&mut two, &portrait.to_rgb8(), x, 0);
    }
    house.put("Joe/two.jpg", &jpeg(&two.into()));
    house.put("Joe/small.jpg", &jpeg(&portrait.thumbnail(180, 180)));
    house.put("Joe/blurred.jpg", &jpeg(&portrait.blur(14.0)));
    house.put("Joe/empty.jpg", b"");
    house.put("Joe/text.png", b"not a picture at all");
    let whole = fs::read(source("single/biden.jpg")).unwrap();
    house.put("Joe/cut.jpg", &whole[..2_000]);
    house.put("Joe/phone.heic", b"anything");
    house.put("Joe/.hidden.jpg", b"");
    house.put("Joe/notes.txt", b"");
    fs::create_dir_all(house.root.path().join("Joe/folder.jpg")).unwrap();
    house.copy("single/biden.jpg", "loose.jpg");
    let update = house.poll().unwrap();
    assert_eq!(names(&update), [("Joe", 1)]);
    for (path, words) in [
        ("Joe/cat.png", "no face"),
        ("Joe/two.jpg", "2 faces"),
        ("Joe/small.jpg", "pixels wide"),
        ("Joe/empty.jpg", "not a readable"),
        ("Joe/text.png", "not a readable"),
        ("Joe/phone.heic", "JPEG and PNG"),
        ("Joe/folder.jpg", "not a file"),
        ("loose.jpg", "belongs to nobody"),
    ] {
        let sentence = about(&update.refusals, path);
        assert!(sentence.contains(words), "{path}: {sentence}");
    }
    for path in ["Joe/blurred.jpg", "Joe/cut.jpg"] {
        about(&update.refusals, path);
    }
    assert_eq!(update.refusals.len(), 10, "{:?}", update.refusals);
    assert!(house.poll().is_none(), "refused photos are not examined again and again");
}

#[test]
fn a_picture_of_absurd_size_is_refused_without_its_memory() {
    let mut house = House::new();
    // A PNG header that promises 50,000 x 50,000 pixels.
    let mut png = vec![0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0, 0, 13];
    png.extend(b"IHDR");
    png.extend([0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50, 8, 2, 0, 0, 0]);
    png.extend([0x5d, 0x1c, 0x5b, 0x10]);
    house.put("Joe/bomb.png", &png);
    let huge = image::GrayImage::new(13_000, 2);
    let mut bytes = std::io::Cursor::new(Vec::new());
    huge.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    house.put("Joe/wide.png", bytes.get_ref());
    let update = house.poll().unwrap();
    about(&update.refusals, "Joe/bomb.png");
    assert!(about(&update.refusals, "Joe/wide.png").contains("too many pixels"), "{:?}", update.refusals);
}

#[test]
fn odd_folder_names_survive() {
    let mut house = House::new();
    for name in ["Zoe", "Zoë", "unknown", "Иван", "🙂", "a  b", "x\u{7}y", "..hidden"] {
        house.copy("single/hopper.jpg", &format!("{name}/1.jpg"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let odd = house.root.path().join(std::ffi::OsStr::from_bytes(b"J\xfcrgen"));
        fs::create_dir(&odd).unwrap();
        fs::copy(source("single/hopper.jpg"), odd.join("1.jpg")).unwrap();
        std::os::unix::fs::symlink("/", house.root.path().join("Root")).unwrap();
        std::os::unix::fs::symlink("nowhere", house.root.path().join("Zoe/gone.jpg")).unwrap();
    }
    let update = house.poll().unwrap();
    let slugs: Vec<_> = update.gallery.people().map(|person| person.id.slug.to_string()).collect();
    assert_eq!(
        (slugs.len(), slugs.contains(&"zoe".to_owned()), slugs.contains(&"a_b".to_owned())),
        (4, true, true)
    );
    assert_eq!(slugs.iter().filter(|slug| slug.starts_with("person_")).count(), 2);
    assert!(about(&update.refusals, "Zoë").contains("as Zoe does already"));
    assert!(about(&update.refusals, "unknown").contains("nobody knows"));
    assert!(about(&update.refusals, "x\u{7}y").contains("control characters"));
    assert!(update.refusals.iter().any(|refusal| refusal.sentence.contains("UTF-8")));
    about(&update.refusals, "Zoe/gone.jpg");
    assert!(!update.notes.is_empty(), "the same face under several names is worth a note");
}

#[test]
fn copies_and_wrong_people_are_noticed() {
    let mut house = House::new();
    for i in 1..=4 {
        house.copy(&format!("known/obama/{i}.jpg"), &format!("Barack/{i}.jpg"));
    }
    house.copy("known/obama/1.jpg", "Barack/5.jpg");
    house.copy("single/biden.jpg", "Barack/6.jpg");
    let update = house.poll().unwrap();
    assert_eq!(names(&update), [("Barack", 4)]);
    assert!(about(&update.notes, "Barack/5.jpg").contains("1.jpg"));
    assert!(about(&update.refusals, "Barack/6.jpg").contains("right person"));
}

#[test]
fn a_long_import_goes_in_short_turns_and_is_told_when_it_is_done() {
    let mut house = House::new();
    for i in 0..12 {
        house.copy(&format!("known/obama/{}.jpg", i % 4 + 1), &format!("Barack/{i:02}.jpg"));
        house.copy("single/biden.jpg", &format!("P{i}/1.jpg"));
    }
    let (enroller, mut eyes) = house.eyes();
    let first = enroller.poll(&mut eyes).unwrap();
    assert!(first.n_left > 10 && enroller.is_busy(), "{} left", first.n_left);
    let whole = house.poll().unwrap();
    assert_eq!((whole.n_left, whole.gallery.people().count()), (0, 13));
    assert!(house.poll().is_none());
}

#[test]
fn ten_thousand_photos_hold_nobody_up() {
    let mut house = House::new();
    // The face of one photograph in a small file: what takes time here are files, not faces.
    let portrait = image::open(source("single/hopper.jpg")).unwrap();
    let small = house.root.path().join("small.txt");
    fs::write(&small, jpeg(&portrait.thumbnail(300, 300))).unwrap();
    for person in 0..201 {
        let folder = house.root.path().join(format!("P{person}"));
        fs::create_dir(&folder).unwrap();
        (0..51).for_each(|i| fs::hard_link(&small, folder.join(format!("{i}.jpg"))).unwrap());
    }
    let (mut longest, mut turns) = (Duration::ZERO, 0);
    let (enroller, mut eyes) = house.eyes();
    let mut last = None;
    let started = Instant::now();
    while turns == 0 || enroller.is_busy() {
        let began = Instant::now();
        last = enroller.poll(&mut eyes).or(last);
        (longest, turns) = (longest.max(began.elapsed()), turns + 1);
    }
    let household = last.unwrap();
    assert_eq!((household.n_left, household.gallery.people().count()), (0, 200));
    let told =
        |words: &str| household.refusals.iter().filter(|refusal| refusal.sentence.contains(words)).count();
    assert_eq!((told("more than 200 people"), told("more than 50 photos")), (1, 200));
    let all = started.elapsed();
    assert!(
        longest < Duration::from_secs(10),
        "faces waited {longest:?} in one of {turns} turns, {all:?} in all"
    );
    house.restart();
    let began = Instant::now();
    assert_eq!(house.poll().unwrap().gallery.people().count(), 200);
    assert!(began.elapsed() < Duration::from_secs(10), "the next start took {:?}", began.elapsed());
}

#[test]
fn photos_lying_on_their_side_are_turned() {
    let upright = image::open(source("single/hopper.jpg")).unwrap();
    let lying = jpeg(&upright.rotate270());
    // An EXIF block that says "turn by 90 degrees clockwise" (orientation 6), behind the start of the JPEG.
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    let mut turned = vec![0xff, 0xd8, 0xff, 0xe1];
    turned.extend(u16::try_from(exif.len() + 2).unwrap().to_be_bytes());
    turned.append(&mut exif);
    turned.extend(&lying[2..]);
    let mut house = House::new();
    house.put("Grace/turned.jpg", &turned);
    house.put("Lying/1.jpg", &lying);
    house.copy("single/hopper.jpg", "Upright/1.jpg");
    let update = house.poll().unwrap();
    let people: Vec<_> = update.gallery.people().collect();
    let upright = people.last().unwrap();
    assert_eq!((&*people[0].id.name, &*upright.id.name), ("Grace", "Upright"), "{:?}", update.refusals);
    assert!(people[0].likeness(upright.template()) > 0.95);
    // Without the hint the same picture is refused or looks different, or else this test would prove nothing.
    assert!(people[1..people.len() - 1].iter().all(|lying| lying.likeness(upright.template()) < 0.9));
}
