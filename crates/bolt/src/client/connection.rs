//! One connection: what is owed on it, and in which state it is.

use std::time::Duration;

use grap_task::Clock;

use super::options::Options;
use super::rows::Rows;
use super::statement::{Access, Scope, Statement};
use super::transaction::Transaction;
use super::wire::{Deadline, Wire, lost};
use crate::chunk::{Dechunker, Frame, chunk};
use crate::error::{Error, Result};
use crate::handshake::Version;
use crate::message::{Request, Response};
use crate::packstream::{Map, Value};

/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Connection {
    wire: Wire,
    dechunker: Dechunker,
    /// What was read, from `taken` on not yet taken.
    input: Vec<u8>,
    taken: usize,
    version: Version,
    server: String,
    /// What the server answered to HELLO.
    hello: Map,
    clock: Clock,
    limit: Duration,
    budget: Option<Deadline>,
    /// Requests that are not answered yet.
    owed: usize,
    pub(super) state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Ready,
    InTransaction,
    /// Something failed, or was not read to its end: RESET comes next.
    Unsettled,
    /// For this reason.
    Poisoned(String),
}

impl Connection {
    pub(super) fn new(
        wire: Wire,
        version: Version,
        options: &Options,
        budget: Option<Deadline>,
        input: Vec<u8>,
    ) -> Self {
        Self {
            wire,
            dechunker: Dechunker::new(options.message_max),
            input,
            taken: 0,
            version,
            server: options.address.to_string(),
            hello: Map::new(),
            clock: options.clock.clone(),
            limit: options.limits.exchange,
            budget,
            owed: 0,
            state: State::Ready,
        }
    }

    pub(super) fn set_hello(&mut self, hello: Map) {
        self.hello = hello;
    }

    pub fn version(&self) -> Version {
        self.version
    }

    /// Host and port.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// What the server calls itself, e.g. `Neo4j/5.26.30`.
    pub fn agent(&self) -> &str {
        self.hello.text("server").unwrap_or_default()
    }

    /// What the server calls this connection, e.g. `bolt-7`.
    pub fn id(&self) -> &str {
        self.hello.text("connection_id").unwrap_or_default()
    }

    /// All that the server said when it was greeted.
    pub fn hello(&self) -> &Map {
        &self.hello
    }

    /// Everything from now on, taken together, ends within so much time; `None`: only the limits hold.
    pub fn set_budget(&mut self, budget: Option<Duration>) {
        self.budget = budget.map(|budget| Deadline::after(&self.clock, budget));
    }

    /// Whether it is of no use any more.
    pub fn is_poisoned(&self) -> bool {
        matches!(self.state, State::Poisoned(_))
    }

