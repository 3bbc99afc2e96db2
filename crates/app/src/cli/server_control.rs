//! How the live server is stopped and started, from the settings.

use std::time::Duration;

use grap::server::control::{ControlError, ServerControl};
use grap::{Code, Error};

use super::verbs::Call;
use crate::failure::Failure;

const WAYS: [&str; 3] = ["server.supervisor_socket", "server.systemd_unit", "server.stop_command"];

impl Call<'_> {
    /// One way is set, or it is refused.
    pub(crate) fn server_control(&self) -> Result<ServerControl, Failure> {
        let mut set = WAYS.iter().filter_map(|way| Some((*way, self.settings.value(way)?)));
        let Some((way, value)) = set.next() else {
            if self.settings.text("server.start_command").is_some() {
                self.settings.require("server.stop_command", "the command that stops the live server")?;
            }
            return Err(Error::from(ControlError::NotSet).into());
        };
        if let Some((second, _)) = set.next() {
            let why = format!("{way} and {second} are both set: the live server is stopped in one way");
            return Err(Failure::Usage(why));
        }
        Ok(match way {
            "server.supervisor_socket" => ServerControl::Supervisor { socket: value.text.clone().into() },
            "server.systemd_unit" => ServerControl::systemd(&value.text).map_err(Error::from)?,
            _ => {
                let start = self.settings.require("server.start_command", "the command that starts it")?;
                ServerControl::Commands { stop: value.text.clone(), start: start.to_owned(), wanted: None }
            }
        })
    }

    /// From the wish to stop it until it has let go of its stores.
    pub(crate) fn server_stop_limit(&self) -> Result<Duration, Failure> {
        self.server_limit("server.stop_limit_s")
    }

    /// From its start until it serves.
    pub(crate) fn server_start_limit(&self) -> Result<Duration, Failure> {
        self.server_limit("server.start_limit_s")
    }

    fn server_limit(&self, key: &str) -> Result<Duration, Failure> {
        Ok(Duration::from_secs(self.settings.number(key, 1..=86_400)?.unwrap_or(0)))
    }

    /// Whether what is said of it makes sense; nothing need be said.
    pub(super) fn check_server_control(&self) -> Result<(), Failure> {
        self.server_stop_limit()?;
        self.server_start_limit()?;
        match self.server_control() {
            Err(failure) if failure.code() != Code::ServerControlMissing => Err(failure),
            _ => Ok(()),
        }
    }
}
