//! One stack of our own: a copy of `deploy/` with secrets made there, under names that no other stack has.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::docker::{about, docker, logs, output, successful};
use crate::bolt::Bolt;
use crate::error::{Error, Result};
use crate::pitr::{Tell, eventually, require};
use crate::program::last_json;

pub(super) const LIMIT: Duration = Duration::from_mins(5);
const BOLT: u16 = 7687;
/// Never what a user has set there.
const COPIED: [&str; 6] = [
    "deploy/compose.yaml",
    "deploy/neo4j.conf",
    "deploy/grap.toml",
    "deploy/schema.cypher",
    "scripts/compose",
    "scripts/stack",
];
/// On a machine that is busy with other tests a server takes minutes to start, and seconds to answer.
const PATIENCE: &str = "
[promote]
drain_limit_s = 600
archive_limit_s = 600
confirm_limit_s = 600
";
/// What of the caller's environment would change the stack.
const NOT_OURS: [&str; 4] = ["BACKUP_", "NEO4J_", "GRAP_PASSWORD", "LOG_LEVEL"];

/// Dropping it removes everything.
pub(super) struct Place {
    folder: tempfile::TempDir,
    name: String,
    pub(super) image: String,
    pub(super) port: u16,
    removed: std::cell::Cell<bool>,
}

