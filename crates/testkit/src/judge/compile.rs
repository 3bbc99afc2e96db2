//! Compiles the judge's Java once per Neo4j version and source text; the jar is kept beside the jars of the
//! version.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result, last_lines};
use crate::install::{Distribution, lock_file};

const SOURCES: [(&str, &str); 5] = [
    ("Judge.java", include_str!("../../java/Judge.java")),
    ("Canonical.java", include_str!("../../java/Canonical.java")),
    ("IndexCheck.java", include_str!("../../java/IndexCheck.java")),
    ("TokenCheck.java", include_str!("../../java/TokenCheck.java")),
    ("Json.java", include_str!("../../java/Json.java")),
];

/// The jar with the judge's classes.
pub(crate) fn jar(distribution: &Distribution) -> Result<PathBuf> {
    let jar = distribution.folder().join(format!("judge-{}.jar", fingerprint()));
    let _held_until_return = lock_file(&distribution.folder().join("judge.lock"))?;
    if !jar.is_file() {
        make(distribution, &jar)?;
    }
    Ok(jar)
}

fn fingerprint() -> String {
    let mut hash = Sha256::new();
    for (_, text) in SOURCES {
        hash.update(text);
    }
    hash.finalize().iter().take(6).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn make(distribution: &Distribution, jar: &Path) -> Result<()> {
    let folder = distribution.folder();
    let scratch = tempfile::tempdir_in(folder).map_err(Error::file("create a folder in", folder))?;
    let classes = scratch.path().join("classes");
    let mut javac = distribution.java().tool("javac");
    javac
        .args(["-nowarn", "-proc:none", "-encoding", "UTF-8", "-cp", distribution.classpath(), "-d"])
        .arg(&classes);
    for (name, text) in SOURCES {
        let path = scratch.path().join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))?;
        javac.arg(path);
    }
    run(javac, "javac")?;
    let made = scratch.path().join("judge.jar");
    let mut archive = distribution.java().tool("jar");
    archive.arg("cf").arg(&made).arg("-C").arg(&classes).arg(".");
    run(archive, "jar")?;
    fs::rename(&made, jar).map_err(Error::file("rename to", jar))
}

fn run(mut command: Command, program: &str) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::Missing {
            what: format!("{program} (a JDK, not only a JRE)"),
            try_command: "apt-get install -y openjdk-17-jdk-headless".into(),
        },
        _ => Error::file("start", program)(error),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(Error::Process {
        program: program.to_owned(),
        outcome: output.status.to_string(),
        output: last_lines(&String::from_utf8_lossy(&text), 40),
    })
}
