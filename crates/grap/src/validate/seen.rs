//! What a tier saw, and the answer that it makes.

use std::time::Duration;

use grap_core::recovery::{Measured, Tier, TierVerdict};

use crate::check::CheckError;
use crate::error::{Code, Error, Result, in_one_line};
use crate::recovery::Answer;
use crate::server::ServerError;

/// It passed when nothing is wrong.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) message: String,
    /// Each names the object.
    pub(super) wrong: Vec<String>,
    /// What else is worth knowing.
    pub(super) remarks: Vec<String>,
    pub(super) measured: Option<Measured>,
    /// There was nothing to ask, or no time for it.
    pub(super) skipped: bool,
}

impl Seen {
    pub(super) fn skipped(why: impl Into<String>) -> Self {
        Self { message: why.into(), skipped: true, ..Self::default() }
    }

    /// What was found is true, whether something else could be looked at or not.
    pub(super) fn stands_without(
        &mut self,
        looked: std::result::Result<(), Blind>,
    ) -> std::result::Result<(), Blind> {
        match looked {
            Err(error) if !self.wrong.is_empty() => {
                self.remarks.push(in_one_line(&error));
                Ok(())
            }
            looked => looked,
        }
    }
}

/// Why a tier saw nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Blind {
    #[error(transparent)]
    Bolt(#[from] grap_bolt::Error),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error("the native checker did not end within {} s", limit.as_secs())]
    TooLong { limit: Duration },
}

impl Blind {
    /// What came of the connection, where that is why.
    pub(super) fn bolt(&self) -> Option<&grap_bolt::Error> {
        match self {
            Self::Bolt(error) | Self::Server(ServerError::Bolt(error)) => Some(error),
            Self::Server(_) | Self::Check(_) | Self::TooLong { .. } => None,
        }
    }
}

/// `ended`: how the server ended, where it did so meanwhile. That overrides nothing that was found before.
pub(super) fn answer(
    tier: Tier,
    seen: std::result::Result<Seen, Blind>,
    ended: Option<ServerError>,
) -> Result<Answer> {
    let seen = match (seen, ended) {
        (seen, None) => seen,
        (Ok(mut seen), Some(ended)) if !seen.wrong.is_empty() => {
            seen.remarks.push(in_one_line(&ended));
            Ok(seen)
        }
        (_, Some(ended)) => {
            let error = Error::from(ended);
            return Ok(failed(error.code(), in_one_line(&error)));
        }
    };
    match seen {
        Ok(seen) => Ok(of_seen(tier, seen)),
        Err(Blind::Bolt(error)) => Ok(failed(Code::InstanceFailed, in_one_line(&error))),
        Err(Blind::Server(error)) => of_server(error),
        Err(Blind::Check(error)) => of_check(error),
        Err(error @ Blind::TooLong { .. }) => Ok(failed(Code::CheckTooLong, in_one_line(&error))),
    }
}

pub(super) fn failed(code: Code, message: String) -> Answer {
    let verdict = TierVerdict::Failed { code: code.name().to_owned(), message };
    Answer { verdict, findings: Vec::new(), measured: None, print: None }
}

fn of_seen(tier: Tier, seen: Seen) -> Answer {
    let Seen { message, wrong, remarks, measured, skipped } = seen;
    let verdict = if !wrong.is_empty() {
        let first = wrong.first().map(String::as_str).unwrap_or_default();
        let more = if wrong.len() > 1 { format!("; and {} more", wrong.len() - 1) } else { String::new() };
        TierVerdict::Failed {
            code: code(tier).name().to_owned(),
            message: format!("{message}: {first}{more}"),
        }
    } else if skipped {
        TierVerdict::Skipped { why: message }
    } else {
        TierVerdict::Passed { message }
    };
    Answer { verdict, findings: [wrong, remarks].concat(), measured, print: None }
}

/// What says nothing about the candidate stays an error.
fn of_server(error: ServerError) -> Result<Answer> {
    match error {
        ServerError::Disk(_)
        | ServerError::Stopped(_)
        | ServerError::NoRandom(_)
        | ServerError::NoPort(_)
        | ServerError::AdminEnded { .. }
        | ServerError::Spawn(_) => Err(error.into()),
        error => {
            let error = Error::from(error);
            Ok(failed(error.code(), in_one_line(&error)))
        }
    }
}

fn of_check(error: CheckError) -> Result<Answer> {
    match error {
        CheckError::Disk(_) | CheckError::Stopped(_) | CheckError::Thread(_) => Err(error.into()),
        error => {
            let error = Error::from(error);
            Ok(failed(error.code(), in_one_line(&error)))
        }
    }
}

/// What it is called when this tier finds something.
fn code(tier: Tier) -> Code {
    match tier {
        Tier::Connectivity => Code::RestoreWrong,
        Tier::Schema | Tier::Orphans | Tier::Counts | Tier::Custom => Code::RestoreHealthFailed,
        Tier::Store => Code::StoreDamaged,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    /// Each line: what the tier had found when its server ended, and what it is called.
    #[test]
    fn a_death_overrides_nothing_that_was_found() {
        let found = Seen { wrong: vec!["node 7".to_owned()], ..Seen::default() };
        for (seen, code, findings) in [
            (Ok(found), Code::RestoreHealthFailed, 2),
            (Ok(Seen::default()), Code::InstanceDied, 0),
            (Err(Blind::TooLong { limit: Duration::ZERO }), Code::InstanceDied, 0),
        ] {
            let status = ExitStatus::from_raw(1 << 8);
            let died = ServerError::Died { database: "neo4j".to_owned(), status, said: "x".to_owned() };
            let answer = answer(Tier::Orphans, seen, Some(died)).unwrap();
            let TierVerdict::Failed { code: found, .. } = &answer.verdict else { panic!("{answer:?}") };
            assert_eq!((found.as_str(), answer.findings.len()), (code.name(), findings));
        }
    }
}
