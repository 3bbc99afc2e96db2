//! Bolt, the protocol in which one speaks with Neo4j: its bytes, and a small client.
//!
//! The bytes are pure (they take and give slices; nothing reads a socket or a clock) and stand alone:
//! - [`packstream`] values, [`chunk`] framing, the two [`handshake`]s, [`message`]s, [`view`]s of the structures
//!   that mean something, [`bookmark`]s.
//!
//! On top of them is the [`client`]: one blocking connection, with a limit of time for everything that it does.
//!
//! Rules that hold throughout:
//! - **Lossless.** A map keeps its order and its duplicate keys, an unknown structure its fields. What was decoded and is
//!   encoded again gives the same bytes, where they were in their shortest form (servers and drivers write no other); who
//!   must give on what another wrote, gives on [`packstream::Raw`] bytes.
//! - **No length is believed.** Memory is taken for bytes that are there, never for bytes that are announced; a message
//!   has a largest size, nesting a largest depth.
//! - **No input panics.** A part of something valid is [`Error::NeedMore`] and nothing else.
//! - **Nothing is taken for done that was not heard of.** A dropped exchange makes the connection useless for good
//!   ([`Error::Poisoned`]); a commit without an answer is [`Error::CommitInDoubt`].

pub mod bookmark;
pub mod chunk;
pub mod client;
mod error;
pub mod handshake;
pub mod message;
pub mod packstream;
pub mod view;

pub use bookmark::Bookmark;
pub use error::{Error, Result};
pub use handshake::Version;
pub use packstream::{Map, Structure, Value};
