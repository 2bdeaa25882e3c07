//! TLS towards an external broker: whom we trust and how we show who we are.
//!
//! Not here: the connection itself ([`super::tunnel`]).

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::config::Tls;

/// Why TLS cannot be set up; each names the key to look at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A PEM file cannot be read or holds nothing usable.
    #[error("{key}: {path} cannot be used: {reason}")]
    File {
        /// The configuration key.
        key: &'static str,
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The system has no list of authorities.
    #[error("the system trusts no certificate authority; set mqtt.ca_file to your broker's CA")]
    NoAuthorities,
    /// Certificate and key do not belong together, or the key is of an unknown kind.
    #[error("mqtt.client_cert_file and mqtt.client_key_file do not work together: {0}")]
    Client(rustls::Error),
}

/// Reads the certificates into a configuration for connections.
///
/// # Errors
/// When a file cannot be used.
pub fn client_config(tls: &Tls) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    match &tls.ca_file {
        Some(path) => {
            for certificate in certificates("mqtt.ca_file", path)? {
                roots.add(certificate).map_err(|error| fault("mqtt.ca_file", path, error))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs().certs;
            if roots.add_parsable_certificates(found).0 == 0 {
                return Err(Error::NoAuthorities);
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_root_certificates(roots);
    let Some(client) = &tls.client else { return Ok(Arc::new(builder.with_no_client_auth())) };
    let chain = certificates("mqtt.client_cert_file", &client.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&client.key_file)
        .map_err(|error| fault("mqtt.client_key_file", &client.key_file, error))?;
    builder.with_client_auth_cert(chain, key).map(Arc::new).map_err(Error::Client)
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, pem::Error>>())
        .map_err(|error| fault(key, path, error))?;
    if read.is_empty() { Err(fault(key, path, "it holds no certificate")) } else { Ok(read) }
}

fn fault(key: &'static str, path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::File { key, path: path.display().to_string(), reason: reason.to_string() }
}
