//! One exchange with the provider: over TLS that we trust, without redirects, with an end to its time and size.
//!
//! Not here: what the documents mean ([`super::provider`]).

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use reqwest::{Client, RequestBuilder, Response, Url, redirect};
use serde_json::Value;

use super::Limits;
use crate::config::Oidc;
use crate::logic::oidc::Refusal;

/// No document of a provider is nearly as long.
const MOST_BYTES: usize = 256 * 1024;

/// An answer that is JSON.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) json: Value,
}

/// Fetches a document; only 200 will do.
pub(super) async fn get(settings: &Oidc, limits: &Limits, url: &Url) -> Result<Value, Refusal> {
    let answer = send(client(settings, limits, url)?.get(url.clone())).await?;
    match answer.status {
        200 => Ok(answer.json),
        status => Err(unusable(format!("answers {status} when it is asked for {}", url.path()))),
    }
}

/// Sends a form and reads the answer, whatever its status.
pub(super) async fn post(
    settings: &Oidc,
    limits: &Limits,
    url: &Url,
    form: String,
    login: Option<HeaderValue>,
) -> Result<Answer, Refusal> {
    let request = client(settings, limits, url)?.post(url.clone());
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
    send(match login {
        Some(login) => request.header(AUTHORIZATION, login),
        None => request,
    })
    .await
}

/// Names and values as a form, and as what stands behind the `?` of an address.
pub(super) fn form(fields: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://form/").expect("an address");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

fn client(settings: &Oidc, limits: &Limits, url: &Url) -> Result<Client, Refusal> {
    let tls = settings.trust.client_config(url).map_err(|why| unusable(format!("cannot be asked: {why}")))?;
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(limits.connect)
        .timeout(limits.step)
        .build()
        .map_err(|error| unusable(format!("cannot be asked: {}", cause(&error))))
}

async fn send(request: RequestBuilder) -> Result<Answer, Refusal> {
    let request = request
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("doorward/", env!("CARGO_PKG_VERSION")));
    let response = request.send().await.map_err(|error| unreached(&error.without_url()))?;
    let status = response.status().as_u16();
    if (300..400).contains(&status) {
        return Err(unusable(format!("answers {status} and sends us elsewhere, which is not followed")));
    }
    let bytes = whole(response).await?;
    // An error may come without JSON; its status then says enough.
    let json = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok(Answer { status, json })
}

async fn whole(mut response: Response) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreached(&error.without_url()))? {
        if bytes.len() + chunk.len() > MOST_BYTES {
            return Err(unusable("answers with much more than belongs there".into()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn unreached(error: &reqwest::Error) -> Refusal {
    unusable(match error.is_timeout() {
        true => "does not answer in time".into(),
        false => format!("cannot be reached: {}", cause(error)),
    })
}

pub(super) fn unusable(why: String) -> Refusal {
    Refusal::Unusable(why)
}

/// The innermost cause: what wraps it only repeats that something failed.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
