//! A TLS client that trusts the certificates it is given, and shows which one it met.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{Rig, connect};

pub type Secure = StreamOwned<ClientConnection, TcpStream>;

/// The certificate that the rig made itself, as PEM.
pub fn made(rig: &Rig) -> Vec<u8> {
    std::fs::read(rig.run_dir.path().join("tls/cert.pem")).unwrap()
}

/// What a client has to know that trusts these certificates, as PEM, and nothing else.
pub fn trust(certificates: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(CertificateDer::from_pem_slice(certificate).unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Connects to `localhost`.
pub fn secure(address: SocketAddr, trust: &Arc<ClientConfig>) -> std::io::Result<Secure> {
    let mut stream = connect(address);
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(Arc::clone(trust), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// The certificate that the server showed.
pub fn met(stream: &Secure) -> CertificateDer<'static> {
    stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
}
