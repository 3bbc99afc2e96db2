//! The commands of real transactions, counted by an independent decoder; and whatever else a walk may meet.

use std::collections::BTreeMap;

use grap_neo4j::synthetic::{LogWriter, first_header, store_id};
use grap_neo4j::txlog::{Change, Command, CommandKind, SchemaChange, Transaction, WalkError, commands};
use grap_neo4j::{CommitTime, KernelVersion, TxId};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use crate::fixtures;
use crate::made_up::{self, COMMANDS};
use crate::reading::{kernel, scan};

/// The bytes of each transaction of a file.
pub(crate) fn transactions(file: &[u8]) -> Vec<(Transaction, &[u8])> {
    let at = |offset: u64| usize::try_from(offset).unwrap();
    let cut = |transaction: Transaction| {
        (transaction, &file[at(transaction.start.offset)..at(transaction.end.offset)])
    };
    scan(file).0.into_iter().map(cut).collect()
}

fn walk(transaction: &[u8]) -> Result<Vec<Command<'_>>, WalkError> {
    commands(transaction)?.collect()
}

#[test]
fn every_real_transaction_holds_the_commands_that_the_independent_decoder_counted() {
    let mut count = 0;
    let mut kernels = Vec::new();
    for folder in fixtures::folders() {
        for expected in fixtures::expected(folder, "expected.jsonl") {
            let file = fixtures::bytes(folder, &expected.name);
            for ((transaction, bytes), line) in transactions(&file).into_iter().zip(&expected.lines) {
                let walked = walk(bytes).unwrap();
                assert_commands(transaction.kernel, &walked, line);
                assert_eq!(commands(bytes).unwrap().transaction_id(), transaction.id);
                count += walked.len();
                kernels.push(transaction.kernel.byte());
            }
        }
    }
    kernels.sort_unstable();
    kernels.dedup();
    assert_eq!((count, kernels), (44_627, vec![5, 12, 17, 20, 29, 32]));
}

