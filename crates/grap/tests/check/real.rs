//! Stores as real servers leave them.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use grap::check::{CheckError, require_clean};
use grap_testkit::data::{DataOptions, big_store};
use grap_testkit::digest::{CypherGraph, of_server};
use grap_testkit::fixture::freeze_store;
use grap_testkit::{Distribution, Server, Workload, WorkloadOptions, tree};

use crate::{check, rich};

/// As `neo4j-admin database import full` makes it.
const IMPORTED: DataOptions = DataOptions { nodes: 2000, relationships: 3000, text: 20 };

/// A store and its log.
fn places(server: &Server) -> (PathBuf, PathBuf) {
    (server.data().join("databases/neo4j"), server.data().join("transactions/neo4j"))
}

#[test]
fn imported_and_mutated_stores_are_clean_and_their_digest_is_that_of_cypher() {
    for version in Distribution::matrix() {
        let distribution = Distribution::ensure(&version).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let imported = big_store(&distribution, IMPORTED).unwrap();
        fs::create_dir(&home).unwrap();
        tree::copy(&imported, &home.join("data")).unwrap();
        let mut server = Server::builder(&distribution).start(&home).unwrap();
        // No server has opened that one.
        let asked = of_server(&server.bolt()).unwrap();
        assert_eq!((asked.nodes, asked.relationships), (IMPORTED.nodes, IMPORTED.relationships));
        is_clean_and_equal(&imported.join("databases/neo4j"), &asked, &version);

        write(&server);
        let asked = of_server(&server.bolt()).unwrap();
        let (store, log) = places(&server);
        let refused = require_clean(&store, &log, "neo4j");
        assert!(matches!(refused, Err(CheckError::Running { .. })), "{version}: {refused:?}");

        server.kill().unwrap();
        let refused = require_clean(&store, &log, "neo4j");
        assert!(matches!(refused, Err(CheckError::NotClean { .. })), "{version}: {refused:?}");

        server.restart().unwrap();
        server.stop().unwrap();
        require_clean(&store, &log, "neo4j").unwrap();
        is_clean_and_equal(&store, &asked, &version);
        is_clean(&server.data().join("databases/system"), &version);

        server.restart().unwrap();
        server.query("MATCH (n:Number) WHERE n.i = 7 SET n.i = 8").unwrap();
        let changed = of_server(&server.bolt()).unwrap();
        server.stop().unwrap();
        assert_ne!(changed.digest, asked.digest);
        is_clean_and_equal(&store, &changed, &version);
    }
}

/// Makes `testdata/neo4j-rich-<version>` anew; prints what Cypher says of it:
/// `GRAP_TEST_VERSIONS=5.26.30,2026.08.1 cargo test -p grap --test check freeze -- --ignored --nocapture`
#[test]
#[ignore = "writes testdata"]
#[expect(clippy::print_stdout, reason = "its answer is copied into `planted.rs`")]
fn freeze() {
    for version in Distribution::matrix() {
        let distribution = Distribution::ensure(&version).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let server =
            Server::builder(&distribution).setting("db.tx_log.rotation.retention_policy", "keep_none");
        let mut server = server.start(&folder.path().join("home")).unwrap();
        write_rich(&server);
        let asked = of_server(&server.bolt()).unwrap();
        server.stop().unwrap();
        freeze_store(&server.data(), &format!("neo4j-rich-{version}")).unwrap();
        println!(
            "{version}: {:032x}, {} nodes, {} relationships",
            asked.digest, asked.nodes, asked.relationships
        );
    }
}

fn write_rich(server: &Server) {
    for statement in rich::STATEMENTS {
        server.query(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// Values of every kind; then four writers at once.
fn write(server: &Server) {
    write_rich(server);
    let options = WorkloadOptions { schema_churn: true, ..WorkloadOptions::default() };
    let workload = Workload::start(server, options).unwrap();
    let begun = Instant::now();
    while workload.stats().transactions < 120 {
        assert!(begun.elapsed() < Duration::from_mins(5), "the workload stands still");
        thread::sleep(Duration::from_millis(50));
    }
    workload.stop().unwrap();
}

fn is_clean_and_equal(store: &Path, asked: &CypherGraph, version: &str) {
    let report = check(store).unwrap();
    let found: Vec<String> = report.findings.kept().iter().map(ToString::to_string).collect();
    assert_eq!(found, Vec::<String>::new(), "{version}");
    let seen = CypherGraph {
        digest: report.digest,
        nodes: report.nodes,
        relationships: report.relationships,
        labels: report.labels,
        types: report.types,
    };
    assert_eq!(&seen, asked, "{version}");
}

fn is_clean(store: &Path, version: &str) {
    let report = check(store).unwrap();
    assert_eq!(report.findings.kept(), [], "{version}: {}", store.display());
}
