//! `doorward user` and `doorward token` on a file, as the real program: exit codes, words, and what is never said.
//!
//! Not here: the same through a running appliance; see `tests/appliance/accounts.rs`.

#![allow(clippy::unwrap_used, reason = "a test may stop where its own ground is missing")]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

const PASSWORD: &str = "correct horse battery";

/// Exit code, standard output and standard error of the program in a folder, with this standard input.
fn doorward(folder: &Path, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    command.current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin").args(arguments);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = piped.spawn().unwrap();
    // A command that wants no password may have ended already.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    let output = process.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// The names of `user list`.
fn names(listed: &str) -> Vec<String> {
    let listed: Value = serde_json::from_str(listed).unwrap_or_else(|error| panic!("{error}: {listed}"));
    let users = listed["users"].as_array().unwrap();
    users
        .iter()
        .map(|user| format!("{} {}", user["name"].as_str().unwrap(), user["role"].as_str().unwrap()))
        .collect()
}

#[test]
fn users_are_kept_in_any_file_and_hashes_are_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let mut said = String::new();
    let file = "family.json";
    // arguments after `user`, standard input, exit code, a part of what is said
    let steps: [(&[&str], &str, i32, &str); 24] = [
        (&["list"], "", 1, "family.json does not exist"),
        (&["add", "anna"], "short\n", 1, "10 to 128"),
        (&["add", "a"], PASSWORD, 1, "3 to 32"),
        (&["add", "anna", "--role", "viewer"], PASSWORD, 1, "first user has to be an admin"),
        (&["add", "anna"], "", 1, "holds no password"),
        (&["add", "Anna"], PASSWORD, 0, "admin"),
        (&["add", "ANNA"], PASSWORD, 1, "already"),
        (&["add", "bob", "--password-stdin"], PASSWORD, 0, "viewer"),
        (&["add", "carl", "--role", "owner"], PASSWORD, 2, "possible values: viewer, admin"),
        (&["check", "anna"], PASSWORD, 0, ""),
        (&["check", "anna"], "wrong", 1, "not the password"),
        (&["check", "nobody"], PASSWORD, 1, "not the password"),
        (&["passwd", "bob"], "Password123", 1, "first that strangers try"),
        (&["passwd", "bob"], "another fine one\r\n", 0, "bob"),
        (&["check", "bob"], PASSWORD, 1, "not the password"),
        (&["check", "BOB"], "another fine one", 0, ""),
        (&["lock", "anna"], "", 1, "last admin"),
        (&["lock", "bob"], "", 0, "\"locked\": true"),
        (&["unlock", "bob"], "", 0, "\"locked\": false"),
        (&["role", "bob", "admin"], "", 0, "admin"),
        (&["logout", "bob"], "", 0, "\"ended\": 0"),
        (&["del", "anna"], "", 0, "anna"),
        (&["del", "bob"], "", 1, "last admin"),
        (&["del", "nobody"], "", 1, "There is no user nobody. (not_found)"),
    ];
    for (arguments, input, code, part) in steps {
        let arguments: Vec<&str> =
            ["user"].into_iter().chain(arguments.iter().copied()).chain(["--file", file]).collect();
        let (found, out, error) = doorward(folder.path(), &arguments, input);
        let part_is_there = out.to_lowercase().contains(&part.to_lowercase()) || error.contains(part);
        assert!(found == code && part_is_there, "{arguments:?}: {found}\n{out}\n{error}");
        said += &(out + &error);
    }
    let (_, listed, _) = doorward(folder.path(), &["user", "list", "--file", file], "");
    assert_eq!(names(&listed), ["bob admin"]);
    said += &listed;
    let path = folder.path().join(file);
    let kept = std::fs::read_to_string(&path).unwrap();
    let hash = kept.split('"').find(|text| text.starts_with("$argon2id$")).expect("a hash is kept");
    assert!(!said.contains("argon2") && !said.contains(hash.rsplit('$').next().unwrap()), "{said}");
    assert!([PASSWORD, "another fine one"].iter().all(|password| !said.contains(password)), "{said}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_is_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.json");
    for text in ["{\"version\":1,\"http_token\":\"geheim123\"}", "no JSON, geheim123"] {
        std::fs::write(&path, text).unwrap();
        for arguments in [["user", "add", "anna"], ["user", "check", "anna"], ["user", "del", "anna"]] {
            let arguments: Vec<&str> = arguments.into_iter().chain(["--file", "secrets.json"]).collect();
            let (code, out, error) = doorward(folder.path(), &arguments, PASSWORD);
            assert!(code == 1 && error.contains("holds no accounts"), "{arguments:?}: {code} {error}");
            assert!(!(out + &error).contains("geheim"), "{arguments:?}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn without_an_appliance_the_data_folder_is_worked_on() {
    let folder = tempfile::tempdir().unwrap();
    let camera = ["--set", "cameras.porch.source=demo"];
    let ask = |arguments: &[&str], input: &str| {
        let arguments: Vec<&str> =
            ["--data-dir", "data"].into_iter().chain(camera).chain(arguments.iter().copied()).collect();
        doorward(folder.path(), &arguments, input)
    };
    let (code, _, error) = ask(&["user", "list"], "");
    assert!(code == 1 && error.contains("no appliance has ever run"), "{error}");
    assert!(!folder.path().join("data").exists(), "asking makes nothing");
    assert_eq!(ask(&["user", "add", "anna"], PASSWORD).0, 0);
    assert_eq!(names(&ask(&["user", "list"], "").1), ["anna admin"]);
    assert_eq!(ask(&["user", "check", "anna"], PASSWORD).0, 0);
    let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("data"), mode("data/accounts.json")), (0o700, 0o600));
    let (code, made, error) = ask(
        &["token", "create", "--kind", "stream", "--camera", "porch", "--days", "30", "--name", "ha"],
        "",
    );
    assert_eq!(code, 0, "{error}");
    let made: Value = serde_json::from_str(&made).unwrap();
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("dw_") && made["path"].as_str().unwrap().ends_with(token), "{made}");
    let (_, listed, _) = ask(&["token", "list"], "");
    assert!(listed.contains(made["id"].as_str().unwrap()) && !listed.contains(token), "{listed}");
    let kept = std::fs::read_to_string(folder.path().join("data/accounts.json")).unwrap();
    assert!(!kept.contains(token) && !kept.contains(&token[3..]), "{kept}");
    for (arguments, code, part) in [
        (vec!["token", "create", "--kind", "stream", "--camera", "shed"], 1, "no camera shed"),
        (vec!["token", "create", "--kind", "owner"], 2, "possible values"),
        (vec!["token", "create", "--kind", "stream", "--days", "0"], 2, "1..=3650"),
        (vec!["token", "revoke", "00000000"], 1, "no token 00000000"),
        (vec!["token", "revoke", made["id"].as_str().unwrap()], 0, ""),
        (vec!["pair"], 1, "no appliance runs"),
    ] {
        let (found, out, error) = ask(&arguments, "");
        assert!(found == code && error.contains(part), "{arguments:?}: {found} {out} {error}");
    }
}
