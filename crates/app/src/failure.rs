//! What ends the program early: an operation's error, or a command line or setting that makes no sense.

use grap::{Code, Error};

use crate::config::SettingError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Operation(#[from] Error),
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error(transparent)]
    Storage(#[from] grap_remote::RemoteError),
    #[error("{0}")]
    Usage(String),
    #[error("cannot write to standard output")]
    Output(#[source] std::io::Error),
    /// The report was printed; only the status is left to say.
    #[error("{message}")]
    Found { code: Code, message: String },
}

impl Failure {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Operation(error) => error.code(),
            Self::Setting(_) | Self::Storage(_) | Self::Usage(_) => Code::Usage,
            Self::Output(_) => Code::FileFailed,
            Self::Found { code, .. } => *code,
        }
    }
}
