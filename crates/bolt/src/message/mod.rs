//! Messages: a structure with a tag, within chunks.
//!
//! [`Head`] is a message in borrowed bytes: its tag, and its fields as they are. [`Request`] and [`Response`] are the
//! messages that this crate knows, owned.

mod failure;
mod request;
mod response;

pub use failure::Failure;
pub use request::Request;
pub use response::Response;

use crate::error::{Error, Result};
use crate::packstream::{Items, Raw, Token};

/// The tags of the messages.
pub mod tag {
    pub const HELLO: u8 = 0x01;
    pub const GOODBYE: u8 = 0x02;
    pub const RESET: u8 = 0x0f;
    pub const RUN: u8 = 0x10;
    pub const BEGIN: u8 = 0x11;
    pub const COMMIT: u8 = 0x12;
    pub const ROLLBACK: u8 = 0x13;
    pub const DISCARD: u8 = 0x2f;
    pub const PULL: u8 = 0x3f;
    pub const TELEMETRY: u8 = 0x54;
    pub const ROUTE: u8 = 0x66;
    pub const LOGON: u8 = 0x6a;
    pub const LOGOFF: u8 = 0x6b;
    pub const SUCCESS: u8 = 0x70;
    pub const RECORD: u8 = 0x71;
    pub const IGNORED: u8 = 0x7e;
    pub const FAILURE: u8 = 0x7f;
}

/// A whole message, of which nothing was copied and nothing but the tag was looked at.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    pub tag: u8,
    message: Raw<'a>,
}

impl<'a> Head<'a> {
    /// Of the bytes of a whole message (without its chunks).
    pub fn of(message: &'a [u8]) -> Result<Self> {
        let (message, rest) = Raw::split(message).map_err(|error| match error {
            Error::NeedMore { .. } => Error::NotAMessage { what: "it ends within a value" },
            other => other,
        })?;
        match message.token()? {
            Token::Structure { tag, .. } if rest.is_empty() => Ok(Self { tag, message }),
            Token::Structure { .. } => Err(Error::NotAMessage { what: "bytes follow the structure" }),
            _ => Err(Error::NotAMessage { what: "it is no structure" }),
        }
    }

    pub fn fields(&self) -> Items<'a> {
        self.message.items()
    }

    pub fn field(&self, index: usize) -> Option<Raw<'a>> {
        self.fields().nth(index)
    }

    /// The message itself.
    pub fn bytes(&self) -> &'a [u8] {
        self.message.bytes()
    }
}
