//! Questions to a server over Bolt, with the driver crate `neo4j`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use neo4j::ValueSend;
use neo4j::address::Address;
use neo4j::driver::auth::AuthToken;
use neo4j::driver::{ConnectionConfig, Driver, DriverConfig};
use neo4j::session::SessionConfig;
use neo4j::value::ValueReceive;

use crate::error::{Error, Result};

/// The password that every new server gives to user `neo4j`.
const INITIAL_PASSWORD: &str = "neo4j";

/// A pool of connections to one server, used on one database.
#[derive(Debug)]
pub struct Bolt {
    driver: Driver,
    database: Arc<String>,
    address: SocketAddr,
}

/// One row of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(pub Vec<ValueReceive>);

impl Row {
    /// The text in a column, empty where it holds something else.
    pub fn text(&self, column: usize) -> String {
        self.0.get(column).and_then(ValueReceive::as_string).cloned().unwrap_or_default()
    }

    /// The integer in a column, where it holds one.
    pub fn int(&self, column: usize) -> Option<i64> {
        self.0.get(column).and_then(ValueReceive::as_int)
    }
}

impl Bolt {
    /// Connections to a server (opened when first used), as user `neo4j` where there is a password.
    pub fn to(address: SocketAddr, password: Option<&str>) -> Self {
        let auth = match password {
            Some(password) => AuthToken::new_basic_auth("neo4j", password),
            None => AuthToken::new_none_auth(),
        };
        let target = Address::from((address.ip().to_string().as_str(), address.port()));
        let connection = ConnectionConfig::new(target).with_routing(false).with_encryption_disabled();
        let config = DriverConfig::new()
            .with_auth(Arc::new(auth))
            .with_connection_timeout(Duration::from_secs(10))
            .with_telemetry(false);
        Self { driver: Driver::new(connection, config), database: Arc::new("neo4j".to_owned()), address }
    }

    /// The same connections, used on another database.
    #[must_use]
    pub fn on(mut self, database: &str) -> Self {
        self.database = Arc::new(database.to_owned());
        self
    }

    /// Runs one statement in a transaction of its own and returns all rows.
    pub fn run(&self, statement: &str) -> Result<Vec<Row>> {
        self.run_with(statement, &HashMap::new())
    }

    /// The same, with parameters.
    pub fn run_with(&self, statement: &str, parameters: &HashMap<String, ValueSend>) -> Result<Vec<Row>> {
        let answer = self
            .session()
            .auto_commit(statement)
            .with_parameters(parameters)
            .run()
            .map_err(Error::bolt(statement))?;
        Ok(answer.records.into_iter().map(|record| Row(record.into_values().collect())).collect())
    }

    /// Opens a transaction and rolls it back: works only when the database is online, and costs the server
    /// almost nothing (the first statement of a server costs more than a CPU second).
    #[expect(
        clippy::result_large_err,
        clippy::redundant_closure_for_method_calls,
        reason = "the driver's types"
    )]
    pub fn begin_works(&self) -> Result<()> {
        self.session().transaction().run(|transaction| transaction.rollback()).map_err(Error::bolt("BEGIN"))
    }

    /// A client is in the middle of a transaction while this works; what it has written is taken back.
    #[expect(clippy::result_large_err, reason = "the driver's types")]
    pub fn held_open<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        let mut done = None;
        let held = self.session().transaction().run(|transaction| {
            transaction.query("CREATE (:Held)").run()?;
            done = Some(work());
            transaction.rollback()
        });
        match done {
            Some(done) => Ok(done),
            None => held
                .map_err(Error::bolt("BEGIN"))
                .and_then(|()| Err(Error::Claim("no transaction".to_owned()))),
        }
    }

    pub(crate) fn session(&self) -> neo4j::session::Session<'_> {
        self.driver.session(SessionConfig::new().with_database(Arc::clone(&self.database)))
    }

    /// On a server that still has the initial password: sets this one.
    pub(crate) fn set_first_password(&self, password: &str) -> Result<()> {
        let initial = Self::to(self.address, Some(INITIAL_PASSWORD)).on("system");
        let parameters = HashMap::from([
            ("old".to_owned(), ValueSend::String(INITIAL_PASSWORD.to_owned())),
            ("new".to_owned(), ValueSend::String(password.to_owned())),
        ]);
        let changed = initial.run_with("ALTER CURRENT USER SET PASSWORD FROM $old TO $new", &parameters);
        match changed {
            Err(Error::Bolt { .. }) => self.run("RETURN 1").map(drop),
            other => other.map(drop),
        }
    }
}
