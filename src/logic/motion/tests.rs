//! The detector against scenes whose truth is known; rows J6 to J8 of the product and the false alarms people complain about.

use std::time::{Duration, Instant};

use super::scene::{Look, Scene, Thing, Watch};
use super::{Change, Detector, Gray, Knobs, MAX_BOXES, Reason, Rect, Report};

const FLAT: Look = Look::Flat(210.0);

fn thing(x: f32, y: f32, w: f32, h: f32, look: Look) -> Vec<Thing> {
    vec![Thing { x, y, w, h, look }]
}

/// A person of 80 x 200 camera pixels who walks 100 pixels a second.
fn person(seconds: f32) -> Vec<Thing> {
    thing(30.0 + 100.0 * seconds, 150.0, 80.0, 200.0, Look::Cloth(5))
}

fn watch(scene: Scene) -> Watch {
    Watch::new(scene, Knobs::default(), 5.0)
}

fn started(changes: &[Change]) -> usize {
    changes.iter().filter(|change| **change == Change::Started).count()
}

#[test]
fn a_square_below_the_area_is_nothing_and_one_above_is_motion() {
    for fps in [5.0, 15.0, 30.0] {
        for (step, noise) in [(0.0, 0.0), (1.0, 1.5), (2.7, 3.0)] {
            for (height, truth) in [(58.0, 0), (62.0, 1)] {
                let mut scene = Scene::wall(90.0);
                scene.noise = noise;
                let mut watch = Watch::new(scene, Knobs::default(), fps);
                // 50 x 58 = 2900 and 50 x 62 = 3100 square pixels.
                let changes = watch.run(4.0, |scene, seconds| {
                    scene.things =
                        thing(60.0 + 40.0 * step * seconds, 101.0 + step * seconds, 50.0, height, FLAT);
                });
                assert_eq!(
                    started(&changes),
                    truth,
                    "{height} high, {fps} fps, step {step}, noise {noise}: {}",
                    watch.last.area_px
                );
                let off = (watch.last.area_px as f32 - 50.0 * height).abs();
                assert!(off < 90.0, "{} instead of {}", watch.last.area_px, 50.0 * height);
            }
        }
    }
}

#[test]
fn a_person_is_found_where_he_is() {
    for scene in [Scene::room(), Scene::wall(120.0)] {
        let mut watch = watch(scene);
        let changes = watch.run(4.0, |scene, seconds| scene.things = person(seconds));
        assert_eq!(changes, [Change::Started]);
        assert!(watch.last.moving && watch.last.raw && !watch.last.boxes.is_empty());
        let seen = watch.last.boxes[0];
        let truth = Rect { x: 410.0 / 640.0, y: 150.0 / 480.0, w: 80.0 / 640.0, h: 200.0 / 480.0 };
        let far = [
            (seen.x, truth.x),
            (seen.y, truth.y),
            (seen.x + seen.w, truth.x + truth.w),
            (seen.y + seen.h, truth.y + truth.h),
        ];
        assert!(far.iter().all(|(seen, truth)| (seen - truth).abs() < 0.03), "{seen:?} for {truth:?}");
        assert!((watch.last.area_pct - 5.2).abs() < 1.6, "{}", watch.last.area_pct);
    }
}

#[test]
fn motion_is_held_and_ends_with_its_length() {
    for fps in [5.0, 15.0, 30.0] {
        let mut watch = Watch::new(Scene::room(), Knobs::default(), fps);
        let walk = |scene: &mut Scene, seconds: f32| scene.things = person(seconds);
        assert_eq!(started(&watch.run(2.0, walk)), 1);
        watch.scene.things.clear();
        assert_eq!(watch.run(4.5, |_, _| ()), []);
        assert!(watch.last.moving && !watch.last.raw);
        let changes = watch.run(1.0, |_, _| ());
        assert!(
            matches!(changes[..], [Change::Ended { lasted }] if (1.7..2.01).contains(&lasted.as_secs_f32())),
            "{changes:?}"
        );
        assert!(!watch.last.moving);
        assert_eq!(watch.detector.next_deadline(), None);
    }
}

