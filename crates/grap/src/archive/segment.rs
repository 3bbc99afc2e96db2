//! A segment: whole transactions of one log file, as the file holds them. Format version 1, little-endian:
//! ```text
//! 0    8   "grapseg1"
//! 8    u32 0
//! 12   u32 length of this header (272)
//! 16   u64 log version (the number in the log file's name)
//! 24   u64 offset of the content in that file
//! 32   u64 inode of that file
//! 40   i64 the archiver's wall clock when it read, ms since 1970
//! 48   u64 first transaction id
//! 56   u64 last transaction id
//! 64   u32 checksum of the first, u32 of the last
//! 72   u64 length of the content
//! 80   32  SHA-256 of the content
//! 112  128 the log file's own header
//! 240  32  zeros
//! 272      the content
//! ```
//! A merged object holds segments of one run as they were stored, parts and all:
//! ```text
//! 0    8   "grapmrg1"
//! 8    u32 0
//! 12   u32 number of parts
//! 16   for each part: u64 first id, u64 last id, u64 length
//!      the parts, one after the other, each a whole segment
//! ```
//! Both are sealed under their names, so a segment cannot stand in for another. The digit in the first eight
//! bytes is the version: a reader refuses one that it does not know.

use std::ops::Range;

use grap_neo4j::txlog::{
    FileHeader, HEADER_LENGTH, HeaderError, LogHeader, ScanStart, Scanner, Tail, Transaction,
};
use grap_neo4j::{Checksum, LogPosition, LogVersion, TransactionEnd, TxId};
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"grapseg1";
const MERGED: &[u8; 8] = b"grapmrg1";
const LENGTH: u32 = 272;
const FILE_HEADER: Range<usize> = 112..240;
const PART_LENGTH: usize = 24;

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Where the content begins.
    pub position: LogPosition,
    pub inode: u64,
    /// Milliseconds since 1970.
    pub clock_ms: i64,
    pub first: (TxId, Checksum),
    pub last: (TxId, Checksum),
    /// The 128 bytes that begin the log file.
    pub file_header: [u8; HEADER_LENGTH],
}

/// A segment whose content has the SHA-256 that its header names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub header: SegmentHeader,
    pub content: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    #[error("it is cut short")]
    Short,
    #[error("it is of a format that this program does not know")]
    Unknown,
    #[error("a field at byte {at} cannot hold this value")]
    Field { at: usize },
    #[error("the SHA-256 of its content is another")]
    Hash,
    #[error("its name says that it begins with transaction {named}, it begins with {found}")]
    OtherName { named: TxId, found: TxId },
    #[error("the log header in it cannot be read")]
    LogHeader(#[source] HeaderError),
    #[error("it does not hold the whole transactions {} to {} that it names: {why}", first.0, last.0)]
    Content { first: TxId, last: TxId, why: String },
}

