//! The 128 bytes that begin every log file and every checkpoint file.
//!
//! Big-endian, unlike the entries behind them (`docs/format/transaction-log.md`, section 2):
//! ```text
//!     format 8 (kernels 5 to 16)              format 9 (kernel 17 on)
//! 0   u8 8, 56-bit log version                u8 9, 56-bit log version
//! 8   i64 last transaction id before it       the same (from 5.22 on the last append index, the same number)
//! 16  StoreId (64)                            i64 last append index before it
//! 24                                          StoreId (64)
//!     zeros to 128                            zeros to 128
//! ```
//! There is no checksum. Hence nothing is let through that was never seen: bytes that should be zero and are
//! not, and negative numbers, are errors. In a checkpoint file the two numbers mean nothing (0 or 1).

use std::io::{self, Read};

use crate::bytes::{array, be_i64, be_u64, is_zero};
use crate::ids::{AppendIndex, LogVersion, TxId};
use crate::store_id::{STORE_ID_LENGTH, StoreId, StoreIdError};

/// Length of the header; the first entry stands right behind it.
pub const HEADER_LENGTH: usize = 128;

/// What the first 128 bytes of a file say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileHeader {
    Written(LogHeader),
    /// All zeros: the file was allocated and nothing was written to it yet. It holds nothing.
    Preallocated,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHeader {
    pub format: LogFormat,
    /// The number in the file's own name; whoever knows the name compares.
    pub version: LogVersion,
    /// Id of the last transaction before this file: its first one has the next id.
    pub last_id: TxId,
    /// Append index of that transaction; only in format 9.
    pub last_append_index: Option<AppendIndex>,
    pub store_id: StoreId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogFormat {
    V8,
    V9,
}

#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    #[error("log header has only {found} of its 128 bytes")]
    TooShort { found: usize },
    #[error("log header could not be read")]
    Read { source: io::Error },
    #[error("log format {format} (enveloped) is not supported; supported are 8 and 9")]
    EnvelopedLog { format: u8 },
    #[error("log format {format} is unknown; supported are 8 and 9")]
    UnknownLogFormat { format: u8 },
    #[error("log header has no readable store id")]
    StoreId { source: StoreIdError },
    #[error("log header is damaged: the field at byte {at} cannot hold this value")]
    BadField { at: usize },
}

impl FileHeader {
    /// Decodes the first 128 of `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<FileHeader, HeaderError> {
        let found = bytes.len();
        let header: [u8; HEADER_LENGTH] = array(bytes, 0).ok_or(HeaderError::TooShort { found })?;
        match header[0] {
            0 if is_zero(&header) => Ok(FileHeader::Preallocated),
            8 => LogHeader::decode(&header, LogFormat::V8).map(FileHeader::Written),
            9 => LogHeader::decode(&header, LogFormat::V9).map(FileHeader::Written),
            format @ (10 | 11) => Err(HeaderError::EnvelopedLog { format }),
            format => Err(HeaderError::UnknownLogFormat { format }),
        }
    }

    /// Takes the header off the front of `reader`, which then stands at the first entry.
    pub fn read(reader: &mut impl Read) -> Result<FileHeader, HeaderError> {
        let mut bytes = Vec::with_capacity(HEADER_LENGTH);
        reader
            .take(HEADER_LENGTH as u64)
            .read_to_end(&mut bytes)
            .map_err(|source| HeaderError::Read { source })?;
        FileHeader::parse(&bytes)
    }

    /// The header, unless the file holds nothing yet.
    pub fn written(self) -> Option<LogHeader> {
        match self {
            FileHeader::Written(header) => Some(header),
            FileHeader::Preallocated => None,
        }
    }
}

impl LogHeader {
    fn decode(bytes: &[u8; HEADER_LENGTH], format: LogFormat) -> Result<LogHeader, HeaderError> {
        let (append_at, store_at) = match format {
            LogFormat::V8 => (None, 16),
            LogFormat::V9 => (Some(16), 24),
        };
        let padding_at = store_at + STORE_ID_LENGTH;
        let padding = bytes.get(padding_at..).unwrap_or_default();
        if !is_zero(padding) {
            return Err(HeaderError::BadField { at: padding_at });
        }
        let store: [u8; STORE_ID_LENGTH] =
            array(bytes, store_at).ok_or(HeaderError::BadField { at: store_at })?;
        Ok(LogHeader {
            format,
            version: LogVersion(be_u64(bytes, 0).unwrap_or_default() & (u64::MAX >> 8)),
            last_id: TxId(natural(bytes, 8)?),
            last_append_index: append_at.map(|at| natural(bytes, at).map(AppendIndex)).transpose()?,
            store_id: StoreId::parse(&store).map_err(|source| HeaderError::StoreId { source })?,
        })
    }
}

/// A signed number that is never negative.
fn natural(bytes: &[u8], at: usize) -> Result<u64, HeaderError> {
    be_i64(bytes, at).and_then(|number| u64::try_from(number).ok()).ok_or(HeaderError::BadField { at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::KernelVersion;
    use crate::synthetic::{first_header, header_bytes, store_id};

    fn header(byte: u8) -> LogHeader {
        let mut header = first_header(KernelVersion::known(byte).unwrap(), store_id(-7));
        header.version = LogVersion((1 << 56) - 1);
        header.last_id = TxId(i64::MAX.cast_unsigned());
        header
    }

    #[test]
    fn both_formats_are_read_back() {
        for byte in [16, 17] {
            let header = header(byte);
            let bytes = header_bytes(&header);
            assert_eq!(FileHeader::parse(&bytes).unwrap(), FileHeader::Written(header));
        }
    }

    #[test]
    fn a_preallocated_file_holds_nothing() {
        assert_eq!(FileHeader::parse(&[0; 4096]).unwrap(), FileHeader::Preallocated);
        let mut bytes = [0; 128];
        bytes[127] = 1;
        let error = FileHeader::parse(&bytes).unwrap_err();
        assert!(matches!(error, HeaderError::UnknownLogFormat { format: 0 }), "{error}");
    }

    #[test]
    fn other_formats_are_refused_by_name() {
        for (format, expected) in [
            (7, "log format 7 is unknown; supported are 8 and 9"),
            (10, "log format 10 (enveloped) is not supported; supported are 8 and 9"),
            (11, "log format 11 (enveloped) is not supported; supported are 8 and 9"),
            (12, "log format 12 is unknown; supported are 8 and 9"),
        ] {
            let mut bytes = header_bytes(&header(20));
            bytes[0] = format;
            assert_eq!(FileHeader::parse(&bytes).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn what_was_never_seen_is_damage() {
        for (byte, at) in [(16, 8), (16, 80), (16, 127), (17, 8), (17, 16), (17, 88), (17, 127)] {
            let mut bytes = header_bytes(&header(byte));
            bytes[at] |= 0x80;
            let error = FileHeader::parse(&bytes).unwrap_err();
            assert!(matches!(error, HeaderError::BadField { .. }), "{byte}, {at}: {error}");
        }
    }

    #[test]
    fn a_header_is_taken_off_the_front_of_a_reader() {
        let bytes = [&header_bytes(&header(32))[..], b"entries"].concat();
        let mut reader = bytes.as_slice();
        assert_eq!(FileHeader::read(&mut reader).unwrap().written(), Some(header(32)));
        assert_eq!(reader, b"entries");
        let error = FileHeader::read(&mut reader).unwrap_err();
        assert!(matches!(error, HeaderError::TooShort { found: 7 }), "{error}");
    }
}
