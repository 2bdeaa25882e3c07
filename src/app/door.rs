//! The door of a running appliance: its thread, its file, and the pairing code of this start.
//!
//! Not here: who comes in ([`crate::door`]).

use std::sync::Arc;

use anyhow::Error;
use jiff::Timestamp;

use super::crew::Crew;
use super::outside;
use crate::audit;
use crate::config::Config;
use crate::door::{Door, Parts, Save};
use crate::inbox::Inbox;
use crate::logic::accounts::{Book, Pairing};
use crate::store::{AccountsFile, OpenedAccounts, Secrets};

/// Starts the thread, which ends when nobody asks any more. The code is there while there is no user.
///
/// # Errors
/// When the system gives no random bytes.
pub(super) fn start(
    core: &mut Crew,
    accounts: OpenedAccounts,
    secrets: &Secrets,
    config: &Config,
    inbox: &Inbox,
    audit: &audit::Log,
) -> anyhow::Result<(Arc<Door>, Option<Pairing>)> {
    let OpenedAccounts { file, book, .. } = accounts;
    let parts = Parts {
        local_key: secrets.http_token.expose(),
        settings: config.accounts,
        save: save(file),
        book,
        inbox: inbox.clone(),
        audit: audit.clone(),
    };
    let (door, mut keeper) = Door::new(parts);
    outside::keep(&mut keeper, config);
    let pairing =
        door.needs_setup().then(|| keeper.pair(Timestamp::now())).transpose().map_err(Error::msg)?;
    core.spawn("door", move || keeper.run());
    Ok((Arc::new(door), pairing))
}

/// How accounts get into their file.
pub(super) fn save(mut file: AccountsFile) -> Save {
    Box::new(move |book: &Book| file.save(book).map_err(|error| error.source.to_string()))
}