impl Segment {
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = &self.header;
        let mut bytes = Vec::with_capacity(LENGTH as usize + self.content.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&0_u32.to_le_bytes());
        bytes.extend_from_slice(&LENGTH.to_le_bytes());
        for number in [header.position.version.0, header.position.offset, header.inode] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&header.clock_ms.to_le_bytes());
        bytes.extend_from_slice(&header.first.0.0.to_le_bytes());
        bytes.extend_from_slice(&header.last.0.0.to_le_bytes());
        bytes.extend_from_slice(&header.first.1.0.to_le_bytes());
        bytes.extend_from_slice(&header.last.1.0.to_le_bytes());
        bytes.extend_from_slice(&(self.content.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&Sha256::digest(&self.content));
        bytes.extend_from_slice(&header.file_header);
        bytes.resize(LENGTH as usize, 0);
        bytes.extend_from_slice(&self.content);
        bytes
    }

    /// The segments of a stored object: one, or the parts of a merged one.
    pub fn parse_object(bytes: &[u8]) -> Result<Vec<Self>, SegmentError> {
        match bytes.first_chunk() {
            Some(magic) if magic == MERGED => parse_merged(bytes),
            _ => Self::parse(bytes).map(|segment| vec![segment]),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, SegmentError> {
        match bytes.first_chunk() {
            Some(magic) if magic == MAGIC => {}
            Some(_) => return Err(SegmentError::Unknown),
            None => return Err(SegmentError::Short),
        }
        let (head, content) = bytes.split_at_checked(LENGTH as usize).ok_or(SegmentError::Short)?;
        if u32_at(head, 8)? != 0 || u32_at(head, 12)? != LENGTH {
            return Err(SegmentError::Unknown);
        }
        let position = LogPosition { version: LogVersion(u64_at(head, 16)?), offset: u64_at(head, 24)? };
        let header = SegmentHeader {
            position,
            inode: u64_at(head, 32)?,
            clock_ms: u64_at(head, 40)?.cast_signed(),
            first: (TxId(u64_at(head, 48)?), Checksum(u32_at(head, 64)?)),
            last: (TxId(u64_at(head, 56)?), Checksum(u32_at(head, 68)?)),
            file_header: array(head, FILE_HEADER.start)?,
        };
        if u64_at(head, 72)? != content.len() as u64 {
            return Err(SegmentError::Short);
        }
        if array::<32>(head, 80)? != <[u8; 32]>::from(Sha256::digest(content)) {
            return Err(SegmentError::Hash);
        }
        if header.first.0 > header.last.0 {
            return Err(SegmentError::Field { at: 56 });
        }
        if position.offset < HEADER_LENGTH as u64 {
            return Err(SegmentError::Field { at: 24 });
        }
        if head.get(FILE_HEADER.end..).is_some_and(|padding| padding.iter().any(|byte| *byte != 0)) {
            return Err(SegmentError::Field { at: FILE_HEADER.end });
        }
        Ok(Self { header, content: content.to_vec() })
    }

    /// Segments of one run as one object.
    pub fn merge(parts: &[Self]) -> Vec<u8> {
        let stored: Vec<Vec<u8>> = parts.iter().map(Self::to_bytes).collect();
        let mut bytes = MERGED.to_vec();
        bytes.extend_from_slice(&0_u32.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(parts.len()).unwrap_or(u32::MAX).to_le_bytes());
        for (part, stored) in parts.iter().zip(&stored) {
            for number in [part.header.first.0.0, part.header.last.0.0, stored.len() as u64] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        for part in &stored {
            bytes.extend_from_slice(part);
        }
        bytes
    }

    /// The header of the log file that the content comes from.
    pub fn log_header(&self) -> Result<LogHeader, SegmentError> {
        let parsed = FileHeader::parse(&self.header.file_header).map_err(SegmentError::LogHeader)?;
        let header = parsed.written().ok_or(SegmentError::Field { at: FILE_HEADER.start })?;
        if header.version == self.header.position.version {
            Ok(header)
        } else {
            Err(SegmentError::Field { at: 16 })
        }
    }

    /// Right behind the content.
    pub fn end(&self) -> LogPosition {
        let offset = self.header.position.offset.saturating_add(self.content.len() as u64);
        LogPosition { offset, ..self.header.position }
    }

    /// The bytes of a transaction that a scan of this segment gave.
    pub fn bytes_of(&self, transaction: &Transaction) -> &[u8] {
        let at = |place: LogPosition| {
            usize::try_from(place.offset.saturating_sub(self.header.position.offset)).unwrap_or(usize::MAX)
        };
        self.content.get(at(transaction.start)..at(transaction.end)).unwrap_or_default()
    }

    /// Show each transaction, with its bytes; require that they are those that the header names, to the last
    /// byte. `before`: what the scan of the segment before ended with, where this one goes on from it.
    pub fn scan(
        &self,
        before: Option<&ScanStart>,
        mut each: impl FnMut(&Transaction, &[u8]),
    ) -> Result<ScanStart, SegmentError> {
        let SegmentHeader { first, last, position, .. } = self.header;
        let wrong = |why: String| SegmentError::Content { first: first.0, last: last.0, why };
        let start = ScanStart {
            position,
            last_id: TxId(first.0.0.saturating_sub(1)),
            last_checksum: before.and_then(|before| before.last_checksum),
            last_append_index: before.and_then(|before| before.last_append_index),
        };
        let mut scanner = Scanner::new(&self.content[..], start);
        let mut ends: (Option<TransactionEnd>, Option<TransactionEnd>) = (None, None);
        for transaction in &mut scanner {
            let transaction = transaction.map_err(|error| wrong(error.to_string()))?;
            let end = transaction.end_point();
            ends = (ends.0.or(Some(end)), Some(end));
            each(&transaction, self.bytes_of(&transaction));
        }
        if !matches!(scanner.tail(), Some(Tail::Eof { .. })) {
            return Err(wrong("behind the last whole transaction stands something else".to_owned()));
        }
        let named = |end: Option<TransactionEnd>, named: (TxId, Checksum)| {
            end.is_some_and(|end| (end.id, end.checksum) == named)
        };
        if named(ends.0, first) && named(ends.1, last) {
            Ok(scanner.resume())
        } else {
            Err(wrong("the first or the last is another".to_owned()))
        }
    }
}

fn parse_merged(bytes: &[u8]) -> Result<Vec<Segment>, SegmentError> {
    if u32_at(bytes, 8)? != 0 {
        return Err(SegmentError::Unknown);
    }
    let count = u32_at(bytes, 12)? as usize;
    let table = bytes.get(16..).ok_or(SegmentError::Short)?;
    let (table, mut rest) =
        table.split_at_checked(count.saturating_mul(PART_LENGTH)).ok_or(SegmentError::Short)?;
    let mut parts = Vec::new();
    for entry in table.chunks_exact(PART_LENGTH) {
        let length = usize::try_from(u64_at(entry, 16)?).map_err(|_| SegmentError::Short)?;
        let (part, behind) = rest.split_at_checked(length).ok_or(SegmentError::Short)?;
        let part = Segment::parse(part)?;
        if (part.header.first.0.0, part.header.last.0.0) != (u64_at(entry, 0)?, u64_at(entry, 8)?) {
            return Err(SegmentError::Field { at: 16 });
        }
        parts.push(part);
        rest = behind;
    }
    let follow = |pair: &[Segment]| pair[0].header.last.0.next() == pair[1].header.first.0;
    if !rest.is_empty() || parts.is_empty() || !parts.windows(2).all(follow) {
        return Err(SegmentError::Field { at: 12 });
    }
    Ok(parts)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], SegmentError> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(SegmentError::Short)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, SegmentError> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, SegmentError> {
    array(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use grap_neo4j::synthetic::{LogWriter, first_header, store_id};
    use grap_neo4j::{CommitTime, KernelVersion};

    use super::*;

    fn segments() -> Vec<Segment> {
        let kernel = KernelVersion::known(20).unwrap();
        let mut log = LogWriter::new(kernel, first_header(kernel, store_id(1)));
        let written: Vec<_> = (0..4).map(|_| log.transaction(b"command", CommitTime(1))).collect();
        let bytes = log.bytes();
        let at = |place: LogPosition| usize::try_from(place.offset).unwrap();
        let part = |from: usize, to: usize| {
            let (first, last) = (&written[from], &written[to]);
            Segment {
                header: SegmentHeader {
                    position: first.start,
                    inode: 9,
                    clock_ms: 1,
                    first: (first.id, first.checksum),
                    last: (last.id, last.checksum),
                    file_header: bytes[..128].try_into().unwrap(),
                },
                content: bytes[at(first.start)..at(last.end)].to_vec(),
            }
        };
        vec![part(0, 1), part(2, 3)]
    }

    #[test]
    fn one_and_many_are_read_as_they_were_written() {
        let parts = segments();
        assert_eq!(Segment::parse_object(&parts[0].to_bytes()).unwrap(), parts[..1]);
        assert_eq!(Segment::parse_object(&Segment::merge(&parts)).unwrap(), parts);
        let mut seen = Vec::new();
        let resume = parts[0].scan(None, |transaction, _| seen.push(transaction.id.0)).unwrap();
        parts[1]
            .scan(Some(&resume), |transaction, bytes| {
                seen.push(transaction.id.0);
                assert_eq!(bytes.len() as u64, transaction.end.offset - transaction.start.offset);
            })
            .unwrap();
        assert_eq!(seen, [2, 3, 4, 5]);
    }

    /// Every cut and every flipped byte of both forms is an error; so is a newer version.
    #[test]
    fn damage_is_refused() {
        let parts = segments();
        for whole in [parts[0].to_bytes(), Segment::merge(&parts)] {
            for length in 0..whole.len() {
                assert!(judge(&whole[..length]).is_err(), "cut to {length}");
            }
            for at in 0..whole.len() {
                let mut flipped = whole.clone();
                flipped[at] ^= 0x40;
                let same = judge(&flipped).is_ok_and(|found| found == judge(&whole).unwrap());
                assert!(!same, "byte {at} can be flipped and nobody sees");
            }
        }
        let newer = parts[0].to_bytes();
        let newer = [b"grapseg2", &newer[8..]].concat();
        assert!(matches!(Segment::parse_object(&newer), Err(SegmentError::Unknown)));
    }

    fn judge(bytes: &[u8]) -> Result<Vec<Segment>, SegmentError> {
        let found = Segment::parse_object(bytes)?;
        for segment in &found {
            segment.log_header()?;
            segment.scan(None, |_, _| {})?;
        }
        Ok(found)
    }

    #[test]
    fn a_transaction_dropped_inside_is_refused_though_the_hash_fits() {
        let parts = segments();
        let (whole, dropped) = (&parts[0], &parts[0].content[parts[0].content.len() / 2..]);
        let cut = Segment { header: whole.header.clone(), content: dropped.to_vec() };
        let found = Segment::parse_object(&cut.to_bytes()).unwrap();
        assert!(matches!(found[0].scan(None, |_, _| {}), Err(SegmentError::Content { .. })));
    }
}
