//! Finds the transactions of one log file, and says what stands behind the last complete one.
//!
//! Commands have no length, so the end of a transaction cannot be computed from its bytes without decoding every
//! command of every release. It is recognised instead: COMMIT begins with `kernel, 5, id`, the id is known beforehand
//! (the one before, plus one), and the checksum in it covers everything since START. Bytes of a command that look like
//! this COMMIT fail the checksum, and the search goes on behind them.
//!
//! Why it is right: a transaction is reported only if START, the expected id and CRC32C agree. Whatever was cut,
//! flipped, zeroed or appended, the result is a prefix of the true list.
//! Why it is fast and small: the checksum is carried along, a candidate costs 18 bytes more; each byte is searched and
//! summed once; memory is one window, whatever the transaction's size.
//!
//! A START that contradicts what must come next (append index, previous checksum) is either torn or belongs to another
//! history. Then every `kernel, 5` is tried: if a checksum fits, the contradiction is an error; if none does, the
//! transaction is incomplete. A file that is being written thus never looks like a broken chain.
//!
//! The reader may be a live file. Layouts: `docs/format/transaction-log.md`, sections 3 and 4.

use std::fmt;
use std::io::{self, Read};
use std::ops::ControlFlow;

use crc32c::crc32c_append;
use memchr::memmem::Finder;

use super::entry::{COMMIT, COMMIT_CHECKSUM_AT, COMMIT_LENGTH, Commit, NoStart, START, Start, refused_entry};
use super::header::{HEADER_LENGTH, LogHeader};
use super::window::Window;
use crate::bytes::{first_nonzero, nonzero_end};
use crate::ids::{AppendIndex, Checksum, CommitTime, LogPosition, LogVersion, TransactionEnd, TxId};
use crate::kernel::KernelVersion;

/// With [`Scanner::glance`], so many zeros behind the last transaction are believed to go on.
const GLANCE_LENGTH: u64 = 4096;

/// A complete transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub id: TxId,
    /// First byte of its START.
    pub start: LogPosition,
    /// Right behind its COMMIT.
    pub end: LogPosition,
    pub kernel: KernelVersion,
    pub checksum: Checksum,
    /// What its START says of the transaction before it; up to kernel 21.
    pub previous_checksum: Option<Checksum>,
    /// From kernel 17 on.
    pub append_index: Option<AppendIndex>,
    pub commit_time: CommitTime,
    /// When it was opened, ms since 1970.
    pub opened_ms: i64,
    /// START directly followed by COMMIT: what `neo4j-admin database import` and `migrate` leave.
    pub without_commands: bool,
}

/// Where a scan begins, and what must come next there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanStart {
    /// Of the next START.
    pub position: LogPosition,
    /// Id of the transaction before it.
    pub last_id: TxId,
    /// Its checksum, where known; else the first transaction's previous checksum is not compared.
    pub last_checksum: Option<Checksum>,
    /// Its append index, where known; else the first transaction's is taken as it comes.
    pub last_append_index: Option<AppendIndex>,
}

/// What stands behind the last complete transaction. Offsets are in the scanned file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// The file ends exactly there.
    Eof { at: u64 },
    /// Zeros up to `to`, which is the end of the data unless the scan only glanced.
    Zeros { from: u64, to: u64 },
    /// A transaction begins and its COMMIT is not there: it is being written, was torn, or a byte of it is damaged.
    /// Damaged it is for certain in a file that is not the newest, or if it stays so while nobody writes.
    Incomplete {
        start: u64,
        /// Right behind the last byte other than zero. Much more than one transaction's worth speaks for damage.
        written_to: u64,
        /// End of the data.
        end: u64,
    },
    /// No log: neither the end, nor zeros to the end, nor the beginning of a transaction.
    Garbage {
        /// Right behind the last complete transaction.
        from: u64,
        /// The first byte that cannot be explained.
        at: u64,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    #[error("{at}: could not be read")]
    Read { at: LogPosition, source: io::Error },
    #[error(
        "{at}: kernel version byte {kernel} is unknown: written by a Neo4j that this version does not know"
    )]
    UnknownKernel { at: LogPosition, kernel: u8 },
    #[error("{at}: log entry {name} is not written by Community Edition and is not supported")]
    RefusedEntry { at: LogPosition, name: &'static str },
    #[error("{at}: additional header of {length} bytes, at most 8 are known")]
    AdditionalHeader { at: LogPosition, length: i32 },
    #[error("{at}: transaction {found} where {expected} must follow")]
    TransactionId { at: LogPosition, expected: TxId, found: TxId },
    #[error("{at}: transaction {id} has append index {found} where {expected} must follow")]
    AppendIndex { at: LogPosition, id: TxId, expected: AppendIndex, found: AppendIndex },
    #[error(
        "{at}: transaction {id} follows one with checksum {found}, not the one before it here ({expected})"
    )]
    PreviousChecksum { at: LogPosition, id: TxId, expected: Checksum, found: Checksum },
}

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

