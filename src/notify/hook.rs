//! One attempt to tell a web server: our own JSON, ntfy's form or OneSignal's.
//!
//! Not here: when to try again; see [`super::target`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use reqwest::{Client, Method, Response, Url, redirect};
use serde_json::{Value, json};
use sha2::Sha256;

use super::Limits;
use super::fault::{Fault, Secrets, cause, tls_cause};
use super::message::{Message, Picture};
use crate::config::{Form, Hook, Secret};
use crate::logic::backoff::retry_after;
use crate::logic::checksum::hex;

/// More of an answer is never read.
const MOST_ANSWER_BYTES: usize = 4096;

/// Sends one request; any answer with 2xx means that it arrived.
pub(super) async fn send(way: &Hook, message: &Message, limits: &Limits) -> Result<(), Fault> {
    let url = Url::parse(way.url.expose()).expect("the address was checked when it was read");
    let secrets = secrets(way, &url);
    exchange(way, url, message, limits).await.map_err(|fault| fault.shown(&secrets))
}

async fn exchange(way: &Hook, url: Url, message: &Message, limits: &Limits) -> Result<(), Fault> {
    // A file of authorities may be mended, so this is worth another attempt.
    let tls = way.trust.client_config(&url).map_err(|why| Fault::later(format!("cannot be asked: {why}")))?;
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(limits.connect)
        .timeout(limits.attempt)
        .build()
        .map_err(|error| Fault::later(format!("cannot be asked: {}", cause(&error))))?;
    let asked = request(way, url, message)?;
    let sent = client.request(asked.method, asked.url).headers(asked.headers).body(asked.body).send().await;
    match sent {
        Ok(response) => judge(way, response).await,
        Err(error) => Err(unreached(way, &error.without_url())),
    }
}

fn unreached(way: &Hook, error: &reqwest::Error) -> Fault {
    Fault::later(if let Some(tls) = tls_cause(error) {
        format!("cannot be trusted: {tls}; if its certificate is of your own making, set {}", way.trust.key)
    } else if error.is_timeout() {
        "did not answer in time".to_owned()
    } else if error.is_connect() {
        format!("cannot be reached: {}", cause(error))
    } else {
        format!("ended the connection before it answered: {}", cause(error))
    })
}

/// What the answer means.
async fn judge(way: &Hook, response: Response) -> Result<(), Fault> {
    let status = response.status();
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wait = asked.and_then(|text| retry_after(text, Timestamp::now()));
    if status.is_success() {
        return match way.form {
            Form::Json { .. } | Form::Ntfy { .. } => Ok(()),
            Form::OneSignal { .. } => accepted(&beginning(response).await),
        };
    }
    let said = beginning(response).await;
    let said = String::from_utf8_lossy(&said);
    let code = status.as_u16();
    Err(match code {
        408 | 425 | 429 | 500.. => Fault::Later { why: format!("answered {code}: {said}"), wait },
        300..=399 => Fault::Never(format!(
            "answered {code} and sends us elsewhere; redirects are not followed, so set its url to the final address"
        )),
        _ => Fault::Never(format!("refused the message with {code}: {said}")),
    })
}

/// OneSignal answers 200 too when there is nobody to tell, with an empty id.
fn accepted(answer: &[u8]) -> Result<(), Fault> {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    match answer.get("id").and_then(Value::as_str) {
        Some("") => Err(Fault::Never(format!("told nobody: {}", answer["errors"]))),
        Some(_) | None => Ok(()),
    }
}

/// The first bytes of the answer; what comes after a fault or too late does not matter.
async fn beginning(mut response: Response) -> Vec<u8> {
    let mut read = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let left = MOST_ANSWER_BYTES - read.len();
        read.extend_from_slice(&chunk[..chunk.len().min(left)]);
        if read.len() == MOST_ANSWER_BYTES {
            break;
        }
    }
    read
}

/// A request before it is sent.
struct Asked {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
}

