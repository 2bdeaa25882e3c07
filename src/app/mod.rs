//! Joins the parts: builds each, starts every thread and task, stops them in order. The only spawner.
//!
//! | runs | owns | ends when |
//! | --- | --- | --- |
//! | thread `cam-<n>` | the device | told to stop; closes its hub |
//! | thread `motion-<n>` | a motion detector | its hub is closed |
//! | thread `faces` | face models, tracks, photos | told to stop |
//! | thread `appliance` | the [`State`] | the stop signal, its inbox empty |
//! | thread `store` | the state file | every sender is gone, then saved |
//! | thread `archive` | the events that are kept | every sender is gone, then saved |
//! | thread `clip-<n>` | a film, only with clips | its hub is closed |
//! | thread `http` and one a request | sockets | told to stop; hubs closed |
//! | threads `door`, `audit` | users and tokens, the audit log | everybody who asks has ended |
//! | threads `admin`, `backup` | requests about the appliance itself | the appliance has ended |
//! | thread `health` | the figures, the watchdog | told to stop |
//! | tasks `mqtt`, `http front`, `broker` | connections | told to stop, after the last word |
//! | tasks `notify`, `public_address`, `certificate` | messages, one question, the certificate | told to stop |
//!
//! Stop order: HTTP and commands are refused, cameras close (which ends motion, faces and streams), the appliance empties its
//! inbox, the store saves, MQTT says `offline`, then the broker ends. Not here: any decision.

mod access;
pub mod accounts;
mod address;
mod admin;
mod again;
mod audit;
mod cameras;
mod certificate;
pub mod client;
mod crew;
pub mod doctor;
mod door;
mod executor;
mod faces;
mod health;
mod init;
mod outside;
mod plan;
mod record;
pub mod reset;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::broker::{self, Broker};
use crate::config::{Config, Secret};
use crate::http;
use crate::hub::Hub;
use crate::inbox::Inbox;
use crate::logic::accounts::Pairing;
use crate::logic::appliance::{Appliance, Plan};
use crate::logic::discovery::Installation;
use crate::logic::input::Now;
use crate::logic::state::State;
use crate::logic::topics::Topics;
use crate::mqtt::{self, Outbox};
use crate::shutdown::Shutdown;
use crate::store::{AccountsFile, Claim, IdentityFile, OpenedAccounts, Secrets, StateFile};
use crate::tls;
use admin::Admin;
use crew::Crew;
use executor::Executor;
use plan::CameraSetup;

pub use address::probe;
pub use admin::restore::restore;
pub use again::{Program, Signals};
pub use init::init;

/// The program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Everything has to be over by then; a supervisor kills soon after.
const STOP_LIMIT: Duration = Duration::from_secs(8);
/// How long MQTT may take for its last word.
const FAREWELL_LIMIT: Duration = Duration::from_secs(4);

/// A running appliance.
pub struct App {
    runtime: Runtime,
    /// Threads that end with the cameras.
    watchers: Crew,
    /// Threads that end when nobody has anything to say any more.
    core: Crew,
    cameras: Shutdown,
    links: Shutdown,
    broker_stop: Shutdown,
    broker: Option<Broker>,
    mqtt: tokio::task::JoinHandle<()>,
    front: tokio::task::JoinHandle<()>,
    state: watch::Receiver<Arc<State>>,
    run_dir: address::RunDir,
    /// Told when somebody asked for a new start.
    again: Shutdown,
    /// The data folder is ours until everything has ended.
    claim: Claim,
    facts: Facts,
}

/// Why the appliance ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A signal asked for it.
    Asked,
    /// A part of it has failed.
    Failed,
    /// Somebody asked for a new start.
    Again,
}

/// What the person who starts the appliance wants to know.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where the page is served.
    pub http: SocketAddr,
    /// The page's address as other machines see it.
    pub url: String,
    /// The page's address on this machine.
    pub local_url: String,
    /// What page and broker show to those who speak TLS.
    pub certificate: tls::Facts,
    /// The local key: opens everything, from this machine itself only.
    pub token: Secret,
    /// Makes the first user; none if there is one.
    pub pairing: Option<Pairing>,
    /// Where the embedded broker listens, if it runs.
    pub broker: Option<SocketAddr>,
    /// User and password for Home Assistant and for people, if the embedded broker runs.
    pub broker_login: Option<(String, Secret)>,
    /// Base of all topics.
    pub base_topic: String,
    /// Cameras: id and source.
    pub cameras: Vec<(String, String)>,
    /// Folder with the photos of the household.
    pub faces: PathBuf,
    /// Whether the secrets were made by this start.
    pub first_run: bool,
}