#[test]
fn motion_ends_though_no_picture_comes() {
    let mut watch = watch(Scene::room());
    watch.run(2.0, |scene, seconds| scene.things = person(seconds));
    let deadline = watch.detector.next_deadline().unwrap();
    assert_eq!(watch.detector.pass_time(deadline - Duration::from_millis(1)), None);
    assert!(matches!(watch.detector.pass_time(deadline), Some(Change::Ended { .. })));
    assert_eq!(watch.detector.pass_time(deadline), None);
}

#[test]
fn a_flash_of_one_picture_is_too_brief() {
    let mut watch = watch(Scene::room());
    let changes = watch.run(3.0, |scene, seconds| {
        scene.things = if (1.0..1.1).contains(&seconds) { person(1.0) } else { Vec::new() };
    });
    assert_eq!(changes, []);
    assert_eq!(watch.detector.tally().held(Reason::TooBrief), 1);
}

#[test]
fn sensor_noise_is_never_motion() {
    for sigma in [2.0, 4.0, 8.0] {
        for mut scene in [Scene::room(), Scene::wall(60.0)] {
            scene.noise = sigma;
            // From the first picture on, when the noise of a pixel is not known yet, and for most of a minute.
            let mut watch = Watch::new(scene, Knobs { min_area: 300, ..Knobs::default() }, 5.0);
            assert_eq!(watch.run(40.0, |_, _| ()), [], "sigma {sigma}");
            assert_eq!(
                started(&watch.run(3.0, |scene, seconds| scene.things = person(seconds))),
                1,
                "sigma {sigma}"
            );
        }
    }
}

#[test]
fn noise_that_rises_at_dusk_is_not_motion() {
    let mut watch = watch(Scene::wall(60.0));
    let changes = watch.run(30.0, |scene, seconds| scene.noise = if seconds < 5.0 { 1.0 } else { 8.0 });
    assert_eq!(changes, []);
}

#[test]
fn slow_drift_of_daylight_is_not_motion() {
    let mut watch = watch(Scene::room());
    let changes =
        watch.run(60.0, |scene, seconds| scene.offset = 1.5 * seconds - 30.0 * (seconds / 30.0).floor());
    assert_eq!(started(&changes), 0, "{changes:?}");
}

#[test]
fn a_light_switch_is_suppressed_once_and_then_a_person_counts() {
    for (gain, offset) in [(0.35, 0.0), (1.6, 10.0), (0.08, 2.0), (1.0, 50.0)] {
        for scene in [Scene::room(), Scene::wall(110.0)] {
            let rates: &[f32] = if gain == 1.6 { &[5.0, 15.0, 30.0] } else { &[5.0] };
            for &fps in rates {
                let mut scene = copy(&scene);
                scene.noise = 2.0;
                let mut watch = Watch::new(scene, Knobs::default(), fps);
                let what = format!("gain {gain}, offset {offset}, {fps} fps");
                watch.scene.gain = gain;
                watch.scene.offset = offset;
                let changes = watch.run(1.0, |_, _| ());
                assert_eq!(changes, [Change::Suppressed(Reason::LightChange)], "{what}");
                if gain > 0.3 {
                    let pale = |seconds: f32| vec![Thing { look: Look::Flat(240.0), ..person(seconds)[0] }];
                    let changes = watch.run(3.0, |scene, seconds| scene.things = pale(seconds));
                    assert_eq!(changes, [Change::Started], "{what}: a person walks in one second later");
                    watch.scene.things.clear();
                    watch.run(6.0, |_, _| ());
                } else {
                    assert_eq!(watch.run(9.0, |_, _| ()), [], "{what}");
                }
                (watch.scene.gain, watch.scene.offset) = (1.0, 0.0);
                let changes = watch.run(8.0, |_, _| ());
                assert_eq!(changes, [Change::Suppressed(Reason::LightChange)], "{what}, and back");
            }
        }
    }
}

