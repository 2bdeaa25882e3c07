//! Which live pictures are due: a few a minute, faster while something moves, none that was sent before.
//!
//! Not here: pictures of events ([`super::session`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::hub::Hub;
use crate::logic::state::State;

/// Between two pictures while something moves. Home Assistant takes every one whether or not anybody looks.
const MOVING_INTERVAL: Duration = Duration::from_secs(1);
const LIVE: &str = "image/live";

pub(super) struct Pictures {
    interval: Duration,
    sent: BTreeMap<String, (Instant, Bytes)>,
    /// Cameras whose pictures are to be replaced as soon as the privacy card is there.
    to_blank: BTreeSet<String>,
}

impl Pictures {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, sent: BTreeMap::new(), to_blank: BTreeSet::new() }
    }

    /// Makes every camera's picture due.
    pub(super) fn restart(&mut self) {
        self.sent.clear();
    }

    /// Replaces every picture of a camera by the card that its hub shows.
    pub(super) fn blank(&mut self, camera: String) {
        self.to_blank.insert(camera);
    }

    /// Camera, entity key and JPEG of everything due now.
    pub(super) fn due(
        &mut self,
        now: Instant,
        state: &State,
        hubs: &BTreeMap<String, Arc<Hub>>,
    ) -> Vec<(String, &'static str, Bytes)> {
        let mut due = Vec::new();
        for (id, camera) in &state.cameras {
            let Some(frame) = hubs.get(id).and_then(|hub| hub.latest()) else { continue };
            // A live frame that is still in the slot must not leave once privacy is on.
            let Some(jpeg) = (!frame.live || !camera.settings.privacy).then(|| frame.jpeg().ok()).flatten()
            else {
                continue;
            };
            if !frame.live && self.to_blank.remove(id) {
                due.extend(["image/motion", "image/face"].map(|key| (id.clone(), key, jpeg.clone())));
                self.sent.remove(id);
            }
            if !camera.settings.mqtt_pictures && frame.live {
                continue;
            }
            let interval = if camera.motion { MOVING_INTERVAL.min(self.interval) } else { self.interval };
            let is_due = match self.sent.get(id) {
                None => true,
                // A card replaces the picture at once.
                Some((at, last)) => last != jpeg && (!frame.live || now >= *at + interval),
            };
            if is_due {
                due.push((id.clone(), LIVE, jpeg.clone()));
                self.sent.insert(id.clone(), (now, jpeg.clone()));
            }
        }
        due
    }
}