impl Transaction {
    pub fn end_point(&self) -> TransactionEnd {
        TransactionEnd {
            position: self.end,
            id: self.id,
            checksum: self.checksum,
            commit_time: self.commit_time,
        }
    }

    /// The mark that `neo4j-admin database migrate` leaves on every kernel: here a new history begins, though store id,
    /// file numbers and ids go on. (An import leaves the same with id 2, as the first transaction there is.)
    pub fn is_break(&self) -> bool {
        self.without_commands && self.id > TxId::BASE.next()
    }
}

impl ScanStart {
    /// Right behind the header of a file.
    pub fn of_file(header: &LogHeader) -> ScanStart {
        ScanStart {
            position: LogPosition { version: header.version, offset: HEADER_LENGTH as u64 },
            last_id: header.last_id,
            last_checksum: (header.last_id == TxId::BASE).then_some(Checksum::BASE),
            last_append_index: header.last_append_index,
        }
    }

    /// Right behind a known transaction.
    pub fn after(point: &TransactionEnd) -> ScanStart {
        ScanStart {
            position: point.position,
            last_id: point.id,
            last_checksum: Some(point.checksum),
            last_append_index: None,
        }
    }
}

impl Tail {
    /// Where the last complete transaction ends.
    pub fn from(&self) -> u64 {
        match *self {
            Tail::Eof { at: from }
            | Tail::Zeros { from, .. }
            | Tail::Incomplete { start: from, .. }
            | Tail::Garbage { from, .. } => from,
        }
    }
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Tail::Eof { .. } => write!(f, "the end of the file"),
            Tail::Zeros { to, .. } => write!(f, "zeros up to {to}"),
            Tail::Incomplete { written_to, .. } => {
                write!(f, "a transaction without its end, written up to {written_to}")
            }
            Tail::Garbage { at, .. } => write!(f, "no log (unexplained byte at {at})"),
        }
    }
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

    /// Does not read a zero tail to its end (up to 256 MiB in a fresh file): for following a live file. Only a scan
    /// without it can find garbage behind zeros.
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
        let mut sum = RunningSum { crc: 0, written_to: begin };
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
                        let mut sum = RunningSum { crc: 0, written_to: at.offset };
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

    /// Goes on to the end of the data (or far enough for a glance); breaks off at the first byte other than zero.
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
        Stop::Tail(Tail::Incomplete { start, written_to: sum.written_to, end: self.window.offset() })
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

/// Checksum of the transaction so far, and how far it is more than zeros.
struct RunningSum {
    crc: u32,
    written_to: u64,
}

impl RunningSum {
    /// Consumes `count` bytes of the window (at most all).
    fn pass<R: Read>(&mut self, window: &mut Window<R>, count: usize) {
        let bytes = window.bytes();
        let passed = bytes.get(..count).unwrap_or(bytes);
        self.crc = crc32c_append(self.crc, passed);
        if let Some(end) = nonzero_end(passed) {
            self.written_to = window.offset() + end as u64;
        }
        window.consume(count);
    }

    /// The COMMIT that `bytes` begin with, if its checksum is that of the transaction.
    fn proves(&self, bytes: &[u8]) -> Option<Commit> {
        let commit = Commit::decode(bytes)?;
        let crc = crc32c_append(self.crc, bytes.get(..COMMIT_CHECKSUM_AT)?);
        (commit.checksum == Checksum(crc)).then_some(commit)
    }
}

fn agree<T: PartialEq>(found: Option<T>, expected: Option<T>) -> bool {
    differ(found, expected).is_none()
}

/// Both, if both are known and they are not equal.
fn differ<T: PartialEq>(found: Option<T>, expected: Option<T>) -> Option<(T, T)> {
    found.zip(expected).filter(|(found, expected)| found != expected)
}

// The pattern of a COMMIT begins with these two bytes; `commit` relies on it when it shortens the pattern.
const _: () = assert!(COMMIT == 5 && START == 1);
