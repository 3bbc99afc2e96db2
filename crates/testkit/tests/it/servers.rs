//! Starting, stopping, killing real servers.

use grap_testkit::{Distribution, Server};
use std::time::Instant;

#[test]
fn a_server_starts_answers_stops_and_starts_again() {
    let distribution = Distribution::standard().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let t = Instant::now();
    let mut server = Server::builder(&distribution).start(&folder.path().join("home")).unwrap();
    eprintln!("start {:?} cpu {}", t.elapsed(), server.cpu_seconds());
    server.query("CREATE (:A {x: 1})").unwrap();
    let t = Instant::now();
    server.stop().unwrap();
    eprintln!("stop {:?}", t.elapsed());
    server.restart().unwrap();
    server.kill().unwrap();
    server.restart().unwrap();
    assert_eq!(server.query("MATCH (a:A) RETURN count(a)").unwrap()[0].int(0), Some(1));
}
