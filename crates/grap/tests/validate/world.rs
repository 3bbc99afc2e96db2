//! A small database as three directories: cleanly stopped; stopped by force, one transaction before that; and what a
//! candidate is made of.

use std::path::{Path, PathBuf};
use std::time::Duration;

use grap::ask::Asker;
use grap::ops::{CustomCheck, Session};
use grap::recovery::Answer;
use grap::server::{
    InstallationPlace, InstanceFolder, InstanceHome, InstanceOptions, JavaPlace, Mode, ServerInstallation,
    TestInstance,
};
use grap::validate::{Expectation, check_store, judge, refused};
use grap_bolt::client::{Address, Auth, Options, Security};
use grap_core::recovery::{Tier, TierVerdict};
use grap_core::schema::SchemaFile;
use grap_neo4j::TxId;
use grap_repository::LockHolder;
use grap_task::{Clock, Silent, Stop};
use grap_testkit::{Distribution, Server, quick_java, tree};

const LIMIT: Duration = Duration::from_mins(3);
const SCHEMA: [&str; 3] = [
    "CREATE CONSTRAINT person_id FOR (n:Person) REQUIRE n.id IS UNIQUE",
    "CREATE INDEX person_age FOR (n:Person) ON (n.age)",
    "CREATE INDEX person_city FOR (n:Person) ON (n.city)",
];
const DATA: [&str; 3] = [
    "UNWIND range(0, 49) AS i CREATE (:Person {id: i, age: i % 7, city: 'c' + i, \
     a: 'text that is long enough to fill a record', b: 'another one that is as long', c: 1.5, d: i})",
    "MATCH (a:Person), (b:Person) WHERE b.id = a.id + 1 CREATE (a)-[:KNOWS]->(b)",
    "CREATE ()",
];

pub(crate) struct World {
    folder: tempfile::TempDir,
    options: InstanceOptions,
    holder: LockHolder,
    pub(crate) ids: Ids,
    end: TxId,
}

/// Ids of records.
pub(crate) struct Ids {
    /// Of the person 30.
    pub(crate) person: u64,
    /// Without label and relationships.
    pub(crate) lonely: u64,
    pub(crate) age_index: u64,
    pub(crate) city_index: u64,
    pub(crate) constraint: u64,
}

/// A candidate that is ready for a start.
pub(crate) struct Candidate {
    // In this order: nothing runs when the folder goes.
    home: InstanceHome,
    folder: InstanceFolder,
}

/// Which tier failed, and what it said.
pub(crate) type Failed = (Tier, Answer);

impl World {
    pub(crate) fn make(version: &str) -> Self {
        let distribution = Distribution::ensure(version).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::builder(&distribution).start(&folder.path().join("home")).unwrap();
        for statement in SCHEMA.iter().chain(&["CALL db.awaitIndexes(60)"]).chain(&DATA) {
            server.query(statement).unwrap();
        }
        let ids = Ids::ask(&server);
        let short = last_transaction(&server);
        server.kill().unwrap();
        keep(&server, &folder.path().join("short"));
        server.restart().unwrap();
        server.query("CREATE (:Person {id: 1000, age: 3, city: 'the last one'})").unwrap();
        let end = last_transaction(&server);
        assert_eq!(end, short + 1);
        server.stop().unwrap();
        keep(&server, &folder.path().join("whole"));
        let java = JavaPlace { home: Some(quick_java::home(&distribution).unwrap()), ..JavaPlace::default() };
        let place = InstallationPlace {
            home: distribution.folder().to_owned(),
            configuration: None,
            live: None,
            java,
        };
        let options = InstanceOptions {
            installation: ServerInstallation::find(&place).unwrap(),
            heap: "384m".to_owned(),
            page_cache: "32m".to_owned(),
        };
        let holder = LockHolder { hostname: "host".into(), username: "user".into(), uid: 0, gid: 0 };
        Self { folder, options, holder, ids, end: TxId(end) }
    }

    pub(crate) fn expectation(&self) -> Expectation {
        Expectation {
            database: "neo4j".to_owned(),
            end: self.end,
            server_min: self.options.installation.release.to_string(),
            declared: Some(SchemaFile::parse(&SCHEMA.join(";\n")).unwrap()),
            system: Some(self.folder.path().join("whole")),
            checks: vec![CustomCheck {
                name: "nobody is older than 6".to_owned(),
                statement: "MATCH (n:Person) WHERE n.age > 6 RETURN n.id".to_owned(),
            }],
        }
    }

