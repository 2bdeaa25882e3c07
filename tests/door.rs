//! The real door with its thread and its file: who comes in, who is slowed, who is shown out, and what is left on the disk.
//!
//! Time goes in as an argument where days matter. Not here: HTTP.

#![allow(clippy::unwrap_used, reason = "a test may stop where its own ground is missing")]

use std::net::IpAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use doorward::audit::{self, Order};
use doorward::door::{Door, Keeper, Parts, Served, Shown};
use doorward::inbox::{self, Inbox};
use doorward::logic::access::{Caller, How, Role};
use doorward::logic::accounts::{Origin, Pairing, Request, SelfService, Settings};
use doorward::logic::command::Answer;
use doorward::logic::input::{Alarm, AlarmKind, Input, Now};
use doorward::logic::problem::Problem;
use doorward::store::AccountsFile;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

const KEY: &str = "9f2c4b7e1d8a4c03b5e6f7a8091b2c3d";
const PASSWORD: &str = "correct horse battery";

/// A door without its thread: each wish is carried out at once, at the time that the test says.
struct House {
    door: Door,
    keeper: Keeper,
    inputs: Receiver<inbox::Request>,
    entries: Receiver<Order>,
    start: Now,
}

fn parts(folder: &Path, inbox: Inbox, audit: audit::Log) -> Parts<'static> {
    let mut opened = AccountsFile::open(folder).unwrap();
    Parts {
        local_key: KEY,
        settings: Settings::default(),
        book: opened.book,
        save: Box::new(move |book| opened.file.save(book).map_err(|error| error.source.to_string())),
        inbox,
        audit,
    }
}

fn origin(address: &str) -> Origin {
    Origin { address: address.parse::<IpAddr>().unwrap(), route: address.into() }
}

const HOME: &str = "192.168.1.5";

impl House {
    fn open(folder: &Path) -> Self {
        let ((inbox, inputs), (audit, entries)) = (Inbox::new(), audit::Log::new());
        let (door, keeper) = Door::new(parts(folder, inbox, audit));
        Self { door, keeper, inputs, entries, start: Now { instant: Instant::now(), wall: Timestamp::now() } }
    }

    /// With Anna, an admin, and Bob, a viewer.
    fn household(folder: &Path) -> Self {
        let mut house = Self::open(folder);
        house.add("Anna", Role::Admin);
        house.add("bob", Role::Viewer);
        house
    }

    fn add(&mut self, name: &str, role: Role) {
        self.verb(Request::AddUser { name: name.into(), password: PASSWORD.into(), role }).unwrap();
    }

    fn at(&self, seconds: u64) -> Now {
        let instant = self.start.instant + Duration::from_secs(seconds);
        Now { instant, wall: self.start.wall + SignedDuration::from_secs(seconds as i64) }
    }

    fn verb(&mut self, request: Request) -> Result<Value, Problem> {
        self.keeper.verb(request, self.start)
    }

    fn serve(&mut self, wish: SelfService, from: &str, seconds: u64) -> Result<Served, Problem> {
        let now = self.at(seconds);
        self.keeper.serve(wish, &origin(from), now)
    }

    fn try_in(
        &mut self,
        name: &str,
        password: &str,
        from: &str,
        seconds: u64,
    ) -> Result<(String, Caller), Problem> {
        let wish = SelfService::SignIn { name: name.into(), password: password.into(), code: None };
        self.serve(wish, from, seconds).map(signed_in)
    }

    fn alarms(&self) -> Vec<Alarm> {
        let alarm = |request: inbox::Request| match request.input {
            Input::Alarm(alarm) => Some(alarm),
            _ => None,
        };
        self.inputs.try_iter().filter_map(alarm).collect()
    }

    /// User and text of each entry.
    fn notes(&self) -> Vec<(String, String)> {
        let noted = self.entries.try_iter().filter_map(|order| match order {
            Order::Note(entry) => Some((entry.user, entry.text)),
            Order::Ask(..) => None,
        });
        noted.collect()
    }
}

