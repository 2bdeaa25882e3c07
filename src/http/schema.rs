//! The shapes of JSON that REST takes and answers, in a few words each, for the OpenAPI document.
//!
//! A shape is a list of `field:type`. After the name, `?` says that the field may be missing; after the type, that it may be null. Types are
//! `string`, `integer`, `number`, `boolean`, `time`, `when` (a time or nothing), `date`, `secret`, `role` (viewer, admin), `kind` (those and stream),
//! `switch` (as a query has it), `any`, ranges such as
//! `integer(1..500)` and lengths such as `string(1..64)`, the name of another shape, and `[type]` for a list.
//! Not here: which operation has which ([`super::table`]).

use serde_json::{Map, Value, json};

/// What is taken: nothing but these fields.
pub(super) const TAKEN: &[(&str, &str)] = &[
    ("SignIn", "user:string(1..) password:secret code?:string?"),
    ("Setup", "code:string(1..) name:string(1..) password:secret"),
    ("NewPassword", "old:secret new:secret"),
    ("Password", "password:secret"),
    ("TotpCode", "code:string(1..)"),
    ("NewUser", "name:string(1..) password:secret role:role"),
    ("UserChange", "role?:role locked?:boolean password?:secret end_totp?:boolean"),
    ("NewToken", "kind:kind camera?:string? name?:string? ttl_s?:integer(1..)?"),
];

/// What is answered: these fields, and others as they come to be.
pub(super) const ANSWERED: &[(&str, &str)] = &[
    ("Problem", "error:string code:string detail:string faults?:any"),
    ("Done", ""),
    ("Anything", ""),
    ("Removed", "removed:integer"),
    ("About", "version:string node:string fingerprint:string?"),
    (
        "Session",
        "user:string? role:kind? camera:string? how:string? until:time? totp:boolean needs_setup:boolean outside:string?",
    ),
    ("TotpSecret", "secret:string uri:string qr_svg:string?"),
    ("RecoveryCodes", "recovery_codes:[string]"),
    ("Users", "users:[User]"),
    (
        "User",
        "name:string role:role locked:boolean totp:boolean created:time last_sign_in:time? sessions:integer",
    ),
    ("AddedUser", "name:string role:role"),
    ("Tokens", "tokens:[Token]"),
    ("Token", "id:string name:string kind:kind camera:string? created:time expires:time?"),
    ("MadeToken", "id:string token:string kind:kind camera:string? name:string expires:time? path:string?"),
    ("AuditLog", "total:integer entries:[AuditEntry]"),
    (
        "AuditEntry",
        "id:integer ts:time level:string type:string alert:boolean user:string address:string text:string",
    ),
    ("State", "node:Node cameras:[Camera] people:[Person] events:[Event]"),
    ("Node", "version:string uptime_s:integer rss_mb:number cpu_pct:number mqtt_connected:boolean"),
    (
        "Camera",
        "id:string name:string area:string? status:CameraStatus opened:any motion:boolean present:[Person] unknown_present:boolean entities:[Entity]",
    ),
    ("CameraStatus", "state:string since:time problem:any"),
    ("Person", "person:string name:string"),
    ("Entity", "key:string name:string doc:string category:string kind:string value:string?"),
    ("WrittenEntity", "key:string value:string? event?:string"),
    ("TakenSnapshot", "event:string path:string"),
    ("Events", "total:integer limit:integer offset:integer events:[Event]"),
    ("Event", "v:integer id:string event_type:string sort:string ts:time title:string message:string"),
];

/// Every shape, for `components/schemas`.
pub(super) fn all() -> Map<String, Value> {
    let taken = TAKEN.iter().map(|(name, fields)| ((*name).to_owned(), object(fields, false)));
    let answered = ANSWERED.iter().map(|(name, fields)| ((*name).to_owned(), object(fields, true)));
    taken.chain(answered).collect()
}

/// A shape of its own by name.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn object(fields: &str, is_open: bool) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in fields.split_whitespace() {
        let (name, kind) = field.split_once(':').expect("a field has a name and a type");
        let name = match name.strip_suffix('?') {
            Some(name) => name,
            None => {
                required.push(name);
                name
            }
        };
        properties.insert(name.into(), of(kind));
    }
    let mut object = json!({ "type": "object", "properties": properties, "additionalProperties": is_open });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// One type.
pub(super) fn of(kind: &str) -> Value {
    if let Some(kind) = kind.strip_suffix('?') {
        return nullable(of(kind));
    }
    if let Some(kind) = kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']')) {
        return json!({ "type": "array", "items": of(kind) });
    }
    let (word, range) = match kind.split_once('(') {
        Some((word, range)) => (word, range.strip_suffix(')').and_then(|range| range.split_once(".."))),
        None => (kind, None),
    };
    let mut schema = match word {
        "string" | "integer" | "number" | "boolean" => json!({ "type": word }),
        "time" => json!({ "type": "string", "format": "date-time" }),
        // In a query: empty is not given.
        "when" => json!({ "type": "string", "anyOf": [{ "format": "date-time" }, { "maxLength": 0 }] }),
        "date" => json!({ "type": "string", "format": "date" }),
        "secret" => json!({ "type": "string", "format": "password", "minLength": 1 }),
        "role" => json!({ "type": "string", "enum": ["viewer", "admin"] }),
        "switch" => json!({ "type": "string", "enum": ["0", "1", "false", "true", "off", "on"] }),
        "kind" => json!({ "type": "string", "enum": ["stream", "viewer", "admin"] }),
        "any" => json!({}),
        shape => reference(shape),
    };
    let bounds = if word == "string" { ["minLength", "maxLength"] } else { ["minimum", "maximum"] };
    let ends = range.map_or(["", ""], |(from, to)| [from, to]);
    for (bound, end) in bounds.into_iter().zip(ends) {
        if let Ok(end) = end.parse::<i64>() {
            schema[bound] = json!(end);
        } else if let Ok(end) = end.parse::<f64>() {
            schema[bound] = json!(end);
        }
    }
    schema
}

fn nullable(mut schema: Value) -> Value {
    match schema.get("type").cloned() {
        None => json!({ "anyOf": [schema, { "type": "null" }] }),
        Some(kind) => {
            schema["type"] = json!([kind, "null"]);
            if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
                words.push(Value::Null);
            }
            schema
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_json_schema() {
        assert_eq!(
            object("name:string(1..64) role?:kind? n:integer(1..500) fps:number(0.1..60) of:[Event]", false),
            json!({
                "type": "object",
                "additionalProperties": false,
                "required": ["name", "n", "fps", "of"],
                "properties": {
                    "name": { "type": "string", "minLength": 1, "maxLength": 64 },
                    "role": { "type": ["string", "null"], "enum": ["stream", "viewer", "admin", null] },
                    "n": { "type": "integer", "minimum": 1, "maximum": 500 },
                    "fps": { "type": "number", "minimum": 0.1, "maximum": 60 },
                    "of": { "type": "array", "items": { "$ref": "#/components/schemas/Event" } },
                },
            })
        );
        assert_eq!(of("any"), json!({}));
        assert_eq!(of("Event?"), json!({ "anyOf": [reference("Event"), { "type": "null" }] }));
    }
}
