//! The way to the broker: TCP, TLS if wanted, offered to the MQTT client as a private Unix socket.
//!
//! The client's own TLS features are not built (their dependencies hold open advisories), and dialling ourselves gives errors a
//! person can act on, and time limits on the TCP connection. Not here: MQTT.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// Longest wait for a broker to take the connection, and again for the TLS handshake.
const DIAL_LIMIT: Duration = Duration::from_secs(10);
/// A broker that acknowledges nothing for this long is gone, although the network did not say so.
const SILENCE_LIMIT: Duration = Duration::from_secs(20);
/// Bytes that are passed on at once.
const BUFFER_BYTES: usize = 16 * 1024;
/// How long the last bytes may be on their way.
const DRAIN_LIMIT: Duration = Duration::from_millis(500);

/// Where the broker is.
#[derive(Clone)]
pub struct Target {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// TLS, with the certificates to trust and to show.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

/// Why the broker cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// TCP failed.
    #[error("{0} cannot be reached: {1}")]
    Unreachable(String, std::io::Error),
    /// Nothing answered in time.
    #[error("{0} does not answer within {limit} s", limit = DIAL_LIMIT.as_secs())]
    Silent(String),
    /// TLS failed; the text names the certificate's fault.
    #[error("no secure connection to {0}: {1}")]
    Tls(String, std::io::Error),
    /// It was open and broke; with TLS the text may be the broker's word about our certificate.
    #[error("the connection to {0} broke: {1}")]
    Broken(String, std::io::Error),
    /// The private socket could not be made.
    #[error("the private socket {0} cannot be made: {1}")]
    Socket(PathBuf, std::io::Error),
}

/// An open way; dropping it closes everything.
pub(super) struct Tunnel {
    name: String,
    path: PathBuf,
    forwarder: JoinHandle<std::io::Result<()>>,
}

impl Tunnel {
    /// Connects to the broker, then waits for the one client at the socket `path`, which is made.
    ///
    /// # Errors
    /// When the broker cannot be reached in time or is not to be trusted.
    pub(super) async fn open(target: &Target, path: PathBuf) -> Result<Self, Error> {
        let stream = dial(target).await?;
        // Left over from the connection before.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(|error| Error::Socket(path.clone(), error))?;
        let forwarder = tokio::spawn(target_stream(stream, listener));
        Ok(Self { name: format!("{}:{}", target.host, target.port), path, forwarder })
    }

    /// Waits until the broker has everything that the client wrote. The client must be gone, and have said that it goes.
    pub(super) async fn drain(mut self) {
        // Late, the broker goes without our last word; its last will says the same.
        let _ = tokio::time::timeout(DRAIN_LIMIT, &mut self.forwarder).await;
    }

    /// Why the way broke, for a client that has only seen its end.
    pub(super) async fn fault(mut self) -> Option<Error> {
        let ended = tokio::time::timeout(DRAIN_LIMIT, &mut self.forwarder).await;
        let error = ended.ok()?.ok()?.err()?;
        Some(Error::Broken(std::mem::take(&mut self.name), error))
    }

    /// Where the client connects to.
    #[must_use]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.forwarder.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Passes bytes on in both directions. A client that has gone with its last word said leaves the broker's acknowledgements unread; that
/// must not keep the last word from reaching the broker, as `tokio::io::copy_bidirectional` would.
async fn target_stream(broker: Box<dyn Stream>, listener: UnixListener) -> std::io::Result<()> {
    let (client, _) = listener.accept().await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_broker, mut to_broker) = tokio::io::split(broker);
    let up = async {
        tokio::io::copy(&mut from_client, &mut to_broker).await?;
        // The broker may have closed first.
        let _ = to_broker.shutdown().await;
        std::io::Result::Ok(())
    };
    let down = async {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut is_heard = true;
        loop {
            let length = from_broker.read(&mut buffer).await?;
            if length == 0 {
                break;
            }
            is_heard = is_heard && to_client.write_all(&buffer[..length]).await.is_ok();
        }
        // The client sees the end of the connection; it may have gone already.
        let _ = to_client.shutdown().await;
        std::io::Result::Ok(())
    };
    tokio::try_join!(up, down).map(drop)
}

async fn dial(target: &Target) -> Result<Box<dyn Stream>, Error> {
    let name = format!("{}:{}", target.host, target.port);
    let connecting = TcpStream::connect((target.host.as_str(), target.port));
    let tcp = tokio::time::timeout(DIAL_LIMIT, connecting)
        .await
        .map_err(|_| Error::Silent(name.clone()))?
        .map_err(|error| Error::Unreachable(name.clone(), error))?;
    let socket = SockRef::from(&tcp);
    // Best effort: without them a dead broker is noticed later, by the keep-alive.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_user_timeout(Some(SILENCE_LIMIT));
    let Some(tls) = &target.tls else { return Ok(Box::new(tcp)) };
    let server = ServerName::try_from(target.host.clone())
        .map_err(|error| Error::Tls(name.clone(), std::io::Error::other(error)))?;
    let shaking = TlsConnector::from(Arc::clone(tls)).connect(server, tcp);
    let secure = tokio::time::timeout(DIAL_LIMIT, shaking).await.map_err(|_| Error::Silent(name.clone()))?;
    Ok(Box::new(secure.map_err(|error| Error::Tls(name, error))?))
}
