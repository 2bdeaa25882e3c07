//! Starts what keeps and tells events: the archive, the films, the messages, the question for our own address.
//!
//! Not here: which events there are, and who is told ([`crate::logic::appliance`]).

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};

use anyhow::Context;
use serde_json::{Map, json};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::crew::Crew;
use crate::archive::{self, Archive};
use crate::clips;
use crate::config::Config;
use crate::hub::Hub;
use crate::inbox::Inbox;
use crate::logic::effect::ClipOrder;
use crate::logic::history::{Addition, ArchiveNews, Delivered};
use crate::logic::input::Input;
use crate::logic::kept_file::{self, KeptFile};
use crate::notify::{self, Trial};
use crate::public_address;
use crate::shutdown::Shutdown;

/// Orders that may wait for a slow disk; an event with its picture takes some 100 kB of memory meanwhile.
const WAITING: usize = 128;

/// The archive before it runs, and what was found when it was opened.
pub(super) struct Opened {
    archive: Archive,
    news: Option<ArchiveNews>,
}

/// The folder of the archive.
pub(super) fn folder(config: &Config) -> PathBuf {
    config.data_dir.join("events")
}

/// Opens the archive; a damaged one was set aside.
pub(super) fn open(config: &Config) -> anyhow::Result<Opened> {
    let events = &config.events;
    let limits = archive::Limits {
        keep_days: events.keep_days,
        keep_count: events.keep_count,
        keep_bytes: events.keep_bytes,
        min_free_bytes: events.min_free_bytes,
    };
    let folder = folder(config);
    let (archive, news) = Archive::open(&folder, limits)
        .with_context(|| format!("the events in {} cannot be opened", folder.display()))?;
    Ok(Opened { archive, news })
}

/// The ways to what runs.
pub(super) struct Record {
    pub(super) archive: SyncSender<archive::Order>,
    pub(super) trials: UnboundedSender<Trial>,
}

/// Starts the archive and everything that tells of its events.
pub(super) fn start(
    crew: &mut Crew,
    runtime: &Runtime,
    config: &Config,
    opened: Opened,
    inbox: &Inbox,
    stop: &Shutdown,
) -> Record {
    let (archive, orders) = sync_channel(WAITING);
    let (deliveries, waiting) = unbounded_channel();
    let (trials, tried) = unbounded_channel();

    let (ended, news) = (archive.clone(), inbox.clone());
    let done = move |number, outcome: Delivered| {
        if let Delivered::GivenUp(reason) = &outcome {
            // Only word of it: it may be lost when the appliance is busy.
            let _ = news.send(Input::NotifyFailed(reason.clone()), None);
        }
        // A full queue means a slow disk; the delivery then comes again at the next start.
        let _ = ended.try_send(archive::Order::Delivered { number, outcome });
    };
    let parts = notify::Parts {
        targets: config.notify.clone(),
        deliveries: waiting,
        trials: tried,
        done,
        limits: notify::Limits::default(),
    };
    runtime.spawn(notify::run(parts, stop.clone()));

    if let Some(settings) = config.public_address.clone() {
        let news = inbox.clone();
        let tell = move |answer: Result<IpAddr, String>| {
            if let Ok(address) = answer {
                // It will be asked again.
                let _ = news.send(Input::PublicAddress(address.to_string()), None);
            }
        };
        runtime.spawn(public_address::run(settings, tell, stop.clone()));
    }

    let news = inbox.clone();
    let Opened { archive: opened, news: found } = opened;
    crew.spawn("archive", move || {
        found.into_iter().for_each(|found| news.tell(Input::Archive(found)));
        let tell = |found| news.tell(Input::Archive(found));
        // Nobody listens any more only while the process stops.
        archive::run(opened, orders, tell, |delivery| drop(deliveries.send(delivery)));
    });
    Record { archive, trials }
}

impl Record {
    /// Starts the films of one camera, if clips are wanted.
    pub(super) fn film(
        &self,
        crew: &mut Crew,
        config: &Config,
        camera: &str,
        number: usize,
        hub: Arc<Hub>,
        stop: &Shutdown,
    ) -> Option<Sender<ClipOrder>> {
        let settings = config.clips.clone()?;
        let (orders, received) = channel();
        let archive = self.archive.clone();
        let parts = clips::Parts {
            hub,
            orders: received,
            folder: folder(config).join("unfinished").join(camera),
            settings,
            tell: move |news| match news {
                // A film is worth waiting for, and holds up nobody but the next film of this camera.
                clips::News::Finished(film) => {
                    finished(film).into_iter().for_each(|order| drop(archive.send(order)));
                }
                clips::News::Failed { event, reason } => {
                    tracing::warn!("there is no film of the event {event}: {reason}");
                }
            },
        };
        let stop = stop.clone();
        crew.spawn(&format!("clip-{number}"), move || clips::run(parts, &stop));
        Some(orders)
    }
}

/// The film goes to the first event; the others that are in it say where it is.
fn finished(film: clips::Finished) -> Vec<archive::Order> {
    let clips::Finished { event: id, also, file, seconds, frames, codec, bytes, width, height } = film;
    let about = json!({
        "path": kept_file::url(&id, KeptFile::Clip),
        "seconds": (seconds * 10.0).round() / 10.0,
        "frames": frames,
        "codec": codec,
        "bytes": bytes,
        "width": width,
        "height": height,
    });
    let fields = Map::from_iter([("clip".into(), about)]);
    let addition = Addition { fields: fields.clone(), best: None };
    let others = also.into_iter().map(|id| archive::Order::Add { id, addition: addition.clone() });
    std::iter::once(archive::Order::Clip { id, file, fields }).chain(others).collect()
}
