//! Which release of Neo4j an installation is, where its jars can be seen.

use std::path::Path;

use grap_disk as disk;

use super::{Installation, ServerRun};

/// From the home's `lib/`, else from the command line of the process that holds the database. Nothing depends
/// on it: the kernel byte in the log says what a backup needs.
pub fn release(installation: &Installation, run: &ServerRun) -> Option<String> {
    let from_home = || {
        let names = disk::list(&installation.home.as_ref()?.join("lib")).ok()??;
        names.iter().find_map(|name| version_of_jar(name))
    };
    let from_process = || {
        let ServerRun::Process { pid, .. } = run else { return None };
        let command = disk::read(Path::new(&format!("/proc/{pid}/cmdline")), 16 << 20).ok()?;
        let command = String::from_utf8_lossy(&command).into_owned();
        command.split(['\0', ':', '/']).find_map(version_of_jar)
    };
    from_home().or_else(from_process)
}

/// `neo4j-kernel-5.26.30.jar`
fn version_of_jar(name: &str) -> Option<String> {
    let version = name.strip_prefix("neo4j-kernel-")?.strip_suffix(".jar")?;
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
}
