//! With a provider that forges: every token but the first kind is refused, each for its own reason.
//!
//! Its documents and its form of answers are those of an honest one, so that only the one thing is wrong that the case names.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PublicKeyData};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::kit::{House, free_port, request};

/// What the next answers are like.
#[derive(Default)]
struct Mood {
    /// The `id_token` of the next exchange; none = an error.
    token: Option<String>,
    /// What it publishes.
    keys: Value,
    /// Instead of the document about itself.
    metadata: Option<String>,
    /// Instead of the answer to a code.
    instead: Option<String>,
    /// The forms that it was sent.
    forms: Vec<String>,
    /// How often it was asked for its keys.
    asked_for_keys: usize,
}

struct Forger {
    issuer: String,
    mood: Arc<Mutex<Mood>>,
    key: KeyPair,
}

fn public(key: &KeyPair, id: &str) -> Value {
    let point = key.der_bytes();
    let [x, y] = [&point[1..33], &point[33..65]].map(|part| BASE64.encode(part));
    json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": id, "alg": "ES256", "use": "sig" })
}

fn sign(key: &KeyPair, id: &str, claims: &Value) -> String {
    let header = Header { kid: Some(id.into()), ..Header::new(Algorithm::ES256) };
    let key = EncodingKey::from_ec_der(key.serialized_der());
    jsonwebtoken::encode(&header, claims, &key).expect("it is signed")
}

impl Forger {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let key = KeyPair::generate().expect("a key");
        let keys = json!({ "keys": [public(&key, "k1")] });
        let mood = Arc::new(Mutex::new(Mood { keys, ..Mood::default() }));
        let (name, shared) = (issuer.clone(), Arc::clone(&mood));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Who hangs up before the end of an answer is a case of its own.
                let _ = answer(client, &name, &shared);
            }
        });
        Self { issuer, mood, key }
    }

    fn mood<T>(&self, change: impl FnOnce(&mut Mood) -> T) -> T {
        change(&mut self.mood.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn claims(&self, nonce: &str) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs();
        json!({
            "iss": self.issuer, "aud": "door", "sub": "1", "iat": now, "exp": now + 300, "nonce": nonce,
            "email": "anna@example.org", "email_verified": true,
        })
    }
}

