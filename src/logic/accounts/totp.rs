//! The second factor: one-time codes of an authenticator app (RFC 6238: SHA-1, 6 digits, 30 seconds, one step of patience), and
//! recovery codes for whoever has lost the telephone.
//!
//! Not here: drawing the QR code ([`super::super::qr`]).

use jiff::{SignedDuration, Timestamp};
use totp_rs::{Builder, Secret};

use super::super::checksum::sha256;
use super::super::problem::Problem;
use super::book::{Book, Totp};
use super::signs::{grouped, signs, typed};
use super::users::no_user;

/// Random bytes of a secret: the length that RFC 4226 recommends.
pub const TOTP_BYTES: usize = 20;
/// Codes that help when the telephone is lost.
pub const RECOVERY_CODES: usize = 10;
/// Random bytes of all recovery codes.
pub const RECOVERY_BYTES: usize = RECOVERY_CODES * RECOVERY_SIGNS;
/// Fifty bits each.
const RECOVERY_SIGNS: usize = 10;
/// Who the code is for, as the app shows it.
const ISSUER: &str = "Doorward";
/// How long somebody may take to confirm a new second factor.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);

/// A second factor that waits to be confirmed. No `Debug`: it holds the secret.
#[derive(Clone)]
pub struct Pending {
    secret: Secret,
    name: String,
    since: Timestamp,
}

/// Recovery codes made of random bytes.
#[must_use]
pub fn recovery_codes(random: &[u8; RECOVERY_BYTES]) -> Vec<String> {
    random.chunks(RECOVERY_SIGNS).map(|chunk| grouped(&signs(chunk), 5)).collect()
}

impl Pending {
    /// A new one for a user.
    #[must_use]
    pub fn new(name: &str, random: [u8; TOTP_BYTES], now: Timestamp) -> Self {
        Self { secret: Secret::from(random.to_vec()), name: name.to_owned(), since: now }
    }

    /// The secret as people type it into an app.
    #[must_use]
    pub fn secret(&self) -> String {
        self.secret.to_base32()
    }

    /// The address that apps understand.
    #[must_use]
    pub fn uri(&self) -> String {
        let named = || Builder::new().with_account_name(self.name.as_str()).with_issuer(Some(ISSUER));
        let built = named().with_secret(self.secret.clone()).build();
        built.and_then(|totp| totp.to_url()).expect("names have no colons and the secret is long enough")
    }

    /// The step of a right code; none if it is wrong, or came too late.
    #[must_use]
    pub fn confirms(&self, code: &str, now: Timestamp) -> Option<u64> {
        if now.duration_since(self.since) > PATIENCE { None } else { step(&self.secret, code, now) }
    }
}

impl Totp {
    /// Whether this code opens now. It does not again.
    pub(super) fn takes(&mut self, code: &str, now: Timestamp) -> bool {
        let secret = Secret::try_from_base32(&self.secret);
        let step =
            secret.ok().and_then(|secret| step(&secret, code, now)).filter(|step| *step > self.last_step);
        if let Some(step) = step {
            self.last_step = step;
            return true;
        }
        let digest = sha256(typed(code));
        let before = self.recovery.len();
        self.recovery.retain(|kept| *kept != digest);
        self.recovery.len() < before
    }
}

impl Book {
    /// Begins to ask for codes. `step`: that of the code which confirmed it, which is used up.
    ///
    /// # Errors
    /// [`Problem::NotFound`].
    pub fn set_totp(&mut self, pending: &Pending, step: u64, recovery: &[String]) -> Result<(), Problem> {
        let recovery = recovery.iter().map(|code| sha256(typed(code))).collect();
        let user = self.user_mut(&pending.name).ok_or_else(|| no_user(&pending.name))?;
        user.totp = Some(Totp { secret: pending.secret(), last_step: step, recovery });
        Ok(())
    }

    /// Asks for no codes any more; whether there was a second factor.
    ///
    /// # Errors
    /// [`Problem::NotFound`].
    pub fn end_totp(&mut self, name: &str) -> Result<bool, Problem> {
        Ok(self.user_mut(name).ok_or_else(|| no_user(name))?.totp.take().is_some())
    }
}

/// The step to which a code of six digits belongs, among the present one and its neighbours.
fn step(secret: &Secret, code: &str, now: Timestamp) -> Option<u64> {
    let digits: String = code.chars().filter(|sign| !sign.is_whitespace()).collect();
    if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let totp = Builder::new().with_secret(secret.clone()).build().ok()?;
    totp.check(&digits, u64::try_from(now.as_second()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// The secret of RFC 6238, appendix B; its codes have eight digits, of which ours are the last six.
    fn totp(recovery: &[String]) -> Totp {
        let secret = Secret::from(b"12345678901234567890".to_vec()).to_base32();
        Totp { secret, last_step: 0, recovery: recovery.iter().map(|code| sha256(typed(code))).collect() }
    }

    #[test]
    fn codes_of_the_standard_are_taken_within_one_step() {
        // time, code of the standard's table
        for (time, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (2_000_000_000, "279037")]
        {
            // the step begins and ends
            let begin = time - time % 30;
            for (asked, taken) in [
                (begin - 31, false),
                (begin - 30, true),
                (begin, true),
                (begin + 59, true),
                (begin + 60, false),
            ] {
                assert_eq!(totp(&[]).takes(code, at(asked)), taken, "{code} at {asked}");
            }
        }
        for wrong in ["287083", "28708", "2870820", "", "abcdef", "٢٨٧٠٨٢", "28708２"] {
            assert!(!totp(&[]).takes(wrong, at(59)), "{wrong:?}");
        }
        assert!(totp(&[]).takes(" 287 082 ", at(59)));
    }

    #[test]
    fn a_code_opens_once_and_so_do_earlier_ones() {
        let mut totp = totp(&[]);
        assert!(totp.takes("287082", at(59)));
        assert!(!totp.takes("287082", at(59)) && !totp.takes("287082", at(75)), "a replay");
        // The code of the step before (time 0 to 29) is still in its time, but older than one that was used.
        assert!(!totp.takes("755224", at(59)));
        assert!(totp.takes("359152", at(61)), "the next one opens");
    }

    #[test]
    fn recovery_codes_open_once_each() {
        let codes = recovery_codes(&std::array::from_fn(|at| at as u8));
        assert_eq!((codes.len(), codes[0].as_str()), (10, "01234-56789"));
        let mut totp = totp(&codes);
        assert!(totp.takes(&codes[3].to_uppercase().replace('-', ""), at(59)));
        assert!(!totp.takes(&codes[3], at(59)) && totp.takes(&codes[4], at(59)));
        assert_eq!(totp.recovery.len(), 8);
    }

    #[test]
    fn a_new_one_is_confirmed_in_time() {
        let pending = Pending::new("anna", *b"12345678901234567890", at(59));
        assert_eq!(pending.confirms("287082", at(59)), Some(1));
        assert_eq!(pending.confirms("287083", at(59)), None);
        let uri = pending.uri();
        assert!(uri.starts_with("otpauth://totp/Doorward:anna?"), "{uri}");
        assert!(
            uri.contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ") && uri.contains("issuer=Doorward"),
            "{uri}"
        );
        let late = Pending::new("anna", *b"12345678901234567890", at(59 - 901));
        assert_eq!(late.confirms("287082", at(59)), None);
    }
}
