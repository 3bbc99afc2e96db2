//! The socket at which others ask how the server is, and have it stopped and started: one line of JSON asks, one answers.
//!
//! - It is for its owner and its group (mode 0660), from the moment that it has its name: it is bound and given its rights
//!   under another one, by a process that makes nothing for others meanwhile (umask). A lock beside it says whose it is.
//! - Nobody is waited for. A client has a time and a length within which it says its line; when there are too many, the
//!   one that was silent longest goes.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use grap::Code;
use grap::server::control::supervisor::{
    QUESTION_MAX, SupervisorAnswer, SupervisorQuestion, SupervisorRefusal, SupervisorVerb,
};
use grap_disk::{self as disk, FileLock, Kind};
use rustix::fs::Mode;
use rustix::process::umask;

use crate::peer::{self, PATH_LENGTH_MAX};

const CLIENTS_MAX: usize = 16;
/// From one line of a client to the next.
const PATIENCE: Duration = Duration::from_secs(10);
const MODE: u32 = 0o660;

/// Its name goes when it is dropped.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    listener: UnixListener,
    clients: Vec<Client>,
    _lock: FileLock,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    line: Vec<u8>,
    silent_since: Duration,
}

/// Who asked for what.
pub(super) struct Asked {
    pub(super) verb: SupervisorVerb,
    /// For the log.
    pub(super) who: String,
}

impl Socket {
    /// No other thread of ours may make files meanwhile.
    pub(super) fn listen(path: &Path) -> Result<Self, String> {
        let text = |error: disk::DiskError| grap::in_one_line(&grap::Error::from(error));
        // On a volume that was made just now nothing is there yet.
        path.parent().map_or(Ok(()), disk::create_dir_all).map_err(text)?;
        let lock = lock(path)?;
        require_free(path)?;
        let unnamed = beside(path, ".new");
        let length = unnamed.as_os_str().len();
        if length > PATH_LENGTH_MAX {
            return Err(format!("its name would have {length} bytes; the system takes {PATH_LENGTH_MAX}"));
        }
        disk::remove_file(&unnamed).map_err(text)?;
        let before = umask(Mode::RWXO | Mode::RWXG | Mode::XUSR);
        let bound = UnixListener::bind(&unnamed);
        umask(before);
        let listener = bound.map_err(|error| format!("cannot listen on {}: {error}", unnamed.display()))?;
        listener.set_nonblocking(true).map_err(|error| error.to_string())?;
        disk::set_mode(&unnamed, MODE).map_err(text)?;
        disk::rename(&unnamed, path).map_err(text)?;
        Ok(Self { path: path.to_owned(), listener, clients: Vec::new(), _lock: lock })
    }

    /// What there is to wait for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let clients = self.clients.iter().map(|client| client.stream.as_fd());
        std::iter::once(self.listener.as_fd()).chain(clients)
    }

    /// When the patience with the most silent client ends.
    pub(super) fn due(&self) -> Option<Duration> {
        self.clients.iter().map(|client| client.silent_since + PATIENCE).min()
    }

    /// Take who comes, answer who has asked, let go of who is silent. Waits for nobody.
    pub(super) fn serve(&mut self, now: Duration, mut answer: impl FnMut(&Asked) -> SupervisorAnswer) {
        self.accept(now);
        for mut client in std::mem::take(&mut self.clients) {
            if client.talk(now, &mut answer) {
                self.clients.push(client);
            }
        }
    }

    fn accept(&mut self, now: Duration) {
        for _ in 0..CLIENTS_MAX {
            let Ok((stream, _)) = self.listener.accept() else { return };
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            if self.clients.len() >= CLIENTS_MAX {
                let longest = self.clients.iter().enumerate().min_by_key(|(_, client)| client.silent_since);
                if let Some(index) = longest.map(|(index, _)| index) {
                    self.clients.remove(index);
                }
            }
            self.clients.push(Client { stream, line: Vec::new(), silent_since: now });
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = disk::remove_file(&self.path);
    }
}

impl Client {
    /// Whether it stays.
    fn talk(&mut self, now: Duration, answer: &mut impl FnMut(&Asked) -> SupervisorAnswer) -> bool {
        let mut bytes = [0; QUESTION_MAX];
        // Once: who says much waits for his next turn, as everybody does.
        let stays = match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(length) => {
                self.line.extend_from_slice(&bytes[..length]);
                self.answer_lines(now, answer)
            }
            Err(error) => {
                matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
            }
        };
        stays && now.saturating_sub(self.silent_since) < PATIENCE
    }

    fn answer_lines(&mut self, now: Duration, answer: &mut impl FnMut(&Asked) -> SupervisorAnswer) -> bool {
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.line.drain(..=end).collect();
            self.silent_since = now;
            let said = match serde_json::from_slice(&line) {
                Ok(SupervisorQuestion { verb }) => answer(&Asked { verb, who: who(&self.stream) }),
                Err(error) => refusal(format!("the question is not understood: {error}")),
            };
            if !self.say(&said) {
                return false;
            }
        }
        if self.line.len() < QUESTION_MAX {
            return true;
        }
        self.say(&refusal(format!("a question has at most {QUESTION_MAX} bytes")));
        false
    }

    /// One that does not take its answers is not waited for.
    fn say(&mut self, answer: &SupervisorAnswer) -> bool {
        let Ok(mut line) = serde_json::to_vec(answer) else { return false };
        line.push(b'\n');
        self.stream.write_all(&line).is_ok()
    }
}

pub(super) fn refusal(message: String) -> SupervisorAnswer {
    SupervisorAnswer::Refused { error: SupervisorRefusal { code: Code::Usage.name().to_owned(), message } }
}

fn who(stream: &UnixStream) -> String {
    let Ok(peer) = peer::of(stream) else { return "somebody".to_owned() };
    let process =
        peer.pid.map_or_else(|| "a process of another container".to_owned(), |pid| format!("process {pid}"));
    format!("{process} of user {}", peer.uid)
}

/// Two of us must not take the name from each other.
fn lock(path: &Path) -> Result<FileLock, String> {
    let text = |error: disk::DiskError| grap::in_one_line(&grap::Error::from(error));
    let lock = FileLock::try_exclusive(&beside(path, ".lock")).map_err(text)?;
    lock.ok_or_else(|| format!("another grap supervise listens on {}", path.display()))
}

/// What one of us has left there when it was killed answers nobody. Everything else that has this name keeps it.
fn require_free(path: &Path) -> Result<(), String> {
    let taken = |why: &str| Err(format!("{} {why}", path.display()));
    match disk::stat_link(path).map_err(|error| grap::in_one_line(&grap::Error::from(error)))? {
        None => Ok(()),
        Some(found) if found.kind != Kind::Other => taken("is there, and no socket"),
        Some(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(format!("{} is there, and no socket that was left: {error}", path.display())),
            Ok(_) => taken("is a socket, and somebody listens at it"),
        },
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
