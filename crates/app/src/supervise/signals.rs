//! Signals as something to wait for beside everything else.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::process::Signal;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use crate::failure::Failure;

/// Those that end us (TERM, INT), tell of children (CHLD), and are the server's (HUP, and QUIT, for which a JVM prints
/// its threads).
const HEEDED: [i32; 5] = [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM];

pub(super) struct Signals {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::Usage(format!("cannot heed signals: {error}"));
        let (read, write) = UnixStream::pair().map_err(failed)?;
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, HEEDED).map_err(failed)?;
        Ok(Self { delivery })
    }

    /// Readable when one has come.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.delivery.get_read().as_fd()
    }

    /// Each that has come since, once.
    pub(super) fn take(&mut self) -> Vec<Signal> {
        self.delivery.pending().filter_map(Signal::from_named_raw).collect()
    }
}

/// As everybody calls it.
pub(super) fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::HUP => "SIGHUP",
        Signal::INT => "SIGINT",
        Signal::KILL => "SIGKILL",
        Signal::QUIT => "SIGQUIT",
        Signal::TERM => "SIGTERM",
        _ => "a signal",
    }
}
