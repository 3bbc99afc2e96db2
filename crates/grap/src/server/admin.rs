//! The server's own checker, `neo4j-admin database check`, on a database that was stopped cleanly: in a process group of its
//! own, which ends with us and within a limit.
//!
//! Its exit code alone says too little: it ends with 0 and has warned. So everything that it says is read, and the report that
//! it writes of what it found.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use grap_disk::{self as disk, Kind, Source};
use grap_task::{Clock, Stop};

use super::configuration::{Chosen, configuration};
use super::process::{ProcessGroup, mark};
use super::{InstanceHome, Mode, ServerError};

const POLL: Duration = Duration::from_millis(50);
/// Of what it says, and of its report: the first findings are in it.
const SAID_MAX: u64 = 4 << 20;
/// So many complaints that begin alike are kept; further ones are counted.
const KEPT_PER_KIND: usize = 20;
/// How it calls the part that writes the report.
const CHECKER: &str = "ConsistencyCheckService";
const MAIN_CLASS: &str = "org.neo4j.cli.AdminTool";

/// A database for the checker.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    /// The data directory.
    pub data: &'a Path,
    pub database: &'a str,
}

/// What it complains about, each in its own words; it found nothing where there is none.
pub fn check_by_admin(
    home: &InstanceHome,
    checked: Checked<'_>,
    limit: Duration,
    clock: &Clock,
    stop: &Stop,
) -> Result<Vec<String>, ServerError> {
    let place = Place::make(home, checked)?;
    let command = place.command(home, checked.database);
    let command: Vec<&OsStr> = command.iter().map(OsString::as_os_str).collect();
    let begun = clock.since_boot();
    let mut group = ProcessGroup::start(&command, &place.root, &place.said())?;
    let status = loop {
        if let Some(status) = group.ended() {
            break status;
        }
        stop.check()?;
        if clock.since_boot().saturating_sub(begun) > limit {
            return Err(ServerError::AdminTooLong { database: checked.database.to_owned(), limit });
        }
        clock.wait(POLL, stop);
    };
    group.kill();
    let said = read_head(&place.said())?;
    let mut found = place.report()?;
    // Of what is in the report it speaks on the way, too.
    let told = |line: &String| !found.is_empty() && line.contains(CHECKER);
    let more: Vec<String> = complaints(&said).into_iter().filter(|line| !told(line)).collect();
    found.extend(more);
    if found.is_empty() && !status.success() {
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        let (database, said) = (checked.database.to_owned(), last.trim().to_owned());
        return Err(ServerError::AdminEnded { database, status, said });
    }
    Ok(some_of_each_kind(found))
}

/// Of many complaints of one kind the first, so that another kind is not buried beneath them.
fn some_of_each_kind(complaints: Vec<String>) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept = Vec::new();
    for complaint in complaints {
        let kind = complaint.split(';').next().unwrap_or_default().to_owned();
        let count = counts.entry(kind).or_default();
        *count += 1;
        if *count <= KEPT_PER_KIND {
            kept.push(complaint);
        }
    }
    let many = counts.into_iter().filter(|(_, count)| *count > KEPT_PER_KIND);
    kept.extend(many.map(|(kind, count)| format!("{kind} (and {} more)", count - KEPT_PER_KIND)));
    kept
}

/// Its surroundings, in the home of the instance: made anew for each run.
struct Place {
    root: PathBuf,
}

impl Place {
    fn make(home: &InstanceHome, checked: Checked<'_>) -> Result<Self, ServerError> {
        let place = Self { root: home.root.join("admin") };
        disk::remove_tree(&place.root)?;
        for name in ["conf", "logs", "plugins", "import", "run", "licenses", "report", "tmp"] {
            disk::create_dir_all(&place.root.join(name))?;
        }
        let options = &home.options;
        let chosen = Chosen {
            data: checked.data,
            database: &home.database,
            page_cache: &options.page_cache,
            port: 0,
            mode: Mode::ReadOnly,
        };
        let text = configuration(&options.installation.live, &chosen);
        disk::replace(&place.root.join("conf/neo4j.conf"), &[text.as_bytes()])?;
        Ok(place)
    }

