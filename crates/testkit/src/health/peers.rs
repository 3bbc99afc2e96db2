//! Peers of a connection that is half open: what `grap health` says of each, and after how long.
//!
//! Some are nobody at all, some stand between the program and a real server and stop, or close, at a given question. So each
//! check meets a server that hangs just then.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::Asking;
use crate::Server;
use crate::error::{Error, Result};

/// What a server that has just started takes for the questions before the one at which it is gone.
const SOON: Duration = Duration::from_secs(3);
const CONNECTIVITY: (&str, Duration) = ("connectivity", Duration::from_secs(5));
const SCHEMA: (&str, Duration) = ("schema_consistency", Duration::from_secs(10));
const ORPHANS: (&str, Duration) = ("orphan_detection", Duration::from_secs(30));
const UNREACHABLE: &str = "NEO4J_UNREACHABLE";
const UNHEALTHY: &str = "UNHEALTHY";

/// How a peer behaves.
#[derive(Debug, Clone, Copy)]
enum Peer {
    /// Takes the connection, says nothing.
    Silent,
    /// Says this to the first bytes, then nothing.
    Says(&'static [u8]),
    /// Says this to the first bytes, then closes.
    SaysAndCloses(&'static [u8]),
    /// Passes everything on until the client asks this; from then on the client hears nothing.
    DeafAt(&'static [u8]),
    /// The same; then both sides are closed.
    DiesAt(&'static [u8]),
}

/// What must be said of it: by which check, within which limit, with which code.
struct Case {
    name: &'static str,
    peer: Peer,
    check: &'static str,
    limit: Duration,
    code: &'static str,
}

const fn case(
    name: &'static str,
    peer: Peer,
    (check, limit): (&'static str, Duration),
    code: &'static str,
) -> Case {
    Case { name, peer, check, limit, code }
}

/// Without waiting, whatever the check's own limit is.
const fn at_once((check, _): (&'static str, Duration)) -> (&'static str, Duration) {
    (check, SOON)
}

const CASES: [Case; 11] = [
    case("accepts and never answers", Peer::Silent, CONNECTIVITY, UNREACHABLE),
    case("answers half of the handshake", Peer::Says(&[0, 0]), CONNECTIVITY, UNREACHABLE),
    case("agrees on a version, then nothing", Peer::Says(&[0, 0, 4, 5]), CONNECTIVITY, UNREACHABLE),
    case("closes at once", Peer::SaysAndCloses(&[]), at_once(CONNECTIVITY), UNREACHABLE),
    case("closes amid the handshake", Peer::SaysAndCloses(&[0, 0]), at_once(CONNECTIVITY), UNREACHABLE),
    case("speaks HTTP", Peer::Says(b"HTTP/1.1 400 \r\n"), at_once(CONNECTIVITY), "NEO4J_NOT_BOLT"),
    case("hangs at the first question", Peer::DeafAt(b"RETURN 1"), CONNECTIVITY, UNREACHABLE),
    case("dies at the first question", Peer::DiesAt(b"RETURN 1"), at_once(CONNECTIVITY), UNREACHABLE),
    case("hangs amid the schema", Peer::DeafAt(b"SHOW CONSTRAINTS"), SCHEMA, UNHEALTHY),
    case("dies amid the schema", Peer::DiesAt(b"SHOW CONSTRAINTS"), at_once(SCHEMA), UNHEALTHY),
    case("hangs amid the relationships", Peer::DeafAt(b"UNWIND range"), ORPHANS, UNHEALTHY),
];

/// All of them at once: they only wait. Those that take no longer than `longest` are tried.
pub fn half_open(asking: &Asking, server: &Server, longest: Duration) -> Result<String> {
    let cases: Vec<&Case> = CASES.iter().filter(|case| case.limit <= longest).collect();
    let told = thread::scope(|scope| {
        let waiting: Vec<_> = cases.iter().map(|case| scope.spawn(|| tried(case, asking, server))).collect();
        let joined = |waiting: thread::ScopedJoinHandle<'_, Result<String>>| {
            waiting.join().unwrap_or_else(|_| Err(Error::Workload("a peer panicked".into())))
        };
        waiting.into_iter().map(joined).collect::<Result<Vec<_>>>()
    })?;
    Ok(format!(
        "half open: {} peers, each told by the right check within its limit: {}",
        told.len(),
        told.join(", ")
    ))
}

fn tried(case: &Case, asking: &Asking, server: &Server) -> Result<String> {
    let address = start(case.peer, server.bolt_address())?;
    let answer = asking.clone().at(&format!("bolt://{address}")).ask(&[])?;
    answer.require(case.name, case.check, case.code)?;
    answer.require_within(case.name, case.check, case.limit)?;
    Ok(format!("{} {:.1} s", case.name, answer.milliseconds(case.check) / 1e3))
}

/// A peer of one connection; its threads end with the connection.
fn start(peer: Peer, server: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Error::file("bind", "127.0.0.1"))?;
    let address = listener.local_addr().map_err(Error::file("name", "a socket"))?;
    thread::spawn(move || {
        // A client that is gone is the end of it, not a fault.
        let _ = listener.accept().and_then(|(client, _)| behave(peer, client, server));
    });
    Ok(address)
}

/// A peer that passes everything on, but that the first connection on which this is asked dies of it. It takes clients for
/// as long as the process lives.
pub fn dies_once_at(question: &'static [u8], server: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Error::file("bind", "127.0.0.1"))?;
    let address = listener.local_addr().map_err(Error::file("name", "a socket"))?;
    let armed = Arc::new(AtomicBool::new(true));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let armed = Arc::clone(&armed);
            thread::spawn(move || between(client, server, question, true, &armed));
        }
    });
    Ok(address)
}

fn behave(peer: Peer, mut client: TcpStream, server: SocketAddr) -> std::io::Result<()> {
    match peer {
        Peer::Silent => drain(client),
        Peer::Says(words) | Peer::SaysAndCloses(words) => {
            let _ = client.read(&mut [0; 64])?;
            client.write_all(words)?;
            if matches!(peer, Peer::Says(_)) { drain(client) } else { Ok(()) }
        }
        Peer::DeafAt(question) => between(client, server, question, false, &AtomicBool::new(true)),
        Peer::DiesAt(question) => between(client, server, question, true, &AtomicBool::new(true)),
    }
}

/// Reads and forgets until the client closes.
fn drain(mut client: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    while client.read(&mut buffer)? > 0 {}
    Ok(())
}

/// As long as it is armed: one that has struck is not any more.
fn between(
    mut client: TcpStream,
    server: SocketAddr,
    question: &[u8],
    dies: bool,
    armed: &AtomicBool,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server)?;
    let deaf = Arc::new(AtomicBool::new(false));
    let (from, to, heard) = (server.try_clone()?, client.try_clone()?, Arc::clone(&deaf));
    thread::spawn(move || give_back(from, to, &heard));
    let (mut buffer, mut asked) = ([0; 4096], Vec::new());
    loop {
        let length = client.read(&mut buffer)?;
        if length == 0 {
            return server.shutdown(Shutdown::Both);
        }
        asked.extend_from_slice(&buffer[..length]);
        if memchr::memmem::find(&asked, question).is_some() && armed.swap(false, Ordering::SeqCst) {
            deaf.store(true, Ordering::SeqCst);
            if dies {
                server.shutdown(Shutdown::Both)?;
                return client.shutdown(Shutdown::Both);
            }
        }
        server.write_all(&buffer[..length])?;
    }
}

fn give_back(mut server: TcpStream, mut client: TcpStream, deaf: &AtomicBool) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let length = server.read(&mut buffer)?;
        if length == 0 {
            return client.shutdown(Shutdown::Both);
        }
        if !deaf.load(Ordering::SeqCst) {
            client.write_all(&buffer[..length])?;
        }
    }
}
