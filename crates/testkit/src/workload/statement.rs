//! Turns the effects of a transaction into few statements: one per kind of effect, rows as a parameter.
//!
//! Each statement returns the number of rows that it changed, so that an effect that did not take place is noticed
//! at once and not as a mysterious difference later.

use std::collections::{BTreeMap, HashMap};

use neo4j::ValueSend;

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

fn shape(effect: &Effect) -> Shape {
    match effect {
        Effect::CreateNode { labels, .. } => {
            let labels = labels.iter().fold(String::new(), |text, label| format!("{text}:{label}"));
            (0, format!("UNWIND $rows AS r CREATE (n:N{labels}) SET n = r.p {COUNT}"))
        }
        Effect::SetNode { .. } => (1, format!("{NODE} SET n += r.p {COUNT}")),
        Effect::AddLabel { label, .. } => (2, format!("{NODE} SET n:{label} {COUNT}")),
        Effect::RemoveLabel { label, .. } => (3, format!("{NODE} REMOVE n:{label} {COUNT}")),
        Effect::CreateRelationship { kind, .. } => (
            4,
            format!(
                "UNWIND $rows AS r MATCH (a:N {{k: r.a}}) USING INDEX a:N(k) MATCH (b:N {{k: r.b}}) \
                 USING INDEX b:N(k) CREATE (a)-[x:{kind}]->(b) SET x = r.p {COUNT}"
            ),
        ),
        Effect::SetRelationship { .. } => (5, format!("{RELATIONSHIP} SET x += r.p {COUNT}")),
        Effect::DeleteRelationship { .. } => (6, format!("{RELATIONSHIP} DELETE x {COUNT}")),
        Effect::DeleteNode { .. } => (7, format!("{NODE} DETACH DELETE n {COUNT}")),
    }
}

fn row(effect: &Effect) -> HashMap<String, ValueSend> {
    let entries = match effect {
        Effect::CreateNode { key, properties, .. } => vec![("p", created(*key, properties))],
        Effect::SetNode { key, changes } => vec![("k", number(*key)), ("p", changed(changes))],
        Effect::AddLabel { key, .. } | Effect::RemoveLabel { key, .. } | Effect::DeleteNode { key, .. } => {
            vec![("k", number(*key))]
        }
        Effect::CreateRelationship { key, from, to, properties, .. } => {
            vec![("a", number(*from)), ("b", number(*to)), ("p", created(*key, properties))]
        }
        Effect::SetRelationship { key, end, changes } => {
            vec![("k", number(*key)), ("e", number(*end)), ("p", changed(changes))]
        }
        Effect::DeleteRelationship { key, end } => vec![("k", number(*key)), ("e", number(*end))],
    };
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
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
