//! Real checkpoint files in all five layouts, and `neostore`.

use grap_neo4j::checkpoint::{CheckpointError, CheckpointLog, CheckpointRecord, CheckpointTail};
use grap_neo4j::metadata::Metadata;
use grap_neo4j::txlog::{HeaderError, ScanStart, Scanner, Transaction};
use serde_json::Value;

use crate::fixtures::{self, Expected};
use crate::reading::scan;
use crate::real_logs::assert_header;

#[test]
fn every_record_is_read_as_the_independent_decoder_read_it() {
    let mut kernels = Vec::new();
    for folder in fixtures::folders() {
        for Expected { name, lines, summary } in fixtures::expected(folder, "expected-checkpoints.jsonl") {
            let log = CheckpointLog::parse(&fixtures::bytes(folder, &name)).unwrap();
            assert_header(&log.header, &summary["header"]);
            assert_eq!(log.records.len(), lines.len(), "{folder}/{name}");
            for (record, line) in log.records.iter().zip(&lines) {
                assert_record(record, line);
                kernels.push(record.kernel.byte());
            }
            let (from, to) = (summary["end"].as_u64().unwrap(), summary["size"].as_u64().unwrap());
            let tail = match summary["tail"].as_str().unwrap() {
                "eof" => CheckpointTail::Eof { at: from },
                _ => CheckpointTail::Zeros { from, to },
            };
            assert_eq!(log.tail, tail);
        }
    }
    kernels.sort_unstable();
    kernels.dedup();
    assert_eq!(kernels, [5, 12, 17, 20, 29, 32], "each layout was read");
}

fn assert_record(record: &CheckpointRecord, line: &Value) {
    let number = |name: &str| line[name].as_u64();
    let (start, size) = (number("offset").unwrap(), number("size").unwrap());
    assert_eq!((record.start, record.end), (start, start + size));
    assert_eq!(Some(u64::from(record.kernel.byte())), number("kernel"));
    assert_eq!(Some(record.transaction_end.version.0), number("log_version"));
    assert_eq!(Some(record.transaction_end.offset), number("log_offset"));
    assert_eq!(record.position, record.transaction_end);
    assert_eq!(Some(record.written_ms), line["time_ms"].as_i64());
    assert_eq!(record.store_id, fixtures::store_id(&line["store_id"]));
    assert_eq!(Some(record.tx_id.0), number("tx"));
    assert_eq!(Some(u64::from(record.tx_checksum.0)), number("tx_checksum"));
    assert_eq!(Some(record.tx_commit_time.0), line["tx_commit_ms"].as_i64());
    assert_eq!(record.tx_append_index.map(|index| index.0), number("tx_append_index"));
    assert_eq!(record.tx_kernel.map(u64::from), number("tx_kernel"));
    assert_eq!(Some(record.reason.as_str()), line["reason"].as_str());
}

#[test]
fn neostore_names_the_store_and_the_database() {
    for folder in ["neo4j-5.13.0", "neo4j-5.26.30", "neo4j-2026.08.1"] {
        let expected: Value =
            serde_json::from_slice(&fixtures::bytes(folder, "expected-neostore.json")).unwrap();
        let metadata = Metadata::parse(&fixtures::bytes(folder, "neostore")).unwrap();
        assert_eq!(Some(metadata.external_id.to_string().as_str()), expected["external_store_uuid"].as_str());
        assert_eq!(Some(metadata.database_id().as_str()), expected["shown_database_id"].as_str());
        assert_eq!(metadata.store_id, fixtures::store_id(&expected["store_id"]));
    }
}

#[test]
fn enveloped_checkpoint_files_are_refused_by_name() {
    for (name, expected) in [("v10-checkpoint.0.head", 10), ("v11-checkpoint.0.head", 11)] {
        let error = CheckpointLog::parse(&fixtures::bytes("neo4j-enveloped-2026.08.1", name)).unwrap_err();
        assert!(
            matches!(error, CheckpointError::Header(HeaderError::EnvelopedLog { format }) if format == expected),
            "{error}"
        );
    }
}

#[test]
fn a_checkpoint_names_a_transaction_of_the_log_and_scans_go_on_behind_it() {
    for (folder, file) in [
        ("neo4j-5.13.0", "neostore.transaction.db.0"),
        ("neo4j-5.20.0", "neostore.transaction.db.0"),
        ("neo4j-5.26.30", "neostore.transaction.db.0"),
        ("neo4j-2026.02.2", "neostore.transaction.db.0"),
        ("neo4j-2026.08.1", "neostore.transaction.db.0"),
    ] {
        let file = fixtures::bytes(folder, file);
        let transactions = scan(&file).0;
        let log = CheckpointLog::parse(&fixtures::bytes(folder, "checkpoint.0")).unwrap();
        let first = &log.records[0];
        let index = transactions.iter().position(|transaction| transaction.id == first.tx_id).unwrap();
        assert_eq!(transactions[index].end_point(), first.end_point());
        let rest = &file[usize::try_from(first.position.offset).unwrap()..];
        let behind: Vec<Transaction> =
            Scanner::new(rest, ScanStart::after(&first.end_point())).map(Result::unwrap).collect();
        assert_eq!(behind, transactions[index + 1..]);
    }
}
