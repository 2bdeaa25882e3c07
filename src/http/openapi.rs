//! The table of routes as documents: OpenAPI for programs, the table of `docs/http.md` for people.
//!
//! Not here: what stands in them ([`super::table`], [`super::schema`]).

use serde_json::{Map, Value, json};

use super::schema;
use super::table::{Body, MAX_BODY, Needs, Operation, Param, Row, TABLE};
use crate::logic::faces::training;
use crate::logic::request;

/// Version of the interface: it counts up when an answer changes so that programs of today would misread it.
const VERSION: &str = "1";

/// The OpenAPI document. `x-role` says who may, `x-max-body` how many bytes a body may have.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for row in TABLE {
        let operations = row
            .operations
            .iter()
            .map(|operation| (operation.method.word().to_lowercase(), self::operation(row, operation)));
        paths.insert(row.path.replace('*', ""), Value::Object(operations.collect()));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Doorward",
            "version": VERSION,
            "description": "Everything that Doorward does over HTTP. Paths below /api/v1 are the same below /api.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schema::all(),
            "responses": { "Problem": problem() },
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "basic": { "type": "http", "scheme": "basic", "description": "Any user name, a token as the password." },
                "address": { "type": "apiKey", "in": "query", "name": "token", "description": "A token, on GET only." },
                "session": { "type": "apiKey", "in": "cookie", "name": "doorward", "description": "Set by POST /api/v1/session." },
            },
        },
    })
}

fn problem() -> Value {
    json!({
        "description": "What went wrong, in words for people and a code for programs.",
        "content": { "application/json": { "schema": schema::reference("Problem") } },
    })
}

fn operation(row: &Row, operation: &Operation) -> Value {
    let mut document = json!({
        "summary": operation.summary,
        "operationId": id(row, operation),
        "x-role": role(operation.needs),
        "security": security(operation),
        "responses": responses(row, operation),
    });
    let parameters: Vec<Value> =
        of_path(row.path).map(path_parameter).chain(operation.query.iter().map(query_parameter)).collect();
    if !parameters.is_empty() {
        document["parameters"] = json!(parameters);
    }
    if let Some(content) = content(operation.body) {
        document["x-max-body"] = json!(operation.body.limit(MAX_BODY));
        document["requestBody"] = json!({ "required": operation.body != Body::Fields, "content": content });
    }
    document
}

/// Names of the parameters in a path.
fn of_path(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// Such as `get_events_id`.
fn id(row: &Row, operation: &Operation) -> String {
    let path = row.path.trim_start_matches("/api/v1").replace(['{', '}', '*'], "");
    let words = path.split(['/', '.']).filter(|word| !word.is_empty());
    let method = operation.method.word().to_lowercase();
    let id = std::iter::once(method.as_str()).chain(words).collect::<Vec<_>>().join("_");
    if path == "/" { "get_page".into() } else { id }
}

fn role(needs: Needs) -> &'static str {
    match needs {
        Needs::Nothing => "open",
        Needs::Role(role) => role.word(),
        Needs::Session => "session",
        Needs::Verb(_) => "of the verb",
    }
}

fn security(operation: &Operation) -> Value {
    let is_read = operation.method.word() == "GET" && !operation.is_page();
    match operation.needs {
        Needs::Nothing => json!([]),
        Needs::Session => json!([{ "session": [] }]),
        Needs::Role(_) | Needs::Verb(_) if is_read => {
            json!([{ "bearer": [] }, { "basic": [] }, { "address": [] }, { "session": [] }])
        }
        Needs::Role(_) | Needs::Verb(_) => json!([{ "bearer": [] }, { "basic": [] }, { "session": [] }]),
    }
}

fn responses(row: &Row, operation: &Operation) -> Value {
    let mut responses = Map::new();
    for answer in operation.answers {
        let content = match answer.schema {
            "" => json!({}),
            name => json!({ "schema": schema::reference(name) }),
        };
        let kind = answer.kind.split(';').next().unwrap_or(answer.kind);
        responses.insert(
            answer.status.to_string(),
            json!({ "description": operation.summary, "content": { kind: content } }),
        );
    }
    let refused = json!({ "$ref": "#/components/responses/Problem" });
    let mut refusals = vec!["default"];
    if operation.needs != Needs::Nothing {
        refusals.extend(["401", "403"]);
    }
    if content(operation.body).is_some() {
        refusals.extend(["400", "413"]);
    }
    if row.path.contains('{') {
        refusals.push("404");
    }
    for status in refusals {
        responses.entry(status).or_insert_with(|| refused.clone());
    }
    // A card or words instead of the answer, or a problem.
    if let Some(unwell) = responses.get_mut("503") {
        unwell["content"]["application/json"] = json!({ "schema": schema::reference("Problem") });
    }
    // People who look at a page are told in one, where a page of ours answers at all.
    if operation.is_page() {
        let content =
            json!({ "text/html": {}, "application/json": { "schema": schema::reference("Problem") } });
        responses["default"] = json!({ "description": "what went wrong", "content": content });
    }
    // Nobody who is turned away at a page is told so in JSON.
    if let Some(refused) = responses.get_mut("401").filter(|_| operation.is_page()) {
        *refused = json!({ "description": "the page to sign in", "content": { "text/html": {} } });
    }
    Value::Object(responses)
}

