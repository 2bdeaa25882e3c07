//! The verbs `users/…`, `token/…` and `pair` with the fields of their bodies.
//!
//! Not here: carrying them out ([`crate::door`]), and who may ask ([`super::super::request`]).

use serde_json::{Map, Value};

use super::super::access::Role;
use super::super::fields::Fields;
use super::super::problem::{Problem, quoted};
use super::Request;

/// Every verb of this kind.
pub const VERBS: [&str; 12] = [
    "users/list",
    "users/add",
    "users/passwd",
    "users/role",
    "users/lock",
    "users/unlock",
    "users/logout",
    "users/delete",
    "token/list",
    "token/create",
    "token/revoke",
    "pair",
];

/// Never taken over MQTT: a password would be read by everybody at the broker who reads our requests, and a pairing code by those who
/// read the answers.
const NEVER_OVER_MQTT: [&str; 3] = ["users/add", "users/passwd", "pair"];
/// Its answer is a secret, so it goes to the asker alone.
const SECRET_ANSWER: &str = "token/create";

/// Ten years.
pub const LONGEST_TTL: u64 = 3650 * 86_400;
/// Characters of a token's name.
const LONGEST_NAME: usize = 64;
/// Bytes of a password that are worth looking at; the policy says the rest.
const LONGEST_TEXT: usize = 1024;

/// Whether this verb is refused over MQTT, whatever the configuration says.
#[must_use]
pub fn is_never_over_mqtt(verb: &str) -> bool {
    NEVER_OVER_MQTT.contains(&verb)
}

/// Whether the answer to this verb is for the asker's eyes only.
#[must_use]
pub fn has_secret_answer(verb: &str) -> bool {
    verb == SECRET_ANSWER
}

impl Request {
    /// Reads the verb and the fields of a request.
    ///
    /// # Errors
    /// What is unknown, missing or of the wrong kind, with the field and what it takes.
    pub fn parse(verb: &str, body: &Map<String, Value>) -> Result<Request, Problem> {
        let fields = Fields { request: verb, body };
        let plain = |request: Request| fields.only(&[]).map(|()| request);
        let of_user =
            |make: fn(String) -> Request| fields.only(&["name"]).and_then(|()| name(&fields).map(make));
        match verb {
            "users/list" => plain(Request::Users),
            "token/list" => plain(Request::Tokens),
            "pair" => plain(Request::Pair),
            "users/lock" => of_user(|name| Request::Lock { name, on: true }),
            "users/unlock" => of_user(|name| Request::Lock { name, on: false }),
            "users/logout" => of_user(|name| Request::Logout { name }),
            "users/delete" => of_user(|name| Request::DeleteUser { name }),
            "users/role" => {
                fields.only(&["name", "role"])?;
                let role = role(&fields)?.ok_or_else(|| fields.bad("role", ROLES))?;
                Ok(Request::SetRole { name: name(&fields)?, role })
            }
            "users/add" => {
                fields.only(&["name", "password", "role"])?;
                let (name, password) = (name(&fields)?, password(&fields)?);
                Ok(Request::AddUser { name, password, role: role(&fields)?.unwrap_or(Role::Viewer) })
            }
            "users/passwd" => {
                fields.only(&["name", "password", "end_totp"])?;
                let (name, password) = (name(&fields)?, password(&fields)?);
                Ok(Request::SetPassword {
                    name,
                    password,
                    end_totp: fields.flag("end_totp")?.unwrap_or(false),
                })
            }
            "token/create" => create_token(&fields),
            "token/revoke" => {
                fields.only(&["id"])?;
                Ok(Request::RevokeToken { id: fields.needed("id", "the id of a token, from token/list,")? })
            }
            other => Err(Problem::NotFound { what: format!("request {}", quoted(other)) }),
        }
    }
}

const ROLES: &str = "viewer or admin";

fn create_token(fields: &Fields<'_>) -> Result<Request, Problem> {
    fields.only(&["kind", "camera", "name", "ttl_s"])?;
    let needs = "stream, viewer or admin";
    let kind = fields.needed("kind", needs)?;
    let kind = Role::of_word(&kind).ok_or_else(|| fields.bad("kind", needs))?;
    let name = fields.text("name")?.unwrap_or_default();
    if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(fields.bad("name", &format!("at most {LONGEST_NAME} characters on one line")));
    }
    Ok(Request::CreateToken {
        name,
        kind,
        camera: fields.text("camera")?,
        ttl_s: fields.count("ttl_s", 1, LONGEST_TTL)?,
    })
}

fn name(fields: &Fields<'_>) -> Result<String, Problem> {
    fields.needed("name", "the name of a user")
}

fn password(fields: &Fields<'_>) -> Result<String, Problem> {
    let password = fields.needed("password", "a password")?;
    if password.len() > LONGEST_TEXT { Err(fields.bad("password", "a password")) } else { Ok(password) }
}

fn role(fields: &Fields<'_>) -> Result<Option<Role>, Problem> {
    let Some(word) = fields.text("role")? else { return Ok(None) };
    let role = Role::of_word(&word).filter(|role| *role != Role::Stream);
    role.map(Some).ok_or_else(|| fields.bad("role", ROLES))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_verb_is_read_and_says_its_own_name() {
        let all = json!({"name": "anna", "password": "correct horse", "role": "admin", "id": "0a1b", "kind": "stream"});
        for verb in VERBS {
            let known: &[&str] = match verb {
                "users/list" | "token/list" | "pair" => &[],
                "users/add" => &["name", "password", "role"],
                "users/passwd" => &["name", "password"],
                "users/role" => &["name", "role"],
                "token/create" => &["kind", "name"],
                "token/revoke" => &["id"],
                _ => &["name"],
            };
            let mut body = all.as_object().unwrap().clone();
            body.retain(|key, _| known.contains(&key.as_str()));
            let request = Request::parse(verb, &body).unwrap();
            assert_eq!(request.verb(), verb);
            assert!(!format!("{request:?}").contains("correct horse"), "{request:?}");
        }
    }

    #[test]
    fn every_wrong_field_gets_its_sentence() {
        for (verb, body, field) in [
            ("users/add", json!({"name": "anna"}), "password"),
            ("users/add", json!({"password": "x"}), "name"),
            ("users/add", json!({"name": "anna", "password": "x", "role": "stream"}), "role"),
            ("users/add", json!({"name": "anna", "password": 12345678}), "password"),
            ("users/add", json!({"name": "anna", "password": "x".repeat(2000)}), "password"),
            ("users/role", json!({"name": "anna"}), "role"),
            ("users/passwd", json!({"name": "anna", "password": "x", "end_totp": "yes"}), "end_totp"),
            ("users/lock", json!({}), "name"),
            ("token/create", json!({}), "kind"),
            ("token/create", json!({"kind": "owner"}), "kind"),
            ("token/create", json!({"kind": "stream", "ttl_s": 0}), "ttl_s"),
            ("token/create", json!({"kind": "stream", "ttl_s": LONGEST_TTL + 1}), "ttl_s"),
            ("token/create", json!({"kind": "stream", "name": "a\nb"}), "name"),
            ("token/create", json!({"kind": "stream", "camera": 5}), "camera"),
            ("token/revoke", json!({}), "id"),
        ] {
            let problem = Request::parse(verb, body.as_object().unwrap()).unwrap_err();
            assert_eq!(problem.field(), Some(field), "{verb} {body}: {problem}");
        }
        assert!(NEVER_OVER_MQTT.iter().all(|verb| VERBS.contains(verb)) && VERBS.contains(&SECRET_ANSWER));
    }
}
