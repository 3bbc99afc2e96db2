//! From an address to a connection that is logged on.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;

use super::connection::Connection;
use super::wire::{Deadline, Socket, Wire, lost};
use super::{Address, Options, Security, tls};
use crate::error::{Error, Result};
use crate::handshake::{Answer, Manifest, Version, choice, offer};
use crate::message::Request;
use crate::packstream::{Map, Value};

const RESOLVING: &str = "resolve the name";
const CONNECTING: &str = "connect";
const AGREEING: &str = "agree on a version";
const LOGGING_ON: &str = "log on";

/// Whether who answers there speaks Bolt: the version that was agreed on. Nobody logs on.
pub fn greet(options: &Options) -> Result<Version> {
    let budget = options.budget.map(|budget| Deadline::after(&options.clock, budget));
    reach(options, budget.as_ref()).map(|(_, version, _)| version)
}

impl Connection {
    /// Connects, agrees on a version, and logs on.
    pub fn open(options: &Options) -> Result<Self> {
        let budget = options.budget.map(|budget| Deadline::after(&options.clock, budget));
        let (wire, version, behind) = reach(options, budget.as_ref())?;
        let mut connection = Self::new(wire, version, options, budget, behind);
        connection.log_on(options)?;
        Ok(connection)
    }

    /// HELLO, and from 5.1 on LOGON; sent together, so that it costs one round trip.
    fn log_on(&mut self, options: &Options) -> Result<()> {
        let auth = options.auth.to_map();
        let mut extra = Map::new().with("user_agent", options.user_agent.as_str());
        if self.version() >= Version::V5_3 {
            extra.push("bolt_agent", Map::new().with("product", options.user_agent.as_str()));
        }
        if self.version() < Version::V5_0 {
            // Datetimes as they came to be in 5.0.
            extra.push("patch_bolt", vec![Value::from("utc")]);
        }
        if self.version() < Version::V5_1 {
            extra.0.extend(auth.0);
            self.send(LOGGING_ON, &[Request::Hello { extra }])?;
        } else {
            self.send(LOGGING_ON, &[Request::Hello { extra }, Request::Logon { auth }])?;
        }
        let hello = self.answer(LOGGING_ON)?;
        if self.version() >= Version::V5_1 {
            self.answer(LOGGING_ON)?;
        }
        self.set_hello(hello);
        Ok(())
    }
}

/// A connection on which a version is agreed on, and what the server has sent behind it.
fn reach(options: &Options, budget: Option<&Deadline>) -> Result<(Wire, Version, Vec<u8>)> {
    let connect = Deadline::after(&options.clock, options.limits.connect).within(budget);
    let stream = dial(&options.address, &connect)?;
    let handshake = Deadline::after(&options.clock, options.limits.handshake).within(budget);
    let mut wire = protect(stream, options, &handshake)?;
    let (version, behind) = agree(&mut wire, &options.address.to_string())?;
    Ok((wire, version, behind))
}

/// A connection of TCP to the first of the host's addresses that takes one.
fn dial(address: &Address, deadline: &Deadline) -> Result<TcpStream> {
    let server = address.to_string();
    let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let candidates = resolve(address, deadline)?;
    for (tried, candidate) in candidates.iter().enumerate() {
        let timeout = |_| Error::Timeout { doing: CONNECTING, server: server.clone(), limit: deadline.limit };
        // One that does not answer leaves time for the others.
        let untried = u32::try_from(candidates.len() - tried).unwrap_or(u32::MAX);
        let left = deadline.left().map_err(timeout)? / untried;
        match TcpStream::connect_timeout(candidate, left) {
            Ok(stream) => {
                let ready = stream.set_nodelay(true);
                ready.map_err(|source| Error::Connect { server, source })?;
                return Ok(stream);
            }
            Err(error) => refused = error,
        }
    }
    Err(match refused.kind() {
        io::ErrorKind::TimedOut => Error::Timeout { doing: CONNECTING, server, limit: deadline.limit },
        _ => Error::Connect { server, source: refused },
    })
}

/// The addresses of a host. The system's resolver knows no deadline: it is waited for in a thread, which is left
/// behind when it takes too long.
fn resolve(address: &Address, deadline: &Deadline) -> Result<Vec<SocketAddr>> {
    if let Ok(ip) = address.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, address.port)]);
    }
    let host = address.host.clone();
    let wrong = |source| Error::Resolve { host: host.clone(), source };
    let (say, hear) = mpsc::channel();
    let target = (host.clone(), address.port);
    thread::Builder::new()
        .name("resolve".into())
        .spawn(move || {
            // Nobody listens any more when it took too long.
            let _ = say.send(target.to_socket_addrs().map(Vec::from_iter));
        })
        .map_err(wrong)?;
    let timeout = || Error::Timeout { doing: RESOLVING, server: address.to_string(), limit: deadline.limit };
    let left = deadline.left().map_err(|_| timeout())?;
    hear.recv_timeout(left).map_err(|_| timeout())?.map_err(wrong)
}

fn protect(stream: TcpStream, options: &Options, deadline: &Deadline) -> Result<Wire> {
    let socket = Socket::new(stream, deadline.clone());
    match options.address.security {
        Security::Plain => Ok(Wire::Plain(socket)),
        Security::Tls | Security::TlsAnyCertificate => {
            tls::secure(socket, &options.address, options.authorities.as_deref(), deadline.limit)
        }
    }
}

/// The handshake: the version, and what the server has sent behind it.
fn agree(wire: &mut Wire, server: &str) -> Result<(Version, Vec<u8>)> {
    let limit = wire.limit();
    let broke = |error| lost(AGREEING, server, limit, error);
    wire.send(&offer()).map_err(broke)?;
    let mut input = Vec::new();
    while input.len() < 4 {
        wire.read_some(&mut input).map_err(broke)?;
    }
    let behind = input.split_off(4);
    let answer = <[u8; 4]>::try_from(input).expect("split at 4");
    let none = |offered| Error::NoCommonVersion { server: server.to_owned(), offered };
    match Answer::parse(answer) {
        Answer::Chosen(version) if version.is_supported() => Ok((version, behind)),
        Answer::Chosen(version) => Err(none(vec![version])),
        Answer::Nothing => Err(none(Vec::new())),
        Answer::NotBolt => Err(Error::NotBolt { server: server.to_owned(), answer }),
        Answer::Manifest => {
            let (manifest, behind) = read_manifest(wire, behind, server)?;
            let newest = manifest.newest_supported();
            let version = newest.ok_or_else(|| none(manifest.versions().collect()))?;
            wire.send(&choice(version)).map_err(broke)?;
            Ok((version, behind))
        }
    }
}

fn read_manifest(wire: &mut Wire, mut input: Vec<u8>, server: &str) -> Result<(Manifest, Vec<u8>)> {
    loop {
        match Manifest::parse(&input) {
            Ok((manifest, length)) => return Ok((manifest, input.split_off(length))),
            Err(Error::NeedMore { .. }) => {
                let limit = wire.limit();
                wire.read_some(&mut input).map_err(|error| lost(AGREEING, server, limit, error))?;
            }
            Err(error) => {
                let (server, what) = (server.to_owned(), error.to_string());
                return Err(Error::Unexpected { doing: AGREEING, server, what });
            }
        }
    }
}
