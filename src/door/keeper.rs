//! The door's thread: hashes passwords, changes the accounts and keeps them.
//!
//! A change holds once it is on the disk. Only signing in and out go on with a disk that is full: whoever is to mend that must get in.
//! Not here: the decisions ([`crate::logic::accounts`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::room::Room;
use super::{Save, Served, Task, hash};
use crate::journal::ON_SITE;
use crate::logic::access::{Caller, How, Role};
use crate::logic::accounts::{
    Account, Attempts, Book, Judged, Origin, Outcome, Pairing, Pending, Request, SelfService, Settings,
    Wanted, policy, recovery_codes, session_secret,
};
use crate::logic::audit::Level;
use crate::logic::command::Answer;
use crate::logic::events::timestamp;
use crate::logic::input::{AlarmKind, Now};
use crate::logic::problem::Problem;
use crate::logic::qr;
use crate::logic::throttle::{Throttle, network};

/// Wrong pairing codes that an address may try, and the time in which one more becomes free: five in ten minutes. The right code still
/// works later.
const GUESSES: (u32, Duration) = (5, Duration::from_secs(120));

/// The door's thread.
pub struct Keeper {
    tasks: Receiver<Task>,
    room: Arc<Room>,
    settings: Settings,
    save: Save,
    pairing: Option<Pairing>,
    guesses: Throttle,
    attempts: Attempts,
    /// Second factors that wait to be confirmed, by user.
    pending: BTreeMap<String, Pending>,
    /// It was told that signing in is not kept.
    told_unkept: bool,
}

/// Somebody who wants in, or proves who they are.
struct Claimant<'a> {
    name: &'a str,
    password: &'a str,
    code: Option<&'a str>,
}

impl Keeper {
    pub(super) fn new(tasks: Receiver<Task>, room: Arc<Room>, settings: Settings, save: Save) -> Self {
        Self {
            tasks,
            room,
            settings,
            save,
            pairing: None,
            guesses: Throttle::new(GUESSES.0, GUESSES.1),
            attempts: Attempts::default(),
            pending: BTreeMap::new(),
            told_unkept: false,
        }
    }

    /// The body of the thread `door`; ends when every [`super::Door`] is gone.
    pub fn run(mut self) {
        hash::warm_up();
        while let Ok(task) = self.tasks.recv() {
            let now = Now { instant: Instant::now(), wall: Timestamp::now() };
            match task {
                Task::Verb(request, reply) => reply(self.verb(request, now).map(Answer::Data)),
                Task::SelfService(wish, origin, tell) => {
                    self.room.waiting.fetch_sub(1, Ordering::Relaxed);
                    tell(self.serve(wish, &origin, now));
                }
            }
        }
    }

    /// Makes a new pairing code and writes it into the log, where whoever runs the appliance finds it; an older one ends.
    ///
    /// # Errors
    /// [`Problem::SetUpAlready`].
    pub fn pair(&mut self, now: Timestamp) -> Result<Pairing, Problem> {
        if !self.room.book().needs_setup() {
            return Err(Problem::SetUpAlready);
        }
        let pairing = Pairing::new(random()?, now);
        // The one secret that belongs into a log: it makes the first user, once, within a quarter of an hour.
        tracing::info!(target: ON_SITE, "there is no user yet; the pairing code for the first one is {} until {}",
            pairing.code(),
            pairing.until()
        );
        self.pairing = Some(pairing.clone());
        Ok(pairing)
    }

    /// The pairing code, if there is one.
    #[must_use]
    pub fn pairing(&self) -> Option<&Pairing> {
        self.pairing.as_ref()
    }

    /// Ends the sessions of outside identities that may not come in any more; `role` tells what a mail address may do.
    pub fn keep_outside(&mut self, role: impl Fn(&str) -> Option<Role>) {
        let mut next = Book::clone(&self.room.book());
        if next.keep_outside(role) {
            self.replace_anyway(next);
        }
    }

