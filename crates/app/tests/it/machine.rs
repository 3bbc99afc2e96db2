//! The machine that the pages of the documentation speak of, in a folder: the paths they name, a Neo4j with its home, a
//! service manager for the units of `deploy/`, a client of the database.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use grap::server::control::StoresLock;
use grap_testkit::bolt::{Bolt, Row};
use grap_testkit::{Distribution, Error, Server, quick_java};
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};

use crate::support::PROGRAM;

const PASSWORD: &str = "correct-horse-battery";
/// Of the file system of the backups.
const SMALL_MIB: u64 = 160;
/// What the pages say has to hold on a machine, too, that does ten other things.
const PATIENCE: [(&str, &str); 3] = [
    ("GRAP_PROMOTE_CONFIRM_LIMIT_S", "300"),
    ("GRAP_RECOVERY_CONNECTIVITY_LIMIT_S", "60"),
    ("GRAP_RECOVERY_SCHEMA_LIMIT_S", "60"),
];
/// For a service to end.
const STOP: Duration = Duration::from_mins(1);

pub(crate) struct Machine {
    folder: tempfile::TempDir,
    server: Server,
    password: String,
    http: u16,
    /// Whether the backups have a small file system to themselves.
    pub(crate) is_small: bool,
    services: BTreeMap<String, Child>,
    /// Of the shells, and what they have started.
    shells: Vec<Pid>,
}

