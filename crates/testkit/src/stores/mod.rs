//! Object storages to test against, on this machine: an S3 server (moto), Azure's (azurite), Google's
//! (fake-gcs-server). None is the real thing; what they are known to get wrong is said where it is met.
//!
//! Each is installed once, at a fixed version, by its own package manager, into the cache that the jars of
//! Neo4j are in, and listens on a free port of the loopback device. Everything it stores is gone with it.

mod azure;
mod gcs;
mod proxy;
mod s3;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub use azure::{Azurite, without_delete};
pub use gcs::FakeGcs;
pub use proxy::{Fault, Proxy, Request};
pub use s3::{LocalS3, SECRET as S3_SECRET, USER as S3_USER};

use crate::error::{Error, Result, tail};
use crate::install::{cache_folder, lock_file};

const PATIENCE: Duration = Duration::from_mins(1);

/// Where a storage keeps the objects of a test, and the environment that opens it.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// `s3://bucket`: put a prefix behind it.
    pub url: String,
    pub environment: Vec<(String, String)>,
}

/// Runs the words behind it until its own input ends, which it does when its parent dies, however that happens.
/// If they end by themselves, so does it.
const KEEPER: &str = r#"exec 3<&0 </dev/null
"$@" 3<&- & server=$!
(read -r _ <&3; kill "$server" 2>/dev/null) &
exec 3<&-
wait "$server""#;

/// A server of this machine. Ended when dropped, and when this process dies: one may be shared by many tests.
#[derive(Debug)]
struct Running {
    child: Child,
    port: u16,
    log: PathBuf,
    /// Kept as long as the server runs.
    _folder: tempfile::TempDir,
}

impl Running {
    /// Start `program`, told its port by `arguments`, and wait until it takes connections.
    fn start(program: &Path, arguments: impl FnOnce(&mut Command, u16, &Path)) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(Error::file("create", "a temporary folder"))?;
        let port = free_port()?;
        let log = folder.path().join("log");
        let output =
            || File::options().create(true).append(true).open(&log).map_err(Error::file("create", &log));
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "sh"]).arg(program);
        arguments(&mut command, port, folder.path());
        command.current_dir(folder.path()).stdin(Stdio::piped()).stdout(output()?).stderr(output()?);
        let child = command.spawn().map_err(Error::file("start", program))?;
        let mut running = Self { child, port, log, _folder: folder };
        running.await_port()?;
        Ok(running)
    }

    fn await_port(&mut self) -> Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.try_wait().map_err(Error::file("wait for", &self.log))?;
            if let Some(status) = ended {
                let (program, output) = ("a storage".to_owned(), tail(&self.log, 20));
                return Err(Error::Process { program, outcome: status.to_string(), output });
            }
            if begun.elapsed() > PATIENCE {
                let what = format!("a storage listens on port {}", self.port);
                return Err(Error::Timeout { what, waited: PATIENCE });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Error::file("bind", "127.0.0.1"))?;
    Ok(listener.local_addr().map_err(Error::file("name", "a socket"))?.port())
}

/// The folder of a tool, made once by `make`, which is given a folder to fill. `name` has the version in it.
pub(crate) fn installed(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = cache_folder().join("stores");
    fs::create_dir_all(&cache).map_err(Error::file("create", &cache))?;
    let cache = cache.canonicalize().map_err(Error::file("resolve", &cache))?;
    let _held_until_return = lock_file(&cache.join(format!("{name}.lock")))?;
    let folder = cache.join(name);
    if !folder.is_dir() {
        let scratch = tempfile::Builder::new().prefix(".making-").tempdir_in(&cache);
        let scratch = scratch.map_err(Error::file("create a folder in", &cache))?;
        let made = scratch.path().join(name);
        fs::create_dir(&made).map_err(Error::file("create", &made))?;
        make(&made)?;
        fs::rename(&made, &folder).map_err(Error::file("rename to", &folder))?;
    }
    Ok(folder)
}

/// Run an installer to its end.
pub(crate) fn install(command: &mut Command, hint: &str) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = match command.stdin(Stdio::null()).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::Missing { what: program, try_command: hint.to_owned() });
        }
        other => other.map_err(Error::file("start", &program))?,
    };
    if output.status.success() {
        return Ok(());
    }
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Err(Error::Missing {
        what: format!("a working {program} ({})", crate::error::last_lines(&text, 5)),
        try_command: hint.to_owned(),
    })
}

/// One request, one answer; anything but success is an error.
fn request(port: u16, head: &str, body: &[u8]) -> Result<()> {
    let failed = Error::file("speak to", "a storage");
    let exchange = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        let length = body.len();
        write!(
            stream,
            "{head}Host: 127.0.0.1:{port}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = exchange().map_err(failed)?;
    let status = answer.split_whitespace().nth(1).unwrap_or_default();
    if status.starts_with('2') {
        return Ok(());
    }
    let program = head.lines().next().unwrap_or_default().to_owned();
    Err(Error::Process { program, outcome: status.to_owned(), output: answer })
}