    /// Carries out a verb.
    ///
    /// # Errors
    /// What forbids it.
    pub fn verb(&mut self, request: Request, now: Now) -> Result<Value, Problem> {
        match request {
            Request::Users => Ok(self.room.book().users_json(now.wall)),
            Request::Tokens => Ok(self.room.book().tokens_json(now.wall)),
            Request::AddUser { name, password, role } => {
                self.room.book().check_new(&name, role)?;
                let hash = self.new_hash(&name, &password)?;
                self.change(|book| book.add_user(&name, role, hash, now.wall))?;
                self.attempts.forget(&name);
                Ok(json!({ "name": name, "role": role.word() }))
            }
            Request::SetPassword { name, password, end_totp } => {
                let name = self.name(&name)?;
                let hash = self.new_hash(&name, &password)?;
                self.change(|book| {
                    if end_totp {
                        book.end_totp(&name)?;
                    }
                    book.set_password(&name, hash, None)
                })?;
                self.attempts.forget(&name);
                Ok(json!({ "name": name }))
            }
            Request::SetRole { name, role } => {
                let name = self.name(&name)?;
                self.change(|book| book.set_role(&name, role))?;
                Ok(json!({ "name": name, "role": role.word() }))
            }
            Request::Lock { name, on } => {
                let name = self.name(&name)?;
                self.change(|book| if on { book.lock(&name) } else { book.unlock(&name) })?;
                self.attempts.forget(&name);
                Ok(json!({ "name": name, "locked": on }))
            }
            Request::Logout { name } => {
                let n_ended = self.change(|book| book.logout(&name))?;
                Ok(json!({ "name": name, "ended": n_ended }))
            }
            Request::DeleteUser { name } => {
                let name = self.name(&name)?;
                self.change(|book| book.delete_user(&name))?;
                self.attempts.forget(&name);
                Ok(json!({ "name": name }))
            }
            Request::CreateToken { name, kind, camera, ttl_s } => {
                let (wanted, random) = (Wanted { name, kind, camera, ttl_s }, random()?);
                self.change(|book| book.create_token(wanted, &random, now.wall))
            }
            Request::RevokeToken { id } => {
                self.change(|book| book.revoke(&id))?;
                Ok(json!({ "id": id }))
            }
            Request::Pair => {
                let pairing = self.pair(now.wall)?;
                Ok(json!({ "code": pairing.code(), "until": timestamp(pairing.until()) }))
            }
        }
    }

    /// Carries out what people ask for themselves.
    ///
    /// # Errors
    /// What forbids it.
    pub fn serve(&mut self, wish: SelfService, origin: &Origin, now: Now) -> Result<Served, Problem> {
        match wish {
            SelfService::Setup { code, name, password } => self.set_up(&code, &name, &password, origin, now),
            SelfService::SignIn { name, password, code } => {
                let claimant = Claimant { name: &name, password: &password, code: code.as_deref() };
                self.sign_in(&claimant, origin, now)
            }
            SelfService::SignInOutside { email, role } => self.sign_in_outside(&email, role, origin, now),
            SelfService::SignOut(caller) => {
                let How::Session(digest) = &caller.how else { return Err(Problem::NoAccount) };
                let mut next = Book::clone(&self.room.book());
                next.end_session(digest);
                self.replace_anyway(next);
                self.room.note_sign_in(Level::Info, &caller.name, origin, now.wall, "signed out");
                Ok(Served::Done(json!({})))
            }
            SelfService::Password { caller, old, new } => {
                let (name, session) = self.account(&caller, now)?;
                self.prove(&name, &old, origin, now)?;
                let hash = self.new_hash(&name, &new)?;
                self.change(|book| book.set_password(&name, hash, Some(&session)))?;
                self.done(
                    &name,
                    origin,
                    now,
                    "changed the password; the other sessions have ended",
                    json!({}),
                )
            }
            SelfService::TotpBegin { caller, password } => {
                let (name, _) = self.account(&caller, now)?;
                self.prove(&name, &password, origin, now)?;
                let pending = Pending::new(&name, random()?, now.wall);
                let uri = pending.uri();
                let told = json!({ "secret": pending.secret(), "uri": uri, "qr_svg": qr::svg(&uri) });
                self.pending.insert(name, pending);
                Ok(Served::Done(told))
            }
            SelfService::TotpConfirm { caller, code } => self.confirm_totp(&caller, &code, origin, now),
            SelfService::TotpEnd { caller, password } => {
                let (name, _) = self.account(&caller, now)?;
                self.prove(&name, &password, origin, now)?;
                self.change(|book| book.end_totp(&name))?;
                self.done(&name, origin, now, "ended the second factor", json!({}))
            }
        }
    }