impl App {
    /// Starts everything. What cannot work (a taken port, an unwritable folder) is an error before anything runs.
    ///
    /// # Errors
    /// With a sentence for the person who starts it.
    pub fn start(config: &Config) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("net")
            .enable_all()
            .build()
            .context("the network threads cannot be started")?;
        let shop = Workshop::open(config)?;
        shop.start(config, runtime)
    }

    /// Addresses, credentials and folders.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The newest snapshot of the state.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.borrow())
    }

    /// Blocks until there is a reason to stop.
    #[must_use]
    pub fn wait(&self, signals: &Signals) -> End {
        let (watchers, core) = (self.watchers.failure(), self.core.failure());
        self.runtime.block_on(async {
            tokio::select! {
                () = signals.heard() => End::Asked,
                () = watchers.triggered() => End::Failed,
                () = core.triggered() => End::Failed,
                () = self.broker_failure() => End::Failed,
                () = self.again.triggered() => End::Again,
            }
        })
    }

    /// Ends when the embedded broker's router has died, which its own thread tells nobody.
    async fn broker_failure(&self) {
        const LOOK_EVERY: Duration = Duration::from_secs(2);
        while !self.broker.as_ref().is_some_and(|broker| broker.stats().router_failed) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        tracing::error!(
            "the embedded broker has failed; the appliance ends so that it can be started afresh"
        );
    }

    /// Stops everything in order, within 8 s; false if something had to be left behind.
    #[must_use]
    pub fn stop(self) -> bool {
        let deadline = Instant::now() + STOP_LIMIT;
        let Self {
            runtime,
            mut watchers,
            mut core,
            cameras,
            links,
            broker_stop,
            broker,
            mqtt,
            front,
            run_dir,
            again,
            claim,
            ..
        } = self;
        health::tell_end(again.is_triggered());
        cameras.trigger();
        let mut clean = watchers.join(Instant::now() + Duration::from_secs(3));
        links.trigger();
        runtime.block_on(async {
            clean &= tokio::time::timeout(FAREWELL_LIMIT, mqtt).await.is_ok();
            clean &= tokio::time::timeout(Duration::from_secs(1), front).await.is_ok();
            broker_stop.trigger();
            if let Some(broker) = broker {
                clean &= tokio::time::timeout(Duration::from_secs(2), broker.stop()).await.is_ok();
            }
        });
        clean &= core.join(deadline);
        runtime.shutdown_timeout(deadline.saturating_duration_since(Instant::now()));
        drop((run_dir, claim));
        clean
    }
}

/// Everything that is opened before anything runs.
struct Workshop {
    secrets: Secrets,
    first_run: bool,
    identity: IdentityFile,
    accounts: OpenedAccounts,
    state_file: StateFile,
    certificate: (tls::Keeper, Vec<tls::News>),
    public_address: Option<String>,
    declined: BTreeSet<String>,
    archive: record::Opened,
    audit: crate::audit::Book,
    setups: Vec<CameraSetup>,
    listener: std::net::TcpListener,
    run_dir: address::RunDir,
    claim: Claim,
    topics: Topics,
}

impl Workshop {
    fn open(config: &Config) -> anyhow::Result<Self> {
        let opened = Secrets::open(&config.data_dir)?;
        let claim = Claim::take(&config.data_dir)?;
        let (mut identity, identity_warning) = IdentityFile::open(&config.data_dir)?;
        let (state_file, stored, state_warning) = StateFile::open(&config.data_dir)?;
        let mut accounts = AccountsFile::open(&config.data_dir)?;
        let warnings = opened.warnings.into_iter().chain(identity_warning).chain(state_warning);
        warnings.for_each(|warning| tracing::warn!("{warning}"));
        std::mem::take(&mut accounts.warnings).iter().for_each(|warning| tracing::error!("{warning}"));
        let setups = plan::cameras(config, &stored, &mut identity)?;
        plan::prepare_faces(config, &setups)?;
        Ok(Self {
            secrets: opened.secrets,
            first_run: opened.created,
            identity,
            accounts,
            state_file,
            certificate: certificate::open(config)?,
            public_address: stored.public_address,
            declined: stored.declined,
            archive: record::open(config)?,
            audit: crate::audit::Book::open(&config.data_dir)?,
            setups,
            listener: http::bind(config.http.bind)?,
            run_dir: address::RunDir::new()?,
            claim,
            topics: topics(config),
        })
    }