impl Place {
    /// Nothing runs yet.
    pub(super) fn make() -> Result<Self> {
        let (image, name) = (told("GRAP_IMAGE")?, told("GRAP_STACK")?);
        let folder = tempfile::tempdir().map_err(Error::file("make", "a scratch directory"))?;
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for name in COPIED {
            let (from, to) = (project.join(name), folder.path().join(name));
            let parent = to.parent().unwrap_or(folder.path());
            fs::create_dir_all(parent).map_err(Error::file("make", parent))?;
            fs::copy(&from, &to).map_err(Error::file("copy", &from))?;
        }
        let configuration = folder.path().join("deploy/grap.toml");
        let patient = fs::read_to_string(&configuration).map(|text| text + PATIENCE);
        patient
            .and_then(|text| fs::write(&configuration, text))
            .map_err(Error::file("add to", &configuration))?;
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.map_err(Error::file("find", "a free port"))?.port();
        Ok(Self { folder, name, image, port, removed: false.into() })
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.path().join("scripts").join(name));
        for (variable, _) in std::env::vars_os() {
            let text = variable.to_string_lossy();
            if NOT_OURS.iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&variable);
            }
        }
        command.env("GRAP_HTTP_PORT", self.port.to_string());
        command.stdin(Stdio::null());
        command
    }

    pub(super) fn up_from_nothing(&self) -> Result<()> {
        let said = self.script("stack").output().map_err(Error::file("run", "scripts/stack"))?;
        let said = successful("scripts/stack", &[], &said)?;
        require(said.contains("Recovery key"), || format!("no recovery key is shown: {said}"))?;
        let wanted = "Schema initialization: 1 declared, 1 created";
        eventually("the declared schema is there", LIMIT, || {
            Ok(logs(&self.neo4j())?.contains(wanted).then_some(()))
        })
    }

    pub(super) fn compose(&self, arguments: &[&str]) -> Result<String> {
        let said = self.script("compose").args(arguments).output();
        successful("compose", arguments, &said.map_err(Error::file("run", "scripts/compose"))?)
    }

    pub(super) fn neo4j(&self) -> String {
        format!("{}-neo4j", self.name)
    }

    pub(super) fn scheduler(&self) -> String {
        format!("{}-backup-scheduler", self.name)
    }

    pub(super) fn containers(&self) -> [String; 2] {
        [self.neo4j(), self.scheduler()]
    }

    pub(super) fn volumes(&self) -> [String; 3] {
        ["neo4j-data", "backups", "state"].map(|volume| format!("{}-{volume}", self.name))
    }

    /// `internal` or `outside`.
    pub(super) fn network(&self, network: &str) -> String {
        format!("{}_{network}", self.name)
    }

    pub(super) fn write_schema(&self, text: &str) -> Result<()> {
        let path = self.folder.path().join("deploy/schema.cypher");
        fs::write(&path, text).map_err(Error::file("write", &path))
    }

    /// The password of Neo4j, and the one of the repository.
    pub(super) fn secrets(&self) -> Result<[String; 2]> {
        let read = |name: &str| {
            let path = self.folder.path().join("deploy/secrets").join(name);
            fs::read_to_string(&path).map_err(Error::file("read", &path))
        };
        Ok([read("neo4j-auth")?.replace("neo4j/", ""), read("repository-password")?])
    }

    /// What one of its containers is on a network.
    pub(super) fn address(&self, container: &str, network: &str) -> Result<IpAddr> {
        let format =
            format!("{{{{(index .NetworkSettings.Networks \"{}\").IPAddress}}}}", self.network(network));
        let said = docker(&["inspect", "-f", &format, container])?;
        said.parse().map_err(|_| Error::Claim(format!("{container} has no address on {network}: `{said}`")))
    }

    /// As it is now: a container that is started again may have another address.
    fn bolt_address(&self) -> Result<SocketAddr> {
        Ok(SocketAddr::new(self.address(&self.neo4j(), "internal")?, BOLT))
    }

    fn bolt(&self) -> Result<Bolt> {
        Ok(Bolt::to(self.bolt_address()?, Some(&self.secrets()?[0])))
    }

    pub(super) fn served_at(&self) -> Result<SocketAddr> {
        self.served()?;
        self.bolt_address()
    }

    pub(super) fn served(&self) -> Result<Bolt> {
        eventually("the database is served", LIMIT, || {
            let Ok(bolt) = self.bolt() else { return Ok(None) };
            Ok(bolt.begin_works().is_ok().then_some(bolt))
        })
    }

    pub(super) fn protected(&self) -> Result<()> {
        let status = ["exec", &self.scheduler(), "grap", "status"];
        let mut last = String::new();
        let protected = eventually("it is protected", LIMIT, || {
            let said = output(&status)?;
            last = String::from_utf8_lossy(&said.stderr).into_owned();
            Ok(said.status.success().then_some(()))
        });
        protected.map_err(|error| Error::Claim(format!("{error}: {last}")))
    }

    /// `grap` in the container of `grap serve`; success is required.
    pub(super) fn grap(&self, arguments: &[&str]) -> Result<Value> {
        let scheduler = self.scheduler();
        let arguments = [&["exec", &scheduler, "grap", "--json"], arguments].concat();
        let said = docker(&arguments)?;
        last_json(said.as_bytes()).ok_or_else(|| Error::Program { arguments: arguments.join(" "), said })
    }

    /// The same, begun.
    pub(super) fn spawn_grap(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = Command::new("docker");
        command.args(["exec", &self.scheduler(), "grap"]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map_err(Error::file("run", "docker"))
    }

    /// SIGKILL of process 1, as the kernel does it: `docker kill` would be the engine's own wish, and nothing is restarted
    /// behind that.
    pub(super) fn kill(&self, containers: &[&str]) -> Result<()> {
        let pids: Result<Vec<_>> =
            containers.iter().map(|container| about(container, "{{.State.Pid}}")).collect();
        let script = format!("kill -9 {}", pids?.join(" "));
        let said = self.on_the_host(&script).output().map_err(Error::file("run", "docker"))?;
        successful("docker run", &[&script], &said).map(drop)
    }

    /// A script of bash that sees all processes, and the volume of Grap's state.
    pub(super) fn on_the_host(&self, script: &str) -> Command {
        let state = format!("{}-state:/state:ro", self.name);
        let mut command = Command::new("docker");
        command.args(["run", "--rm", "--pid=host", "-u", "0", "--entrypoint", "bash", "-v", &state]);
        command.args([&self.image, "-c", script]).stdin(Stdio::null());
        command
    }

    pub(super) fn engine(&self) -> String {
        let version = docker(&["version", "-f", "{{.Server.Version}}"]).unwrap_or_default();
        let compose = self.compose(&["version", "--short"]).unwrap_or_default();
        format!("docker {version}, compose {compose}:")
    }

    /// Before it goes.
    pub(super) fn told_why<T>(&self, tell: Tell<'_>, end: Result<T>) -> Result<T> {
        if end.is_err() {
            for container in self.containers() {
                tell(&format!("== the end of what {container} has said"));
                tell(&crate::error::last_lines(&logs(&container).unwrap_or_default(), 40));
            }
        }
        end
    }

    pub(super) fn remove(&self) -> Result<()> {
        self.compose(&["down", "-v", "--remove-orphans", "-t", "1"])?;
        self.removed.set(true);
        Ok(())
    }
}

fn told(variable: &str) -> Result<String> {
    let missing = |_| Error::Missing { what: variable.to_owned(), try_command: "make stack-test".to_owned() };
    std::env::var(variable).map_err(missing)
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.removed.get() {
            let _ = self.remove();
        }
    }
}
