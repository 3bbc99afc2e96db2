//! Real checkpoint files in all five layouts, and `neostore`.

use grap_neo4j::checkpoint::{CheckpointLog, CheckpointRecord, CheckpointTail};
use grap_neo4j::metadata::Metadata;
use serde_json::Value;

use crate::fixtures::{self, Expected};
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
