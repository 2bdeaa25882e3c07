//! Starts what belongs to one camera and translates its news.
//!
//! Not here: which cameras there are ([`super::plan`]).

use std::sync::Arc;
use std::sync::mpsc;

use super::crew::Crew;
use super::executor::Orders;
use super::plan::CameraSetup;
use crate::camera;
use crate::hub::Hub;
use crate::inbox::Inbox;
use crate::logic::input::{CameraNews, Input, MotionChange, MotionLook, MotionSighting};
use crate::logic::motion::Change;
use crate::shutdown::Shutdown;
use crate::vision::motion;

/// Starts the camera thread and the motion loop of one camera; the ways to them.
pub(super) fn start(
    crew: &mut Crew,
    number: usize,
    setup: CameraSetup,
    hub: Arc<Hub>,
    inbox: &Inbox,
    stop: &Shutdown,
) -> Orders {
    let CameraSetup { plan, spec, wish, motion, .. } = setup;
    let (camera_orders, orders) = mpsc::channel();
    let (id, tell) = (plan.id.clone(), inbox.clone());
    let parts = camera::Parts {
        name: plan.name.clone(),
        spec,
        wish,
        private: plan.settings.privacy,
        stall_after: camera::STALL_AFTER,
        hub: Arc::clone(&hub),
        orders,
        news: Box::new(move |news| {
            if let Some(news) = camera_news(news) {
                tell.tell(Input::Camera { camera: id.clone(), news });
            }
        }),
    };
    let shutdown = stop.clone();
    crew.spawn(&format!("cam-{number}"), move || camera::run(parts, &shutdown));

    let (motion_orders, orders) = mpsc::channel();
    let (id, tell) = (plan.id.clone(), inbox.clone());
    let parts = motion::Parts {
        hub,
        orders,
        knobs: motion.knobs.clone(),
        analysis_fps: motion.analysis_fps,
        enabled: plan.settings.motion_detection && !plan.settings.privacy,
        tell: move |sighting| {
            tell.tell(Input::Motion { camera: id.clone(), sighting: motion_sighting(sighting) });
        },
    };
    let shutdown = stop.clone();
    crew.spawn(&format!("motion-{number}"), move || motion::run(parts, &shutdown));
    Orders { camera: camera_orders, motion: motion_orders, clips: None, knobs: motion.knobs }
}

fn camera_news(news: camera::News) -> Option<CameraNews> {
    match news {
        camera::News::Opened(opened) => Some(CameraNews::Opened(opened)),
        camera::News::Lost(problem) => Some(CameraNews::Lost(problem)),
        camera::News::Stats(stats) => Some(CameraNews::Rate(stats.fps)),
        // The appliance has ordered it and knows.
        camera::News::Private => None,
    }
}

fn motion_sighting(sighting: motion::Sighting) -> MotionSighting {
    let change = sighting.report.change.map(|change| match change {
        Change::Started => MotionChange::Started,
        Change::Ended { lasted } => MotionChange::Ended { lasted },
        Change::Suppressed(reason) => MotionChange::Suppressed { reason: reason.as_str() },
    });
    let frame = sighting.frame.as_ref();
    let look = MotionLook {
        raw: sighting.report.raw,
        area_px: sighting.report.area_px,
        why: sighting.report.why.map(|reason| reason.as_str()),
    };
    MotionSighting {
        look,
        change,
        area_pct: f64::from(sighting.report.area_pct),
        boxes: sighting.report.boxes,
        captured_at: sighting.captured_at,
        jpeg: frame.and_then(|frame| frame.jpeg().ok().cloned()),
    }
}