fn path_parameter(name: &str) -> Value {
    let (what, known): (&str, Vec<String>) = match name {
        "camera" => ("id of a camera", Vec::new()),
        "id" => ("id of what is meant", Vec::new()),
        "name" => ("name of a user", Vec::new()),
        "key*" => ("key of an entity, such as `fps`; it may have slashes", Vec::new()),
        "verb" => ("what to do", training::VERBS.map(str::to_owned).to_vec()),
        _verb => ("what to do; it may have slashes", request::verbs().collect()),
    };
    let mut kind = json!({ "type": "string", "minLength": 1 });
    if !known.is_empty() {
        kind = json!({ "type": "string", "enum": known });
    }
    json!({ "name": name.trim_end_matches('*'), "in": "path", "required": true, "description": what, "schema": kind })
}

fn query_parameter(param: &Param) -> Value {
    json!({ "name": param.name, "in": "query", "description": param.what, "schema": schema::of(param.kind) })
}

fn content(body: Body) -> Option<Value> {
    let picture = json!({});
    match body {
        Body::Nothing => None,
        Body::Json(shape) => Some(json!({ "application/json": { "schema": schema::reference(shape) } })),
        Body::Fields => Some(json!({ "application/json": { "schema": { "type": "object" } } })),
        Body::Photo => Some(json!({
            "application/json": { "schema": { "type": "object" } }, "image/jpeg": picture, "image/png": picture,
        })),
        Body::Value => Some(json!({
            "text/plain": { "schema": { "type": "string" } },
            "application/json": { "schema": {
                "type": "object",
                "properties": { "value": { "type": ["string", "number", "boolean"] }, "transaction": {} },
                "required": ["value"],
                "additionalProperties": false,
            } },
        })),
    }
}

/// The table of `docs/http.md`, without the short spelling of paths.
#[cfg(test)]
fn manual() -> String {
    let mut text = String::from("| Method and path | Who | What |\n| --- | --- | --- |\n");
    for row in TABLE {
        for operation in row.operations {
            let names: Vec<&str> = operation.query.iter().map(|param| param.name).collect();
            let query = if names.is_empty() { String::new() } else { format!("?{}=", names.join("=&")) };
            let path = row.path.replace("{verb*}", "<verb>").replace("{key*}", "<key>");
            let path = path.replace('{', "<").replace('}', ">");
            let (method, who) = (operation.method.word(), role(operation.needs));
            text += &format!("| `{method} {path}{query}` | {who} | {} |\n", operation.summary);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    const BEGIN: &str = "<!-- The table begins. It is written by a test: DOORWARD_BLESS=1 cargo test --lib http::openapi -->\n\n";
    const END: &str = "\n<!-- The table ends. -->";

    fn file(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
    }

    fn compare(path: &Path, expected: &str) {
        if std::env::var_os("DOORWARD_BLESS").is_some_and(|bless| bless == "1") {
            std::fs::write(path, expected).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap();
        assert!(found == expected, "{} is not up to date; run this with DOORWARD_BLESS=1", path.display());
    }

    #[test]
    fn the_openapi_document_is_up_to_date() {
        let text = serde_json::to_string_pretty(&document()).unwrap() + "\n";
        compare(&file("docs/openapi.json"), &text);
    }

    #[test]
    fn the_table_in_the_manual_is_up_to_date() {
        let path = file("docs/http.md");
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        compare(&path, &format!("{before}{BEGIN}{}{END}{after}", manual()));
    }

    /// What is named is there, and nothing is there that nobody names.
    #[test]
    fn every_shape_is_used_and_every_name_is_unique() {
        let document = document();
        let text = document.to_string();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for name in schemas.keys() {
            assert!(text.contains(&format!("\"#/components/schemas/{name}\"")), "{name} is used nowhere");
        }
        for part in text.split("\"#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "there is no shape {name}");
        }
        let ids: Vec<&str> =
            text.split("\"operationId\":\"").skip(1).map(|part| part.split('"').next().unwrap()).collect();
        let unique: std::collections::BTreeSet<&&str> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len(), "{ids:?}");
        assert_eq!(ids.len(), TABLE.iter().map(|row| row.operations.len()).sum::<usize>());
    }
}
