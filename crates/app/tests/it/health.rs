//! `health` and `schema` against a real server: what is healthy, each planted fault, a hung server, churn.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use grap_testkit::health::Asking;
use grap_testkit::health::churn::churn;
use grap_testkit::health::faults::{failed_index, locked_account, no_such_database};
use grap_testkit::health::peers::half_open;
use grap_testkit::server::ServerBuilder;
use grap_testkit::{Distribution, Grap, Server};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::Ran;

struct Asked {
    grap: Grap,
    server: Server,
    folder: tempfile::TempDir,
}

impl Asked {
    fn start(distribution: &Distribution) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = with_a_certificate(Server::builder(distribution), folder.path())
            .password("right-password")
            .start(&folder.path().join("home"))
            .unwrap();
        let grap = Grap::new(Path::new(env!("CARGO_BIN_EXE_grap")), folder.path()).unwrap();
        Self { grap, server, folder }
    }

    fn command(&self, auth: &str, arguments: &[&str]) -> Command {
        let mut command = self.grap.command();
        command.env("NEO4J_URI", self.server.bolt_uri()).env("NEO4J_AUTH", auth);
        command.arg("--json").args(arguments);
        command
    }

    fn ask(&self, arguments: &[&str]) -> Ran {
        Ran::command(&mut self.command("neo4j/right-password", arguments))
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn asking(&self) -> Asking {
        Asking::of(&self.grap, &self.server)
    }

    fn query(&self, statement: &str) {
        self.server.query(statement).unwrap();
    }
}

/// Of a private authority, for the name `localhost`.
fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bolt/tests/it/certificates").join(name)
}

/// It speaks TLS to whoever begins with it.
fn with_a_certificate(builder: ServerBuilder, folder: &Path) -> ServerBuilder {
    let own = folder.join("certificates");
    fs::create_dir(&own).unwrap();
    fs::copy(certificate("server.crt"), own.join("public.crt")).unwrap();
    fs::copy(certificate("server.key"), own.join("private.key")).unwrap();
    builder
        .setting("dbms.ssl.policy.bolt.enabled", "true")
        .setting("dbms.ssl.policy.bolt.base_directory", own.display().to_string())
        .setting("dbms.ssl.policy.bolt.client_auth", "NONE")
        .setting("server.bolt.tls_level", "OPTIONAL")
}

fn states(report: &Value) -> [&str; 3] {
    ["connectivity", "schema_consistency", "orphan_detection"]
        .map(|check| report["checks"][check]["status"].as_str().unwrap())
}

#[test]
fn health_and_schema_on_a_real_server() {
    for version in Distribution::matrix() {
        let mut asked = Asked::start(&Distribution::ensure(&version).unwrap());
        asked.query("UNWIND range(1, 50) AS i CREATE (:A {x: i})-[:T]->(:B {y: i})");
        a_healthy_server_is_healthy(&asked);
        few_that_are_left_of_many_are_met(&asked);
        a_wrong_password_is_refused_and_named(&asked);
        a_schema_is_applied_once(&asked);
        what_is_missing_or_never_online_is_named(&asked);
        checks_of_the_users_own(&asked);
        a_private_authority_is_trusted_where_it_is_named(&asked);
        a_hung_server_is_told_within_the_limit(&asked);
        failed_index(&asked.asking(), &asked.server).unwrap();
        no_such_database(&asked.asking()).unwrap();
        locked_account(&asked.asking()).unwrap();
        // They only wait, so that the one costs the other nothing.
        thread::scope(|scope| {
            let peers =
                scope.spawn(|| half_open(&asked.asking(), &asked.server, Duration::from_secs(10)).unwrap());
            println!("{}", churn(&asked.asking(), &asked.server, 12, &|text| println!("{text}")).unwrap());
            println!("{}", peers.join().unwrap());
        });
        a_relationship_without_its_node_is_named(&mut asked);
        a_large_database_is_sampled(&asked);
        nobody_there_is_told_at_once(&mut asked);
    }
}