fn copy(scene: &Scene) -> Scene {
    let mut copy = Scene::wall(0.0);
    copy.room.clone_from(&scene.room);
    copy
}

#[test]
fn a_ramp_of_auto_exposure_is_not_motion() {
    for scene in [Scene::room(), Scene::wall(140.0)] {
        for fps in [5.0, 15.0, 30.0] {
            let mut watch = Watch::new(copy(&scene), Knobs::default(), fps);
            let changes = watch.run(6.0, |scene, seconds| scene.gain = 1.0 + 0.3 * seconds.min(1.0));
            assert_eq!(started(&changes), 0, "{fps} fps: {changes:?}");
        }
    }
}

#[test]
fn a_patch_of_sun_is_not_motion() {
    let mut watch = watch(Scene::room());
    let empty = watch.scene.room.clone();
    let changes = watch.run(5.0, |scene, seconds| {
        for (at, gray) in scene.room.iter_mut().enumerate() {
            let lit = (100..200).contains(&(at % 320)) && (60..200).contains(&(at / 320)) && seconds >= 1.0;
            *gray = empty[at] * if lit { 1.45 } else { 1.0 };
        }
    });
    assert_eq!(changes, [Change::Suppressed(Reason::LightChange)]);
}

#[test]
fn something_big_is_not_swallowed_as_light() {
    for look in [Look::Cloth(9), Look::Flat(30.0), Look::Flat(200.0)] {
        for scene in [Scene::room(), Scene::wall(120.0)] {
            let mut watch = watch(scene);
            let changes = watch.run(4.0, |scene, seconds| {
                scene.things = thing((300.0 * seconds - 330.0).min(310.0), 0.0, 330.0, 480.0, look);
            });
            assert!(started(&changes) == 1, "{changes:?}");
        }
    }
}

#[test]
fn a_person_during_the_switch_is_not_swallowed() {
    let mut watch = watch(Scene::room());
    let changes = watch.run(4.0, |scene, seconds| {
        scene.things = person(seconds);
        scene.gain = if seconds > 0.15 { 1.5 } else { 1.0 };
    });
    assert_eq!(started(&changes), 1, "{changes:?}");
}

#[test]
fn light_that_flickers_on_and_on_does_not_blind_us() {
    let mut watch = watch(Scene::room());
    let flicker = |scene: &mut Scene, seconds: f32| {
        scene.gain = if (seconds * 5.0) as u32 % 2 == 1 { 1.5 } else { 1.0 }
    };
    let changes = watch.run(20.0, flicker);
    assert_eq!(started(&changes), 0, "{changes:?}");
    let changes = watch.run(4.0, |scene, seconds| {
        flicker(scene, seconds);
        scene.things = person(seconds);
    });
    assert_eq!(started(&changes), 1, "{changes:?}");
}

#[test]
fn lamps_on_the_mains_are_not_motion() {
    // Each picture of a rolling shutter shows the 100 Hz of a lamp as bands, at another place each time.
    for fps in [5.0, 30.0] {
        let mut watch = Watch::new(Scene::room(), Knobs::default(), fps);
        let empty = watch.scene.room.clone();
        let changes = watch.run(12.0, |scene, seconds| {
            for (y, (lit, empty)) in scene.room.chunks_mut(320).zip(empty.chunks(320)).enumerate() {
                let phase = y as f32 / 240.0 * 3.3 + seconds * 100.3;
                let light = 1.0 + 0.12 * (phase * std::f32::consts::TAU).sin();
                lit.iter_mut().zip(empty).for_each(|(lit, empty)| *lit = empty * light);
            }
        });
        assert_eq!(started(&changes), 0, "{fps} fps: {changes:?}");
    }
}

