//! Statements, rows, transactions, failures: what a connection does, and in which state it is left.

use std::time::Duration;

use grap_bolt::client::{Access, Connection, Rows, Scope, Statement};
use grap_bolt::{Bookmark, Error, Value};
use grap_testkit::Server;

use crate::support::connect;

pub(crate) fn a_connection_goes_through_everything(server: &Server) {
    assert!(connect(server).agent().ends_with(server.distribution().version()));
    rows_come_in_portions(server);
    a_failure_is_the_servers_own_word(server);
    reading_does_not_write(server);
    transactions_commit_or_do_not(server);
    what_is_dropped_is_rolled_back(server);
    bookmarks_name_transactions(server);
    the_scope_is_told_to_the_server(server);
    the_server_ends_what_takes_too_long(server);
}

fn read() -> Scope {
    Scope::read("neo4j")
}

fn write() -> Scope {
    Scope::write("neo4j")
}

fn count(connection: &mut Connection, label: &str) -> i64 {
    let answer = connection.run(&read(), format!("MATCH (n:{label}) RETURN count(n)"));
    answer.unwrap().answer().unwrap().single().unwrap().as_int().unwrap()
}

fn rows_come_in_portions(server: &Server) {
    let mut connection = connect(server);
    for fetch in [1, 7, 1000, -1] {
        let statement = Statement::new("UNWIND range(1, $n) AS i RETURN i, i * 2 AS j").with("n", 100);
        let answer = connection.run(&read(), statement.fetch(fetch)).unwrap().answer().unwrap();
        assert_eq!((answer.fields.len(), answer.rows.len()), (2, 100));
        assert_eq!(answer.rows[99], [100.into(), 200.into()]);
        assert_eq!(answer.summary.kind(), "r");
    }
    let none = connection.run(&read(), "MATCH (n:Nothing) RETURN n").unwrap().answer().unwrap();
    assert_eq!(none.single(), None);
}

fn a_failure_is_the_servers_own_word(server: &Server) {
    let mut connection = connect(server);
    let error = connection.run(&read(), "RETURN nonsense").map(drop).unwrap_err();
    let failure = error.failure().unwrap();
    assert_eq!(failure.code(), "Neo.ClientError.Statement.SyntaxError");
    assert!(failure.message().contains("nonsense") && !failure.is_transient());
    let has_status = connection.version() >= grap_bolt::Version::V5_7;
    assert_eq!(failure.gql_status().is_some(), has_status, "{failure:?}");

    // Amid the rows: those before it are given.
    let statement = Statement::new("UNWIND [1, 2, 0] AS i RETURN 4 / i").fetch(1);
    let mut rows = connection.run(&read(), statement).unwrap();
    assert_eq!(rows.next().unwrap().unwrap(), [4.into()]);
    assert_eq!(rows.next().unwrap().unwrap(), [2.into()]);
    let error = rows.next().unwrap().unwrap_err();
    assert_eq!(error.failure().unwrap().code(), "Neo.ClientError.Statement.ArithmeticError");
    assert!(rows.next().is_none());
    assert!(rows.finish().is_err());
    assert!(!connection.is_poisoned());
    assert_eq!(count(&mut connection, "Nothing"), 0);
}

fn reading_does_not_write(server: &Server) {
    let mut connection = connect(server);
    for statement in ["CREATE (:Sly)", "CREATE INDEX FOR (n:Sly) ON (n.x)", "CALL db.createLabel('Sly')"] {
        let error = connection.run(&read(), statement).and_then(Rows::finish).unwrap_err();
        assert_eq!(error.failure().unwrap().code(), "Neo.ClientError.Statement.AccessMode", "{statement}");
    }
    assert_eq!(count(&mut connection, "Sly"), 0);
}

