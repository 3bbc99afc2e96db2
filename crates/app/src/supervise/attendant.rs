//! What is done beside a server that has just been started, in a thread that ends when it is done: see whether Bolt answers,
//! and apply the declared schema.
//!
//! Nobody waits for it: a server that hangs, or a schema that cannot be applied, keeps no signal and no question waiting.
//! Whatever goes wrong here is said, and the server goes on.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use grap::live::{Installation, InstallationOptions};
use grap::ops::{self, SchemaOptions, SchemaReport, Session};
use grap::recovery::switch_in_progress;
use grap::{Code, Error, in_one_line};
use grap_bolt::client::{Limits, Options, greet};
use grap_core::schema::SchemaFile;
use grap_repository::LockHolder;
use grap_task::{Clock, Stop};

use crate::failure::Failure;
use crate::host;
use crate::log::Log;

const LOOK: Duration = Duration::from_millis(500);
const GREETING: Limits = Limits {
    connect: Duration::from_secs(2),
    handshake: Duration::from_secs(5),
    exchange: Duration::from_secs(30),
};
/// While a promotion is under way.
const SWITCH_LOOK: Duration = Duration::from_secs(1);
/// Bolt may answer before the database does.
const SCHEMA_PATIENCE: Duration = Duration::from_mins(2);
const SCHEMA_PAUSE: Duration = Duration::from_secs(1);
/// From the first statement until everything is ONLINE.
const SCHEMA_WAIT: Duration = Duration::from_mins(5);

/// What it needs to know, the same for each start.
#[derive(Clone)]
pub(crate) struct Duties {
    /// Where Bolt should answer; nobody logs on there.
    pub(crate) bolt: Option<Options>,
    pub(crate) schema: Option<Schema>,
    /// Where a promotion may be under way, as far as it is known.
    pub(crate) installation: Option<InstallationOptions>,
    pub(crate) log: Log,
    pub(crate) holder: LockHolder,
    pub(crate) clock: Clock,
}

/// The declared schema: a file that is read anew at each start, and who applies it.
#[derive(Clone)]
pub(crate) struct Schema {
    pub(crate) file: PathBuf,
    pub(crate) database: Option<String>,
    /// Or why nobody can.
    pub(crate) connection: Result<Options, String>,
    pub(crate) read: fn(&Path) -> Result<SchemaFile, Failure>,
}

/// The end that we keep: a byte comes when Bolt has answered. Dropped, it tells the thread to end.
pub(super) struct Attendant {
    pub(super) stream: UnixStream,
    stop: Stop,
}

impl Attendant {
    pub(super) fn start(duties: &Arc<Duties>) -> std::io::Result<Self> {
        let (stream, tell) = UnixStream::pair()?;
        stream.set_nonblocking(true)?;
        let stop = Stop::new();
        let (duties, stopped) = (Arc::clone(duties), stop.clone());
        let attend = move || duties.attend(&tell, &stopped);
        std::thread::Builder::new().name("attendant".to_owned()).spawn(attend)?;
        Ok(Self { stream, stop })
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        self.stop.request();
    }
}

impl Duties {
    fn attend(&self, mut tell: &UnixStream, stop: &Stop) {
        let Some(bolt) = &self.bolt else { return };
        let bolt = Options { limits: GREETING, ..bolt.clone() };
        while greet(&bolt).is_err() {
            if self.clock.wait(LOOK, stop) {
                return;
            }
        }
        if stop.requested() || tell.write_all(b"r").is_err() {
            return;
        }
        if let Some(schema) = &self.schema
            && self.awaited_switch(stop)
        {
            self.apply(schema, stop);
        }
    }

    /// Until no promotion is between its barrier and its end: by what is written before that a new database would count as
    /// written to, and would not be taken back. False: told to stop.
    fn awaited_switch(&self, stop: &Stop) -> bool {
        let is_under_way = || {
            let known = self.installation.as_ref()?;
            // A note that cannot be read is one all the same.
            Some(switch_in_progress(&Installation::data_directory(known).ok()?).unwrap_or(true))
        };
        let mut told = false;
        while is_under_way() == Some(true) {
            if !told {
                self.log.info("Schema initialization waits until the promotion that is under way has ended");
                told = true;
            }
            if self.clock.wait(SWITCH_LOOK, stop) {
                return false;
            }
        }
        true
    }

    fn apply(&self, schema: &Schema, stop: &Stop) {
        let file = schema.file.display();
        self.log.info(&format!("Schema initialization begins: {file}"));
        match self.try_apply(schema, stop) {
            Ok(report) => {
                for drift in report.drifts.iter().filter(|drift| drift.kind.is_fault()) {
                    self.log.warning(&format!("the schema has drifted, and is left as it is: {drift}"));
                }
            }
            Err(_) if stop.requested() => {}
            Err(why) => self.log.error(&format!(
                "Schema initialization failed, the server goes on without it; the next start tries again: {file}: {why}"
            )),
        }
    }

    fn try_apply(&self, schema: &Schema, stop: &Stop) -> Result<SchemaReport, String> {
        let options = SchemaOptions {
            connection: schema.connection.clone()?,
            database: schema.database.clone(),
            schema: (schema.read)(&schema.file).map_err(|failure| in_one_line(&failure))?,
            wait: SCHEMA_WAIT,
        };
        let (clock, monitor, holder) = (&self.clock, &self.log, &self.holder);
        let session = Session { clock, stop, monitor, holder, program: host::PROGRAM };
        let begun = clock.since_boot();
        loop {
            match ops::apply_schema(&options, &session) {
                Ok(report) => return Ok(report),
                Err(error)
                    if may_pass(&error) && clock.since_boot().saturating_sub(begun) < SCHEMA_PATIENCE => {}
                Err(error) => return Err(in_one_line(&error)),
            }
            if clock.wait(SCHEMA_PAUSE, stop) {
                return Err("told to stop".to_owned());
            }
        }
    }
}

/// Of a server that has just been started.
fn may_pass(error: &Error) -> bool {
    let refused_for_now = match error {
        Error::Bolt(error) => error
            .failure()
            .is_some_and(|failure| failure.is_transient() || failure.code().ends_with(".DatabaseNotFound")),
        _ => false,
    };
    refused_for_now || matches!(error.code(), Code::Neo4jUnreachable | Code::CommitInDoubt)
}
