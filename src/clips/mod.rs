//! Short films of events: the seconds before from memory, the seconds after, as one MP4 file.
//!
//! [`run()`] is the body of one thread a camera. It keeps the last seconds as JPEG, the camera's own bytes where it sends JPEG, in a
//! ring; while it films, the ring is the queue of what is still to be written, so the seconds before are caught up with
//! little by little while new pictures come. A slow disk or encoder therefore never holds up the camera: the ring lets the
//! oldest pictures go, and the times in the file stay right. Not here: when to film ([`crate::logic`]) and what becomes of
//! the files.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::config;
use crate::frame::Frame;
use crate::hub::{Hub, Next, Viewer};
use crate::logic::effect::ClipOrder;
use crate::logic::preroll::{Beat, Ring};
use crate::shutdown::Shutdown;
use film::{Fault, Film};

mod film;
#[cfg(feature = "h264")]
mod h264;
mod mp4;

/// Longest wait without a glance at orders and the stop signal.
const PATIENCE: Duration = Duration::from_millis(200);
/// How far the writing may lie behind the camera, besides the seconds before.
const CATCH_UP: Duration = Duration::from_secs(5);
/// How long the end of a film may take that has to end at once; what is not written by then is left out.
const HURRY: Duration = Duration::from_secs(1);
/// A camera that delivers nothing ends a film so much later than one that delivers.
const GRACE: Duration = Duration::from_secs(2);
/// Ending of a file that is not complete.
const UNFINISHED: &str = "part";

/// What the loop needs.
pub struct Parts<T> {
    /// The camera's frames.
    pub hub: Arc<Hub>,
    /// Orders; when every sender is gone the loop goes on with what it has.
    pub orders: Receiver<ClipOrder>,
    /// For unfinished films of this camera alone, on the file system where clips are kept: it is made, and what a
    /// crash has left in it (`*.part`) is removed at the start.
    pub folder: PathBuf,
    /// Format, lengths and limits.
    pub settings: config::Clips,
    /// Hears of each film once, on the loop's own thread. What it does there delays pictures.
    pub tell: T,
}

/// What became of a film.
#[derive(Clone, Debug)]
pub enum News {
    /// It is complete and on the disk.
    Finished(Finished),
    /// There is none, and no file is left.
    Failed {
        /// Id of the event.
        event: String,
        /// A sentence that says why.
        reason: String,
    },
}

/// A complete film.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// Id of the event: the first one, if others came while it was filmed.
    pub event: String,
    /// Ids of the others, which are in this film too.
    pub also: Vec<String>,
    /// The file, still in the folder for unfinished ones; whoever hears this moves it away.
    pub file: PathBuf,
    /// Length in seconds.
    pub seconds: f64,
    /// Pictures in the file.
    pub frames: u32,
    /// `h264` or `mjpeg`.
    pub codec: &'static str,
    /// Size of the file.
    pub bytes: u64,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// A picture in the ring.
struct Picture {
    jpeg: Bytes,
    width: usize,
    height: usize,
}

/// Runs until the hub is closed or the stop signal comes. A film that is being made then is completed with what it has.
pub fn run<T: FnMut(News)>(parts: Parts<T>, shutdown: &Shutdown) {
    let Parts { hub, orders, folder, settings, tell } = parts;
    tidy(&folder);
    let mut studio = Studio {
        ring: Ring::new(settings.pre_roll, settings.ring_bytes),
        beat: Beat::new(settings.interval()),
        newest: None,
        broken: 0,
        take: None,
        folder,
        settings,
        tell,
    };
    let viewer = hub.viewer();
    drop(hub);
    studio.until_closed(viewer, &orders, shutdown);
    studio.cut();
    studio.finish();
}

/// Makes the folder and removes what a crash has left there. What does not work here is told when a film begins.
fn tidy(folder: &std::path::Path) {
    let _ = std::fs::create_dir_all(folder);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.extension().is_some_and(|ending| ending == UNFINISHED) {
            let removed = std::fs::remove_file(&path);
            tracing::debug!(path = %path.display(), ?removed, "an unfinished clip of the last run");
        }
    }
}

struct Studio<T> {
    ring: Ring<Picture>,
    beat: Beat,
    /// When the newest picture in the ring was captured, unless nothing may be filmed.
    newest: Option<Instant>,
    broken: u64,
    take: Option<Take>,
    folder: PathBuf,
    settings: config::Clips,
    tell: T,
}

/// An event that is being filmed.
struct Take {
    event: String,
    /// Events that came while it was filmed.
    also: Vec<String>,
    /// Opened by the first picture.
    film: Option<Film>,
    /// Pictures from then on are too many.
    full: Option<Instant>,
    /// Pictures after that one do not belong to it, once the event is over.
    until: Option<Instant>,
    /// When to end although no picture comes that would.
    give_up: Instant,
    longest: Instant,
}

impl Take {
    fn is_over(&self, at: Instant) -> bool {
        self.until.is_some_and(|until| at > until) || self.full.is_some_and(|full| at >= full)
    }
}

