//! The provider: what it says about itself, the token that it gives for a code, and the keys with which it signs.
//!
//! Not here: which key fits a token ([`super::keys`]).

use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Url;
use reqwest::header::HeaderValue;
use serde_json::Value;
use tokio::sync::Mutex;

use super::keys::{Keys, Signed};
use super::web::{self, unusable};
use super::{LONGEST_PARAMETER, Limits};
use crate::config::Oidc;
use crate::logic::oidc::Refusal;
use crate::logic::oidc::pending::Begun;

/// A token is larger than a parameter, but not much.
const LONGEST_TOKEN: usize = 32 * LONGEST_PARAMETER;

/// The provider, with the documents that it gave us.
pub(super) struct Provider {
    settings: Oidc,
    limits: Limits,
    metadata: Mutex<Option<Kept<Metadata>>>,
    keys: Mutex<Option<Kept<Keys>>>,
}

/// A document, or why there is none, and since when.
struct Kept<T> {
    since: Instant,
    found: Result<Arc<T>, Refusal>,
}

/// What the provider says about itself.
#[derive(Debug)]
pub(super) struct Metadata {
    authorization: Url,
    token: Url,
    keys: Url,
    /// Names of the algorithms with which it signs tokens.
    algorithms: Vec<String>,
    /// The secret has to stand in the form, because it takes no `Authorization`.
    secret_in_form: bool,
    /// It adds its name to the address with which browsers come back.
    pub(super) says_issuer: bool,
}

impl Metadata {
    fn read(settings: &Oidc, json: &Value) -> Result<Self, Refusal> {
        if json["issuer"].as_str() != Some(&settings.issuer_name) {
            let named = json["issuer"].as_str().unwrap_or("nothing");
            return Err(unusable(format!(
                "calls itself {named}, but oidc.issuer is {}",
                settings.issuer_name
            )));
        }
        let endpoint = |name: &str| {
            let url = json[name].as_str().and_then(|text| Url::parse(text).ok());
            url.filter(|url| settings.may_lead_to(url))
                .ok_or_else(|| unusable(format!("names no {name} that may be used; it has to be https://")))
        };
        let words = |name: &str, default: &str| match json[name].as_array() {
            Some(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            None => vec![default.to_owned()],
        };
        let logins = words("token_endpoint_auth_methods_supported", "client_secret_basic");
        let takes = |method: &str| logins.iter().any(|login| login == method);
        Ok(Self {
            authorization: endpoint("authorization_endpoint")?,
            token: endpoint("token_endpoint")?,
            keys: endpoint("jwks_uri")?,
            algorithms: words("id_token_signing_alg_values_supported", "RS256"),
            secret_in_form: !takes("client_secret_basic") && takes("client_secret_post"),
            says_issuer: json["authorization_response_iss_parameter_supported"] == true,
        })
    }

    /// Where the browser goes to begin.
    pub(super) fn authorization_url(&self, settings: &Oidc, begun: &Begun) -> String {
        let mut url = self.authorization.clone();
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &settings.client_id),
            ("redirect_uri", &settings.redirect),
            ("scope", "openid email"),
            ("state", &begun.state),
            ("nonce", &begun.nonce),
            ("code_challenge", &begun.challenge),
            ("code_challenge_method", "S256"),
        ]);
        url.into()
    }
}

impl Provider {
    pub(super) fn new(settings: Oidc, limits: Limits) -> Self {
        Self { settings, limits, metadata: Mutex::default(), keys: Mutex::default() }
    }

    /// What the provider says about itself. Who asks while another fetches it waits for that.
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, Refusal> {
        let mut kept = self.metadata.lock().await;
        if let Some(found) = self.fresh(kept.as_ref()) {
            return found;
        }
        let base = self.settings.issuer.as_str().trim_end_matches('/');
        let url = Url::parse(&format!("{base}/.well-known/openid-configuration"));
        let url = url.expect("the issuer was checked when it was read");
        let json = web::get(&self.settings, &self.limits, &url).await;
        let found = json.and_then(|json| Metadata::read(&self.settings, &json)).map(Arc::new);
        *kept = Some(Kept { since: Instant::now(), found: found.clone() });
        found
    }