#[test]
fn a_shaken_camera_is_told_as_such() {
    for (dx, dy) in [(1.0, 0.0), (2.0, 1.0), (3.0, 0.0), (0.6, -1.4), (2.5, 2.5)] {
        let mut watch = watch(Scene::room());
        let changes = watch.run(6.0, |scene, seconds| {
            scene.shift = if (seconds * 2.5) as u32 % 2 == 1 { (dx, dy) } else { (0.0, 0.0) };
        });
        assert_eq!(started(&changes), 0, "{dx} {dy}: {changes:?}");
        assert!(
            changes.iter().all(|change| *change == Change::Suppressed(Reason::Shake)),
            "{dx} {dy}: {changes:?}"
        );
        let changes = watch.run(3.0, |scene, seconds| {
            scene.shift = if (seconds * 2.5) as u32 % 2 == 1 { (dx, dy) } else { (0.0, 0.0) };
            scene.things = person(seconds);
        });
        assert_eq!(started(&changes), 1, "a person before a shaking camera: {dx} {dy}");
    }
}

#[test]
fn a_camera_that_was_turned_learns_the_new_view() {
    let mut watch = watch(Scene::room());
    let changes = watch.run(10.0, |scene, _| scene.shift = (3.0, 1.0));
    assert_eq!(changes, [Change::Suppressed(Reason::Shake)]);
    assert_eq!(watch.last.why, None);
}

#[test]
fn a_parked_object_belongs_to_the_scene_after_the_learning_time() {
    for fps in [5.0, 15.0] {
        let knobs = Knobs { learning_time: Duration::from_secs(20), ..Knobs::default() };
        let mut scene = Scene::room();
        scene.noise = 4.0;
        let mut watch = Watch::new(scene, knobs, fps);
        let park =
            |scene: &mut Scene, _: f32| scene.things = thing(200.0, 200.0, 120.0, 90.0, Look::Cloth(3));
        assert_eq!(watch.run(18.0, park), [Change::Started]);
        assert!(watch.last.raw);
        watch.run(4.0, park);
        assert!(!watch.last.raw);
        let changes = watch.run(5.0, park);
        assert!(
            matches!(changes[..], [Change::Ended { lasted }] if (18..=22).contains(&lasted.as_secs())),
            "{changes:?}"
        );
        assert_eq!(watch.run(20.0, park), []);
    }
}

#[test]
fn a_parked_object_is_learnt_although_people_pass_before_it() {
    let knobs = Knobs { learning_time: Duration::from_secs(20), ..Knobs::default() };
    let mut watch = Watch::new(Scene::room(), knobs, 5.0);
    let car = thing(200.0, 200.0, 120.0, 90.0, Look::Cloth(3))[0];
    let street = |scene: &mut Scene, seconds: f32| {
        // Somebody every nine seconds, before the car for about two of them.
        scene.things = vec![car, person(seconds % 9.0)[0]];
    };
    watch.run(36.0, street);
    assert_eq!(started(&watch.run(4.0, |scene, _| scene.things = vec![car])), 0);
    assert!(!watch.last.raw, "{:?}", watch.last);
}

#[test]
fn leaves_in_the_wind_are_learnt() {
    let mut watch =
        Watch::new(Scene::room(), Knobs { learning_time: Duration::from_secs(30), ..Knobs::default() }, 5.0);
    let tree = |scene: &mut Scene, seconds: f32| {
        let sway = (seconds * 7.0).sin() * 4.0 + (seconds * 3.1).sin() * 3.0;
        scene.things = thing(100.0 + sway, 60.0, 120.0, 120.0, Look::Cloth(8));
    };
    watch.run(60.0, tree);
    let changes = watch.run(60.0, tree);
    assert_eq!(started(&changes), 0, "{changes:?}");
    assert!(!watch.last.moving);
}

