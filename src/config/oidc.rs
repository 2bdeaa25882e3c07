//! Signing in with an outside identity: the provider, who we are there, and who may come in.
//!
//! Not here: talking to the provider; see [`crate::oidc`].

use lettre::Address;
use reqwest::Url;

use super::check::{readable, secret};
use super::faults::Faults;
use super::values::Values;
use super::{Secret, Trust};
use crate::logic::oidc::Guests;
use crate::logic::rules;

/// Where the provider sends the browser back to, below the page's address.
const CALLBACK: &str = "api/v1/oidc/callback";

/// An OpenID provider, and what we are to it.
#[derive(Clone, Debug)]
pub struct Oidc {
    /// Its name for itself, letter by letter; https, or http on this machine.
    pub issuer: Url,
    /// The same as it was written: a URL may end in a slash where the name does not.
    pub issuer_name: String,
    /// Our id there.
    pub client_id: String,
    /// Our password there; none = we are known by the id and the address alone, and by PKCE.
    pub client_secret: Option<Secret>,
    /// Where it sends the browser back to, exactly as it has to be registered there.
    pub redirect: String,
    /// Who may come in.
    pub guests: Guests,
    /// What the button says after "Sign in with".
    pub name: String,
    /// Whose certificates are trusted.
    pub trust: Trust,
}

impl Oidc {
    /// Whether the provider may send us or the browser there: over TLS; in the clear only on this machine, and only if it sits there too.
    #[must_use]
    pub fn may_lead_to(&self, url: &Url) -> bool {
        url.scheme() == "https" || (self.issuer.scheme() == "http" && is_safe(url))
    }
}

/// Every key but the issuer, without which the others mean nothing.
const OTHERS: [&str; 7] = [
    "oidc.client_id",
    "oidc.client_secret",
    "oidc.client_secret_file",
    "oidc.allowed_emails",
    "oidc.viewer_emails",
    "oidc.name",
    "oidc.ca_file",
];

pub(super) fn oidc(values: &Values, faults: &mut Faults) -> Option<Oidc> {
    let Some(issuer_name) = values.filled("oidc.issuer") else {
        for key in OTHERS.into_iter().filter(|key| values.differs(key)) {
            faults.add(key, "needs oidc.issuer too; set it, or remove this key", values.place(key));
        }
        return None;
    };
    let place = values.place("oidc.issuer");
    let client_id = values.filled("oidc.client_id");
    if client_id.is_none() {
        faults.add("oidc.client_id", "needed with oidc.issuer; the provider gives it", place);
    }
    let guests = guests(values, faults);
    let key = "oidc.ca_file".to_owned();
    let trust = Trust { ca_file: readable(values, &key, faults), key };
    let client_secret = secret(values, "oidc.client_secret", faults);
    let redirect = redirect(values, faults);
    Some(Oidc {
        issuer: Url::parse(&issuer_name).ok()?,
        issuer_name,
        client_id: client_id?,
        client_secret,
        redirect: redirect?,
        guests,
        name: values.text("oidc.name"),
        trust,
    })
}

fn guests(values: &Values, faults: &mut Faults) -> Guests {
    let listed = |key: &str| rules::list(&values.text(key)).map(str::to_owned).collect::<Vec<_>>();
    let guests = Guests { admins: listed("oidc.allowed_emails"), viewers: listed("oidc.viewer_emails") };
    if guests.admins.is_empty() && guests.viewers.is_empty() {
        let message = "needed with oidc.issuer, else nobody could sign in; name the mail addresses that may come in as admins, or \
             others in oidc.viewer_emails";
        faults.add("oidc.allowed_emails", message, values.place("oidc.issuer"));
    }
    let twice = |email: &&String| guests.admins.iter().any(|admin| admin.eq_ignore_ascii_case(email));
    if let Some(email) = guests.viewers.iter().find(twice) {
        let message = format!("{email} stands in oidc.allowed_emails too; remove it from one of them");
        faults.add("oidc.viewer_emails", message, values.place("oidc.viewer_emails"));
    }
    guests
}

/// The provider compares this address letter by letter, so it is made from what is configured and from nothing that a request says.
fn redirect(values: &Values, faults: &mut Faults) -> Option<String> {
    let page = values.filled("http.url");
    let url = page.as_deref().and_then(|text| Url::parse(text).ok());
    let fits =
        url.filter(|url| is_safe(url) && url.query().is_none() && url.fragment().is_none() && url.has_host());
    let Some(url) = fits else {
        let message = "needs http.url to be the page's address as people type it, with https:// (http:// only on this machine \
                       itself) and without ? and #: the provider sends the browser back there";
        faults.add("oidc.issuer", message, values.place("oidc.issuer"));
        return None;
    };
    Some(format!("{}/{CALLBACK}", url.as_str().trim_end_matches('/')))
}

/// Whether words may travel to it: over TLS, or without leaving this machine.
fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

/// For the table of keys.
pub(super) fn check_issuer(text: &str) -> Result<(), String> {
    let fits = |url: &Url| {
        is_safe(url)
            && url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    if text.is_empty() || Url::parse(text).is_ok_and(|url| fits(&url)) {
        Ok(())
    } else {
        Err("needs the provider's address with https:// (http:// only on this machine itself), without ? and #"
            .to_owned())
    }
}

/// For the table of keys. A pattern would let in whoever can get an address that fits.
pub(super) fn check_emails(text: &str) -> Result<(), String> {
    let is_address = |word: &str| !word.contains('*') && word.parse::<Address>().is_ok();
    if rules::list(text).all(is_address) {
        Ok(())
    } else {
        Err("needs whole mail addresses with commas between them, such as anna@example.org; patterns are not taken"
            .to_owned())
    }
}

/// By its address or as `localhost`; other names may lead anywhere.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