fn a_healthy_server_is_healthy(asked: &Asked) {
    let report = asked.ask(&["health", "--detailed"]).succeeded().json();
    assert_eq!(report["status"], "healthy");
    assert_eq!(states(&report), ["pass", "pass", "pass"]);
    assert_eq!(report["counts"]["nodes"], 100, "{report}");
    assert_eq!(report["counts"]["labels"]["A"], 50);
    assert_eq!(report["counts"]["types"]["T"], 50);
    let looked = report["checks"]["orphan_detection"]["message"].as_str().unwrap();
    assert!(looked.starts_with("the ends of 50 relationships were looked at (every id"), "{looked}");
    assert!(asked.ask(&["health"]).json()["counts"].is_null());
}

fn a_wrong_password_is_refused_and_named(asked: &Asked) {
    let ran = Ran::command(&mut asked.command("neo4j/wrong-password", &["health"]));
    assert_eq!(states(&ran.json()), ["fail", "skipped", "skipped"]);
    let said = ran.refused("NEO4J_REFUSED", 23).said();
    assert!(said.contains("Unauthorized") && !said.contains("wrong-password"), "{said}");
}

const SCHEMA: &str = "// of the graph memory
CREATE CONSTRAINT a_x FOR (n:A) REQUIRE n.x IS UNIQUE;
CREATE INDEX b_y FOR (n:B) ON (n.y);
CREATE FULLTEXT INDEX names IF NOT EXISTS FOR (n:A|B) ON EACH [n.name, n.title];
";

fn a_schema_is_applied_once(asked: &Asked) {
    let file = asked.file("schema.cypher", SCHEMA);
    let before = asked.ask(&["schema", "diff", "--file", &file]).refused("SCHEMA_DRIFT", 26).json();
    assert_eq!((&before["faults"], &before["drifts"][0]["kind"]), (&3.into(), &"missing".into()));
    let first = asked.ask(&["schema", "apply", "--file", &file]).succeeded();
    assert_eq!(first.json()["created"].as_array().unwrap().len(), 3);
    assert!(first.stderr.contains("Schema initialization: 3 declared, 3 created"), "{first:?}");
    let second = asked.ask(&["schema", "apply", "--file", &file]).succeeded();
    assert_eq!(second.json()["created"].as_array().unwrap().len(), 0);
    assert!(second.stderr.contains("Schema initialization: 3 declared, 0 created, 3 already"), "{second:?}");
    asked.ask(&["schema", "diff", "--file", &file]).succeeded();
    let other = asked.file("other.cypher", "CREATE INDEX b_y FOR (n:B) ON (n.z);\nDROP INDEX b_y");
    let said = asked.ask(&["schema", "apply", "--file", &other]).refused("USAGE", 2).said();
    assert!(said.contains("line 2"), "{said}");
    let other = asked.file("other.cypher", "CREATE INDEX b_y FOR (n:B) ON (n.z)");
    let drift = asked.ask(&["schema", "apply", "--file", &other]).refused("SCHEMA_DRIFT", 26).json();
    assert_eq!(drift["drifts"][0]["kind"], "different", "{drift}");
    let analyzed = |by: &str| {
        let index = "CREATE FULLTEXT INDEX names FOR (n:A|B) ON EACH [n.name, n.title]";
        let text = format!("{index} OPTIONS {{indexConfig: {{`fulltext.analyzer`: '{by}'}}}}");
        [
            "schema".to_owned(),
            "diff".to_owned(),
            "--file".to_owned(),
            asked.file(&format!("{by}.cypher"), &text),
        ]
    };
    let [own, other] = ["standard-no-stop-words", "english"].map(analyzed);
    asked.ask(&own.each_ref().map(String::as_str)).succeeded();
    let drift = asked.ask(&other.each_ref().map(String::as_str)).refused("SCHEMA_DRIFT", 26).json();
    let found = drift["drifts"].as_array().unwrap().iter().find(|drift| drift["fault"] == true).unwrap();
    assert!(found["kind"] == "other_options" && found["message"].to_string().contains("english"), "{found}");
    asked.ask(&["schema", "diff", "--file", &file]).succeeded();
}