#[test]
fn a_reset_takes_the_scene_as_it_is() {
    let mut watch = watch(Scene::room());
    let chair = |scene: &mut Scene, _: f32| scene.things = thing(200.0, 200.0, 120.0, 190.0, Look::Cloth(3));
    assert_eq!(watch.run(3.0, chair), [Change::Started]);
    assert!(matches!(watch.detector.reset(), Some(Change::Ended { .. })));
    for _ in 0..20 {
        assert_eq!(watch.run(0.2, chair), []);
        assert!(!watch.last.moving && !watch.last.raw);
    }
    assert_eq!(watch.run(3.0, |scene, seconds| scene.things = person(seconds)), [Change::Started]);
}

#[test]
fn motion_while_the_scene_is_learnt_is_told_as_starting() {
    let mut watch = watch(Scene::room());
    watch.detector.reset();
    let changes = watch.run(1.0, |scene, seconds| scene.things = person(4.0 * seconds));
    assert_eq!(changes, [Change::Suppressed(Reason::Starting)]);
}

#[test]
fn regions_and_masks_decide_what_counts() {
    let left = Rect { x: 0.0, y: 0.0, w: 0.5, h: 1.0 };
    let right = Rect { x: 0.5, y: 0.0, w: 0.5, h: 1.0 };
    let cases = [
        (vec![left], vec![], true),
        (vec![right], vec![], false),
        (vec![], vec![left], false),
        (vec![], vec![right], true),
        (vec![left, right], vec![left], false),
        (vec![], vec![Rect { x: f32::NAN, y: -9.0, w: 1e9, h: f32::INFINITY }], true),
    ];
    for (regions, masks, counts) in cases {
        let knobs = Knobs { regions: regions.clone(), masks: masks.clone(), ..Knobs::default() };
        let mut watch = Watch::new(Scene::room(), knobs, 5.0);
        let changes = watch.run(2.0, |scene, seconds| scene.things = person(seconds));
        let expected = if counts { Change::Started } else { Change::Suppressed(Reason::Masked) };
        assert_eq!(changes, [expected], "{regions:?} {masks:?}");
    }
}

#[test]
fn inhibited_motion_is_told_once() {
    let mut watch = watch(Scene::room());
    watch.detector.inhibit(Some(watch.start + Duration::from_secs(10)));
    let changes = watch.run(5.0, |scene, seconds| scene.things = person(seconds));
    assert_eq!(changes, [Change::Suppressed(Reason::Inhibited)]);
    watch.detector.inhibit(None);
    assert_eq!(watch.run(1.0, |scene, seconds| scene.things = person(seconds)), [Change::Started]);
}

#[test]
fn knobs_turn_at_once() {
    let mut watch = watch(Scene::wall(100.0));
    let small = |scene: &mut Scene, _: f32| scene.things = thing(100.0, 100.0, 30.0, 30.0, Look::Flat(150.0));
    assert_eq!(watch.run(2.0, small), []);
    assert_eq!(
        (watch.last.why, watch.detector.tally().held(Reason::BelowArea)),
        (Some(Reason::BelowArea), 1)
    );
    watch.detector.set_knobs(Knobs { min_area: 500, ..Knobs::default() });
    assert_eq!(watch.run(2.0, small), [Change::Started]);
    watch.detector.set_knobs(Knobs { threshold: 80, min_area: 500, ..Knobs::default() });
    watch.run(2.0, small);
    assert!(!watch.last.raw);
}

#[test]
fn a_blur_hides_what_is_thin() {
    let lines = |scene: &mut Scene, _: f32| {
        scene.things =
            (0..30).flat_map(|line| thing(60.0, 20.0 + 12.0 * line as f32, 500.0, 4.0, FLAT)).collect();
    };
    let mut sharp = watch(Scene::wall(140.0));
    assert_eq!(started(&sharp.run(2.0, lines)), 1);
    let mut blurred =
        Watch::new(Scene::wall(140.0), Knobs { blur: 6, threshold: 40, ..Knobs::default() }, 5.0);
    assert_eq!(started(&blurred.run(2.0, lines)), 0);
}

