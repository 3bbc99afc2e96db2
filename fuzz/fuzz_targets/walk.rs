//! Any bytes as the commands of a transaction, and as a whole transaction: no panic; an error, or commands one directly
//! behind the other from START to COMMIT. A watch that refuses a transaction stays as it was.
#![no_main]

use grap_neo4j::synthetic::{first_header, store_id, LogWriter};
use grap_neo4j::txlog::{commands, Command, SchemaChange, SchemaWatch, WalkError};
use grap_neo4j::{CommitTime, KernelVersion, TxId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (kernel, bytes) = input;
    walk(bytes);
    let Some(kernel) = KernelVersion::known(kernel % 28 + 5) else { return };
    // The input as the code and body of commands; a byte 255 stands for the beginning of an entry.
    let entry = [kernel.byte(), 3];
    let entries: Vec<u8> =
        bytes.iter().flat_map(|byte| if *byte == 255 { entry.to_vec() } else { vec![*byte] }).collect();
    let mut writer = LogWriter::new(kernel, first_header(kernel, store_id(1)));
    writer.transaction(&entries, CommitTime(1));
    let transaction = &writer.bytes()[128..];
    walk(transaction);
    watch(transaction);
});

fn walk(transaction: &[u8]) {
    let Ok(walk) = commands(transaction) else { return };
    let kernel = walk.kernel().byte();
    let Ok(walked) = walk.collect::<Result<Vec<Command<'_>>, WalkError>>() else { return };
    let end = transaction.len() - 22;
    assert_eq!(transaction[end..end + 2], [kernel, 5]);
    let mut at = walked.first().map_or(end, |first| first.offset);
    for command in &walked {
        assert_eq!(command.offset, at);
        assert_eq!(command.bytes[..3], [kernel, 3, command.kind.code()]);
        at += command.bytes.len();
        assert_eq!(command.bytes, &transaction[command.offset..at]);
        let _ = SchemaChange::of(command);
    }
    assert_eq!(at, end);
}

fn watch(transaction: &[u8]) {
    let mut watch = SchemaWatch::behind(TxId(1));
    match watch.see(transaction) {
        Ok(ended) => {
            assert_eq!(watch.seen_to(), TxId(2));
            assert!(ended.iter().all(|creation| creation.ended.is_some()));
        }
        Err(_) => assert_eq!((watch.seen_to(), watch.open().count()), (TxId(1), 0)),
    }
    assert!(watch.open().all(|creation| creation.ended.is_none() && creation.began == Some(TxId(2))));
}
