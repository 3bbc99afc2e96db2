//! Logs of several files: every way in which they can fail to be one log is an error that names it.

use std::io::{self, Read};

use grap_neo4j::synthetic::{LogWriter, StartFields, commit_bytes, first_header, start_bytes, store_id};
use grap_neo4j::txlog::{Chain, ChainError, FileRole, LogFormat, ScanError, ScanStart, Tail};
use grap_neo4j::{AppendIndex, Checksum, CommitTime, LogVersion, TxId};

use crate::reading::{entries, kernel, scan, scan_reader};

/// Files 0, 1 and 2 of one log, with an upgrade before the last.
fn files() -> [LogWriter; 3] {
    let mut first = LogWriter::new(kernel(12), first_header(kernel(12), store_id(1)));
    first.transaction(b"a", CommitTime(1));
    first.transaction(b"b", CommitTime(2));
    let mut second = first.rotate(kernel(12));
    second.transaction(b"c", CommitTime(3));
    let mut third = second.rotate(kernel(20));
    third.transaction(b"d", CommitTime(4));
    [first, second, third]
}

/// Drives a chain over the files; the last one is the newest.
fn chain(files: &[(&LogWriter, &[u8])]) -> Result<Chain, ChainError> {
    let mut chain = Chain::begin_with(files[0].0.header());
    for (index, (file, bytes)) in files.iter().enumerate() {
        let role = if index + 1 == files.len() { FileRole::Newest } else { FileRole::Rotated };
        chain.file(file.header(), entries(bytes), role, |_| ())?;
    }
    Ok(chain)
}

#[test]
fn an_upgrade_within_a_log_is_one_history() {
    let [first, second, third] = files();
    let all = [(&first, first.bytes()), (&second, second.bytes()), (&third, third.bytes())];
    let end = chain(&all).unwrap().end().unwrap();
    assert_eq!((end.id, end.position.version), (TxId(5), LogVersion(2)));
}

#[test]
fn a_missing_file_is_named() {
    let [first, _, third] = files();
    let error = chain(&[(&first, first.bytes()), (&third, third.bytes())]).unwrap_err();
    assert_eq!(error.to_string(), "log file 2 where file 1 must follow");
}

#[test]
fn a_file_of_another_store_is_named() {
    let [first, second, _] = files();
    let mut header = second.header().clone();
    header.store_id = store_id(2);
    let other = LogWriter::new(kernel(12), header);
    let error = chain(&[(&first, first.bytes()), (&other, other.bytes())]).unwrap_err();
    assert!(matches!(error, ChainError::OtherStore { version: LogVersion(1), .. }), "{error}");
}

#[test]
fn a_header_must_go_on_where_the_file_before_ends() {
    let [first, second, third] = files();
    let mut header = second.header().clone();
    header.last_id = TxId(2);
    let other = LogWriter::new(kernel(12), header);
    let error = chain(&[(&first, first.bytes()), (&other, other.bytes())]).unwrap_err();
    assert!(matches!(error, ChainError::LastId { expected: TxId(3), found: TxId(2), .. }), "{error}");

    let fourth = third.rotate(kernel(20));
    let mut header = fourth.header().clone();
    header.last_append_index = Some(AppendIndex(4));
    let other = LogWriter::new(kernel(20), header);
    let mut chain = Chain::begin_with(third.header());
    chain.file(third.header(), entries(third.bytes()), FileRole::Rotated, |_| ()).unwrap();
    let error = chain.file(other.header(), entries(other.bytes()), FileRole::Newest, |_| ()).unwrap_err();
    assert!(
        matches!(error, ChainError::LastAppendIndex { expected: AppendIndex(5), found: AppendIndex(4), .. }),
        "{error}"
    );
}

/// A header without an append index does not make the chain forget the one before.
#[test]
fn append_indexes_go_on_across_a_header_that_has_none() {
    let mut first = LogWriter::new(kernel(20), first_header(kernel(20), store_id(1)));
    first.transaction(b"a", CommitTime(1));
    let mut header = first.rotate(kernel(20)).header().clone();
    (header.format, header.last_append_index) = (LogFormat::V8, None);
    let fields = StartFields {
        opened_ms: 0,
        previous_checksum: Checksum::BASE,
        append_index: AppendIndex(9),
        additional_header: &[],
    };
    let mut log = start_bytes(kernel(22), fields);
    log.extend(commit_bytes(kernel(22), TxId(3), CommitTime(0), crc32c::crc32c(&log)));
    let mut chain = Chain::begin_with(first.header());
    chain.file(first.header(), entries(first.bytes()), FileRole::Rotated, |_| ()).unwrap();
    let error = chain.file(&header, log.as_slice(), FileRole::Newest, |_| ()).unwrap_err();
    assert!(matches!(error, ChainError::Scan(ScanError::AppendIndex { .. })), "{error}");
}

