//! From settings to what operations take.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use grap::live::InstallationOptions;
use grap::ops::{Access, SecondRepository, Session};
use grap::state::StateDirectory;
use grap_core::SourceName;
use grap_disk as disk;
use grap_remote::{RemoteOptions, RemoteStore};
use grap_repository::WriterOptions;
use grap_repository::object::{Limits, Retry, Throttle};
use secrecy::SecretString;

use crate::config::{Environment, Origin, SettingError, Settings, Value, parse_rate};
use crate::failure::Failure;

/// Passwords are lines, not files.
const PASSWORD_SIZE_MAX: u64 = 1 << 16;

/// The repository of the settings.
pub(super) fn access(
    settings: &Settings,
    environment: &Environment,
    session: &Session<'_>,
) -> Result<Access, Failure> {
    let place = settings.require("repository", "the repository")?;
    access_to(place, password(settings)?, settings, environment, session)
}

/// A repository in a directory, or in an object storage: there with patience and limits.
pub(super) fn access_to(
    place: &str,
    password: SecretString,
    settings: &Settings,
    environment: &Environment,
    session: &Session<'_>,
) -> Result<Access, Failure> {
    if !grap_remote::is_url(place) {
        return Ok(Access::local(PathBuf::from(place), password));
    }
    let options = RemoteOptions {
        variables: environment.variables(is_of_storages),
        request_timeout: seconds(settings, "remote.timeout_s", 1..=3600)?,
        ..RemoteOptions::default()
    };
    let limits = Limits {
        upload: settings.parsed("remote.upload_limit", parse_rate)?,
        download: settings.parsed("remote.download_limit", parse_rate)?,
    };
    let budget = seconds(settings, "remote.retry_s", 0..=86_400)?;
    let (clock, stop) = (|| session.clock.clone(), || session.stop.clone());
    let store = Retry::new(RemoteStore::open(place, &options)?, budget, clock(), stop());
    let store = Throttle::new(store, limits, clock(), stop());
    Ok(Access::remote(place.to_owned(), Box::new(store), password))
}

/// What the tools of the clouds look at.
fn is_of_storages(variable: &str) -> bool {
    let families = ["AWS_", "GOOGLE_", "AZURE_"];
    families.iter().any(|family| variable.starts_with(family))
        || matches!(variable, "STORAGE_EMULATOR_HOST" | "HOME")
}

fn seconds(settings: &Settings, key: &str, bounds: RangeInclusive<i32>) -> Result<Duration, Failure> {
    Ok(Duration::from_secs(settings.number(key, bounds)?.unwrap_or(0)))
}

/// Whether the repository is in an object storage: there every object has its price.
pub(super) fn is_remote(settings: &Settings) -> bool {
    settings.text("repository").is_some_and(grap_remote::is_url)
}

/// The second repository. Its password is the first one's where none of its own is said.
pub(super) fn copy_access(
    settings: &Settings,
    environment: &Environment,
    session: &Session<'_>,
) -> Result<Access, Failure> {
    let place = settings.require("copy.to", "the repository to copy to")?;
    let password = match chosen(settings, ["copy.password", "copy.password_command", "copy.password_file"]) {
        Some((way, value)) => secret(way, value)?,
        None => password(settings)?,
    };
    access_to(place, password, settings, environment, session)
}

/// Where the second repository is, if one is set.
pub(super) fn copy_place(settings: &Settings) -> Option<SecondRepository> {
    let place = settings.text("copy.to")?;
    let remote = grap_remote::is_url(place);
    Some(if remote { SecondRepository::Remote } else { SecondRepository::Directory(PathBuf::from(place)) })
}

/// Whether a repository was named at all.
pub(super) fn has_repository(settings: &Settings) -> bool {
    settings.text("repository").is_some()
}

/// Whether a way to the password was named; it is not gone.
pub(super) fn require_password(settings: &Settings) -> Result<(), Failure> {
    password_way(settings).map(drop)
}

fn password_way(settings: &Settings) -> Result<(&'static str, &Value), Failure> {
    let Some(chosen) = chosen(settings, ["password", "password_command", "password_file"]) else {
        settings.require("password_file", "the repository's password")?;
        return Err(Failure::Usage("the repository's password is not set".to_owned()));
    };
    Ok(chosen)
}

fn password(settings: &Settings) -> Result<SecretString, Failure> {
    let (way, value) = password_way(settings)?;
    secret(way, value)
}

/// From the file, the command or the environment; whichever was said last in the order of origins.
fn chosen(
    settings: &Settings,
    ways: impl IntoIterator<Item = &'static str>,
) -> Option<(&'static str, &Value)> {
    let rank = |origin: &Origin| match origin {
        Origin::Default => 0,
        Origin::File(_) => 1,
        Origin::Environment(_) => 2,
        Origin::Flag(_) => 3,
    };
    ways.into_iter()
        .filter_map(|way| Some((way, settings.value(way)?)))
        .max_by_key(|(_, value)| rank(&value.origin))
}

/// `USER/PASSWORD`, or `none`: from the file or the environment; whichever was said last in the order of origins.
pub(super) fn neo4j_auth(settings: &Settings) -> Result<SecretString, Failure> {
    let ways = ["neo4j.auth", "neo4j.auth_file"];
    let missing = SettingError::Missing {
        what: "who logs on to the server",
        key: "neo4j.auth_file",
        flag: "--auth-file",
        variable: "NEO4J_AUTH",
    };
    let (way, value) = chosen(settings, ways).ok_or(missing)?;
    secret(way, value)
}

