//! The client's end of the control socket.

use std::io::{self, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use grap::Code;
use grap::state::StateDirectory;
use grap_task::{Clock, Finding, Level, Monitor, Stop, Unit};

use super::frame::{ANSWER_MAX, Ask, Frame, Lines, Question, RunRequest, STOP, VERSION, parse, write_line};
use super::socket_path;
use crate::daemon::status::DaemonStatus;
use crate::failure::Failure;
use crate::host;

/// Within this time the daemon takes a question.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Between two looks whether we are to stop.
const STOP_LOOK: Duration = Duration::from_millis(200);
/// Between two tries to connect: a daemon that has just started listens soon.
const CONNECT_INTERVAL: Duration = Duration::from_millis(100);

/// What the daemon of this state directory knows; `None` where none runs.
pub(crate) fn ask_status(state: &Path) -> Result<Option<DaemonStatus>, Failure> {
    let Some(mut connection) = Connection::open(state, &Ask::Status)? else { return Ok(None) };
    connection.accepted()?;
    match connection.next(&Stop::new())? {
        Frame::Status(status) => Ok(Some(*status)),
        _ => Err(connection.gone("it says something else than its status")),
    }
}

/// Let the daemon of this state directory do it, and show what it says. The exit status; `None` where no daemon runs.
pub(crate) fn forward(
    state: &Path,
    request: RunRequest,
    stop: &Stop,
    monitor: &dyn Monitor,
) -> Result<Option<u8>, Failure> {
    let ask = Ask::Run(Box::new(request));
    let Some(mut connection) = Connection::open(state, &ask)? else { return Ok(None) };
    connection.accepted()?;
    loop {
        match connection.next(stop)? {
            Frame::Accepted | Frame::Refused { .. } | Frame::Status(_) => {}
            Frame::Begin { step, bytes, total } => {
                monitor.begin(&step, if bytes { Unit::Bytes } else { Unit::Items }, total);
            }
            Frame::Advance(amount) => monitor.advance(amount),
            Frame::Finding { warning, text } => {
                let level = if warning { Level::Warning } else { Level::Info };
                monitor.finding(&Finding { level, text });
            }
            Frame::Print(text) => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::Output)?;
            }
            Frame::End { status, error } => return Ok(Some(end(status, &error))),
        }
    }
}

fn end(status: u8, error: &str) -> u8 {
    // Nobody is left to tell when this fails.
    let _ = io::stderr().lock().write_all(error.as_bytes());
    status
}

struct Connection<'a> {
    state: &'a Path,
    stream: UnixStream,
    lines: Lines<BufReader<UnixStream>>,
    told_to_stop: bool,
}

impl<'a> Connection<'a> {
    /// `None`: no daemon runs on this state directory.
    fn open(state: &'a Path, ask: &Ask) -> Result<Option<Self>, Failure> {
        let began = Clock::System.since_boot();
        loop {
            if !StateDirectory::is_served(state).map_err(grap::Error::from)? {
                return Ok(None);
            }
            match Self::connect(state, ask) {
                Ok(connection) => return Ok(Some(connection)),
                Err(_) if Clock::System.since_boot().saturating_sub(began) < ANSWER_WAIT => {
                    std::thread::sleep(CONNECT_INTERVAL);
                }
                Err(error) => return Err(unanswered(state, &error)),
            }
        }
    }

    fn connect(state: &'a Path, ask: &Ask) -> io::Result<Self> {
        let stream = UnixStream::connect(socket_path(state))?;
        stream.set_write_timeout(Some(ANSWER_WAIT))?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        let question =
            Question { version: VERSION, program: host::PROGRAM.to_owned(), ask: serde_json::to_value(ask)? };
        write_line(&mut &stream, &question)?;
        let lines = Lines::new(BufReader::new(stream.try_clone()?), ANSWER_MAX);
        Ok(Self { state, stream, lines, told_to_stop: false })
    }

    /// The first line, which comes soon or never.
    fn accepted(&mut self) -> Result<(), Failure> {
        let first = self.lines.next().and_then(|line| parse::<Frame>(&line.unwrap_or_default()));
        match first.map_err(|error| unanswered(self.state, &error))? {
            Frame::Accepted => {}
            Frame::Refused { code, message } => {
                let known = Code::ALL.iter().find(|known| known.name() == code);
                return Err(Failure::Found { code: known.copied().unwrap_or(Code::JobRunning), message });
            }
            _ => return Err(self.gone("it says something else than that it begins")),
        }
        self.stream.set_read_timeout(Some(STOP_LOOK)).map_err(|error| unanswered(self.state, &error))
    }

    fn next(&mut self, stop: &Stop) -> Result<Frame, Failure> {
        loop {
            if stop.requested() && !self.told_to_stop {
                self.told_to_stop = true;
                let _ = (&self.stream).write_all(format!("{STOP}\n").as_bytes());
            }
            match self.lines.next() {
                Ok(Some(line)) => return parse(&line).map_err(|error| self.gone(&error.to_string())),
                Ok(None) => return Err(self.gone("it closed the connection")),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.gone(&error.to_string())),
            }
        }
    }

    fn gone(&self, why: &str) -> Failure {
        let message = format!(
            "the daemon of the state directory {} did not answer to the end ({why}): whether it was done `grap list` and `grap status` say",
            self.state.display()
        );
        Failure::Found { code: Code::Interrupted, message }
    }
}

fn unanswered(state: &Path, error: &io::Error) -> Failure {
    let message = format!(
        "a daemon holds the state directory {}, but does not answer on {} within {} s ({error}); if it hangs, end it and start it anew",
        state.display(),
        socket_path(state).display(),
        ANSWER_WAIT.as_secs()
    );
    Failure::Found { code: Code::JobRunning, message }
}
