//! The inner server: tiny_http on the private Unix socket, one thread for each request.
//!
//! Its own thread never touches a request: dropping one reads its body and writes an answer, which may block. Not here: what is
//! answered ([`super::picture`]).

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tiny_http::{Method, Request, Server};

use super::Shared;
use super::picture::{self, Asked};
use crate::shutdown::Shutdown;

/// How long one wait for a request may last before the signals are looked at.
const PATIENCE: Duration = Duration::from_millis(250);
/// Pause before the socket is tried again when it cannot be opened.
const REBUILD_PAUSE: Duration = Duration::from_secs(1);
/// After the signal, how long viewers' threads get to end.
const STOP_TIME: Duration = Duration::from_millis(1500);
/// A viewer's thread formats a few lines and writes; it keeps no picture on its stack.
const STACK_BYTES: usize = 256 * 1024;

/// The inner half.
pub struct Inner {
    shared: Arc<Shared>,
}

impl Inner {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Serves the front on this thread until the signal, then for at most two seconds longer. Spawns one thread for each
    /// picture or stream that is asked for; [`super::Limits::max_viewers`] bounds them.
    pub fn run(self, shutdown: &Shutdown) {
        let mut threads = Vec::new();
        let mut told_failure = false;
        while !shutdown.is_triggered() {
            match self.open() {
                Ok(server) => {
                    told_failure = false;
                    self.dispatch(&server, &mut threads, shutdown);
                }
                Err(error) => {
                    if !told_failure {
                        tracing::error!(socket = %self.shared.socket.display(), error, "no pictures over HTTP");
                        told_failure = true;
                    }
                    let _ = shutdown.wait(REBUILD_PAUSE);
                }
            }
        }
        finish(threads);
    }

    fn open(&self) -> Result<Server, String> {
        let socket = &self.shared.socket;
        // A leftover of an earlier run that was killed; the folder is ours alone.
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.to_string()),
            Ok(()) | Err(_) => {}
        }
        let server = Server::http_unix(socket).map_err(|error| error.to_string())?;
        self.shared.broken.store(false, Ordering::Relaxed);
        Ok(server)
    }

    /// Returns when the signal came or the server has to be built anew: its accept thread may die without a word.
    fn dispatch(&self, server: &Server, threads: &mut Vec<JoinHandle<()>>, shutdown: &Shutdown) {
        while !shutdown.is_triggered() {
            match server.recv_timeout(PATIENCE) {
                Ok(Some(request)) => self.spawn(request, threads, shutdown),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "the inner HTTP server failed and is built anew");
                    return;
                }
            }
            if self.shared.broken.load(Ordering::Relaxed) {
                tracing::warn!("the inner HTTP server refuses connections and is built anew");
                return;
            }
        }
    }

    fn spawn(&self, request: Request, threads: &mut Vec<JoinHandle<()>>, shutdown: &Shutdown) {
        threads.retain(|thread| !thread.is_finished());
        let (shared, shutdown) = (Arc::clone(&self.shared), shutdown.clone());
        let serve = move || serve(&shared, request, &shutdown);
        match Builder::new().name("http-viewer".into()).stack_size(STACK_BYTES).spawn(serve) {
            Ok(thread) => threads.push(thread),
            // The request has been dropped, which answers 500; it has no body, so that this cannot block.
            Err(error) => tracing::warn!(%error, "no thread for a viewer"),
        }
    }
}

fn serve(shared: &Shared, request: Request, shutdown: &Shutdown) {
    let target = request.url().to_owned();
    let only_head = *request.method() == Method::Head;
    let mut writer = request.into_writer();
    let asked = Asked { target: &target, only_head };
    if let Err(error) = picture::answer(shared, &asked, &mut writer, shutdown) {
        tracing::debug!(%error, "a viewer has left");
    }
}

/// Waits for the viewers' threads, within the limit: one that hangs must not hang the process.
fn finish(threads: Vec<JoinHandle<()>>) {
    let deadline = Instant::now() + STOP_TIME;
    for thread in threads {
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        if thread.is_finished() && thread.join().is_err() {
            tracing::error!("a viewer's thread had panicked");
        }
    }
}
