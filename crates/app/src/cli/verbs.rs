//! One function a verb: resolve, call one operation, render.

use std::path::PathBuf;
use std::time::Duration;

use grap::live::Pace;
use grap::ops::{
    self, Access, ArchiveOptions, BackupOptions, BackupReport, CheckStatus, DoctorOptions, RestoreOptions,
    Session, VerifyOptions, VerifyReport,
};
use grap::state::{StateDirectory, StateError};
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
use crate::daemon;
use crate::failure::Failure;
use crate::host;
use crate::view::{self, Output, Stdout};

/// The name of the first source, where none is given.
const FIRST_SOURCE: &str = "neo4j";

/// Between two segments of a database under load: in an object storage every object has its price.
const INTERVAL_LOCAL: Duration = Duration::from_millis(250);
const INTERVAL_REMOTE: Duration = Duration::from_secs(1);

/// The exit status, where it is not a failure's.
pub(super) fn run(mut arguments: Arguments, environment: &Environment, stop: &Stop) -> Result<u8, Failure> {
    arguments.verb.read_secrets()?;
    let file = arguments.common.config.as_deref();
    let (settings, bad) = Settings::resolve_anyway(file, environment, arguments.flags());
    let bad = match (bad, &arguments.verb) {
        // The database is to run, whatever is wrong with Grap's settings.
        (bad, Verb::Supervise(_)) => bad,
        (Some(bad), _) => return Err(bad.into()),
        (None, _) => None,
    };
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
    match &arguments.verb {
        Verb::Serve(_) => daemon::serve(&arguments, &call)?,
        Verb::Supervise(supervise) => return call.supervise(supervise.clone(), bad),
        verb if verb.is_for_the_daemon() => return call.by_the_daemon_or_here(arguments),
        _ => call.perform(arguments.verb)?,
    }
    Ok(0)
}

/// One call of the program.
pub(crate) struct Call<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) environment: &'a Environment,
    pub(crate) session: &'a Session<'a>,
    pub(crate) output: Output<'a>,
}

impl Call<'_> {
    pub(crate) fn perform(&self, verb: Verb) -> Result<(), Failure> {
        match verb {
            Verb::Init => self.init(),
            Verb::Backup(arguments) => self.backup(arguments),
            Verb::Archive(arguments) => self.archive(&arguments),
            Verb::Serve(_) | Verb::Supervise(_) => {
                Err(Failure::Usage("a daemon is not run by another".to_owned()))
            }
            Verb::List => self.list(),
            Verb::Show { backup } => self.show(&backup),
            Verb::Verify(arguments) => self.verify(&arguments),
            Verb::Restore(arguments) => self.restore(arguments),
            Verb::Open(arguments) => self.open(&arguments),
            Verb::Recover(verb) => self.recover(&verb),
            Verb::Drill(arguments) => self.drill(&arguments),
            Verb::Window => self.window(),
            Verb::Status(_) => self.status(),
            Verb::Doctor(_) => self.doctor(),
            Verb::Health(arguments) => self.health(&arguments),
            Verb::Schema(verb) => self.schema(&verb),
            Verb::Check(arguments) => self.check(arguments),
            Verb::Expire(arguments) => self.expire(&arguments),
            Verb::Delete(arguments) => self.delete(&arguments),
            Verb::Hold(arguments) => self.hold(arguments),
            Verb::Release(arguments) => self.release(&arguments),
            Verb::Copy(_) => self.copy(),
            Verb::Unlock => self.unlock(),
            Verb::Gc(arguments) => self.gc(&arguments),
            Verb::Key(verb) => self.key(verb),
            Verb::Source(verb) => self.source(verb),
            Verb::Config(ConfigVerb::Show) => self.output.config(self.settings),
        }
    }

    /// The state directory. Who cannot read what was tried before works all the same, and says so.
    pub(crate) fn state(&self) -> Result<StateDirectory, Failure> {
        let state = resolve::state(self.settings, self.environment)?;
        // Where it cannot be mended, what needs the journal fails by itself.
        if let Ok(Some(aside)) = state.mend(self.session.clock.now()) {
            self.session.monitor.finding(&grap_task::Finding::warning(aside.to_string()));
        }
        Ok(state)
    }

    /// Where the state directory is; it is not made.
    pub(crate) fn state_root(&self) -> Result<PathBuf, Failure> {
        resolve::state_path(self.settings, self.environment)
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
        // Before, not after: a backup that is made must not end with an error of a setting.
        let rules = retention::rules(self.settings)?;
        let report = self.backup_report(arguments)?;
        self.output.backup(&report, &rules)
    }

    pub(crate) fn backup_report(&self, arguments: BackupArguments) -> Result<BackupReport, Failure> {
        let options = self.backup_options(arguments)?;
        Ok(ops::backup(&options, self.access()?, &self.state()?, self.session)?)
    }

    pub(super) fn backup_options(&self, arguments: BackupArguments) -> Result<BackupOptions, Failure> {
        for tag in &arguments.tags {
            if tag.is_empty() || tag.contains([',', ':']) {
                return Err(Failure::Usage(format!(
                    "`{tag}` is no tag: it must not be empty nor hold a comma or a colon"
                )));
            }
        }
        let niceness = self.settings.number("backup.niceness", 0..=19)?;
        Ok(BackupOptions {
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
        })
    }

    fn archive(&self, arguments: &ArchiveArguments) -> Result<(), Failure> {
        let state = self.state()?;
        if StateDirectory::is_served(state.root()).map_err(Error::from)? {
            return Err(Error::from(StateError::Busy { job: "serve", path: state.root().to_owned() }).into());
        }
        let options = self.archive_options(arguments)?;
        let access = self.access()?;
        let report = ops::archive(&options, || access.open(), &state, self.session)?;
        self.output.archive(&report)
    }

    pub(super) fn archive_options(&self, arguments: &ArchiveArguments) -> Result<ArchiveOptions, Failure> {
        let interval = self.settings.number("archive.interval_ms", 1..=600_000)?.map(Duration::from_millis);
        let segment_mib: usize = self.settings.number("archive.segment_mib", 1..=256)?.unwrap_or(16);
        Ok(ArchiveOptions {
            installation: resolve::installation(self.settings)?,
            source: resolve::source(self.settings)?,
            takeover: arguments.takeover,
            interval: interval.unwrap_or(if resolve::is_remote(self.settings) {
                INTERVAL_REMOTE
            } else {
                INTERVAL_LOCAL
            }),
            segment_bytes: segment_mib << 20,
            lag_max: Some(lag_max(self.settings)?),
            pace: Pace::DEFAULT,
        })
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
        self.verified(&report)
    }

    pub(super) fn verified(&self, report: &VerifyReport) -> Result<(), Failure> {
        self.output.verify(report)?;
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

    fn doctor(&self) -> Result<(), Failure> {
        let installation = resolve::installation(self.settings)?;
        let access = if resolve::has_repository(self.settings) { Some(self.access()?) } else { None };
        let state = self.state()?;
        let copy = resolve::copy_place(self.settings);
        let control = self.server_control_if_set()?;
        let report = ops::doctor(DoctorOptions { installation, access, copy, control }, &state, self.session);
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

pub(crate) fn lag_max(settings: &Settings) -> Result<Duration, Failure> {
    Ok(Duration::from_secs(settings.number("archive.lag_max_s", 1..=86_400)?.unwrap_or(60)))
}

pub(super) fn target(text: &str) -> Result<Target, Failure> {
    text.parse().map_err(|error: grap_core::InvalidTarget| Failure::Usage(error.to_string()))
}
