//! A server of ours, running.
//!
//! It is ready when it says so itself (its start is over, it listens at our port), lets us in with the password that only
//! we know, and calls the database online. A server that ends meanwhile, or refuses the database, is an error with its
//! own words. Dropped, it is killed, with everything in its process group.

use std::ffi::{OsStr, OsString};
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use grap_bolt::client::{Address, Answer, Auth, Connection, Options, Scope, Security};
use grap_task::{Clock, Stop};
use secrecy::{ExposeSecret, SecretString};

use super::home::USER;
use super::process::{ProcessGroup, mark};
use super::{InstanceHome, ServerError, ServerRelease};
use crate::ask::Asker;
use crate::live::SYSTEM;

/// Another process may take the port between our choice and the server's start.
const PORTS_TRIED: u32 = 4;
const POLL: Duration = Duration::from_millis(50);

/// It is nice, beside a database that may be busy: an answer may take long without anything being wrong.
const ANSWER_LIMIT: Duration = Duration::from_mins(5);

/// Within it a server has ended that does not answer because it has.
const END_FOLLOWS: Duration = Duration::from_secs(3);
/// The same where a connection broke: what the server does at its end takes a while, on a busy machine.
const END_FOLLOWS_A_BREAK: Duration = Duration::from_secs(15);

const NOT_ONLINE: &str = "SHOW INDEXES YIELD name, state WHERE state <> 'ONLINE' RETURN name, state";

/// Whether the user database may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What a restored database needs first: recovery, and indexes built anew.
    Writable,
    ReadOnly,
}

#[derive(Debug)]
pub struct TestInstance {
    // First, so that nothing runs any more when the rest goes.
    group: ProcessGroup,
    home: InstanceHome,
    port: u16,
    /// For an answer.
    patience: Duration,
    clock: Clock,
}

impl TestInstance {
    /// Start it, and wait until its database is online; at most `limit`.
    pub fn start(
        home: InstanceHome,
        mode: Mode,
        limit: Duration,
        clock: &Clock,
        stop: &Stop,
    ) -> Result<Self, ServerError> {
        let wait = Wait { limit, begun: clock.since_boot(), clock, stop };
        let mut tries = 0;
        let (group, port) = loop {
            tries += 1;
            match launch(&home, mode, &wait) {
                Err(ServerError::Ended { .. }) if tries < PORTS_TRIED && home.port_was_taken() => {}
                started => break started?,
            }
        };
        let mut instance =
            Self { group, home, port, patience: limit.min(ANSWER_LIMIT), clock: clock.clone() };
        match instance.await_online(&wait) {
            Ok(()) => Ok(instance),
            Err(error) => Err(instance.or_its_end(error)),
        }
    }

    /// Why it does not answer, where it is because it has ended.
    fn or_its_end(&mut self, error: ServerError) -> ServerError {
        match error {
            ServerError::Bolt(ref bolt) => self.ended_behind(Some(bolt)).unwrap_or(error),
            error => error,
        }
    }

