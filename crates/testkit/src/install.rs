//! Neo4j Community, ready to run: jars by Maven, a class-data archive for fast starts, a data directory to
//! start from.
//!
//! Neo4j is GPLv3 and never part of this repository: the jars are fetched by the developer's own Maven into a
//! cache folder: `$GRAP_TEST_CACHE`, else `.cache/neo4j` of the workspace. Each piece is made under a name of
//! its own and renamed when whole, all of it under one file lock per version: tests of several processes
//! fetch once.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result, last_lines};
use crate::java::Java;
use crate::server::Server;
use crate::workload::{Workload, WorkloadOptions};

/// The version that tests use when they are told nothing else.
pub const DEFAULT_VERSION: &str = "5.26.30";

const ARCHIVED_WORK: Duration = Duration::from_secs(4);
const INSTALL_HINT: &str = "apt-get install -y maven openjdk-17-jdk-headless";
const COPY_DEPENDENCIES: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
const ARTIFACTS: [(&str, &str); 6] = [
    ("org.neo4j.app", "neo4j-server"),
    ("org.neo4j", "neo4j"),
    ("org.neo4j", "neo4j-dbms"),
    ("org.neo4j", "neo4j-consistency-check"),
    ("org.neo4j", "neo4j-import-tool"),
    ("org.neo4j", "neo4j-slf4j-provider"),
];

/// One installed version of Neo4j Community.
#[derive(Debug, Clone)]
pub struct Distribution {
    version: String,
    java: Java,
    folder: PathBuf,
    classpath: String,
}

impl Distribution {
    /// The default version, installed if needed.
    pub fn standard() -> Result<Self> {
        Self::ensure(DEFAULT_VERSION)
    }

    /// Installs a version if it is not yet in the cache (about half a minute), and opens it.
    pub fn ensure(version: &str) -> Result<Self> {
        let java = Java::for_neo4j(version)?;
        let (folder, _held_until_return) = with_jars(version, &java)?;
        let lib = folder.join("lib");
        let distribution = Self { version: version.to_owned(), java, classpath: classpath(&lib)?, folder };
        if !distribution.archive().is_file() {
            make_archive(&distribution)?;
        }
        if !distribution.template().is_dir() {
            make_template(&distribution)?;
        }
        Ok(distribution)
    }

    /// The directory of a version's jars, fetched if needed, and nothing else of it.
    pub fn jars(version: &str) -> Result<PathBuf> {
        let (folder, _) = with_jars(version, &Java::for_neo4j(version)?)?;
        Ok(folder.join("lib"))
    }

    /// Whether [`ensure`](Self::ensure) has nothing left to do.
    pub fn is_installed(version: &str) -> bool {
        let folder = cache_folder().join(version);
        ["lib", "classes.jsa", "template"].iter().all(|piece| folder.join(piece).exists())
    }

    /// The versions named in `GRAP_TEST_VERSIONS` (comma separated), else only the default one.
    pub fn matrix() -> Vec<String> {
        match std::env::var("GRAP_TEST_VERSIONS") {
            Ok(versions) if !versions.trim().is_empty() => {
                versions.split(',').map(|version| version.trim().to_owned()).collect()
            }
            _ => vec![DEFAULT_VERSION.to_owned()],
        }
    }

    /// For example `5.26.30`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The Java that this version runs on.
    pub fn java(&self) -> &Java {
        &self.java
    }

    /// Cache folder of this version: whatever is derived from it may be kept there.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All jars, in the order of the class-data archive.
    pub fn classpath(&self) -> &str {
        &self.classpath
    }

    /// A data directory as a first start leaves it after a clean stop (stores of `neo4j` and `system`).
    pub fn template(&self) -> PathBuf {
        self.folder.join("template")
    }

    /// `java` with the class path (`extra` behind it) and the class-data archive.
    pub(crate) fn jvm(&self, heap: &str, extra: Option<&Path>) -> Command {
        let mut command = self.java.jvm(heap);
        if self.archive().is_file() {
            command.arg(format!("-XX:SharedArchiveFile={}", self.archive().display()));
        }
        let mut classpath = self.classpath.clone();
        if let Some(extra) = extra {
            classpath = format!("{classpath}:{}", extra.display());
        }
        command.arg("-cp").arg(classpath);
        command
    }