impl Machine {
    /// Neo4j has a password, and does not run.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let distribution = Distribution::standard().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["etc", "var/lib", "var/log", "backups", "bin", "mnt", "run"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        let is_small = mount_small(&at("backups"));
        let mut server =
            Server::builder(&distribution).password(PASSWORD).start(&at("var/lib/neo4j")).unwrap();
        server.stop().unwrap();
        symlink(distribution.folder().join("lib"), server.home().join("lib")).unwrap();
        symlink(PROGRAM, at("bin/grap")).unwrap();
        let machine = Self {
            server,
            password: PASSWORD.to_owned(),
            http: TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port(),
            is_small,
            services: BTreeMap::new(),
            shells: Vec::new(),
            folder,
        };
        machine.write_neo4j();
        machine
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.server.data()
    }

    /// `neo4j console`
    fn write_neo4j(&self) {
        let command = self.server.command();
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let quoted: Vec<String> = words.map(|word| format!("'{}'", word.display())).collect();
        let script = format!("#!/bin/sh\ncd '{}'\nexec {}\n", self.server.home().display(), quoted.join(" "));
        let path = self.at("bin/neo4j");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn bash(&self) -> Command {
        let mut bash = self.command("bash");
        bash.args(["--noprofile", "--norc"]);
        bash
    }

    pub(crate) fn has_shell(&mut self, group: u32) {
        self.shells.extend(i32::try_from(group).ok().and_then(Pid::from_raw));
    }

    /// Nothing of who runs the tests leaks in.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var("PATH").unwrap();
        command.current_dir(self.folder.path()).env_clear().env("LC_ALL", "C");
        command.env("PATH", format!("{}:{path}", self.at("bin").display()));
        command.env("GRAP_CONFIG", self.at("etc/grap/grap.toml"));
        command.envs(quick_java::environment(self.server.distribution()).unwrap());
        command.envs(PATIENCE);
        command
    }

    /// What the pages say, and how it is called here.
    pub(crate) fn names(&self) -> Vec<(String, String)> {
        let paths = ["/etc/grap", "/var/lib/", "/backups", "/mnt/", "/run/"];
        let here = |path: &str| format!("{}{path}", self.folder.path().display());
        let (user, group) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let mut names: Vec<(String, String)> =
            paths.iter().map(|path| ((*path).to_owned(), here(path))).collect();
        names.push(("/usr/local/bin/grap".to_owned(), here("/bin/grap")));
        names.push(("/usr/share/neo4j/bin/neo4j".to_owned(), here("/bin/neo4j")));
        names.push(("localhost:7687".to_owned(), self.server.bolt_address().to_string()));
        names.push(("127.0.0.1:9479".to_owned(), format!("127.0.0.1:{}", self.http)));
        names.push(("-o neo4j -g neo4j".to_owned(), format!("-o {user} -g {group}")));
        names.push(("chown neo4j ".to_owned(), format!("chown {user} ")));
        names
    }

    /// The end of each.
    pub(crate) fn logs(&self) -> String {
        let log = |name: &String| {
            let text = fs::read_to_string(self.log(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            format!("{name}:\n{}\n", lines[lines.len().saturating_sub(60)..].join("\n"))
        };
        self.services.keys().map(log).collect()
    }

    fn log(&self, unit: &str) -> PathBuf {
        self.at("var/log").join(unit)
    }

    /// The process that holds the stores.
    pub(crate) fn holder(&self) -> Option<Pid> {
        let holder = StoresLock::holder(&self.server.data()).ok().flatten()?;
        Pid::from_raw(i32::try_from(holder.pid?).ok()?)
    }

    pub(crate) fn query(&self, database: &str, statement: &str) -> Result<Vec<Row>, Error> {
        Bolt::to(self.server.bolt_address(), Some(&self.password)).on(database).run(statement)
    }

    /// A command that is not on every machine that tests; else none.
    pub(crate) fn perform(&mut self, command: &str) -> Option<Result<String, Error>> {
        let (program, rest) = command.split_once(' ')?;
        match program {
            "cypher-shell" => Some(self.cypher_shell(rest)),
            "systemctl" => Some(self.systemctl(rest).map(|()| String::new())),
            "journalctl" => {
                let log = self.log(rest.trim().trim_start_matches("-u "));
                Some(fs::read_to_string(&log).map_err(Error::file("read", log)))
            }
            _ => None,
        }
    }

    /// `[-d DATABASE] "STATEMENT"`: rows, without a head.
    fn cypher_shell(&mut self, rest: &str) -> Result<String, Error> {
        let (database, statement) = match rest.strip_prefix("-d ").and_then(|rest| rest.split_once(' ')) {
            Some((database, statement)) => (database, statement),
            None => ("neo4j", rest),
        };
        let statement = statement.trim().trim_matches('"');
        let rows = self.query(database, statement)?;
        if let Some((_, password)) = statement.split_once("SET PASSWORD '") {
            password.trim_end_matches('\'').clone_into(&mut self.password);
        }
        let row = |row: &Row| {
            let value =
                |column| row.int(column).map_or_else(|| row.text(column), |number| number.to_string());
            (0..row.0.len()).map(value).collect::<Vec<_>>().join(", ") + "\n"
        };
        Ok(rows.iter().map(row).collect())
    }

    fn systemctl(&mut self, rest: &str) -> Result<(), Error> {
        let words: Vec<&str> = rest.split(' ').collect();
        match words.as_slice() {
            ["start", unit] | ["enable", "--now", unit] => self.start(unit),
            ["stop", unit] => self.stop(unit),
            ["restart", unit] => {
                self.stop(unit)?;
                self.start(unit)
            }
            ["reload", unit] => self.signal(unit, Signal::HUP),
            _ => Err(Error::Claim(format!("`systemctl {rest}` is not known here"))),
        }
    }

    /// As its unit says.
    fn start(&mut self, unit: &str) -> Result<(), Error> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../deploy/{unit}.service"));
        let text = fs::read_to_string(&file).map_err(Error::file("read", &file))?;
        let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let line = self.names().iter().fold(line.to_owned(), |line, (page, here)| line.replace(page, here));
        if let Some(run) = text.lines().find_map(|line| line.strip_prefix("RuntimeDirectory=")) {
            fs::create_dir_all(self.at("run").join(run)).unwrap();
        }
        let log = File::options().create(true).append(true).open(self.log(unit)).unwrap();
        let mut command = self.command("sh");
        command.args(["-c", &format!("exec {line}")]).process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().map_err(Error::file("start", unit))?;
        self.services.insert(unit.to_owned(), child);
        Ok(())
    }

    fn signal(&self, unit: &str, signal: Signal) -> Result<(), Error> {
        let Some(child) = self.services.get(unit) else {
            return Err(Error::Claim(format!("{unit} does not run")));
        };
        kill_process(Pid::from_child(child), signal)
            .map_err(|error| Error::file("signal", unit)(error.into()))
    }

    fn stop(&mut self, unit: &str) -> Result<(), Error> {
        self.signal(unit, Signal::TERM)?;
        let Some(mut child) = self.services.remove(unit) else { return Ok(()) };
        let begun = Instant::now();
        while child.try_wait().map_err(Error::file("wait for", unit))?.is_none() {
            if begun.elapsed() > STOP {
                let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
                let _ = child.wait();
                return Err(Error::Timeout { what: format!("{unit} does not stop"), waited: STOP });
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Machine {
    /// Only what was started here: the services, the groups of the shells, and who holds our stores.
    fn drop(&mut self) {
        let units: Vec<String> = self.services.keys().cloned().collect();
        for unit in units {
            let _ = self.stop(&unit);
        }
        for shell in self.shells.iter().filter(|shell| test_kill_process_group(**shell).is_ok()) {
            let _ = kill_process_group(*shell, Signal::KILL);
        }
        if let Some(server) = self.holder() {
            let _ = kill_process(server, Signal::KILL);
        }
        if self.is_small {
            let _ = Command::new("umount").arg("-l").arg(self.at("backups")).status();
        }
    }
}

/// Whether it could be.
fn mount_small(at: &Path) -> bool {
    let size = format!("size={SMALL_MIB}m");
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
    mount.is_ok_and(|output| output.status.success())
}
