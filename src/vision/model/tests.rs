//! The models against numbers of another implementation, on photographs with known faces.
//!
//! Reference: OpenCV 5.0.0 (`opencv-python-headless`), `FaceDetectorYN` and `FaceRecognizerSF` with the same two files, dequantised
//! to plain float ONNX because OpenCV refuses the block-quantised SFace. Pictures were shrunk to 640 pixels with `INTER_AREA`
//! for the detector, and `alignCrop` cut the face out of the full picture. Embeddings are given in units of 1/10000.

use super::*;
use crate::logic::checksum::sha256;
use crate::logic::faces::{EMBEDDING_LENGTH, cosine};
use crate::vision::photo;

struct Reference {
    file: &'static str,
    rect: [f32; 4],
    score: f32,
    points: [f32; 10],
    norm: f32,
    embedding: [i16; EMBEDDING_LENGTH],
}

#[rustfmt::skip]
const REFERENCES: [Reference; 2] = [
    Reference {
        file: "single/collins.jpg",
        rect: [178.2, 62.5, 90.8, 113.4],
        score: 0.931,
        points: [200.2, 101.7, 246.9, 102.4, 220.0, 124.4, 199.1, 142.9, 239.7, 143.7],
        norm: 12.29,
        embedding: [294, -1539, 1188, 1524, 193, -105, 1071, 352, 101, 747, -756, 807, -386, 256, 24, 76, 957, 253, -664, -947, 666, -403, -358, 792, -508, -317, -1495, -536, 743, 1028, 434, 199, 64, 406, 328, 565, -858, 1257, 490, 715, 144, -1828, -3048, -1690, -545, -378, 1319, 1317, 161, 1042, 205, -1375, -928, 447, -2052, -202, -1465, -688, -791, 831, -500, 364, -2583, 622, -26, 83, 604, 441, 1624, -343, 2022, -843, 899, -1424, 556, -1763, 241, 339, -58, -74, -550, 606, -962, 838, 269, -1702, 437, -571, -892, 30, -1158, 682, 0, -639, 1038, -54, 278, -167, -45, 468, -384, -103, 704, 112, -369, -1617, 582, 230, -81, -1006, -259, 697, -1082, -26, -139, -146, 255, 501, 72, -408, 1039, -1034, -504, 443, 1219, -932, -1548, 263],
    },
    Reference {
        file: "known/obama/3.jpg",
        rect: [644.1, 273.0, 266.2, 345.3],
        score: 0.945,
        points: [735.6, 379.4, 866.6, 382.4, 812.6, 445.7, 736.8, 509.1, 850.0, 511.3],
        norm: 12.47,
        embedding: [-97, 220, 393, 735, 1576, 1106, 87, -1152, -991, 732, -713, 206, 522, -822, -1417, -803, 236, 451, -2679, 566, -1046, -231, 941, -935, 879, -494, -421, 3, -6, -1684, -208, 1323, 1400, 222, 152, 965, -620, 893, 650, 705, 1310, -240, -1109, 500, 837, -296, -975, 1534, 144, 303, -25, -22, 548, -153, -406, -523, -95, -145, 21, -846, -728, 1189, 488, -376, 1327, -1811, 662, -1011, -253, -202, 1135, -28, 404, -912, -591, -371, -266, -155, -1137, 1245, 1461, 915, -357, -200, -1163, 1798, 538, -1796, 750, -37, 1362, -316, -1073, -1395, 170, 1146, 272, -151, -707, 1213, -497, -513, 541, -892, -1342, -78, -1570, 563, 1010, 633, 252, -263, -1452, -38, 789, -1409, 361, -337, -380, -910, -199, 474, 597, -567, 1393, -2137, 264, -1382],
    },
];

fn open(file: &str) -> photo::Photo {
    let path = format!("{}/tests/data/faces/{file}", env!("CARGO_MANIFEST_DIR"));
    photo::open(path.as_ref(), usize::MAX).unwrap()
}

