//! Which live pictures are due: a few a minute, faster while something moves, none that was sent before.
//!
//! Not here: pictures of events ([`super::session`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::hub::Hub;
use crate::logic::entities::STRIP;
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
                let strip = state.has_strips.then_some(STRIP);
                let shown = ["image/motion", "image/face"].into_iter().chain(strip);
                due.extend(shown.map(|key| (id.clone(), key, jpeg.clone())));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Frame, Raw};
    use crate::logic::state::CameraState;

    /// One camera, its hub, and a clock that is turned by hand. Nobody looks into the pictures, so they are single bytes.
    struct Stage {
        pictures: Pictures,
        state: State,
        hubs: BTreeMap<String, Arc<Hub>>,
        now: Instant,
    }

    impl Stage {
        fn new() -> Self {
            let state =
                State { cameras: [("porch".into(), CameraState::default())].into(), ..State::default() };
            let hubs = [("porch".into(), Hub::new())].into();
            Self { pictures: Pictures::new(Duration::from_secs(5)), state, hubs, now: Instant::now() }
        }

        fn camera(&mut self) -> &mut CameraState {
            self.state.cameras.get_mut("porch").unwrap()
        }

        fn shows(&self, byte: u8) {
            let raw = Raw::Jpeg(Bytes::copy_from_slice(&[byte]));
            self.hubs["porch"].publish(Arc::new(Frame::live(1, self.now, 2, 2, raw)));
        }

        fn shows_card(&self, byte: u8) {
            let card = Frame::card(1, self.now, 2, 2, Bytes::copy_from_slice(&[byte]));
            self.hubs["porch"].publish(Arc::new(card));
        }

        fn due_after(&mut self, seconds: f64) -> Vec<(&'static str, u8)> {
            self.now += Duration::from_secs_f64(seconds);
            let due = self.pictures.due(self.now, &self.state, &self.hubs);
            due.into_iter().map(|(_, key, jpeg)| (key, jpeg[0])).collect()
        }
    }

    #[test]
    fn a_picture_is_due_when_it_changed_and_the_time_has_come() {
        let mut stage = Stage::new();
        assert!(stage.due_after(0.0).is_empty(), "there is none yet");
        stage.shows(1);
        assert_eq!(stage.due_after(0.0), [(LIVE, 1)]);
        stage.shows(2);
        assert!(stage.due_after(4.9).is_empty());
        assert_eq!(stage.due_after(0.1), [(LIVE, 2)]);
        assert!(stage.due_after(60.0).is_empty(), "the same picture is sent once");
        stage.pictures.restart();
        assert_eq!(stage.due_after(0.0), [(LIVE, 2)], "unless somebody has lost it");
    }

    #[test]
    fn motion_makes_them_quicker_but_never_slower() {
        let mut stage = Stage::new();
        stage.camera().motion = true;
        stage.shows(1);
        stage.due_after(0.0);
        stage.shows(2);
        assert!(stage.due_after(0.9).is_empty());
        assert_eq!(stage.due_after(0.1), [(LIVE, 2)]);
        stage.pictures.interval = Duration::from_millis(500);
        stage.shows(3);
        assert_eq!(stage.due_after(0.5), [(LIVE, 3)]);
    }

    #[test]
    fn a_card_comes_at_once_and_the_picture_after_it_in_its_time() {
        let mut stage = Stage::new();
        stage.shows(1);
        stage.due_after(0.0);
        stage.shows_card(9);
        assert_eq!(stage.due_after(0.1), [(LIVE, 9)]);
        assert!(stage.due_after(60.0).is_empty());
        stage.shows(2);
        assert_eq!(stage.due_after(0.1), [(LIVE, 2)]);
    }

    #[test]
    fn privacy_lets_no_picture_out_and_replaces_those_that_were() {
        let mut stage = Stage::new();
        stage.shows(1);
        stage.due_after(0.0);
        stage.camera().settings.privacy = true;
        stage.pictures.blank("porch".into());
        stage.shows(2);
        assert!(stage.due_after(60.0).is_empty(), "the picture in the slot stays there");
        stage.shows_card(9);
        assert_eq!(stage.due_after(0.0), [("image/motion", 9), ("image/face", 9), (LIVE, 9)]);
        assert!(stage.due_after(60.0).is_empty());
    }

    #[test]
    fn without_mqtt_pictures_only_cards_are_sent() {
        let mut stage = Stage::new();
        stage.camera().settings.mqtt_pictures = false;
        stage.shows(1);
        assert!(stage.due_after(60.0).is_empty());
        stage.shows_card(9);
        assert_eq!(stage.due_after(0.0), [(LIVE, 9)]);
    }
}
