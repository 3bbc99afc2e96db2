//! The socket, plain or within TLS. Each read and write ends at the deadline of the operation it belongs to, whatever
//! trickles in before.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use grap_task::Clock;
use rustls::{ClientConnection, StreamOwned};

use crate::error::Error;

/// An end on the boot clock.
#[derive(Debug, Clone)]
pub(super) struct Deadline {
    clock: Clock,
    end: Duration,
    /// How much time there was, for the error.
    pub(super) limit: Duration,
}

impl Deadline {
    pub(super) fn after(clock: &Clock, limit: Duration) -> Self {
        Self { clock: clock.clone(), end: clock.since_boot().saturating_add(limit), limit }
    }

    /// The earlier of the two.
    pub(super) fn within(self, budget: Option<&Deadline>) -> Self {
        match budget {
            Some(budget) if budget.end < self.end => budget.clone(),
            _ => self,
        }
    }

    /// What is left of it, never nothing.
    pub(super) fn left(&self) -> io::Result<Duration> {
        match self.end.checked_sub(self.clock.since_boot()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// The longest wait that the system is asked for at once: a timeout of a socket comes up to an eighth of it late (the
/// kernel's timer wheel), which is four seconds for thirty.
const WAIT: Duration = Duration::from_millis(500);

/// A connection of TCP that ends what it does at its deadline.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    deadline: Deadline,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, deadline: Deadline) -> Self {
        Self { stream, deadline }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream.set_read_timeout(Some(self.deadline.left()?.min(WAIT)))?;
            match self.stream.read(buffer) {
                Err(error) if is_timeout(&error) => {}
                other => return other,
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            self.stream.set_write_timeout(Some(self.deadline.left()?.min(WAIT)))?;
            match self.stream.write(bytes) {
                Err(error) if is_timeout(&error) => {}
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a socket's timeout has run out, the system calls it a wait that would block.
fn is_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

#[derive(Debug)]
pub(super) enum Wire {
    Plain(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

impl Wire {
    /// From now on.
    pub(super) fn set_deadline(&mut self, deadline: Deadline) {
        self.socket().deadline = deadline;
    }

    /// Of what is being done.
    pub(super) fn limit(&self) -> Duration {
        match self {
            Self::Plain(socket) => socket.deadline.limit,
            Self::Tls(stream) => stream.sock.deadline.limit,
        }
    }

    /// Nothing more is sent or read.
    pub(super) fn shut(&mut self) {
        // It is given up already; the peer may be gone, too.
        let _ = self.socket().stream.shutdown(Shutdown::Both);
    }

    fn socket(&mut self) -> &mut Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &mut stream.sock,
        }
    }

    /// Reads what there is, at least a byte, and appends it.
    pub(super) fn read_some(&mut self, into: &mut Vec<u8>) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        let length = loop {
            match self.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        into.extend_from_slice(&buffer[..length]);
        Ok(())
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)?;
        self.flush()
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// What became of an exchange when the socket gave this error.
pub(super) fn lost(doing: &'static str, server: &str, limit: Duration, source: io::Error) -> Error {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    let server = server.to_owned();
    match source.kind() {
        TimedOut => Error::Timeout { doing, server, limit },
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => Error::Closed { doing, server },
        _ => Error::Broken { doing, server, source },
    }
}
