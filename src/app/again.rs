//! Beginning again in place: the same process runs the program anew, so that the service manager, the container and the app
//! keep what they started. Everything is read afresh, the log's settings too, and an upgraded program is the new one.
//!
//! Not here: when; that is [`super::App::wait`].

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The exit code after a second signal, as shells know it for SIGINT.
const INTERRUPTED: i32 = 130;

/// Counts SIGTERM and SIGINT from the start of the program to its end, longer than any appliance runs. The second ends the
/// process at once.
#[derive(Clone)]
pub struct Signals(watch::Receiver<u32>);

impl Signals {
    /// Listens from now on, on a thread that ends with the process.
    ///
    /// # Errors
    /// When the system lets us have no thread or no signals.
    pub fn listen() -> std::io::Result<Self> {
        let (count, heard) = watch::channel(0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (mut terminate, mut interrupt) = {
            let _context = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        let work = async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                count.send_modify(|count| *count += 1);
                if *count.borrow() > 1 {
                    std::process::exit(INTERRUPTED);
                }
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(work))?;
        Ok(Self(heard))
    }

    /// Whether there was one.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Ends after the first.
    pub(super) async fn heard(&self) {
        let mut count = self.0.clone();
        if count.wait_for(|count| *count > 0).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The program file, noted at the start: later the system may only know it as deleted.
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

impl Program {
    /// The program that runs now.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn of_process() -> std::io::Result<Self> {
        std::env::current_exe().map(Self)
    }

    /// Runs the program that now has this name in place of this one, with the same arguments and environment. Returns only if
    /// that fails.
    #[must_use]
    pub fn begin_again(&self) -> std::io::Error {
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_else(|| self.0.clone().into());
        close_on_exec();
        Command::new(&self.0).arg0(name).args(arguments).exec()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// Lets no descriptor but the standard ones live on: some libraries open devices and databases without saying so.
fn close_on_exec() {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers = open.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for number in numbers.filter(|number| *number > 2).collect::<Vec<_>>() {
        // SAFETY: F_SETFD changes a flag of a descriptor; for a number that is closed meanwhile it fails without effect.
        #[allow(unsafe_code, reason = "std cannot mark descriptors of others")]
        unsafe {
            libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
}
