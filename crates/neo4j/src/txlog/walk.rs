//! Steps over the commands of one complete transaction.
//!
//! Commands have no length, so each must be understood far enough to know where it ends
//! (`docs/format/transaction-log.md`, section 8; the lengths are in `body`). Whatever needs a command's
//! meaning goes over this: a command that this version of Grap does not know is an error that names it, and
//! then nothing behind it can be judged.
//!
//! Why it is right: the bytes begin with a START and end with a COMMIT of the same kernel, and a walk without
//! an error has met nothing in between but commands, one directly behind the other, the last of which ends
//! where the COMMIT begins. A layout that was misread even once would have to hit such a chain by chance.
//! The checksum is not looked at: whoever has a whole transaction has it from a scan ([`super::Scanner`]),
//! which believes nothing else.
//!
//! Whatever the bytes are: no panic, no allocation, each byte passed once.

use super::body::skip_body;
use super::entry::{COMMAND, COMMIT, COMMIT_LENGTH, Commit, START, Start};
use super::fields::Fields;
use crate::bytes::u8_at;
use crate::ids::TxId;
use crate::kernel::KernelVersion;

/// First kernel whose commands say by their code that they create or delete.
const CREATE_AND_DELETE_SINCE: u8 = 10;

/// Why the commands of a transaction cannot be told. Offsets are in the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    #[error("not one complete transaction of a known kernel, from START to COMMIT")]
    NoTransaction,
    #[error(
        "offset {offset}: {what} (command code {code}) is not known: what the transaction does cannot be judged"
    )]
    UnknownCommand { offset: usize, code: u8, what: &'static str },
    #[error(
        "offset {offset}: an entry of kernel {found} and type {entry_type} where a command of kernel {expected} or the end must stand"
    )]
    NoCommand { offset: usize, expected: u8, found: u8, entry_type: u8 },
    #[error(
        "offset {offset}: the command (code {code}) has another layout than the known one, at offset {at}"
    )]
    Layout { offset: usize, code: u8, at: usize },
    #[error("offset {offset}: the schema command {what}: what it does cannot be judged")]
    Schema { offset: usize, what: &'static str },
}

/// What kind of record a command is about. The numbers are the codes of the log.
///
/// Up to kernel 9 there are no commands of their own for what is created or deleted: then [`Node`],
/// [`Property`] and [`Relationship`] stand for all three.
///
/// [`Node`]: CommandKind::Node
/// [`Property`]: CommandKind::Property
/// [`Relationship`]: CommandKind::Relationship
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CommandKind {
    Node = 1,
    Property = 2,
    Relationship = 3,
    RelationshipType = 4,
    PropertyKey = 5,
    Label = 8,
    /// Relationships of one type at a dense node.
    Group = 9,
    RelationshipCount = 16,
    NodeCount = 17,
    /// An index or a constraint; see [`super::schema`].
    Schema = 18,
    /// A kernel upgrade.
    Metadata = 19,
    GroupDegree = 20,
    NodeCreated = 22,
    NodeDeleted = 23,
    PropertyCreated = 24,
    PropertyDeleted = 25,
    RelationshipCreated = 26,
    RelationshipDeleted = 27,
}

impl CommandKind {
    const ALL: [CommandKind; 18] = [
        CommandKind::Node,
        CommandKind::Property,
        CommandKind::Relationship,
        CommandKind::RelationshipType,
        CommandKind::PropertyKey,
        CommandKind::Label,
        CommandKind::Group,
        CommandKind::RelationshipCount,
        CommandKind::NodeCount,
        CommandKind::Schema,
        CommandKind::Metadata,
        CommandKind::GroupDegree,
        CommandKind::NodeCreated,
        CommandKind::NodeDeleted,
        CommandKind::PropertyCreated,
        CommandKind::PropertyDeleted,
        CommandKind::RelationshipCreated,
        CommandKind::RelationshipDeleted,
    ];

