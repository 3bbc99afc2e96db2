//! Finds the transactions of one log file, and says what stands behind the last complete one.
//!
//! Commands have no length, so the end of a transaction cannot be computed from its bytes without decoding
//! every command of every release. It is recognised instead: COMMIT begins with `kernel, 5, id`, the id is
//! known beforehand (the one before, plus one), and the checksum in it covers everything since START. Bytes
//! of a command that look like this COMMIT fail the checksum, and the search goes on behind them.
//!
//! Why it is right: a transaction is reported only if START, the expected id and CRC32C agree. Whatever was
//! cut, flipped, zeroed or appended, the result is a prefix of the true list.
//! Why it is fast and small: the checksum is carried along, a candidate costs 18 bytes more; each byte is
//! searched and summed once; memory is one window, whatever the transaction's size.
//!
//! A START that contradicts what must come next (append index, previous checksum) is either torn or belongs
//! to another history. Then every `kernel, 5` is tried: if a checksum fits, the contradiction is an error; if
//! none does, the transaction is incomplete. A file that is being written thus never looks like a broken
//! chain.
//!
//! Limit: CRC32C is no secret. Who can write property values *and* foresee the exact bytes of his own
//! transaction up to them (times to the millisecond) could place a COMMIT inside a value that fits. The true
//! rest then stands where a START must, so the scan ends in garbage or an incomplete transaction, never in a
//! clean tail; decoding the commands tells.
//!
//! The reader may be a live file. Layouts: `docs/format/transaction-log.md`, sections 3 and 4.

use std::io::{self, Read};
use std::ops::ControlFlow;

use memchr::memmem::Finder;

use super::entry::{COMMIT_LENGTH, Commit, NoStart, START, Start, refused_entry};
use super::error::ScanError;
use super::sum::RunningSum;
use super::tail::Tail;
use super::transaction::{ScanStart, Transaction};
use super::window::Window;
use crate::bytes::first_nonzero;
use crate::ids::{AppendIndex, LogPosition, LogVersion};
use crate::kernel::KernelVersion;

/// With [`Scanner::glance`], so many zeros behind the last transaction are believed to go on.
const GLANCE_LENGTH: u64 = 4096;

/// Iterates over the complete transactions of one log file; then [`Scanner::tail`] says what follows them.
///
/// After an error the iteration is over; what was returned before it stands.
pub struct Scanner<R> {
    window: Window<R>,
    version: LogVersion,
    next: ScanStart,
    glance: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Scanning,
    Ended(Tail),
    Failed,
}

impl<R: Read> Scanner<R> {
    /// `reader` stands at `start.position.offset` of the log file `start.position.version`.
    pub fn new(reader: R, start: ScanStart) -> Scanner<R> {
        Scanner {
            window: Window::new(reader, start.position.offset),
            version: start.position.version,
            next: start,
            glance: false,
            state: State::Scanning,
        }
    }

    /// Does not read a zero tail to its end (up to 256 MiB in a fresh file): for following a live file. Only
    /// a scan without it can find garbage behind zeros.
    #[must_use]
    pub fn glance(mut self) -> Scanner<R> {
        self.glance = true;
        self
    }

    /// What follows the last complete transaction. `None` until the iteration has ended without an error.
    pub fn tail(&self) -> Option<Tail> {
        match self.state {
            State::Ended(tail) => Some(tail),
            State::Scanning | State::Failed => None,
        }
    }

    /// Where the next transaction is expected, and as what: a later scan can begin with this.
    pub fn resume(&self) -> ScanStart {
        self.next
    }

    fn step(&mut self) -> Result<Transaction, Stop> {
        let start = self.start_entry()?;
        let begin = self.window.offset();
        let mut sum = RunningSum::new(begin);
        sum.pass(&mut self.window, start.length);
        self.refuse_entry_here(start.kernel)?;
        let commit = self.commit(begin, &start, &mut sum)?;
        let transaction = Transaction {
            id: commit.id,
            start: self.at(begin),
            end: self.at(self.window.offset()),
            kernel: start.kernel,
            checksum: commit.checksum,
            previous_checksum: start.previous_checksum,
            append_index: start.append_index,
            commit_time: commit.time,
            opened_ms: start.opened_ms,
            without_commands: self.window.offset() - begin == (start.length + COMMIT_LENGTH) as u64,
        };
        self.check_continuity(&transaction)?;
        self.next = ScanStart {
            position: transaction.end,
            last_id: transaction.id,
            last_checksum: Some(transaction.checksum),
            last_append_index: transaction
                .append_index
                .or(self.next.last_append_index.map(AppendIndex::next)),
        };
        Ok(transaction)
    }

