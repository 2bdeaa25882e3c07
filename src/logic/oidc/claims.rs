//! What a token says, after its signature was found good: is it from the right provider, for us, fresh, for this sign-in, and about
//! somebody who may come in?
//!
//! Not here: the signature ([`crate::oidc`]).

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Guests, Identity, Refusal};

/// By how much the clocks of both machines may differ.
const SKEW: SignedDuration = SignedDuration::from_secs(60);
/// A token is asked for and judged within seconds; older ones were kept by somebody.
const OLDEST: SignedDuration = SignedDuration::from_mins(10);

/// What a token must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The provider, letter by letter.
    pub issuer: &'a str,
    /// Our id there.
    pub client_id: &'a str,
    /// The sign-in.
    pub nonce: &'a str,
    /// Who may come in.
    pub guests: &'a Guests,
}

/// Judges the claims of a token whose signature is good.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(claims: &Value, expected: &Expected<'_>, now: Timestamp) -> Result<Identity, Refusal> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(Refusal::Issuer);
    }
    if !is_for(claims, expected.client_id) {
        return Err(Refusal::Audience);
    }
    let expires = time(claims, "exp").ok_or(Refusal::Expired)?;
    if now.duration_since(expires) >= SKEW {
        return Err(Refusal::Expired);
    }
    let age = now.duration_since(time(claims, "iat").ok_or(Refusal::IssuedAt)?);
    let is_early = claims.get("nbf").is_some()
        && time(claims, "nbf").is_none_or(|begins| begins.duration_since(now) > SKEW);
    if age < -SKEW || age > OLDEST || is_early {
        return Err(Refusal::IssuedAt);
    }
    if text("nonce") != Some(expected.nonce) {
        return Err(Refusal::Nonce);
    }
    // Some providers write the truth as text.
    let is_verified = matches!(claims.get("email_verified"), Some(Value::Bool(true)))
        || text("email_verified") == Some("true");
    let email = text("email").filter(|_| is_verified).ok_or(Refusal::Unverified)?;
    expected.guests.find(email).ok_or_else(|| Refusal::NotAllowed(email.to_owned()))
}

/// Whether the token is for us: we are among its audiences, and if there are others or it names who asked for it, that was us.
fn is_for(claims: &Value, client_id: &str) -> bool {
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => all.iter().map(|one| one.as_str().unwrap_or_default()).collect(),
        _ => Vec::new(),
    };
    let party_is_us = match claims.get("azp") {
        Some(party) => party.as_str() == Some(client_id),
        None => audiences.len() == 1,
    };
    audiences.contains(&client_id) && party_is_us
}

