//! What can be started: the jars of a Neo4j Community that we know, and a Java for it.
//!
//! The server is started from its jars as its own script would do it, but with nothing of that script's surroundings:
//! no plugins, no variables, no settings of the JVM that somebody else chose.

use std::path::{Path, PathBuf};

use grap_disk as disk;

use super::java::JavaPlace;
use super::{ServerError, ServerRelease};
use crate::live::Configuration;

/// Larger configuration files are not `neo4j.conf`.
const CONFIGURATION_SIZE_MAX: u64 = 4 << 20;

/// Where a Neo4j that can be started is.
#[derive(Debug, Clone)]
pub struct InstallationPlace {
    pub home: PathBuf,
    /// The directory that holds `neo4j.conf`, where it is not `conf/` in the home.
    pub configuration: Option<PathBuf>,
    /// The directory that holds the live server's `neo4j.conf`, where that is another.
    pub live: Option<PathBuf>,
    pub java: JavaPlace,
}

/// A Neo4j Community that can be started.
#[derive(Debug, Clone)]
pub struct ServerInstallation {
    pub release: ServerRelease,
    /// The directory of its jars.
    pub lib: PathBuf,
    pub(super) java: PathBuf,
    /// The settings of the live server, else its own.
    pub(super) live: Configuration,
}

impl ServerInstallation {
    pub fn find(place: &InstallationPlace) -> Result<Self, ServerError> {
        let own = place.configuration.clone().unwrap_or_else(|| place.home.join("conf"));
        let own = configuration(&own)?.unwrap_or_default();
        let lib = place.home.join(own.get("server.directories.lib").unwrap_or("lib"));
        let release = release_of(&lib)?;
        let java = place.java.find(&release)?;
        let live = place.live.as_deref().map(configuration).transpose()?.flatten().unwrap_or(own);
        Ok(Self { release, lib: disk::absolute(&lib)?, java, live })
    }

    /// An older server does not know what a newer one wrote.
    pub fn require_at_least(&self, needed: &str, database: &str) -> Result<(), ServerError> {
        match needed.parse::<ServerRelease>() {
            Ok(release) if release > self.release => Err(ServerError::TooOld {
                lib: self.lib.clone(),
                release: self.release.clone(),
                database: database.to_owned(),
                needed: needed.to_owned(),
            }),
            // What cannot be compared the server itself refuses.
            _ => Ok(()),
        }
    }

    pub(super) fn main_class(&self) -> &'static str {
        if self.release.is_calendar() {
            "org.neo4j.server.Neo4jCommunity"
        } else {
            "org.neo4j.server.CommunityEntryPoint"
        }
    }
}

/// `None` where there is no `neo4j.conf`: a server without one has its defaults.
fn configuration(folder: &Path) -> Result<Option<Configuration>, ServerError> {
    match disk::read(&folder.join("neo4j.conf"), CONFIGURATION_SIZE_MAX) {
        Err(error) if error.is_not_found() => Ok(None),
        text => Ok(Some(Configuration::parse(&String::from_utf8_lossy(&text?)))),
    }
}

fn release_of(lib: &Path) -> Result<ServerRelease, ServerError> {
    let names = disk::list(lib)?.unwrap_or_default();
    let unknown = |found: &str| ServerError::UnknownRelease { lib: lib.to_owned(), found: found.to_owned() };
    // Its licence is another, and so are the formats that it writes.
    if let Some(name) = names.iter().find(|name| name.starts_with("neo4j-enterprise-")) {
        return Err(unknown(name));
    }
    let kernel = |name: &&String| name.starts_with("neo4j-kernel-") && version_of(name).is_some();
    let jar = names.iter().find(kernel).ok_or_else(|| ServerError::NoJars { lib: lib.to_owned() })?;
    let release = version_of(jar).and_then(|version| version.parse::<ServerRelease>().ok());
    release.filter(ServerRelease::is_known).ok_or_else(|| unknown(jar))
}

/// `neo4j-kernel-5.26.30.jar`, and not `neo4j-kernel-api-5.26.30.jar`
fn version_of(jar: &str) -> Option<&str> {
    let version = jar.strip_prefix("neo4j-kernel-")?.strip_suffix(".jar")?;
    version.starts_with(|c: char| c.is_ascii_digit()).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lib(jars: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for jar in jars {
            disk::Sink::create(&folder.path().join(jar)).unwrap();
        }
        folder
    }

    /// Debian's package: home in `/var/lib/neo4j`, configuration in `/etc/neo4j`, jars in `/usr/share/neo4j/lib`.
    #[test]
    fn an_installation_in_several_places_is_found() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        let java = at("java/bin");
        for folder in ["var/lib/neo4j", "etc/neo4j", "usr/share/neo4j/lib", "java/bin"] {
            disk::create_dir_all(&at(folder)).unwrap();
        }
        disk::Sink::create(&at("usr/share/neo4j/lib/neo4j-kernel-5.26.30.jar")).unwrap();
        disk::Sink::create(&java.join("java")).unwrap();
        disk::publish(&at("java/release"), &[b"JAVA_VERSION=\"17.0.1\"\n"]).unwrap();
        let lib = disk::absolute(&at("usr/share/neo4j/lib")).unwrap();
        let text = format!("server.directories.lib={}\ndb.temporal.timezone=Europe/Berlin\n", lib.display());
        disk::publish(&at("etc/neo4j/neo4j.conf"), &[text.as_bytes()]).unwrap();
        let place = |home: &str, configuration: Option<&str>, live: Option<&str>| InstallationPlace {
            home: at(home),
            configuration: configuration.map(at),
            live: live.map(at),
            java: JavaPlace { home: Some(at("java")), ..JavaPlace::default() },
        };
        // The live one, and the same jars named as a home of their own.
        for place in [
            place("var/lib/neo4j", Some("etc/neo4j"), None),
            place("usr/share/neo4j", None, Some("etc/neo4j")),
        ] {
            let found = ServerInstallation::find(&place).unwrap();
            assert_eq!((&found.lib, found.release.to_string().as_str()), (&lib, "5.26.30"));
            assert_eq!(found.live.get("db.temporal.timezone"), Some("Europe/Berlin"));
        }
        let lost = ServerInstallation::find(&place("var/lib/neo4j", None, None));
        assert!(matches!(lost, Err(ServerError::NoJars { .. })));
    }

    #[test]
    fn the_kernel_tells_the_release_and_what_is_not_known_is_refused() {
        let release = |jars: &[&str]| release_of(lib(jars).path());
        let found = release(&["neo4j-kernel-api-5.26.30.jar", "neo4j-kernel-5.26.30.jar"]).unwrap();
        assert_eq!(found.to_string(), "5.26.30");
        assert!(matches!(release(&["neo4j-kernel-4.4.1.jar"]), Err(ServerError::UnknownRelease { .. })));
        assert!(matches!(release(&["other.jar"]), Err(ServerError::NoJars { .. })));
        let enterprise = ["neo4j-kernel-5.26.30.jar", "neo4j-enterprise-kernel-5.26.30.jar"];
        assert!(matches!(release(&enterprise), Err(ServerError::UnknownRelease { .. })));
        assert!(matches!(release_of(Path::new("/no/such/lib")), Err(ServerError::NoJars { .. })));
    }
}
