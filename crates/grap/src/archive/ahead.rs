//! Reading on from where the archive stands: the whole transactions that come next in one log file.

use grap_disk::DiskError;
use grap_neo4j::txlog::{ScanStart, Scanner, Tail, Transaction};
use grap_neo4j::{TransactionEnd, TxId};

use super::held::HeldLog;
use super::segment::{Segment, SegmentHeader};

/// What is read at first; more is read when more is there.
const FIRST: usize = 256 << 10;
/// Behind so many zeros a transaction is taken to be unwritten, at first.
const ZEROS: u64 = 4096;

/// The transactions that come next, and what stands behind them.
#[derive(Debug)]
pub(super) struct Ahead {
    /// `None`: not one whole transaction.
    pub(super) segment: Option<Segment>,
    /// Behind the last of them.
    pub(super) resume: ScanStart,
    /// The first and the last of them.
    pub(super) ends: Option<(TransactionEnd, TransactionEnd)>,
    pub(super) behind: Behind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Behind {
    /// As much was read as was asked for.
    More,
    /// The end of the file, or zeros.
    End,
    /// A transaction that is being written, or was torn.
    Incomplete,
    /// A transaction without commands, which begins another history.
    Mark(ScanStart),
    /// No log.
    Odd(String),
}

/// How far to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of a segment, as long as a transaction is not longer.
    pub(super) bytes: usize,
    /// No transaction behind this one.
    pub(super) last: Option<TxId>,
    /// The next transaction may be a mark: the history begins with it.
    pub(super) begins: bool,
    /// An incomplete transaction may go on behind any number of zeros: read on to the end of the file.
    pub(super) to_end: bool,
}

/// Read on in `log` from `from`. `clock_ms` is the wall clock before the read.
pub(super) fn read_ahead(
    log: &HeldLog,
    from: &ScanStart,
    limits: Limits,
    clock_ms: i64,
) -> Result<Ahead, DiskError> {
    let mut length = FIRST.min(limits.bytes);
    loop {
        let bytes = log.bytes(from.position.offset, length)?;
        let whole = bytes.len() < length;
        let found = scan(&bytes, from, limits);
        let cut = !whole && reaches(&found, bytes.len(), limits.to_end);
        // A transaction that is longer than the limit is read whole.
        if cut && (found.transactions.is_empty() || length < limits.bytes) {
            length = length.saturating_mul(4);
            continue;
        }
        let behind = if cut { Behind::More } else { found.behind };
        let segment = segment(log, &bytes, from, &found.transactions, clock_ms);
        let ends = found.transactions.first().zip(found.transactions.last());
        let ends = ends.map(|(first, last)| (first.end_point(), last.end_point()));
        return Ok(Ahead { segment, resume: found.resume, ends, behind });
    }
}

struct Found {
    transactions: Vec<Transaction>,
    resume: ScanStart,
    behind: Behind,
    /// Right behind the last byte that is other than zero, from where the scan began.
    written_to: u64,
}

/// Whether the `length` bytes that were read end in the middle of something.
fn reaches(found: &Found, length: usize, to_end: bool) -> bool {
    match found.behind {
        Behind::Incomplete => to_end || found.written_to + ZEROS > length as u64,
        Behind::End => found.written_to == length as u64,
        Behind::More | Behind::Mark(_) | Behind::Odd(_) => false,
    }
}

fn scan(bytes: &[u8], from: &ScanStart, limits: Limits) -> Found {
    let begin = from.position.offset;
    let mut scanner = Scanner::new(bytes, *from).glance();
    let mut transactions = Vec::new();
    let mut resume = *from;
    let behind = loop {
        match scanner.next() {
            Some(Ok(transaction))
                if transaction.is_break() && !(limits.begins && transactions.is_empty()) =>
            {
                break Behind::Mark(resume);
            }
            Some(Ok(transaction)) if limits.last.is_some_and(|last| transaction.id > last) => {
                break Behind::More;
            }
            Some(Ok(transaction)) => {
                transactions.push(transaction);
                resume = scanner.resume();
            }
            Some(Err(error)) => break mark(bytes, begin, &resume).unwrap_or(Behind::Odd(error.to_string())),
            None => {
                let tail = scanner.tail().unwrap_or(Tail::Eof { at: resume.position.offset });
                let (behind, written_to) = judge(tail);
                return Found { transactions, resume, behind, written_to: written_to.saturating_sub(begin) };
            }
        }
    };
    Found { transactions, resume, behind, written_to: 0 }
}

/// A mark contradicts what it follows, on kernels that say what a transaction follows.
fn mark(bytes: &[u8], begin: u64, resume: &ScanStart) -> Option<Behind> {
    let rest = bytes.get(usize::try_from(resume.position.offset - begin).ok()?..)?;
    let fresh = ScanStart { last_checksum: None, last_append_index: None, ..*resume };
    let transaction = Scanner::new(rest, fresh).next()?.ok()?;
    transaction.is_break().then_some(Behind::Mark(fresh))
}

fn judge(tail: Tail) -> (Behind, u64) {
    match tail {
        Tail::Eof { at } => (Behind::End, at),
        Tail::Zeros { from, .. } => (Behind::End, from),
        Tail::Incomplete { written_to, .. } => (Behind::Incomplete, written_to),
        Tail::Garbage { from, .. } => (Behind::Odd(tail.to_string()), from),
    }
}

fn segment(
    log: &HeldLog,
    bytes: &[u8],
    from: &ScanStart,
    transactions: &[Transaction],
    clock_ms: i64,
) -> Option<Segment> {
    let (first, last) = (transactions.first()?, transactions.last()?);
    let length = usize::try_from(last.end.offset - from.position.offset).ok()?;
    Some(Segment {
        header: SegmentHeader {
            position: from.position,
            inode: log.inode(),
            clock_ms,
            first: (first.id, first.checksum),
            last: (last.id, last.checksum),
            file_header: log.header_bytes,
        },
        content: bytes.get(..length)?.to_vec(),
    })
}