    fn start(self, config: &Config, runtime: Runtime) -> anyhow::Result<App> {
        let (cameras, links, broker_stop) = (Shutdown::new(), Shutdown::new(), Shutdown::new());
        let broker = match &config.broker {
            Some(settings) => {
                let certificate = self.certificate.0.certificate();
                let settings = access::embedded(config, settings, &self.secrets, &self.topics, &certificate)?;
                let starting = broker::start(settings, broker_stop.clone());
                Some(runtime.block_on(starting).context("broker.bind")?)
            }
            None => None,
        };
        let mut facts = self.facts(config, broker.as_ref());
        let (mut crew, mut core) = (Crew::new(), Crew::new());
        let (inbox, requests) = Inbox::new();
        let outbox = Outbox::new();
        let hubs: BTreeMap<String, Arc<Hub>> =
            self.setups.iter().map(|setup| (setup.plan.id.clone(), Hub::new())).collect();
        let installation = self.installation(config, &facts);
        let embedded = broker.as_ref().map(Broker::local_addr);
        let settings = mqtt::Settings {
            access: access::access(config, embedded, &self.secrets, &self.identity)?,
            allow_requests: config.mqtt.allow_requests.clone(),
            keep_alive: config.mqtt.keep_alive,
            discovery: config.mqtt.discovery,
            picture_interval: config.mqtt.picture_interval,
        };
        let Self {
            setups,
            identity,
            accounts,
            state_file,
            listener,
            run_dir,
            claim,
            topics,
            secrets,
            archive,
            certificate,
            audit: audit_book,
            ..
        } = self;
        let shown = certificate.0.certificate();
        let (public_address, declined) = (self.public_address, self.declined);

        let now = Now { instant: Instant::now(), wall: Timestamp::now() };
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).context("the system gives no random numbers")?;
        let plan = Plan {
            cameras: setups.iter().map(|setup| setup.plan.clone()).collect(),
            quiet: config.quiet,
            url: installation.url.clone(),
            public_address,
            declined,
            wording: config.wording.clone(),
            has_strips: config.events.strip_image,
            asks_address: config.public_address.is_some(),
            targets: config
                .notify
                .iter()
                .map(|target| (target.name.to_string(), target.rule.clone()))
                .collect(),
            zone: jiff::tz::TimeZone::system(),
        };
        let appliance = Appliance::new(plan, now, u64::from_ne_bytes(seed));
        let (published, state) = watch::channel(Arc::new(appliance.state().clone()));

        let mut executor = Executor::new(hubs.clone(), inbox.clone(), Arc::clone(&outbox), published);
        let (saves, saved) = mpsc::channel();
        executor.saves = Some(saves);
        executor.faces = Some(faces::start(&mut crew, config, &setups, &hubs, &inbox, identity, &cameras));
        let record = record::start(&mut core, &runtime, config, archive, &inbox, &links);
        for (number, setup) in setups.into_iter().enumerate() {
            let (id, hub) = (setup.plan.id.clone(), Arc::clone(&hubs[&setup.plan.id]));
            let mut orders = cameras::start(&mut crew, number, setup, Arc::clone(&hub), &inbox, &cameras);
            orders.clips = record.film(&mut crew, config, &id, number, hub, &cameras);
            executor.add_camera(id, orders);
        }
        let audit_log = audit::start(&mut core, audit_book, config, now.wall);
        executor.audit = Some(audit_log.clone());
        let (door, pairing) = door::start(&mut core, accounts, &secrets, config, &inbox, &audit_log)?;
        facts.pairing = pairing;
        executor.door = Some(Arc::clone(&door));
        certificate::watch(&runtime, certificate, audit_log.clone(), links.clone());
        let again = Shutdown::new();
        let admin = Admin {
            config: Arc::new(config.clone()),
            events: record::folder(config),
            state: state.clone(),
            outbox: Arc::clone(&outbox),
            archive: record.archive.clone(),
            again: again.clone(),
            stop: links.clone(),
        };
        executor.desk = Some(admin::start(&mut core, admin));
        let (wishes, wished) = tokio::sync::mpsc::unbounded_channel();
        (executor.archive, executor.trials) = (Some(record.archive), Some(record.trials));
        executor.discovery = Some(wishes);
        core.spawn("store", move || executor::keep(state_file, &saved));
        let stop = links.clone();
        core.spawn("appliance", move || executor.run(appliance, &requests, &stop));

