//! Our own side of TLS: the one certificate that page and broker show, and what they speak.
//!
//! [`Keeper`] makes, renews and reloads it; the listeners ask [`Certificate`] at each handshake, so that a new one is shown at once and
//! connections that are open go on. Not here: sockets, and TLS towards others ([`crate::mqtt`], [`crate::config::Trust`]).

mod guest;
mod keep;
mod pair;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;

pub use guest::common_name;
pub use keep::{Keeper, News, Source};

use crate::config::Trust;
use pair::Pair;

/// The first byte of a TLS connection; neither HTTP nor MQTT begins so.
pub const FIRST_BYTE: u8 = 0x16;

/// The certificate that is shown now.
pub struct Certificate(RwLock<Pair>);

/// What there is to know about a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// SHA-256 of the certificate as browsers show it: `AB:CD:…`.
    pub fingerprint: String,
    /// From when on it holds.
    pub not_before: Timestamp,
    /// Until when it holds.
    pub not_after: Timestamp,
    /// No authority stands behind it: browsers warn.
    pub is_self_signed: bool,
    /// Host names and IP addresses that it is for.
    pub names: Vec<String>,
}

impl Certificate {
    fn new(pair: Pair) -> Arc<Self> {
        Arc::new(Self(RwLock::new(pair)))
    }

    fn show(&self, pair: Pair) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = pair;
    }

    fn pair(&self) -> Pair {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the certificate that is shown now says.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.pair().facts
    }

    /// What the page speaks: TLS 1.2 and 1.3, HTTP/1.1.
    #[must_use]
    pub fn http(self: &Arc<Self>) -> Arc<ServerConfig> {
        let mut config = builder().with_no_client_auth().with_cert_resolver(Arc::clone(self) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// What the broker speaks. Clients may show a certificate of the authorities in `guests`; one of others ends the handshake.
    ///
    /// # Errors
    /// A sentence that names the key, when the authorities cannot be used.
    pub fn mqtt(self: &Arc<Self>, guests: Option<&Trust>) -> Result<Arc<ServerConfig>, String> {
        let Some(trust) = guests else {
            let config = builder().with_no_client_auth().with_cert_resolver(Arc::clone(self) as _);
            return Ok(Arc::new(config));
        };
        let fault = |error: &dyn fmt::Display| format!("{}: {error}", trust.key);
        let mut roots = rustls::RootCertStore::empty();
        for authority in trust.authorities()? {
            roots.add(authority).map_err(|error| fault(&error))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier = verifier.allow_unauthenticated().build().map_err(|error| fault(&error))?;
        let config = builder().with_client_cert_verifier(verifier).with_cert_resolver(Arc::clone(self) as _);
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair().key)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.facts()).finish()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn builder() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
}