fn answer(client: TcpStream, issuer: &str, mood: &Mutex<Mood>) -> std::io::Result<()> {
    let mut from = BufReader::new(&client);
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    from.read_line(&mut first)?;
    loop {
        line.clear();
        from.read_line(&mut line)?;
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut form = vec![0; length];
    from.read_exact(&mut form)?;
    let mut mood = mood.lock().unwrap_or_else(PoisonError::into_inner);
    let whole = |status: &str, body: String| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let text = match first.split(' ').nth(1).unwrap_or_default() {
        "/.well-known/openid-configuration" => {
            let about = json!({
                "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
                "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
            });
            mood.metadata.take().unwrap_or_else(|| whole("200 OK", about.to_string()))
        }
        "/keys" => {
            mood.asked_for_keys += 1;
            whole("200 OK", mood.keys.to_string())
        }
        "/token" => {
            mood.forms.push(String::from_utf8_lossy(&form).into_owned());
            match (mood.instead.take(), mood.token.take()) {
                (Some(instead), _) => instead,
                (None, Some(token)) => whole(
                    "200 OK",
                    json!({ "access_token": "a", "token_type": "Bearer", "id_token": token }).to_string(),
                ),
                (None, None) => whole("400 Bad Request", json!({ "error": "invalid_grant" }).to_string()),
            }
        }
        _ => whole("404 Not Found", "{}".into()),
    };
    (&client).write_all(text.as_bytes())
}

/// Begins, has the forger make a token from the nonce, and comes back.
fn sign_in(house: &House, forger: &Forger, make: impl FnOnce(&Forger, &str) -> String) -> crate::kit::Answer {
    let begun = house.begin();
    let token = make(forger, &begun.parameter("nonce"));
    forger.mood(|mood| mood.token = Some(token));
    let url = format!("{}/api/v1/oidc/callback?code=c&state={}", house.page, begun.parameter("state"));
    let answer = house.back(&url, Some(&begun.cookie));
    let form = forger.mood(|mood| mood.forms.pop()).expect("the code was shown");
    let fields = reqwest::Url::parse(&format!("http://form/?{form}")).expect("a form");
    let field =
        |name: &str| fields.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let verifier = field("code_verifier").expect("PKCE");
    assert_eq!(BASE64.encode(Sha256::digest(&verifier)), begun.parameter("code_challenge"));
    assert_eq!(begun.parameter("code_challenge_method"), "S256");
    assert_eq!(field("redirect_uri"), Some(begun.parameter("redirect_uri")));
    assert_eq!(
        field("client_id").as_deref(),
        Some("door"),
        "a client without a secret names itself in the form"
    );
    answer
}

fn start(forger: &Forger) -> House {
    House::start(free_port(), &forger.issuer, &["oidc.client_id=door".into()])
}

/// The good claims with one of them changed.
fn with(claim: &'static str, value: Value) -> impl Fn(&Forger, &str) -> String {
    move |forger, nonce| {
        let mut claims = forger.claims(nonce);
        claims[claim] = value.clone();
        sign(&forger.key, "k1", &claims)
    }
}

#[test]
fn forged_tokens_are_refused_each_for_its_reason() {
    let forger = Forger::start();
    let house = start(&forger);
    let good = |forger: &Forger, nonce: &str| sign(&forger.key, "k1", &forger.claims(nonce));
    house.assert_in(&sign_in(&house, &forger, good), "anna@example.org", "admin");
    for (claim, value, why) in [
        ("aud", json!("another"), "made for another client"),
        ("aud", json!(["door", "another"]), "made for another client"),
        ("iss", json!("https://evil.example"), "names another issuer"),
        ("exp", json!(1_500_000_000), "has expired"),
        ("iat", json!(1_500_000_000), "in the future or long ago"),
        ("nonce", json!("of-another-sign-in"), "nonce is not ours"),
    ] {
        house.assert_out(&sign_in(&house, &forger, with(claim, value)), why);
    }
    // The right name of the key, but not the key.
    let stranger = KeyPair::generate().expect("a key");
    let forged = |forger: &Forger, nonce: &str| sign(&stranger, "k1", &forger.claims(nonce));
    house.assert_out(&sign_in(&house, &forger, forged), "The signature of the token is wrong");
    let changed = |forger: &Forger, nonce: &str| {
        let token = sign(&forger.key, "k1", &forger.claims(nonce));
        let parts: Vec<&str> = token.split('.').collect();
        let mut claims = forger.claims(nonce);
        claims["email"] = json!("ben@example.org");
        format!("{}.{}.{}", parts[0], BASE64.encode(claims.to_string()), parts[2])
    };
    house.assert_out(&sign_in(&house, &forger, changed), "The signature of the token is wrong");
    let unsigned = |forger: &Forger, nonce: &str| {
        let [head, body] =
            [json!({ "alg": "none" }), forger.claims(nonce)].map(|part| BASE64.encode(part.to_string()));
        format!("{head}.{body}.")
    };
    house.assert_out(&sign_in(&house, &forger, unsigned), "signed with none");
}

#[test]
fn a_public_key_is_no_shared_secret_and_new_keys_are_fetched_once() {
    let forger = Forger::start();
    let house = start(&forger);
    let confused = |forger: &Forger, nonce: &str| {
        let header = Header { kid: Some("k1".into()), ..Header::new(Algorithm::HS256) };
        let secret = EncodingKey::from_secret(forger.key.der_bytes());
        jsonwebtoken::encode(&header, &forger.claims(nonce), &secret).expect("it is signed")
    };
    house.assert_out(&sign_in(&house, &forger, confused), "signed with HS256");
    let good = |forger: &Forger, nonce: &str| sign(&forger.key, "k1", &forger.claims(nonce));
    for _ in 0..2 {
        house.assert_in(&sign_in(&house, &forger, good), "anna@example.org", "admin");
    }
    assert_eq!(forger.mood(|mood| mood.asked_for_keys), 1, "keys are kept");
    let fresh = KeyPair::generate().expect("a key");
    let rotated = |forger: &Forger, nonce: &str| sign(&fresh, "k2", &forger.claims(nonce));
    house.assert_out(&sign_in(&house, &forger, rotated), "a key that the provider does not publish");
    assert_eq!(forger.mood(|mood| mood.asked_for_keys), 2, "and fetched once more for one that is not known");
    forger.mood(|mood| {
        mood.keys = json!({ "keys": [{ "kty": "odd" }, public(&forger.key, "k1"), public(&fresh, "k2")] })
    });
    house.assert_in(&sign_in(&house, &forger, rotated), "anna@example.org", "admin");
}

#[test]
fn a_provider_that_leads_elsewhere_or_talks_without_end_is_not_followed() {
    let forger = Forger::start();
    let house = start(&forger);
    let other = json!({ "issuer": "https://evil.example" }).to_string();
    let length = other.len();
    forger.mood(|mood| {
        mood.metadata =
            Some(format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{other}"));
    });
    house.assert_out(&request("GET", &house.start_url(), "", ""), "calls itself https://evil.example");
    // It is left alone for a while, and asked again after that.
    crate::kit::until("the provider is asked again", || {
        (request("GET", &house.start_url(), "", "").status == 302).then_some(())
    });
    let answers = [
        ("HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned(), "sends us elsewhere"),
        (format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", "[".repeat(300_000)), "much more than belongs there"),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nnull".to_owned(), "no signed token"),
        ("HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 26\r\n\r\n{\"error\":\"invalid_client\"}".to_owned(), "refuses us with 401 invalid_client"),
    ];
    for (answer, why) in answers {
        forger.mood(|mood| mood.instead = Some(answer));
        house.assert_out(&sign_in(&house, &forger, |_, _| String::new()), why);
    }
}

#[test]
fn whoever_comes_back_with_nonsense_is_refused_and_at_last_held_back() {
    let forger = Forger::start();
    let house = start(&forger);
    let back = |query: &str| house.back(&format!("{}/api/v1/oidc/callback?{query}", house.page), Some("x"));
    house.assert_out(&back("code=c"), "without state or code");
    house.assert_out(&back(&format!("code=c&state={}", "s".repeat(3000))), "without state or code");
    house.assert_out(&back("code=c&state=%00%0d%0aX"), "No sign-in waits under the state");
    let begun = house.begin();
    let answer = house.back(
        &format!(
            "{}/api/v1/oidc/callback?code=c&iss=https%3A%2F%2Fevil.example&state={}",
            house.page,
            begun.parameter("state")
        ),
        Some(&begun.cookie),
    );
    house.assert_out(&answer, "back from another provider");
    let held = (0..40).map(|_| back("code=c&state=s").status).find(|status| *status == 429);
    assert_eq!(held, Some(429), "guessing is slowed down");
    assert!(forger.mood(|mood| mood.forms.is_empty()), "the provider was not bothered with any of it");
}
