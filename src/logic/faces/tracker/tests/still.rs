//! Faces that hang still, looks at the calm scene, and places where faces do not count.

use super::*;
use crate::logic::picture::Rect;

/// A portrait of alice on the wall.
const PORTRAIT: Actor = Actor { x: 400.0, ..ALICE };
const NOTHING: [&str; 0] = [];

impl Stage {
    /// A look at the calm scene.
    fn calm(&mut self, actors: &[Actor]) -> &mut Stage {
        let faces: Vec<Face> = actors.iter().map(Actor::face).collect();
        self.tracker.learn_still(&faces, &[], self.now);
        self
    }
}

#[test]
fn a_picture_on_the_wall_is_not_an_arrival() {
    let mut stage = Stage::new();
    for i in 0..200 {
        // The detector's box trembles by two pixels.
        stage.frame(&[ALICE.at(100.0 + (i % 3) as f32)], false);
    }
    assert_eq!(stage.log, NOTHING);
    assert!(!stage.tracker.present().any);
    assert_eq!(stage.tracker.next_deadline(), None, "a picture keeps nobody awake");
    // Somebody walks by and hides it, so that it is lost and found with motion around it.
    stage.wait(10_000);
    for _ in 0..20 {
        stage.frame(&[ALICE.at(101.0)], true);
    }
    stage.wait(60_000);
    assert_eq!(stage.log, NOTHING);
    // Ten minutes later the place is forgotten, and a person who stands there is seen.
    stage.wait(700_000);
    for _ in 0..4 {
        stage.frame(&[ALICE.at(101.0)], true);
    }
    assert_eq!(stage.told(), ["known alice margin_ok"]);
}

#[test]
fn motion_over_a_picture_from_the_first_moment_is_no_arrival_either() {
    let mut stage = Stage::new();
    stage.calm(&[PORTRAIT]);
    let observed = stage.frame(&[PORTRAIT], true);
    assert!(
        observed.asks.is_empty() && matches!(observed.refused[..], [(Flaw::Still, _)]),
        "not even looked at"
    );
    for i in 0..40 {
        // Half hidden by whoever walks by, its box is narrower.
        let width = if i % 5 == 0 { 50.0 } else { 80.0 };
        stage.frame(&[Actor { width, ..PORTRAIT }.at(400.0 + (i % 4) as f32)], true);
    }
    stage.wait(60_000);
    assert_eq!((stage.log.len(), stage.looks), (0, 0), "{:?}", stage.log);
    // Without the calm look, the same motion makes an arrival: the look is what keeps it silent.
    let mut stage = Stage::new();
    (0..4).for_each(|_| drop(stage.frame(&[PORTRAIT], true)));
    assert_eq!(stage.told(), ["known alice margin_ok"]);
}

#[test]
fn who_sat_still_at_the_calm_look_and_then_moves_is_named() {
    let mut stage = Stage::new();
    stage.calm(&[ALICE]);
    for i in 0..12 {
        // Leans forward by half a face within a second, and stays there.
        stage.frame(&[ALICE.at(100.0 + 10.0 * (i as f32).min(4.0))], true);
    }
    assert_eq!(stage.told(), ["known alice margin_ok"]);
}

#[test]
fn who_walks_to_where_a_picture_hangs_is_named_and_the_picture_is_not() {
    let mut stage = Stage::new();
    stage.calm(&[PORTRAIT]);
    for i in 0..40 {
        let x = (550.0 - 15.0 * i as f32).max(400.0);
        // In front of the portrait only the one in front is found.
        if x < 460.0 {
            stage.frame(&[BOB.at(x)], true)
        } else {
            stage.frame(&[BOB.at(x), PORTRAIT], true)
        };
    }
    for _ in 0..40 {
        stage.frame(&[PORTRAIT], true);
    }
    stage.wait(60_000);
    assert_eq!(stage.told(), ["known bob margin_ok", "left bob not_seen"]);
    // Somebody whose face comes into view only there, beside the middle of the picture and nearer than the wall.
    let mut stage = Stage::new();
    stage.calm(&[PORTRAIT]);
    (0..4).for_each(|_| drop(stage.frame(&[Actor { width: 110.0, ..BOB }.at(390.0)], true)));
    assert_eq!(stage.told(), ["known bob margin_ok"]);
}

#[test]
fn somebody_in_view_is_not_learnt_as_a_picture() {
    let mut stage = Stage::new();
    stage.walk(ALICE, 4);
    let sits = ALICE.at(145.0);
    for _ in 0..20 {
        stage.frame(&[sits], false);
    }
    stage.calm(&[sits]);
    for _ in 0..20 {
        stage.frame(&[sits], false);
    }
    assert_eq!(stage.told(), ["known alice margin_ok"]);
    assert_eq!(stage.tracker.present().known.len(), 1);
    // Gone, and the calm scene is empty; whoever stands at that very place next is seen.
    stage.wait(10_000).calm(&[]);
    (0..4).for_each(|_| drop(stage.frame(&[BOB.at(145.0)], true)));
    assert_eq!(stage.told()[1..], ["left alice not_seen", "known bob margin_ok"]);
}

#[test]
fn what_was_learnt_by_mistake_is_gone_with_the_next_calm_look() {
    let mut stage = Stage::new();
    stage.calm(&[BOB]).wait(20_000).calm(&[]);
    (0..4).for_each(|_| drop(stage.frame(&[BOB], true)));
    assert_eq!(stage.told(), ["known bob margin_ok"]);
    // What moves during the look is not learnt, and a camera that was away hangs somewhere else now.
    let mut stage = Stage::new();
    stage.tracker.learn_still(&[BOB.face()], &[BOB.face().rect], stage.now);
    (0..4).for_each(|_| drop(stage.frame(&[BOB], true)));
    assert_eq!(stage.told(), ["known bob margin_ok"]);
    let mut stage = Stage::new();
    stage.calm(&[BOB]).tracker.forget();
    (0..4).for_each(|_| drop(stage.frame(&[BOB], true)));
    assert_eq!(stage.told(), ["known bob margin_ok"]);
}

#[test]
fn faces_in_a_mask_or_outside_of_the_regions_do_not_count() {
    let television = Rect { x: 0.05, y: 0.2, w: 0.1, h: 0.3 };
    let left = Rect { x: 0.0, y: 0.0, w: 0.4, h: 1.0 };
    let masked = Ground { regions: Vec::new(), masks: vec![television] };
    let within = Ground { regions: vec![left], masks: Vec::new() };
    for (ground, on_it) in [(masked, ALICE), (within, BOB)] {
        let mut stage = Stage::new();
        stage.tracker = std::mem::take(&mut stage.tracker).within(ground);
        for i in 0..8 {
            // Faces change on the screen, and stay the same size: each is a new one.
            let observed = stage.frame(&[on_it.at(on_it.x + 5.0 * (i % 2) as f32)], true);
            assert!(observed.asks.is_empty() && matches!(observed.refused[..], [(Flaw::Masked, _)]));
        }
        stage.tracker.forget();
        stage.frame(&[on_it], true);
        stage.wait(60_000);
        assert_eq!((stage.log.len(), stage.looks), (0, 0), "the mask outlasts a lost camera");
        // Elsewhere the same face is somebody.
        stage.walk(Actor { x: 300.0, ..on_it }, 4);
        assert_eq!(stage.told().len(), 1, "{:?}", stage.log);
    }
}
