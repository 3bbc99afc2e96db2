//! What real servers and our client say to each other, recorded: every message decodes, and encodes to the same bytes.
//!
//! The recorded streams are `testdata/bolt/<version>-{client,server}.bin` (chunks, without the handshake). They are made
//! anew with `GRAP_RECORD=1 GRAP_TEST_VERSIONS=... cargo test -p grap-bolt --test it real`.

use std::fs;
use std::path::PathBuf;

use grap_bolt::chunk::Frame;
use grap_bolt::client::{Connection, Rows, Scope, Statement};
use grap_bolt::message::{Head, Request, Response};
use grap_bolt::view::{Date, Node, Path, Relationship};
use grap_testkit::Server;

use crate::relay::{Relay, frames};
use crate::support::{encoded, options};

const VERSIONS: [&str; 3] = ["5.13.0", "5.26.30", "2026.08.1"];

fn file(version: &str, side: &str) -> PathBuf {
    let testdata = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/bolt");
    testdata.join(format!("{version}-{side}.bin"))
}

#[test]
fn recorded_messages_keep_their_bytes() {
    for version in VERSIONS {
        let (client, server) = (fs::read(file(version, "client")), fs::read(file(version, "server")));
        same_bytes(&client.unwrap(), &server.unwrap());
    }
}

pub(crate) fn live_messages_keep_their_bytes(server: &Server) {
    let (from_client, from_server) = converse(server);
    same_bytes(&from_client, &from_server);
    if std::env::var_os("GRAP_RECORD").is_some() {
        let version = server.distribution().version();
        fs::write(file(version, "client"), from_client).unwrap();
        fs::write(file(version, "server"), from_server).unwrap();
    }
}

fn converse(server: &Server) -> (Vec<u8>, Vec<u8>) {
    let relay = Relay::to(server.bolt_address());
    let mut connection = Connection::open(&options(relay.address)).unwrap();
    let mut transaction = connection.begin(&Scope::write("neo4j")).unwrap();
    let create =
        "CREATE p = (a:Person {name: 'Ä', born: $born})-[r:KNOWS {since: 2.5}]->(b:Person) RETURN a, r, p";
    let create = Statement::new(create).with("born", Date { days: -7 });
    transaction.run(create).unwrap().finish().unwrap();
    transaction.commit().unwrap();
    for statement in [
        "UNWIND range(1, 300) AS i RETURN i, toString(i), [i, -i], {a: i, b: {c: 1.0 / i}} ",
        "RETURN date(), time(), localtime(), datetime(), localdatetime(), duration('P1Y2M3DT4S'), point({x: 1, y: 2, z: 3})",
        "SHOW DATABASES",
        "SHOW INDEXES",
        "EXPLAIN MATCH (a)-->(b) RETURN a",
        "PROFILE MATCH (a)-->(b) RETURN a",
        "MATCH (a:Absent) RETURN a.nothing",
        "RETURN 1 / 0",
        "nonsense",
        "CREATE (:NotAllowed)",
        "CYPHER 25 RETURN vector([1, 2], 2, FLOAT32), uuid()",
    ] {
        // Some fail, on some versions: that is to be recorded, too.
        let _ = connection
            .run(&Scope::read("neo4j"), Statement::new(statement).fetch(100))
            .and_then(Rows::answer);
    }
    connection.reset().unwrap();
    relay.streams()
}

fn same_bytes(from_client: &[u8], from_server: &[u8]) {
    let (mut requests, mut rows, mut failures, mut graph) = (0, 0, 0, 0);
    for message in messages(from_client) {
        let mut again = Vec::new();
        Request::decode(&message).unwrap().encode(&mut again).unwrap();
        assert_eq!(again, message);
        requests += 1;
    }
    for message in messages(from_server) {
        let response = Response::decode(&message).unwrap();
        let mut again = Vec::new();
        response.encode(&mut again).unwrap();
        assert_eq!(again, message);
        assert_eq!(Head::of(&message).unwrap().bytes(), message);
        match response {
            Response::Record(values) => {
                rows += 1;
                graph += values
                    .iter()
                    .filter(|value| {
                        Node::of(value).is_some()
                            || Relationship::of(value).is_some()
                            || Path::of(value).is_some()
                    })
                    .count();
                let raw = Head::of(&message).unwrap().field(0).unwrap();
                assert!(raw.items().zip(&values).all(|(raw, value)| raw.bytes() == encoded(value)));
            }
            Response::Failure(failure) => {
                failures += 1;
                assert!(failure.code().starts_with("Neo.") && !failure.message().is_empty());
            }
            Response::Success(_) | Response::Ignored => {}
        }
    }
    assert!(
        requests > 20 && rows > 300 && failures >= 3 && graph >= 3,
        "{requests} {rows} {failures} {graph}"
    );
}

fn messages(stream: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    frames(stream).into_iter().map(|frame| match frame {
        Frame::Message(message) => message,
        Frame::Noop => panic!("nothing here takes long enough for a NOOP"),
    })
}
