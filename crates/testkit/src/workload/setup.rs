//! What a workload needs before its first write: the constraint on keys, indexes, hubs, marker nodes.

use super::client::{Client, Fate};
use super::key::{SCHEMA, SETUP};
use super::{Context, Indexes};
use crate::error::{Error, Result};
use crate::graph::Effect;
use crate::value::Value;

const CONSTRAINT: (&str, &str) =
    ("n_k", "CREATE CONSTRAINT n_k IF NOT EXISTS FOR (n:N) REQUIRE n.k IS UNIQUE");
const TREES: [(&str, &str); 4] = [
    ("a_i", "CREATE RANGE INDEX a_i IF NOT EXISTS FOR (n:A) ON (n.i)"),
    ("b_s_i", "CREATE RANGE INDEX b_s_i IF NOT EXISTS FOR (n:B) ON (n.s, n.i)"),
    ("b_p2", "CREATE POINT INDEX b_p2 IF NOT EXISTS FOR (n:B) ON (n.p2)"),
    ("link_w", "CREATE RANGE INDEX link_w IF NOT EXISTS FOR ()-[x:LINK]-() ON (x.w)"),
];
const LUCENE: [(&str, &str); 2] = [
    ("a_s", "CREATE TEXT INDEX a_s IF NOT EXISTS FOR (n:A) ON (n.s)"),
    ("words", "CREATE FULLTEXT INDEX words IF NOT EXISTS FOR (n:A|B) ON EACH [n.word]"),
];

/// Makes constraint and indexes, waits for them, then commits hubs and marker nodes as the first transaction.
pub(crate) fn prepare(context: &Context) -> Result<()> {
    let mut client = Client::new(context, SETUP);
    let marker = client.next_marker();
    let (trees, lucene): (&[_], &[_]) = match context.options.indexes {
        Indexes::None => (&[], &[]),
        Indexes::Trees => (&TREES, &[]),
        Indexes::All => (&TREES, &LUCENE),
    };
    for (name, statement) in [&[CONSTRAINT], trees, lucene].concat() {
        client.bolt().run(statement)?;
        context.oracle.schema_made(name, marker);
    }
    client.bolt().run("CALL db.awaitIndexes(120)")?;
    let writers = 1..=context.options.writers;
    let mut effects: Vec<Effect> =
        writers.chain([SCHEMA]).map(|writer| marker_node(context, writer, None)).collect();
    effects.push(marker_node(context, SETUP, Some(marker.0)));
    effects.extend((0..context.options.hubs).map(|number| hub(context, number)));
    match client.commit_recorded(marker, effects, 0)? {
        Fate::Committed(_) => Ok(()),
        Fate::NotCommitted => Err(Error::Workload("the first transaction was not committed".into())),
    }
}

fn marker_node(context: &Context, writer: u8, marker: Option<i64>) -> Effect {
    let properties = marker.map(|marker| ("m", Value::Int(marker))).into_iter().collect();
    Effect::CreateNode { key: context.run.marker_node(writer), labels: &["Marker"], properties }
}

fn hub(context: &Context, number: u32) -> Effect {
    let name = Value::Text(format!("hub {number}"));
    Effect::CreateNode { key: context.run.hub(number), labels: &["Hub"], properties: vec![("s", name)] }
}