impl<T: FnMut(News)> Studio<T> {
    fn until_closed(&mut self, mut viewer: Viewer, orders: &Receiver<ClipOrder>, shutdown: &Shutdown) {
        while !shutdown.is_triggered() {
            // With pictures waiting to be written, only a glance at the camera.
            let patience = if self.is_behind() { Duration::ZERO } else { PATIENCE };
            match viewer.next_blocking(patience) {
                Next::Frame(frame) => {
                    // Before the picture, so that what came before an order is known when it is obeyed.
                    self.look(&frame);
                }
                Next::Quiet => {}
                Next::Closed => return,
            }
            self.obey(orders);
            self.write_one();
            let gave_up = self.take.as_ref().is_some_and(|take| Instant::now() >= take.give_up);
            if gave_up && !self.is_behind() {
                self.finish();
            }
        }
    }

    fn is_behind(&self) -> bool {
        self.take.is_some() && !self.ring.is_empty()
    }

    /// Takes a frame into the ring, if it is one to take.
    fn look(&mut self, frame: &Frame) {
        if !frame.live {
            self.cut();
            return;
        }
        if !self.beat.takes(frame.captured_at) {
            return;
        }
        match frame.jpeg() {
            Ok(jpeg) => {
                let picture = Picture { jpeg: jpeg.clone(), width: frame.width, height: frame.height };
                self.ring.push(frame.captured_at, picture, jpeg.len());
                self.newest = Some(frame.captured_at);
            }
            Err(error) => {
                self.broken += 1;
                if self.broken == 1 {
                    tracing::warn!(%error, "a picture cannot be filmed; further ones are left out in silence");
                }
            }
        }
    }

    fn obey(&mut self, orders: &Receiver<ClipOrder>) {
        loop {
            match orders.try_recv() {
                Ok(ClipOrder::Begin { event }) => self.begin(event),
                Ok(ClipOrder::End) => self.end(),
                Ok(ClipOrder::Forget) => self.cut(),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }

    fn begin(&mut self, event: String) {
        if let Some(take) = &mut self.take {
            (take.until, take.give_up) = (None, take.longest);
            take.also.push(event);
            return;
        }
        let longest = Instant::now() + self.settings.max_length + GRACE;
        self.take = Some(Take {
            event,
            also: Vec::new(),
            film: None,
            full: None,
            until: None,
            give_up: longest,
            longest,
        });
        self.ring.set_span(self.settings.pre_roll + CATCH_UP);
    }

    fn end(&mut self) {
        let Some(take) = &mut self.take else { return };
        let now = Instant::now();
        // From the camera's own time, like all times in the film.
        take.until = Some(self.newest.unwrap_or(now) + self.settings.post_roll);
        take.give_up = take.longest.min(now + self.settings.post_roll + GRACE);
    }

    /// Writes the oldest picture of the ring, if a film is being made.
    fn write_one(&mut self) {
        let Some(take) = &mut self.take else { return };
        let Some(oldest) = self.ring.oldest() else { return };
        let fits = take.film.as_ref().is_none_or(|film| film.takes(oldest.at, &oldest.item));
        if take.is_over(oldest.at) || !fits {
            // The picture stays: it may be one of the seconds before the next event.
            return self.finish();
        }
        let Some(picture) = self.ring.pop() else { return };
        let path = self.folder.join(&take.event).with_added_extension(UNFINISHED);
        let opened = match take.film.take() {
            Some(film) => Ok(film),
            None => Film::open(&path, &picture.item, &self.settings),
        };
        let full = picture.at + self.settings.max_length;
        let added = opened.and_then(|mut film| match film.add(picture.at, &picture.item) {
            Ok(()) => Ok(film),
            Err(fault) => {
                film.discard();
                Err(fault)
            }
        });
        match added {
            Ok(film) => {
                take.full.get_or_insert(full);
                take.film = Some(film);
            }
            Err(fault) => self.fail(&fault),
        }
    }

    /// Completes the film that is being made, if any.
    fn finish(&mut self) {
        let Some(take) = self.take.take() else { return };
        self.ring.set_span(self.settings.pre_roll);
        let finished = match take.film {
            Some(film) => film.finish(take.event.clone(), take.also),
            None => Err(Fault::NoPicture),
        };
        let news = match finished {
            Ok(finished) => News::Finished(finished),
            Err(fault) => News::Failed { event: take.event, reason: fault.to_string() },
        };
        (self.tell)(news);
    }

    fn fail(&mut self, fault: &Fault) {
        self.ring.set_span(self.settings.pre_roll);
        if let Some(take) = self.take.take() {
            (self.tell)(News::Failed { event: take.event, reason: fault.to_string() });
        }
    }

    /// Ends the film at once and forgets the seconds before: what comes next is another scene, or must not be seen.
    fn cut(&mut self) {
        let deadline = Instant::now() + HURRY;
        while self.is_behind() && Instant::now() < deadline {
            self.write_one();
        }
        // A film that waits for its first picture goes on waiting.
        if self.take.as_ref().is_some_and(|take| take.film.is_some()) {
            self.finish();
        }
        self.ring.clear();
        self.newest = None;
    }
}
