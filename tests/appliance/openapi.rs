//! The OpenAPI document in the hands of a stranger: Schemathesis makes requests of it and judges the answers by it.
//!
//! Not here: the same document walked with every credential (`tests/routes.rs`).

use std::path::Path;
use std::time::{Duration, Instant};

use crate::kit::Home;
use crate::observer::tool;

/// What is left out, and why.
const LEFT_OUT: [(&str, &str); 4] = [
    // Restarts, writes configuration and backups; what the other verbs take is not in the document.
    ("path", "/api/v1/requests/{verb}"),
    // Never ends by itself.
    ("path", "/api/v1/cameras/{camera}/stream.mjpeg"),
    // Half a minute of looking for faces in nothing.
    ("path", "/api/v1/faces/{verb}"),
    // Its secret would be the only thing that differs from the other tokens, and they pile up.
    ("operation-id", "post_tokens"),
];
/// Five hundreds, other statuses and types than promised, other shapes than promised, methods that should not be there, and bodies and
/// queries that should have been refused. Doors that open without a key are `tests/routes.rs`'s: here too many wrong keys would be told to wait.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      unsupported_method,negative_data_rejection";

/// What stands in paths, so that there is something behind most of them.
const PLACES: &str = "[parameters]\n\"path.camera\" = \"porch\"\n\"path.key\" = \"fps\"\n";

#[test]
fn schemathesis_finds_nothing_wrong() {
    let home = Home::embedded(&["cameras.porch.source=demo"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = tool(&std::env::var("DOORWARD_PYTHON").unwrap_or_else(|_| "python3".into()));
    std::fs::write(folder.path().join("schemathesis.toml"), PLACES).expect("a file");
    command.current_dir(folder.path()).args(["-m", "schemathesis.cli", "run"]);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json"));
    command.arg("--url").arg(format!("http://{}", home.facts.http));
    command.arg("--header").arg(format!("Authorization: Bearer {}", home.facts.token.expose()));
    command.args(["--checks", CHECKS, "--max-examples", "5", "--phases", "coverage,fuzzing"]);
    command.args(["--generation-deterministic"]);
    command.args(["--no-shrink", "--request-timeout", "10", "--no-color", "--warnings", "off"]);
    for (kind, value) in LEFT_OUT {
        command.arg(format!("--exclude-{kind}")).arg(value);
    }
    let began = Instant::now();
    let output = command.output().expect("python3 runs; ./doorward.sh test brings its own");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("No issues found"), "{text}");
    assert!(began.elapsed() < Duration::from_secs(90), "it took {:?}", began.elapsed());
    assert_eq!(home.get("/healthz").0, 200, "and the appliance is well");
}
