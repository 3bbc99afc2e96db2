//! Real servers that hang, die, answer late, or refuse us.

use std::thread;
use std::time::Duration;

use grap_bolt::client::{Auth, Connection, Options, Scope, Statement};
use grap_bolt::{Error, Value};
use grap_testkit::{Distribution, Server};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::relay::Relay;
use crate::support::{connect, limits, options, timed};

const LIMIT: Duration = Duration::from_secs(1);
const SLACK: Duration = Duration::from_secs(8);

fn signal(server: &Server, signal: Signal) {
    let pid = Pid::from_raw(server.pid().unwrap().cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn count(server: &Server, label: &str) -> i64 {
    let statement = format!("MATCH (n:{label}) RETURN count(n)");
    let mut connection = connect(server);
    let answer = connection.run(&Scope::read("neo4j"), statement).unwrap().answer().unwrap();
    answer.single().unwrap().as_int().unwrap()
}

pub(crate) fn lost_answers_are_told_as_what_they_are(server: &Server) {
    a_lost_answer_to_commit_is_in_doubt(server);
    a_lost_answer_to_a_statement_of_its_own_is_in_doubt(server);
    a_lost_answer_within_a_transaction_is_none(server);
}

/// It has committed, and the client does not say that it has not.
fn a_lost_answer_to_commit_is_in_doubt(server: &Server) {
    let relay = Relay::to(server.bolt_address());
    let mut connection = Connection::open(&options(relay.address)).unwrap();
    let mut transaction = connection.begin(&Scope::write("neo4j")).unwrap();
    transaction.run("CREATE (:Doubtful)").unwrap().finish().unwrap();
    relay.swallow_answers();
    transaction.set_budget(Some(LIMIT));
    let (error, took) = timed(|| transaction.commit());
    assert!(
        matches!(&error, Error::CommitInDoubt { source, .. } if matches!(**source, Error::Timeout { .. })),
        "{error}"
    );
    assert!(took >= LIMIT && took < LIMIT + SLACK, "{took:?}");
    assert!(matches!(connection.reset(), Err(Error::Poisoned { .. })));
    assert_eq!(count(server, "Doubtful"), 1);
}

fn a_lost_answer_to_a_statement_of_its_own_is_in_doubt(server: &Server) {
    let relay = Relay::to(server.bolt_address());
    let mut connection = Connection::open(&options(relay.address)).unwrap();
    connection.set_budget(Some(LIMIT));
    relay.swallow_answers();
    let error = connection.run(&Scope::write("neo4j"), "CREATE (:Alone)").map(drop).unwrap_err();
    assert!(matches!(error, Error::CommitInDoubt { .. }), "{error}");
    assert_eq!(count(server, "Alone"), 1);
}

fn a_lost_answer_within_a_transaction_is_none(server: &Server) {
    let relay = Relay::to(server.bolt_address());
    let mut connection = Connection::open(&options(relay.address)).unwrap();
    let mut transaction = connection.begin(&Scope::write("neo4j")).unwrap();
    relay.swallow_answers();
    transaction.set_budget(Some(LIMIT));
    let error = transaction.run("CREATE (:Inside)").map(drop).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(matches!(transaction.commit(), Err(Error::Poisoned { .. })));
    drop(connection);
    assert_eq!(count(server, "Inside"), 0);
}

#[test]
fn a_server_that_hangs_or_dies_is_noticed_in_time() {
    for version in Distribution::matrix() {
        let distribution = Distribution::ensure(&version).unwrap();
        let home = TempDir::new().unwrap();
        let mut server = Server::builder(&distribution).start(home.path()).unwrap();
        a_stopped_server_answers_nobody(&server);
        a_server_killed_amid_a_commit_leaves_it_in_doubt(&mut server);
    }
}

fn a_stopped_server_answers_nobody(server: &Server) {
    let mut connection = connect(server);
    signal(server, Signal::STOP);
    connection.set_budget(Some(LIMIT));
    let (error, took) = timed(|| connection.run(&Scope::default(), "RETURN 1").map(drop));
    assert!(matches!(error, Error::Timeout { limit: LIMIT, .. }), "{error}");
    assert!(took >= LIMIT && took < LIMIT + SLACK, "{took:?}");
    // The kernel still takes connections for it.
    let impatient = Options { limits: limits(LIMIT), ..options(server.bolt_address()) };
    let (error, took) = timed(|| Connection::open(&impatient));
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(took < LIMIT + SLACK, "{took:?}");
    signal(server, Signal::CONT);
    assert_eq!(count(server, "Nothing"), 0);
}

/// Stopped first, so that it is sure to die before it answers.
fn a_server_killed_amid_a_commit_leaves_it_in_doubt(server: &mut Server) {
    let mut connection = connect(server);
    let mut transaction = connection.begin(&Scope::write("neo4j")).unwrap();
    transaction.run("CREATE (:Unknown)").unwrap().finish().unwrap();
    signal(server, Signal::STOP);
    thread::scope(|scope| {
        let commit = scope.spawn(|| transaction.commit().unwrap_err());
        // Whether the COMMIT is on its way before or after the kill, its answer can never come.
        thread::sleep(Duration::from_millis(300));
        server.kill().unwrap();
        let error = commit.join().unwrap();
        assert!(
            matches!(&error, Error::CommitInDoubt { source, .. } if matches!(**source, Error::Closed { .. })),
            "{error:?}"
        );
    });
    assert!(connection.is_poisoned());
    let gone = Connection::open(&options(server.bolt_address())).unwrap_err();
    assert!(matches!(gone, Error::Connect { .. }), "{gone}");
}

#[test]
fn who_may_come_in_and_who_is_kept_waiting() {
    for version in Distribution::matrix() {
        let distribution = Distribution::ensure(&version).unwrap();
        let home = TempDir::new().unwrap();
        let server = Server::builder(&distribution)
            .password("correct-horse")
            .setting("server.bolt.connection_keep_alive", "1s")
            .start(home.path())
            .unwrap();
        passwords(&server);
        noops_keep_a_long_answer_alive(&server);
    }
}

fn passwords(server: &Server) {
    let with = |auth| Connection::open(&Options { auth, ..options(server.bolt_address()) });
    let mut connection = with(Auth::parse("neo4j/correct-horse").unwrap()).unwrap();
    let answer = connection.run(&Scope::default(), "SHOW CURRENT USER YIELD user").unwrap().answer().unwrap();
    assert_eq!(answer.single(), Some(&Value::from("neo4j")));
    for auth in [Auth::basic("neo4j", "wrong-horse"), Auth::None] {
        let error = with(auth).unwrap_err();
        assert_eq!(error.failure().unwrap().code(), "Neo.ClientError.Security.Unauthorized");
        assert!(!error.to_string().contains("horse"), "{error}");
    }
}

/// One waits for the lock of another; the server says meanwhile that it is there.
fn noops_keep_a_long_answer_alive(server: &Server) {
    let auth = Auth::basic("neo4j", "correct-horse");
    let scope = Scope::write("neo4j");
    let mut holder =
        Connection::open(&Options { auth: auth.clone(), ..options(server.bolt_address()) }).unwrap();
    holder.run(&scope, "CREATE (:Locked {n: 0})").unwrap().finish().unwrap();
    let mut holding = holder.begin(&scope).unwrap();
    holding.run("MATCH (n:Locked) SET n.n = 1").unwrap().finish().unwrap();

    let relay = Relay::to(server.bolt_address());
    let mut waiter = Connection::open(&Options { auth, ..options(relay.address) }).unwrap();
    let answer = thread::scope(|threads| {
        let waiting = threads.spawn(|| {
            let statement = Statement::new("MATCH (n:Locked) SET n.n = n.n + 1 RETURN n.n");
            waiter.run(&scope, statement.limit(Duration::from_mins(1))).unwrap().answer().unwrap()
        });
        relay.await_noops(2);
        holding.commit().unwrap();
        waiting.join().unwrap()
    });
    assert_eq!(answer.single(), Some(&Value::Int(2)));
}