        let parts = mqtt::Parts {
            settings,
            topics: topics.clone(),
            installation,
            state: state.clone(),
            outbox: Arc::clone(&outbox),
            hubs: hubs.clone(),
            inbox: inbox.clone(),
            audit: audit_log.clone(),
            discovery: wished,
            run_dir: run_dir.path().to_owned(),
        };
        let mqtt = runtime.spawn(mqtt::run(parts, links.clone()));
        let parts = http::Parts {
            door,
            audit: audit_log,
            certificate: shown,
            plain: config.http.plain,
            outside: outside::start(&runtime, config, &links),
            ingress_proxy: config.http.ingress_proxy,
            addresses: config.access.addresses.clone(),
            limits: http::Limits {
                max_viewers: config.http.max_viewers,
                max_connections: config.http.max_connections,
                ..http::Limits::default()
            },
            run_dir: run_dir.path().to_owned(),
            events_dir: record::folder(config),
            hubs: hubs.clone(),
            state: state.clone(),
            topics,
            inbox: inbox.clone(),
            version: VERSION,
        };
        let front = start_http(&mut crew, &runtime, parts, listener, &cameras);
        let health = health::Health { hubs, inbox, outbox, started: now };
        let stop = cameras.clone();
        crew.spawn("health", move || health.run(&stop));
        let watchers = crew;
        Ok(App {
            runtime,
            watchers,
            core,
            cameras,
            links,
            broker_stop,
            broker,
            mqtt,
            front,
            state,
            run_dir,
            again,
            claim,
            facts,
        })
    }

    fn facts(&self, config: &Config, broker: Option<&Broker>) -> Facts {
        let http = self.listener.local_addr().unwrap_or(config.http.bind);
        let login = ("homeassistant".to_owned(), self.secrets.broker_homeassistant.clone());
        Facts {
            http,
            url: config.http.url.clone().unwrap_or_else(|| address::page_url(http, config.http.plain)),
            local_url: address::local_url(http),
            certificate: self.certificate.0.certificate().facts(),
            token: self.secrets.http_token.clone(),
            pairing: None,
            broker: broker.map(Broker::local_addr),
            broker_login: broker.map(|_| login),
            base_topic: self.topics.base().into(),
            cameras: self
                .setups
                .iter()
                .map(|setup| (setup.plan.id.clone(), setup.source_text.clone()))
                .collect(),
            faces: config.faces.folder.clone(),
            first_run: self.first_run,
        }
    }

    fn installation(&self, config: &Config, facts: &Facts) -> Installation {
        Installation {
            node_uuid: self.identity.node().simple().to_string(),
            node_name: config.node.name.clone(),
            camera_uuids: self
                .setups
                .iter()
                .map(|setup| (setup.plan.id.clone(), setup.uuid.clone()))
                .collect(),
            version: VERSION.into(),
            hardware: address::machine(),
            has_temperature: health::temperature().is_some(),
            // A link to this machine itself is of no use on another one.
            url: match facts.http.ip().is_loopback() && config.http.url.is_none() {
                true => String::new(),
                false => facts.url.clone(),
            },
        }
    }
}

/// Where this node speaks.
fn topics(config: &Config) -> Topics {
    Topics::new(&config.mqtt.base_topic, config.node.id.as_str(), &config.mqtt.discovery_prefix)
}

fn start_http(
    crew: &mut Crew,
    runtime: &Runtime,
    parts: http::Parts,
    listener: std::net::TcpListener,
    stop: &Shutdown,
) -> tokio::task::JoinHandle<()> {
    let (front, inner) = http::new(parts);
    let shutdown = stop.clone();
    crew.spawn("http", move || inner.run(&shutdown));
    let shutdown = stop.clone();
    runtime.spawn(async move {
        if let Err(error) = front.serve(listener, shutdown).await {
            tracing::error!("the page cannot be served: {error}");
        }
    })
}
