//! Constraints in the making, in the logs of real servers.

use grap_neo4j::TxId;
use grap_neo4j::txlog::{
    Change, Creation, CreationEnd, RuleId, RuleKind, SchemaChange, SchemaWatch, Transaction, WatchError,
    WholePoints, commands, whole_points,
};

use crate::fixtures;
use crate::walking::transactions;

const CONSTRAINTS: &str = "neo4j-constraints-5.26.30";

/// Id and bytes of all transactions of a folder's log.
fn log(folder: &str) -> Vec<(TxId, Vec<u8>)> {
    let names: Vec<String> = if folder == CONSTRAINTS {
        vec!["neostore.transaction.db.0".to_owned()]
    } else {
        fixtures::expected(folder, "expected.jsonl").into_iter().map(|file| file.name).collect()
    };
    let read = |name: &String| {
        let file = fixtures::bytes(folder, name);
        let owned = |(transaction, bytes): (Transaction, &[u8])| (transaction.id, bytes.to_vec());
        transactions(&file).into_iter().map(owned).collect::<Vec<_>>()
    };
    names.iter().flat_map(read).collect()
}

/// All that a watch finds that begins right behind `last`: ended first, then open.
pub(crate) fn watched(log: &[(TxId, Vec<u8>)], last: TxId) -> Vec<Creation> {
    let mut watch = SchemaWatch::behind(last);
    let mut creations = Vec::new();
    for (_, bytes) in log.iter().filter(|(id, _)| *id > last) {
        creations.extend(watch.see(bytes).unwrap());
    }
    creations.extend(watch.open().cloned());
    creations
}

pub(crate) fn creation(name: &str, index: i64, began: u64, ended: u64, constraint: Option<i64>) -> Creation {
    let constraint = constraint.map(RuleId);
    Creation {
        index: RuleId(index),
        name: name.to_owned(),
        began: Some(TxId(began)),
        ended: Some(CreationEnd { at: TxId(ended), constraint }),
    }
}

/// What a script that shares no code with this found in the same logs.
fn real_creations() -> Vec<(&'static str, Vec<Creation>)> {
    vec![
        ("neo4j-5.5.0", vec![creation("uq", 8, 115, 118, Some(9))]),
        ("neo4j-5.13.0", vec![creation("uq", 8, 115, 118, Some(9))]),
        ("neo4j-5.20.0", vec![creation("uq", 9, 119, 122, Some(10))]),
        ("neo4j-5.26.30", vec![creation("uq", 9, 119, 122, Some(10))]),
        ("neo4j-2026.02.2", vec![creation("uq", 9, 123, 126, Some(10))]),
        ("neo4j-2026.08.1", vec![creation("uq", 9, 123, 126, Some(10))]),
        (
            "neo4j-5.13.0/system",
            vec![
                creation("constraint_8014b60a", 4, 11, 14, Some(5)),
                creation("constraint_798238d6", 3, 9, 14, Some(6)),
                creation("constraint_74fad970", 8, 31, 32, Some(9)),
                creation("constraint_5789ae3", 7, 29, 32, Some(10)),
            ],
        ),
        (
            "neo4j-5.26.30/system",
            vec![
                creation("constraint_798238d6", 3, 9, 14, Some(5)),
                creation("constraint_8014b60a", 4, 11, 14, Some(6)),
                creation("constraint_74fad970", 8, 31, 35, Some(10)),
                creation("constraint_5789ae3", 7, 29, 35, Some(11)),
                creation("auth-constraint", 9, 34, 35, Some(12)),
            ],
        ),
        (
            "neo4j-2026.08.1/system",
            vec![
                creation("constraint_8027f4ec", 3, 9, 12, Some(4)),
                creation("displayNameConstraint", 5, 14, 15, Some(6)),
                creation("constraint_7b9674a2", 7, 17, 18, Some(8)),
                creation("constraint_e7fade43", 9, 35, 36, Some(10)),
                creation("constraint_72849252", 11, 38, 39, Some(12)),
                creation("auth-constraint", 13, 42, 43, Some(14)),
            ],
        ),
        (
            CONSTRAINTS,
            vec![
                creation("bad", 3, 11, 12, None),
                creation("relq", 4, 13, 16, Some(5)),
                creation("empty", 7, 20, 21, Some(8)),
            ],
        ),
        ("neo4j-upgrade-5.13-5.26-2026.08", vec![]),
    ]
}

#[test]
fn constraints_of_real_servers_are_open_from_their_index_to_their_rule() {
    for (folder, expected) in real_creations() {
        let log = log(folder);
        let first = log[0].0;
        let mut watch = SchemaWatch::behind(TxId(first.0 - 1));
        let mut ended = Vec::new();
        for (id, bytes) in &log {
            ended.extend(watch.see(bytes).unwrap());
            assert_eq!(watch.seen_to(), *id);
            let open: Vec<RuleId> = watch.open().map(|creation| creation.index).collect();
            let mut enclosing: Vec<RuleId> = expected
                .iter()
                .filter(|creation| creation.encloses(*id))
                .map(|creation| creation.index)
                .collect();
            enclosing.sort_unstable();
            assert_eq!(open, enclosing, "{folder}, behind {id}");
        }
        assert_eq!(ended, expected, "{folder}");
    }
}