fn assert_commands(kernel: KernelVersion, walked: &[Command<'_>], line: &Value) {
    let explicit = kernel.byte() >= 10;
    let mut found = BTreeMap::new();
    for command in walked {
        *found.entry(name(command, explicit)).or_insert(0) += 1;
    }
    let mut expected = BTreeMap::new();
    for (name, count) in line["commands"].as_object().unwrap() {
        let (subject, action) = name.rsplit_once('_').unwrap();
        let by_code = explicit && matches!(subject, "node" | "rel" | "prop");
        let name = if by_code || matches!(subject, "schema") { action } else { "" };
        *expected.entry((subject.to_owned(), name.to_owned())).or_insert(0) += count.as_u64().unwrap();
    }
    assert_eq!(found, expected, "{line}");
    assert_eq!(walked.len() as u64, line["command_count"].as_u64().unwrap());
}

/// In the words of the independent decoder: about what, and, where code or record say it, what is done.
fn name(command: &Command<'_>, explicit: bool) -> (String, String) {
    let by_code = |action| if explicit { action } else { "" };
    let (subject, action) = match command.kind {
        CommandKind::Node => ("node", by_code("update")),
        CommandKind::NodeCreated => ("node", "create"),
        CommandKind::NodeDeleted => ("node", "delete"),
        CommandKind::Relationship => ("rel", by_code("update")),
        CommandKind::RelationshipCreated => ("rel", "create"),
        CommandKind::RelationshipDeleted => ("rel", "delete"),
        CommandKind::Property => ("prop", by_code("update")),
        CommandKind::PropertyCreated => ("prop", "create"),
        CommandKind::PropertyDeleted => ("prop", "delete"),
        CommandKind::Group => ("group", ""),
        CommandKind::RelationshipType => ("type", ""),
        CommandKind::Label => ("label", ""),
        CommandKind::PropertyKey => ("key", ""),
        CommandKind::NodeCount => ("node_count", ""),
        CommandKind::RelationshipCount => ("rel_count", ""),
        CommandKind::GroupDegree => ("degree", ""),
        CommandKind::Metadata => ("meta", ""),
        CommandKind::Schema => match SchemaChange::of(command).unwrap().unwrap().change {
            Change::Created => ("schema", "create"),
            Change::Updated => ("schema", "update"),
            Change::Deleted => ("schema", "delete"),
        },
    };
    (subject.to_owned(), action.to_owned())
}

/// One transaction whose COMMAND entries, kernel bytes and all, follow each other.
fn written(kernel: KernelVersion, entries: &[Vec<u8>]) -> Vec<u8> {
    let bytes: Vec<u8> = entries.concat();
    let mut writer = LogWriter::new(kernel, first_header(kernel, store_id(1)));
    writer.transaction(bytes.get(2..).unwrap_or_default(), CommitTime(1));
    writer.bytes()[128..].to_vec()
}

/// What real servers wrote under one kernel, told under every other: the layouts are the same.
#[test]
fn commands_are_the_same_under_every_kernel_and_start() {
    let file = fixtures::bytes("neo4j-5.26.30", "neostore.transaction.db.0");
    for (_, bytes) in transactions(&file).into_iter().take(132) {
        let walked = walk(bytes).unwrap();
        for kernel in KernelVersion::all() {
            let retold = |command: &Command<'_>| [&[kernel.byte()], &command.bytes[1..]].concat();
            let entries: Vec<Vec<u8>> = walked.iter().map(retold).collect();
            let told = written(kernel, &entries);
            let new_code = walked.iter().find(|command| command.kind >= CommandKind::NodeCreated);
            match walk(&told) {
                Ok(again) => {
                    assert!(again.iter().map(|command| command.bytes).eq(entries.iter()));
                    assert!(kernel.byte() >= 10 || new_code.is_none());
                }
                Err(WalkError::UnknownCommand { code, .. }) => {
                    assert!(kernel.byte() < 10 && new_code.is_some_and(|new| new.kind.code() == code));
                }
                Err(error) => panic!("{kernel}: {error}"),
            }
        }
    }
}

#[test]
fn an_additional_header_is_passed_over() {
    let bytes = written(kernel(20), &[made_up::entry(20, 17, &[7; 12])]);
    let mut longer = bytes.clone();
    longer[30] = 8;
    longer.splice(34..34, [9; 8]);
    assert_eq!((walk(&bytes).unwrap()[0].offset, walk(&longer).unwrap()[0].offset), (34, 42));
}

#[test]
fn a_command_that_is_not_known_is_named_with_its_place() {
    for (code, name) in
        [(21, "4.x"), (28, "an index update"), (30, "enrichment"), (0, "command"), (255, "command")]
    {
        let entries = [made_up::entry(20, 17, &[0; 12]), made_up::entry(20, code, &[0; 40])];
        let error = walk(&written(kernel(20), &entries)).unwrap_err();
        assert!(matches!(error, WalkError::UnknownCommand { offset: 49, code: found, .. } if found == code));
        let text = error.to_string();
        assert!(text.contains(name) && text.contains(&format!("code {code}")), "{text}");
    }
}

#[test]
fn entries_of_another_kernel_or_type_are_refused() {
    let good = [made_up::entry(20, 17, &[0; 12]), made_up::entry(20, 17, &[0; 12])];
    let mut bytes = written(kernel(20), &good);
    assert_eq!(walk(&bytes).unwrap().len(), 2);
    bytes[49] = 21;
    let error = walk(&bytes).unwrap_err();
    assert_eq!(error, WalkError::NoCommand { offset: 49, expected: 20, found: 21, entry_type: 3 });
    bytes[49] = 20;
    bytes[50] = 5;
    let error = walk(&bytes).unwrap_err();
    assert_eq!(error, WalkError::NoCommand { offset: 49, expected: 20, found: 20, entry_type: 5 });
    bytes[50] = 3;
    let commit = bytes.len() - 22;
    for (at, byte) in [(commit, 21), (commit + 1, 3), (0, 21), (0, 33), (1, 3)] {
        let right = std::mem::replace(&mut bytes[at], byte);
        assert_eq!(walk(&bytes), Err(WalkError::NoTransaction), "{at}");
        bytes[at] = right;
    }
    assert!(walk(&bytes).is_ok());
}

#[test]
fn a_transaction_ends_exactly_with_its_commit() {
    let bytes = written(kernel(32), &[made_up::entry(32, 20, &[0; 16])]);
    assert_eq!(commands(&bytes).unwrap().transaction_id(), TxId(2));
    let twice = [&bytes[..], &bytes[..]].concat();
    assert!(matches!(walk(&twice), Err(WalkError::NoCommand { entry_type: 5, .. })));
    for cut in 0..bytes.len() {
        assert!(walk(&bytes[..cut]).is_err(), "{cut}");
        assert!(walk(&bytes[cut + 1..]).is_err(), "{cut}");
    }
    assert_eq!(walk(&[]), Err(WalkError::NoTransaction));
    assert!(walk(&written(kernel(32), &[])).unwrap().is_empty(), "a transaction without commands");
}

/// A length near the end of the address space, a count of two thousand millions: found out, not followed.
#[test]
fn lengths_and_counts_that_cannot_be_are_refused() {
    let bytes = |parts: &[&[u8]]| written(kernel(20), &[made_up::entry(20, 22, &parts.concat())]);
    let unused = [[0_u8; 8].as_slice(), &[0]].concat();
    assert!(walk(&bytes(&[&unused, &0_i32.to_le_bytes()])).is_ok());
    for count in [1, 2_000_000_000, i32::MAX, -1, i32::MIN] {
        let error = walk(&bytes(&[&unused, &count.to_le_bytes()])).unwrap_err();
        assert!(matches!(error, WalkError::Layout { offset: 34, code: 22, .. }), "{error}");
        let record = [&unused[..], &1_i32.to_le_bytes(), &[0; 12], &[1], &count.to_le_bytes(), &[0; 8]];
        assert!(walk(&bytes(&record)).is_err());
    }
}

/// More blocks than a property record has room for, a block of no possible length, a mark that is neither yes
/// nor no.
#[test]
fn values_that_cannot_be_are_refused() {
    let none = 0_i32.to_le_bytes();
    let property = |count: u8, length: u8| {
        let block = [&[length][..], &vec![1; usize::from(length)], &none].concat();
        [&[0; 33][..], &[count], &block.repeat(usize::from(count)), &none].concat()
    };
    let schema = |has_rule: u8| [&[0; 8][..], &[has_rule, 0, 0]].concat();
    let walked = |code, body: &[u8]| walk(&written(kernel(20), &[made_up::entry(20, code, body)])).is_ok();
    for (count, length, possible) in [
        (0, 0, true),
        (4, 8, true),
        (5, 8, false),
        (1, 32, true),
        (1, 40, false),
        (1, 12, false),
        (1, 0, false),
    ] {
        assert_eq!(walked(24, &property(count, length)), possible, "{count} of {length}");
    }
    assert_eq!([0, 2, 255].map(|mark| walked(18, &schema(mark))), [true, false, false]);
}

#[test]
fn an_error_ends_the_walk() {
    let good = made_up::entry(20, 17, &[0; 12]);
    let bytes = written(kernel(20), &[made_up::entry(20, 30, &good), good]);
    let mut walk = commands(&bytes).unwrap();
    assert!(walk.next().is_some_and(|command| command.is_err()));
    assert_eq!(walk.next(), None);
}

/// Transactions of real logs, and made up ones of every kernel with every command there is.
fn any_transaction() -> impl Strategy<Value = Vec<u8>> {
    let made_up =
        (5_u8..=32, proptest::collection::vec(made_up::command(), 0..6)).prop_map(|(byte, commands)| {
            let entries: Vec<Vec<u8>> =
                commands.iter().map(|(code, body)| made_up::entry(byte, *code, body)).collect();
            written(kernel(byte), &entries)
        });
    let real = proptest::sample::select(vec!["neo4j-5.5.0", "neo4j-5.13.0", "neo4j-2026.08.1"])
        .prop_flat_map(|folder| {
            let file = fixtures::bytes(folder, "neostore.transaction.db.0");
            let all: Vec<Vec<u8>> =
                transactions(&file).into_iter().take(120).map(|(_, bytes)| bytes.to_vec()).collect();
            proptest::sample::select(all)
        });
    prop_oneof![2 => made_up, 1 => real]
}

/// Either an error, or commands that fill the transaction from its START to its COMMIT.
fn assert_error_or_exact(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(walked) = walk(bytes) {
        let kernel = KernelVersion::known(bytes[0]).unwrap();
        let mut at = start_length(kernel, bytes);
        for command in walked {
            prop_assert_eq!(command.offset, at);
            prop_assert_eq!(command.bytes, &bytes[at..at + command.bytes.len()]);
            prop_assert_eq!(&command.bytes[..3], &[kernel.byte(), 3, command.kind.code()]);
            let _ = SchemaChange::of(&command);
            at += command.bytes.len();
        }
        prop_assert_eq!(at + 22, bytes.len());
        prop_assert_eq!(&bytes[at..at + 2], &[kernel.byte(), 5]);
    }
    Ok(())
}

fn start_length(kernel: KernelVersion, bytes: &[u8]) -> usize {
    let count_at = match kernel.byte() {
        ..=16 => 22,
        17..=21 => 30,
        22..=29 => 26,
        30.. => 34,
    };
    count_at + 4 + usize::from(bytes[count_at])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn made_up_commands_are_told_apart(
        byte in 10_u8..=32,
        commands in proptest::collection::vec(made_up::command(), 0..20),
    ) {
        let entries: Vec<Vec<u8>> =
            commands.iter().map(|(code, body)| made_up::entry(byte, *code, body)).collect();
        let bytes = written(kernel(byte), &entries);
        let walked = walk(&bytes).unwrap();
        prop_assert!(walked.iter().map(|command| command.bytes).eq(entries.iter()));
        prop_assert!(walked.iter().map(|command| command.kind.code()).eq(commands.iter().map(|(code, _)| *code)));
    }

    #[test]
    fn damage_ends_in_an_error_or_an_exact_end(
        bytes in any_transaction(), bit: Index, from: Index, to: Index, splice in proptest::collection::vec(any::<u8>(), 0..12),
    ) {
        assert_error_or_exact(&bytes)?;
        let mut flipped = bytes.clone();
        flipped[bit.index(bytes.len())] ^= 1 << (bit.index(8));
        assert_error_or_exact(&flipped)?;
        let cut = from.index(bytes.len());
        assert_error_or_exact(&bytes[..cut])?;
        let mut spliced = bytes.clone();
        let end = cut + to.index((bytes.len() - cut).min(40) + 1);
        spliced.splice(cut..end, splice);
        assert_error_or_exact(&spliced)?;
    }

    #[test]
    fn a_body_with_a_byte_more_or_less_is_not_one(byte in 10_u8..=32, (code, body) in made_up::command(), at: Index) {
        let end = made_up::entry(byte, 17, &[0; 12]);
        let walk_with = |body: &[u8]| {
            let bytes = written(kernel(byte), &[made_up::entry(byte, code, body), end.clone()]);
            walk(&bytes).map(|walked| walked.len())
        };
        prop_assert_eq!(walk_with(&body), Ok(2));
        prop_assert!(walk_with(&[&body[..], &[0]].concat()).is_err());
        // Cut by as much as the next command is long, it can swallow that one whole: never is it taken for two.
        prop_assert_ne!(walk_with(&body[..at.index(body.len())]), Ok(2));
    }
}

#[test]
fn every_command_is_made_up_somewhere() {
    let known: Vec<u8> = (0..=255).filter(|&code| CommandKind::known(kernel(20), code).is_some()).collect();
    let mut made_up = COMMANDS.to_vec();
    made_up.sort_unstable();
    assert_eq!(known, made_up);
    let old: Vec<u8> = (0..=255).filter(|&code| CommandKind::known(kernel(9), code).is_some()).collect();
    assert_eq!(old, known.into_iter().filter(|&code| code < 22).collect::<Vec<u8>>());
}
