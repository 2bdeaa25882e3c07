//! Outside identities: starts the task that talks to the provider, and ends the sessions of those who may not come in any more.
//!
//! Not here: the page's side ([`crate::http`]) and the provider's ([`crate::oidc`]).

use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::config::Config;
use crate::door::Keeper;
use crate::http;
use crate::oidc;
use crate::shutdown::Shutdown;

/// Questions that may wait; each takes as long as the provider does, and whoever finds no room is told to try again.
const WAITING: usize = 16;

/// Starts the task, if a provider is configured.
pub(super) fn start(runtime: &Runtime, config: &Config, stop: &Shutdown) -> Option<http::Outside> {
    let settings = config.oidc.clone()?;
    let (desk, questions) = mpsc::channel(WAITING);
    let name = settings.name.clone();
    runtime.spawn(oidc::run(settings, questions, oidc::Limits::default(), stop.clone()));
    Some(http::Outside { name, desk })
}

/// Sessions outlive a restart, and the list of those who may come in may have changed.
pub(super) fn keep(keeper: &mut Keeper, config: &Config) {
    let guests = config.oidc.as_ref().map(|oidc| &oidc.guests);
    keeper.keep_outside(|email| guests?.find(email).map(|identity| identity.role));
}