/// A time in seconds since 1970, which some write with a fraction.
fn time(claims: &Value, name: &str) -> Option<Timestamp> {
    let seconds = claims.get(name)?;
    #[expect(clippy::cast_possible_truncation, reason = "times beyond i64 are refused by Timestamp")]
    let seconds = seconds.as_i64().or_else(|| seconds.as_f64().map(|seconds| seconds as i64))?;
    Timestamp::from_second(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::access::Role;
    use serde_json::json;

    const NOW: i64 = 1_790_000_000;

    fn good() -> Value {
        json!({
            "iss": "https://id.example.org", "aud": "door", "exp": NOW + 300, "iat": NOW - 1, "nonce": "n1",
            "sub": "7", "email": "anna@example.org", "email_verified": true,
        })
    }

    fn judge(claims: &Value) -> Result<Identity, Refusal> {
        let guests =
            Guests { admins: vec!["anna@example.org".into()], viewers: vec!["ben@example.org".into()] };
        let expected =
            Expected { issuer: "https://id.example.org", client_id: "door", nonce: "n1", guests: &guests };
        check(claims, &expected, Timestamp::from_second(NOW).unwrap())
    }

    #[test]
    fn a_good_token_is_somebody() {
        let anna = judge(&good()).unwrap();
        assert_eq!((anna.email.as_str(), anna.role), ("anna@example.org", Role::Admin));
        let mut ben = good();
        ben["email"] = json!("BEN@example.org");
        assert_eq!(judge(&ben).unwrap().role, Role::Viewer);
    }

    #[test]
    fn each_claim_that_is_off_is_its_own_refusal() {
        let not_allowed = |email: &str| Refusal::NotAllowed(email.into());
        // claim, its value (null removes it), what comes of it
        for (claim, value, expected) in [
            ("iss", json!("https://id.example.org/"), Err(Refusal::Issuer)),
            ("iss", json!("https://evil.example"), Err(Refusal::Issuer)),
            ("iss", Value::Null, Err(Refusal::Issuer)),
            ("aud", json!("another"), Err(Refusal::Audience)),
            ("aud", json!(["another"]), Err(Refusal::Audience)),
            ("aud", json!(["door"]), Ok(())),
            ("aud", json!(["door", "another"]), Err(Refusal::Audience)),
            ("aud", json!([]), Err(Refusal::Audience)),
            ("aud", json!({"door": 1}), Err(Refusal::Audience)),
            ("aud", Value::Null, Err(Refusal::Audience)),
            ("azp", json!("door"), Ok(())),
            ("azp", json!("another"), Err(Refusal::Audience)),
            ("azp", json!(7), Err(Refusal::Audience)),
            ("exp", json!(NOW - 59), Ok(())),
            ("exp", json!(NOW - 60), Err(Refusal::Expired)),
            ("exp", json!((NOW + 5) as f64 + 0.5), Ok(())),
            ("exp", json!("2099-01-01"), Err(Refusal::Expired)),
            ("exp", json!(1e300), Err(Refusal::Expired)),
            ("exp", Value::Null, Err(Refusal::Expired)),
            ("iat", json!(NOW + 60), Ok(())),
            ("iat", json!(NOW + 61), Err(Refusal::IssuedAt)),
            ("iat", json!(NOW - 600), Ok(())),
            ("iat", json!(NOW - 601), Err(Refusal::IssuedAt)),
            ("iat", Value::Null, Err(Refusal::IssuedAt)),
            ("nbf", json!(NOW + 60), Ok(())),
            ("nbf", json!(NOW + 61), Err(Refusal::IssuedAt)),
            ("nbf", json!("soon"), Err(Refusal::IssuedAt)),
            ("nonce", json!("n2"), Err(Refusal::Nonce)),
            ("nonce", json!(""), Err(Refusal::Nonce)),
            ("nonce", Value::Null, Err(Refusal::Nonce)),
            ("email_verified", json!("true"), Ok(())),
            ("email_verified", json!(false), Err(Refusal::Unverified)),
            ("email_verified", json!("yes"), Err(Refusal::Unverified)),
            ("email_verified", json!(1), Err(Refusal::Unverified)),
            ("email_verified", Value::Null, Err(Refusal::Unverified)),
            ("email", Value::Null, Err(Refusal::Unverified)),
            ("email", json!(["anna@example.org"]), Err(Refusal::Unverified)),
            ("email", json!("eve@example.org"), Err(not_allowed("eve@example.org"))),
            ("email", json!("anna@example.org "), Err(not_allowed("anna@example.org "))),
        ] {
            let mut claims = good();
            match value.is_null() {
                true => drop(claims.as_object_mut().unwrap().remove(claim)),
                false => claims[claim] = value.clone(),
            }
            assert_eq!(judge(&claims).map(drop), expected, "{claim} = {value}");
        }
        let mut shared = good();
        (shared["aud"], shared["azp"]) = (json!(["door", "another"]), json!("door"));
        assert!(judge(&shared).is_ok());
        for odd in [json!(null), json!([]), json!("text"), json!(7)] {
            assert_eq!(judge(&odd).map(drop), Err(Refusal::Issuer), "{odd}");
        }
    }
}
