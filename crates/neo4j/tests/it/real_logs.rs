//! Real transaction logs of six releases: every transaction, every file's end, chains over several files.

use grap_neo4j::txlog::{
    Chain, FileHeader, FileRole, HeaderError, LogFormat, LogHeader, ScanStart, Scanner, Tail, Transaction,
};
use grap_neo4j::{Checksum, TxId};
use serde_json::Value;

use crate::fixtures::{self, Expected, MIGRATED_TO_2026};
use crate::reading::{entries, header, scan};

#[test]
fn every_transaction_is_found_as_the_independent_decoder_read_it() {
    let mut count = 0;
    for folder in fixtures::folders() {
        for expected in fixtures::expected(folder, "expected.jsonl") {
            let name = format!("{folder}/{}", expected.name);
            let (transactions, _) = scan(&fixtures::bytes(folder, &expected.name));
            assert_eq!(transactions.len(), expected.lines.len(), "{name}");
            for (transaction, line) in transactions.iter().zip(&expected.lines) {
                assert_transaction(transaction, line);
            }
            count += transactions.len();
        }
    }
    assert_eq!(count, 972, "all transactions of the fixtures were compared");
}

fn assert_transaction(transaction: &Transaction, line: &Value) {
    let number = |name: &str| line[name].as_u64();
    let version = number("file_version").unwrap();
    assert_eq!(
        (
            transaction.start.version.0,
            transaction.start.offset,
            transaction.end.version.0,
            transaction.end.offset
        ),
        (version, number("start").unwrap(), version, number("end").unwrap()),
        "{line}"
    );
    assert_eq!(transaction.id, TxId(number("tx").unwrap()));
    assert_eq!(Some(u64::from(transaction.checksum.0)), number("checksum"));
    assert_eq!(transaction.previous_checksum.map(|sum| u64::from(sum.0)), number("prev_checksum"));
    assert_eq!(transaction.append_index.map(|index| index.0), number("append_index"));
    assert_eq!(Some(u64::from(transaction.kernel.byte())), number("kernel"));
    assert_eq!(Some(transaction.commit_time.0), line["commit_ms"].as_i64());
    assert_eq!(Some(transaction.opened_ms), line["start_ms"].as_i64());
    assert_eq!(transaction.without_commands, line["command_count"] == 0);
}

#[test]
fn headers_and_tails_are_those_of_the_independent_decoder() {
    for folder in fixtures::folders() {
        for Expected { name, summary, .. } in fixtures::expected(folder, "expected.jsonl") {
            let file = fixtures::bytes(folder, &name);
            assert_header(&header(&file), &summary["header"]);
            let (from, size) = (summary["end"].as_u64().unwrap(), summary["size"].as_u64().unwrap());
            assert_eq!(file.len() as u64, size);
            let tail = match summary["tail"].as_str().unwrap() {
                "eof" => Tail::Eof { at: from },
                "zeros" => Tail::Zeros { from, to: size },
                other => panic!("{folder}/{name}: tail {other}"),
            };
            assert_eq!(scan(&file).1.unwrap(), tail, "{folder}/{name}");
        }
    }
}

pub(crate) fn assert_header(header: &LogHeader, expected: &Value) {
    let format = match expected["format"].as_u64().unwrap() {
        8 => LogFormat::V8,
        _ => LogFormat::V9,
    };
    assert_eq!(header.format, format);
    assert_eq!(Some(header.version.0), expected["log_version"].as_u64());
    assert_eq!(Some(header.last_id.0), expected["last_tx"].as_u64());
    assert_eq!(header.last_append_index.map(|index| index.0), expected["last_append_index"].as_u64());
    assert_eq!(header.store_id, fixtures::store_id(&expected["store_id"]));
    header.store_id.check_supported().unwrap();
}

