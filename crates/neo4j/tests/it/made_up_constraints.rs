//! Constraints in the making that the real logs do not have: rules that are not understood, creations that
//! overlap in every way.

use grap_neo4j::synthetic::{LogWriter, first_header, store_id};
use grap_neo4j::txlog::{
    Creation, CreationEnd, RuleId, SchemaWatch, WalkError, WatchError, WholePoints, whole_points,
};
use grap_neo4j::{CommitTime, TxId};

use crate::constraints::{creation, watched};
use crate::made_up::{self, MapText};
use crate::reading::kernel;
use crate::walking::transactions;

/// Made up transactions of schema commands, ids from 2 on.
fn history(transactions: &[Vec<Vec<u8>>]) -> Vec<(TxId, Vec<u8>)> {
    let kernel = kernel(20);
    let mut writer = LogWriter::new(kernel, first_header(kernel, store_id(1)));
    for bodies in transactions {
        let entries: Vec<Vec<u8>> = bodies.iter().map(|body| made_up::entry(20, 18, body)).collect();
        writer.transaction(entries.concat().get(2..).unwrap_or_default(), CommitTime(1));
    }
    let file = writer.bytes().to_vec();
    transactions_of(&file)
}

fn transactions_of(file: &[u8]) -> Vec<(TxId, Vec<u8>)> {
    transactions(file).into_iter().map(|(transaction, bytes)| (transaction.id, bytes.to_vec())).collect()
}

const CREATED: [Option<bool>; 2] = [None, Some(false)];
const DELETED: [Option<bool>; 2] = [Some(false), None];

fn index(id: i64, images: [Option<bool>; 2], index_type: &str) -> Vec<u8> {
    let text = MapText::Text;
    made_up::rule(
        id,
        images,
        &[("name", text("i")), ("schemaRuleType", text("INDEX")), ("indexRuleType", text(index_type))],
    )
}

fn constraint(id: i64, constraint_type: &str, owned: Option<i64>) -> Vec<u8> {
    let text = MapText::Text;
    let mut properties = vec![
        ("name", text("c")),
        ("schemaRuleType", text("CONSTRAINT")),
        ("constraintRuleType", text(constraint_type)),
    ];
    properties.extend(owned.map(|id| ("ownedIndex", MapText::Id(id))));
    made_up::rule(id, [None, Some(true)], &properties)
}

#[test]
fn an_index_and_its_constraint_in_one_transaction_leave_no_point_between() {
    let both = [constraint(2, "UNIQUE_EXISTS", Some(1)), index(1, CREATED, "UNIQUE")];
    for order in [both.to_vec(), both.iter().rev().cloned().collect()] {
        let [ended] = &watched(&history(&[order]), TxId(1))[..] else { panic!() };
        assert_eq!((ended.began, ended.ended.map(|end| end.at)), (Some(TxId(2)), Some(TxId(2))));
        assert!((0..9).all(|point| !ended.encloses(TxId(point))));
    }
}

#[test]
fn constraints_without_an_index_and_indexes_of_their_own_open_nothing() {
    let log = history(&[
        vec![constraint(1, "EXISTS", None)],
        vec![constraint(2, "PROPERTY_TYPE", None)],
        vec![index(3, CREATED, "NON_UNIQUE")],
        vec![index(3, DELETED, "NON_UNIQUE")],
    ]);
    assert_eq!(watched(&log, TxId(1)), []);
}

/// A server that is killed leaves its index behind; the id of a deleted rule is used again.
#[test]
fn a_creation_stays_open_until_its_index_is_gone() {
    let log = history(&[
        vec![index(1, CREATED, "UNIQUE")],
        vec![],
        vec![index(1, DELETED, "UNIQUE")],
        vec![index(1, CREATED, "UNIQUE")],
    ]);
    let found = watched(&log, TxId(1));
    assert_eq!(found[0], creation("i", 1, 2, 4, None));
    assert_eq!((found[1].began, found[1].ended, found.len()), (Some(TxId(5)), None, 2));
    assert_eq!(whole_points(TxId(5), &found), WholePoints { before: Some(TxId(4)), behind: None });
}

#[test]
fn a_rule_that_is_not_understood_is_refused_and_changes_nothing() {
    let text = MapText::Text;
    let unknown_rule = [("name", text("x")), ("schemaRuleType", text("GRAPH_TYPE"))];
    let nameless = [("schemaRuleType", text("INDEX")), ("indexRuleType", text("UNIQUE"))];
    let no_rule = [&9_i64.to_le_bytes()[..], &[0, 0, 0]].concat();
    for (body, expected) in [
        (made_up::rule(9, CREATED, &unknown_rule), "is about neither an index nor a constraint"),
        (made_up::rule(9, CREATED, &[]), "is about neither an index nor a constraint"),
        (made_up::rule(9, CREATED, &nameless), "lacks a name or a type"),
        (index(9, CREATED, "UNIQUE_SOMEHOW"), "is about an index of unknown type"),
        (index(9, [None, None], "UNIQUE"), "is about a rule that was neither before nor after"),
        (index(9, [None, Some(true)], "UNIQUE"), "contradicts itself (index or constraint)"),
        (constraint(9, "UNIQUE", None), "is about a constraint without the index it needs"),
        (no_rule, "does not say which rule it is about"),
    ] {
        let log = history(&[vec![index(1, CREATED, "UNIQUE")], vec![index(2, CREATED, "UNIQUE"), body]]);
        let mut watch = SchemaWatch::behind(TxId(1));
        watch.see(&log[0].1).unwrap();
        let error = watch.see(&log[1].1).unwrap_err();
        let WatchError::Walk { id: TxId(3), source: WalkError::Schema { what, .. } } = error else {
            panic!("{error}")
        };
        assert_eq!(what, expected);
        let open: Vec<RuleId> = watch.open().map(|creation| creation.index).collect();
        assert_eq!((watch.seen_to(), open), (TxId(2), vec![RuleId(1)]));
    }
}

/// Against the definition, point by point: many creations, overlapping in every way.
#[test]
fn whole_points_are_the_nearest_that_nothing_encloses() {
    let spans: Vec<(Option<u64>, Option<u64>)> = vec![
        (None, Some(4)),
        (Some(3), Some(7)),
        (Some(6), Some(9)),
        (Some(12), Some(13)),
        (Some(14), Some(17)),
        (Some(16), None),
        (Some(9), Some(9)),
    ];
    for chosen in 0..1_usize << spans.len() {
        let span = |(began, ended): &(Option<u64>, Option<u64>)| Creation {
            index: RuleId(0),
            name: String::new(),
            began: began.map(TxId),
            ended: ended.map(|at| CreationEnd { at: TxId(at), constraint: None }),
        };
        let creations: Vec<Creation> =
            (0..spans.len()).filter(|at| chosen >> at & 1 == 1).map(|at| span(&spans[at])).collect();
        for target in 1..20 {
            let whole = |point: &u64| !creations.iter().any(|creation| creation.encloses(TxId(*point)));
            let began = if chosen & 1 == 1 { 4 } else { 0 };
            let before = (began..=target).rev().find(|point| whole(point)).map(TxId);
            let behind = (target..20).find(|point| whole(point)).map(TxId);
            assert_eq!(
                whole_points(TxId(target), &creations),
                WholePoints { before, behind },
                "{creations:?}"
            );
        }
    }
}
