//! Questions to Home Assistant's Supervisor, which starts us as an app: which broker there is, and how people reach our page.
//!
//! Not here: the options of the app (`crate::config`). Nothing that the Supervisor says overrules what somebody wrote down.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::config::{Config, Found, FoundBroker};

/// The Supervisor answers from memory, so one answer takes no longer.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// Answers are a few hundred bytes.
const MOST_BYTES: usize = 64 * 1024;

/// Where the Supervisor is, and who we are to it.
pub struct Supervisor {
    /// Its address, such as `http://supervisor`.
    pub url: String,
    /// Our token, from the variable `SUPERVISOR_TOKEN`.
    pub token: String,
    /// How long to wait for its first answer; a third of it for a broker that is only just being started.
    pub patience: Duration,
    /// Our name in the network of apps, where our own broker is found.
    pub host_name: String,
}

/// Why there is no broker from the Supervisor.
enum NoBroker {
    /// No app offers one.
    NoService,
    /// It does not want to tell us.
    Refused(StatusCode),
    /// Nothing that can be understood came back in time.
    Silent(String),
}

/// Why one question came to nothing.
enum Failure {
    /// Its answer is a no.
    Status(StatusCode),
    /// It cannot be asked, or is not ready.
    Away(String),
}

impl Supervisor {
    /// Asks for what the configuration leaves open, and says in the log what came of it.
    #[must_use]
    pub fn ask(&self, config: &Config) -> Found {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::warn!("Home Assistant's Supervisor cannot be asked: {error}");
                return Found::default();
            }
        };
        runtime.block_on(async {
            let is_open = config.mqtt.server.is_none()
                && !config.broker.as_ref().is_some_and(|broker| broker.is_wanted);
            let mut found = Found::default();
            if is_open {
                match self.broker().await {
                    Ok(broker) => {
                        let FoundBroker { host, port, .. } = &broker;
                        tracing::info!("the MQTT broker is the one that Home Assistant names: {host}:{port}");
                        found.broker = Some(broker);
                    }
                    Err(why) => tracing::warn!("{}", self.without(&why, config)),
                }
            } else {
                tracing::info!(
                    "the MQTT broker is the one in the configuration; Home Assistant is not asked for its own"
                );
            }
            if config.http.url.is_none() && config.http.ingress_proxy.is_some() {
                found.page = self.page().await;
            }
            found
        })
    }

    /// The broker, as soon as there is one.
    async fn broker(&self) -> Result<FoundBroker, NoBroker> {
        let started = Instant::now();
        let mut is_told = false;
        loop {
            let (why, patience) = match self.get("/services/mqtt").await {
                Ok(data) => return broker(&data),
                Err(Failure::Status(StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND)) => {
                    (NoBroker::NoService, self.patience / 3)
                }
                Err(Failure::Status(status)) => return Err(NoBroker::Refused(status)),
                Err(Failure::Away(why)) => (NoBroker::Silent(why), self.patience),
            };
            if started.elapsed() + PAUSE > patience {
                return Err(why);
            }
            if !is_told {
                let seconds = patience.as_secs();
                match &why {
                    NoBroker::Silent(why) => {
                        tracing::info!(
                            "Home Assistant's Supervisor does not answer ({why}); trying for {seconds} s"
                        );
                    }
                    _ => tracing::info!("Home Assistant knows no MQTT broker yet; waiting for {seconds} s"),
                }
                is_told = true;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The page in Home Assistant's side bar, as its device pages link to it.
    async fn page(&self) -> Option<String> {
        let data = self.get("/addons/self/info").await.ok()?;
        let slug = data["slug"].as_str().filter(|_| data["ingress"] == true)?;
        let is_plain = slug.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        (is_plain && !slug.is_empty()).then(|| format!("homeassistant://hassio/ingress/{slug}"))
    }

    /// What goes on without the Supervisor's broker, and what a person can do.
    fn without(&self, why: &NoBroker, config: &Config) -> String {
        let why = match why {
            NoBroker::NoService => {
                "Home Assistant has no MQTT broker. Best install the app Mosquitto broker, start it, and then restart Doorward"
                    .to_owned()
            }
            NoBroker::Refused(status) => format!(
                "Home Assistant's Supervisor refuses to name its MQTT broker (status {}). Restart Doorward; if that does not \
                 help, restart Home Assistant",
                status.as_u16()
            ),
            NoBroker::Silent(why) => format!(
                "Home Assistant's Supervisor does not answer ({why}), so its MQTT broker is not known. Restart Doorward when \
                 Home Assistant runs again"
            ),
        };
        let port = config.broker.as_ref().map_or(0, |broker| broker.bind.port());
        let host = &self.host_name;
        format!(
            "{why}. Until then Doorward runs a broker of its own: in Home Assistant's MQTT integration its server is {host}, \
             the port {port}, and user and password stand below or in the log of the first start"
        )
    }

    /// The `data` of an answer.
    async fn get(&self, path: &str) -> Result<Value, Failure> {
        let asked = tokio::time::timeout(ANSWER_TIME, self.exchange(path)).await;
        let (status, body) = asked
            .map_err(|_| Failure::Away("no answer in time".into()))?
            .map_err(|error| Failure::Away(format!("{error:#}")))?;
        if status.is_server_error() {
            return Err(Failure::Away(format!("status {}", status.as_u16())));
        }
        if !status.is_success() {
            return Err(Failure::Status(status));
        }
        let mut answer: Value =
            serde_json::from_slice(&body).map_err(|_| Failure::Away("an answer that is not JSON".into()))?;
        Ok(answer["data"].take())
    }

    async fn exchange(&self, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
        let uri: Uri = self.url.parse()?;
        let host = uri.host().unwrap_or_default();
        let request = Request::get(path)
            .header(HOST, host)
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Empty::<Bytes>::new())?;
        let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let carrier = tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
        carrier.abort();
        Ok((status, body.map_err(|error| anyhow::anyhow!(error))?.to_bytes()))
    }
}

/// The broker in the Supervisor's words.
fn broker(data: &Value) -> Result<FoundBroker, NoBroker> {
    let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
    let port = data["port"].as_u64().and_then(|port| u16::try_from(port).ok());
    match (text("host"), port) {
        (host, Some(port)) if !host.is_empty() && port != 0 => Ok(FoundBroker {
            host,
            port,
            username: text("username"),
            password: text("password"),
            tls: data["ssl"] == true,
        }),
        _ => Err(NoBroker::Silent("an answer without host and port".into())),
    }
}