    /// The START that must stand here, or what stands here instead.
    fn start_entry(&mut self) -> Result<Start, Stop> {
        let at = self.here();
        self.fill(2)?;
        let (byte, entry_type) = match *self.window.bytes() {
            [] => return Err(Stop::Tail(Tail::Eof { at: at.offset })),
            [0, ..] => return Err(self.zeros(at.offset)),
            [byte] => (byte, 0),
            [byte, entry_type, ..] => (byte, entry_type),
        };
        let Some(kernel) = KernelVersion::known(byte) else {
            return Err(match entry_type {
                START | 10..=13 => ScanError::UnknownKernel { at, kernel: byte }.into(),
                _ => garbage(at.offset, at.offset),
            });
        };
        match entry_type {
            START => self.decode_start(kernel),
            0 => Err(self.lone_kernel_byte(at.offset)),
            _ => match refused_entry(entry_type) {
                Some(name) => Err(ScanError::RefusedEntry { at, name }.into()),
                None => Err(garbage(at.offset, at.offset + 1)),
            },
        }
    }

    fn decode_start(&mut self, kernel: KernelVersion) -> Result<Start, Stop> {
        let at = self.here();
        loop {
            match Start::decode(kernel, self.window.bytes()) {
                Ok(start) => return Ok(start),
                Err(NoStart::AdditionalHeader(length)) => {
                    return Err(ScanError::AdditionalHeader { at, length }.into());
                }
                Err(NoStart::Needs(length)) => {
                    if !self.fill(length)? {
                        let mut sum = RunningSum::new(at.offset);
                        return Err(self.incomplete(at.offset, &mut sum));
                    }
                }
            }
        }
    }

    /// Searches the COMMIT of the transaction whose START was just passed. Returns behind it.
    fn commit(&mut self, begin: u64, start: &Start, sum: &mut RunningSum) -> Result<Commit, Stop> {
        let beginning = Commit::beginning(start.kernel, self.next.last_id.next());
        let pattern = if self.is_expected(start) { &beginning[..] } else { &beginning[..2] };
        let finder = Finder::new(pattern);
        loop {
            if let Some(at) = finder.find(self.window.bytes()) {
                sum.pass(&mut self.window, at);
                if !self.fill(COMMIT_LENGTH)? {
                    return Err(self.incomplete(begin, sum));
                }
                if let Some(commit) = sum.proves(self.window.bytes()) {
                    self.window.consume(COMMIT_LENGTH);
                    return Ok(commit);
                }
                sum.pass(&mut self.window, 1);
            } else {
                let searched = (self.window.bytes().len() + 1).saturating_sub(pattern.len());
                sum.pass(&mut self.window, searched);
                if !self.more()? {
                    return Err(self.incomplete(begin, sum));
                }
            }
        }
    }

    /// Whether this START says that it follows the transaction before it.
    fn is_expected(&self, start: &Start) -> bool {
        agree(start.previous_checksum, self.next.last_checksum)
            && agree(start.append_index, self.next.last_append_index.map(AppendIndex::next))
    }

    fn check_continuity(&self, transaction: &Transaction) -> Result<(), ScanError> {
        let (at, id) = (transaction.start, transaction.id);
        let expected = self.next.last_id.next();
        if id != expected {
            return Err(ScanError::TransactionId { at, expected, found: id });
        }
        let next_index = self.next.last_append_index.map(AppendIndex::next);
        if let Some((found, expected)) = differ(transaction.append_index, next_index) {
            return Err(ScanError::AppendIndex { at, id, expected, found });
        }
        if let Some((found, expected)) = differ(transaction.previous_checksum, self.next.last_checksum) {
            return Err(ScanError::PreviousChecksum { at, id, expected, found });
        }
        Ok(())
    }

