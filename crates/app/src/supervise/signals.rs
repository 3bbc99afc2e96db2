//! Signals as something to wait for beside everything else.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

use rustix::process::Signal;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use crate::failure::Failure;

/// Those that end us (TERM, INT), tell of children (CHLD), and are the server's (HUP, and QUIT, for which a JVM prints
/// its threads).
const HEEDED: [i32; 5] = [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM];

pub(super) struct Signals {
    /// Readable when one has come.
    readable: UnixStream,
    delivery: Mutex<SignalDelivery<UnixStream, SignalOnly>>,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::Usage(format!("cannot heed signals: {error}"));
        let (read, write) = UnixStream::pair().map_err(failed)?;
        let readable = read.try_clone().map_err(failed)?;
        let delivery =
            SignalDelivery::with_pipe(read, write, SignalOnly::default(), HEEDED).map_err(failed)?;
        Ok(Self { readable, delivery: Mutex::new(delivery) })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.readable.as_fd()
    }

    /// Each that has come since, once.
    pub(super) fn take(&self) -> Vec<Signal> {
        let mut delivery = self.delivery.lock().unwrap_or_else(PoisonError::into_inner);
        delivery.pending().filter_map(Signal::from_named_raw).collect()
    }
}
