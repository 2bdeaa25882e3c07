//! What people and programs may ask of a camera; the only way to change a running appliance.
//!
//! Not here: how a command is spelt on the wire; [`super::entities`] reads text into commands.

use bytes::Bytes;
use serde_json::Value;

/// One request to one camera. Ranges were checked when it was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command {
    /// Watches for motion, or stops doing so.
    MotionDetection(bool),
    /// Looks for faces, or stops doing so.
    FaceRecognition(bool),
    /// Lets events be told to people, or sets their `notify` to false.
    Notifications(bool),
    /// Sends pictures over MQTT, or stops doing so.
    MqttPictures(bool),
    /// Draws boxes around what moves and around faces into streams and stills over HTTP, or stops doing so.
    Overlay(bool),
    /// Closes the camera and blanks every output, or opens it again.
    Privacy(bool),
    /// Gray levels (of 255) by which a pixel must differ to count as moved.
    MotionThreshold(f64),
    /// Square pixels of the camera's picture that must move together.
    MotionMinArea(f64),
    /// Likeness (cosine) from which a face may be named.
    FaceThreshold(f64),
    /// Frames per second taken from the camera.
    Fps(f64),
    /// Takes the current picture as an event of its own.
    Snapshot,
    /// Takes the present picture as the still background of motion detection.
    BackgroundReset,
    /// Begins again; a command to the appliance itself.
    Restart,
}

/// What a command led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was carried out; the state tells the rest.
    Done,
    /// It made an event.
    Event {
        /// Id of the camera.
        camera: String,
        /// Id of the event.
        id: String,
    },
    /// It led to this.
    Data(Value),
    /// It led to this picture, a JPEG.
    Picture(Bytes),
}
