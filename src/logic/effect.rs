//! What the appliance wants done in the world, as plain values; [`crate::app`] carries it out.

use std::sync::Arc;
use std::time::Instant;

use super::accounts;
use super::admin;
use super::audit;
use super::events::Event;
use super::faces::training::{Job, Training};
use super::history::{self, Addition};
use super::picture::Rect;
use super::request::Discovery;

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Ask the door for something about users or tokens; it answers whoever asked.
    Access(accounts::Request),
    /// Ask the audit log; it answers whoever asked.
    Audit(audit::Request),
    /// Tell a camera thread.
    Camera(String, CameraOrder),
    /// Tell a motion loop.
    Motion(String, MotionOrder),
    /// Tell a face loop.
    Faces(String, FacesOrder),
    /// Tell the world about an event: picture first, then presence, then the event.
    Announce(Arc<Event>),
    /// Take the camera's present picture and hand it back as [`super::input::Input::Snapshot`].
    TakeSnapshot {
        /// Camera id.
        camera: String,
        /// Id of the event to be.
        id: String,
    },
    /// Take the camera's present picture and hand the request back with it.
    Capture {
        /// Camera id.
        camera: String,
        /// The request that needs it.
        training: Training,
    },
    /// Tell the thread that has the face models; it answers whoever asked.
    Teach(Job),
    /// Ask the archive, which answers whoever asked.
    Archive(history::Request),
    /// Fetch an event from the archive and hand the request back with it.
    Recall {
        /// Id of the event.
        id: String,
        /// The request that needs it.
        training: Training,
    },
    /// What became known of an event after it was told.
    Add(String, Addition),
    /// Tell a clip loop.
    Clip(String, ClipOrder),
    /// Remove somebody from the events that are kept.
    ForgetPerson(String),
    /// Draw the day of a camera anew for those who show it.
    RenewStrip(String),
    /// Have the MQTT session carry this out and answer whoever asked.
    Discovery(Discovery),
    /// Tell the named target, or all, a trial message, and answer whoever asked.
    TryNotify(Option<String>),
    /// Do something about the appliance itself, and answer whoever asked.
    Admin(admin::Request),
    /// Keep the settings of the state on disk.
    SaveSettings,
    /// The same at once, and whoever asked waits for it: who was told that privacy is on relies on it, whatever happens next.
    SavePrivacy,
    /// Replace every picture of this camera that the outside may still show.
    BlankPictures(String),
    /// Replace the picture of the last face at this camera: it shows somebody who is forgotten.
    BlankFace(String),
}

/// An order to a camera thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CameraOrder {
    /// Close the device and show the privacy card, or open it again.
    Privacy(bool),
    /// Frames per second at most.
    Fps(f64),
}

/// An order to a clip loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClipOrder {
    /// Film this event, with the seconds before it; one that is being filmed goes on and belongs to its first event.
    Begin {
        /// Id of the event.
        event: String,
    },
    /// The event is over: film the seconds after it, then finish.
    End,
    /// Privacy was switched: finish at once with what was filmed, and forget the seconds before.
    Forget,
}

/// An order to a motion loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MotionOrder {
    /// Look, or do not even decode.
    Enabled(bool),
    /// Sensitivity: gray levels and square pixels of the camera's picture.
    Sensitivity {
        /// Gray levels, 1 to 255.
        threshold: f64,
        /// Square pixels.
        min_area: f64,
    },
    /// Take nothing for motion until then.
    Inhibit(Option<Instant>),
    /// Take the next picture as background.
    Reset,
}

/// An order to a face loop.
#[derive(Clone, Debug, PartialEq)]
pub enum FacesOrder {
    /// Look while something moves, or never.
    Enabled(bool),
    /// Where something moves, as fractions of the picture; `None` when nothing does any more.
    Moving(Option<Vec<Rect>>),
    /// Likeness from which a face may be named.
    Threshold(f64),
    /// Forget every track: the camera was closed.
    Forget,
}
