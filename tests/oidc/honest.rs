//! With a provider that does everything right: `oidc-provider-mock`, a program of its own on top of Authlib.
//!
//! Not here: what only a dishonest one does ([`super::forger`]).

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::kit::{Begun, House, free_port, request, until};

const USERS: [&str; 4] = [
    r#"{"sub": "anna", "email": "Anna@Example.org", "email_verified": true}"#,
    r#"{"sub": "ben", "email": "ben@example.org", "email_verified": true}"#,
    r#"{"sub": "eve", "email": "eve@example.org", "email_verified": true}"#,
    r#"{"sub": "mal", "email": "anna@example.org", "email_verified": false}"#,
];

/// The provider as a process.
struct Provider {
    child: Child,
    issuer: String,
}

impl Provider {
    /// None if this Python has it not; where CI is set, it has to.
    #[expect(clippy::print_stdout, reason = "what is skipped says why")]
    fn start() -> Option<Self> {
        let python = std::env::var("DOORWARD_PYTHON").unwrap_or_else(|_| "python3".into());
        let found = Command::new(&python).args(["-W", "ignore", "-c", "import oidc_provider_mock"]).output();
        if !found.is_ok_and(|done| done.status.success()) {
            let reason = format!(
                "{python} has no oidc-provider-mock; './doorward.sh test' brings its own Python that has."
            );
            assert!(std::env::var_os("CI").is_none(), "CI is set, so this may not be skipped: {reason}");
            println!("skipped: {reason}");
            return None;
        }
        let port = free_port();
        let mut command = Command::new(&python);
        command.args(["-W", "ignore", "-m", "oidc_provider_mock", "--port", &port.to_string()]);
        // Only clients that have registered, with their secret and their one address to come back to.
        command.args(["--require-registration", "true", "--require-nonce", "true"]);
        for user in USERS {
            command.args(["--user-claims", user]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let provider = Self { child: child.expect("it runs"), issuer: format!("http://127.0.0.1:{port}") };
        until("the provider", || TcpStream::connect(("127.0.0.1", port)).ok());
        Some(provider)
    }

    /// Registers an address to come back to; id and secret.
    fn register(&self, redirect: &str) -> (String, String) {
        let body = format!(
            r#"{{"redirect_uris": ["{redirect}"], "token_endpoint_auth_method": "client_secret_basic"}}"#
        );
        let url = format!("{}/oauth2/clients", self.issuer);
        let answer = request("POST", &url, "Content-Type: application/json\r\n", &body);
        let client: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
        let text = |name: &str| client[name].as_str().unwrap_or_else(|| panic!("{client}")).to_owned();
        (text("client_id"), text("client_secret"))
    }

    /// A person signs in there, or refuses; where the browser is sent back to.
    fn consent(&self, begun: &Begun, form: &str) -> String {
        let form_type = "Content-Type: application/x-www-form-urlencoded\r\n";
        let answer = request("POST", &begun.url, form_type, form);
        assert_eq!(answer.status, 302, "{answer:?}");
        answer.location().to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn whoever_the_provider_knows_and_the_list_has_comes_in() {
    let Some(provider) = Provider::start() else { return };
    let page = free_port();
    let (id, secret) = provider.register(&format!("http://127.0.0.1:{page}/api/v1/oidc/callback"));
    let sets = [format!("oidc.client_id={id}"), format!("oidc.client_secret={secret}")];
    let house = House::start(page, &provider.issuer, &sets);
    assert_eq!(house.who("")["outside"], "the house account", "the page is told what its button says");

    let begun = house.begin();
    let back = provider.consent(&begun, "sub=anna");
    let first = house.back(&back, Some(&begun.cookie));
    let session = house.assert_in(&first, "anna@example.org", "admin");
    // The same way once more: the state is used up.
    house.assert_out(&house.back(&back, Some(&begun.cookie)), "No sign-in waits under the state");
    // The code alone with a fresh state: the provider gave its token already.
    let again = house.begin();
    let code = back.split("code=").nth(1).and_then(|rest| rest.split('&').next()).expect("a code");
    let stolen =
        format!("{}/api/v1/oidc/callback?code={code}&state={}", house.page, again.parameter("state"));
    house.assert_out(&house.back(&stolen, Some(&again.cookie)), "gives no token for the code: invalid_grant");

    let begun = house.begin();
    let ben = house.back(&provider.consent(&begun, "sub=ben"), Some(&begun.cookie));
    house.assert_in(&ben, "ben@example.org", "viewer");
    assert_eq!(house.who(&session)["user"], "anna@example.org", "another's sign-in ends no session");

    for (who, why) in [
        ("sub=eve", "eve@example.org stands neither in oidc.allowed_emails"),
        ("sub=mal", "does not say that it has verified the person's mail address"),
        ("action=deny", "answered the browser with access_denied"),
    ] {
        let begun = house.begin();
        let back = provider.consent(&begun, who);
        // The provider's own refusal carries no state when it is denied.
        let back =
            if back.contains("state=") { back } else { format!("{back}&state={}", begun.parameter("state")) };
        house.assert_out(&house.back(&back, Some(&begun.cookie)), why);
    }
    // Another browser than the one that began: without a cookie, and with that of its own sign-in.
    let (mine, theirs) = (house.begin(), house.begin());
    let link = provider.consent(&theirs, "sub=eve");
    house.assert_out(&house.back(&link, None), "begun in another browser");
    let theirs = house.begin();
    let link = provider.consent(&theirs, "sub=anna");
    house.assert_out(&house.back(&link, Some(&mine.cookie)), "begun in another browser");
    let log = house.log();
    for kept in [&secret, &session, &begun.cookie, code] {
        assert!(!log.contains(kept), "a secret stands in the log");
    }
}
