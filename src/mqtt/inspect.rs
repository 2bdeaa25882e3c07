//! Everything that the broker holds for appliances of this house, looked at or cleared over a connection of its own.
//!
//! Not here: judging it ([`crate::logic::lint`]).

use std::path::Path;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish};
use rumqttc::v5::{AsyncClient, Event, EventLoop};
use tokio::sync::mpsc;

use super::tunnel::Tunnel;
use super::{Access, Ended, QUEUE, greeting, pump, random_share};
use crate::logic::lint::{self, Held};
use crate::logic::topics::Topics;

/// The broker sends what it holds at once; this much silence means that was all.
const QUIET: Duration = Duration::from_millis(700);
/// A broker that holds very much, or is slow.
const LIMIT: Duration = Duration::from_secs(20);

/// Everything retained below the base topic, whatever node it belongs to, and every device document.
///
/// # Errors
/// Why the broker cannot be asked, in a sentence.
pub async fn inspect(access: &Access, topics: &Topics, run_dir: &Path) -> Result<Vec<Held>, String> {
    within_limit(look(access, topics, run_dir)).await
}

/// Takes everything of one node from the broker; `own` is the object id of its device. Returns how many topics there were.
///
/// # Errors
/// Why the broker cannot be asked, in a sentence.
pub async fn clear(access: &Access, topics: &Topics, own: &str, run_dir: &Path) -> Result<usize, String> {
    let held = inspect(access, topics, run_dir).await?;
    let ours = lint::of_node(&held, topics, own);
    within_limit(empty(access, &ours, run_dir)).await?;
    Ok(ours.len())
}

async fn within_limit<T>(work: impl Future<Output = Result<T, Ended>>) -> Result<T, String> {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the broker was not done within {} s", LIMIT.as_secs())),
    }
}

/// A connection under a name of its own: several may look at once, and none may end the connection of the appliance.
struct Visit {
    client: AsyncClient,
    events: EventLoop,
    tunnel: Tunnel,
}

impl Visit {
    async fn begin(access: &Access, run_dir: &Path) -> Result<Self, Ended> {
        let number = (random_share() * 1e6) as u32;
        let access = Access { client_id: format!("{}-look-{number}", access.client_id), ..access.clone() };
        let tunnel = Tunnel::open(&access.target, run_dir.join(format!("look-{number}.sock"))).await?;
        let (client, mut events) = AsyncClient::new(access.options(&tunnel), QUEUE);
        greeting(&mut events).await?;
        Ok(Self { client, events, tunnel })
    }

    async fn end(mut self) {
        let _ = self.client.disconnect().await;
        // Whether it left or not: there is nothing more to hear.
        let _ = tokio::time::timeout(QUIET, pump(&mut self.events, &mpsc::channel(1).0)).await;
        let _ = std::fs::remove_file(self.tunnel.path());
    }
}

async fn look(access: &Access, topics: &Topics, run_dir: &Path) -> Result<Vec<Held>, Ended> {
    let mut visit = Visit::begin(access, run_dir).await?;
    let filters = [topics.everything(), topics.document("+")]
        .map(|path| Filter { preserve_retain: true, ..Filter::new(path, QoS::AtLeastOnce) });
    // A closed queue means that the connection is gone, which the loop below notices.
    let _ = visit.client.subscribe_many(filters).await;
    let mut held = Vec::new();
    let mut patience = LIMIT;
    while let Ok(event) = tokio::time::timeout(patience, visit.events.poll()).await {
        match event? {
            Event::Incoming(Packet::SubAck(_)) => patience = QUIET,
            Event::Incoming(Packet::Publish(message)) if message.retain => held.extend(kept(message)),
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
    }
    visit.end().await;
    Ok(held)
}

fn kept(message: Publish) -> Option<Held> {
    let topic = String::from_utf8(message.topic.to_vec()).ok()?;
    Some(Held { topic, payload: message.payload })
}

/// Publishes nothing, retained, to each topic, in order; returns when the broker has taken the last.
async fn empty(access: &Access, topics: &[String], run_dir: &Path) -> Result<(), Ended> {
    let mut visit = Visit::begin(access, run_dir).await?;
    for topic in topics {
        let _ = visit.client.publish(topic, QoS::AtLeastOnce, true, "").await;
        while !matches!(visit.events.poll().await?, Event::Incoming(Packet::PubAck(_))) {}
    }
    visit.end().await;
    Ok(())
}
