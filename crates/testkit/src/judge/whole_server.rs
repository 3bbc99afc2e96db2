//! The same comparison through a running server, over Bolt: the path that users take.

use std::collections::{BTreeMap, HashMap};

use neo4j::ValueReceive;

use super::report::{IndexState, Report, Verdict};
use crate::bolt::Bolt;
use crate::error::Result;
use crate::graph::{Graph, KEY, Node, Presence, Properties, Relationship};
use crate::server::Server;
use crate::value::canonical_received;

/// Reads the whole graph, indexes and constraints of a running server and compares them with the expected
/// ones. (Writes nothing; asks no index. The newest transaction id cannot be asked over Bolt on Community.)
pub fn judge_server(server: &Server, expected: &Graph) -> Result<Verdict> {
    let bolt = server.bolt();
    for (name, _) in expected.schema.iter().filter(|(_, presence)| **presence == Presence::Present) {
        // One that does not come online, or is not there, is told by what the server shows then.
        let _ = bolt.run(&format!("CALL db.awaitIndex('{name}', 120)"));
    }
    let graph = read_graph(&bolt)?;
    let report = Report {
        opened: true,
        nodes: count(graph.nodes.len()),
        relationships: count(graph.relationships.len()),
        indexes: indexes(&bolt)?,
        constraints: bolt.run("SHOW CONSTRAINTS YIELD name")?.iter().map(|row| row.text(0)).collect(),
        ..Report::default()
    };
    Ok(Verdict::new(report, &graph, expected, None))
}

/// The whole graph of a server's default database.
pub(crate) fn read_graph(bolt: &Bolt) -> Result<Graph> {
    let mut graph = Graph::default();
    let mut keys = HashMap::new();
    for row in bolt.run("MATCH (n) RETURN n")? {
        let Some(ValueReceive::Node(node)) = row.0.into_iter().next() else { continue };
        let properties = canonical(&node.properties);
        let Some(key) = key(&node.properties) else {
            graph.strangers.push(node.to_string());
            continue;
        };
        keys.insert(node.element_id, key);
        let labels = node.labels.into_iter().collect();
        if graph.nodes.insert(key, Node { labels, properties }).is_some() {
            graph.strangers.push(format!("a second node with key {key:#x}"));
        }
    }
    for row in bolt.run("MATCH ()-[r]->() RETURN r")? {
        let Some(ValueReceive::Relationship(found)) = row.0.into_iter().next() else { continue };
        let ends = (keys.get(&found.start_node_element_id), keys.get(&found.end_node_element_id));
        let (Some(key), (Some(from), Some(to))) = (key(&found.properties), ends) else {
            graph.strangers.push(found.to_string());
            continue;
        };
        let properties = canonical(&found.properties);
        let relationship = Relationship { kind: found.type_, from: *from, to: *to, properties };
        if graph.relationships.insert(key, relationship).is_some() {
            graph.strangers.push(format!("a second relationship with key {key:#x}"));
        }
    }
    Ok(graph)
}

fn indexes(bolt: &Bolt) -> Result<Vec<IndexState>> {
    let rows = bolt.run("SHOW INDEXES YIELD name, type, state, failureMessage")?;
    let state = |row: &crate::bolt::Row| IndexState {
        name: row.text(0),
        kind: row.text(1),
        state: row.text(2),
        failure: row.text(3),
    };
    Ok(rows.iter().map(state).collect())
}

fn key(properties: &HashMap<String, ValueReceive>) -> Option<u64> {
    properties.get(KEY).and_then(ValueReceive::as_int).and_then(|key| u64::try_from(key).ok())
}

fn canonical(properties: &HashMap<String, ValueReceive>) -> Properties {
    properties
        .iter()
        .map(|(name, value)| (name.clone(), canonical_received(value)))
        .collect::<BTreeMap<_, _>>()
}

fn count(number: usize) -> u64 {
    number as u64
}
