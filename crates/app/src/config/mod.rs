//! Settings: what was said on the command line, in the environment, in a TOML file, or by default; each with
//! its origin.
//!
//! Later layers win: default < file < environment < flag. A key that the file has and we do not know is an
//! error: a mistyped one would be silently ignored. The only reader of the environment.

mod keys;
mod parse;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use grap_disk as disk;

pub(crate) use keys::{Key, key};
#[cfg(test)]
pub(crate) fn every_key() -> &'static [Key] {
    keys::ALL
}
pub(crate) use parse::{
    parse_between, parse_duration, parse_memory, parse_owner, parse_rate, parse_time_zone, system_time_zone,
};

/// The variables of the process, read once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    pub(crate) fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// As it is set, be it to nothing.
    fn get_as_set(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A variable that is set to nothing is not set.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Every variable that is set and whose name this holds for.
    pub(crate) fn variables(&self, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
        let set = self.0.iter().filter(|(name, value)| !value.is_empty() && wanted(name));
        set.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File(PathBuf),
    Environment(&'static str),
    Flag(&'static str),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "${name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

/// Every setting that has a value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings(BTreeMap<&'static str, Value>);

#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingError {
    #[error("the file {} cannot be read", path.display())]
    Unreadable { path: PathBuf, source: disk::DiskError },
    #[error("the configuration file {} is not TOML", path.display())]
    NotToml { path: PathBuf, source: toml::de::Error },
    #[error("the configuration file {} has an unknown key `{key}`; known are: {known}", path.display())]
    UnknownKey { path: PathBuf, key: String, known: String },
    #[error("`{key}` in the configuration file {} is {why}, which is no setting's value", path.display())]
    NotASetting { path: PathBuf, key: String, why: String },
    #[error("{key} = `{value}` (from {origin}) makes no sense: {why}")]
    Invalid { key: &'static str, value: String, origin: Origin, why: String },
    #[error("{what} is not set: give {flag}, ${variable}, or `{key}` in the configuration file")]
    Missing { what: &'static str, key: &'static str, flag: &'static str, variable: &'static str },
    #[error("{first} and {second} exclude each other")]
    Conflict { first: Origin, second: Origin },
    #[error("the password command failed: {why}")]
    PasswordCommand { why: String },
    #[error("the password from {origin} is empty")]
    EmptyPassword { origin: Origin },
}

/// Read when neither --config nor $GRAP_CONFIG names another.
const FILE_DEFAULT: &str = "/etc/grap/grap.toml";
const FILE_SIZE_MAX: u64 = 1 << 20;

impl Settings {
    /// Put the layers on each other. `flags`: key and value of what was said on the command line.
    pub(crate) fn resolve(
        file: Option<&Path>,
        environment: &Environment,
        flags: Vec<(&'static str, String)>,
    ) -> Result<Self, SettingError> {
        let (settings, bad) = Self::resolve_anyway(file, environment, flags);
        bad.map_or(Ok(settings), Err)
    }

    /// With what can be understood, and what cannot: for who must go on in any case.
    pub(crate) fn resolve_anyway(
        file: Option<&Path>,
        environment: &Environment,
        flags: Vec<(&'static str, String)>,
    ) -> (Self, Option<SettingError>) {
        let mut settings = Self::default();
        for key in keys::ALL {
            if let Some(default) = key.default {
                settings.set(key, default.to_owned(), Origin::Default);
            }
        }
        let bad = settings.add_file(file, environment).err();
        for key in keys::ALL {
            for variable in key.variables {
                let said = if key.never_empty {
                    environment.get_as_set(variable)
                } else {
                    environment.get(variable)
                };
                if let Some(value) = said {
                    settings.set(key, value.to_owned(), Origin::Environment(variable));
                    break;
                }
            }
        }
        settings.say(flags);
        (settings, bad)
    }

    /// What was said on a command line, over everything else.
    pub(crate) fn say(&mut self, flags: impl IntoIterator<Item = (&'static str, String)>) {
        for (name, value) in flags {
            let key = key(name);
            self.set(key, value, Origin::Flag(key.flag));
        }
    }

    /// The names of the keys whose values differ.
    pub(crate) fn difference(&self, other: &Self) -> Vec<&'static str> {
        let names = keys::ALL.iter().map(|key| key.name);
        names.filter(|name| self.text(name) != other.text(name)).collect()
    }

    fn set(&mut self, key: &'static Key, text: String, origin: Origin) {
        self.0.insert(key.name, Value { text, origin });
    }

    fn add_file(&mut self, named: Option<&Path>, environment: &Environment) -> Result<(), SettingError> {
        let named = named.map(Path::to_owned).or_else(|| environment.get("GRAP_CONFIG").map(PathBuf::from));
        let path = named.clone().unwrap_or_else(|| PathBuf::from(FILE_DEFAULT));
        let bytes = match disk::read(&path, FILE_SIZE_MAX) {
            Err(error) if error.is_not_found() && named.is_none() => return Ok(()),
            other => other.map_err(|source| SettingError::Unreadable { path: path.clone(), source })?,
        };
        let text = String::from_utf8_lossy(&bytes);
        let table: toml::Table =
            toml::from_str(&text).map_err(|source| SettingError::NotToml { path: path.clone(), source })?;
        let mut flat = Vec::new();
        flatten("", &table, &mut flat).map_err(|(key, why)| SettingError::NotASetting {
            path: path.clone(),
            key,
            why,
        })?;
        let mut unknown = None;
        for (name, value) in flat {
            match keys::ALL.iter().find(|key| key.name == name) {
                Some(key) => self.set(key, value, Origin::File(path.clone())),
                None => unknown = unknown.or(Some(name)),
            }
        }
        let Some(key) = unknown else { return Ok(()) };
        let known = keys::ALL.iter().map(|key| key.name).collect::<Vec<_>>().join(", ");
        Err(SettingError::UnknownKey { path, key, known })
    }

    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(key(name).name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.value(name).map(|value| value.text.as_str())
    }

    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    pub(crate) fn require(&self, name: &'static str, what: &'static str) -> Result<&str, SettingError> {
        let key = key(name);
        self.text(name).ok_or_else(|| SettingError::Missing {
            what,
            key: key.name,
            flag: key.flag,
            variable: key.variables.first().copied().unwrap_or_default(),
        })
    }

    /// A value read by `parse`, which says why it cannot.
    pub(crate) fn parsed<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, SettingError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        parse(&value.text).map(Some).map_err(|why| SettingError::Invalid {
            key: key(name).name,
            value: value.text.clone(),
            origin: value.origin.clone(),
            why,
        })
    }

    /// A whole number within bounds; `None` where nothing is set.
    pub(crate) fn number<T: TryFrom<i32>>(
        &self,
        name: &str,
        bounds: RangeInclusive<i32>,
    ) -> Result<Option<T>, SettingError> {
        let number = self.parsed(name, |text| parse_between(text, *bounds.start(), *bounds.end()))?;
        Ok(number.and_then(|number| T::try_from(number).ok()))
    }

    /// As [`Settings::parsed`], of a value that is not to be shown.
    pub(crate) fn parsed_secret<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, SettingError> {
        self.parsed(name, parse).map_err(|error| match error {
            SettingError::Invalid { key, origin, why, .. } => {
                SettingError::Invalid { key, value: "<hidden>".to_owned(), origin, why }
            }
            other => other,
        })
    }

    /// Every key with its value, secrets masked.
    pub(crate) fn shown(&self) -> Vec<(&'static Key, Option<(String, Origin)>)> {
        keys::ALL
            .iter()
            .map(|key| {
                let shown = self.0.get(key.name).map(|value| {
                    let text = if key.secret { "<hidden>".to_owned() } else { value.text.clone() };
                    (text, value.origin.clone())
                });
                (key, shown)
            })
            .collect()
    }

    /// As JSON, to be taken along in a backup; secrets left out.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let pairs: BTreeMap<&str, &str> = keys::ALL
            .iter()
            .filter(|key| !key.secret)
            .filter_map(|key| Some((key.name, self.0.get(key.name)?.text.as_str())))
            .collect();
        serde_json::to_vec_pretty(&pairs).unwrap_or_default()
    }
}

/// `[backup] read_limit = "1MiB"` becomes `backup.read_limit`.
fn flatten(
    prefix: &str,
    table: &toml::Table,
    flat: &mut Vec<(String, String)>,
) -> Result<(), (String, String)> {
    for (name, value) in table {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => flatten(&name, inner, flat)?,
            toml::Value::String(text) => flat.push((name, text.clone())),
            toml::Value::Integer(number) => flat.push((name, number.to_string())),
            toml::Value::Boolean(truth) => flat.push((name, truth.to_string())),
            other => return Err((name, format!("of type {}", other.type_str()))),
        }
    }
    Ok(())
}
