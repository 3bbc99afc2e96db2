//! The daemon's end of the control socket.

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use grap::Code;
use grap_disk as disk;
use grap_task::Stop;

use super::frame::{Ask, Frame, Lines, QUESTION_MAX, Question, RunRequest, STOP, VERSION, parse, write_line};
use super::reply::Reply;
use super::socket_path;
use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::host;
use crate::log::Log;
use crate::peer::{self, PATH_LENGTH_MAX};
use crate::view::{Stdout, failure_text};

/// More clients at once are refused.
const CLIENTS_MAX: usize = 32;
/// Within this time a client has said what it wants, and has taken what was written to it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Listening until dropped.
pub(crate) struct Server {
    path: PathBuf,
    listener: Arc<UnixListener>,
    thread: Option<JoinHandle<()>>,
    clients: Arc<Clients>,
}

impl Server {
    /// Listen in this state directory. Only for the holder of the daemon's lock: what lies there is stale then.
    pub(crate) fn start(state: &Path, daemon: &Arc<Daemon>) -> Result<Self, Failure> {
        let path = socket_path(state);
        let length = path.as_os_str().len();
        if length > PATH_LENGTH_MAX {
            return Err(Failure::Usage(format!(
                "the socket {} would have a name of {length} bytes; the system takes {PATH_LENGTH_MAX}: choose a shorter state directory",
                path.display()
            )));
        }
        disk::remove_file(&path).map_err(grap::Error::from)?;
        let listener = UnixListener::bind(&path).map_err(|error| failed("listen on", &path, &error))?;
        disk::set_mode(&path, 0o600).map_err(grap::Error::from)?;
        let listener = Arc::new(listener);
        let clients = Arc::new(Clients::new(Arc::clone(daemon)));
        let (accepting, served) = (Arc::clone(&listener), Arc::clone(&clients));
        let thread = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || served.accept(&accepting))
            .map_err(grap::Error::Thread)?;
        Ok(Self { path, listener, thread: Some(thread), clients })
    }

    /// Take no more clients, ask every operation to stop, and wait for them.
    pub(crate) fn end(mut self) {
        self.close();
    }

    fn close(&mut self) {
        let _ = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.clients.end();
        let _ = disk::remove_file(&self.path);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.close();
        }
    }
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot {what} {}: {error}", path.display());
    Failure::Found { code: Code::StateUnusable, message }
}

/// The operations that run for clients.
struct Clients {
    daemon: Arc<Daemon>,
    log: Log,
    running: Mutex<Running>,
    changed: Condvar,
}

#[derive(Default)]
struct Running {
    ending: bool,
    count: usize,
    next: u64,
    stops: BTreeMap<u64, Stop>,
    /// Those that have not asked for anything yet.
    silent: BTreeMap<u64, UnixStream>,
}