fn transactions_commit_or_do_not(server: &Server) {
    let mut connection = connect(server);
    let mut transaction = connection.begin(&write()).unwrap();
    for n in 0..3 {
        let statement = Statement::new("CREATE (:Kept {n: $n})").with("n", n);
        transaction.run(statement).unwrap().finish().unwrap();
    }
    let inside = transaction.run("MATCH (n:Kept) RETURN count(n)").unwrap().answer().unwrap();
    assert_eq!(inside.single(), Some(&Value::Int(3)));
    let bookmark = transaction.commit().unwrap().unwrap();
    assert_eq!(count(&mut connect(server), "Kept"), 3);
    // Another connection sees what the bookmark names.
    let after = read().bookmark(bookmark);
    let mut other = connect(server);
    let answer = other.run(&after, "MATCH (n:Kept) RETURN count(n)").unwrap().answer().unwrap();
    assert_eq!(answer.single(), Some(&Value::Int(3)));

    let mut transaction = connection.begin(&write()).unwrap();
    transaction.run("CREATE (:Gone)").unwrap().finish().unwrap();
    transaction.rollback().unwrap();
    assert_eq!(count(&mut connection, "Gone"), 0);

    // A failure ends it: nothing more is sent for it, least of all a statement that would run on its own.
    let mut transaction = connection.begin(&write()).unwrap();
    transaction.run("CREATE (:Gone)").unwrap().finish().unwrap();
    assert!(matches!(transaction.run("RETURN 1 / 0").and_then(Rows::finish), Err(Error::Server { .. })));
    assert!(matches!(transaction.run("CREATE (:Gone)"), Err(Error::TransactionOver { .. })));
    assert!(matches!(transaction.commit(), Err(Error::TransactionOver { .. })));
    assert_eq!(count(&mut connection, "Gone"), 0);
}

fn what_is_dropped_is_rolled_back(server: &Server) {
    let mut connection = connect(server);
    drop(connection.begin(&write()).unwrap());
    let mut transaction = connection.begin(&write()).unwrap();
    transaction.run("CREATE (:Gone)").unwrap().finish().unwrap();
    drop(transaction);
    let statement = Statement::new("UNWIND range(1, 100) AS i CREATE (n:Gone) RETURN n").fetch(1);
    let mut rows = connection.run(&write(), statement.clone()).unwrap();
    assert!(rows.next().unwrap().is_ok());
    drop(rows);
    assert_eq!(count(&mut connection, "Gone"), 0);
    // Rows of a transaction that were left unread: it is over.
    let mut transaction = connection.begin(&write()).unwrap();
    drop(transaction.run(statement.clone()).unwrap());
    assert!(matches!(transaction.commit(), Err(Error::TransactionOver { .. })));
    // Finished without reading, it is done.
    let summary = connection.run(&write(), statement).unwrap().finish().unwrap();
    assert_eq!((summary.count("nodes-created"), count(&mut connection, "Gone")), (100, 100));
}

fn bookmarks_name_transactions(server: &Server) {
    let mut connection = connect(server);
    let mut id = |scope: &Scope, statement: &str| {
        let summary = connection.run(scope, statement).unwrap().finish().unwrap();
        Bookmark::parse(summary.bookmark().unwrap()).unwrap()
    };
    id(&write(), "CREATE (:Marked)");
    let first = id(&write(), "CREATE (:Marked)");
    let second = id(&write(), "CREATE (:Marked)");
    assert_eq!((second.transaction, second.database), (first.transaction + 1, first.database));
    assert_eq!(id(&read(), "RETURN 1"), second);
}

fn the_scope_is_told_to_the_server(server: &Server) {
    let mut connection = connect(server);
    let mut scope = Scope::read("system");
    scope.metadata.push("grap", "health");
    let show = "SHOW TRANSACTIONS YIELD currentQuery, metaData, connectionId, database WHERE metaData.grap = 'health' \
                RETURN connectionId, database";
    let answer = connection.run(&scope, show).unwrap().answer().unwrap();
    assert_eq!(answer.rows, [[connection.id().into(), "system".into()]]);
    let error = connection.run(&Scope::read("absent"), "RETURN 1").map(drop).unwrap_err();
    assert_eq!(error.failure().unwrap().code(), "Neo.ClientError.Database.DatabaseNotFound");
    // The home database, when none is named.
    let home = connection.run(&Scope::default(), "CALL db.info() YIELD name RETURN name");
    assert_eq!(home.unwrap().answer().unwrap().single(), Some(&"neo4j".into()));
    assert_eq!(Scope::default().access, Access::Read);
}

fn the_server_ends_what_takes_too_long(server: &Server) {
    let mut connection = connect(server);
    let scope = read().timeout(Duration::from_millis(200));
    // It goes over nodes: 5.13 looks for the end of a transaction there, and not in a mere UNWIND.
    let endless = "MATCH (a), (b), (c), (d), (e) RETURN count(a.x + b.x)";
    let error = connection.run(&scope, endless).and_then(Rows::finish).unwrap_err();
    let failure = error.failure().unwrap_or_else(|| panic!("{error:?}"));
    assert!(failure.code().contains("TransactionTimedOut"), "{failure}");
    assert_eq!(count(&mut connection, "Nothing"), 0);
}
