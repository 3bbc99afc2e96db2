//! What a client sends.

use super::{Head, tag};
use crate::error::{Error, Result};
use crate::packstream::{Map, Raw, Value};
use crate::packstream::{encode_integer, encode_list_length, encode_map, encode_structure_head, encode_text};

#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// `{user_agent, bolt_agent (5.3), routing ...}`; before 5.1 with what LOGON has later.
    Hello {
        extra: Map,
    },
    /// `{scheme, principal, credentials}`. From 5.1 on.
    Logon {
        auth: Map,
    },
    /// From 5.1 on.
    Logoff,
    Goodbye,
    /// Stops whatever there is, and makes good what had failed.
    Reset,
    /// In no transaction, `extra` is as for [`Begin`](Self::Begin); in one, it is empty.
    Run {
        statement: String,
        parameters: Map,
        extra: Map,
    },
    /// `{db, mode, bookmarks, tx_timeout (ms), tx_metadata, imp_user ...}`
    Begin {
        extra: Map,
    },
    Commit,
    Rollback,
    /// `{n, qid}`: so many records (-1: all of them).
    Discard {
        extra: Map,
    },
    /// The same.
    Pull {
        extra: Map,
    },
    /// The routing context of the URI, bookmarks, `{db, imp_user}`.
    Route {
        context: Map,
        bookmarks: Vec<Value>,
        extra: Map,
    },
    /// Which of a driver's interfaces is used. From 5.4 on.
    Telemetry {
        api: i64,
    },
}

impl Request {
    pub fn tag(&self) -> u8 {
        match self {
            Self::Hello { .. } => tag::HELLO,
            Self::Logon { .. } => tag::LOGON,
            Self::Logoff => tag::LOGOFF,
            Self::Goodbye => tag::GOODBYE,
            Self::Reset => tag::RESET,
            Self::Run { .. } => tag::RUN,
            Self::Begin { .. } => tag::BEGIN,
            Self::Commit => tag::COMMIT,
            Self::Rollback => tag::ROLLBACK,
            Self::Discard { .. } => tag::DISCARD,
            Self::Pull { .. } => tag::PULL,
            Self::Route { .. } => tag::ROUTE,
            Self::Telemetry { .. } => tag::TELEMETRY,
        }
    }

    /// Appends the message, without chunks.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        let fields = match self {
            Self::Run { .. } | Self::Route { .. } => 3,
            Self::Logoff | Self::Goodbye | Self::Reset | Self::Commit | Self::Rollback => 0,
            _ => 1,
        };
        encode_structure_head(self.tag(), fields, out)?;
        match self {
            Self::Hello { extra: map }
            | Self::Logon { auth: map }
            | Self::Begin { extra: map }
            | Self::Discard { extra: map }
            | Self::Pull { extra: map } => encode_map(map, out)?,
            Self::Run { statement, parameters, extra } => {
                encode_text(statement, out)?;
                encode_map(parameters, out)?;
                encode_map(extra, out)?;
            }
            Self::Route { context, bookmarks, extra } => {
                encode_map(context, out)?;
                encode_list_length(bookmarks.len(), out)?;
                bookmarks.iter().try_for_each(|bookmark| crate::packstream::encode(bookmark, out))?;
                encode_map(extra, out)?;
            }
            Self::Telemetry { api } => encode_integer(*api, out),
            Self::Logoff | Self::Goodbye | Self::Reset | Self::Commit | Self::Rollback => {}
        }
        Ok(())
    }

    /// Of a whole message.
    pub fn decode(message: &[u8]) -> Result<Self> {
        let head = Head::of(message)?;
        let mut fields = head.fields();
        let request = match head.tag {
            tag::HELLO => Self::Hello { extra: map(fields.next())? },
            tag::LOGON => Self::Logon { auth: map(fields.next())? },
            tag::LOGOFF => Self::Logoff,
            tag::GOODBYE => Self::Goodbye,
            tag::RESET => Self::Reset,
            tag::RUN => Self::Run {
                statement: text(fields.next())?,
                parameters: map(fields.next())?,
                extra: map(fields.next())?,
            },
            tag::BEGIN => Self::Begin { extra: map(fields.next())? },
            tag::COMMIT => Self::Commit,
            tag::ROLLBACK => Self::Rollback,
            tag::DISCARD => Self::Discard { extra: map(fields.next())? },
            tag::PULL => Self::Pull { extra: map(fields.next())? },
            tag::ROUTE => Self::Route {
                context: map(fields.next())?,
                bookmarks: list(fields.next())?,
                extra: map(fields.next())?,
            },
            tag::TELEMETRY => Self::Telemetry { api: integer(fields.next())? },
            _ => return Err(Error::NotAMessage { what: "no request has this tag" }),
        };
        match fields.next() {
            None => Ok(request),
            Some(_) => Err(Error::NotAMessage { what: "the request has too many fields" }),
        }
    }
}

const MISSHAPEN: Error = Error::NotAMessage { what: "the request has other fields than it should" };

fn map(field: Option<Raw<'_>>) -> Result<Map> {
    match field.ok_or(MISSHAPEN)?.to_value()? {
        Value::Map(map) => Ok(map),
        _ => Err(MISSHAPEN),
    }
}

fn list(field: Option<Raw<'_>>) -> Result<Vec<Value>> {
    match field.ok_or(MISSHAPEN)?.to_value()? {
        Value::List(items) => Ok(items),
        _ => Err(MISSHAPEN),
    }
}

fn text(field: Option<Raw<'_>>) -> Result<String> {
    field.and_then(Raw::as_text).map(str::to_owned).ok_or(MISSHAPEN)
}

fn integer(field: Option<Raw<'_>>) -> Result<i64> {
    field.and_then(Raw::as_int).ok_or(MISSHAPEN)
}
