//! Signing in with an outside identity: half of it is a mistake, and whom it lets in is exact.

use super::{Case, faults_of};

const GOOD: &str = "http.url = \"https://door.example.org/cam/\"\n[oidc]\nissuer = \"https://id.example.org/realm\"\n\
                    client_id = \"door\"\nallowed_emails = \"anna@example.org, Ben@example.org\"\n";

#[test]
fn it_is_off_unless_an_issuer_is_named() {
    assert!(Case::new().good().oidc.is_none());
    assert!(Case::new().file("[oidc]\nissuer = \"\"\nname = \"another account\"").good().oidc.is_none());
    let oidc = Case::new().file(GOOD).good().oidc.unwrap();
    assert_eq!(oidc.redirect, "https://door.example.org/cam/api/v1/oidc/callback");
    assert_eq!(
        (oidc.issuer_name.as_str(), oidc.name.as_str()),
        ("https://id.example.org/realm", "another account")
    );
    assert_eq!(oidc.guests.admins, ["anna@example.org", "Ben@example.org"]);
    assert!(oidc.client_secret.is_none() && oidc.guests.viewers.is_empty());
}

#[test]
fn the_secret_may_stand_in_a_file_and_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "geheim\n").unwrap();
    let case = Case::new().file(GOOD).set(&format!("oidc.client_secret_file={}", file.display()));
    let oidc = case.good().oidc.unwrap();
    assert_eq!(oidc.client_secret.as_ref().unwrap().expose(), "geheim");
    assert!(!format!("{oidc:?}").contains("geheim"));
    let faults = Case::new().file(GOOD).set("oidc.client_secret=ge heim").lines();
    assert_eq!(faults.len(), 1);
    assert!(!faults[0].contains("heim\"") && !faults[0].contains("ge heim"), "{faults:?}");
}

#[test]
fn what_is_missing_or_unsafe_is_told() {
    let page = "http.url = \"https://door.example.org\"\n";
    let emails = "allowed_emails = \"a@example.org\"\n";
    let needs_page = "needs http.url to be the page's address as people type it, with https:// (http:// only on this machine \
                      itself) and without ? and #: the provider sends the browser back there";
    let needs_issuer = "needs oidc.issuer too; set it, or remove this key";
    let issuer = |text: &str| format!("{page}[oidc]\nissuer = \"{text}\"\nclient_id = \"c\"\n{emails}");
    let table: Vec<(String, Vec<String>)> = vec![
        (
            format!("{page}[oidc]\nclient_id = \"c\"\nviewer_emails = \"a@example.org\""),
            vec![
                format!("oidc.client_id: {needs_issuer} (doorward.toml:3)"),
                format!("oidc.viewer_emails: {needs_issuer} (doorward.toml:4)"),
            ],
        ),
        (
            format!("{page}[oidc]\nissuer = \"https://id.example.org\""),
            vec![
                "oidc.client_id: needed with oidc.issuer; the provider gives it (doorward.toml:3)".into(),
                "oidc.allowed_emails: needed with oidc.issuer, else nobody could sign in; name the mail addresses that may \
                 come in as admins, or others in oidc.viewer_emails (doorward.toml:3)"
                    .into(),
            ],
        ),
        (
            format!("[oidc]\nissuer = \"https://id.example.org\"\nclient_id = \"c\"\n{emails}"),
            vec![format!("oidc.issuer: {needs_page} (doorward.toml:2)")],
        ),
        (
            format!(
                "http.url = \"http://door.lan:8420\"\n[oidc]\nissuer = \"https://id.example.org\"\nclient_id = \"c\"\n{emails}"
            ),
            vec![format!("oidc.issuer: {needs_page} (doorward.toml:3)")],
        ),
        (
            format!("{}viewer_emails = \"A@EXAMPLE.org\"", issuer("https://id.example.org")),
            vec![
                "oidc.viewer_emails: A@EXAMPLE.org stands in oidc.allowed_emails too; remove it from one of them (doorward.toml:6)"
                    .into(),
            ],
        ),
    ];
    for (file, expected) in table {
        assert_eq!(faults_of(&file), expected, "{file}");
    }
    for safe in
        ["https://id.example.org", "http://127.0.0.1:9400", "http://localhost:9400/x", "http://[::1]:9400"]
    {
        assert_eq!(faults_of(&issuer(safe)), Vec::<String>::new(), "{safe}");
    }
    for odd in [
        "http://id.example.org",
        "http://127.0.0.1.evil.example",
        "https://u:p@id.example.org",
        "https://id?x",
        "id",
    ] {
        let faults = faults_of(&issuer(odd));
        assert!(faults[0].contains("needs the provider's address with https://"), "{odd}: {faults:?}");
    }
    for odd in
        ["*@example.org", "@example.org", "anna", "Anna <anna@example.org>", "a@example.org b@example.org"]
    {
        let text = format!(
            "{page}[oidc]\nissuer = \"https://id.example.org\"\nclient_id = \"c\"\nallowed_emails = \"{odd}\""
        );
        let faults = faults_of(&text);
        assert!(faults[0].contains("patterns are not taken"), "{odd}: {faults:?}");
    }
}