    pub fn uri(&self) -> String {
        format!("bolt://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn user(&self) -> &'static str {
        USER
    }

    pub fn password(&self) -> &SecretString {
        &self.home.password
    }

    pub fn pid(&self) -> u32 {
        self.group.pid()
    }

    /// How it ended, where it did so by itself: and what it said.
    pub fn ended(&mut self) -> Option<ServerError> {
        self.group.ended().map(|status| self.home.ended(status))
    }

    /// As [`TestInstance::ended`], a moment later: a connection that breaks is the first that is seen of an end. `seen`: what
    /// came of it, where it was asked.
    pub fn ended_behind(&mut self, seen: Option<&grap_bolt::Error>) -> Option<ServerError> {
        let follows = end_follows(seen);
        let (begun, uncalled) = (self.clock.since_boot(), Stop::new());
        while self.group.ended().is_none() && self.clock.since_boot().saturating_sub(begun) < follows {
            self.clock.wait(POLL, &uncalled);
        }
        self.ended()
    }

    /// What is started.
    pub fn release(&self) -> &ServerRelease {
        self.home.release()
    }

    /// The directory of the user database's stores.
    pub fn store(&self) -> PathBuf {
        self.home.store()
    }

    /// A connection as its one user.
    pub fn connect(&self) -> Result<Connection, ServerError> {
        Ok(Connection::open(&self.options(self.patience))?)
    }

    /// For questions to the user database: the logon and all of them together within so much time.
    pub fn asker(&self, limit: Duration) -> Result<Asker, ServerError> {
        let options = Options { budget: Some(limit), ..self.options(limit) };
        Ok(Asker::open(&options, Some(&self.home.database))?)
    }

    fn options(&self, limit: Duration) -> Options {
        let address = Address { host: "127.0.0.1".to_owned(), port: self.port, security: Security::Plain };
        let auth = Auth::basic(USER, self.home.password.expose_secret());
        let mut options = Options { clock: self.clock.clone(), ..Options::new(address, auth) };
        options.limits.handshake = limit;
        options.limits.exchange = limit;
        options
    }

    /// The id of the newest transaction of the user database.
    pub fn newest_transaction(&self) -> Result<u64, ServerError> {
        Ok(self.asker(self.patience)?.newest_transaction()?)
    }

    /// Wait until no index is being built any more. The names of those that are not online then.
    pub fn await_indexes(&mut self, limit: Duration, stop: &Stop) -> Result<Vec<String>, ServerError> {
        let clock = self.clock.clone();
        let wait = Wait { limit, begun: clock.since_boot(), clock: &clock, stop };
        loop {
            let answer = match self.ask(NOT_ONLINE) {
                Ok(answer) => answer,
                Err(error) => return Err(self.or_its_end(error)),
            };
            let text = |row: &[grap_bolt::Value], column: usize| {
                row.get(column).and_then(grap_bolt::Value::as_text).unwrap_or_default().to_owned()
            };
            let building = answer.rows.iter().any(|row| text(row, 1) == "POPULATING");
            if !building || wait.is_over() {
                return Ok(answer
                    .rows
                    .iter()
                    .map(|row| format!("{} ({})", text(row, 0), text(row, 1)))
                    .collect());
            }
            self.go_on(&wait)?;
        }
    }

    /// Stop it as an operator does, which writes a checkpoint of each database: its files are whole then, and its home can
    /// be started again. [`ServerError::Died`]: it ended of itself, before it was told to or while it did so.
    pub fn stop(mut self, limit: Duration) -> Result<InstanceHome, ServerError> {
        let ended = match self.group.ended() {
            Some(status) => Some(status),
            None => self.group.terminate(limit, &self.clock),
        };
        let Some(status) = ended else { return Err(ServerError::NotStopped { limit }) };
        self.group.kill();
        match self.home.ended(status) {
            died @ ServerError::Died { .. } => Err(died),
            _ => Ok(self.home),
        }
    }

    /// End it at once: what it was started on is thrown away.
    pub fn kill(mut self) {
        self.group.kill();
    }

    /// A question to the user database.
    fn ask(&self, statement: &str) -> Result<Answer, ServerError> {
        Ok(self.connect()?.run(&Scope::read(self.home.database.as_str()), statement)?.answer()?)
    }

    fn await_online(&mut self, wait: &Wait<'_>) -> Result<(), ServerError> {
        loop {
            let (status, message) = self.database_status()?;
            match status.as_str() {
                "online" => return Ok(()),
                "starting" | "initial" | "unknown" | "" if message.is_empty() => self.go_on(wait)?,
                _ => {
                    let said = format!("{message} {}", self.home.last_words());
                    return Err(ServerError::Refused { database: self.home.database.clone(), status, said });
                }
            }
        }
    }

    /// As the server has it: `online`, `offline` ..., and a reason.
    fn database_status(&self) -> Result<(String, String), ServerError> {
        let databases = Asker::open(&self.options(self.patience), Some(SYSTEM))?.databases()?;
        let found = databases.into_iter().find(|database| database.name == self.home.database);
        Ok(found.map(|database| (database.status, database.message)).unwrap_or_default())
    }

    /// A moment later, unless there is nothing more to wait for.
    fn go_on(&mut self, wait: &Wait<'_>) -> Result<(), ServerError> {
        wait.once(&mut self.group, &self.home)
    }
}

/// Within which time it has ended, where that is why it did not answer.
fn end_follows(seen: Option<&grap_bolt::Error>) -> Duration {
    if seen.is_some_and(grap_bolt::Error::is_break) { END_FOLLOWS_A_BREAK } else { END_FOLLOWS }
}

/// One start: the server, and the port at which it listens.
fn launch(home: &InstanceHome, mode: Mode, wait: &Wait<'_>) -> Result<(ProcessGroup, u16), ServerError> {
    let port = free_port()?;
    home.configure(port, mode)?;
    home.remove_logs()?;
    let command = command(home);
    let command: Vec<&OsStr> = command.iter().map(OsString::as_os_str).collect();
    let mut group = ProcessGroup::start(&command, &home.root, &home.log("console.log"))?;
    while !home.says_started(port) {
        wait.once(&mut group, home)?;
    }
    Ok((group, port))
}

fn command(home: &InstanceHome) -> Vec<OsString> {
    let installation = &home.options.installation;
    let option = |name: &str, path: &std::path::Path| {
        let mut option = OsString::from(name);
        option.push(path);
        option
    };
    let mut command: Vec<OsString> = vec![installation.java.clone().into(), mark(&home.id).into()];
    command.push(format!("-Xmx{}", home.options.heap).into());
    command.push(option("-Djava.io.tmpdir=", &home.root.join("tmp")));
    command.extend(JVM.iter().map(OsString::from));
    command.extend(["-cp".into(), installation.lib.join("*").into(), installation.main_class().into()]);
    command.push(option("--home-dir=", &home.root));
    command.push(option("--config-dir=", &home.root.join("conf")));
    command
}

/// Small and quick to start, and what a server of each release asks for.
const JVM: [&str; 12] = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    // A server that has no memory left is of no use, and would hang.
    "-XX:+ExitOnOutOfMemoryError",
    "-Dfile.encoding=UTF-8",
    "-Dlog4j2.disable.jmx=true",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
];