    /// The token for a code.
    pub(super) async fn redeem(
        &self,
        metadata: &Metadata,
        code: &str,
        verifier: &str,
    ) -> Result<String, Refusal> {
        let Oidc { client_id, client_secret, redirect, .. } = &self.settings;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        let mut login = None;
        match client_secret {
            Some(secret) if metadata.secret_in_form => {
                fields.extend([("client_id", client_id.as_str()), ("client_secret", secret.expose())]);
            }
            Some(secret) => login = Some(basic(client_id, secret.expose())),
            None => fields.push(("client_id", client_id)),
        }
        let form = web::form(&fields);
        let answer = web::post(&self.settings, &self.limits, &metadata.token, form, login).await?;
        match (answer.status, error_word(&answer.json)) {
            (200, _) => {
                let token = answer.json["id_token"].as_str().filter(|token| token.len() <= LONGEST_TOKEN);
                token.map(str::to_owned).ok_or(Refusal::NotAToken)
            }
            (_, Some(word)) if word == "invalid_grant" => Err(Refusal::BadCode(word)),
            (status, Some(word)) => Err(unusable(format!(
                "refuses us with {status} {word}; see oidc.client_id and oidc.client_secret"
            ))),
            (status, None) => Err(unusable(format!("answers {status} when it is shown a code"))),
        }
    }

    /// What a token says, if the provider signed it. Keys that we do not know may be new, so they are fetched once more.
    pub(super) async fn verify(&self, metadata: &Metadata, token: &str) -> Result<Value, Refusal> {
        let signed = Signed::read(token, &metadata.algorithms)?;
        let (keys, is_new) = self.keys(metadata, false).await?;
        let claims = keys.verify(&signed);
        match claims {
            Err(Refusal::UnknownKey) if !is_new => self.keys(metadata, true).await?.0.verify(&signed),
            claims => claims,
        }
    }

    /// The keys, and whether they were fetched just now.
    async fn keys(&self, metadata: &Metadata, again: bool) -> Result<(Arc<Keys>, bool), Refusal> {
        let mut kept = self.keys.lock().await;
        if let Some(found) = self.fresh(kept.as_ref()).filter(|_| !again) {
            return found.map(|keys| (keys, false));
        }
        let json = web::get(&self.settings, &self.limits, &metadata.keys).await;
        let found = json.map(|json| Arc::new(Keys::read(&json)));
        *kept = Some(Kept { since: Instant::now(), found: found.clone() });
        found.map(|keys| (keys, true))
    }

    fn fresh<T>(&self, kept: Option<&Kept<T>>) -> Option<Result<Arc<T>, Refusal>> {
        let kept = kept?;
        let keep = if kept.found.is_ok() { self.limits.keep } else { self.limits.pause };
        (kept.since.elapsed() < keep).then(|| kept.found.clone())
    }
}

/// Both parts are written as in a form first (RFC 6749, 2.3.1).
fn basic(id: &str, secret: &str) -> HeaderValue {
    let written = |text: &str| web::form(&[("", text)]).trim_start_matches('=').to_owned();
    let pair = BASE64.encode(format!("{}:{}", written(id), written(secret)));
    let mut value = HeaderValue::from_str(&format!("Basic {pair}")).expect("only letters and digits");
    value.set_sensitive(true);
    value
}

/// The word of an error; other text of the provider could repeat what it was sent.
fn error_word(json: &Value) -> Option<String> {
    let word = json["error"].as_str()?;
    let is_word =
        (1..=64).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_word.then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_written_as_the_standard_says() {
        let shown = basic("door", "a b+c=&ü");
        let pair = BASE64.decode(shown.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(String::from_utf8(pair).unwrap(), "door:a+b%2Bc%3D%26%C3%BC");
        assert!(shown.is_sensitive());
    }
}
