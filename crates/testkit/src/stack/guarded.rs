//! Who reaches what, and who reads what. Each refusal stands beside the same thing allowed: else it would show nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::docker::{about, docker, logs, output};
use super::place::Place;
use crate::error::{Error, Result};
use crate::pitr::require;

const SOMEBODY_ELSE: &str = "1000:1000";
const NEO4J: &str = "7474:7474";
const HTTP: u16 = 9479;
const BOLT: u16 = 7687;

/// Not in what the engine knows of a container, not in what it has said, not in the environment of its processes.
pub(super) fn secrets_are_told_to_nobody(place: &Place) -> Result<()> {
    let secrets = place.secrets()?;
    for container in place.containers() {
        let environments =
            "for one in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do tr '\\0' '\\n' <$one; done; true";
        let places = [
            ("docker inspect", docker(&["inspect", &container])?),
            ("its log", logs(&container)?),
            ("its processes", docker(&["exec", &container, "bash", "-c", environments])?),
        ];
        for (name, text) in &places {
            require(text.len() > 200, || format!("{container}: {name} says nothing: {text}"))?;
            let told = secrets.iter().any(|secret| text.contains(secret.as_str()));
            require(!told, || format!("{container}: {name} tells a secret"))?;
        }
    }
    Ok(())
}

pub(super) fn processes_may_little(place: &Place) -> Result<()> {
    let container = place.scheduler();
    for container in place.containers() {
        let status = docker(&["exec", &container, "cat", "/proc/1/status"])?;
        for wanted in ["Uid:\t7474\t7474", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"] {
            require(status.contains(wanted), || format!("{container}: not `{wanted}`: {status}"))?;
        }
        let written = output(&["exec", "-u", "0", &container, "touch", "/usr/local/bin/more"])?;
        let said = String::from_utf8_lossy(&written.stderr);
        require(said.contains("Read-only"), || format!("{container}: its root can be written to: {said}"))?;
    }
    docker(&["exec", &container, "touch", "/tmp/more"]).map(drop)
}

pub(super) fn volumes_are_read_by_nobody_else(place: &Place) -> Result<()> {
    for container in place.containers() {
        // A volume that nobody has named would stay behind, and nobody would know whose it was.
        let mounted =
            about(&container, "{{range .Mounts}}{{if eq .Type \"volume\"}}{{.Name}} {{end}}{{end}}")?;
        let unnamed =
            mounted.split_whitespace().find(|name| !place.volumes().iter().any(|ours| ours == name));
        require(unnamed.is_none(), || format!("{container} has a volume {unnamed:?}"))?;
    }
    for volume in place.volumes() {
        let mounted = format!("{volume}:/mounted:ro");
        let list = |user: &str| {
            output(&[
                "run",
                "--rm",
                "-u",
                user,
                "-v",
                &mounted,
                "--entrypoint",
                "ls",
                &place.image,
                "/mounted",
            ])
        };
        let ours = list(NEO4J)?;
        require(ours.status.success() && !ours.stdout.is_empty(), || {
            format!("{volume} cannot be read by {NEO4J}")
        })?;
        let said = list(SOMEBODY_ELSE)?;
        let refused = String::from_utf8_lossy(&said.stderr).contains("Permission denied");
        require(refused, || format!("{volume} can be read by {SOMEBODY_ELSE}"))?;
    }
    Ok(())
}

pub(super) fn neo4j_is_reached_from_the_internal_network_alone(place: &Place) -> Result<()> {
    let (neo4j, scheduler) = (place.neo4j(), place.scheduler());
    let inside = place.address(&neo4j, "internal")?.to_string();
    let outside = place.address(&scheduler, "outside")?.to_string();
    let another = |network: &str, host: &str, port: u16| {
        let entry = ["run", "--rm", "--network", network, "--entrypoint", "bash", &place.image];
        reaches(&entry, host, port)
    };
    let (internal, public) = (place.network("internal"), place.network("outside"));
    let claims = [
        (another(&internal, "grap-neo4j", BOLT)?, true, "the internal network reaches Neo4j"),
        (another(&public, &outside, HTTP)?, true, "the public network reaches the scheduler"),
        (another(&public, "grap-neo4j", BOLT)?, false, "the public network reaches Neo4j by its name"),
        (another(&public, &inside, BOLT)?, false, "the public network reaches Neo4j by its address"),
        (another("bridge", &inside, BOLT)?, false, "the engine's own network reaches Neo4j by its address"),
        (reaches(&["exec", &neo4j, "bash"], &outside, HTTP)?, false, "Neo4j reaches the public network"),
        (reaches(&["exec", &neo4j, "bash"], "grap-neo4j", BOLT)?, true, "Neo4j reaches itself"),
    ];
    for (is_so, wanted, what) in claims {
        require(is_so == wanted, || format!("{what}: {is_so}"))?;
    }
    one_port_is_published(place)
}

fn one_port_is_published(place: &Place) -> Result<()> {
    let of_neo4j = docker(&["port", &place.neo4j()])?;
    require(of_neo4j.is_empty(), || format!("Neo4j publishes {of_neo4j}"))?;
    let published = docker(&["port", &place.scheduler()])?;
    let wanted = format!("{HTTP}/tcp -> 127.0.0.1:{}", place.port);
    require(published == wanted, || format!("`{published}` is published, not `{wanted}`"))?;
    let health = get(place.port, "/health/graph")?;
    require(health.starts_with("HTTP/1.1 200"), || format!("/health/graph: {health}"))?;
    // What Bolt begins with is answered as what it is there: no request.
    let mut stream = connect(place.port)?;
    let _ = stream.write_all(
        b"\x60\x60\xb0\x17\x00\x00\x04\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\r\n\r\n",
    );
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let is_bolt = answer.len() == 4;
    require(!is_bolt, || format!("the published port speaks Bolt: {answer:?}"))
}

/// A shell of some container opens a connection within five seconds.
fn reaches(shell: &[&str], host: &str, port: u16) -> Result<bool> {
    let script = format!(
        "exec 2>/dev/null; timeout 5 bash -c 'exec 3<>/dev/tcp/{host}/{port}' && echo reached || echo not"
    );
    let said = docker(&[shell, &["-c", &script]].concat())?;
    match said.as_str() {
        "reached" => Ok(true),
        "not" => Ok(false),
        _ => Err(Error::Claim(format!("a shell has said `{said}`"))),
    }
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream =
        TcpStream::connect(("127.0.0.1", port)).map_err(Error::file("connect to", "the published port"))?;
    stream
        .set_read_timeout(Some(std::time::Duration::from_mins(1)))
        .map_err(Error::file("wait at", "the published port"))?;
    Ok(stream)
}

fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = connect(port)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(Error::file("ask", path))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(Error::file("read", path))?;
    Ok(answer)
}