fn what_is_missing_or_never_online_is_named(asked: &Asked) {
    let file = asked.file("schema.cypher", SCHEMA);
    let health = || asked.ask(&["health", "--schema", &file]);
    health().succeeded();
    asked.query("DROP INDEX b_y");
    let ran = health();
    assert_eq!(states(&ran.json()), ["pass", "fail", "skipped"]);
    let found = ran.json()["checks"]["schema_consistency"]["findings"].to_string();
    assert!(found.contains("missing") && found.contains("b_y") && found.contains("line 3"), "{found}");
    ran.refused("UNHEALTHY", 25);
    asked.query("CREATE INDEX b_y FOR (n:B) ON (n.z)");
    let found = health().refused("UNHEALTHY", 25).json()["checks"]["schema_consistency"].to_string();
    assert!(found.contains("different"), "{found}");
    asked.query("DROP INDEX b_y");
    asked.query("CREATE INDEX b_y FOR (n:B) ON (n.y)");
    asked.query("DROP CONSTRAINT a_x");
    let found = health().refused("UNHEALTHY", 25).json()["checks"]["schema_consistency"].to_string();
    assert!(found.contains("a_x"), "{found}");
    asked.query("CREATE CONSTRAINT a_x FOR (n:A) REQUIRE n.x IS UNIQUE");
    asked.query("CALL db.awaitIndexes(60)");
    health().succeeded();
}

fn checks_of_the_users_own(asked: &Asked) {
    let text = "// no A without an x\nMATCH (n:A) WHERE n.x IS NULL RETURN elementId(n);\n\
                // no large x\nMATCH (n:A) WHERE n.x > 48 RETURN n.x ORDER BY n.x;\n// not made\nRETURN 1";
    let checks = asked.file("checks.cypher", text);
    let report = asked.ask(&["health", "--checks", &checks]).refused("UNHEALTHY", 25).json();
    let custom = &report["custom_checks"];
    assert_eq!((&custom[0]["name"], &custom[0]["status"]), (&"no A without an x".into(), &"pass".into()));
    assert_eq!((&custom[1]["status"], &custom[1]["findings"][1]), (&"fail".into(), &"50".into()));
    assert_eq!(custom[2]["status"], "skipped");
    let writes = asked.file("checks.cypher", "CREATE (:Written)");
    let said = asked.ask(&["health", "--checks", &writes]).refused("UNHEALTHY", 25).said();
    assert!(said.contains("AccessMode"), "{said}");
    assert_eq!(asked.server.query("MATCH (n:Written) RETURN count(n)").unwrap()[0].int(0), Some(0));
}

fn a_private_authority_is_trusted_where_it_is_named(asked: &Asked) {
    let with = |scheme: &str, authority: Option<&str>| {
        let mut command = asked.command("neo4j/right-password", &["health"]);
        command.env("NEO4J_URI", format!("{scheme}://localhost:{}", asked.server.bolt_address().port()));
        command.envs(authority.map(|name| ("GRAP_NEO4J_CA_FILE", certificate(name))));
        Ran::command(&mut command)
    };
    assert_eq!(with("bolt+s", Some("authority.crt")).succeeded().json()["status"], "healthy");
    for authority in [None, Some("another.crt")] {
        let said = with("bolt+s", authority).refused("NEO4J_NOT_BOLT", 23).said();
        assert!(said.contains("UnknownIssuer"), "{said}");
    }
    // Who has named an authority is not to speak without one.
    for scheme in ["bolt", "bolt+ssc"] {
        let said = with(scheme, Some("authority.crt")).refused("USAGE", 2).said();
        assert!(said.contains("neo4j.ca_file") && said.contains("bolt+s://localhost"), "{said}");
    }
    with("bolt+s", Some("server.key")).refused("USAGE", 2);
    with("bolt+s", Some("not-there.crt")).refused("FILE_FAILED", 1);
}

