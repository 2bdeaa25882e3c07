//! The signature of a token: which algorithms are taken, which key fits, and whether it was that key.
//!
//! Not here: fetching keys ([`super::provider`]) and what the token says ([`crate::logic::oidc::claims`]).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

use crate::logic::oidc::Refusal;

/// Those with a public key. One with a shared secret would let whoever knows our secret, or reads the public key as one, sign.
const TAKEN: [(&str, Algorithm); 4] = [
    ("RS256", Algorithm::RS256),
    ("PS256", Algorithm::PS256),
    ("ES256", Algorithm::ES256),
    ("EdDSA", Algorithm::EdDSA),
];
/// Providers have two or three.
const MOST_KEYS: usize = 64;

/// A token whose signature was not checked yet.
pub(super) struct Signed<'a> {
    token: &'a str,
    algorithm: Algorithm,
    key_id: Option<String>,
}

impl<'a> Signed<'a> {
    /// Reads the head of a token. `named`: the algorithms that the provider says it uses.
    pub(super) fn read(token: &'a str, named: &[String]) -> Result<Self, Refusal> {
        let head = token.split_once('.').and_then(|(head, _)| BASE64.decode(head).ok());
        let head: Option<Value> = head.and_then(|head| serde_json::from_slice(&head).ok());
        let head = head.ok_or(Refusal::NotAToken)?;
        // Whoever demands an extension that we do not know must be refused (RFC 7515, 4.1.11).
        let name = head["alg"].as_str().filter(|_| head.get("crit").is_none()).ok_or(Refusal::NotAToken)?;
        let taken = TAKEN.into_iter().find(|(taken, _)| *taken == name && named.iter().any(|n| n == name));
        let (_, algorithm) = taken.ok_or_else(|| Refusal::Algorithm(name.to_owned()))?;
        Ok(Self { token, algorithm, key_id: head["kid"].as_str().map(str::to_owned) })
    }
}

/// The public keys of the provider.
pub(super) struct Keys(Vec<Jwk>);

impl Keys {
    /// Keys of kinds that we do not know are passed over.
    pub(super) fn read(json: &Value) -> Self {
        let all = json["keys"].as_array().into_iter().flatten();
        Self(all.take(MOST_KEYS).filter_map(|key| serde_json::from_value(key.clone()).ok()).collect())
    }

    /// What the token says, if one of the keys signed it.
    pub(super) fn verify(&self, signed: &Signed<'_>) -> Result<Value, Refusal> {
        let key = self.find(signed).ok_or(Refusal::UnknownKey)?;
        let key = DecodingKey::from_jwk(key).map_err(|_| Refusal::UnknownKey)?;
        let mut only_signature = Validation::new(signed.algorithm);
        only_signature.required_spec_claims.clear();
        (only_signature.validate_exp, only_signature.validate_aud) = (false, false);
        match jsonwebtoken::decode::<Value>(signed.token, &key, &only_signature) {
            Ok(token) => Ok(token.claims),
            Err(error) => Err(match error.kind() {
                ErrorKind::InvalidSignature => Refusal::Signature,
                _ => Refusal::NotAToken,
            }),
        }
    }

    /// The key that the token names; one that names none fits only if there is no choice.
    fn find(&self, signed: &Signed<'_>) -> Option<&Jwk> {
        let mut fitting = self.0.iter().filter(|key| fits(key, signed.algorithm));
        match &signed.key_id {
            Some(id) => fitting.find(|key| key.common.key_id.as_ref() == Some(id)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }
}

fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let is_kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), Algorithm::RS256 | Algorithm::PS256) => true,
        (AlgorithmParameters::EllipticCurve(key), Algorithm::ES256) => key.curve == EllipticCurve::P256,
        (AlgorithmParameters::OctetKeyPair(key), Algorithm::EdDSA) => key.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    let is_for_signing =
        key.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let named = key.common.key_algorithm;
    is_kind && is_for_signing && named.is_none_or(|named| named == KeyAlgorithm::from(algorithm))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_public_key_algorithms_that_the_provider_names_are_taken() {
        let named = ["RS256", "ES256", "HS256", "none", "RS512"].map(str::to_owned);
        let read = |head: &Value| {
            let token = format!("{}.e30.AAAA", BASE64.encode(head.to_string()));
            Signed::read(&token, &named).map(|signed| signed.key_id)
        };
        for (head, expected) in [
            (json!({"alg": "RS256", "kid": "a"}), Ok(Some("a".to_owned()))),
            (json!({"alg": "ES256"}), Ok(None)),
            (json!({"alg": "PS256"}), Err(Refusal::Algorithm("PS256".into()))),
            (json!({"alg": "HS256"}), Err(Refusal::Algorithm("HS256".into()))),
            (json!({"alg": "none"}), Err(Refusal::Algorithm("none".into()))),
            (json!({"alg": "RS512"}), Err(Refusal::Algorithm("RS512".into()))),
            (json!({"alg": "rs256"}), Err(Refusal::Algorithm("rs256".into()))),
            (json!({"alg": "RS256", "crit": ["x"]}), Err(Refusal::NotAToken)),
            (json!({}), Err(Refusal::NotAToken)),
            (json!([]), Err(Refusal::NotAToken)),
        ] {
            assert_eq!(read(&head), expected, "{head}");
        }
        for text in ["", ".", "a.b.c", "e30", "\u{0}.."] {
            assert!(Signed::read(text, &named).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_token_that_names_no_key_fits_only_without_a_choice() {
        let ec = |id: &str| json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": id});
        let odd = json!({"kty": "XYZ", "kid": "odd"});
        let shared = json!({"kty": "oct", "k": "AA", "kid": "shared"});
        let encrypts = json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "use": "enc", "kid": "e"});
        let find = |keys: &[Value], id: Option<&str>| {
            let keys = Keys::read(&json!({ "keys": keys }));
            let signed = Signed { token: "", algorithm: Algorithm::ES256, key_id: id.map(str::to_owned) };
            keys.find(&signed).and_then(|key| key.common.key_id.clone())
        };
        let found = |id: &str| Some(id.to_owned());
        assert_eq!(find(&[ec("a"), ec("b")], Some("b")), found("b"));
        assert_eq!(find(&[ec("a"), ec("b")], Some("c")), None);
        assert_eq!(find(&[ec("a"), ec("b")], None), None);
        assert_eq!(find(&[odd.clone(), ec("a"), shared.clone(), encrypts.clone()], None), found("a"));
        assert_eq!(find(&[odd, shared, encrypts], Some("shared")), None);
        assert!(Keys::read(&json!("text")).0.is_empty());
    }
}