#[test]
fn the_model_files_are_the_published_ones() {
    let seeta: &[u8] = seeta::FILE;
    for (file, wanted) in [
        (yunet::FILE, "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10"),
        (sface::FILE, "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee"),
        (seeta, "c4619d066ed35e84d9a8e842860b0dff567aba0cbb139881075538761db3ff5d"),
    ] {
        assert_eq!(sha256(file), wanted);
    }
}

#[test]
fn a_damaged_model_file_is_an_error() {
    for length in [0, 1, 100, 20_000, yunet::FILE.len() - 1] {
        let onnx = onnx::Onnx::parse(&yunet::FILE[..length]);
        assert!(
            onnx.and_then(|onnx| onnx.load(Some("kps_32"), operators())).is_err(),
            "{length} bytes passed"
        );
    }
}

#[test]
fn faces_and_embeddings_equal_those_of_opencv() {
    let (mut yunet, mut recogniser) = (YuNet::load(640).unwrap(), Recogniser::load().unwrap());
    for reference in &REFERENCES {
        let photo = open(reference.file);
        let faces = yunet.detect(&photo.picture(), None).unwrap();
        let [face] = faces[..] else { panic!("{}: {} faces", reference.file, faces.len()) };
        let PixelRect { x, y, width, height } = face.rect;
        // A pixel of the network's input is up to 3.6 pixels of these pictures.
        for (ours, theirs) in [x, y, width, height].into_iter().zip(reference.rect) {
            assert!((ours - theirs).abs() < 1.0, "{}: {:?}", reference.file, face.rect);
        }
        for (ours, theirs) in face.points.as_flattened().iter().zip(reference.points) {
            assert!((ours - theirs).abs() < 1.0, "{}: {:?}", reference.file, face.points);
        }
        assert!((face.score - reference.score).abs() < 0.01);

        let look = recogniser.embed(&photo.picture(), &face).unwrap();
        let theirs = reference.embedding.map(|v| f32::from(v) / 10_000.0);
        let likeness = cosine(&look.embedding.vector, &theirs);
        assert!(likeness > 0.9995, "{}: {likeness}", reference.file);
        assert!((look.embedding.norm - reference.norm).abs() < 0.15, "{}", look.embedding.norm);
        assert!(look.sharpness > 0.2, "{}", look.sharpness);
    }
}

#[test]
fn a_region_gives_the_same_face_in_pixels_of_the_picture() {
    let mut yunet = YuNet::load(640).unwrap();
    let photo = open("single/collins.jpg");
    let whole = yunet.detect(&photo.picture(), None).unwrap()[0];
    let region = PixelRect { x: 121.0, y: 13.0, width: 230.5, height: 250.0 };
    let part = yunet.detect(&photo.picture(), Some(region)).unwrap()[0];
    assert!(whole.rect.overlap(&part.rect) > 0.85, "{:?} and {:?}", whole.rect, part.rect);
    let elsewhere = PixelRect { x: 0.0, y: 300.0, width: 200.0, height: 200.0 };
    assert!(yunet.detect(&photo.picture(), Some(elsewhere)).unwrap().is_empty());
    let outside = PixelRect { x: 9000.0, y: 0.0, width: 50.0, height: 50.0 };
    assert!(yunet.detect(&photo.picture(), Some(outside)).unwrap().is_empty());
}

#[test]
fn odd_pictures_are_answered() {
    let (mut yunet, mut seeta) = (YuNet::load(320).unwrap(), Seeta::load().unwrap());
    for (width, height) in [(1, 1), (1, 700), (3000, 2), (31, 33), (40, 40)] {
        let noise: Vec<u8> = (0..3 * width * height).map(|i| (i * 7919 % 251) as u8).collect();
        let picture = Picture::new(width, height, &noise).unwrap();
        yunet.detect(&picture, None).unwrap();
        seeta.detect(&picture, None).unwrap();
    }
    assert!(Picture::new(2, 2, &[0; 11]).is_none());
    assert!(Picture::new(0, 2, &[]).is_none());
    assert!(Picture::new(usize::MAX, 2, &[0; 12]).is_none());
}

