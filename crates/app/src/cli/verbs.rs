//! One function a verb: resolve, call one operation, render.

use std::time::Duration;

use grap::live::Pace;
use grap::ops::{
    self, Access, ArchiveOptions, BackupOptions, CheckStatus, DoctorOptions, Protection, RestoreOptions,
    Session, StatusOptions, VerifyOptions,
};
use grap::state::StateDirectory;
use grap::{Code, Error};
use grap_core::{SourceName, Target};
use grap_repository::KdfCost;
use grap_task::{Clock, Stop};

use super::arguments::{
    ArchiveArguments, Arguments, BackupArguments, ConfigVerb, RestoreArguments, SourceVerb, Verb,
    VerifyArguments,
};
use super::{resolve, retention};
use crate::config::{Environment, Settings, parse_between, parse_owner, parse_rate};
use crate::failure::Failure;
use crate::host;
use crate::view::{self, Output, Stdout};

/// The name of the first source, where none is given.
const FIRST_SOURCE: &str = "neo4j";

/// Between two segments of a database under load: in an object storage every object has its price.
const INTERVAL_LOCAL: Duration = Duration::from_millis(250);
const INTERVAL_REMOTE: Duration = Duration::from_secs(1);

pub(super) fn run(mut arguments: Arguments, environment: &Environment, stop: &Stop) -> Result<(), Failure> {
    arguments.verb.read_secrets()?;
    let settings = Settings::resolve(arguments.common.config.as_deref(), environment, arguments.flags())?;
    let output = Output { json: arguments.json(), stdout: &Stdout::Process };
    let monitor = view::monitor(output.json);
    let holder = host::holder(environment);
    let session = Session {
        clock: &Clock::System,
        stop,
        monitor: monitor.as_ref(),
        holder: &holder,
        program: host::PROGRAM,
    };
    let call = Call { settings: &settings, environment, session: &session, output };
    match arguments.verb {
        Verb::Init => call.init(),
        Verb::Backup(arguments) => call.backup(arguments),
        Verb::Archive(arguments) => call.archive(&arguments),
        Verb::List => call.list(),
        Verb::Show { backup } => call.show(&backup),
        Verb::Verify(arguments) => call.verify(&arguments),
        Verb::Restore(arguments) => call.restore(arguments),
        Verb::Window => call.window(),
        Verb::Status(_) => call.status(),
        Verb::Doctor(_) => call.doctor(),
        Verb::Expire(arguments) => call.expire(&arguments),
        Verb::Delete(arguments) => call.delete(&arguments),
        Verb::Hold(arguments) => call.hold(arguments),
        Verb::Release(arguments) => call.release(&arguments),
        Verb::Copy(_) => call.copy(),
        Verb::Unlock => call.unlock(),
        Verb::Gc(arguments) => call.gc(&arguments),
        Verb::Key(verb) => call.key(verb),
        Verb::Source(verb) => call.source(verb),
        Verb::Config(ConfigVerb::Show) => output.config(&settings),
    }
}

/// One call of the program.
pub(super) struct Call<'a> {
    pub(super) settings: &'a Settings,
    pub(super) environment: &'a Environment,
    pub(super) session: &'a Session<'a>,
    pub(super) output: Output<'a>,
}