    fn command(&self, home: &InstanceHome, database: &str) -> Vec<OsString> {
        let with = |name: &str, value: &Path| {
            let mut text = OsString::from(name);
            text.push(value);
            text
        };
        let (options, installation) = (&home.options, &home.options.installation);
        vec![
            "env".into(),
            with("NEO4J_HOME=", &self.root),
            with("NEO4J_CONF=", &self.root.join("conf")),
            installation.java.clone().into(),
            mark(&home.id).into(),
            format!("-Xmx{}", options.heap).into(),
            with("-Djava.io.tmpdir=", &self.root.join("tmp")),
            "-XX:+UseSerialGC".into(),
            "-XX:-UsePerfData".into(),
            "-XX:+ExitOnOutOfMemoryError".into(),
            "-Dfile.encoding=UTF-8".into(),
            "--add-opens=java.base/java.nio=ALL-UNNAMED".into(),
            "--add-opens=java.base/java.io=ALL-UNNAMED".into(),
            "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED".into(),
            "-cp".into(),
            installation.lib.join("*").into(),
            MAIN_CLASS.into(),
            "database".into(),
            "check".into(),
            with("--report-path=", &self.root.join("report")),
            format!("--max-off-heap-memory={}", options.page_cache).into(),
            database.into(),
        ]
    }

    fn said(&self) -> PathBuf {
        self.root.join("said.log")
    }

    /// What it wrote of each thing that it found: a line that says what is wrong, and behind it the records.
    fn report(&self) -> Result<Vec<String>, ServerError> {
        let mut found = Vec::new();
        let folder = self.root.join("report");
        for name in disk::list(&folder)?.unwrap_or_default() {
            let path = folder.join(&name);
            if disk::stat(&path)?.is_some_and(|stat| stat.kind == Kind::File) {
                found.extend(entries(&read_head(&path)?));
            }
        }
        Ok(found)
    }
}

/// An entry begins at a line that is not indented.
fn entries(report: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    // The last one is a summary, in braces.
    for line in report.lines().filter(|line| !matches!(line.trim(), "" | "}")) {
        match entries.last_mut() {
            Some(entry) if line.starts_with([' ', '\t']) => {
                entry.push_str("; ");
                entry.push_str(line.trim());
            }
            _ => entries.push(undated(line).to_owned()),
        }
    }
    entries.iter().map(|entry| entry.chars().take(600).collect()).collect()
}

/// What it says, without when it did.
fn undated(line: &str) -> &str {
    let begin = ["ERROR ", "WARN "].iter().filter_map(|level| line.find(level)).min();
    line[begin.unwrap_or(0)..].trim()
}

/// Lines that hold a warning or an error. (Those that begin with `WARNING:` are of the JVM and of libraries.)
fn complaints(said: &str) -> Vec<String> {
    let is_complaint =
        |line: &&str| (line.contains("WARN") || line.contains("ERROR")) && !line.starts_with("WARNING:");
    said.lines().filter(is_complaint).map(|line| undated(line).chars().take(600).collect()).collect()
}

fn read_head(path: &Path) -> Result<String, ServerError> {
    let source = Source::open(path)?;
    let mut bytes = vec![0; usize::try_from(source.stat()?.size.min(SAID_MAX)).expect("4 MiB at most")];
    let read = source.read_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes[..read]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_report_takes_its_records_along() {
        let report = "2026-11-26 09:28:57.757+0000 ERROR The index is wrong\n\tNode[5]\n    Index( id=3 )\n\n\
                      2026-11-26 09:28:57.757+0000 WARN  Inconsistencies found: {\n\tNumber of errors: 2\n}\n";
        assert_eq!(
            entries(report),
            [
                "ERROR The index is wrong; Node[5]; Index( id=3 )",
                "WARN  Inconsistencies found: {; Number of errors: 2"
            ]
        );
        let said = "WARNING: of the JVM\n...2026 WARN  [x] two\nINFO fine\nERROR three\n";
        assert_eq!(complaints(said), ["WARN  [x] two", "ERROR three"]);
        let many = (0..25).map(|node| format!("ERROR wrong; Node[{node}]")).chain(["WARN other".to_owned()]);
        let some = some_of_each_kind(many.collect());
        assert_eq!(some.len(), 22);
        assert_eq!(some[20..], ["WARN other", "ERROR wrong (and 5 more)"]);
    }
}
