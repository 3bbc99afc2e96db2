//! Turns the effects of a transaction into few statements: one per kind of effect, rows as a parameter.
//!
//! Each statement returns the number of rows that it changed, so that an effect that did not take place is
//! noticed at once and not as a mysterious difference later.

use std::collections::{BTreeMap, HashMap};

use neo4j::ValueSend;

use super::draw;
use crate::graph::{Change, Effect, KEY};
use crate::value::Value;

/// A statement with its rows; it must answer with the number of rows.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) text: String,
    pub(crate) parameters: HashMap<String, ValueSend>,
    pub(crate) rows: i64,
}

/// Position in the transaction and text: creations first, deletions last.
type Shape = (u8, String);

/// The statements of a transaction, in order.
pub(crate) fn statements(effects: &[Effect]) -> Vec<Statement> {
    let mut groups: BTreeMap<Shape, Vec<ValueSend>> = BTreeMap::new();
    for effect in effects {
        groups.entry(shape(effect)).or_default().push(ValueSend::Map(row(effect)));
    }
    groups.into_iter().map(|((_, text), rows)| statement(text, rows)).collect()
}

fn statement(text: String, rows: Vec<ValueSend>) -> Statement {
    Statement {
        text,
        rows: i64::try_from(rows.len()).expect("few rows"),
        parameters: HashMap::from([("rows".to_owned(), ValueSend::List(rows))]),
    }
}

const NODE: &str = "UNWIND $rows AS r MATCH (n:N {k: r.k}) USING INDEX n:N(k)";
const RELATIONSHIP: &str = "UNWIND $rows AS r MATCH (n:N {k: r.e})-[x]-() USING INDEX n:N(k) WHERE x.k = r.k";
const COUNT: &str = "RETURN count(*)";

/// One text for all labels and types: a new server spends most of its first seconds planning statements.
fn shape(effect: &Effect) -> Shape {
    match effect {
        Effect::CreateNode { .. } => {
            let labels = for_each("r.l", draw::ALL_LABELS, |label| format!("SET n:{label}"));
            (0, format!("UNWIND $rows AS r CREATE (n:N) SET n = r.p {labels} {COUNT}"))
        }
        Effect::SetNode { .. } => (1, format!("{NODE} SET n += r.p {COUNT}")),
        Effect::AddLabel { .. } => {
            let labels = for_each("r.l", draw::ALL_LABELS, |label| format!("SET n:{label}"));
            (2, format!("{NODE} {labels} {COUNT}"))
        }
        Effect::RemoveLabel { .. } => {
            let labels = for_each("r.l", draw::ALL_LABELS, |label| format!("REMOVE n:{label}"));
            (3, format!("{NODE} {labels} {COUNT}"))
        }
        Effect::CreateRelationship { .. } => {
            let kinds =
                for_each("r.t", draw::TYPES, |kind| format!("CREATE (a)-[x:{kind}]->(b) SET x = r.p"));
            (
                4,
                format!(
                    "UNWIND $rows AS r MATCH (a:N {{k: r.a}}) USING INDEX a:N(k) MATCH (b:N {{k: r.b}}) \
                     USING INDEX b:N(k) {kinds} {COUNT}"
                ),
            )
        }
        Effect::SetRelationship { .. } => (5, format!("{RELATIONSHIP} SET x += r.p {COUNT}")),
        Effect::DeleteRelationship { .. } => (6, format!("{RELATIONSHIP} DELETE x {COUNT}")),
        Effect::DeleteNode { .. } => (7, format!("{NODE} DETACH DELETE n {COUNT}")),
    }
}

/// Does something for each of the known names that is in a list of the row.
fn for_each<const N: usize>(list: &str, names: [&str; N], action: impl Fn(&str) -> String) -> String {
    let one = |name: &&str| {
        format!("FOREACH (_ IN CASE WHEN '{name}' IN {list} THEN [1] ELSE [] END | {})", action(name))
    };
    names.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn row(effect: &Effect) -> HashMap<String, ValueSend> {
    let entries = match effect {
        Effect::CreateNode { key, labels, properties } => {
            vec![("p", created(*key, properties)), ("l", texts(labels))]
        }
        Effect::SetNode { key, changes } => vec![("k", number(*key)), ("p", changed(changes))],
        Effect::AddLabel { key, label } | Effect::RemoveLabel { key, label } => {
            vec![("k", number(*key)), ("l", texts(&[*label]))]
        }
        Effect::DeleteNode { key, .. } => vec![("k", number(*key))],
        Effect::CreateRelationship { key, kind, from, to, properties } => {
            let properties = created(*key, properties);
            vec![("a", number(*from)), ("b", number(*to)), ("p", properties), ("t", texts(&[*kind]))]
        }
        Effect::SetRelationship { key, end, changes } => {
            vec![("k", number(*key)), ("e", number(*end)), ("p", changed(changes))]
        }
        Effect::DeleteRelationship { key, end } => vec![("k", number(*key)), ("e", number(*end))],
    };
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn texts(texts: &[&str]) -> ValueSend {
    ValueSend::List(texts.iter().map(|text| ValueSend::String((*text).to_owned())).collect())
}

fn number(key: u64) -> ValueSend {
    ValueSend::Integer(i64::try_from(key).expect("keys have 48 bits"))
}

fn created(key: u64, properties: &[(&'static str, Value)]) -> ValueSend {
    let own = (KEY.to_owned(), number(key));
    ValueSend::Map(
        properties.iter().map(|(name, value)| ((*name).to_owned(), value.to_bolt())).chain([own]).collect(),
    )
}

fn changed(changes: &[Change]) -> ValueSend {
    let entry =
        |(name, value): &Change| ((*name).to_owned(), value.as_ref().map_or(ValueSend::Null, Value::to_bolt));
    ValueSend::Map(changes.iter().map(entry).collect())
}