    /// A chunk or a rollback directly behind START: deeper in a transaction it cannot be told from a command.
    fn refuse_entry_here(&mut self, kernel: KernelVersion) -> Result<(), Stop> {
        let at = self.here();
        self.fill(2)?;
        match *self.window.bytes() {
            [byte, entry_type, ..] if byte == kernel.byte() => match refused_entry(entry_type) {
                Some(name) => Err(ScanError::RefusedEntry { at, name }.into()),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn zeros(&mut self, from: u64) -> Stop {
        match self.pass_zeros(from) {
            Ok(ControlFlow::Continue(())) => Stop::Tail(Tail::Zeros { from, to: self.window.offset() }),
            Ok(ControlFlow::Break(at)) => garbage(from, at),
            Err(stop) => stop,
        }
    }

    /// The first byte of a START and nothing more: torn there, if only zeros follow.
    fn lone_kernel_byte(&mut self, start: u64) -> Stop {
        self.window.consume(1);
        match self.pass_zeros(start) {
            Ok(ControlFlow::Continue(())) => {
                Stop::Tail(Tail::Incomplete { start, written_to: start + 1, end: self.window.offset() })
            }
            Ok(ControlFlow::Break(at)) => garbage(start, at),
            Err(stop) => stop,
        }
    }

    /// Goes on to the end of the data (or far enough for a glance); breaks off at the first byte other than
    /// zero.
    fn pass_zeros(&mut self, from: u64) -> Result<ControlFlow<u64>, Stop> {
        loop {
            if let Some(at) = first_nonzero(self.window.bytes()) {
                return Ok(ControlFlow::Break(self.window.offset() + at as u64));
            }
            self.window.consume(self.window.bytes().len());
            let enough = self.glance && self.window.offset() - from >= GLANCE_LENGTH;
            if enough || !self.more()? {
                return Ok(ControlFlow::Continue(()));
            }
        }
    }

    /// The data ended within a transaction.
    fn incomplete(&mut self, start: u64, sum: &mut RunningSum) -> Stop {
        sum.pass(&mut self.window, usize::MAX);
        Stop::Tail(Tail::Incomplete { start, written_to: sum.written_to(), end: self.window.offset() })
    }

    fn here(&self) -> LogPosition {
        self.at(self.window.offset())
    }

    fn at(&self, offset: u64) -> LogPosition {
        LogPosition { version: self.version, offset }
    }

    fn fill(&mut self, count: usize) -> Result<bool, Stop> {
        self.window.fill(count).map_err(|source| self.read_error(source))
    }

    fn more(&mut self) -> Result<bool, Stop> {
        self.window.more().map_err(|source| self.read_error(source))
    }

    fn read_error(&self, source: io::Error) -> Stop {
        let read_to = self.window.offset() + self.window.bytes().len() as u64;
        ScanError::Read { at: self.at(read_to), source }.into()
    }
}

impl<R: Read> Iterator for Scanner<R> {
    type Item = Result<Transaction, ScanError>;

    fn next(&mut self) -> Option<Result<Transaction, ScanError>> {
        if self.state != State::Scanning {
            return None;
        }
        match self.step() {
            Ok(transaction) => Some(Ok(transaction)),
            Err(Stop::Tail(tail)) => {
                self.state = State::Ended(tail);
                None
            }
            Err(Stop::Error(error)) => {
                self.state = State::Failed;
                Some(Err(error))
            }
        }
    }
}

/// Why no further transaction comes.
enum Stop {
    Tail(Tail),
    Error(ScanError),
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Stop {
        Stop::Error(error)
    }
}

fn garbage(from: u64, at: u64) -> Stop {
    Stop::Tail(Tail::Garbage { from, at })
}

fn agree<T: PartialEq>(found: Option<T>, expected: Option<T>) -> bool {
    differ(found, expected).is_none()
}

/// Both, if both are known and they are not equal.
fn differ<T: PartialEq>(found: Option<T>, expected: Option<T>) -> Option<(T, T)> {
    found.zip(expected).filter(|(found, expected)| found != expected)
}
