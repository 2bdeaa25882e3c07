//! From the configuration to what is started: which cameras, with which settings.
//!
//! Not here: starting anything ([`super`]).

use std::os::unix::fs::DirBuilderExt;

use anyhow::Context;

use crate::camera::{self, Wish};
use crate::config::{Camera, Config, Id};
use crate::logic::appliance::{CameraPlan, restore_settings};
use crate::logic::motion::Knobs;
use crate::logic::source::Spec;
use crate::logic::state::Settings;
use crate::store::{IdentityFile, Stored};

/// One camera, ready to be started.
pub(super) struct CameraSetup {
    pub(super) plan: CameraPlan,
    pub(super) uuid: String,
    pub(super) spec: Spec,
    pub(super) source_text: String,
    pub(super) wish: Wish,
    pub(super) motion: MotionSetup,
}

/// How motion is looked for.
pub(super) struct MotionSetup {
    pub(super) knobs: Knobs,
    pub(super) analysis_fps: f32,
}

/// The configured cameras, or the one that can be found, or the demo scene.
pub(super) fn cameras(
    config: &Config,
    stored: &Stored,
    identity: &mut IdentityFile,
) -> anyhow::Result<Vec<CameraSetup>> {
    if config.cameras.is_empty() {
        let camera = found_camera();
        return Ok(vec![setup(&camera, stored, identity)?]);
    }
    config.cameras.iter().map(|camera| setup(camera, stored, identity)).collect()
}

fn found_camera() -> Camera {
    let camera = match devices().into_iter().next() {
        Some(device) => {
            let id = Id::new("camera").expect("the id has only letters");
            Camera::automatic(id, &format!("v4l2:{device}"))
        }
        None => Camera::demo(),
    };
    tracing::info!("no camera is configured; using {}", camera.source);
    camera
}

/// Id and source of every camera that could be used; the ids are free to be changed.
pub(super) fn found_cameras() -> Vec<(String, String)> {
    let name = |number: usize| if number == 0 { "camera".into() } else { format!("camera_{}", number + 1) };
    let found = devices().into_iter().enumerate();
    found.map(|(number, device)| (name(number), format!("v4l2:{device}"))).collect()
}

#[cfg(feature = "v4l")]
fn devices() -> Vec<String> {
    let found = camera::v4l2::list().into_iter();
    found.map(|found| found.by_id.unwrap_or(found.path).display().to_string()).collect()
}

#[cfg(not(feature = "v4l"))]
fn devices() -> Vec<String> {
    Vec::new()
}

fn setup(camera: &Camera, stored: &Stored, identity: &mut IdentityFile) -> anyhow::Result<CameraSetup> {
    let id = camera.id.as_str().to_owned();
    let start = camera.start;
    let settings = Settings {
        motion_detection: start.motion_detection,
        face_recognition: start.face_recognition,
        notifications: start.notifications,
        mqtt_pictures: start.mqtt_pictures,
        overlay: start.overlay,
        privacy: start.privacy,
        motion_threshold: f64::from(start.motion_threshold),
        motion_min_area: f64::from(start.motion_min_area),
        face_threshold: start.face_threshold,
        fps: f64::from(camera.fps),
    };
    let area = camera.area.clone().unwrap_or_default();
    let mut plan = CameraPlan { id: id.clone(), name: camera.name.clone(), area, settings };
    if let Some(kept) = stored.cameras.get(&id) {
        let kept = kept.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        for (key, problem) in restore_settings(&mut plan, &kept) {
            tracing::warn!("the kept value of {id}/{key} is not used: {problem}");
        }
    }
    let spec: Spec = camera.source.parse().map_err(anyhow::Error::msg).context("cameras.*.source")?;
    let (width, height) = camera.size.map_or((None, None), |(w, h)| (Some(w as usize), Some(h as usize)));
    let motion = &camera.motion;
    Ok(CameraSetup {
        uuid: identity.camera(&id)?.simple().to_string(),
        spec,
        source_text: camera.source.clone(),
        wish: Wish { width, height, fps: plan.settings.fps },
        motion: MotionSetup {
            knobs: Knobs {
                threshold: start.motion_threshold,
                min_area: start.motion_min_area,
                blur: motion.blur as u8,
                dilate: motion.dilate as u8,
                min_duration: motion.min_duration,
                hold: motion.hold,
                learning_time: motion.learning_time,
                regions: motion.regions.clone(),
                masks: motion.masks.clone(),
            },
            analysis_fps: 1.0 / motion.interval.as_secs_f32(),
        },
        plan,
    })
}

/// Makes the faces folder; a demo finds its household enrolled, in a folder that the user sees and may change.
pub(super) fn prepare_faces(config: &Config, setups: &[CameraSetup]) -> anyhow::Result<()> {
    let folder = &config.faces.folder;
    let is_demo = setups.iter().any(|setup| matches!(setup.spec, Spec::Demo { .. }));
    let is_new = !folder.exists();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("the faces folder {} cannot be made", folder.display()))?;
    if !is_demo || !is_new {
        return Ok(());
    }
    for (name, photos) in camera::demo::faces() {
        let person = folder.join(name);
        std::fs::create_dir_all(&person)?;
        for (number, photo) in photos.into_iter().enumerate() {
            std::fs::write(person.join(format!("demo-{}.jpg", number + 1)), photo)?;
        }
    }
    Ok(())
}
