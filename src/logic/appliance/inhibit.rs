//! Motion that is held back for a while because something outside knows better: rain, a light that was switched.
//!
//! Not here: holding it back; the motion loop does, and ends what moves now after its hold time ([`crate::logic::motion`]).

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use serde_json::json;

use super::{Appliance, no_camera};
use crate::logic::command::Answer;
use crate::logic::effect::{Effect, MotionOrder};
use crate::logic::events::timestamp;
use crate::logic::input::Now;
use crate::logic::problem::Problem;
use crate::logic::state::Inhibited;

impl Appliance {
    /// Holds motion back for this time from now on; zero ends it.
    pub(super) fn inhibit(
        &mut self,
        now: Now,
        id: &str,
        time: Duration,
        reason: String,
    ) -> Result<(Answer, Vec<Effect>), Problem> {
        let camera = self.state.cameras.get_mut(id).ok_or_else(|| no_camera(id))?;
        camera.inhibited = (!time.is_zero()).then(|| Inhibited {
            until: now.wall + SignedDuration::try_from(time).unwrap_or_default(),
            deadline: now.instant + time,
            reason,
        });
        let until = camera.inhibited.as_ref().map(|inhibited| timestamp(inhibited.until));
        let deadline = camera.inhibited.as_ref().map(|inhibited| inhibited.deadline);
        let order = Effect::Motion(id.into(), MotionOrder::Inhibit(deadline));
        Ok((Answer::Data(json!({ "until": until })), vec![order]))
    }

    /// Ends what has lasted long enough; the motion loop knows by itself.
    pub(super) fn end_inhibitions(&mut self, now: Instant) {
        for camera in self.state.cameras.values_mut() {
            camera.inhibited.take_if(|inhibited| inhibited.deadline <= now);
        }
    }
}
