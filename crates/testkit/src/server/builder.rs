//! What a server is started with: version, settings, data directory.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Server;
use crate::error::{Error, Result};
use crate::install::Distribution;
use crate::{settings, tree};

/// Where the archive of its classes goes at its end, and the class path that it is for.
#[derive(Debug, Clone)]
struct ArchiveTo {
    archive: PathBuf,
    classpath: String,
}

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct ServerBuilder {
    pub(super) distribution: Distribution,
    settings: BTreeMap<String, String>,
    environment: Vec<(String, String)>,
    heap: String,
    pub(super) password: Option<String>,
    fresh_data: bool,
    pub(super) wait_online: bool,
    archive_to: Option<ArchiveTo>,
}

impl ServerBuilder {
    pub(super) fn new(distribution: &Distribution) -> Self {
        Self {
            distribution: distribution.clone(),
            settings: BTreeMap::new(),
            environment: Vec::new(),
            heap: "512m".into(),
            password: None,
            fresh_data: false,
            wait_online: true,
            archive_to: None,
        }
    }

    /// A line of `neo4j.conf`; replaces the kit's own value.
    #[must_use]
    pub fn setting(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(key.into(), value.into());
        self
    }

    /// Variables of the process.
    #[must_use]
    pub fn environment(mut self, variables: &[(String, String)]) -> Self {
        self.environment = variables.to_vec();
        self
    }

    /// Largest Java heap, e.g. `256m`.
    #[must_use]
    pub fn heap(mut self, heap: &str) -> Self {
        heap.clone_into(&mut self.heap);
        self
    }

    /// Authentication on, with this password (8 characters or more) of user `neo4j`.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Start from an empty data directory: new store ids and a new `system` database. Costs a few CPU
    /// seconds.
    #[must_use]
    pub fn fresh_data(mut self) -> Self {
        self.fresh_data = true;
        self
    }

    /// Use this data directory as it is, wherever it lies.
    #[must_use]
    pub fn data_directory(self, data: &Path) -> Self {
        let data = data.canonicalize().unwrap_or_else(|_| data.to_path_buf());
        self.setting(settings::DATA, data.display().to_string())
    }

    /// `start` returns as soon as Bolt answers, even when the default database is refused.
    #[must_use]
    pub fn without_waiting_online(mut self) -> Self {
        self.wait_online = false;
        self
    }

    /// Log files that rotate and checkpoints that come quickly: what a test of backups wants to meet.
    #[must_use]
    pub fn busy_logs(self) -> Self {
        settings::BUSY_LOGS.iter().fold(self, |builder, (key, value)| builder.setting(*key, *value))
    }

    /// Starts the server with this home directory (created if absent) and waits until the database is online.
    pub fn start(self, home: &Path) -> Result<Server> {
        let mut server = self.prepare(home)?;
        server.launch()?;
        Ok(server)
    }

    /// As [`start`](Self::start), but nothing is started: for a test in which somebody else runs
    /// [`Server::command`].
    pub fn prepare(self, home: &Path) -> Result<Server> {
        make_home(home)?;
        let home = home.canonicalize().map_err(Error::file("resolve", home))?;
        let data = self.data_of(&home);
        if !data.exists() && !self.fresh_data {
            tree::copy(&self.distribution.template(), &data)?;
        }
        let server = Server { port: free_port()?, options: self, home, child: None };
        server.options.write_conf(&server.home, server.port)?;
        Ok(server)
    }

    pub(crate) fn archive_classes(mut self, archive: &Path, classpath: &str) -> Self {
        self.archive_to = Some(ArchiveTo { archive: archive.to_path_buf(), classpath: classpath.to_owned() });
        self
    }

    pub(super) fn java(&self) -> Command {
        let mut command = self.plain_java();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn plain_java(&self) -> Command {
        match &self.archive_to {
            Some(ArchiveTo { archive, classpath }) => {
                let mut command = self.distribution.java().jvm(&self.heap);
                command.arg(format!("-XX:ArchiveClassesAtExit={}", archive.display()));
                command.arg("-cp").arg(classpath);
                command
            }
            None => self.distribution.jvm(&self.heap, None),
        }
    }

    pub(super) fn data_of(&self, home: &Path) -> PathBuf {
        self.settings.get(settings::DATA).map_or_else(|| home.join("data"), PathBuf::from)
    }

    pub(super) fn write_conf(&self, home: &Path, port: u16) -> Result<()> {
        let mut all = settings::defaults(self.distribution.version(), port);
        all.insert("dbms.security.auth_enabled".into(), self.password.is_some().to_string());
        all.extend(self.settings.clone());
        settings::write(home, &all)
    }
}

/// Makes the folders of a home directory.
pub(crate) fn make_home(home: &Path) -> Result<()> {
    for folder in ["conf", "logs", "plugins", "import", "run", "licenses"] {
        let path = home.join(folder);
        fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
    }
    Ok(())
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Error::file("bind", "127.0.0.1"))?;
    Ok(listener.local_addr().map_err(Error::file("name", "socket"))?.port())
}