    pub(crate) fn whole(&self) -> Candidate {
        self.candidate("whole")
    }

    pub(crate) fn short(&self) -> Candidate {
        self.candidate("short")
    }

    fn candidate(&self, of: &str) -> Candidate {
        let scratch = self.folder.path().join("scratch");
        let folder = InstanceFolder::make(&scratch, &Clock::System, &Silent).unwrap();
        let from = self.folder.path().join(of);
        for part in ["databases/neo4j", "transactions/neo4j"] {
            tree::copy(&from.join(part), &folder.data().join(part)).unwrap();
        }
        let home = InstanceHome::make(&folder, "neo4j", self.options.clone()).unwrap();
        Candidate { home, folder }
    }

    /// Every tier, one after the other, as the machine asks them; the first that fails is the last.
    pub(crate) fn judged(
        &self,
        candidate: Candidate,
        expectation: &Expectation,
    ) -> (Result<Answer, Failed>, Option<Candidate>) {
        let Candidate { home, folder } = candidate;
        let started = TestInstance::start(home, Mode::Writable, LIMIT, &Clock::System, &Stop::new());
        let ready = started.and_then(|mut instance| {
            instance.await_indexes(LIMIT, &Stop::new())?;
            Ok(instance)
        });
        let mut instance = match ready {
            Ok(instance) => instance,
            Err(error) => return (Err((Tier::Connectivity, refused(&error).unwrap())), None),
        };
        for tier in Tier::RUNNING {
            let answer = self.with_session(|session| judge(tier, &mut instance, expectation, LIMIT, session));
            if !matches!(answer.verdict, TierVerdict::Passed { .. }) {
                return (Err((tier, answer)), None);
            }
        }
        let candidate = Candidate { home: instance.stop(LIMIT).unwrap(), folder };
        let answer = self.stopped(&candidate, expectation);
        (answer.map_err(|answer| (Tier::Store, answer)), Some(candidate))
    }

    pub(crate) fn stopped(&self, candidate: &Candidate, expectation: &Expectation) -> Result<Answer, Answer> {
        self.stopped_within(LIMIT, candidate, expectation)
    }

    pub(crate) fn stopped_within(
        &self,
        limit: Duration,
        candidate: &Candidate,
        expectation: &Expectation,
    ) -> Result<Answer, Answer> {
        let answer = self.with_session(|session| check_store(&candidate.home, expectation, limit, session));
        if matches!(answer.verdict, TierVerdict::Passed { .. }) { Ok(answer) } else { Err(answer) }
    }

    fn with_session(&self, ask: impl FnOnce(&Session<'_>) -> grap::Result<Answer>) -> Answer {
        let (clock, stop) = (Clock::System, Stop::new());
        let session = Session {
            clock: &clock,
            stop: &stop,
            monitor: &Silent,
            holder: &self.holder,
            program: "grap test",
        };
        ask(&session).unwrap()
    }
}

impl Candidate {
    pub(crate) fn store(&self) -> PathBuf {
        self.home.store()
    }
}

impl Ids {
    fn ask(server: &Server) -> Self {
        let id = |statement: &str| server.query(statement).unwrap()[0].int(0).unwrap().cast_unsigned();
        Self {
            person: id("MATCH (n:Person {id: 30}) RETURN id(n)"),
            lonely: id("MATCH (n) WHERE size(labels(n)) = 0 RETURN id(n)"),
            age_index: id("SHOW INDEXES YIELD id, name WHERE name = 'person_age' RETURN id"),
            city_index: id("SHOW INDEXES YIELD id, name WHERE name = 'person_city' RETURN id"),
            constraint: id("SHOW CONSTRAINTS YIELD id, name WHERE name = 'person_id' RETURN id"),
        }
    }
}

fn last_transaction(server: &Server) -> u64 {
    let at = server.bolt_address();
    let address = Address { host: at.ip().to_string(), port: at.port(), security: Security::Plain };
    let auth = server.password().map_or(Auth::None, |password| Auth::basic("neo4j", password));
    let mut asker = Asker::open(&Options::new(address, auth), Some("neo4j")).unwrap();
    asker.newest_transaction().unwrap()
}

fn keep(server: &Server, to: &Path) {
    for part in ["databases", "transactions"] {
        tree::copy(&server.data().join(part), &to.join(part)).unwrap();
    }
}