fn signed_in(served: Served) -> (String, Caller) {
    match served {
        Served::SignedIn { secret, caller, .. } => (secret, caller),
        Served::Done(_) => panic!("nobody was signed in"),
    }
}

fn told(served: Served) -> Value {
    match served {
        Served::Done(value) => value,
        other => panic!("{other:?}"),
    }
}

fn code<T>(outcome: Result<T, Problem>) -> &'static str {
    outcome.map_or_else(|problem| problem.code(), |_| "ok")
}

fn set_up(code: &str, name: &str, password: &str) -> SelfService {
    SelfService::Setup { code: code.into(), name: name.into(), password: password.into() }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn the_first_user_needs_the_pairing_code_and_only_the_first() {
    let folder = folder();
    let mut house = House::open(folder.path());
    assert_eq!(
        code(house.serve(set_up("0000-0000", "anna", PASSWORD), HOME, 0)),
        "pairing_code",
        "none was made"
    );
    let first = house.keeper.pair(house.start.wall).unwrap();
    let pairing = house.keeper.pair(house.start.wall).unwrap();
    for (typed, name, password, expected) in [
        ("", "anna", PASSWORD, "pairing_code"),
        (&*first.code(), "anna", PASSWORD, "pairing_code"),
        (&pairing.code(), "an", PASSWORD, "bad_account"),
        (&pairing.code(), "anna", "short", "bad_account"),
    ] {
        assert_eq!(code(house.serve(set_up(typed, name, password), HOME, 1)), expected, "{typed} {name}");
        assert!(house.door.needs_setup() && !folder.path().join("accounts.json").exists(), "nothing is left");
    }
    assert_eq!(
        code(house.serve(set_up(&pairing.code(), "anna", PASSWORD), HOME, 901)),
        "pairing_code",
        "too late"
    );
    assert!(house.door.needs_setup());
    let small = pairing.code().to_lowercase().replace('-', "");
    let (secret, caller) = signed_in(house.serve(set_up(&small, "anna", PASSWORD), HOME, 899).unwrap());
    assert_eq!((caller.name.as_str(), caller.scope.role), ("anna", Role::Admin));
    assert_eq!(house.door.who(Shown::Session(&secret), false, house.at(899).wall), Some(caller));
    for typed in ["", &pairing.code()] {
        assert_eq!(code(house.serve(set_up(typed, "eve", PASSWORD), HOME, 900)), "set_up_already");
    }
    assert_eq!(code(house.verb(Request::Pair)), "set_up_already");
    let mut again = House::open(folder.path());
    assert!(!again.door.needs_setup());
    assert_eq!(code(again.try_in("ANNA", PASSWORD, HOME, 0)), "ok");
    assert!(again.keeper.pair(again.start.wall).is_err());
}

#[test]
fn pairing_codes_are_guessed_slowly_and_the_right_one_still_works_later() {
    let folder = folder();
    let mut house = House::open(folder.path());
    let pairing: Pairing = house.keeper.pair(house.start.wall).unwrap();
    for _ in 0..5 {
        assert_eq!(code(house.serve(set_up("0000-0000", "eve", PASSWORD), "203.0.113.9", 0)), "pairing_code");
    }
    for typed in ["0000-0000", &pairing.code()] {
        let refused = house.serve(set_up(typed, "eve", PASSWORD), "203.0.113.9", 1);
        assert_eq!(code(refused), "too_many_attempts", "the right one too, from there");
    }
    let alarms = house.alarms();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert_eq!((alarms[0].kind, &*alarms[0].address), (AlarmKind::TooManyAttempts, "203.0.113.9"));
    assert_eq!(code(house.serve(set_up(&pairing.code(), "anna", PASSWORD), HOME, 2)), "ok", "from elsewhere");
}

#[test]
fn ten_wrong_passwords_lock_a_viewer_even_for_the_right_one() {
    let folder = folder();
    let mut house = House::household(folder.path());
    for number in 0..10 {
        // From ten addresses, so that the account's own row is what counts.
        let from = format!("203.0.113.{number}");
        assert_eq!(code(house.try_in("bob", "wrong", &from, number)), "wrong_login");
    }
    assert_eq!(code(house.try_in("Bob", PASSWORD, "198.51.100.1", 10)), "too_many_attempts", "the eleventh");
    assert_eq!(code(house.try_in("bob", PASSWORD, "198.51.100.1", 60)), "wrong_login", "locked for good");
    let alarms = house.alarms();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert_eq!((alarms[0].kind, alarms[0].user.as_deref()), (AlarmKind::AccountLocked, Some("bob")));
    let listed = house.verb(Request::Users).unwrap();
    assert_eq!(listed["users"][1]["locked"], true, "{listed}");
    house.verb(Request::Lock { name: "BOB".into(), on: false }).unwrap();
    assert_eq!(code(house.try_in("bob", PASSWORD, "198.51.100.1", 61)), "ok", "an admin unlocks");
}

#[test]
fn an_admin_is_slowed_but_never_locked_and_at_home_not_even_slowed() {
    let folder = folder();
    let mut house = House::household(folder.path());
    assert_eq!(code(house.try_in("anna", PASSWORD, HOME, 0)), "ok");
    for number in 0..10 {
        let from = format!("203.0.113.{number}");
        assert_eq!(code(house.try_in("anna", "wrong", &from, number)), "wrong_login");
    }
    let eleventh = house.try_in("anna", PASSWORD, "198.51.100.1", 10).unwrap_err();
    assert!(matches!(eleventh, Problem::TooManyAttempts { wait_s: 1..=5 }), "{eleventh}");
    assert_eq!(code(house.try_in("anna", PASSWORD, HOME, 10)), "ok", "at home it counts by itself");
    let alarms = house.alarms();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert_eq!((alarms[0].kind, alarms[0].user.as_deref()), (AlarmKind::TooManyAttempts, Some("Anna")));
    assert_eq!(code(house.try_in("anna", PASSWORD, "198.51.100.1", 15)), "ok", "never locked out");
    // Thirty days later home is an address like any other.
    let later = 31 * 86_400;
    for number in 0..10 {
        let _ = house.try_in("anna", "wrong", &format!("203.0.113.{number}"), later + number);
    }
    assert_eq!(code(house.try_in("anna", PASSWORD, HOME, later + 10)), "too_many_attempts");
}

#[test]
fn one_address_is_slowed_whatever_names_it_tries() {
    let folder = folder();
    let mut house = House::household(folder.path());
    for number in 0..10 {
        assert_eq!(code(house.try_in(&format!("name{number}"), "wrong", "203.0.113.9", 0)), "wrong_login");
    }
    let began = Instant::now();
    assert_eq!(code(house.try_in("anna", PASSWORD, "203.0.113.9", 0)), "too_many_attempts");
    assert!(began.elapsed() < Duration::from_millis(5), "refused before anything is hashed");
    assert_eq!(code(house.try_in("anna", PASSWORD, HOME, 0)), "ok");
    assert_eq!(code(house.try_in("anna", PASSWORD, "203.0.113.9", 6)), "ok", "one more in six seconds");
    let notes = house.notes();
    assert!(
        notes.iter().all(|(user, text)| !user.starts_with("name") && !text.contains("wrong name")),
        "{notes:?}"
    );
    assert!(notes.contains(&("Anna".into(), "signed in".into())), "{notes:?}");
}

#[test]
fn the_own_password_needs_the_old_one_and_ends_the_other_sessions() {
    let folder = folder();
    let mut house = House::household(folder.path());
    let (here, caller) = house.try_in("bob", PASSWORD, HOME, 0).unwrap();
    let (there, _) = house.try_in("bob", PASSWORD, HOME, 1).unwrap();
    let change = |old: &str, new: &str, caller: &Caller| SelfService::Password {
        caller: caller.clone(),
        old: old.into(),
        new: new.into(),
    };
    for (old, new, expected) in [
        ("wrong", "another fine one", "wrong_password"),
        (PASSWORD, "short", "bad_account"),
        (PASSWORD, "bob", "bad_account"),
    ] {
        assert_eq!(code(house.serve(change(old, new, &caller), HOME, 2)), expected);
    }
    let local = house.door.who(Shown::Secret(KEY), true, house.start.wall).unwrap();
    assert_eq!(code(house.serve(change(PASSWORD, "another fine one", &local), HOME, 2)), "no_account");
    assert_eq!(code(house.serve(change(PASSWORD, "another fine one", &caller), HOME, 3)), "ok");
    let who = |house: &House, secret: &str| {
        house.door.who(Shown::Session(secret), false, house.start.wall).is_some()
    };
    assert!(who(&house, &here) && !who(&house, &there));
    assert_eq!(code(house.try_in("bob", PASSWORD, HOME, 4)), "wrong_login");
    assert_eq!(code(house.try_in("bob", "another fine one", HOME, 4)), "ok");
}

#[test]
fn a_second_factor_begins_with_a_code_and_ends_with_the_password() {
    let folder = folder();
    let mut house = House::household(folder.path());
    let (_, caller) = house.try_in("anna", PASSWORD, HOME, 0).unwrap();
    let begin = |password: &str| SelfService::TotpBegin { caller: caller.clone(), password: password.into() };
    let confirm = |code: &str| SelfService::TotpConfirm { caller: caller.clone(), code: code.into() };
    assert_eq!(code(house.serve(confirm("123456"), HOME, 0)), "bad_account", "nothing was begun");
    assert_eq!(code(house.serve(begin("wrong"), HOME, 0)), "wrong_password");
    let begun = told(house.serve(begin(PASSWORD), HOME, 0).unwrap());
    assert!(begun["qr_svg"].as_str().unwrap().contains("<svg"), "{begun}");
    let secret = Secret::try_from_base32(begun["secret"].as_str().unwrap()).unwrap();
    let totp = Builder::new().with_secret(secret).build().unwrap();
    let shown = |seconds: u64| totp.generate(house.at(seconds).wall.as_second() as u64).to_string();
    let codes: Vec<String> = [0, 30, 60].map(shown).to_vec();
    assert_eq!(code(house.try_in("anna", PASSWORD, HOME, 0)), "ok", "it holds only once it is confirmed");
    let recovery = told(house.serve(confirm(&codes[0]), HOME, 0).unwrap());
    let recovery: Vec<&str> =
        recovery["recovery_codes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(recovery.len(), 10);
    let enter = |house: &mut House, password: &str, typed: Option<&str>, seconds| {
        let typed = typed.map(str::to_owned);
        let wish = SelfService::SignIn { name: "anna".into(), password: password.into(), code: typed };
        code(house.serve(wish, HOME, seconds))
    };
    assert_eq!(enter(&mut house, PASSWORD, None, 1), "code_needed");
    assert_eq!(enter(&mut house, "wrong", Some(&codes[1]), 1), "wrong_login");
    assert_eq!(enter(&mut house, PASSWORD, Some(&codes[0]), 1), "wrong_login", "used to confirm it");
    assert_eq!(enter(&mut house, PASSWORD, Some(&codes[1]), 30), "ok");
    assert_eq!(enter(&mut house, PASSWORD, Some(&codes[1]), 31), "wrong_login", "a replay");
    assert_eq!(enter(&mut house, PASSWORD, Some(recovery[0]), 31), "ok");
    assert_eq!(enter(&mut house, PASSWORD, Some(recovery[0]), 32), "wrong_login", "a replay");
    let text = std::fs::read_to_string(folder.path().join("accounts.json")).unwrap();
    assert!(recovery.iter().all(|code| !text.contains(code) && !text.contains(&code.replace('-', ""))));
    let mut again = House::open(folder.path());
    assert_eq!(enter(&mut again, PASSWORD, None, 60), "code_needed", "it survives a restart");
    assert_eq!(enter(&mut again, PASSWORD, Some(&codes[1]), 60), "wrong_login", "so do used codes");
    let end = |password: &str| SelfService::TotpEnd { caller: caller.clone(), password: password.into() };
    assert_eq!(code(again.serve(end("wrong"), HOME, 60)), "wrong_password");
    assert_eq!(code(again.serve(end(PASSWORD), HOME, 60)), "ok");
    assert_eq!(enter(&mut again, PASSWORD, None, 60), "ok");
}

#[test]
fn a_lost_second_factor_is_ended_by_an_admin_with_a_new_password() {
    let folder = folder();
    let mut house = House::household(folder.path());
    let (_, caller) = house.try_in("bob", PASSWORD, HOME, 0).unwrap();
    let begin = SelfService::TotpBegin { caller: caller.clone(), password: PASSWORD.into() };
    let begun = told(house.serve(begin, HOME, 0).unwrap());
    let secret = Secret::try_from_base32(begun["secret"].as_str().unwrap()).unwrap();
    let shown =
        Builder::new().with_secret(secret).build().unwrap().generate(house.start.wall.as_second() as u64);
    house.serve(SelfService::TotpConfirm { caller, code: shown.to_string() }, HOME, 0).unwrap();
    for (end_totp, expected) in [(false, "code_needed"), (true, "ok")] {
        house.verb(Request::SetPassword { name: "bob".into(), password: PASSWORD.into(), end_totp }).unwrap();
        assert_eq!(code(house.try_in("bob", PASSWORD, HOME, 1)), expected);
    }
}

#[test]
fn credentials_open_for_what_they_are_and_until_they_end() {
    let folder = folder();
    let mut house = House::household(folder.path());
    let wall = house.start.wall;
    let local = house.door.who(Shown::Secret(KEY), true, wall).unwrap();
    assert_eq!((&local.how, local.scope.role), (&How::LocalKey, Role::Admin));
    assert!(house.door.who(Shown::Secret(KEY), false, wall).is_none(), "from this machine only");
    assert!(house.door.who(Shown::Session(KEY), true, wall).is_none(), "it is no cookie");
    let camera = Some("porch".to_owned());
    let wish = Request::CreateToken { name: "ha".into(), kind: Role::Stream, camera, ttl_s: Some(60) };
    let made = house.verb(wish).unwrap();
    let secret = made["token"].as_str().unwrap();
    let caller = house.door.who(Shown::Secret(secret), false, wall).unwrap();
    assert!(
        caller.may(Role::Stream, Some("porch")).is_ok() && caller.may(Role::Stream, Some("shed")).is_err()
    );
    assert!(house.door.who(Shown::Session(secret), true, wall).is_none(), "a token is no cookie");
    assert!(house.door.is_still_in(&caller, wall) && house.door.is_still_in(&local, wall));
    assert_eq!(house.door.until(&caller), Some(house.at(60).wall));
    assert!(house.door.who(Shown::Secret(secret), false, house.at(60).wall).is_none());
    assert!(!house.door.is_still_in(&caller, house.at(60).wall));
    let (session, bob) = house.try_in("bob", PASSWORD, HOME, 0).unwrap();
    assert!(house.door.who(Shown::Secret(&session), false, wall).is_none(), "a cookie is no token");
    assert!(house.door.is_still_in(&bob, wall));
    let day = 86_400;
    assert!(house.door.who(Shown::Session(&session), false, house.at(30 * day - 1).wall).is_some());
    assert!(house.door.who(Shown::Session(&session), false, house.at(30 * day).wall).is_none());
    house.verb(Request::SetRole { name: "bob".into(), role: Role::Admin }).unwrap();
    assert!(!house.door.is_still_in(&bob, wall), "for another role the session is looked at again");
}

#[test]
fn nothing_that_opens_is_on_the_disk() {
    let folder = folder();
    let mut house = House::household(folder.path());
    let (session, caller) = house.try_in("anna", PASSWORD, HOME, 0).unwrap();
    let wish = Request::CreateToken { name: String::new(), kind: Role::Admin, camera: None, ttl_s: None };
    let token = house.verb(wish).unwrap()["token"].as_str().unwrap().to_owned();
    let text = std::fs::read_to_string(folder.path().join("accounts.json")).unwrap();
    for secret in [PASSWORD, &session, &token, &token[3..]] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(text.contains("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
    let How::Session(digest) = &caller.how else { panic!("{caller:?}") };
    assert!(text.contains(digest), "the digest is what is kept");
    let listed =
        house.verb(Request::Users).unwrap().to_string() + &house.verb(Request::Tokens).unwrap().to_string();
    assert!(!listed.contains("argon2") && !listed.contains(&token) && !listed.contains(digest), "{listed}");
    let again = House::open(folder.path());
    assert!(
        again.door.who(Shown::Session(&session), false, again.start.wall).is_some(),
        "sessions survive a restart"
    );
    assert!(again.door.who(Shown::Secret(&token), false, again.start.wall).is_some());
}

#[test]
fn a_change_that_cannot_be_kept_is_none_but_signing_in_goes_on() {
    let folder = folder();
    let ((inbox, _inputs), (audit, _entries)) = (Inbox::new(), audit::Log::new());
    let full = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut parts = parts(folder.path(), inbox, audit);
    let (mut save, is_full) = (parts.save, std::sync::Arc::clone(&full));
    parts.save = Box::new(move |book| match is_full.load(std::sync::atomic::Ordering::Relaxed) {
        true => Err("No space left on device".into()),
        false => save(book),
    });
    let (door, mut keeper) = Door::new(parts);
    let now = Now { instant: Instant::now(), wall: Timestamp::now() };
    let add = |name: &str, role| Request::AddUser { name: name.into(), password: PASSWORD.into(), role };
    keeper.verb(add("anna", Role::Admin), now).unwrap();
    full.store(true, std::sync::atomic::Ordering::Relaxed);
    let refused = keeper.verb(add("bob", Role::Viewer), now).unwrap_err();
    assert!(refused.code() == "disk" && refused.advice().contains("No space left"), "{refused}");
    assert_eq!(keeper.verb(Request::Users, now).unwrap()["users"].as_array().unwrap().len(), 1);
    let wish = SelfService::SignIn { name: "anna".into(), password: PASSWORD.into(), code: None };
    let (secret, caller) = signed_in(keeper.serve(wish, &origin(HOME), now).unwrap());
    assert_eq!(door.who(Shown::Session(&secret), false, now.wall), Some(caller));
}

#[test]
fn a_damaged_file_never_opens_the_door() {
    let folder = folder();
    let mut house = House::household(folder.path());
    let (session, _) = house.try_in("anna", PASSWORD, HOME, 0).unwrap();
    drop(house);
    let path = folder.path().join("accounts.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &text[..text.len() / 2]).unwrap();
    let mut again = House::open(folder.path());
    assert!(again.door.who(Shown::Session(&session), true, again.start.wall).is_none());
    assert_eq!(code(again.try_in("anna", PASSWORD, HOME, 0)), "wrong_login");
    assert_eq!(code(again.serve(set_up("", "eve", PASSWORD), HOME, 0)), "pairing_code");
    assert!(folder.path().join("accounts.json.damaged-1").exists());
}

/// With the thread, as it runs in the appliance.
#[test]
fn whoever_is_shown_out_is_told_at_once() {
    let folder = folder();
    let ((inbox, _inputs), (audit, _entries)) = (Inbox::new(), audit::Log::new());
    let (door, keeper) = Door::new(parts(folder.path(), inbox, audit));
    let thread = std::thread::spawn(move || keeper.run());
    let ask = |request: Request| {
        let (tell, told) = channel();
        door.ask(request, Box::new(move |outcome| tell.send(outcome).unwrap()));
        match told.recv_timeout(Duration::from_secs(10)).unwrap() {
            Ok(Answer::Data(value)) => Ok(value),
            Ok(other) => panic!("{other:?}"),
            Err(problem) => Err(problem),
        }
    };
    let serve = |wish: SelfService| {
        let (tell, told) = channel();
        door.serve(wish, origin(HOME), Box::new(move |outcome| tell.send(outcome).unwrap()));
        told.recv_timeout(Duration::from_secs(10)).unwrap()
    };
    let add = |name: &str, role| {
        ask(Request::AddUser { name: name.into(), password: PASSWORD.into(), role }).unwrap()
    };
    add("anna", Role::Admin);
    let sign_in = || {
        let wish = SelfService::SignIn { name: "bob".into(), password: PASSWORD.into(), code: None };
        signed_in(serve(wish).unwrap()).1
    };
    let bob = || "bob".to_owned();
    add("bob", Role::Viewer);
    for revoke in [
        Request::Logout { name: bob() },
        Request::SetPassword { name: bob(), password: PASSWORD.into(), end_totp: false },
        Request::SetRole { name: bob(), role: Role::Admin },
        Request::Lock { name: bob(), on: true },
        Request::DeleteUser { name: bob() },
    ] {
        if let Request::DeleteUser { .. } = &revoke {
            ask(Request::Lock { name: bob(), on: false }).unwrap();
        }
        let caller = sign_in();
        let mut changes = door.changes();
        assert!(door.is_still_in(&caller, Timestamp::now()) && !changes.has_changed().unwrap(), "{revoke:?}");
        ask(revoke.clone()).unwrap();
        assert!(changes.has_changed().unwrap(), "{revoke:?}");
        changes.mark_unchanged();
        assert!(!door.is_still_in(&caller, Timestamp::now()), "{revoke:?}");
    }
    let wish = Request::CreateToken { name: "ha".into(), kind: Role::Stream, camera: None, ttl_s: None };
    let made = ask(wish).unwrap();
    let caller = door.who(Shown::Secret(made["token"].as_str().unwrap()), false, Timestamp::now()).unwrap();
    ask(Request::RevokeToken { id: made["id"].as_str().unwrap().into() }).unwrap();
    assert!(!door.is_still_in(&caller, Timestamp::now()));
    assert_eq!(ask(Request::Tokens).unwrap(), json!({ "tokens": [] }));
    drop(door);
    thread.join().unwrap();
}

/// The door does not let itself be kept busy: what does not find a place is refused at once, and an admin still finds one.
#[test]
fn more_askers_than_places_are_refused_at_once() {
    let folder = folder();
    let ((inbox, _inputs), (audit, _entries)) = (Inbox::new(), audit::Log::new());
    let (door, keeper) = Door::new(parts(folder.path(), inbox, audit));
    let (tell, told) = channel();
    for number in 0..40 {
        let tell = tell.clone();
        let wish = SelfService::SignIn { name: "anna".into(), password: "wrong".into(), code: None };
        let tell = move |outcome| tell.send(code(outcome)).unwrap();
        door.serve(wish, origin(&format!("10.0.0.{number}")), Box::new(tell));
    }
    let refused: Vec<&str> = told.try_iter().collect();
    assert!(refused.len() == 28 && refused.iter().all(|code| *code == "busy"), "{refused:?}");
    let (say, said) = channel();
    door.ask(Request::Users, Box::new(move |outcome| say.send(outcome.is_ok()).unwrap()));
    assert!(said.try_recv().is_err(), "it is not refused");
    let thread = std::thread::spawn(move || keeper.run());
    let answered: Vec<&str> = (0..12).map(|_| told.recv_timeout(Duration::from_secs(10)).unwrap()).collect();
    assert!(answered.iter().all(|code| ["wrong_login", "too_many_attempts"].contains(code)), "{answered:?}");
    assert!(said.recv_timeout(Duration::from_secs(10)).unwrap());
    drop(door);
    thread.join().unwrap();
}