fn a_hung_server_is_told_within_the_limit(asked: &Asked) {
    let pid = Pid::from_raw(i32::try_from(asked.server.pid().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let begun = Instant::now();
    let ran = asked.ask(&["health"]);
    let took = begun.elapsed();
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(states(&ran.json()), ["fail", "skipped", "skipped"]);
    ran.refused("NEO4J_UNREACHABLE", 23);
    assert!(took < Duration::from_secs(10), "{took:?}");
    println!("hung server: told after {took:?}");
    asked.ask(&["health"]).succeeded();
}

const NODE_RECORD: u64 = 15;
const PAGE: u64 = 8192;

/// The record of a node is marked as not in use, behind the stopped server's back.
fn a_relationship_without_its_node_is_named(asked: &mut Asked) {
    asked.query("CREATE (:Planted)-[:LOST]->(:Planted)");
    let row = asked.server.query("MATCH (a)-[r:LOST]->(b) RETURN id(r), id(b)").unwrap().remove(0);
    let (relationship, node) = (row.int(0).unwrap(), u64::try_from(row.int(1).unwrap()).unwrap());
    asked.server.stop().unwrap();
    let store: PathBuf = asked.server.data().join("databases/neo4j/neostore.nodestore.db");
    let store = fs::File::options().read(true).write(true).open(store).unwrap();
    let per_page = PAGE / NODE_RECORD;
    let at = node / per_page * PAGE + node % per_page * NODE_RECORD;
    let mut header = [0];
    store.read_exact_at(&mut header, at).unwrap();
    assert_eq!(header[0] & 1, 1, "this is no node in use");
    store.write_all_at(&[header[0] & !1], at).unwrap();
    asked.server.restart().unwrap();
    let ran = asked.ask(&["health"]);
    let check = &ran.json()["checks"]["orphan_detection"];
    let found = format!("relationship {relationship} of type LOST");
    assert!(check["findings"][0].as_str().is_some_and(|one| one.starts_with(&found)), "{ran:?}");
    assert_eq!(states(&ran.json()), ["pass", "pass", "fail"]);
    ran.refused("UNHEALTHY", 25);
}

/// Their ids are higher than their number lets expect.
fn few_that_are_left_of_many_are_met(asked: &Asked) {
    asked.query("UNWIND range(1, 6000) AS i CREATE (:Gone)-[:GONE]->(:Gone)");
    asked.query("MATCH (a)-[r:GONE]->(b) WITH a, r, b ORDER BY id(r) LIMIT 5990 DELETE r, a, b");
    let report = asked.ask(&["health"]).succeeded().json();
    let looked = report["checks"]["orphan_detection"]["message"].as_str().unwrap();
    assert!(looked.starts_with("the ends of 60 relationships were looked at"), "{looked}");
}

/// Whether the planted relationship is met is chance.
fn a_large_database_is_sampled(asked: &Asked) {
    asked.query("UNWIND range(1, 30000) AS i CREATE (:Many)-[:MANY]->(:Many)");
    let report = asked.ask(&["health"]).json();
    let message = report["checks"]["orphan_detection"]["message"].as_str().unwrap();
    println!("{message}: {} ms", report["checks"]["orphan_detection"]["duration_ms"]);
    let seen = message.split(' ').find_map(|word| word.parse::<i64>().ok()).unwrap();
    assert!(message.contains("a random sample") && (5_000..=20_000).contains(&seen), "{message}");
}

fn nobody_there_is_told_at_once(asked: &mut Asked) {
    asked.server.stop().unwrap();
    asked.ask(&["health"]).refused("NEO4J_UNREACHABLE", 23);
}
