//! Signing in with an outside identity: the authorization code flow of OpenID Connect, with PKCE, state and nonce.
//!
//! The signature of the token is checked with `jsonwebtoken` and aws-lc. The crate `openidconnect` does more than is needed here and
//! brings the crate `rsa`, which has a known fault without a cure (RUSTSEC-2023-0071).
//!
//! Not here: which sign-ins wait and what a token must say ([`crate::logic::oidc`]), the routes ([`crate::http`]) and sessions
//! ([`crate::door`]).

mod keys;
mod provider;
mod web;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

use crate::config::Oidc;
use crate::logic::oidc::claims::{self, Expected};
use crate::logic::oidc::pending::{self, Pending};
use crate::logic::oidc::{Ask, Back, Identity, Question, Refusal, Told};
use crate::shutdown::Shutdown;

use provider::Provider;

/// Questions that are answered at the same time; each may wait for the provider.
const AT_ONCE: usize = 8;
/// Codes and states are short; longer ones are nobody's.
const LONGEST_PARAMETER: usize = 2048;

/// How long the provider may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until a connection stands.
    pub connect: Duration,
    /// For everything that one step of a sign-in takes.
    pub step: Duration,
    /// How long its documents are kept.
    pub keep: Duration,
    /// After a failure, how long it is not asked again.
    pub pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            step: Duration::from_secs(15),
            keep: Duration::from_hours(1),
            pause: Duration::from_secs(5),
        }
    }
}

/// Answers questions until the stop signal; those that are under way then stay without an answer.
pub async fn run(settings: Oidc, mut questions: Receiver<Question>, limits: Limits, shutdown: Shutdown) {
    let desk = Arc::new(Desk {
        provider: Provider::new(settings.clone(), limits),
        pending: Mutex::default(),
        settings,
        limits,
    });
    // Tasks end when this is dropped.
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.triggered() => return,
            Some(ended) = tasks.join_next() => {
                // A question that panics has harmed only its own asker, and tells the owner.
                if let Err(error) = ended {
                    tracing::error!("signing in with an outside account failed: {error}");
                }
            }
            question = questions.recv(), if tasks.len() < AT_ONCE => {
                let Some(Question { ask, tell }) = question else { return };
                let desk = Arc::clone(&desk);
                tasks.spawn(async move { tell(desk.answer(ask).await) });
            }
        }
    }
}

/// What the tasks share.
struct Desk {
    settings: Oidc,
    limits: Limits,
    provider: Provider,
    pending: Mutex<Pending>,
}

impl Desk {
    async fn answer(&self, ask: Ask) -> Result<Told, Refusal> {
        let answered = tokio::time::timeout(self.limits.step, async {
            match ask {
                Ask::Begin { address } => {
                    let metadata = self.provider.metadata().await?;
                    let begun = self.pending().begin(Instant::now(), address, &random()?);
                    let url = metadata.authorization_url(&self.settings, &begun);
                    Ok(Told::Go { url, browser: begun.browser })
                }
                Ask::Finish { back, browser } => {
                    self.finish(&back, browser.as_deref()).await.map(Told::Known)
                }
            }
        });
        answered.await.unwrap_or_else(|_| Err(Refusal::Unusable("does not answer in time".into())))
    }

    /// Whatever comes of it, the sign-in is used up as soon as its state was shown.
    async fn finish(&self, back: &Back, browser: Option<&str>) -> Result<Identity, Refusal> {
        let short = |text: &Option<String>| text.clone().filter(|text| text.len() <= LONGEST_PARAMETER);
        let state = short(&back.state).ok_or(Refusal::Incomplete)?;
        let waiting = self.pending().take(Instant::now(), &state, browser)?;
        if back.issuer.as_ref().is_some_and(|issuer| *issuer != self.settings.issuer_name) {
            return Err(Refusal::OtherProvider);
        }
        if let Some(word) = &back.error {
            return Err(Refusal::Denied(word.clone()));
        }
        let metadata = self.provider.metadata().await?;
        if metadata.says_issuer && back.issuer.is_none() {
            return Err(Refusal::OtherProvider);
        }
        let code = short(&back.code).ok_or(Refusal::Incomplete)?;
        let token = self.provider.redeem(&metadata, &code, &waiting.verifier).await?;
        let claims = self.provider.verify(&metadata, &token).await?;
        let expected = Expected {
            issuer: &self.settings.issuer_name,
            client_id: &self.settings.client_id,
            nonce: &waiting.nonce,
            guests: &self.settings.guests,
        };
        claims::check(&claims, &expected, Timestamp::now())
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn random() -> Result<[u8; pending::RANDOM], Refusal> {
    let mut bytes = [0; pending::RANDOM];
    getrandom::fill(&mut bytes)
        .map_err(|error| Refusal::Broken(format!("the system gives no random numbers: {error}")))?;
    Ok(bytes)
}
