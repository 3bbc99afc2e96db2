//! A Java for the servers that the program under test starts by itself: the installed one, with an archive of the classes
//! that such a server needs. What starts is the same server; it takes a third of the processor time to get there.
//!
//! It is a home of Java with one program in it, a script that adds the archive to whatever is asked. The archive is for one
//! class path: the jars of [`Distribution::folder`], in the order in which the system lists them. Whoever uses it says
//! so, with [`environment`]; with other jars Java takes no notice of the archive.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::Server;
use crate::error::{Error, Result};
use crate::install::{Distribution, cache_folder, lock_file, publish, scratch_folder};
use crate::workload::{Workload, WorkloadOptions};

const ARCHIVED_WORK: Duration = Duration::from_secs(2);

/// What `grap` is told, so that it starts this distribution, quickly.
pub fn environment(distribution: &Distribution) -> Result<Vec<(String, String)>> {
    let java = home(distribution)?.display().to_string();
    let neo4j = distribution.folder().display().to_string();
    Ok(vec![("GRAP_RECOVERY_JAVA_HOME".into(), java), ("GRAP_RECOVERY_NEO4J_HOME".into(), neo4j)])
}

/// Made where it is not there yet.
pub fn home(distribution: &Distribution) -> Result<PathBuf> {
    let home = distribution.folder().join("quick-java");
    let lock = cache_folder().join(format!("{}.quick-java.lock", distribution.version()));
    let _held_until_return = lock_file(&lock)?;
    if !home.is_dir() {
        make(distribution, &home)?;
    }
    Ok(home)
}

fn make(distribution: &Distribution, home: &Path) -> Result<()> {
    let scratch = scratch_folder(distribution.folder())?;
    let made = scratch.path().join("java");
    let bin = made.join("bin");
    fs::create_dir_all(&bin).map_err(Error::file("create", &bin))?;
    let release = distribution.java().home.join("release");
    fs::copy(&release, made.join("release")).map_err(Error::file("copy", &release))?;
    archive_classes(distribution, scratch.path(), &made.join("classes.jsa"))?;
    let java = bin.join("java");
    let script = format!(
        "#!/bin/sh\nexec '{}' -Xshare:auto -Xlog:disable '-XX:SharedArchiveFile={}' \"$@\"\n",
        distribution.java().home.join("bin/java").display(),
        home.join("classes.jsa").display()
    );
    fs::write(&java, script).map_err(Error::file("write", &java))?;
    fs::set_permissions(&java, fs::Permissions::from_mode(0o755)).map_err(Error::file("chmod", &java))?;
    publish(&made, home)
}

/// As the program starts one: with a `system` of its own, and a password.
fn archive_classes(distribution: &Distribution, scratch: &Path, archive: &Path) -> Result<()> {
    let classpath = distribution.folder().join("lib/*").display().to_string();
    let mut server = Server::builder(distribution)
        .fresh_data()
        .password("right-password")
        .archive_classes(archive, &classpath)
        .start(&scratch.join("home"))?;
    let workload = Workload::start(&server, WorkloadOptions::default())?;
    thread::sleep(ARCHIVED_WORK);
    workload.stop()?;
    server.stop()?;
    Ok(())
}