/// Runs a chain over all log files of a folder; the callback's transactions and the chain.
fn chain(folder: &str) -> (Vec<Transaction>, Chain) {
    let files: Vec<Vec<u8>> = fixtures::expected(folder, "expected.jsonl")
        .iter()
        .map(|expected| fixtures::bytes(folder, &expected.name))
        .collect();
    let mut chain = Chain::begin_with(&header(&files[0]));
    let mut transactions = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let role = if index + 1 == files.len() { FileRole::Newest } else { FileRole::Rotated };
        chain
            .file(&header(file), entries(file), role, |transaction| {
                transactions.push(*transaction);
            })
            .unwrap();
    }
    (transactions, chain)
}

#[test]
fn chains_go_on_over_rotations_and_kernel_upgrades() {
    for (folder, first, last) in [
        ("neo4j-5.13.0", 2, 142),
        ("neo4j-5.26.30", 2, 146),
        ("neo4j-2026.08.1", 2, 150),
        ("neo4j-5.26.30/system", 2, 0),
        ("neo4j-2026.08.1/system", 2, 0),
        ("neo4j-upgrade-5.13-5.26-2026.08", 0, 0),
    ] {
        let (transactions, chain) = chain(folder);
        let ids: Vec<u64> = transactions.iter().map(|transaction| transaction.id.0).collect();
        let begin = if first == 0 { ids[0] } else { first };
        assert!(ids.iter().copied().eq(begin..begin + ids.len() as u64), "{folder}: {ids:?}");
        if last != 0 {
            assert_eq!(ids.last(), Some(&last), "{folder}");
        }
        assert_eq!(chain.end(), transactions.last().map(Transaction::end_point));
        assert_eq!(chain.breaks(), []);
    }
}

#[test]
fn an_upgrade_changes_header_and_kernel_within_one_history() {
    let (transactions, _) = chain("neo4j-upgrade-5.13-5.26-2026.08");
    let mut kernels: Vec<u8> = transactions.iter().map(|transaction| transaction.kernel.byte()).collect();
    kernels.dedup();
    assert_eq!(kernels, [12, 20, 32]);
}

#[test]
fn import_and_migrate_leave_a_transaction_without_commands() {
    for (folder, id, is_break) in [
        ("neo4j-import-migrate/import-5.13.0", 2, false),
        ("neo4j-import-migrate/import-5.26.30", 2, false),
        ("neo4j-import-migrate/import-2026.08.1", 2, false),
        ("neo4j-import-migrate/migrate-5.13.0-to-5.26.30", 31, true),
        (MIGRATED_TO_2026, 31, true),
    ] {
        let (transactions, chain) = chain(folder);
        let [transaction] = transactions[..] else { panic!("{folder}: {transactions:?}") };
        assert_eq!(transaction.id, TxId(id));
        assert!(transaction.without_commands);
        assert_eq!(transaction.is_break(), is_break, "{folder}");
        assert_eq!(chain.breaks().len(), usize::from(is_break), "{folder}");
        let base = transaction.previous_checksum.unwrap_or(Checksum::BASE);
        assert_eq!(base, Checksum::BASE);
    }
}

#[test]
fn enveloped_logs_are_refused_by_name() {
    let folder = "neo4j-enveloped-2026.08.1";
    for (prefix, expected) in [("v10", 10), ("v11", 11)] {
        for file in ["neostore.transaction.db.0.head", "neostore.transaction.db.1.head", "checkpoint.0.head"]
        {
            let error = FileHeader::parse(&fixtures::bytes(folder, &format!("{prefix}-{file}"))).unwrap_err();
            assert!(matches!(error, HeaderError::EnvelopedLog { format } if format == expected), "{error}");
        }
    }
}

#[test]
fn a_scan_resumes_behind_any_transaction() {
    let file = fixtures::bytes("neo4j-5.26.30", "neostore.transaction.db.0");
    let (transactions, _) = scan(&file);
    for (index, transaction) in transactions.iter().enumerate() {
        let rest = &file[usize::try_from(transaction.end.offset).unwrap()..];
        let scanner = Scanner::new(rest, ScanStart::after(&transaction.end_point()));
        let found: Vec<Transaction> = scanner.map(Result::unwrap).collect();
        assert_eq!(found, transactions[index + 1..]);
    }
}
