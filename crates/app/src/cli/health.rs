//! The verbs that ask the running server: health, schema.

use std::path::Path;
use std::time::Duration;

use grap::ops::{self, CustomCheck, HealthLimits, HealthOptions, SchemaOptions};
use grap::{Code, Error};
use grap_bolt::client::{Address, Auth, Options, Security};
use grap_core::schema::{SchemaFile, split_statements};
use grap_disk as disk;
use secrecy::ExposeSecret;

use super::arguments::{HealthArguments, SchemaApplyArguments, SchemaArguments, SchemaVerb};
use super::resolve;
use super::verbs::Call;
use crate::failure::Failure;

const FILE_SIZE_MAX: u64 = 1 << 20;

impl Call<'_> {
    pub(super) fn health(&self, arguments: &HealthArguments) -> Result<(), Failure> {
        let options = self.health_options(arguments.detailed)?;
        let report = if arguments.canary {
            self.health_and_canary(&options)?
        } else {
            ops::health(&options, self.session)
        };
        self.output.health(&report)?;
        if let Some(error) = report.unreachable {
            return Err(error.into());
        }
        match report.checks.failed() {
            None => Ok(()),
            Some(failed) => {
                let message = format!("{}: {}", failed.name, failed.message);
                Err(Failure::Found { code: Code::Unhealthy, message })
            }
        }
    }

    pub(super) fn health_options(&self, detailed: bool) -> Result<HealthOptions, Failure> {
        let schema = self.settings.path("health.schema_file");
        let checks = self.settings.path("health.checks_file");
        Ok(HealthOptions {
            connection: self.connection()?,
            database: self.settings.text("neo4j.database").map(str::to_owned),
            schema: schema.as_deref().map(schema_file).transpose()?,
            custom: checks.as_deref().map(custom_checks).transpose()?.unwrap_or_default(),
            detailed,
            limits: HealthLimits::default(),
        })
    }

    pub(super) fn schema(&self, verb: &SchemaVerb) -> Result<(), Failure> {
        let faults = match verb {
            SchemaVerb::Diff(arguments) => {
                let plan = ops::diff_schema(&self.schema_options(arguments, Duration::ZERO)?)?;
                self.output.schema_plan(&plan)?;
                plan.faults()
            }
            SchemaVerb::Apply(SchemaApplyArguments { schema, wait }) => {
                let wait = Duration::from_secs(u64::from(*wait));
                let report = ops::apply_schema(&self.schema_options(schema, wait)?, self.session)?;
                self.output.schema_report(&report)?;
                report.faults()
            }
        };
        match faults {
            0 => Ok(()),
            faults => {
                let message = format!("{faults} of what is declared is not there as declared");
                Err(Failure::Found { code: Code::SchemaDrift, message })
            }
        }
    }

    fn schema_options(&self, arguments: &SchemaArguments, wait: Duration) -> Result<SchemaOptions, Failure> {
        Ok(SchemaOptions {
            connection: self.connection()?,
            database: self.settings.text("neo4j.database").map(str::to_owned),
            schema: schema_file(&arguments.file)?,
            wait,
        })
    }

    /// Where the server is, and who we are to it.
    pub(super) fn connection(&self) -> Result<Options, Failure> {
        let parse = |text: &str| text.parse().map_err(|error: grap_bolt::Error| error.to_string());
        let address: Option<Address> = self.settings.parsed("neo4j.uri", parse)?;
        let address = address.ok_or_else(|| Failure::Usage("the server's address is not set".to_owned()))?;
        let auth = resolve::neo4j_auth(self.settings)?;
        let auth = Auth::parse(auth.expose_secret()).map_err(Error::from)?;
        let authorities = self.authorities(&address)?;
        Ok(Options { authorities, clock: self.session.clock.clone(), ..Options::new(address, auth) })
    }

    /// Whom to trust in place of the system's authorities. At an address that asks for no certificate they would be
    /// ignored, and who has named them thinks himself safe: that is refused.
    fn authorities(&self, address: &Address) -> Result<Option<Vec<u8>>, Failure> {
        let Some(path) = self.settings.path("neo4j.ca_file") else { return Ok(None) };
        if address.security != Security::Tls {
            let why = "neo4j.ca_file is set, but the address asks for no certificate: write it as bolt+s://";
            return Err(Failure::Usage(format!("{why}{address}")));
        }
        Ok(Some(disk::read(&path, FILE_SIZE_MAX).map_err(Error::from)?))
    }
}

pub(super) fn schema_file(path: &Path) -> Result<SchemaFile, Failure> {
    SchemaFile::parse(&text_of(path)?).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}

/// Each statement has the name that the comment line above it gives, or else its line.
pub(super) fn custom_checks(path: &Path) -> Result<Vec<CustomCheck>, Failure> {
    let text = text_of(path)?;
    let lines: Vec<&str> = text.lines().collect();
    let name = |line: usize| {
        let above = line.checked_sub(2).and_then(|above| lines.get(above));
        let named = above.and_then(|above| above.trim().strip_prefix("//")).map(str::trim);
        named.filter(|name| !name.is_empty()).map_or_else(|| format!("line {line}"), str::to_owned)
    };
    let statements = split_statements(&text).into_iter();
    Ok(statements.map(|(line, text)| CustomCheck { name: name(line), statement: text.to_owned() }).collect())
}

fn text_of(path: &Path) -> Result<String, Failure> {
    let bytes = disk::read(path, FILE_SIZE_MAX).map_err(Error::from)?;
    String::from_utf8(bytes).map_err(|_| Failure::Usage(format!("{} is no UTF-8", path.display())))
}
