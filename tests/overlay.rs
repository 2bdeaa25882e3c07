//! Boxes on stream and still: only for who asks, in their colours, and read strictly.
//!
//! Not here: drawing itself (`src/canvas.rs`), and how motion and faces are found.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod rig;

use std::time::{Duration, Instant};

use doorward::http::Limits;
use doorward::jpeg;
use doorward::logic::input::{FacePlace, FaceSighting, Input, MotionChange, MotionLook, MotionSighting};
use doorward::logic::picture::Rect;
use rig::{CAMERA, Mjpeg, Rig, get, put, wait_for};

const STILL: &str = "/api/cameras/porch/snapshot.jpg";
const MOVES: Rect = Rect { x: 0.1, y: 0.5, w: 0.3, h: 0.4 };
const KNOWN: Rect = Rect { x: 0.6, y: 0.3, w: 0.2, h: 0.3 };
const STRANGER: Rect = Rect { x: 0.6, y: 0.7, w: 0.1, h: 0.2 };

/// Something moves, and two faces are in view, one with a name.
fn populate(rig: &Rig) {
    let (camera, now) = (|| CAMERA.to_owned(), Instant::now());
    let sighting = MotionSighting {
        change: Some(MotionChange::Started),
        area_pct: 12.0,
        boxes: vec![MOVES],
        captured_at: now,
        jpeg: None,
        look: MotionLook::default(),
    };
    rig.inbox.tell(Input::Motion { camera: camera(), sighting });
    let places = [(KNOWN, Some("Jürgen".to_owned())), (STRANGER, None)];
    let places = places.map(|(place, name)| FacePlace { place, name }).into();
    let sighting = FaceSighting { any: true, places, ..FaceSighting::default() };
    rig.inbox.tell(Input::Faces { camera: camera(), sighting });
    wait_for("the marks", || rig.state.borrow().cameras[CAMERA].marks().len() == 3);
}

/// The colours in the middle of the left edges of motion, known face and stranger, two pixels wide.
fn edges(picture: &[u8]) -> [[i32; 3]; 3] {
    let rgb = jpeg::decode_rgb(picture).unwrap();
    [MOVES, KNOWN, STRANGER].map(|place| {
        let x = (place.x * rgb.width as f32) as usize;
        let y = ((place.y + place.h / 2.0) * rgb.height as f32) as usize;
        let at = 3 * (y * rgb.width + x);
        [0, 1, 2]
            .map(|channel| (i32::from(rgb.data[at + channel]) + i32::from(rgb.data[at + 3 + channel])) / 2)
    })
}

/// Lossy colour moves a little; the picture below is a soft gradient with none of these colours.
fn has_boxes(picture: &[u8]) -> bool {
    let [[mr, _, mb], [kr, kg, kb], [fr, fg, fb]] = edges(picture);
    mb - mr > 90 && kg - kr > 60 && kg - kb > 40 && fr - fb > 90 && fg - fb > 60
}

/// A soft picture, in which a box is seen without noise.
fn soft() -> bytes::Bytes {
    let pixels: Vec<u8> = (0..640 * 480).flat_map(|at: usize| [(80 + at % 640 / 16) as u8; 3]).collect();
    jpeg::encode_rgb(640, 480, &pixels, 85).unwrap()
}

#[test]
fn boxes_are_drawn_for_those_who_ask_and_nobody_else() {
    let original = soft();
    let rig = Rig::with_pictures(Limits::default(), 15.0, vec![original.clone()]);
    populate(&rig);
    for (query, drawn) in [
        ("", false),
        ("?overlay=1", true),
        ("?overlay=true", true),
        ("?overlay=on", true),
        ("?overlay=0", false),
        ("?overlay=false", false),
        ("?overlay=off", false),
    ] {
        let still = get(&rig, &format!("{STILL}{query}"));
        assert_eq!((still.status, has_boxes(&still.body)), (200, drawn), "still{query}");
        assert_eq!(still.body == original, !drawn, "without boxes it is the camera's own picture");
        let part = Mjpeg::open(rig.address, query).unwrap().next().unwrap();
        assert_eq!(has_boxes(&part), drawn, "stream{query}");
    }
    for query in ["maybe", "", "2", "False", "yes", "1%00"] {
        for target in [STILL.to_owned(), "/api/cameras/porch/stream.mjpeg".into()] {
            let refused = get(&rig, &format!("{target}?overlay={query}"));
            assert_eq!((refused.status, refused.code().as_str()), (400, "not_a_choice"), "{target} {query}");
        }
    }
}

#[test]
fn the_switch_decides_for_those_who_say_nothing() {
    let rig = Rig::with_pictures(Limits::default(), 15.0, vec![soft()]);
    populate(&rig);
    let mut viewer = Mjpeg::open(rig.address, "").unwrap();
    assert!(!has_boxes(&viewer.next().unwrap()));
    assert_eq!(put(&rig, "overlay", "ON").status, 200);
    wait_for("boxes on a stream that was open already", || has_boxes(&viewer.next().unwrap()));
    assert!(!has_boxes(&get(&rig, &format!("{STILL}?overlay=0")).body));
    let gone = FaceSighting { any: false, ..FaceSighting::default() };
    rig.inbox.tell(Input::Faces { camera: CAMERA.into(), sighting: gone });
    let ended = MotionSighting {
        change: Some(MotionChange::Ended { lasted: Duration::from_secs(3) }),
        area_pct: 0.0,
        boxes: Vec::new(),
        captured_at: Instant::now(),
        jpeg: None,
        look: MotionLook::default(),
    };
    rig.inbox.tell(Input::Motion { camera: CAMERA.into(), sighting: ended });
    wait_for("the boxes to go with what they showed", || !has_boxes(&viewer.next().unwrap()));
}