#[test]
fn dilation_joins_pieces_but_adds_no_area() {
    // Six pieces of 700 square pixels, 6 camera pixels apart.
    let pieces = |scene: &mut Scene, _: f32| {
        scene.things =
            (0..6).flat_map(|piece| thing(60.0 + 34.0 * piece as f32, 100.0, 28.0, 25.0, FLAT)).collect();
    };
    for (dilate, joined) in [(0, 0), (2, 1)] {
        let mut watch = Watch::new(Scene::wall(100.0), Knobs { dilate, ..Knobs::default() }, 5.0);
        assert_eq!(started(&watch.run(2.0, pieces)), joined);
        let truth = if joined == 1 { 4200.0 } else { 700.0 };
        assert!((watch.last.area_px as f32 - truth).abs() < 0.06 * truth, "{}", watch.last.area_px);
    }
}

#[test]
fn another_size_or_a_long_pause_is_a_new_scene() {
    let mut watch = watch(Scene::room());
    watch.run(2.0, |scene, seconds| scene.things = person(seconds));
    let other = Gray { width: 160, height: 90, scale: 8, data: vec![40; 160 * 90] };
    let at = watch.start + Duration::from_secs_f32(watch.now);
    let report = watch.detector.look(at, &other);
    assert!(matches!(report.change, Some(Change::Ended { .. })) && !report.moving && !report.raw);
    let bright = Gray { data: vec![200; 160 * 90], ..other };
    let report = watch.detector.look(at + Duration::from_secs(3600), &bright);
    assert_eq!(report, Report::default());
}

#[test]
fn a_long_quiet_time_changes_nothing() {
    let knobs = Knobs::default();
    let mut watch = Watch::new(Scene::room(), knobs, 0.1);
    assert_eq!(watch.run(2.0 * 3600.0, |_, _| ()), []);
    watch.fps = 5.0;
    assert_eq!(started(&watch.run(3.0, |scene, seconds| scene.things = person(seconds))), 1);
}

#[test]
fn no_picture_and_no_order_of_times_panics() {
    let start = Instant::now() + Duration::from_secs(1_000_000);
    let mut random = 99u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for _ in 0..60 {
        let knobs = Knobs {
            threshold: next(256) as u8,
            min_area: next(3) as u32 * 400,
            blur: next(3) as u8 * 9,
            dilate: next(3) as u8 * 10,
            min_duration: Duration::from_millis(next(3) * 300),
            hold: Duration::from_millis(next(3) * 3000),
            learning_time: Duration::from_millis(next(3) * 30_000),
            regions: vec![Rect { x: next(9) as f32 / 4.0 - 1.0, y: 0.3, w: -1.0 + next(20) as f32, h: 3.0 }],
            masks: Vec::new(),
        };
        let mut detector = Detector::new(knobs);
        let sides = [1, 2, 3, 15, 16, 17, 33, 70];
        let (width, height) = (sides[next(8) as usize], sides[next(8) as usize]);
        for _ in 0..40 {
            let base = next(256);
            let spread = 1 + next(120);
            let data = (0..width * height).map(|_| (base + next(spread)).min(255) as u8).collect();
            let mut gray = Gray { width, height, scale: 1 << next(4), data };
            if next(20) == 0 {
                gray.data.truncate(1);
            }
            let offset = Duration::from_millis(next(90_000));
            let at = if next(2) == 0 { start + offset } else { start - offset };
            let report = detector.look(at, &gray);
            assert!(report.boxes.len() <= MAX_BOXES && report.area_pct <= 100.01, "{report:?}");
            assert!(
                report
                    .boxes
                    .iter()
                    .all(|rect| rect.w > 0.0 && rect.x + rect.w <= 1.0001 && rect.y + rect.h <= 1.0001)
            );
            detector.pass_time(at + offset);
        }
    }
}
