//! Stills and MJPEG streams, written by a thread of their own for each viewer.
//!
//! A stream is `multipart/x-mixed-replace`. The boundary follows each picture at once, because browsers show a part when they see
//! its end. Not here: who may look ([`super::access`]) and how bytes reach the network ([`super::relay`]).

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::StatusCode;

use super::reply;
use super::route::Picture;
use super::{Shared, events};
use crate::frame::Frame;
use crate::hub::{Hub, Next};
use crate::jpeg;
use crate::logic::problem::{Problem, quoted};
use crate::shutdown::Shutdown;

/// How long one wait for a frame may last before the signal to stop is looked at.
const PATIENCE: Duration = Duration::from_secs(1);
/// A still camera repeats its picture so often, so that a viewer who has left is noticed and proxies keep the line open.
const REPEAT: Duration = Duration::from_secs(5);
/// A viewer who wants few pictures still sees a card as soon as it is shown.
const GLANCE: Duration = Duration::from_millis(200);

const STREAM_TYPE: &str = "multipart/x-mixed-replace; boundary=frame";
const BOUNDARY: &[u8] = b"\r\n--frame\r\n";

/// One request of the front: target and whether only the head is wanted.
pub(super) struct Asked<'a> {
    pub(super) target: &'a str,
    pub(super) only_head: bool,
}

/// Answers one request; an error means that the client has gone.
pub(super) fn answer(
    shared: &Shared,
    asked: &Asked<'_>,
    to: &mut dyn Write,
    shutdown: &Shutdown,
) -> io::Result<()> {
    let served = match Picture::parse(asked.target) {
        Ok(Picture::Still { camera, overlay }) => {
            still(&View { shared, camera: &camera, overlay }, asked.only_head, to)?
        }
        Ok(Picture::Event { id, file }) => events::picture(shared, &id, file, asked.only_head, to)?,
        Ok(Picture::Clip { id, range }) => events::clip(shared, &id, range.as_deref(), asked.only_head, to)?,
        Ok(Picture::Stream { camera, pace, overlay }) => match hub(shared, &camera) {
            Ok(hub) => {
                let view = View { shared, camera: &camera, overlay };
                stream(hub, &view, pace, asked.only_head, to, shutdown)?;
                Ok(())
            }
            Err(problem) => Err(problem),
        },
        Err(problem) => Err(problem),
    };
    if let Err(problem) = served {
        to.write_all(&reply::raw(&problem))?;
    }
    to.flush()
}

fn hub<'a>(shared: &'a Shared, camera: &str) -> Result<&'a Arc<Hub>, Problem> {
    shared.hubs.get(camera).ok_or_else(|| Problem::NotFound { what: format!("camera {}", quoted(camera)) })
}

/// How a viewer sees a camera.
struct View<'a> {
    shared: &'a Shared,
    camera: &'a str,
    /// Whether boxes are drawn, if the address says so; else the switch decides.
    overlay: Option<bool>,
}

impl View<'_> {
    /// Whether nothing of the camera may be seen. The state knows it before the camera's thread has put the card into the slot.
    fn is_private(&self) -> bool {
        self.shared.state.borrow().cameras.get(self.camera).is_some_and(|camera| camera.settings.privacy)
    }

    /// The picture; without boxes the camera's own bytes.
    fn jpeg<'f>(&self, frame: &'f Frame) -> Result<&'f Bytes, jpeg::Error> {
        let state = self.shared.now();
        let Some(camera) = state.cameras.get(self.camera) else { return frame.jpeg() };
        if self.overlay.unwrap_or(camera.settings.overlay) {
            frame.marked(&camera.marks())
        } else {
            frame.jpeg()
        }
    }
}

/// What is done, or the problem to tell; outside, that the client has gone.
pub(super) type Served = io::Result<Result<(), Problem>>;

/// The newest frame. A drawn card is sent too, so that whoever looks sees the reason, but with the status of a failure.
fn still(view: &View<'_>, only_head: bool, to: &mut dyn Write) -> Served {
    let frame = match hub(view.shared, view.camera).map(|hub| hub.latest()) {
        Ok(Some(frame)) if frame.live && view.is_private() => return Ok(Err(Problem::Privacy)),
        Ok(Some(frame)) => frame,
        Ok(None) => return Ok(Err(Problem::NoSignal)),
        Err(problem) => return Ok(Err(problem)),
    };
    let jpeg = match view.jpeg(&frame) {
        Ok(jpeg) => jpeg,
        Err(error) => return Ok(Err(Problem::CameraFailed { detail: error.to_string() })),
    };
    let status = if frame.live { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let head = reply::raw_head(status, "image/jpeg", Some(jpeg.len()));
    write!(to, "{head}X-Timestamp: {:.3}\r\n\r\n", unix_seconds(&frame))?;
    if !only_head {
        to.write_all(jpeg)?;
    }
    Ok(Ok(()))
}

fn stream(
    hub: &Arc<Hub>,
    view: &View<'_>,
    pace: Option<Duration>,
    only_head: bool,
    to: &mut dyn Write,
    shutdown: &Shutdown,
) -> io::Result<()> {
    let head = reply::raw_head(StatusCode::OK, STREAM_TYPE, None);
    write!(to, "{head}\r\n")?;
    if only_head {
        return Ok(());
    }
    to.write_all(BOUNDARY)?;
    to.flush()?;
    let mut viewer = hub.watch();
    let mut last: Option<(Arc<Frame>, Instant)> = None;
    let mut due = Instant::now();
    loop {
        let frame = match viewer.next_blocking(PATIENCE) {
            Next::Frame(frame) => frame,
            Next::Closed => return Ok(()),
            Next::Quiet if shutdown.is_triggered() => return Ok(()),
            Next::Quiet => match &last {
                Some((frame, sent)) if sent.elapsed() >= REPEAT => Arc::clone(frame),
                Some(_) | None => continue,
            },
        };
        if frame.live && view.is_private() {
            continue;
        }
        part(&frame, view, to)?;
        let now = Instant::now();
        last = Some((frame, now));
        if let Some(pace) = pace {
            // Kept on the beat, unless the source is slower than asked.
            due = (due + pace).max(now.checked_sub(pace).unwrap_or(now));
            let is_card = || hub.latest().is_some_and(|frame| !frame.live);
            let was_live = last.as_ref().is_some_and(|(frame, _)| frame.live);
            while Instant::now() < due && !(was_live && is_card()) {
                if shutdown.wait(due.saturating_duration_since(Instant::now()).min(GLANCE)) {
                    return Ok(());
                }
            }
        }
    }
}

/// One part. The small head goes through tiny_http's buffer; the picture's shared bytes go to the socket as they are.
fn part(frame: &Frame, view: &View<'_>, to: &mut dyn Write) -> io::Result<()> {
    // A frame that cannot be encoded is left out; the camera counts it.
    let Ok(jpeg) = view.jpeg(frame) else { return Ok(()) };
    let (length, timestamp) = (jpeg.len(), unix_seconds(frame));
    write!(
        to,
        "Content-Type: image/jpeg\r\nContent-Length: {length}\r\nX-Timestamp: {timestamp:.3}\r\n\r\n"
    )?;
    to.write_all(jpeg)?;
    to.write_all(BOUNDARY)?;
    to.flush()
}

/// When the camera delivered the frame, in seconds since 1970.
fn unix_seconds(frame: &Frame) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(frame.captured_at.elapsed()).as_secs_f64()
}
