//! `grap supervise`: from settings to what the supervisor is told.
//!
//! What decides how the server is run must make sense, or nothing is started. What only Grap needs (an address, a
//! password, a state directory), and a key that nobody knows, may be missing or wrong: it is said, and the server is started
//! all the same.

use std::path::PathBuf;
use std::time::Duration;

use grap::in_one_line;
use grap::live::InstallationOptions;
use grap_bolt::client::{Address, Auth, Options as BoltOptions};
use grap_task::Clock;

use super::arguments::SuperviseArguments;
use super::health::schema_file;
use super::resolve;
use super::verbs::Call;
use crate::config::SettingError;
use crate::failure::Failure;
use crate::host;
use crate::log::Log;
use crate::supervise::{Duties, Options, RestartPolicy, Schema, supervise};

impl Call<'_> {
    /// `bad`: what of the settings could not be understood.
    pub(super) fn supervise(
        &self,
        arguments: SuperviseArguments,
        bad: Option<SettingError>,
    ) -> Result<u8, Failure> {
        let log = Log::of_settings(self.settings, "supervise");
        if let Some(bad) = bad {
            log.error(&format!("a part of the settings is left out: {}", in_one_line(&Failure::from(bad))));
        }
        let policy = self.settings.parsed("supervise.restart", RestartPolicy::parse)?;
        let grace = self.settings.number("supervise.grace_s", 1..=86_400)?;
        let installation = self.installation_to_look_at(&log);
        supervise(Options {
            command: arguments.command,
            policy: policy.unwrap_or(RestartPolicy::OnFailure),
            grace: Duration::from_secs(grace.unwrap_or(120)),
            socket: self.supervisor_socket().map_err(|failure| in_one_line(&failure)),
            installation: installation.clone(),
            duties: self.duties(installation, log),
        })
    }

    fn supervisor_socket(&self) -> Result<PathBuf, Failure> {
        match self.settings.path("supervise.socket") {
            Some(path) => Ok(path),
            None => Ok(self.state()?.root().join("supervise.sock")),
        }
    }

    fn installation_to_look_at(&self, log: &Log) -> Option<InstallationOptions> {
        resolve::installation_if_named(self.settings).unwrap_or_else(|failure| {
            log.error(&format!(
                "whether another server holds the stores is not looked at: {}",
                in_one_line(&failure)
            ));
            None
        })
    }

    fn duties(&self, installation: Option<InstallationOptions>, log: Log) -> Duties {
        let parse = |text: &str| text.parse().map_err(|error: grap_bolt::Error| error.to_string());
        let address = self.settings.parsed::<Address>("neo4j.uri", parse);
        let bolt = match address {
            // Who only asks whether it answers needs no name, and no authority.
            Ok(address) => address.map(|address| BoltOptions::new(address, Auth::None)),
            Err(error) => {
                log.error(&format!("whether the server is ready cannot be seen: {error}"));
                None
            }
        };
        let schema = self.settings.path("health.schema_file").map(|file| Schema {
            file,
            database: self.settings.text("neo4j.database").map(str::to_owned),
            connection: self.connection().map_err(|failure| in_one_line(&failure)),
            read: schema_file,
        });
        let holder = host::holder(self.environment);
        Duties { bolt, schema, installation, log, holder, clock: Clock::System }
    }
}
