//! Transactions larger than any window, and commands made to look like ends of transactions.

use std::io::{self, Read};

use grap_neo4j::synthetic::{LogWriter, StartFields, commit_bytes, first_header, start_bytes, store_id};
use grap_neo4j::txlog::{ScanStart, Scanner, Tail};
use grap_neo4j::{AppendIndex, Checksum, CommitTime, LogPosition, LogVersion, TxId};

use crate::reading::{KERNELS, Pieces, entries, kernel, scan, scan_reader};

const START: StartFields<'_> = StartFields {
    opened_ms: 1,
    previous_checksum: Checksum::BASE,
    append_index: AppendIndex(2),
    additional_header: &[],
};

/// Never more than one window of it is in memory, on either side.
#[test]
fn a_transaction_of_64_mebibytes_streams_through() {
    const LENGTH: u64 = 64 << 20;
    let block = vec![0x5A; 1 << 16];
    for byte in [12, 32] {
        let kernel = kernel(byte);
        let begin = start_bytes(kernel, START);
        let crc = (0..LENGTH >> 16).fold(crc32c::crc32c(&begin), |crc, _| crc32c::crc32c_append(crc, &block));
        let commit = commit_bytes(kernel, TxId(2), CommitTime(3), crc);
        let length = begin.len() as u64 + LENGTH + commit.len() as u64;
        let reader = begin.as_slice().chain(io::repeat(0x5A).take(LENGTH)).chain(commit.as_slice());

        let start = ScanStart::of_file(&first_header(kernel, store_id(1)));
        let (found, tail) = scan_reader(reader, start);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].id, found[0].end.offset), (TxId(2), 128 + length));
        assert_eq!(tail.unwrap(), Tail::Eof { at: 128 + length });
    }
}

#[test]
fn commands_that_look_like_the_coming_end_are_passed_over() {
    for byte in KERNELS {
        let kernel = kernel(byte);
        let fake: Vec<u8> = [&[byte, 5][..], &2_u64.to_le_bytes()].concat();
        let mut writer = LogWriter::new(kernel, first_header(kernel, store_id(1)));
        let expected = [
            writer.transaction(&fake.repeat(20_000), CommitTime(1)),
            writer.transaction(&fake.repeat(3), CommitTime(2)),
            writer.transaction(&commit_bytes(kernel, TxId(4), CommitTime(3), 0), CommitTime(3)),
        ];
        assert_eq!(scan(writer.bytes()).0, expected);
        let start = ScanStart::of_file(writer.header());
        let odd = Pieces::new(entries(writer.bytes()), vec![1, 9, 0, 10, 11, 21, 22, 23]);
        assert_eq!(scan_reader(odd, start).0, expected);
    }
}

/// The worst case: every byte begins a candidate. It must cost no more than one short checksum each.
#[test]
fn candidates_that_overlap_do_not_cost_quadratic_time() {
    let kernel = kernel(5);
    let id = TxId(0x0505_0505_0505_0505);
    let mut log = start_bytes(kernel, START);
    log.extend(vec![5; 1 << 19]);
    log.extend(commit_bytes(kernel, id, CommitTime(0), crc32c::crc32c(&log)));
    let start = ScanStart {
        position: LogPosition { version: LogVersion(0), offset: 128 },
        last_id: TxId(id.0 - 1),
        last_checksum: Some(Checksum::BASE),
        last_append_index: None,
    };
    let (found, _) = scan_reader(log.as_slice(), start);
    assert_eq!((found.len(), found[0].id), (1, id));
}

#[test]
fn an_additional_header_of_up_to_eight_bytes_is_read() {
    for byte in KERNELS {
        let kernel = kernel(byte);
        let additional = [byte, 5, 2, 0, 0, 0, 0, 0, 0];
        for length in 0..=9 {
            let fields = StartFields { additional_header: &additional[..length], ..START };
            let mut log = start_bytes(kernel, fields);
            log.extend([byte, 3, 99]);
            log.extend(commit_bytes(kernel, TxId(2), CommitTime(0), crc32c::crc32c(&log)));
            let start = ScanStart::of_file(&first_header(kernel, store_id(1)));
            let (found, ended) = scan_reader(log.as_slice(), start);
            assert_eq!(found.len(), usize::from(length <= 8));
            assert_eq!(ended.is_ok(), length <= 8);
        }
    }
}

#[test]
fn a_glance_does_not_read_a_zero_tail_to_its_end() {
    let kernel = kernel(20);
    let mut writer = LogWriter::new(kernel, first_header(kernel, store_id(1)));
    let end = writer.transaction(b"commands", CommitTime(1)).end.offset;
    let endless = entries(writer.bytes()).chain(io::repeat(0));
    let mut scanner = Scanner::new(endless, ScanStart::of_file(writer.header())).glance();
    assert_eq!(scanner.by_ref().count(), 1);
    assert!(matches!(scanner.tail(), Some(Tail::Zeros { from, to }) if from == end && to >= end + 4096));
}
