//! `open`: a point of the past in a server of its own, until somebody says that it is enough.

use std::path::PathBuf;
use std::time::Duration;

use grap::ops::{self, OpenOptions, StayEnd};
use grap::server::{InstallationPlace, JavaPlace};
use grap_task::Finding;
use jiff::Unit;

use super::arguments::OpenArguments;
use super::resolve;
use super::verbs::{Call, target};
use crate::config::{SettingError, parse_duration, parse_memory};
use crate::failure::Failure;

impl Call<'_> {
    pub(super) fn open(&self, arguments: &OpenArguments) -> Result<(), Failure> {
        let longest = arguments.duration.as_deref().map(parse_duration).transpose();
        let longest = longest.map_err(|why| Failure::Usage(format!("--for: {why}")))?;
        let options = self.open_options(arguments)?;
        // Once to decide, once to restore.
        let accesses = [self.access()?, self.access()?];
        let mut opened = ops::open(&options, accesses, &self.state()?, self.session)?;
        let until = longest.and_then(|longest| self.session.clock.now().checked_add(longest).ok());
        let until = until.and_then(|until| until.round(Unit::Second).ok());
        self.output.open(&opened.report, until)?;
        let end = opened.stay(longest, self.session);
        let closed = opened.close();
        let why = match end? {
            StayEnd::Asked => "as it was told to",
            StayEnd::TimeUp => "its time was up",
        };
        closed?;
        self.session.monitor.finding(&Finding::info(format!("ended, {why}; nothing of it is left")));
        Ok(())
    }

    fn open_options(&self, arguments: &OpenArguments) -> Result<OpenOptions, Failure> {
        let scratch = match self.settings.path("recovery.scratch_dir") {
            Some(scratch) => scratch,
            None => self.state_root()?.join("open"),
        };
        let memory = |key| Ok::<_, Failure>(self.settings.parsed(key, parse_memory)?.unwrap_or_default());
        let start_limit = self.settings.number("recovery.start_limit_s", 10..=86_400)?.unwrap_or(3600);
        Ok(OpenOptions {
            target: target(&arguments.target)?,
            source: resolve::source(self.settings)?,
            timeline: arguments.timeline,
            database: arguments.database.as_ref().map(|name| name.to_lowercase()),
            scratch,
            server: self.installation_place()?,
            heap: memory("recovery.heap")?,
            page_cache: memory("recovery.page_cache")?,
            start_limit: Duration::from_secs(start_limit),
        })
    }

    /// What is started: a home of its own, or the live one's.
    pub(super) fn installation_place(&self) -> Result<InstallationPlace, Failure> {
        let live_home = self.settings.path("neo4j.home");
        let live_configuration = || {
            let conf = live_home.as_ref().map(|home| home.join("conf"));
            self.settings.path("neo4j.conf").or(conf)
        };
        let java = JavaPlace {
            home: self.settings.path("recovery.java_home"),
            preferred: self.environment.get("JAVA_HOME").map(PathBuf::from),
            path: self.environment.get("PATH").map(std::env::split_paths).into_iter().flatten().collect(),
        };
        match (self.settings.path("recovery.neo4j_home"), &live_home) {
            (Some(home), _) => {
                Ok(InstallationPlace { home, configuration: None, live: live_configuration(), java })
            }
            (None, Some(home)) => {
                let configuration = self.settings.path("neo4j.conf");
                Ok(InstallationPlace { home: home.clone(), configuration, live: None, java })
            }
            (None, None) => Err(SettingError::Missing {
                what: "a Neo4j that can be started",
                key: "recovery.neo4j_home",
                flag: "--neo4j-home",
                variable: "GRAP_RECOVERY_NEO4J_HOME",
            }
            .into()),
        }
    }
}