/// What a server replays without a word: a middle file cut short, or padded with zeros.
#[test]
fn a_rotated_file_must_end_with_its_last_transaction() {
    let [first, second, _] = files();
    let padded = [first.bytes(), &[0; 64]].concat();
    let cut = &first.bytes()[..first.bytes().len() - 1];
    let cut_at_a_transaction = &first.bytes()[..128 + 51];
    assert_eq!(scan(cut_at_a_transaction).0.len(), 1);
    for damaged in [&padded, cut] {
        let error = chain(&[(&first, damaged), (&second, second.bytes())]).unwrap_err();
        assert!(matches!(error, ChainError::NotAtEnd { version: LogVersion(0), .. }), "{error}");
    }
    let error = chain(&[(&first, cut_at_a_transaction), (&second, second.bytes())]).unwrap_err();
    assert!(matches!(error, ChainError::LastId { .. }), "{error}");
}

#[test]
fn nothing_follows_a_file_that_did_not_end() {
    let [first, second, _] = files();
    let mut chain = Chain::begin_with(first.header());
    chain.file(first.header(), entries(first.bytes()), FileRole::Newest, |_| ()).unwrap();
    let error = chain.file(second.header(), entries(second.bytes()), FileRole::Newest, |_| ()).unwrap_err();
    assert!(matches!(error, ChainError::BehindNewest { version: LogVersion(1) }), "{error}");

    let mut chain = Chain::begin_with(first.header());
    let broken = entries(first.bytes()).chain(Broken);
    let error = chain.file(first.header(), broken, FileRole::Rotated, |_| ()).unwrap_err();
    let end = first.bytes().len() as u64;
    assert!(matches!(&error, ChainError::Scan(ScanError::Read { at, .. }) if at.offset == end), "{error}");
    let error = chain.file(second.header(), entries(second.bytes()), FileRole::Newest, |_| ()).unwrap_err();
    assert!(matches!(error, ChainError::BehindNewest { .. }), "{error}");
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk is gone"))
    }
}

/// A transaction that is whole, but says that it follows another one.
#[test]
fn a_transaction_of_another_history_is_an_error() {
    let fields = StartFields {
        opened_ms: 0,
        previous_checksum: Checksum::BASE,
        append_index: AppendIndex(2),
        additional_header: &[],
    };
    let ended = |byte: u8, fields: StartFields<'_>| {
        let mut log = start_bytes(kernel(byte), fields);
        log.extend([byte, 3, 1, 2, 3]);
        log.extend(commit_bytes(kernel(byte), TxId(2), CommitTime(0), crc32c::crc32c(&log)));
        let start = ScanStart::of_file(&first_header(kernel(byte), store_id(1)));
        let complete = scan_reader(log.as_slice(), start).1;
        let torn = scan_reader(&log[..log.len() - 1], start).1;
        assert!(matches!(torn, Ok(Tail::Incomplete { .. })), "torn is not another history: {torn:?}");
        complete
    };
    for byte in [5, 17, 22, 32] {
        assert!(ended(byte, fields).is_ok());
    }
    for byte in [17, 22, 32] {
        let error = ended(byte, StartFields { append_index: AppendIndex(3), ..fields }).unwrap_err();
        assert!(
            matches!(error, ScanError::AppendIndex { expected: AppendIndex(2), found: AppendIndex(3), .. }),
            "{error}"
        );
    }
    for byte in [5, 17] {
        let error = ended(byte, StartFields { previous_checksum: Checksum(7), ..fields }).unwrap_err();
        assert!(
            matches!(error, ScanError::PreviousChecksum { expected: Checksum::BASE, found: Checksum(7), .. }),
            "{error}"
        );
    }
}

#[test]
fn what_community_does_not_write_is_refused_by_name() {
    let start = ScanStart::of_file(&first_header(kernel(20), store_id(1)));
    let refused = |bytes: &[u8]| scan_reader(bytes, start).1.unwrap_err().to_string();
    let begun = start_bytes(
        kernel(20),
        StartFields {
            opened_ms: 0,
            previous_checksum: Checksum::BASE,
            append_index: AppendIndex(2),
            additional_header: &[],
        },
    );
    for (entry_type, name) in [(10, "CHUNK_START"), (11, "CHUNK_END"), (12, "ROLLBACK"), (13, "EMPTY_TX")] {
        assert!(refused(&[20, entry_type, 0, 0]).contains(name));
        assert!(refused(&[&begun[..], &[20, entry_type, 0]].concat()).contains(name));
    }
    for unknown in [1, 4, 33, 127, 254] {
        assert!(refused(&[unknown, 1, 0, 0]).contains(&format!("kernel version byte {unknown} is unknown")));
    }
}
