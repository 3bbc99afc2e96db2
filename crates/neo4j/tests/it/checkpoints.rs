//! Made up checkpoint files in all layouts, whole and damaged.

use grap_neo4j::checkpoint::{
    CheckpointError, CheckpointLog, CheckpointRecord, CheckpointTail, record_length,
};
use grap_neo4j::synthetic::{checkpoint, checkpoint_record, first_header, header_bytes, store_id};
use grap_neo4j::{Checksum, CommitTime, KernelVersion, LogPosition, LogVersion, TransactionEnd, TxId};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::reading::{KERNELS, kernel};

/// A file with `count` records, and what they say.
fn file(kernel: KernelVersion, count: u64) -> (Vec<u8>, Vec<CheckpointRecord>) {
    let mut bytes = header_bytes(&first_header(kernel, store_id(1))).to_vec();
    let mut records = Vec::new();
    for number in 0..count {
        let end = TransactionEnd {
            position: LogPosition { version: LogVersion(number), offset: 4711 },
            id: TxId(100 + number),
            checksum: Checksum(0xABCD),
            commit_time: CommitTime(1_700_000_000_123),
        };
        let mut record = checkpoint(kernel, store_id(1), &end, "Scheduled");
        record.start = bytes.len() as u64;
        record.end = record.start + record_length(kernel) as u64;
        bytes.extend(checkpoint_record(&record));
        records.push(record);
    }
    (bytes, records)
}

#[test]
fn records_of_every_kernel_are_read_back() {
    for kernel in KernelVersion::all() {
        let (bytes, records) = file(kernel, 3);
        let log = CheckpointLog::parse(&bytes).unwrap();
        assert_eq!(log.records, records);
        assert_eq!(log.last(), records.last());
        assert_eq!(log.tail, CheckpointTail::Eof { at: bytes.len() as u64 });
    }
}

#[test]
fn replay_begins_at_the_smaller_position() {
    let (mut bytes, mut records) = file(kernel(20), 1);
    bytes.truncate(128);
    records[0].position.offset -= 1000;
    bytes.extend(checkpoint_record(&records[0]));
    let log = CheckpointLog::parse(&bytes).unwrap();
    assert_eq!(log.records, records);
    assert_eq!(log.records[0].position.offset, 3711);
}

#[test]
fn a_header_alone_and_a_preallocated_file_are_told_apart() {
    let (bytes, _) = file(kernel(32), 0);
    assert_eq!(CheckpointLog::parse(&bytes).unwrap().last(), None);
    let error = CheckpointLog::parse(&[0; 1024]).unwrap_err();
    assert!(matches!(error, CheckpointError::Preallocated));
}

#[test]
fn a_record_of_another_store_is_named() {
    let (mut bytes, mut records) = file(kernel(20), 1);
    records[0].store_id = store_id(2);
    bytes.truncate(128);
    bytes.extend(checkpoint_record(&records[0]));
    let error = CheckpointLog::parse(&bytes).unwrap_err();
    assert!(matches!(error, CheckpointError::OtherStore { at: 128, .. }), "{error}");
}

#[test]
fn a_record_of_an_unknown_kernel_is_refused() {
    let (mut bytes, _) = file(kernel(32), 2);
    bytes.extend([33, 9, 1, 2, 3]);
    let error = CheckpointLog::parse(&bytes).unwrap_err();
    assert!(matches!(error, CheckpointError::UnknownKernel { at: 1100, kernel: 33 }), "{error}");
}

#[test]
fn a_valid_record_behind_zeros_is_damage() {
    let (mut bytes, records) = file(kernel(20), 1);
    bytes.extend([0; 100]);
    bytes.extend(checkpoint_record(&records[0]));
    let error = CheckpointLog::parse(&bytes).unwrap_err();
    assert!(matches!(error, CheckpointError::Damaged { at: 360, next: 460 }), "{error}");
}

proptest! {
    #[test]
    fn cut_anywhere(byte in proptest::sample::select(KERNELS.to_vec()), at: Index, zeros in 0..2000_usize) {
        let (whole, records) = file(kernel(byte), 3);
        let at = 128 + at.index(whole.len() - 128 + 1);
        let mut bytes = whole[..at].to_vec();
        bytes.resize(at + zeros, 0);
        let log = CheckpointLog::parse(&bytes).unwrap();
        let intact = records
            .iter()
            .filter(|record| {
                let (start, end) = (usize::try_from(record.start).unwrap(), usize::try_from(record.end).unwrap());
                bytes.get(start..end) == whole.get(start..end)
            })
            .count();
        prop_assert_eq!(&log.records[..], &records[..intact]);
        let end = 128 + (intact * record_length(kernel(byte))) as u64;
        let expected = match (at as u64 > end, zeros) {
            (true, _) => CheckpointTail::Torn { at: end },
            (false, 0) => CheckpointTail::Eof { at: end },
            (false, _) => CheckpointTail::Zeros { from: end, to: bytes.len() as u64 },
        };
        prop_assert_eq!(log.tail, expected);
    }

    #[test]
    fn a_flipped_bit(byte in proptest::sample::select(KERNELS.to_vec()), bit: Index) {
        let (mut bytes, records) = file(kernel(byte), 3);
        let bit = bit.index((bytes.len() - 128) * 8);
        bytes[128 + bit / 8] ^= 1 << (bit % 8);
        let damaged = bit / 8 / record_length(kernel(byte));
        match CheckpointLog::parse(&bytes) {
            Err(CheckpointError::Damaged { at, next }) => {
                prop_assert!(damaged < 2);
                prop_assert_eq!((at, next), (records[damaged].start, records[damaged + 1].start));
            }
            Err(error) => prop_assert!(matches!(error, CheckpointError::UnknownKernel { .. }), "{}", error),
            Ok(log) => {
                prop_assert_eq!(damaged, 2, "a valid record behind the damage was not seen");
                prop_assert_eq!(&log.records[..], &records[..2]);
                let at = records[2].start;
                prop_assert!(
                    [CheckpointTail::Torn { at }, CheckpointTail::Garbage { from: at, at }].contains(&log.tail)
                        || matches!(log.tail, CheckpointTail::Garbage { .. }),
                    "{:?}", log.tail
                );
            }
        }
    }

    #[test]
    fn any_bytes_at_all(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        let (mut file, _) = file(kernel(20), 0);
        file.extend(&bytes);
        if let Ok(log) = CheckpointLog::parse(&file) {
            prop_assert_eq!(log.records, []);
        }
        let _ = CheckpointLog::parse(&bytes);
    }
}
