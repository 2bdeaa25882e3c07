//! The demo scene seen by the real face models: the known person is found, large enough, and known; the stranger is not; and
//! nobody is seen in the empty garden.

#![allow(clippy::unwrap_used, reason = "a test may stop where its own ground is missing")]

use doorward::camera::{Wish, demo};
use doorward::jpeg;
use doorward::logic::faces::{Embedding, Face, cosine};
use doorward::vision::model::{Detector, Picture, Recogniser, YuNet};

struct Eyes {
    detector: YuNet,
    recogniser: Recogniser,
}

impl Eyes {
    fn new() -> Self {
        Self { detector: YuNet::load(640).unwrap(), recogniser: Recogniser::load().unwrap() }
    }

    fn look(&mut self, jpeg: &[u8]) -> Vec<(Face, Embedding)> {
        let rgb = jpeg::decode_rgb(jpeg).unwrap();
        let picture = Picture::new(rgb.width, rgb.height, &rgb.data).unwrap();
        let faces = self.detector.detect(&picture, None).unwrap();
        let embed = |face: Face| {
            let look = self.recogniser.embed(&picture, &face).unwrap();
            (face, look.embedding)
        };
        faces.into_iter().map(embed).collect()
    }
}

#[test]
fn real_vision_knows_the_known_person_and_nobody_else() {
    let mut eyes = Eyes::new();
    let enrolled: Vec<Embedding> = demo::faces()
        .into_iter()
        .flat_map(|(_, photos)| photos)
        .map(|photo| {
            let mut faces = eyes.look(photo);
            assert_eq!(faces.len(), 1, "a photograph to learn from shows one face");
            faces.remove(0).1
        })
        .collect();
    let seed = 3;
    let mut scene = demo::Demo::new(seed, 1.0, Wish { width: None, height: None, fps: 15.0 }).unwrap();
    for (start, end, what) in demo::scene::schedule(seed) {
        let moments: Vec<f64> = (1..10).map(|part| start + (end - start) * f64::from(part) / 10.0).collect();
        let mut wide = 0;
        for moment in &moments {
            let seen = eyes.look(&scene.picture(*moment).unwrap());
            match what {
                demo::scene::What::Empty | demo::scene::What::Dark => {
                    assert!(seen.is_empty(), "{what:?} {moment}: {seen:?}")
                }
                demo::scene::What::Known | demo::scene::What::Stranger => {
                    assert!(seen.len() <= 1, "{what:?} {moment}: {seen:?}");
                    let Some((face, embedding)) = seen.first() else { continue };
                    let best = enrolled
                        .iter()
                        .map(|known| cosine(&known.vector, &embedding.vector))
                        .fold(f32::MIN, f32::max);
                    println!("{what:?} {moment:.1} s: {:.0} px wide, {best:.2}", face.rect.width);
                    // SFace's own threshold for "the same person" is 0.363.
                    let known = best > 0.45;
                    if face.rect.width >= 90.0 && known == (what == demo::scene::What::Known) {
                        wide += 1;
                    }
                    assert!(
                        what == demo::scene::What::Known || best < 0.3,
                        "a stranger is never known: {best}"
                    );
                }
            }
        }
        if matches!(what, demo::scene::What::Known | demo::scene::What::Stranger) {
            let seconds = f64::from(wide) * (end - start) / 10.0;
            assert!(seconds >= 5.0, "{what:?} is seen for {seconds} s only");
        }
    }
}