    fn set_up(
        &mut self,
        code: &str,
        name: &str,
        password: &str,
        origin: &Origin,
        now: Now,
    ) -> Result<Served, Problem> {
        if !self.room.book().needs_setup() {
            return Err(Problem::SetUpAlready);
        }
        if let Some(verdict) = self.guesses.refuses(now.instant, origin.address) {
            self.room.verdict(verdict, origin.address, None)?;
        }
        if !self.pairing.as_ref().is_some_and(|pairing| pairing.opens(code, now.wall)) {
            let _ = self.guesses.wrong(now.instant, origin.address);
            let text = "the first user was refused: the pairing code is wrong or too old";
            self.room.note_sign_in(Level::Warning, "", origin, now.wall, text);
            return Err(Problem::PairingCode);
        }
        self.room.book().check_new(name, Role::Admin)?;
        let (hash, secret) = (self.new_hash(name, password)?, session_secret(random()?));
        let (network, days) = (network(origin.address), self.settings.session_days);
        let begun = self.change(|book| {
            book.add_user(name, Role::Admin, hash, now.wall)?;
            book.begin_session(name, network, &secret, days, now.wall).ok_or(Problem::Busy)
        });
        let (until, caller) = begun?;
        self.pairing = None;
        self.room.note_sign_in(Level::Info, name, origin, now.wall, "became the first user, an admin");
        Ok(Served::SignedIn { secret, until, caller })
    }

    fn sign_in(&mut self, claimant: &Claimant<'_>, origin: &Origin, now: Now) -> Result<Served, Problem> {
        let mut next = self.judge(claimant, origin, now)?;
        let (secret, days) = (session_secret(random()?), self.settings.session_days);
        let begun = next.begin_session(claimant.name, network(origin.address), &secret, days, now.wall);
        let (until, caller) = begun.ok_or(Problem::WrongLogin)?;
        self.replace_anyway(next);
        self.room.note_sign_in(Level::Info, &caller.name, origin, now.wall, "signed in");
        Ok(Served::SignedIn { secret, until, caller })
    }

    fn sign_in_outside(
        &mut self,
        email: &str,
        role: Role,
        origin: &Origin,
        now: Now,
    ) -> Result<Served, Problem> {
        let (secret, days) = (session_secret(random()?), self.settings.session_days);
        let mut next = Book::clone(&self.room.book());
        let (until, caller) = next.begin_outside(email, role, &secret, days, now.wall);
        self.replace_anyway(next);
        self.room.note_sign_in(Level::Info, email, origin, now.wall, "signed in with an outside identity");
        Ok(Served::SignedIn { secret, until, caller })
    }

    fn confirm_totp(
        &mut self,
        caller: &Caller,
        code: &str,
        origin: &Origin,
        now: Now,
    ) -> Result<Served, Problem> {
        let (name, _) = self.account(caller, now)?;
        let pending = self.pending.get(&name).cloned();
        let nothing = || Problem::BadAccount {
            detail: "Begin with the password first; nothing waits for a code".into(),
        };
        let pending = pending.ok_or_else(nothing)?;
        let step = pending.confirms(code, now.wall).ok_or_else(|| Problem::BadAccount {
            detail: "The code is not that of the new second factor, or came too late. Look at the clock of the telephone and of this \
                     machine, or begin anew"
                .into(),
        })?;
        let codes = recovery_codes(&random()?);
        self.change(|book| book.set_totp(&pending, step, &codes))?;
        self.pending.remove(&name);
        self.done(&name, origin, now, "began a second factor", json!({ "recovery_codes": codes }))
    }

