//! Users, sessions and tokens over days, as tables.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::*;
use crate::logic::access::{How, Scope};
use crate::logic::problem::Problem;

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";

fn start() -> Timestamp {
    "2026-05-01T12:00:00Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

fn home() -> IpAddr {
    "192.168.1.5".parse().unwrap()
}

/// Anna is an admin, Bob a viewer.
fn household() -> Book {
    let mut book = Book::default();
    book.add_user("Anna", Role::Admin, HASH.into(), start()).unwrap();
    book.add_user("bob", Role::Viewer, HASH.into(), start()).unwrap();
    book
}

fn sign_in(book: &mut Book, name: &str, number: u8, at: Timestamp) -> (String, Caller) {
    let secret = session_secret([number; SECRET_BYTES]);
    let (_, caller) = book.begin_session(name, home(), &secret, 30, at).unwrap();
    (session_digest(&secret), caller)
}

fn sentence(outcome: Result<(), Problem>) -> String {
    outcome.map_or_else(|problem| problem.advice(), |()| "done".into())
}

#[test]
fn names_are_unique_and_the_first_user_is_an_admin() {
    let mut book = Book::default();
    assert!(book.needs_setup());
    assert!(sentence(book.add_user("bob", Role::Viewer, HASH.into(), start())).contains("first user"));
    book.add_user("Anna", Role::Admin, HASH.into(), start()).unwrap();
    assert!(!book.needs_setup() && book.user("ANNA").unwrap().name == "Anna");
    for (name, role, part) in [
        ("anna", Role::Viewer, "already"),
        ("bo", Role::Viewer, "3 to 32"),
        ("carl", Role::Stream, "make a token"),
        ("carl", Role::Viewer, "done"),
    ] {
        let said = sentence(book.add_user(name, role, HASH.into(), start()));
        assert!(said.contains(part), "{name}: {said}");
    }
}

#[test]
fn the_last_admin_who_may_sign_in_stays() {
    type Deed = fn(&mut Book, &str) -> Result<(), Problem>;
    let deeds: [(&str, Deed); 3] = [
        ("lock", |book, name| book.lock(name)),
        ("delete", |book, name| book.delete_user(name)),
        ("make a viewer", |book, name| book.set_role(name, Role::Viewer)),
    ];
    for (what, deed) in deeds {
        let mut book = household();
        assert!(sentence(deed(&mut book, "anna")).contains("last admin"), "{what}");
        assert!(book == household(), "{what}: nothing was changed");
        assert!(sentence(deed(&mut book, "nobody")).contains("no user nobody"), "{what}");
        book.set_role("bob", Role::Admin).unwrap();
        deed(&mut book, "ANNA").unwrap();
        assert!(sentence(deed(&mut book, "bob")).contains("last admin"), "{what}: now it is Bob");
    }
    let mut book = household();
    book.lock_for_attempts("anna");
    assert!(book.user("anna").unwrap().locked.is_none(), "strangers lock no admin");
}

#[test]
fn what_ends_the_sessions_of_a_user() {
    type Deed = fn(&mut Book, &str);
    let deeds: [(&str, Deed, bool); 7] = [
        ("lock", |book, _| book.lock("bob").unwrap(), true),
        ("delete", |book, _| book.delete_user("bob").unwrap(), true),
        ("logout", |book, _| assert_eq!(book.logout("BOB").unwrap(), 1), true),
        ("a password of an admin", |book, _| book.set_password("bob", HASH.into(), None).unwrap(), true),
        ("the own password", |book, own| book.set_password("bob", HASH.into(), Some(own)).unwrap(), false),
        ("signing out", |book, own| book.end_session(own), true),
        ("wrong passwords of strangers", |book, _| book.lock_for_attempts("bob"), false),
    ];
    for (what, deed, ends) in deeds {
        let mut book = household();
        let (annas, _) = sign_in(&mut book, "anna", 1, start());
        let (bobs, caller) = sign_in(&mut book, "bob", 2, start());
        assert_eq!(book.session(&bobs, start()), Some(caller));
        deed(&mut book, &bobs);
        assert_eq!(book.session(&bobs, start()).is_none(), ends, "{what}");
        assert!(book.session(&annas, start()).is_some(), "{what}: Anna is not concerned");
    }
}

#[test]
fn a_session_ends_after_its_days_whatever_is_done_with_it() {
    let mut book = household();
    let (digest, caller) = sign_in(&mut book, "ANNA", 1, start());
    assert_eq!((caller.name.as_str(), caller.scope), ("Anna", Scope::all(Role::Admin)));
    assert_eq!(caller.how, How::Session(digest.clone()));
    let days = 30 * 86_400;
    assert_eq!(book.session_until(&digest), Some(after(days)));
    assert!(book.session(&digest, after(days - 1)).is_some() && book.session(&digest, after(days)).is_none());
    book.set_role("bob", Role::Admin).unwrap();
    book.set_role("anna", Role::Viewer).unwrap();
    assert_eq!(book.session(&digest, start()).unwrap().scope.role, Role::Viewer, "a role holds at once");
}

#[test]
fn the_oldest_session_makes_room() {
    let mut book = household();
    let first = sign_in(&mut book, "bob", 0, after(0)).0;
    for number in 1..=20 {
        sign_in(&mut book, "bob", number, after(number.into()));
    }
    assert!(book.session(&first, after(30)).is_none() && book.sessions.len() == 20);
    for number in 0..12 {
        let name = format!("user{number}");
        book.add_user(&name, Role::Viewer, HASH.into(), start()).unwrap();
        for session in 0..20_u8 {
            let secret = session_secret([100 + number; SECRET_BYTES]) + &session.to_string();
            book.begin_session(&name, home(), &secret, 30, after(100 + i64::from(session))).unwrap();
        }
    }
    assert_eq!(book.sessions.len(), 200);
    sign_in(&mut book, "anna", 9, after(30 * 86_400 + 200));
    assert_eq!(book.sessions.len(), 1, "those that have ended go first");
}

#[test]
fn name_password_lock_and_code_are_judged_in_this_order() {
    let mut book = household();
    book.lock("bob").unwrap();
    let pending = Pending::new("Anna", *b"12345678901234567890", start());
    for (name, is_right, judged) in [
        ("nobody", true, Judged::Wrong("there is no such user")),
        ("anna", false, Judged::Wrong("the password is wrong")),
        ("anna", true, Judged::In),
        ("bob", true, Judged::Wrong("the account is locked")),
        ("bob", false, Judged::Wrong("the password is wrong")),
    ] {
        assert_eq!(book.judge(name, is_right, None, start()), judged, "{name} {is_right}");
    }
    let codes = recovery_codes(&[7; RECOVERY_BYTES]);
    book.set_totp(&pending, 0, &codes).unwrap();
    let at = Timestamp::from_second(59).unwrap();
    for (is_right, code, judged) in [
        (false, Some("287082"), Judged::Wrong("the password is wrong")),
        (true, None, Judged::CodeNeeded),
        (true, Some("  "), Judged::CodeNeeded),
        (true, Some("287083"), Judged::Wrong("the code is wrong or was used")),
        (true, Some("287082"), Judged::In),
        (true, Some("287082"), Judged::Wrong("the code is wrong or was used")),
        (true, Some(codes[0].as_str()), Judged::In),
    ] {
        assert_eq!(book.judge("anna", is_right, code, at), judged, "{code:?}");
    }
    assert!(book.end_totp("anna").unwrap() && !book.end_totp("anna").unwrap());
    assert_eq!(book.judge("anna", true, None, at), Judged::In);
}

#[test]
fn a_network_is_known_for_thirty_days() {
    let mut book = household();
    sign_in(&mut book, "anna", 1, start());
    let elsewhere: IpAddr = "203.0.113.9".parse().unwrap();
    for (name, network, seconds, known) in [
        ("anna", home(), 0, true),
        ("ANNA", home(), 30 * 86_400, true),
        ("anna", home(), 30 * 86_400 + 1, false),
        ("anna", elsewhere, 0, false),
        ("bob", home(), 0, false),
    ] {
        assert_eq!(book.is_known_from(name, network, after(seconds)), known, "{name} {network} {seconds}");
    }
    for last in 0..40 {
        let network = IpAddr::from([10, 0, last, 1]);
        book.begin_session("anna", network, &last.to_string(), 30, after(last.into())).unwrap();
    }
    assert_eq!(book.user("anna").unwrap().known.len(), 16);
    assert!(book.is_known_from("anna", IpAddr::from([10, 0, 39, 1]), start()));
}

#[test]
fn outside_identities_come_and_go_with_the_configuration() {
    let mut book = household();
    let secret = session_secret([1; SECRET_BYTES]);
    let (_, caller) = book.begin_outside("carl@example.org", Role::Viewer, &secret, 30, start());
    let digest = session_digest(&secret);
    assert_eq!(book.session(&digest, start()), Some(caller));
    let kept =
        |book: &mut Book, role| book.keep_outside(|email| (email == "carl@example.org").then_some(role));
    assert!(!kept(&mut book, Role::Viewer) && book.session(&digest, start()).is_some());
    assert!(kept(&mut book, Role::Admin) && book.session(&digest, start()).is_none());
    book.begin_outside("carl@example.org", Role::Viewer, &secret, 30, start());
    assert_eq!(book.logout("carl@example.org").unwrap(), 1);
    assert!(book.logout("carl@example.org").is_err());
}

fn wanted(kind: Role, camera: Option<&str>, ttl_s: Option<u64>) -> Wanted {
    Wanted { name: "ha".into(), kind, camera: camera.map(str::to_owned), ttl_s }
}

#[test]
fn a_token_is_shown_once_limited_and_revoked() {
    let mut book = household();
    let random: [u8; TOKEN_BYTES] = std::array::from_fn(|at| at as u8);
    let made = book.create_token(wanted(Role::Stream, Some("porch"), Some(3600)), &random, start()).unwrap();
    let secret = made["token"].as_str().unwrap().to_owned();
    assert_eq!(secret, "dw_456789abcdefghjkmnpqrstvwxy");
    assert!(is_token(&secret) && (secret.len() - 3) * 5 >= 128);
    assert_eq!(made["id"], "00010203");
    assert_eq!(made["expires"], "2026-05-01T13:00:00.000Z");
    assert_eq!(made["path"], json!(format!("/api/v1/cameras/porch/stream.mjpeg?token={secret}")));
    let listed = book.tokens_json(start()).to_string() + &serde_json::to_string(&book).unwrap();
    assert!(!listed.contains(&secret) && !listed.contains(&secret[3..]), "{listed}");
    let caller = book.token(&secret, after(3599)).unwrap();
    assert_eq!((&caller.name[..], &caller.scope.camera), ("token ha", &Some("porch".into())));
    assert!(
        caller.may(Role::Stream, Some("porch")).is_ok() && caller.may(Role::Stream, Some("shed")).is_err()
    );
    assert_eq!(book.token_of_id("00010203", start()), Some(caller));
    assert!(
        book.token(&secret, after(3600)).is_none() && book.token_of_id("00010203", after(3600)).is_none()
    );
    assert!(book.token(&secret[..29], start()).is_none());
    assert_eq!(book.token_until("00010203"), Some(after(3600)));
    book.revoke("00010203").unwrap();
    assert!(book.token(&secret, start()).is_none() && book.revoke("00010203").is_err());
}

#[test]
fn there_are_so_many_tokens_and_no_more() {
    let mut book = Book::default();
    let make = |book: &mut Book, number: u8, at| {
        book.create_token(wanted(Role::Viewer, None, Some(60)), &[number; TOKEN_BYTES], at).map(drop)
    };
    for number in 0..MOST_TOKENS {
        make(&mut book, number as u8, start()).unwrap();
    }
    assert!(sentence(make(&mut book, 250, start())).contains("revoke one"));
    make(&mut book, 250, after(60)).unwrap();
    assert_eq!(book.tokens.len(), 1, "those that have ended make room");
}

#[test]
fn what_is_kept_is_read_again_and_mistakes_are_found() {
    let mut book = household();
    sign_in(&mut book, "anna", 1, start());
    book.lock("bob").unwrap();
    book.set_totp(&Pending::new("anna", [1; TOTP_BYTES], start()), 5, &["aaaaa-bbbbb".into()]).unwrap();
    book.begin_outside("carl@example.org", Role::Admin, "x", 1, start());
    book.create_token(wanted(Role::Stream, Some("porch"), None), &[3; TOKEN_BYTES], start()).unwrap();
    let text = serde_json::to_string(&book).unwrap();
    let again: Book = serde_json::from_str(&text).unwrap();
    assert!(again == book && again.check() == Ok(()));
    for (good, bad) in [
        ("\"version\":1", "\"version\":2"),
        ("\"bob\"", "\"ANNA\""),
        ("\"bob\"", "\"b\""),
        ("$argon2id$", "$plain$"),
        ("\"role\":\"viewer\"", "\"role\":\"stream\""),
        ("\"digest\":\"", "\"digest\":\"x"),
    ] {
        let damaged = text.replacen(good, bad, 1);
        assert_ne!(damaged, text, "{good}");
        let damaged: Book = serde_json::from_str(&damaged).unwrap();
        assert!(damaged.check().is_err(), "{bad}");
    }
}

#[test]
fn nobody_gets_in_by_a_debug_line() {
    let wish = SelfService::SignIn { name: "anna".into(), password: "correct horse".into(), code: None };
    assert_eq!(format!("{wish:?}"), "SignIn \"anna\"");
}
