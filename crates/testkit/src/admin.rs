//! `neo4j-admin` in a JVM of its own.

use std::path::Path;
use std::process::Stdio;

use crate::error::{Error, Result};
use crate::install::Distribution;
use crate::server::make_home;
use crate::settings;

/// What an administration command said.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output and standard error, one behind the other.
    pub text: String,
}

impl Output {
    /// Lines that hold a warning or an error. (`check` can end with code 0 and still warn.)
    pub fn complaints(&self) -> Vec<String> {
        // Lines that begin with "WARNING:" are of the JVM and of libraries.
        let is_complaint =
            |line: &&str| (line.contains("WARN") || line.contains("ERROR")) && !line.starts_with("WARNING:");
        self.text.lines().filter(is_complaint).map(str::to_owned).collect()
    }

    /// Exit code 0 and not one complaint.
    pub fn is_clean(&self) -> bool {
        self.code == 0 && self.complaints().is_empty()
    }
}

/// Runs `neo4j-admin` with this home (and its `conf`).
pub fn run(distribution: &Distribution, home: &Path, arguments: &[&str]) -> Result<Output> {
    let output = distribution
        .jvm("1g", None)
        .arg("org.neo4j.cli.AdminTool")
        .args(arguments)
        .env("NEO4J_HOME", home)
        .env("NEO4J_CONF", home.join("conf"))
        .current_dir(home)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::file("start", "java"))?;
    let text = [output.stdout, output.stderr].concat();
    Ok(Output { code: output.status.code().unwrap_or(-1), text: String::from_utf8_lossy(&text).into_owned() })
}

/// `neo4j-admin database check neo4j` on a data directory that was stopped cleanly, in a JVM of its own.
pub fn check(distribution: &Distribution, data: &Path) -> Result<Output> {
    let home = home_for(distribution, data)?;
    run(distribution, home.path(), &["database", "check", "neo4j"])
}

/// A home directory whose data directory is the given one.
pub(crate) fn home_for(distribution: &Distribution, data: &Path) -> Result<tempfile::TempDir> {
    let data = data.canonicalize().map_err(Error::file("resolve", data))?;
    let home = tempfile::tempdir().map_err(Error::file("create", "a temporary folder"))?;
    make_home(home.path())?;
    let mut all = settings::defaults(distribution.version(), 0);
    all.insert("server.bolt.enabled".into(), "false".into());
    all.insert(settings::DATA.into(), data.display().to_string());
    settings::write(home.path(), &all)?;
    Ok(home)
}
