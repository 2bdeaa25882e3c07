//! Signing in with an outside identity (OpenID Connect): what is asked, what is answered, and why somebody is refused.
//!
//! [`pending`] knows the sign-ins that were begun, [`claims`] judges what the provider says of a person. Not here: talking to the
//! provider and checking its signature ([`crate::oidc`]), and sessions ([`super::accounts`]).

pub mod claims;
pub mod pending;

use std::net::IpAddr;

use super::access::Role;
use super::problem::Problem;

/// What the page's side asks.
#[derive(Debug)]
pub enum Ask {
    /// Somebody wants to sign in: where does the browser go?
    Begin {
        /// The browser's address.
        address: IpAddr,
    },
    /// The browser is back.
    Finish {
        /// What stands in the address that the provider sent it to.
        back: Back,
        /// The value of the cookie that it was given at the beginning; none = it shows none.
        browser: Option<String>,
    },
}

/// The parameters with which a browser comes back from the provider; none = not there.
#[derive(Debug, Default)]
pub struct Back {
    /// Which sign-in this is.
    pub state: Option<String>,
    /// What the provider gives a token for.
    pub code: Option<String>,
    /// Why it gives none, as a word.
    pub error: Option<String>,
    /// Which provider this is (RFC 9207).
    pub issuer: Option<String>,
}

/// What the page's side is told.
#[derive(Debug)]
pub enum Told {
    /// The browser goes there, and keeps this secret in a cookie until it is back.
    Go {
        /// At the provider.
        url: String,
        /// The value of the cookie.
        browser: String,
    },
    /// The provider vouches for somebody who may come in.
    Known(Identity),
}

/// Somebody for whom the provider vouches, and who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The address as it is written in our configuration.
    pub email: String,
    /// What may be done.
    pub role: Role,
}

/// How the asker hears of it.
pub type Tell = Box<dyn FnOnce(Result<Told, Refusal>) + Send>;

/// A question, and who waits for the answer.
pub struct Question {
    /// What is asked.
    pub ask: Ask,
    /// Who waits.
    pub tell: Tell,
}

/// Who may come in with which role, from the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guests {
    /// These addresses are admins.
    pub admins: Vec<String>,
    /// These are viewers.
    pub viewers: Vec<String>,
}

impl Guests {
    /// Who has this address. Addresses are the same if only the case of their ASCII letters differs, and never by a pattern.
    #[must_use]
    pub fn find(&self, email: &str) -> Option<Identity> {
        let among = |listed: &[String], role| {
            let same = |known: &&String| known.eq_ignore_ascii_case(email);
            listed.iter().find(same).map(|known| Identity { email: known.clone(), role })
        };
        among(&self.admins, Role::Admin).or_else(|| among(&self.viewers, Role::Viewer))
    }
}

/// Why somebody is not let in. Each has a sentence of its own for the owner; the browser is told less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The browser came back without the parameters that it needs.
    Incomplete,
    /// No sign-in of this name waits: made up, used already, or forgotten.
    UnknownState,
    /// It took longer than [`pending::LIFE`].
    TooLate,
    /// Another browser began this sign-in, or its cookie is gone.
    OtherBrowser,
    /// The provider says no, with this word.
    Denied(String),
    /// The provider that answers is not the one that was asked.
    OtherProvider,
    /// The provider cannot be used: it does not answer, or not as it should. The words follow "the provider".
    Unusable(String),
    /// The provider gives no token for the code: made up, or used already.
    BadCode(String),
    /// What the provider sent is no token.
    NotAToken,
    /// The token is signed in a way that is not taken, or that the provider does not name.
    Algorithm(String),
    /// The provider has no such key.
    UnknownKey,
    /// The signature is not the provider's.
    Signature,
    /// The token is not for us.
    Audience,
    /// The token is from somebody else.
    Issuer,
    /// The token's time is over.
    Expired,
    /// The token says that it will be made, or was made long ago.
    IssuedAt,
    /// The token belongs to another sign-in.
    Nonce,
    /// The provider did not make sure that the address belongs to the person, or names none.
    Unverified,
    /// The address is not among those that may come in.
    NotAllowed(String),
    /// There is no random number, or nobody to ask.
    Broken(String),
}