fn secret(way: &str, value: &Value) -> Result<SecretString, Failure> {
    let text = match way {
        "password" | "copy.password" | "neo4j.auth" => value.text.clone(),
        "password_command" | "copy.password_command" => run(&value.text)?,
        _ => read(&PathBuf::from(&value.text))?,
    };
    without_line_end(&text, &value.origin)
}

/// A password that is to be one of the repository's: from a file, or from what a command prints.
pub(super) fn new_password(file: Option<&Path>, command: Option<&str>) -> Result<SecretString, Failure> {
    match (file, command) {
        (Some(file), _) => without_line_end(&read(file)?, &Origin::Flag("--new-password-file")),
        (None, Some(command)) => without_line_end(&run(command)?, &Origin::Flag("--new-password-command")),
        (None, None) => Err(Failure::Usage("the new password is not given".to_owned())),
    }
}

fn read(path: &Path) -> Result<String, SettingError> {
    let bytes = disk::read(path, PASSWORD_SIZE_MAX)
        .map_err(|source| SettingError::Unreadable { path: path.to_owned(), source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn without_line_end(text: &str, origin: &Origin) -> Result<SecretString, Failure> {
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(SettingError::EmptyPassword { origin: origin.clone() }.into());
    }
    Ok(SecretString::from(text.to_owned()))
}

fn run(command: &str) -> Result<String, SettingError> {
    let failed = |why: String| SettingError::PasswordCommand { why };
    let output = std::process::Command::new("sh")
        .args(["-c", command])
        .stdin(std::process::Stdio::inherit())
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("it printed something else than text".to_owned()))
}

pub(super) fn source(settings: &Settings) -> Result<Option<SourceName>, Failure> {
    Ok(settings.parsed("source", |text| {
        text.parse().map_err(|error: grap_core::InvalidSourceName| error.to_string())
    })?)
}

/// A home or a data directory; a flag beats the environment, which beats the file.
pub(super) fn installation(settings: &Settings) -> Result<InstallationOptions, Failure> {
    let home = settings.value("neo4j.home");
    let data = settings.value("neo4j.data");
    let is_flag = |value: &Value| matches!(value.origin, Origin::Flag(_));
    let use_home = match (home, data) {
        (Some(home), Some(data)) if is_flag(home) == is_flag(data) => {
            let (first, second) = (home.origin.clone(), data.origin.clone());
            return Err(SettingError::Conflict { first, second }.into());
        }
        (Some(home), Some(_)) => is_flag(home),
        (Some(_), None) => true,
        (None, Some(_)) => false,
        (None, None) => {
            return Err(SettingError::Missing {
                what: "the Neo4j installation",
                key: "neo4j.home",
                flag: "--neo4j-home or --data",
                variable: "GRAP_NEO4J_HOME",
            }
            .into());
        }
    };
    Ok(match (home, data) {
        (Some(home), _) if use_home => InstallationOptions::Home {
            home: PathBuf::from(&home.text),
            configuration: settings.path("neo4j.conf"),
        },
        (_, data) => InstallationOptions::Data {
            data: data.map(|value| PathBuf::from(&value.text)).unwrap_or_default(),
            transactions: settings.path("neo4j.transactions"),
            database: settings.text("neo4j.database").map(str::to_owned),
        },
    })
}

/// As [`installation`]; `None` where none was named at all.
pub(super) fn installation_if_named(settings: &Settings) -> Result<Option<InstallationOptions>, Failure> {
    let named = ["neo4j.home", "neo4j.data"].iter().any(|key| settings.text(key).is_some());
    named.then(|| installation(settings)).transpose()
}

pub(super) fn state(settings: &Settings, environment: &Environment) -> Result<StateDirectory, Failure> {
    let directory = state_path(settings, environment)?;
    Ok(StateDirectory::open(&directory).map_err(grap::Error::from)?)
}

/// --state-dir or GRAP_STATE_DIR; else what systemd gives; else the system's place (root) or the user's.
pub(super) fn state_path(settings: &Settings, environment: &Environment) -> Result<PathBuf, Failure> {
    let given = settings.path("state_dir").or_else(|| environment.get("STATE_DIRECTORY").map(PathBuf::from));
    let own = || {
        let root = rustix::process::getuid().is_root().then(|| PathBuf::from("/var/lib/grap"));
        let home = || environment.get("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        root.or_else(|| {
            environment.get("XDG_STATE_HOME").map(PathBuf::from).or_else(home).map(|state| state.join("grap"))
        })
    };
    let missing = SettingError::Missing {
        what: "the state directory",
        key: "state_dir",
        flag: "--state-dir",
        variable: "GRAP_STATE_DIR",
    };
    Ok(given.or_else(own).ok_or(missing)?)
}

pub(super) fn writer(settings: &Settings) -> Result<WriterOptions, Failure> {
    let level = settings.number("backup.compression", 1..=19)?;
    let options = WriterOptions::default();
    Ok(WriterOptions { level: level.unwrap_or(options.level), ..options })
}