#[test]
fn the_cascade_finds_the_same_faces_with_usable_points() {
    let (mut yunet, mut seeta) = (YuNet::load(640).unwrap(), Seeta::load().unwrap());
    let mut recogniser = Recogniser::load().unwrap();
    for file in ["known/obama/3.jpg", "single/collins.jpg", "single/biden.jpg"] {
        let photo = open(file);
        let wanted = yunet.detect(&photo.picture(), None).unwrap()[0];
        let found = seeta.detect(&photo.picture(), None).unwrap();
        let face = found.first().unwrap_or_else(|| panic!("{file}: no face"));
        assert!(face.rect.overlap(&wanted.rect) > 0.6, "{file}: {:?} and {:?}", face.rect, wanted.rect);
        let [a, b] =
            [&wanted, face].map(|face| recogniser.embed(&photo.picture(), face).unwrap().embedding.vector);
        assert!(cosine(&a, &b) > 0.85, "{file}: {}", cosine(&a, &b));
    }
    let cat = open("nonface/chelsea.png");
    assert!(seeta.detect(&cat.picture(), None).unwrap().iter().all(|face| face.score < 0.7));
}

#[test]
fn a_face_without_shape_is_an_error() {
    let photo = open("single/hopper.jpg");
    let face = Face { rect: PixelRect::default(), score: 1.0, points: [[5.0, 5.0]; 5] };
    let answer = Recogniser::load().unwrap().embed(&photo.picture(), &face);
    assert!(matches!(answer, Err(Error::NoShape)));
}

/// Prints milliseconds and memory; run with `cargo test --release -- --ignored --nocapture model_costs`.
#[test]
#[ignore = "a measurement"]
fn model_costs() {
    let rss = |what: &str| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = |key: &str| {
            status.lines().find(|l| l.starts_with(key)).unwrap().split_whitespace().nth(1).unwrap().to_owned()
        };
        println!("{what}: anon {} file {} peak {} kB", line("RssAnon"), line("RssFile"), line("VmHWM"));
    };
    let median = |mut run: Box<dyn FnMut() + '_>| {
        let ticks = || {
            let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
            stat.split_whitespace().skip(13).take(2).map(|t| t.parse::<f64>().unwrap()).sum::<f64>()
        };
        let before = ticks();
        let mut ms: Vec<f64> = (0..40)
            .map(|_| {
                let start = std::time::Instant::now();
                run();
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        ms.sort_by(f64::total_cmp);
        format!("wall best {:.1} median {:.1}, cpu {:.1} ms", ms[0], ms[20], (ticks() - before) * 10.0 / 40.0)
    };
    rss("start");
    let mut yunet = YuNet::load(640).unwrap();
    rss("yunet loaded");
    let start = std::time::Instant::now();
    let mut recogniser = Recogniser::load().unwrap();
    println!("sface loads in {:?}", start.elapsed());
    rss("sface loaded");
    let photo = photo::open(
        format!("{}/tests/data/faces/single/hopper.jpg", env!("CARGO_MANIFEST_DIR")).as_ref(),
        9999,
    )
    .unwrap();
    let mut frame = vec![90; 3 * 1280 * 720];
    for y in 0..600 {
        let line = &photo.picture().rgb()[3 * 512 * y..3 * 512 * (y + 1)];
        frame[3 * (1280 * y + 300)..][..line.len()].copy_from_slice(line);
    }
    let picture = Picture::new(1280, 720, &frame).unwrap();
    let face = yunet.detect(&picture, None).unwrap()[0];
    println!(
        "yunet 640: {:?}",
        median(Box::new(|| {
            yunet.detect(&picture, None).unwrap();
        }))
    );
    rss("yunet ran");
    println!(
        "sface: {:?}",
        median(Box::new(|| {
            recogniser.embed(&picture, &face).unwrap();
        }))
    );
    rss("sface ran");
    let mut small = YuNet::load(320).unwrap();
    println!(
        "yunet 320: {:?}",
        median(Box::new(|| {
            small.detect(&picture, None).unwrap();
        }))
    );
    let mut seeta = Seeta::load().unwrap();
    println!(
        "seeta: {:?}",
        median(Box::new(|| {
            seeta.detect(&picture, None).unwrap();
        }))
    );
    rss("seeta ran");
}
