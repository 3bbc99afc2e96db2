//! Where an installation keeps its databases, found as the server finds it.
//!
//! Two ways in: a home (`neo4j.conf` names the directories and the default database), or a data directory
//! alone (a mounted volume). The user database is the configured default database; `system` always goes
//! along. Community serves exactly these two.

use std::path::{Path, PathBuf};

use grap_disk::{self as disk, DiskError, Kind};

use super::Configuration;

/// Larger configuration files are not `neo4j.conf`.
/// The database of users and passwords, beside every user database.
pub const SYSTEM: &str = "system";

const CONFIGURATION_SIZE_MAX: u64 = 4 << 20;

/// How the operator named the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstallationOptions {
    /// `configuration`: the directory that holds `neo4j.conf`, where it is not `<home>/conf` (`NEO4J_CONF`).
    Home { home: PathBuf, configuration: Option<PathBuf> },
    /// `transactions`: where it is not `<data>/transactions`. `database`: needed only where the volume holds
    /// several user databases.
    Data { data: PathBuf, transactions: Option<PathBuf>, database: Option<String> },
}

/// An installation on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    pub home: Option<PathBuf>,
    pub configuration: Configuration,
    /// The text of `neo4j.conf`, where there is one.
    pub configuration_text: Option<String>,
    /// Holds `databases/`.
    pub data: PathBuf,
    /// Holds one directory of log files for each database.
    pub transactions: PathBuf,
    /// The user database, then `system`.
    pub databases: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{} is not a directory", path.display())]
    NotADirectory { path: PathBuf },
    #[error("no configuration at {}", path.display())]
    NoConfiguration { path: PathBuf },
    #[error("{} holds no database: no directory under {}", data.display(), data.join("databases").display())]
    NoDatabase { data: PathBuf },
    #[error("database `{database}` has no store at {}", path.display())]
    NoStore { database: String, path: PathBuf },
    #[error("database `{database}` has a store but no transaction log at {}", path.display())]
    NoLog { database: String, path: PathBuf },
    #[error("{} holds several user databases: {}; say which (--database)", data.display(), names.join(", "))]
    SeveralDatabases { data: PathBuf, names: Vec<String> },
}

impl Installation {
    pub fn find(options: &InstallationOptions) -> Result<Self, LayoutError> {
        let found = match options {
            InstallationOptions::Home { home, configuration } => {
                Self::of_home(home, configuration.as_deref())?
            }
            InstallationOptions::Data { data, transactions, database } => {
                Self::of_data(data, transactions.as_deref(), database.as_deref())?
            }
        };
        found.require_databases()?;
        Ok(found)
    }

    /// Where an installation has this database, whether it is there or not.
    pub fn locate(options: &InstallationOptions, database: &str) -> Result<Self, LayoutError> {
        let mut found = match options {
            InstallationOptions::Home { home, configuration } => {
                Self::of_home(home, configuration.as_deref())?
            }
            InstallationOptions::Data { data, transactions, .. } => {
                Self::of_data(data, transactions.as_deref(), Some(database))?
            }
        };
        found.databases = vec![database.to_owned(), SYSTEM.to_owned()];
        Ok(found)
    }

    /// The data directory of an installation of which the databases may be gone.
    pub fn data_directory(options: &InstallationOptions) -> Result<PathBuf, LayoutError> {
        match options {
            InstallationOptions::Home { home, configuration } => {
                Ok(Self::of_home(home, configuration.as_deref())?.data)
            }
            InstallationOptions::Data { data, .. } => directory(data),
        }
    }

    /// `databases/<database>`
    pub fn store(&self, database: &str) -> PathBuf {
        self.data.join("databases").join(database)
    }

    /// The directory of the database's transaction and checkpoint logs.
    pub fn log(&self, database: &str) -> PathBuf {
        self.transactions.join(database)
    }

    fn of_home(home: &Path, configuration: Option<&Path>) -> Result<Self, LayoutError> {
        let home = directory(home)?;
        let file = configuration.map_or_else(|| home.join("conf"), Path::to_owned).join("neo4j.conf");
        let text = match disk::read(&file, CONFIGURATION_SIZE_MAX) {
            Err(error) if error.is_not_found() => return Err(LayoutError::NoConfiguration { path: file }),
            other => String::from_utf8_lossy(&other?).into_owned(),
        };
        let settings = Configuration::parse(&text);
        let from_home =
            |key: &str, default: PathBuf| settings.get(key).map_or(default, |value| home.join(value));
        let data = from_home("server.directories.data", home.join("data"));
        // A relative one is relative to the data directory, as the server has it.
        let root = settings.get("server.directories.transaction.logs.root").unwrap_or("transactions");
        let transactions = data.join(root);
        let user = settings.get("initial.dbms.default_database").unwrap_or("neo4j").to_lowercase();
        Ok(Self {
            home: Some(home),
            data: directory(&data)?,
            transactions,
            databases: vec![user, SYSTEM.to_owned()],
            configuration: settings,
            configuration_text: Some(text),
        })
    }

    fn of_data(
        data: &Path,
        transactions: Option<&Path>,
        database: Option<&str>,
    ) -> Result<Self, LayoutError> {
        let data = directory(data)?;
        let user = match database {
            Some(name) => name.to_lowercase(),
            None => only_user_database(&data)?,
        };
        Ok(Self {
            home: None,
            configuration: Configuration::default(),
            configuration_text: None,
            transactions: transactions.map_or_else(|| data.join("transactions"), Path::to_owned),
            databases: vec![user, SYSTEM.to_owned()],
            data,
        })
    }

    fn require_databases(&self) -> Result<(), LayoutError> {
        for database in &self.databases {
            let path = self.store(database);
            if !is_directory(&path)? {
                return Err(LayoutError::NoStore { database: database.clone(), path });
            }
            let path = self.log(database);
            if !is_directory(&path)? {
                return Err(LayoutError::NoLog { database: database.clone(), path });
            }
        }
        Ok(())
    }
}

/// The one directory under `databases/` beside `system`.
fn only_user_database(data: &Path) -> Result<String, LayoutError> {
    let root = data.join("databases");
    let mut names = Vec::new();
    for name in disk::list(&root)?.unwrap_or_default() {
        if name != SYSTEM && !name.starts_with('.') && is_directory(&root.join(&name))? {
            names.push(name);
        }
    }
    match names.len() {
        0 => Err(LayoutError::NoDatabase { data: data.to_owned() }),
        1 => Ok(names.remove(0)),
        _ => Err(LayoutError::SeveralDatabases { data: data.to_owned(), names }),
    }
}

fn is_directory(path: &Path) -> Result<bool, DiskError> {
    Ok(disk::stat(path)?.is_some_and(|stat| stat.kind == Kind::Directory))
}

fn directory(path: &Path) -> Result<PathBuf, LayoutError> {
    if is_directory(path)? {
        Ok(disk::absolute(path)?)
    } else {
        Err(LayoutError::NotADirectory { path: path.to_owned() })
    }
}
