//! The one error of this crate. `at` is an offset in the bytes that were given to the decoder.

use std::io;
use std::time::Duration;

use crate::handshake::Version;
use crate::message::Failure;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    // The bytes.
    /// What is there is right so far, and goes on.
    #[error("the bytes end at {at}, in the middle of something")]
    NeedMore { at: usize },
    #[error("byte {marker:#04x} at {at} begins no value")]
    UnknownMarker { at: usize, marker: u8 },
    #[error("the text at {at} is no UTF-8")]
    NotUtf8 { at: usize },
    #[error("the key of a map at {at} is no text")]
    KeyNotText { at: usize },
    #[error("values are nested deeper than {limit} at {at}")]
    TooDeep { at: usize, limit: usize },
    #[error("a value is too large to be encoded: {what}")]
    NotEncodable { what: &'static str },
    #[error("a message is larger than {limit} bytes")]
    MessageTooLarge { limit: usize },
    #[error("no Bolt message: {what}")]
    NotAMessage { what: &'static str },

    // Where, and how to get there.
    #[error("{uri}: {why}; e.g. bolt://localhost:7687")]
    Address { uri: String, why: &'static str },
    #[error("the authentication {why}; it is USER/PASSWORD, or none")]
    Authentication { why: &'static str },
    #[error("no certificate in what should be certificates in PEM: {why}")]
    Certificates { why: String },
    #[error("the name {host} could not be resolved")]
    Resolve { host: String, source: io::Error },
    #[error("no connection to {server}")]
    Connect { server: String, source: io::Error },
    #[error("no TLS with {server}")]
    Tls { server: String, source: rustls::Error },
    #[error("{server} speaks no Bolt: it answered {answer:02x?}")]
    NotBolt { server: String, answer: [u8; 4] },
    #[error("{server} speaks none of the versions 4.4 to 6.1 of Bolt ({offered:?})")]
    NoCommonVersion { server: String, offered: Vec<Version> },

    // An exchange.
    #[error("{doing}: no answer from {server} within {limit:?}")]
    Timeout { doing: &'static str, server: String, limit: Duration },
    #[error("{doing}: {server} closed the connection")]
    Closed { doing: &'static str, server: String },
    #[error("{doing}: the connection to {server} broke")]
    Broken { doing: &'static str, server: String, source: io::Error },
    #[error("{doing}: {server} answered with something else than an answer: {what}")]
    Unexpected { doing: &'static str, server: String, what: String },
    /// The server's own word. The connection goes on.
    #[error("{doing}: {failure}")]
    Server { doing: &'static str, failure: Failure },
    /// Not done, because something before it failed.
    #[error("{doing}: {server} ignored it, as something before it had failed")]
    Ignored { doing: &'static str, server: String },
    #[error(
        "{doing}: the transaction on {server} is over: a statement in it failed, or was not read to its end"
    )]
    TransactionOver { doing: &'static str, server: String },
    /// It was sent, and whether it was done is not known. Never do it again without looking.
    #[error("whether {server} has committed is not known")]
    CommitInDoubt { server: String, source: Box<Error> },
    #[error("the connection to {server} cannot be used any more ({because}): open a new one")]
    Poisoned { server: String, because: String },
}

impl Error {
    /// Whether the other end is, or may be, gone: nobody listens there, or the connection broke.
    pub fn is_break(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Closed { .. } | Self::Broken { .. } | Self::Poisoned { .. } => true,
            Self::CommitInDoubt { source, .. } => source.is_break(),
            _ => false,
        }
    }

    /// What the server said, if it was the server that said no, or made the doubt.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Server { failure, .. } => Some(failure),
            Self::CommitInDoubt { source, .. } => source.failure(),
            _ => None,
        }
    }
}