    /// The accounts after a right password and, where one is wanted, a right code, which is used up. Whoever had too many wrong ones is
    /// refused before anything is hashed.
    fn judge(&mut self, claimant: &Claimant<'_>, origin: &Origin, now: Now) -> Result<Book, Problem> {
        let Claimant { name, password, code } = *claimant;
        self.room.refuses_sign_in(origin.address, now.instant)?;
        let book = self.room.book();
        let user = book.user(name);
        let account = match user.map(|user| user.role) {
            Some(Role::Admin) => Account::Admin,
            Some(Role::Viewer | Role::Stream) => Account::Viewer,
            None => Account::Nobody,
        };
        let from = network(origin.address);
        let side = book.is_known_from(name, from, now.wall).then_some(from);
        if let Some(wait_s) = self.attempts.wait(now.instant, name, side, account) {
            return Err(Problem::TooManyAttempts { wait_s });
        }
        let is_right = hash::is_right(password, user.map(|user| user.hash.as_str()));
        let mut next = Book::clone(&book);
        match next.judge(name, is_right, code, now.wall) {
            Judged::In => {
                self.attempts.right(name, side);
                Ok(next)
            }
            Judged::CodeNeeded => Err(Problem::CodeNeeded),
            Judged::Wrong(why) => {
                // What somebody typed for a name may be their password, so only names of ours are noted.
                let user = user.map(|user| user.name.clone());
                let (who, text) = (user.as_deref().unwrap_or_default(), format!("refused: {why}"));
                self.room.note_sign_in(Level::Warning, who, origin, now.wall, &text);
                self.room.wrong_sign_in(origin.address, now.instant);
                match self.attempts.wrong(now.instant, name, side, account) {
                    Outcome::Counted => {}
                    Outcome::Slowed => self.room.alarm(AlarmKind::TooManyAttempts, origin.address, user),
                    Outcome::Lock => {
                        let mut next = Book::clone(&book);
                        next.lock_for_attempts(name);
                        self.replace_anyway(next);
                        self.room.alarm(AlarmKind::AccountLocked, origin.address, user);
                    }
                }
                Err(Problem::WrongLogin)
            }
        }
    }

    /// Whether somebody who is signed in knows the password too.
    fn prove(&mut self, name: &str, password: &str, origin: &Origin, now: Now) -> Result<(), Problem> {
        let claimant = Claimant { name, password, code: None };
        match self.judge(&claimant, origin, now) {
            Ok(_) | Err(Problem::CodeNeeded) => Ok(()),
            Err(Problem::WrongLogin) => Err(Problem::WrongPassword),
            Err(other) => Err(other),
        }
    }

    /// The user of ours who asks, and the session.
    fn account(&self, caller: &Caller, now: Now) -> Result<(String, String), Problem> {
        let How::Session(digest) = &caller.how else { return Err(Problem::NoAccount) };
        let book = self.room.book();
        let caller = book.session(digest, now.wall).ok_or(Problem::Unauthorized)?;
        let user = book.user(&caller.name).ok_or(Problem::NoAccount)?;
        Ok((user.name.clone(), digest.clone()))
    }

    /// A user's name as it was written at first.
    fn name(&self, name: &str) -> Result<String, Problem> {
        let book = self.room.book();
        let user = book.user(name);
        user.map(|user| user.name.clone()).ok_or_else(|| Problem::NotFound {
            what: format!("user {}", crate::logic::problem::quoted(name)),
        })
    }

    fn new_hash(&self, name: &str, password: &str) -> Result<String, Problem> {
        policy::check_password(name, password, self.settings.min_password)?;
        hash::hash(password)
    }

    fn done(
        &self,
        name: &str,
        origin: &Origin,
        now: Now,
        text: &str,
        told: Value,
    ) -> Result<Served, Problem> {
        self.room.note_sign_in(Level::Info, name, origin, now.wall, text);
        Ok(Served::Done(told))
    }

    /// Changes the accounts, if the change can be kept.
    fn change<T>(&mut self, deed: impl FnOnce(&mut Book) -> Result<T, Problem>) -> Result<T, Problem> {
        let mut next = Book::clone(&self.room.book());
        let outcome = deed(&mut next)?;
        if let Err(detail) = (self.save)(&next) {
            tracing::error!("accounts cannot be kept: {detail}");
            return Err(Problem::Disk { detail });
        }
        self.room.replace(next);
        Ok(outcome)
    }

    /// The same for what has to work with a disk that is full.
    fn replace_anyway(&mut self, next: Book) {
        match (self.save)(&next) {
            Ok(()) => self.told_unkept = false,
            Err(detail) => {
                if !std::mem::replace(&mut self.told_unkept, true) {
                    tracing::error!("who is signed in is not kept and ends with the next start: {detail}");
                }
            }
        }
        self.room.replace(next);
    }
}

fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system gives no random numbers");
        Problem::Busy
    })?;
    Ok(bytes)
}