/// The question of a restore, asked for every transaction of every log.
#[test]
fn every_target_within_a_real_creation_is_found_with_the_points_around_it() {
    let mut within = 0;
    for (folder, _) in real_creations() {
        let log = log(folder);
        let creations = watched(&log, TxId(log[0].0.0 - 1));
        for (target, _) in &log {
            let points = whole_points(*target, &creations);
            let inside = creations.iter().any(|creation| creation.encloses(*target));
            assert_eq!(points.before == Some(*target), !inside);
            assert_eq!(points.behind == Some(*target), !inside);
            within += usize::from(inside);
        }
        let points = |before, behind| WholePoints { before: Some(TxId(before)), behind: Some(TxId(behind)) };
        match folder {
            "neo4j-5.26.30" => assert_eq!(whole_points(TxId(121), &creations), points(118, 122)),
            // Two overlap: the point before the second lies within the first.
            "neo4j-5.13.0/system" => assert_eq!(whole_points(TxId(12), &creations), points(8, 14)),
            _ => {}
        }
    }
    assert_eq!(within, 50);
}

/// Only what is behind the target is read: whoever ends there without having begun there encloses it.
#[test]
fn a_creation_that_began_before_the_watch_shows_when_it_ends() {
    let log = log(CONSTRAINTS);
    for (target, index, end, constraint) in [
        (11, 3, 12, None),
        (13, 4, 16, Some(RuleId(5))),
        (15, 4, 16, Some(RuleId(5))),
        (20, 7, 21, Some(RuleId(8))),
    ] {
        let found = watched(&log, TxId(target));
        let [first, rest @ ..] = &found[..] else { panic!("nothing found behind {target}") };
        assert_eq!((first.index, first.began), (RuleId(index), None));
        assert_eq!(first.ended, Some(CreationEnd { at: TxId(end), constraint }));
        assert!(first.encloses(TxId(target)) && rest.iter().all(|other| other.began.is_some()));
        assert_eq!(whole_points(TxId(target), &found), WholePoints { before: None, behind: Some(TxId(end)) });
    }
    for target in [10, 12, 16, 17, 19, 21] {
        let found = watched(&log, TxId(target));
        assert!(found.iter().all(|creation| creation.began.is_some()), "{target}: {found:?}");
    }
}

/// Dropping a constraint deletes it and its index in one transaction; an index of its own is created by one.
#[test]
fn what_one_transaction_does_is_read_from_its_rules() {
    let log = log(CONSTRAINTS);
    let changes = |id: u64| {
        let bytes = &log[usize::try_from(id - 2).unwrap()].1;
        let change = |command| {
            let change = SchemaChange::of(&command).unwrap()?;
            Some((change.id.0, change.change, change.rule.name.to_owned(), format!("{:?}", change.rule.kind)))
        };
        commands(bytes).unwrap().map(Result::unwrap).filter_map(change).collect::<Vec<_>>()
    };
    let index =
        |unique, owner: Option<i64>| format!("{:?}", RuleKind::Index { unique, owner: owner.map(RuleId) });
    let constraint = |index| {
        let owned_index = Some(RuleId(index));
        format!("{:?}", RuleKind::Constraint { constraint_type: "UNIQUE", owned_index })
    };
    let named = |id, change, name: &str, kind| (id, change, name.to_owned(), kind);
    assert_eq!(changes(13), [named(4, Change::Created, "relq", index(true, None))]);
    assert_eq!(
        changes(16),
        [
            named(5, Change::Created, "relq", constraint(4)),
            named(4, Change::Updated, "relq", index(true, Some(5)))
        ]
    );
    assert_eq!(
        changes(22),
        [
            named(4, Change::Deleted, "relq", index(true, Some(5))),
            named(5, Change::Deleted, "relq", constraint(4))
        ]
    );
    assert_eq!(changes(17), [named(6, Change::Created, "plain", index(false, None))]);
    assert_eq!(changes(12), [named(3, Change::Deleted, "bad", index(true, None))]);
    assert_eq!(changes(14), []);
}

#[test]
fn a_watch_takes_nothing_but_the_next_transaction() {
    let log = log(CONSTRAINTS);
    let mut watch = SchemaWatch::behind(TxId(1));
    watch.see(&log[0].1).unwrap();
    for wrong in [&log[0], &log[2]] {
        let error = watch.see(&wrong.1).unwrap_err();
        assert_eq!(error, WatchError::NotNext { expected: TxId(3), found: wrong.0 });
    }
    assert!(matches!(watch.see(&log[1].1[1..]), Err(WatchError::NoTransaction { last: TxId(2), .. })));
    watch.see(&log[1].1).unwrap();
}
