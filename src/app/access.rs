//! How this appliance enters its broker, the embedded one or somebody's, and whom the embedded one lets in.
//!
//! Not here: what it does there ([`crate::mqtt`]).

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::anyhow;

use super::address;
use crate::config::{self, Config, Secret};
use crate::logic::topics::Topics;
use crate::store::{IdentityFile, Secrets};
use crate::tls::Certificate;
use crate::{broker, mqtt};

/// Address, login and client id. `embedded` is where the embedded broker listens, if there is one.
///
/// # Errors
/// When a certificate cannot be read.
pub(super) fn access(
    config: &Config,
    embedded: Option<SocketAddr>,
    secrets: &Secrets,
    identity: &IdentityFile,
) -> anyhow::Result<mqtt::Access> {
    let (target, login) = match (&config.mqtt.server, embedded) {
        (Some(server), _) => {
            let login = server.login.as_ref().map(|login| {
                let password = login.password.as_ref().map(Secret::expose).unwrap_or_default();
                (login.username.clone(), password.to_owned())
            });
            let tls = server.tls.as_ref().map(mqtt::client_config).transpose()?;
            (mqtt::Target { host: server.host.clone(), port: server.port, tls }, login)
        }
        (None, Some(broker)) => {
            let address = address::reachable(broker);
            let login = ("doorward".to_owned(), secrets.broker_doorward.expose().to_owned());
            (mqtt::Target { host: address.ip().to_string(), port: address.port(), tls: None }, Some(login))
        }
        // Neither: the configuration was checked to have one, so this is never dialled with success.
        (None, None) => (mqtt::Target { host: "127.0.0.1".into(), port: 1883, tls: None }, None),
    };
    Ok(mqtt::Access { target, client_id: format!("doorward-{}", identity.node().simple()), login })
}

/// What the embedded broker needs to know.
///
/// # Errors
/// When the authorities of client certificates cannot be used.
pub(super) fn embedded(
    config: &Config,
    settings: &config::Broker,
    secrets: &Secrets,
    topics: &Topics,
    certificate: &Arc<Certificate>,
) -> anyhow::Result<broker::Settings> {
    let user = |name: &str, password: &Secret, role| broker::User {
        name: name.into(),
        password: password.expose().into(),
        role,
    };
    Ok(broker::Settings {
        bind: settings.bind,
        addresses: config.access.addresses.clone(),
        users: vec![
            user("doorward", &secrets.broker_doorward, broker::Role::Appliance),
            user("homeassistant", &secrets.broker_homeassistant, broker::Role::Client),
        ],
        tls: certificate.mqtt(settings.client_ca.as_ref()).map_err(|why| anyhow!(why))?,
        plain: settings.plain,
        ours: broker::Ours {
            base: topics.base().into(),
            discovery: topics.discovery().into(),
            device_prefix: "doorward_".into(),
        },
        limits: broker::Limits { connections: settings.max_connections, ..broker::Limits::default() },
    })
}