    pub(crate) fn server_class(&self) -> &'static str {
        if crate::java::is_calendar(&self.version) {
            "org.neo4j.server.Neo4jCommunity"
        } else {
            "org.neo4j.server.CommunityEntryPoint"
        }
    }

    fn archive(&self) -> PathBuf {
        self.folder.join("classes.jsa")
    }
}

/// The folder of a version, with its jars; nobody else changes anything of it while the lock is held.
fn with_jars(version: &str, java: &Java) -> Result<(PathBuf, File)> {
    let cache = cache_folder();
    let folder = cache.join(version);
    fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
    let folder = folder.canonicalize().map_err(Error::file("resolve", &folder))?;
    let lock = lock_file(&cache.join(format!("{version}.lock")))?;
    if !folder.join("lib").is_dir() {
        fetch_jars(version, java, &folder)?;
    }
    Ok((folder, lock))
}

pub(crate) fn cache_folder() -> PathBuf {
    std::env::var_os("GRAP_TEST_CACHE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/neo4j"), PathBuf::from)
}

/// Takes the exclusive lock of a file for as long as the result lives.
pub(crate) fn lock_file(path: &Path) -> Result<File> {
    let file = File::create(path).map_err(Error::file("create", path))?;
    file.lock().map_err(Error::file("lock", path))?;
    Ok(file)
}

fn fetch_jars(version: &str, java: &Java, folder: &Path) -> Result<()> {
    let scratch = scratch_folder(folder)?;
    let pom = scratch.path().join("pom.xml");
    fs::write(&pom, project(version)).map_err(Error::file("write", &pom))?;
    let lib = scratch.path().join("lib");
    let output = Command::new("mvn")
        .args(["-q", "-B", COPY_DEPENDENCIES, "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", lib.display()))
        .current_dir(scratch.path())
        .env("JAVA_HOME", &java.home)
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::Missing {
                what: "mvn (Apache Maven)".into(),
                try_command: INSTALL_HINT.into(),
            });
        }
        Err(error) => return Err(Error::file("start", "mvn")(error)),
    };
    if !output.status.success() {
        return Err(Error::Process {
            program: format!("mvn copy-dependencies for Neo4j {version}"),
            outcome: output.status.to_string(),
            output: last_lines(&String::from_utf8_lossy(&output.stdout), 20),
        });
    }
    publish(&lib, &folder.join("lib"))
}

fn project(version: &str) -> String {
    let mut dependencies = String::new();
    for (group, artifact) in ARTIFACTS {
        let _ = writeln!(
            dependencies,
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></dependency>"
        );
    }
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\n\
         <groupId>grap</groupId><artifactId>testkit</artifactId><version>1</version><packaging>pom</packaging>\n\
         <dependencies>\n{dependencies}</dependencies></project>\n"
    )
}

fn classpath(lib: &Path) -> Result<String> {
    let lib = lib.canonicalize().map_err(Error::file("resolve", lib))?;
    let mut jars: Vec<String> = fs::read_dir(&lib)
        .map_err(Error::file("list", &lib))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jar"))
        .map(|path| path.display().to_string())
        .collect();
    jars.sort();
    Ok(jars.join(":"))
}

/// A server under a short workload leaves the archive of all classes that such a server needs.
fn make_archive(distribution: &Distribution) -> Result<()> {
    let scratch = scratch_folder(&distribution.folder)?;
    let archive = scratch.path().join("classes.jsa");
    let home = scratch.path().join("home");
    let mut server = Server::builder(distribution)
        .fresh_data()
        .archive_classes(&archive, distribution.classpath())
        .start(&home)?;
    let workload = Workload::start(&server, WorkloadOptions::default())?;
    thread::sleep(ARCHIVED_WORK);
    workload.stop()?;
    server.stop()?;
    publish(&archive, &distribution.archive())
}

/// A server that has started and stopped once leaves the data directory from which others start.
fn make_template(distribution: &Distribution) -> Result<()> {
    let scratch = scratch_folder(&distribution.folder)?;
    let home = scratch.path().join("home");
    Server::builder(distribution).fresh_data().start(&home)?.stop()?;
    publish(&home.join("data"), &distribution.template())
}

pub(crate) fn scratch_folder(beside: &Path) -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(".making-")
        .tempdir_in(beside)
        .map_err(Error::file("create a folder in", beside))
}

pub(crate) fn publish(made: &Path, name: &Path) -> Result<()> {
    fs::rename(made, name).map_err(Error::file("rename to", name))
}