impl Clients {
    fn new(daemon: Arc<Daemon>) -> Self {
        let log = daemon.log.of("control");
        Self { daemon, log, running: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the listener is shut down.
    fn accept(self: &Arc<Self>, listener: &UnixListener) {
        for stream in listener.incoming() {
            if self.lock().ending {
                return;
            }
            let stream = match stream {
                Ok(stream) => stream,
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
                Err(error) => {
                    self.log.warning(&format!("cannot take a client: {error}"));
                    // Out of descriptors: they do not come back the faster for asking.
                    std::thread::sleep(Duration::from_millis(100));
                    continue;
                }
            };
            let Some(seat) = Seat::take(self, &stream) else {
                refuse(&stream, Code::JobRunning, "the daemon has too many clients");
                continue;
            };
            let serve = move || {
                if let Err(error) = seat.clients.serve(&stream, &seat) {
                    seat.clients.log.debug(&format!("a client is gone: {error}"));
                }
            };
            if let Err(error) = std::thread::Builder::new().name("client".to_owned()).spawn(serve) {
                self.log.warning(&format!("cannot start a thread for a client: {error}"));
            }
        }
    }

    fn end(&self) {
        let mut running = self.lock();
        running.ending = true;
        for stop in running.stops.values() {
            stop.request();
        }
        // It ends the wait for their question.
        for stream in running.silent.values() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        let all = |running: &mut Running| running.count > 0;
        drop(self.changed.wait_while(running, all).unwrap_or_else(PoisonError::into_inner));
    }

    /// One client, from its question to the end of the answer.
    fn serve(&self, stream: &UnixStream, seat: &Seat) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        if let Some(why) = stranger(stream)? {
            self.log.warning(&format!("a client is refused: {why}"));
            refuse(stream, Code::Usage, &why);
            return Ok(());
        }
        let mut lines = Lines::new(BufReader::new(stream.try_clone()?), QUESTION_MAX);
        let Some(line) = lines.next()? else { return Ok(()) };
        self.lock().silent.remove(&seat.number);
        match understand(&line) {
            Err(why) => refuse(stream, Code::Usage, &why),
            Ok(Ask::Status) => {
                let status = Box::new(self.daemon.status());
                let mut stream = stream;
                write_line(&mut stream, &Frame::Accepted)?;
                write_line(&mut stream, &Frame::Status(status))?;
                write_line(&mut stream, &Frame::End { status: 0, error: String::new() })?;
            }
            Ok(Ask::Run(request)) => self.run(*request, stream, lines, &seat.stop)?,
        }
        Ok(())
    }

    fn run(
        &self,
        request: RunRequest,
        mut stream: &UnixStream,
        lines: Lines<BufReader<UnixStream>>,
        stop: &Stop,
    ) -> io::Result<()> {
        write_line(&mut stream, &Frame::Accepted)?;
        stream.set_read_timeout(None)?;
        let listener = listen(lines, stop.clone())?;
        let json = request.common.json;
        let reply = Reply::start(stream.try_clone()?, stop.clone())?;
        let ended =
            self.daemon.run_for_client(request, stop, &reply.monitor(), &Stdout::Asker(reply.printer()));
        let (status, error) = match &ended {
            Ok(()) => (0, String::new()),
            Err(failure) => (failure.code().exit_status(), failure_text(failure, json)),
        };
        reply.end(status, error);
        let _ = stream.shutdown(std::net::Shutdown::Both);
        let _ = listener.join();
        Ok(())
    }
}

/// Room for one client, until dropped.
struct Seat {
    clients: Arc<Clients>,
    number: u64,
    stop: Stop,
}

impl Seat {
    fn take(clients: &Arc<Clients>, stream: &UnixStream) -> Option<Self> {
        let mut running = clients.lock();
        if running.count >= CLIENTS_MAX {
            return None;
        }
        running.count += 1;
        running.next += 1;
        let (number, stop) = (running.next, Stop::new());
        running.stops.insert(number, stop.clone());
        // Without it its silence is waited for at the end: nothing worse.
        running.silent.extend(stream.try_clone().ok().map(|stream| (number, stream)));
        drop(running);
        Some(Self { clients: Arc::clone(clients), number, stop })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut running = self.clients.lock();
        running.count -= 1;
        running.stops.remove(&self.number);
        running.silent.remove(&self.number);
        self.clients.changed.notify_all();
    }
}

/// Whatever comes, or comes no more, is the wish to stop: a client that is gone waits for nothing.
fn listen(mut lines: Lines<BufReader<UnixStream>>, stop: Stop) -> io::Result<JoinHandle<()>> {
    let listen = move || {
        while let Ok(Some(line)) = lines.next() {
            if line == STOP {
                break;
            }
        }
        stop.request();
    };
    std::thread::Builder::new().name("client-listener".to_owned()).spawn(listen)
}

/// Why the other side may ask for nothing.
fn stranger(stream: &UnixStream) -> io::Result<Option<String>> {
    let peer = peer::of(stream)?.uid;
    let own = rustix::process::getuid().as_raw();
    let known = peer == 0 || peer == own;
    Ok((!known).then(|| format!("user {peer} may not use the socket of the daemon of user {own}")))
}

fn understand(line: &str) -> Result<Ask, String> {
    let other = |why: String| {
        format!(
            "the daemon is {} and does not understand the question ({why}): restart it, or use its own program",
            host::PROGRAM
        )
    };
    let question: Question = parse(line).map_err(|error| other(error.to_string()))?;
    if question.version != VERSION {
        return Err(other(format!("it is of version {}, by {}", question.version, question.program)));
    }
    serde_json::from_value(question.ask).map_err(|error| other(format!("{error}, by {}", question.program)))
}

/// Say no, and let go.
fn refuse(stream: &UnixStream, code: Code, why: &str) {
    let frame = Frame::Refused { code: code.name().to_owned(), message: why.to_owned() };
    let _ = write_line(&mut &*stream, &frame);
}
