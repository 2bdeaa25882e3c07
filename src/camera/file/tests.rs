//! Tests of the file sources, through the front door.

use super::*;

fn wish(fps: f64) -> Wish {
    Wish { width: None, height: None, fps }
}

fn clips() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/clips")
}

fn jpeg(shade: u8) -> Bytes {
    crate::jpeg::encode_rgb(32, 24, &vec![shade; 3 * 32 * 24], 90).unwrap()
}

/// The next `count` answers other than "nothing yet".
fn play(file: &mut File, count: usize) -> Vec<Result<Bytes, Fault>> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut answers = Vec::new();
    while answers.len() < count && Instant::now() < deadline {
        match file.next(Instant::now() + Duration::from_millis(50)) {
            Ok(Picture { raw: Raw::Jpeg(bytes), .. }) => answers.push(Ok(bytes)),
            Ok(_) => panic!("a file has JPEGs"),
            Err(Fault::Quiet) => {}
            Err(fault) => answers.push(Err(fault)),
        }
    }
    answers
}

fn pictures(path: &Path, count: usize) -> Vec<Bytes> {
    play(&mut File::open(path, wish(60.0)).unwrap(), count)
        .into_iter()
        .map(|answer| answer.unwrap())
        .collect()
}

#[test]
fn every_kind_of_clip_gives_whole_pictures_and_starts_again() {
    let bare = pictures(&clips().join("clip.mjpeg"), 10);
    assert_eq!(bare[..5], bare[5..], "the second round is the first again");
    for (name, fps) in [
        ("clip.avi", Some(10.0)),
        ("clip.mp4", Some(10.0)),
        ("clip.mov", Some(10.0)),
        ("fragmented.mp4", None),
    ] {
        let path = clips().join(name);
        if let Some(fps) = fps {
            let own = File::open(&path, wish(60.0)).unwrap().own_fps.unwrap();
            assert!((own - fps).abs() < 0.1, "{name}: {own}");
        }
        let played = pictures(&path, 6);
        assert_eq!(played[0], played[5], "{name}");
        for (picture, like) in played.iter().zip(&bare) {
            assert_eq!(crate::jpeg::check(picture).unwrap(), (64, 48), "{name}");
            let (one, two) =
                (crate::jpeg::decode_rgb(picture).unwrap(), crate::jpeg::decode_rgb(like).unwrap());
            assert_eq!(one, two, "{name} holds the pictures of the bare stream");
        }
    }
}

#[test]
fn what_holds_no_jpeg_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.mp4");
    std::fs::write(&text, "no clip at all").unwrap();
    let empty = folder.path().join("empty.mjpeg");
    std::fs::write(&empty, "").unwrap();
    let cut = folder.path().join("cut.avi");
    let whole = std::fs::read(clips().join("clip.avi")).unwrap();
    std::fs::write(&cut, &whole[..100]).unwrap();
    let missing = folder.path().join("gone.avi");
    let table = [
        (clips().join("h264.mp4"), "no_usable_format"),
        (clips().join("h264.avi"), "no_usable_format"),
        (text, "no_usable_format"),
        (empty, "no_usable_format"),
        (cut, "no_usable_format"),
        (folder.path().to_owned(), "no_usable_format"),
        (missing, "no_camera"),
    ];
    for (path, code) in table {
        let problem = File::open(&path, wish(5.0)).err().map(|problem| problem.code());
        assert_eq!(problem, Some(code), "{}", path.display());
    }
}

#[test]
fn a_clip_that_breaks_off_plays_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["clip.avi", "clip.mjpeg"] {
        let path = folder.path().join(name);
        let whole = std::fs::read(clips().join(name)).unwrap();
        std::fs::write(&path, &whole[..whole.len() * 7 / 10]).unwrap();
        let played = pictures(&path, 8);
        let first_again = played[1..].iter().position(|picture| *picture == played[0]);
        assert!(matches!(first_again, Some(1..=3)), "{name}: {first_again:?}");
    }
}

#[test]
fn a_bare_stream_survives_thumbnails_garbage_and_missing_ends() {
    let whole = jpeg(90);
    // An APP1 segment with a complete little JPEG inside, as Exif thumbnails are.
    let inner = jpeg(10);
    let mut with_thumbnail = START_MARKER.to_vec();
    with_thumbnail.extend([0xff, 0xe1]);
    with_thumbnail.extend((inner.len() as u16 + 2).to_be_bytes());
    with_thumbnail.extend(&inner[..]);
    with_thumbnail.extend(&whole[2..]);
    let no_end = &whole[..whole.len() - 2];
    let stream = [&whole[..], b"garbage \xff\xff\x00 between", &with_thumbnail, no_end, &whole[..]].concat();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mjpeg");
    std::fs::write(&path, stream).unwrap();
    let played = pictures(&path, 5);
    assert_eq!(played[0], whole);
    assert_eq!(played[1], with_thumbnail);
    assert!(crate::jpeg::check(&played[2]).is_err() && played[2].len() == no_end.len());
    assert_eq!((&played[3], &played[4]), (&whole, &whole));
}

const START_MARKER: [u8; 2] = [0xff, 0xd8];

#[test]
fn a_folder_plays_in_order_and_notices_what_comes_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    for (name, shade) in [("b.JPG", 100), ("a.jpeg", 50), ("c.txt", 0)] {
        std::fs::write(folder.path().join(name), jpeg(shade)).unwrap();
    }
    let mut file = File::open(folder.path(), wish(60.0)).unwrap();
    let round: Vec<Bytes> = play(&mut file, 2).into_iter().map(Result::unwrap).collect();
    assert_eq!(round, [jpeg(50), jpeg(100)]);
    std::fs::remove_file(folder.path().join("a.jpeg")).unwrap();
    std::fs::write(folder.path().join("d.jpg"), jpeg(200)).unwrap();
    let round: Vec<Bytes> = play(&mut file, 2).into_iter().map(Result::unwrap).collect();
    assert_eq!(round, [jpeg(100), jpeg(200)]);
    std::fs::remove_dir_all(folder.path()).unwrap();
    let lost = play(&mut file, 1).pop().unwrap();
    assert!(matches!(lost, Err(Fault::Lost(Problem::NoCamera { .. }))), "{lost:?}");
}

#[test]
fn a_picture_of_absurd_length_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.jpg");
    std::fs::File::create(&path).unwrap().set_len(MAX_PICTURE_BYTES + 1).unwrap();
    let answer = play(&mut File::open(&path, wish(60.0)).unwrap(), 1).pop().unwrap();
    assert!(matches!(answer, Err(Fault::Broken(Defect::Size))), "{answer:?}");
    // An AVI whose chunk claims four gigabytes.
    let mut avi = std::fs::read(clips().join("clip.avi")).unwrap();
    let movie = avi.windows(4).position(|four| four == b"movi").unwrap();
    let of_pictures = |at: &usize| &avi[*at..at + 4] == b"00dc";
    let second = (movie..avi.len() - 4).filter(of_pictures).nth(1).unwrap();
    avi[second + 4..second + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    let path = folder.path().join("huge.avi");
    std::fs::write(&path, avi).unwrap();
    let played = play(&mut File::open(&path, wish(60.0)).unwrap(), 3);
    assert!(played[0].is_ok() && matches!(played[1], Err(Fault::Broken(Defect::Size))) && played[2].is_ok());
}