impl Call<'_> {
    pub(super) fn state(&self) -> Result<StateDirectory, Failure> {
        resolve::state(self.settings, self.environment)
    }

    /// The repository of the settings.
    pub(super) fn access(&self) -> Result<Access, Failure> {
        resolve::access(self.settings, self.environment, self.session)
    }

    fn init(&self) -> Result<(), Failure> {
        let source = resolve::source(self.settings)?;
        let source = source.unwrap_or_else(|| FIRST_SOURCE.parse().expect("it is a source name"));
        let access = self.access()?;
        let report = ops::init(access, source, KdfCost::default(), &self.state()?, self.session)?;
        self.output.init(&report)
    }

    fn backup(&self, arguments: BackupArguments) -> Result<(), Failure> {
        for tag in &arguments.tags {
            if tag.is_empty() || tag.contains([',', ':']) {
                return Err(Failure::Usage(format!(
                    "`{tag}` is no tag: it must not be empty nor hold a comma or a colon"
                )));
            }
        }
        let niceness = self.settings.parsed("backup.niceness", |text| parse_between(text, 0, 19))?;
        let options = BackupOptions {
            installation: resolve::installation(self.settings)?,
            source: resolve::source(self.settings)?,
            tags: arguments.tags,
            note: arguments.note,
            read_limit: self.settings.parsed("backup.read_limit", parse_rate)?,
            niceness: niceness.unwrap_or(0),
            writer: resolve::writer(self.settings)?,
            pace: Pace::DEFAULT,
            settings: Some(self.settings.to_json()),
            takeover: arguments.takeover,
        };
        let access = self.access()?;
        let report = ops::backup(&options, access, &self.state()?, self.session)?;
        self.output.backup(&report, &retention::rules(self.settings)?)
    }

    fn archive(&self, arguments: &ArchiveArguments) -> Result<(), Failure> {
        let interval = self.settings.parsed("archive.interval_ms", |text| parse_between(text, 1, 600_000))?;
        let interval = interval.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis);
        let segment = self.settings.parsed("archive.segment_mib", |text| parse_between(text, 1, 256))?;
        let options = ArchiveOptions {
            installation: resolve::installation(self.settings)?,
            source: resolve::source(self.settings)?,
            takeover: arguments.takeover,
            interval: interval.unwrap_or(if resolve::is_remote(self.settings) {
                INTERVAL_REMOTE
            } else {
                INTERVAL_LOCAL
            }),
            segment_bytes: usize::try_from(segment.unwrap_or(16)).unwrap_or(16) << 20,
            lag_max: self.lag_max()?,
            pace: Pace::DEFAULT,
        };
        let access = self.access()?;
        let report = ops::archive(&options, access, &self.state()?, self.session)?;
        self.output.archive(&report)
    }

    fn list(&self) -> Result<(), Failure> {
        let rules = retention::rules(self.settings)?;
        let state = self.state()?;
        let source = resolve::source(self.settings)?;
        let report = ops::list(self.access()?, source.as_ref(), &state, self.session)?;
        self.output.list(&report, &rules)
    }

    fn show(&self, backup: &str) -> Result<(), Failure> {
        let source = resolve::source(self.settings)?;
        let target = target(backup)?;
        let rules = retention::rules(self.settings)?;
        let report = ops::show(self.access()?, &target, source.as_ref(), self.session)?;
        self.output.show(&report, &rules)
    }

    fn verify(&self, arguments: &VerifyArguments) -> Result<(), Failure> {
        let percent = |text: &String| {
            parse_between(text.trim_end_matches('%'), 1, 100)
                .ok()
                .and_then(|percent| u8::try_from(percent).ok())
                .ok_or_else(|| {
                    Failure::Usage(format!("--read-data={text}: a percentage from 1 to 100 is wanted"))
                })
        };
        let options = VerifyOptions {
            backup: arguments.backup.as_deref().map(target).transpose()?,
            source: resolve::source(self.settings)?,
            read_data_percent: arguments.read_data.as_ref().map(percent).transpose()?,
        };
        let report = ops::verify(&options, self.access()?, self.session)?;
        self.output.verify(&report)?;
        match report.problems.len() {
            0 => Ok(()),
            problems => Err(Error::Damaged { problems }.into()),
        }
    }

    fn restore(&self, arguments: RestoreArguments) -> Result<(), Failure> {
        let owner = arguments.owner.as_deref().map(parse_owner).transpose();
        let options = RestoreOptions {
            target: target(&arguments.target)?,
            source: resolve::source(self.settings)?,
            timeline: arguments.timeline,
            to: arguments.to.unwrap_or_default(),
            databases: arguments.databases,
            owner: owner.map_err(|why| Failure::Usage(format!("--owner: {why}")))?,
            keep_going: arguments.keep_going,
            no_lock: arguments.no_lock,
        };
        if arguments.dry_run {
            let report = ops::plan_restore(&options, self.access()?, self.session)?;
            return self.output.plan(&report);
        }
        let report = ops::restore(&options, self.access()?, &self.state()?, self.session)?;
        match report.into_result() {
            Ok(report) => self.output.restore(&report),
            Err((report, error)) => {
                self.output.restore(&report)?;
                Err(error.into())
            }
        }
    }

    fn window(&self) -> Result<(), Failure> {
        let source = resolve::source(self.settings)?;
        let report = ops::window(self.access()?, source.as_ref(), self.session)?;
        self.output.window(&report)
    }

    fn lag_max(&self) -> Result<Duration, Failure> {
        let seconds = self.settings.parsed("archive.lag_max_s", |text| parse_between(text, 1, 86_400))?;
        Ok(Duration::from_secs(u64::try_from(seconds.unwrap_or(60)).unwrap_or(60)))
    }

    fn status(&self) -> Result<(), Failure> {
        let options = StatusOptions {
            installation: resolve::installation_if_named(self.settings)?,
            source: resolve::source(self.settings)?,
            lag_max: self.lag_max()?,
        };
        let report = ops::status(&options, self.access()?, self.session)?;
        self.output.status(&report)?;
        let (code, message) = match report.protection {
            Protection::Protected => return Ok(()),
            Protection::Unprotected => (Code::Unprotected, report.reasons.join("; ")),
            Protection::Unknown => {
                let why = "without --neo4j-home or --data the lag of the archive cannot be measured";
                (Code::ProtectionUnknown, why.to_owned())
            }
        };
        Err(Failure::Found { code, message })
    }

    fn doctor(&self) -> Result<(), Failure> {
        let installation = resolve::installation(self.settings)?;
        let access = if resolve::has_repository(self.settings) { Some(self.access()?) } else { None };
        let state = self.state()?;
        let copy = resolve::copy_place(self.settings);
        let report = ops::doctor(DoctorOptions { installation, access, copy }, &state, self.session);
        self.output.doctor(&report)?;
        if report.worst() == CheckStatus::Fail {
            let message = "this installation cannot be backed up as it is".to_owned();
            return Err(Failure::Found { code: Code::DoctorFailed, message });
        }
        Ok(())
    }

    fn unlock(&self) -> Result<(), Failure> {
        let report = ops::unlock(self.access()?, &self.state()?, self.session)?;
        self.output.unlock(&report)
    }

    fn source(&self, verb: SourceVerb) -> Result<(), Failure> {
        let access = self.access()?;
        let report = match verb {
            SourceVerb::List => ops::list_sources(access)?,
            SourceVerb::Add { name } => {
                let name: SourceName = name
                    .parse()
                    .map_err(|error: grap_core::InvalidSourceName| Failure::Usage(error.to_string()))?;
                ops::add_source(access, &name, &self.state()?, self.session)?
            }
            SourceVerb::Rebind(_) => {
                let name = resolve::source(self.settings)?;
                let installation = resolve::installation(self.settings)?;
                ops::rebind_source(access, name.as_ref(), &installation, &self.state()?, self.session)?
            }
        };
        self.output.sources(&report)
    }
}

pub(super) fn target(text: &str) -> Result<Target, Failure> {
    text.parse().map_err(|error: grap_core::InvalidTarget| Failure::Usage(error.to_string()))
}
