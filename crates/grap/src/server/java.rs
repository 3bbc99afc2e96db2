//! The Java that a release of Neo4j runs on.
//!
//! Where one is named it is that one or none. Else those that the system has: `JAVA_HOME`, `java` on the path, what
//! distributions install. What a Java is stands in its own file `release`; one without such a file is left alone.

use std::path::{Path, PathBuf};

use grap_disk::{self as disk, Kind};

use super::{ServerError, ServerRelease};

/// Where distributions put what they install.
const INSTALLED: &str = "/usr/lib/jvm";
const RELEASE_SIZE_MAX: u64 = 1 << 20;

/// Where to look for a Java.
#[derive(Debug, Clone, Default)]
pub struct JavaPlace {
    /// The home of the one to take, whatever else there is.
    pub home: Option<PathBuf>,
    /// `JAVA_HOME`: tried first.
    pub preferred: Option<PathBuf>,
    /// The directories of `PATH`.
    pub path: Vec<PathBuf>,
}

#[derive(Debug)]
struct Java {
    home: PathBuf,
    feature: u32,
}

impl JavaPlace {
    /// The program `java` for this release.
    pub(super) fn find(&self, release: &ServerRelease) -> Result<PathBuf, ServerError> {
        let candidates = match &self.home {
            Some(home) => vec![home.clone()],
            None => self.candidates()?,
        };
        let mut seen: Vec<Java> = Vec::new();
        for home in candidates {
            if let Some(java) = inspect(&home)?
                && seen.iter().all(|known| known.home != java.home)
            {
                seen.push(java);
            }
        }
        match seen.iter().find(|java| runs(java.feature, release)) {
            Some(java) => Ok(java.home.join("bin/java")),
            None => Err(ServerError::NoJava {
                release: release.clone(),
                wanted: if release.is_calendar() { "Java 21 or later" } else { "Java 17 to 21" },
                seen: seen.iter().map(|java| format!("{} ({})", java.home.display(), java.feature)).collect(),
            }),
        }
    }

    fn candidates(&self) -> Result<Vec<PathBuf>, ServerError> {
        let mut homes: Vec<PathBuf> = self.preferred.iter().cloned().collect();
        for folder in self.path.iter().filter(|folder| folder.is_absolute()) {
            let java = folder.join("java");
            if disk::stat(&java)?.is_some() {
                // A link, mostly; its home is two levels above the program itself.
                let program = disk::absolute(&java)?;
                homes.extend(program.ancestors().nth(2).map(Path::to_owned));
            }
        }
        // The newest first: later releases want a later one.
        let installed = disk::list(Path::new(INSTALLED))?.unwrap_or_default();
        homes.extend(installed.into_iter().rev().map(|name| Path::new(INSTALLED).join(name)));
        Ok(homes)
    }
}

fn runs(feature: u32, release: &ServerRelease) -> bool {
    if release.is_calendar() { feature >= 21 } else { (17..=21).contains(&feature) }
}

/// `None` where there is no Java, or none that says what it is.
fn inspect(home: &Path) -> Result<Option<Java>, ServerError> {
    let program = disk::stat(&home.join("bin/java"))?;
    if program.is_none_or(|stat| stat.kind != Kind::File) {
        return Ok(None);
    }
    let home = disk::absolute(home)?;
    let text = match disk::read(&home.join("release"), RELEASE_SIZE_MAX) {
        Err(error) if error.is_not_found() => return Ok(None),
        text => text?,
    };
    let feature = feature(&String::from_utf8_lossy(&text));
    Ok(feature.map(|feature| Java { home, feature }))
}

/// `JAVA_VERSION="17.0.12"`
fn feature(text: &str) -> Option<u32> {
    let version = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    version.trim_matches('"').split(['.', '-', '+']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn java(folder: &Path, name: &str, version: &str) -> PathBuf {
        let home = folder.join(name);
        disk::create_dir_all(&home.join("bin")).unwrap();
        disk::Sink::create(&home.join("bin/java")).unwrap();
        disk::publish(&home.join("release"), &[format!("X=1\nJAVA_VERSION=\"{version}\"\n").as_bytes()])
            .unwrap();
        disk::absolute(&home).unwrap()
    }

    #[test]
    fn a_release_gets_a_java_that_runs_it() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (java(folder.path(), "a", "17.0.12"), java(folder.path(), "b", "25"));
        let (five, calendar) = ("5.26.30".parse().unwrap(), "2026.08.1".parse().unwrap());
        let place = JavaPlace { preferred: Some(old.clone()), path: vec![new.join("bin")], home: None };
        assert_eq!(place.find(&five).unwrap(), old.join("bin/java"));
        assert_eq!(place.find(&calendar).unwrap(), new.join("bin/java"));
        let named = JavaPlace { home: Some(new.clone()), ..place };
        let refused = named.find(&five).unwrap_err().to_string();
        assert!(refused.contains("needs Java 17 to 21") && refused.contains("(25)"), "{refused}");
        let none = JavaPlace { home: Some(folder.path().join("c")), ..named };
        assert!(none.find(&five).unwrap_err().to_string().contains("found: none"));
    }
}