fn request(way: &Hook, url: Url, message: &Message) -> Result<Asked, Fault> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, plain(concat!("doorward/", env!("CARGO_PKG_VERSION"))));
    headers.insert("x-doorward-event", plain(&message.id));
    headers.insert("idempotency-key", plain(&message.id));
    if let Some(token) = &way.token {
        let scheme = if matches!(way.form, Form::OneSignal { .. }) { "Key" } else { "Bearer" };
        let value = HeaderValue::from_str(&format!("{scheme} {}", token.expose()));
        let mut value = value.map_err(|_| Fault::Never("has a token that no header can hold".into()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(match &way.form {
        Form::Json { secret } => own(url, headers, message, secret.as_ref()),
        Form::Ntfy { topic } => ntfy(url, headers, message, topic),
        Form::OneSignal { app_id, segments } => onesignal(url, headers, message, app_id, segments),
    })
}

fn plain(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("only letters and digits")
}

/// The event's record as JSON, with the picture in it; signed together with the time, so that nobody can send it again later.
fn own(url: Url, mut headers: HeaderMap, message: &Message, secret: Option<&Secret>) -> Asked {
    let mut record = message.record.clone();
    match &message.picture {
        Picture::None => {}
        Picture::Jpeg(jpeg) => {
            record.insert("picture_b64".into(), json!(BASE64.encode(jpeg)));
        }
        Picture::Missing(why) => {
            record.insert("picture_b64".into(), Value::Null);
            record.insert("picture_note".into(), json!(why));
        }
    }
    let body = Value::Object(record).to_string().into_bytes();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let time = Timestamp::now().as_second().to_string();
    headers.insert("x-doorward-timestamp", plain(&time));
    if let Some(secret) = secret {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("any length will do");
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(&body);
        let digits = hex(&mac.finalize().into_bytes());
        headers.insert("x-doorward-signature", plain(&format!("sha256={digits}")));
    }
    Asked { method: Method::POST, url, headers, body }
}

/// ntfy: a message with a picture is the picture, and all words are headers.
fn ntfy(mut url: Url, mut headers: HeaderMap, message: &Message, topic: &str) -> Asked {
    url.path_segments_mut().expect("the address has a host").pop_if_empty().push(topic);
    headers.insert("title", encoded(&message.title));
    let tag = message.record.get("event_type").and_then(Value::as_str).unwrap_or("doorward");
    headers.insert("tags", encoded(tag));
    let body = match message.jpeg() {
        None => message.lines().join("\n").into_bytes(),
        Some(jpeg) => {
            headers.insert("message", encoded(&message.lines().join(", ")));
            headers.insert("filename", plain(&message.file_name()));
            jpeg.to_vec()
        }
    };
    Asked { method: Method::PUT, url, headers, body }
}

fn onesignal(
    url: Url,
    mut headers: HeaderMap,
    message: &Message,
    app_id: &str,
    segments: &[String],
) -> Asked {
    let body = json!({
        "app_id": app_id,
        "target_channel": "push",
        "included_segments": segments,
        "headings": { "en": message.title },
        "contents": { "en": message.lines().join("\n") },
        "data": { "event_id": message.id },
        "idempotency_key": idempotency_key(&message.id),
    });
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Asked { method: Method::POST, url, headers, body: body.to_string().into_bytes() }
}

/// `OneSignal` takes only a version 4 UUID; the same event always gives the same.
fn idempotency_key(id: &str) -> Option<String> {
    let id = ulid::Ulid::from_string(id).ok()?;
    Some(uuid::Builder::from_random_bytes(id.to_bytes()).into_uuid().to_string())
}

/// Text as a header: plain ASCII as it is, all else in the form of RFC 2047, in words of at most 75 characters.
fn encoded(text: &str) -> HeaderValue {
    const LONGEST: usize = 45;
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !text.contains("=?") {
        return plain(text);
    }
    let mut words = vec![String::new()];
    for c in text.chars() {
        if words.last().is_none_or(|word| word.len() + c.len_utf8() > LONGEST) {
            words.push(String::new());
        }
        words.last_mut().expect("there is one").push(c);
    }
    let words: Vec<String> =
        words.iter().map(|word| format!("=?UTF-8?B?{}?=", BASE64.encode(word))).collect();
    plain(&words.join(" "))
}

/// Everything that a server could repeat and nobody may read: tokens, and the address but for its host.
fn secrets(way: &Hook, url: &Url) -> Secrets {
    // Parts of a path that are shorter are words such as "api".
    const SHORTEST_PART: usize = 8;
    let mut secrets = Secrets::default();
    let Hook { token, form, .. } = way;
    for secret in token.iter() {
        secrets.add(secret.expose());
    }
    if let Form::Json { secret: Some(secret) } = form {
        secrets.add(secret.expose());
    }
    secrets.add(way.url.expose());
    secrets.add(url.path());
    let [user, password] = [url.username(), url.password().unwrap_or_default()].map(decoded);
    secrets.add(&user);
    secrets.add(&password);
    secrets.add(&format!("{user}:{password}"));
    secrets.add(url.query().unwrap_or_default());
    for (_, value) in url.query_pairs() {
        secrets.add(&value);
    }
    for part in url.path().split('/').filter(|part| part.len() >= SHORTEST_PART) {
        secrets.add(part);
    }
    secrets
}

/// A part of an address without its %-signs, as it is sent.
fn decoded(part: &str) -> String {
    let mut url = Url::parse("http://host/").expect("an address");
    url.set_query(Some(&part.replace('+', "%2B")));
    url.query_pairs().next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_take_any_text() {
        let show = |text: &str| encoded(text).to_str().unwrap().to_owned();
        assert_eq!(show("Anna is at the door"), "Anna is at the door");
        assert_eq!(show("Jürgen"), "=?UTF-8?B?SsO8cmdlbg==?=");
        assert_eq!(show("=?x?="), "=?UTF-8?B?PT94Pz0=?=");
        assert_eq!(show(""), "");
        let long = show(&"🚪ä".repeat(40));
        assert!(long.split(' ').count() > 5 && long.split(' ').all(|word| word.len() <= 75), "{long}");
    }

    #[test]
    fn parts_of_addresses_are_decoded() {
        for (part, plain) in [("", ""), ("a%20b", "a b"), ("a+b", "a+b"), ("p%C3%A4ss", "päss")] {
            assert_eq!(decoded(part), plain);
        }
    }

    #[test]
    fn one_event_has_one_key() {
        let key = idempotency_key("01JAB3X5N7Q9R1T3V5W7Y9Z1B3").unwrap();
        assert_eq!(Some(&key), idempotency_key("01JAB3X5N7Q9R1T3V5W7Y9Z1B3").as_ref());
        assert_eq!(uuid::Uuid::parse_str(&key).unwrap().get_version_num(), 4);
        assert_eq!(idempotency_key("7"), None);
    }
}
