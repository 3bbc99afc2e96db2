//! A proxy in front of a storage, which makes its faults.
//!
//! It reads a whole request, asks the rule what is to happen to it, and does that. Each connection serves one
//! request, so that no fault leaks into another one. It speaks HTTP/1.1 with lengths, as storages and their
//! clients do.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};

/// What the storage is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// From 1, since the rule was set.
    pub number: usize,
    /// `PUT`
    pub method: String,
    /// `/bucket/prefix/data/..`, with the query.
    pub target: String,
    /// Its first line and all headers, as they came.
    pub head: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It goes through.
    None,
    /// The storage does nothing and answers this status and code.
    Answer(u16, &'static str),
    /// The storage does what it is asked, and the answer is this status.
    AnswerAfter(u16, &'static str),
    /// The connection is cut before anything is done.
    Cut,
    /// The storage does what it is asked, and the answer is lost.
    LoseAnswer,
    /// The answer breaks off in the middle of its body.
    HalfAnswer,
    /// Nothing is done and nothing answered for so many milliseconds; then the connection is cut.
    Hang(u64),
    /// It goes through, so many milliseconds late.
    Late(u64),
}

type Rule = dyn Fn(&Request) -> Fault + Send + Sync;

/// For a storage that speaks another dialect than its model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Translation {
    /// The head of each request, as the storage understands it.
    pub(super) request: fn(&str) -> String,
    /// Lines that each answer lacks.
    pub(super) answer: &'static str,
}

/// Ended when dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    upstream: SocketAddr,
    translation: Option<Translation>,
    rule: Mutex<Arc<Rule>>,
    seen: AtomicUsize,
    struck: AtomicUsize,
    ended: Mutex<bool>,
}

impl Proxy {
    /// In front of this port of this machine; without faults until a rule is set.
    pub fn start(upstream: u16) -> Result<Self> {
        Self::translating(upstream, None)
    }

    pub(super) fn translating(upstream: u16, translation: Option<Translation>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Error::file("bind", "127.0.0.1"))?;
        let address = listener.local_addr().map_err(Error::file("name", "a socket"))?;
        let shared = Arc::new(Shared {
            upstream: SocketAddr::from(([127, 0, 0, 1], upstream)),
            translation,
            rule: Mutex::new(Arc::new(|_: &Request| Fault::None)),
            seen: AtomicUsize::new(0),
            struck: AtomicUsize::new(0),
            ended: Mutex::new(false),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if *served.ended.lock().unwrap_or_else(PoisonError::into_inner) {
                    return;
                }
                let shared = Arc::clone(&served);
                std::thread::spawn(move || {
                    // A client that went away is its own business.
                    let _ = shared.serve(client);
                });
            }
        });
        Ok(Self { shared, address })
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on; the requests are counted anew.
    pub fn set(&self, rule: impl Fn(&Request) -> Fault + Send + Sync + 'static) {
        *self.shared.rule.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(rule);
        self.shared.seen.store(0, Ordering::SeqCst);
        self.shared.struck.store(0, Ordering::SeqCst);
    }

    /// No faults any longer.
    pub fn clear(&self) {
        self.set(|_| Fault::None);
    }

    /// Requests since the rule was set.
    pub fn seen(&self) -> usize {
        self.shared.seen.load(Ordering::SeqCst)
    }

    /// Faults since the rule was set.
    pub fn struck(&self) -> usize {
        self.shared.struck.load(Ordering::SeqCst)
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy({} before {})", self.address, self.shared.upstream)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        *self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let Some(mut request) = read_head(&mut reader)? else { return Ok(()) };
        let head = request.head.clone();
        let mut body = vec![0; length_of(&head)];
        reader.read_exact(&mut body)?;
        request.number = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
        let rule = Arc::clone(&self.rule.lock().unwrap_or_else(PoisonError::into_inner));
        let fault = rule(&request);
        if fault != Fault::None {
            self.struck.fetch_add(1, Ordering::SeqCst);
        }
        match fault {
            Fault::None => answer(client, &self.forward(&head, &body)?),
            Fault::Answer(status, code) => refuse(client, &request, status, code),
            Fault::AnswerAfter(status, code) => {
                self.forward(&head, &body)?;
                refuse(client, &request, status, code)
            }
            Fault::Cut => Ok(()),
            Fault::LoseAnswer => self.forward(&head, &body).map(drop),
            Fault::HalfAnswer => {
                let whole = self.forward(&head, &body)?;
                let body = whole.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
                answer(client, &whole[..usize::midpoint(body, whole.len())])
            }
            Fault::Hang(millis) => {
                std::thread::sleep(Duration::from_millis(millis));
                Ok(())
            }
            Fault::Late(millis) => {
                std::thread::sleep(Duration::from_millis(millis));
                answer(client, &self.forward(&head, &body)?)
            }
        }
    }

    /// The whole answer of the storage.
    fn forward(&self, head: &str, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut upstream = TcpStream::connect(self.upstream)?;
        let head = match self.translation {
            // Such a storage may look at the name that it is called by.
            Some(with) => {
                format!("{}Host: {}\r\n\r\n", with_close(&(with.request)(head), true), self.upstream)
            }
            None => with_close(head, false) + "\r\n",
        };
        upstream.write_all(head.as_bytes())?;
        upstream.write_all(body)?;
        let mut whole = Vec::new();
        upstream.read_to_end(&mut whole)?;
        if let Some(translation) = self.translation
            && let Some(end) = whole.windows(2).position(|end| end == b"\r\n")
        {
            whole.splice(end + 2..end + 2, translation.answer.bytes());
        }
        Ok(whole)
    }
}

/// `None` at the end of the connection.
fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut head = String::new();
    loop {
        let before = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
        if &head[before..] == "\r\n" {
            break;
        }
    }
    let mut words = head.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default().to_owned();
    Ok(Some(Request { number: 0, method, target, head }))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn length_of(head: &str) -> usize {
    header(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// One request a connection; the head without the empty line at its end, and, if wanted, without a host.
fn with_close(head: &str, drop_host: bool) -> String {
    let kept = head.lines().filter(|line| {
        let line = line.to_ascii_lowercase();
        let dropped = line.is_empty()
            || line.starts_with("connection:")
            || line.starts_with("expect:")
            || (drop_host && line.starts_with("host:"));
        !dropped
    });
    kept.fold(String::new(), |head, line| head + line + "\r\n") + "Connection: close\r\n"
}

/// The storage closes after each answer, and says so in it.
fn answer(mut client: TcpStream, bytes: &[u8]) -> io::Result<()> {
    client.write_all(bytes)?;
    client.flush()
}

fn refuse(mut client: TcpStream, request: &Request, status: u16, code: &str) -> io::Result<()> {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>by the test</Message></Error>");
    // An answer to HEAD has no body.
    let sent = if request.method == "HEAD" { "" } else { body.as_str() };
    write!(
        client,
        "HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{sent}",
        body.len()
    )?;
    client.flush()
}