fn free_port() -> Result<u16, ServerError> {
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    Ok(port.map_err(ServerError::NoPort)?.port())
}

/// How long something is waited for.
struct Wait<'a> {
    limit: Duration,
    begun: Duration,
    clock: &'a Clock,
    stop: &'a Stop,
}

impl Wait<'_> {
    fn is_over(&self) -> bool {
        self.clock.since_boot().saturating_sub(self.begun) > self.limit
    }

    fn once(&self, group: &mut ProcessGroup, home: &InstanceHome) -> Result<(), ServerError> {
        self.stop.check()?;
        if let Some(status) = group.ended() {
            return Err(home.ended(status));
        }
        if self.is_over() {
            return Err(ServerError::NotReady { limit: self.limit, said: home.last_words() });
        }
        self.clock.wait(POLL, self.stop);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use grap_disk as disk;

    use super::*;
    use crate::server::nothing_to_start;

    /// A program in the place of a server that has opened its database.
    fn instance(root: &std::path::Path, program: &str) -> TestInstance {
        let home = nothing_to_start(root);
        disk::create_dir_all(&root.join("logs")).unwrap();
        let opening = b"INFO [o.n.d.d.DatabaseLifecycles] Starting 'DatabaseId{e6dc0ffb[neo4j]}'.\n";
        disk::publish(&home.log("debug.log"), &[opening]).unwrap();
        let mark = mark(&home.id);
        let command = ["/bin/sh", "-c", program, &mark].map(OsStr::new);
        let group = ProcessGroup::start(&command, root, &home.log("console.log")).unwrap();
        TestInstance { group, home, port: 0, patience: Duration::ZERO, clock: Clock::System }
    }

    /// Each line: what it does, whether it has ended before its stop, and whether it died of the database.
    #[test]
    fn a_server_that_ends_of_itself_was_not_stopped() {
        for (program, first, died) in [
            ("exit 1", true, true),
            ("exit 143", true, false),
            ("trap 'exit 1' TERM; touch ready; while :; do sleep 0.02; done", false, true),
            ("trap 'exit 143' TERM; touch ready; while :; do sleep 0.02; done", false, false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let mut instance = instance(folder.path(), program);
            let ready = || disk::stat(&folder.path().join("ready")).unwrap().is_some();
            let is_ready = |instance: &mut TestInstance| {
                if first { instance.ended().is_some() } else { ready() }
            };
            while !is_ready(&mut instance) {
                Clock::System.wait(POLL, &Stop::new());
            }
            let stopped = instance.stop(Duration::from_mins(1));
            assert_eq!(matches!(stopped, Err(ServerError::Died { .. })), died, "{program}: {stopped:?}");
            assert_eq!(stopped.is_ok(), !died, "{program}");
        }
    }

    #[test]
    fn a_connection_that_breaks_is_followed_for_longer() {
        let server = || "s".to_owned();
        let closed = grap_bolt::Error::Closed { doing: "x", server: server() };
        let slow = grap_bolt::Error::Timeout { doing: "x", server: server(), limit: Duration::ZERO };
        let ended = [Some(&closed), Some(&slow), None].map(end_follows);
        assert_eq!(ended, [END_FOLLOWS_A_BREAK, END_FOLLOWS, END_FOLLOWS]);
    }
}
