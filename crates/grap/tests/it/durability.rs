//! The example of the facade, as it stands, on a real server.

#[expect(dead_code, reason = "its `main` is for the command line")]
#[path = "../../examples/durability.rs"]
mod example;

use grap_testkit::{Distribution, Server};

#[test]
fn the_example_of_the_facade_runs() {
    let distribution = Distribution::standard().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let server = Server::builder(&distribution).password("right-password").start(&home).unwrap();
    // As in a real home.
    std::os::unix::fs::symlink(distribution.folder().join("lib"), home.join("lib")).unwrap();
    server.query("UNWIND range(1, 50) AS i CREATE (:A {x: i})-[:T]->(:B {y: i})").unwrap();
    let places = example::Places {
        home,
        uri: server.bolt_uri(),
        auth: "neo4j/right-password".to_owned(),
        scratch: folder.path().join("scratch"),
    };
    example::run(&places).unwrap();
    assert_eq!(server.query("MATCH (n) RETURN count(n)").unwrap()[0].int(0), Some(100));
}
