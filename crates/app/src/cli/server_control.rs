//! How the live server is stopped and started, and within what limits, from the settings.

use grap::Error;
use grap::server::control::{ControlError, ServerControl};
use grap_core::recovery::SwitchLimits;

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
                ServerControl::commands(&value.text, start)
            }
        })
    }

    /// Of a promotion; those of the server hold for whatever stops or starts it.
    pub(super) fn switch_limits(&self) -> Result<SwitchLimits, Failure> {
        let default = SwitchLimits::default();
        let seconds =
            |key, default: u32| Ok::<_, Failure>(self.settings.number(key, 1..=86_400)?.unwrap_or(default));
        Ok(SwitchLimits {
            transaction_s: seconds("promote.transaction_limit_s", default.transaction_s)?,
            drain_s: seconds("promote.drain_limit_s", default.drain_s)?,
            stop_s: seconds("server.stop_limit_s", default.stop_s)?,
            archive_s: seconds("promote.archive_limit_s", default.archive_s)?,
            start_s: seconds("server.start_limit_s", default.start_s)?,
            confirm_s: seconds("promote.confirm_limit_s", default.confirm_s)?,
        })
    }

    /// How it is stopped and started, where that is set; what makes no sense is refused.
    pub(super) fn server_control_if_set(&self) -> Result<Option<ServerControl>, Failure> {
        self.switch_limits()?;
        match self.server_control() {
            Ok(control) => Ok(Some(control)),
            Err(Failure::Operation(Error::Control(ControlError::NotSet))) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}
