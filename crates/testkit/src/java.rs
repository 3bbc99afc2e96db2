//! Finds a Java that a Neo4j version runs on, and starts it the cheap way (serial collector, C1 only).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// An installed Java.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Java {
    /// Its home directory, with `bin/java`.
    pub home: PathBuf,
    /// Its feature version, e.g. 17.
    pub feature: u32,
}

impl Java {
    /// The oldest installed Java that runs this Neo4j version: 17 to 21 for 5.x, 21 and later for calendar
    /// versions.
    pub fn for_neo4j(version: &str) -> Result<Self> {
        let wanted = if is_calendar(version) { 21..=u32::MAX } else { 17..=21 };
        let mut installed: Vec<Self> = candidates().iter().filter_map(|home| inspect(home)).collect();
        installed.sort_by_key(|java| java.feature);
        let found: Vec<u32> = installed.iter().map(|java| java.feature).collect();
        installed.into_iter().find(|java| wanted.contains(&java.feature)).ok_or_else(|| Error::Missing {
            what: format!("a Java for Neo4j {version} (have: {found:?})"),
            try_command: if is_calendar(version) {
                "install Java 21 or 25 (e.g. Temurin) under /usr/lib/jvm or set JAVA_25_HOME".into()
            } else {
                "apt-get install -y maven openjdk-17-jdk-headless".into()
            },
        })
    }

    /// A command for one of its tools: `java`, `javac`, `jar`.
    pub fn tool(&self, name: &str) -> Command {
        Command::new(self.home.join("bin").join(name))
    }

    /// `java` with the flags that every Neo4j process here shares.
    pub fn jvm(&self, heap: &str) -> Command {
        let mut command = self.tool("java");
        command.arg(format!("-Xmx{heap}")).args([
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-Xshare:auto",
            "-Xlog:disable",
            "--add-opens=java.base/java.nio=ALL-UNNAMED",
            "--add-opens=java.base/java.io=ALL-UNNAMED",
            "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
            "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
            "--enable-native-access=ALL-UNNAMED",
            "-Dlog4j2.disable.jmx=true",
            "-Dio.netty.tryReflectionSetAccessible=true",
            "-Dfile.encoding=UTF-8",
        ]);
        command.env_remove("JAVA_TOOL_OPTIONS").env_remove("_JAVA_OPTIONS");
        command
    }
}

/// Whether a version is a calendar version (2025.01 and later) and not a 5.x.
pub(crate) fn is_calendar(version: &str) -> bool {
    version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= 2025)
}

fn candidates() -> Vec<PathBuf> {
    let named = ["JAVA_HOME", "JAVA_25_HOME"].into_iter().filter_map(std::env::var_os);
    let mut homes: Vec<PathBuf> = named.map(PathBuf::from).collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path)
        .filter_map(|folder| folder.join("java").canonicalize().ok())
        .filter_map(|java| java.parent()?.parent().map(Path::to_path_buf));
    homes.extend(on_path);
    if let Ok(entries) = fs::read_dir("/usr/lib/jvm") {
        homes.extend(entries.flatten().filter_map(|entry| entry.path().canonicalize().ok()));
    }
    homes
}

fn inspect(home: &Path) -> Option<Java> {
    home.join("bin/java").is_file().then_some(())?;
    let release = fs::read_to_string(home.join("release")).ok()?;
    let line = release.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    let feature = line.trim_matches('"').split('.').next()?.parse().ok()?;
    Some(Java { home: home.to_path_buf(), feature })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_calendar_versions_from_five() {
        assert!(is_calendar("2026.08.1"));
        assert!(!is_calendar("5.26.30"));
    }
}
