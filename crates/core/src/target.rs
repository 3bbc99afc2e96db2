//! What to restore, as people write it.
//! ```text
//! latest                        the newest point of the source
//! neo4j-YYYYMMDD-HHMMSS         a backup's own end; SOURCE/ID where two sources share an id
//! tx=[DATABASE:]N               right behind transaction N
//! before-tx=[DATABASE:]N        right before it
//! time=2026-11-25T02:00:00Z     RFC 3339, with an offset or Z: a time without one means another in each zone
//! ```

use std::fmt;
use std::str::FromStr;

use grap_neo4j::TxId;
use jiff::Timestamp;

use crate::backup_id::BackupId;
use crate::source::SourceName;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The newest point of the source.
    Latest,
    /// The end of one backup; the source where it was named.
    Backup { source: Option<SourceName>, id: BackupId },
    /// Right behind a transaction of one database (the user database, where none is named).
    Transaction { database: Option<String>, id: TxId },
    /// Everything before the first transaction, in log order, that was committed later.
    Time(Timestamp),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    #[error(
        "`{0}` is not a target (latest | neo4j-YYYYMMDD-HHMMSS | SOURCE/ID | tx=[DATABASE:]N | before-tx=[DATABASE:]N | time=RFC3339)"
    )]
    Unknown(String),
    #[error("`{0}`: a transaction is a whole number from {1} on")]
    Transaction(String, u64),
    #[error("`{0}`: the name of the database is missing before the colon")]
    Database(String),
    #[error("`{0}`: a time is wanted as 2026-11-25T02:00:00Z or 2026-11-25T03:00:00.5+01:00")]
    Time(String),
    #[error("`{0}`: the time has no offset; add Z for UTC, or one as +01:00")]
    Offset(String),
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        match text.split_once('=') {
            _ if text == "latest" => Ok(Self::Latest),
            Some(("tx", rest)) => transaction(text, rest, TxId::BASE),
            Some(("before-tx", rest)) => match transaction(text, rest, TxId::BASE.next())? {
                Self::Transaction { database, id } => {
                    Ok(Self::Transaction { database, id: TxId(id.0.saturating_sub(1)) })
                }
                other => Ok(other),
            },
            Some(("time", rest)) => time(text, rest).map(Self::Time),
            _ => backup(text),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Backup { source: Some(source), id } => write!(f, "{source}/{id}"),
            Self::Backup { source: None, id } => write!(f, "{id}"),
            Self::Transaction { database: Some(database), id } => write!(f, "tx={database}:{id}"),
            Self::Transaction { database: None, id } => write!(f, "tx={id}"),
            Self::Time(time) => write!(f, "time={time}"),
        }
    }
}

fn backup(text: &str) -> Result<Target, InvalidTarget> {
    let unknown = || InvalidTarget::Unknown(text.to_owned());
    let (source, id) = match text.split_once('/') {
        Some((source, id)) => (Some(source.parse().map_err(|_| unknown())?), id),
        None => (None, text),
    };
    Ok(Target::Backup { source, id: id.parse().map_err(|_| unknown())? })
}

fn transaction(text: &str, rest: &str, least: TxId) -> Result<Target, InvalidTarget> {
    let (database, number) = match rest.rsplit_once(':') {
        Some(("", _)) => return Err(InvalidTarget::Database(text.to_owned())),
        Some((database, number)) => (Some(database.to_lowercase()), number),
        None => (None, rest),
    };
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let id = number.parse().ok().filter(|id| digits && *id >= least.0);
    let id = id.ok_or_else(|| InvalidTarget::Transaction(text.to_owned(), least.0))?;
    Ok(Target::Transaction { database, id: TxId(id) })
}

fn time(text: &str, rest: &str) -> Result<Timestamp, InvalidTarget> {
    // A comma for the fraction and a zone in brackets are read by jiff, and not meant by RFC 3339.
    if let (false, Ok(time)) = (rest.contains(['[', ',']), rest.parse::<Timestamp>()) {
        return Ok(time);
    }
    let without_offset = rest.parse::<jiff::civil::DateTime>().is_ok();
    let why = if without_offset { InvalidTarget::Offset } else { InvalidTarget::Time };
    Err(why(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Target {
        text.parse().unwrap()
    }

    #[test]
    fn targets_are_read_in_all_their_forms() {
        assert_eq!(read("latest"), Target::Latest);
        let id: BackupId = "neo4j-20261125-020000".parse().unwrap();
        assert_eq!(read("neo4j-20261125-020000"), Target::Backup { source: None, id: id.clone() });
        let source = Some("prod".parse().unwrap());
        assert_eq!(read("prod/neo4j-20261125-020000"), Target::Backup { source, id });
        assert_eq!(read("tx=5"), Target::Transaction { database: None, id: TxId(5) });
        let system = Some("system".to_owned());
        assert_eq!(read("tx=System:5"), Target::Transaction { database: system.clone(), id: TxId(5) });
        assert_eq!(read("before-tx=system:5"), Target::Transaction { database: system, id: TxId(4) });
        let two = Target::Time("2026-11-25T02:00:00Z".parse().unwrap());
        assert_eq!(read("time=2026-11-25T02:00:00Z"), two);
        assert_eq!(read("time=2026-11-25T03:00:00+01:00"), two);
        for text in ["latest", "prod/neo4j-20261125-020000", "tx=a:7", "tx=7", "time=2026-11-25T02:00:00Z"] {
            assert_eq!(read(text).to_string(), text);
        }
    }

    #[test]
    fn others_are_refused_with_the_reason() {
        let why = |text: &str| text.parse::<Target>().unwrap_err();
        for word in ["", "newest", "/neo4j-20261125-020000", "prod/latest", "txid=5", "=5"] {
            assert_eq!(why(word), InvalidTarget::Unknown(word.to_owned()));
        }
        for word in ["tx=", "tx=0", "tx=-1", "tx=+5", "tx=5x", "tx=a:", "tx=99999999999999999999"] {
            assert_eq!(why(word), InvalidTarget::Transaction(word.to_owned(), 1));
        }
        assert_eq!(why("before-tx=1"), InvalidTarget::Transaction("before-tx=1".to_owned(), 2));
        assert_eq!(why("tx=:5"), InvalidTarget::Database("tx=:5".to_owned()));
        for word in ["time=2026-11-25T02:00:00", "time=2026-11-25 02:00"] {
            assert_eq!(why(word), InvalidTarget::Offset(word.to_owned()));
        }
        for word in ["time=", "time=yesterday", "time=2026-13-25T02:00:00Z", "time=2026-11-25T02:00:00Z[UTC]"]
        {
            assert_eq!(why(word), InvalidTarget::Time(word.to_owned()));
        }
    }
}
