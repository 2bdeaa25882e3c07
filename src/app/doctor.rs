//! `doorward doctor` and `doorward uninstall`: what the broker holds of this appliance, judged or taken away.
//!
//! Not here: the judgement ([`crate::logic::lint`]).

use anyhow::{Context, bail};
use serde_json::Map;

use super::client::Client;
use super::{access, address, topics};
use crate::config::Config;
use crate::logic::discovery::node_object;
use crate::logic::exposure::{self, Concern, Ways};
use crate::logic::lint::{self, Report, Severity};
use crate::logic::topics::Topics;
use crate::mqtt;
use crate::store::{IdentityFile, Secrets};

/// Looks at the appliance and at its broker, and says what is wrong; the number of faults.
///
/// # Errors
/// When nothing can be looked at.
pub fn doctor(config: &Config, mut say: impl FnMut(&str)) -> anyhow::Result<usize> {
    let visit = Visit::new(config)?;
    let concerns = concerns(config);
    for Concern { key: _, what, advice } in &concerns {
        say(&format!("warning  {what}.\n  {advice}.\n"));
    }
    match super::probe(config.http.bind) {
        Ok(()) => say("The appliance runs.\n"),
        Err(why) => say(&format!("The appliance does not run, or not here: {why}\n")),
    }
    let target = format!("{}:{}", visit.access.target.host, visit.access.target.port);
    let held = visit.runtime.block_on(mqtt::inspect(&visit.access, &visit.topics, visit.run_dir.path()));
    let held = held.map_err(|why| anyhow::anyhow!("The broker at {target} cannot be asked: {why}"))?;
    let report = lint::lint(&held, &visit.topics, &visit.own);
    say(&format!("The broker at {target} answers; it holds {} messages of Doorward.\n", held.len()));
    tell(&report, &mut say);
    if report.findings.is_empty() && concerns.is_empty() {
        say("Nothing is wrong.\n");
    }
    Ok(report.findings.iter().filter(|finding| finding.severity == Severity::Fault).count())
}

fn tell(report: &Report, say: &mut impl FnMut(&str)) {
    for device in &report.devices {
        let lint::Device { object, name, bytes, components } = device;
        say(&format!("  {name}: {components} entities, {bytes} bytes ({object})\n"));
    }
    for finding in &report.findings {
        let word = match finding.severity {
            Severity::Fault => "FAULT",
            Severity::Warning => "warning",
        };
        say(&format!("{word}  {}\n  {}.\n  {}\n", finding.topic, finding.what, finding.advice));
    }
}

/// What opens the appliance beyond the home.
fn concerns(config: &Config) -> Vec<Concern> {
    exposure::concerns(&Ways {
        http: config.http.bind,
        broker: config.broker.as_ref().map(|broker| broker.bind),
        plain: config.http.plain,
        own: &address::own_addresses(),
        addresses: &config.access.addresses,
    })
}

/// Takes everything of this appliance from the broker, so that Home Assistant removes its devices.
///
/// # Errors
/// When the broker cannot be asked.
pub fn uninstall(config: &Config, mut say: impl FnMut(&str)) -> anyhow::Result<()> {
    let visit = Visit::new(config)?;
    let n_topics = if super::probe(config.http.bind).is_ok() {
        // It would say everything again.
        let answer = Client::new(config)?.request("discovery/clear", &Map::new())?;
        say(
            "The appliance runs; it stays silent from now on, until discovery/republish or its next start. Stop it now.\n",
        );
        answer["cleared"].as_u64().context("the appliance did not say how much it cleared")?
    } else if config.mqtt.server.is_none() {
        bail!(
            "the appliance does not run, and its embedded broker ended with it. If Home Assistant still shows its devices, start it \
             once more and run this again while it runs, or delete them in Home Assistant"
        );
    } else {
        let clearing = mqtt::clear(&visit.access, &visit.topics, &visit.own, visit.run_dir.path());
        visit.runtime.block_on(clearing).map_err(anyhow::Error::msg)? as u64
    };
    say(&format!(
        "{n_topics} topics were cleared at the broker; nothing of {} is retained there.\n",
        visit.topics.base()
    ));
    say(&format!(
        "What is left is yours to delete: the program, its service or container, and the data folder {} with faces, events and settings.\n",
        config.data_dir.display()
    ));
    Ok(())
}

/// What is needed to look at the broker.
pub(super) struct Visit {
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) access: mqtt::Access,
    pub(super) topics: Topics,
    /// Object id of the node's device.
    pub(super) own: String,
    pub(super) run_dir: address::RunDir,
}

impl Visit {
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let folder = &config.data_dir;
        if !folder.join("identity.json").exists() {
            bail!(
                "no appliance has ever run with the data folder {}; name its folder with --data-dir or its configuration with --config",
                folder.display()
            );
        }
        let (identity, _) = IdentityFile::open(folder)?;
        let secrets = Secrets::open(folder)?.secrets;
        let embedded = config.broker.as_ref().map(|broker| broker.bind);
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            access: access::access(config, embedded, &secrets, &identity)?,
            topics: topics(config),
            own: node_object(&identity.node().simple().to_string()),
            run_dir: address::RunDir::new()?,
        })
    }
}