    /// The kind with this code in the log of `kernel`, if there is one.
    pub fn known(kernel: KernelVersion, code: u8) -> Option<CommandKind> {
        let kind = CommandKind::ALL.into_iter().find(|kind| kind.code() == code)?;
        let exists = kernel.byte() >= CREATE_AND_DELETE_SINCE || kind < CommandKind::NodeCreated;
        exists.then_some(kind)
    }

    pub fn code(self) -> u8 {
        self as u8
    }
}

/// One command of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    pub kind: CommandKind,
    /// Of its first byte, in the transaction.
    pub offset: usize,
    /// The whole entry: kernel byte, entry type, code, body.
    pub bytes: &'a [u8],
}

/// Bytes of an entry before the body of its command.
pub(super) const BODY_AT: usize = 3;

/// Iterates over the commands of one transaction. After an error the iteration is over.
#[derive(Clone, Debug)]
pub struct Commands<'a> {
    kernel: KernelVersion,
    id: TxId,
    /// From START to the last command: what stands before the COMMIT.
    bytes: &'a [u8],
    /// Where the next command must begin.
    at: usize,
}

/// The commands of `transaction`, which goes from the first byte of a START to the last of its COMMIT.
///
/// # Errors
/// [`WalkError::NoTransaction`], if it does not begin and end like one.
pub fn commands(transaction: &[u8]) -> Result<Commands<'_>, WalkError> {
    read_frame(transaction).ok_or(WalkError::NoTransaction)
}

fn read_frame(transaction: &[u8]) -> Option<Commands<'_>> {
    let kernel = KernelVersion::known(u8_at(transaction, 0)?)?;
    if u8_at(transaction, 1)? != START {
        return None;
    }
    let (bytes, commit) = transaction.split_at_checked(transaction.len().checked_sub(COMMIT_LENGTH)?)?;
    let at = Start::decode(kernel, bytes).ok()?.length;
    if !commit.starts_with(&[kernel.byte(), COMMIT]) {
        return None;
    }
    Some(Commands { kernel, id: Commit::decode(commit)?.id, bytes, at })
}

impl<'a> Commands<'a> {
    pub fn kernel(&self) -> KernelVersion {
        self.kernel
    }

    /// Of the transaction, as its COMMIT says.
    pub fn transaction_id(&self) -> TxId {
        self.id
    }

    fn command(&self) -> Result<Command<'a>, WalkError> {
        let offset = self.at;
        let mut fields = Fields::new(self.bytes, offset);
        let kind = self.kind(&mut fields)?;
        let bytes = skip_body(kind, &mut fields)
            .and_then(|()| self.bytes.get(offset..fields.at()))
            .ok_or(WalkError::Layout { offset, code: kind.code(), at: fields.at() })?;
        Ok(Command { kind, offset, bytes })
    }

    /// Reads the beginning of an entry, which must be that of a command.
    fn kind(&self, fields: &mut Fields<'_>) -> Result<CommandKind, WalkError> {
        let offset = self.at;
        let expected = self.kernel.byte();
        let found = fields.u8().unwrap_or_default();
        let entry_type = fields.u8().unwrap_or_default();
        let Some(code) = fields.u8().filter(|_| found == expected && entry_type == COMMAND) else {
            return Err(WalkError::NoCommand { offset, expected, found, entry_type });
        };
        CommandKind::known(self.kernel, code).ok_or(WalkError::UnknownCommand {
            offset,
            code,
            what: unknown_name(code),
        })
    }
}

impl<'a> Iterator for Commands<'a> {
    type Item = Result<Command<'a>, WalkError>;

    fn next(&mut self) -> Option<Result<Command<'a>, WalkError>> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let command = self.command();
        self.at = match &command {
            Ok(command) => command.offset + command.bytes.len(),
            Err(_) => self.bytes.len(),
        };
        Some(command)
    }
}

impl std::iter::FusedIterator for Commands<'_> {}

/// Of the codes that are known to exist, but not in Community's logs of these kernels.
fn unknown_name(code: u8) -> &'static str {
    match code {
        21 => "an extended group of Neo4j 4.x",
        22..=27 => "a creation or deletion before kernel 10",
        28 => "an index update",
        30 => "an enrichment of Enterprise Edition",
        _ => "a command",
    }
}