impl Refusal {
    /// For the log and the audit log: what was wrong. Words of the provider and of the browser are in it only where they say why, cut
    /// short and on one line.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Incomplete => "The browser came back without state or code.".into(),
            Self::UnknownState => {
                "No sign-in waits under the state that the browser shows: it was used already, or never begun here.".into()
            }
            Self::TooLate => "The sign-in took longer than 10 minutes.".into(),
            Self::OtherBrowser => {
                "The sign-in was begun in another browser, or this one does not keep cookies.".into()
            }
            Self::Denied(word) => format!("The provider answered the browser with {}.", plain(word)),
            Self::OtherProvider => "The browser came back from another provider than the one in oidc.issuer.".into(),
            Self::Unusable(why) => format!("The provider {}.", plain(why)),
            Self::BadCode(why) => format!("The provider gives no token for the code: {}.", plain(why)),
            Self::NotAToken => "The provider sent something that is no signed token.".into(),
            Self::Algorithm(name) => {
                format!("The token is signed with {}, which is not taken or not named by the provider.", plain(name))
            }
            Self::UnknownKey => "The token is signed with a key that the provider does not publish.".into(),
            Self::Signature => "The signature of the token is wrong.".into(),
            Self::Audience => "The token was made for another client than the one in oidc.client_id.".into(),
            Self::Issuer => "The token names another issuer than the one in oidc.issuer.".into(),
            Self::Expired => "The token has expired; compare the clocks of both machines.".into(),
            Self::IssuedAt => {
                "The token was made in the future or long ago; compare the clocks of both machines.".into()
            }
            Self::Nonce => "The token belongs to another sign-in (its nonce is not ours).".into(),
            Self::Unverified => "The provider does not say that it has verified the person's mail address.".into(),
            Self::NotAllowed(email) => {
                format!("{} stands neither in oidc.allowed_emails nor in oidc.viewer_emails.", plain(email))
            }
            Self::Broken(why) => format!("The sign-in cannot go on: {}.", plain(why)),
        }
    }

    /// For the browser, which may be anybody's: nothing about who may come in, and nothing that helps to forge.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let detail = match self {
            Self::Incomplete | Self::UnknownState | Self::TooLate | Self::OtherBrowser => {
                "This sign-in is no longer good, or was begun elsewhere; begin again on the page"
            }
            Self::Unusable(_) | Self::Broken(_) => {
                "The provider of that account cannot be used at the moment; the appliance's log says why"
            }
            Self::Denied(_)
            | Self::OtherProvider
            | Self::BadCode(_)
            | Self::NotAToken
            | Self::Algorithm(_)
            | Self::UnknownKey
            | Self::Signature
            | Self::Audience
            | Self::Issuer
            | Self::Expired
            | Self::IssuedAt
            | Self::Nonce
            | Self::Unverified
            | Self::NotAllowed(_) => "That account was not accepted; the appliance's audit log says why",
        };
        Problem::OutsideIdentity { detail: detail.into() }
    }
}

/// Somebody else's words on one line and not long.
fn plain(text: &str) -> String {
    const LONGEST: usize = 200;
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(shown).take(LONGEST).collect();
    text.trim_end_matches(['.', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_exact_but_for_the_case_of_letters() {
        let guests = Guests {
            admins: vec!["Anna@example.org".into()],
            viewers: vec!["ben@example.org".into(), "ü@example.org".into()],
        };
        for (email, expected) in [
            ("Anna@example.org", Some(("Anna@example.org", Role::Admin))),
            ("anna@EXAMPLE.org", Some(("Anna@example.org", Role::Admin))),
            ("ben@example.org", Some(("ben@example.org", Role::Viewer))),
            ("Ü@example.org", None),
            ("anna@example.org.evil.example", None),
            ("anna+x@example.org", None),
            (" anna@example.org", None),
            ("*@example.org", None),
            ("", None),
        ] {
            let found = guests.find(email);
            let found = found.as_ref().map(|found| (found.email.as_str(), found.role));
            assert_eq!(found, expected, "{email}");
        }
    }

    #[test]
    fn the_browser_is_told_nothing_that_the_owner_alone_should_know() {
        let said = Refusal::NotAllowed("eve@example.org\r\nSet-Cookie: a=b".into());
        assert_eq!(
            said.sentence(),
            "eve@example.org  Set-Cookie: a=b stands neither in oidc.allowed_emails nor in oidc.viewer_emails."
        );
        let told = [Refusal::Signature, Refusal::Nonce, said].map(|refusal| refusal.problem().advice());
        assert!(told.iter().all(|text| text == &told[0] && !text.contains("eve")), "{told:?}");
        let long = Refusal::Denied("x".repeat(9000)).sentence();
        assert!(long.len() < 300, "{}", long.len());
    }
}