    /// A statement in a transaction of its own. It is over, and committed if it wrote, when the rows were read to
    /// their end ([`Rows::answer`], [`Rows::finish`]); dropped earlier it is rolled back, or was not.
    /// A statement that commits in portions (`CALL {} IN TRANSACTIONS`) and fails has committed those before.
    pub fn run(&mut self, scope: &Scope, statement: impl Into<Statement>) -> Result<Rows<'_>> {
        self.begin_exchange()?;
        let in_doubt = scope.access == Access::Write;
        Rows::start(self, statement.into(), scope.to_map(), in_doubt)
    }

    /// A transaction of several statements.
    pub fn begin(&mut self, scope: &Scope) -> Result<Transaction<'_>> {
        self.begin_exchange()?;
        self.send("begin", &[Request::Begin { extra: scope.to_map() }])?;
        self.answer("begin")?;
        self.state = State::InTransaction;
        Ok(Transaction::new(self))
    }

    /// Asks for nothing and waits for the answer: whether the server is there.
    pub fn reset(&mut self) -> Result<()> {
        self.refuse_poisoned()?;
        self.start_clock(None);
        self.send_reset()
    }

    /// Says goodbye. Dropping it does the same.
    pub fn close(self) {}

    /// What each operation begins with: its deadline, and a connection that is ready.
    fn begin_exchange(&mut self) -> Result<()> {
        self.refuse_poisoned()?;
        self.start_clock(None);
        if self.state != State::Ready {
            self.send_reset()?;
        }
        Ok(())
    }

    /// A new deadline: so much time from now, or what the limits give; never beyond the budget.
    pub(super) fn start_clock(&mut self, limit: Option<Duration>) {
        let deadline = Deadline::after(&self.clock, limit.unwrap_or(self.limit));
        self.wire.set_deadline(deadline.within(self.budget.as_ref()));
    }

    pub(super) fn refuse_poisoned(&self) -> Result<()> {
        match &self.state {
            State::Poisoned(because) => {
                Err(Error::Poisoned { server: self.server.clone(), because: because.clone() })
            }
            _ => Ok(()),
        }
    }

    /// RESET, and everything that was still to come before its answer.
    fn send_reset(&mut self) -> Result<()> {
        const DOING: &str = "reset";
        self.send(DOING, &[Request::Reset])?;
        while self.owed > 1 {
            self.receive(DOING)?;
        }
        match self.receive(DOING)? {
            Response::Success(_) => {}
            other => return Err(self.unexpected(DOING, &other)),
        }
        self.state = State::Ready;
        Ok(())
    }

    /// Sends requests together. What cannot be encoded is an error before anything was sent.
    pub(super) fn send(&mut self, doing: &'static str, requests: &[Request]) -> Result<()> {
        self.send_encoded(doing, &encoded(requests)?, requests.len())
    }

    pub(super) fn send_encoded(&mut self, doing: &'static str, bytes: &[u8], requests: usize) -> Result<()> {
        self.owed += requests;
        let sent = self.wire.send(bytes);
        sent.map_err(|error| {
            let error = lost(doing, &self.server, self.wire.limit(), error);
            self.poison(error)
        })
    }

    /// The next message, whatever it is.
    pub(super) fn receive(&mut self, doing: &'static str) -> Result<Response> {
        let message = self.next_message(doing)?;
        let response = Response::decode(&message).map_err(|error| {
            let (server, what) = (self.server.clone(), error.to_string());
            self.poison(Error::Unexpected { doing, server, what })
        })?;
        if !matches!(response, Response::Record(_)) {
            self.owed = match self.owed.checked_sub(1) {
                Some(owed) => owed,
                None => return Err(self.unexpected(doing, &response)),
            };
        }
        Ok(response)
    }

    fn next_message(&mut self, doing: &'static str) -> Result<Vec<u8>> {
        loop {
            let mut rest = self.input.get(self.taken..).unwrap_or_default();
            let frame = self.dechunker.take(&mut rest);
            self.taken = self.input.len() - rest.len();
            match frame {
                Ok(Some(Frame::Message(message))) => return Ok(message),
                Ok(Some(Frame::Noop)) => {}
                Ok(None) => self.read_more(doing)?,
                Err(error) => return Err(self.poison(error)),
            }
        }
    }

    fn read_more(&mut self, doing: &'static str) -> Result<()> {
        self.input.clear();
        self.taken = 0;
        let read = self.wire.read_some(&mut self.input);
        read.map_err(|error| {
            let error = lost(doing, &self.server, self.wire.limit(), error);
            self.poison(error)
        })
    }

    /// The answer to a request that has no rows.
    pub(super) fn answer(&mut self, doing: &'static str) -> Result<Map> {
        match self.receive(doing)? {
            Response::Success(metadata) => Ok(metadata),
            Response::Failure(failure) => {
                self.state = State::Unsettled;
                Err(Error::Server { doing, failure })
            }
            Response::Ignored => {
                self.state = State::Unsettled;
                Err(Error::Ignored { doing, server: self.server.clone() })
            }
            other @ Response::Record(_) => Err(self.unexpected(doing, &other)),
        }
    }

    pub(super) fn unexpected(&mut self, doing: &'static str, response: &Response) -> Error {
        let what = match response {
            Response::Success(_) => "SUCCESS that nobody waits for".to_owned(),
            Response::Failure(failure) => failure.to_string(),
            Response::Ignored => "IGNORED where nothing had failed".to_owned(),
            Response::Record(_) => "a row that nobody asked for".to_owned(),
        };
        let error = Error::Unexpected { doing, server: self.server.clone(), what };
        self.poison(error)
    }

    /// From here on nothing is sent any more.
    pub(super) fn poison(&mut self, error: Error) -> Error {
        if !self.is_poisoned() {
            self.state = State::Poisoned(error.to_string());
            self.wire.shut();
        }
        error
    }
}

/// Requests as they go over the wire.
pub(super) fn encoded(requests: &[Request]) -> Result<Vec<u8>> {
    let (mut bytes, mut message) = (Vec::new(), Vec::new());
    for request in requests {
        message.clear();
        request.encode(&mut message)?;
        chunk(&message, &mut bytes);
    }
    Ok(bytes)
}

/// `{n}` of PULL and DISCARD.
pub(super) fn amount(records: i64) -> Map {
    Map::new().with("n", Value::Int(records))
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.is_poisoned() {
            return;
        }
        self.wire.set_deadline(Deadline::after(&self.clock, FAREWELL));
        if let Ok(goodbye) = encoded(&[Request::Goodbye]) {
            // The server finds out without it, too.
            let _ = self.wire.send(&goodbye);
        }
        self.wire.shut();
    }
}
