//! The files of the AWS command line: `credentials` and `config`, both of the same simple form.
//!
//! `object_store` reads variables and asks instance roles; these files it leaves to us. What is said in
//! variables wins, as with AWS's own tools. Of the files only keys, a token and a region are taken; a profile
//! that wants more (a process, single sign-on, another role) is refused by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::RemoteError;

const SIZE_MAX: u64 = 1 << 20;
/// What a profile may hold, and the variable that says the same.
const TAKEN: [(&str, &str); 4] = [
    ("aws_access_key_id", "AWS_ACCESS_KEY_ID"),
    ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    ("aws_session_token", "AWS_SESSION_TOKEN"),
    ("region", "AWS_REGION"),
];
const REFUSED: [&str; 4] = ["credential_process", "role_arn", "sso_session", "sso_start_url"];

/// The variables, and what the profile adds to them.
pub(crate) fn with_profile(
    variables: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, RemoteError> {
    let mut all = variables.clone();
    if all.contains_key("AWS_ACCESS_KEY_ID") {
        return Ok(all);
    }
    let named = variables.get("AWS_PROFILE").or_else(|| variables.get("AWS_DEFAULT_PROFILE"));
    let profile = named.map_or("default", String::as_str);
    let mut found = false;
    for (variable, file, section) in [
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", profile.to_owned()),
        ("AWS_CONFIG_FILE", "config", section_of_config(profile)),
    ] {
        let Some(path) = place(variables, variable, file) else { continue };
        let Some(said) = section_in(&path, &section)? else { continue };
        found = true;
        add(&mut all, &path, profile, &said)?;
    }
    match named {
        Some(name) if !found => {
            let path = place(variables, "AWS_SHARED_CREDENTIALS_FILE", "credentials").unwrap_or_default();
            let why = "there is no such profile".to_owned();
            Err(RemoteError::Profile { path, profile: name.clone(), why })
        }
        _ => Ok(all),
    }
}

/// In `config` every profile but the default one has a word in front.
fn section_of_config(profile: &str) -> String {
    if profile == "default" { profile.to_owned() } else { format!("profile {profile}") }
}

fn place(variables: &BTreeMap<String, String>, variable: &str, file: &str) -> Option<PathBuf> {
    let home = || variables.get("HOME").map(|home| Path::new(home).join(".aws").join(file));
    variables.get(variable).map(PathBuf::from).or_else(home)
}

fn section_in(path: &Path, section: &str) -> Result<Option<BTreeMap<String, String>>, RemoteError> {
    let bytes = match grap_disk::read(path, SIZE_MAX) {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other.map_err(|source| RemoteError::Unreadable { path: path.to_owned(), source })?,
    };
    Ok(parse(&String::from_utf8_lossy(&bytes), section))
}

/// `[section]`, `key = value`, comments after `#` or `;` at the start of a line; what is indented belongs to a
/// setting that is not ours.
fn parse(text: &str, section: &str) -> Option<BTreeMap<String, String>> {
    let mut found = None;
    let mut inside = false;
    for line in text.lines() {
        if let Some(name) = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name.split_whitespace().collect::<Vec<_>>().join(" ") == section;
            if inside {
                found.get_or_insert_with(BTreeMap::new);
            }
        } else if inside
            && !line.starts_with(['#', ';', ' ', '\t'])
            && let (Some(found), Some((key, value))) = (&mut found, line.split_once('='))
        {
            found.insert(key.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    found
}

/// What a variable or an earlier file said stays.
fn add(
    all: &mut BTreeMap<String, String>,
    path: &Path,
    profile: &str,
    said: &BTreeMap<String, String>,
) -> Result<(), RemoteError> {
    let has_key = said.contains_key("aws_access_key_id") || all.contains_key("AWS_ACCESS_KEY_ID");
    if let Some(refused) = REFUSED.iter().find(|key| said.contains_key(**key) && !has_key) {
        let why = format!("`{refused}` is not supported: give keys, or a role of the instance");
        return Err(RemoteError::Profile { path: path.to_owned(), profile: profile.to_owned(), why });
    }
    for (key, variable) in TAKEN {
        if let Some(value) = said.get(key) {
            all.entry(variable.to_owned()).or_insert_with(|| value.clone());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# ours\n[default]\naws_access_key_id = A\naws_secret_access_key=B=\n\n[profile  other]\nregion = eu-1\ns3 =\n  region = no\n[third]\nsso_session = x\n";

    fn home(text: &str, file: &str) -> (tempfile::TempDir, BTreeMap<String, String>) {
        let folder = tempfile::tempdir().unwrap();
        grap_disk::create_dir_all(&folder.path().join(".aws")).unwrap();
        grap_disk::publish(&folder.path().join(".aws").join(file), &[text.as_bytes()]).unwrap();
        let variables = BTreeMap::from([("HOME".to_owned(), folder.path().display().to_string())]);
        (folder, variables)
    }

    #[test]
    fn a_section_is_read_and_no_other() {
        let default = parse(TEXT, "default").unwrap();
        assert_eq!(default["aws_access_key_id"], "A");
        assert_eq!(default["aws_secret_access_key"], "B=");
        assert_eq!(parse(TEXT, "profile other").unwrap()["region"], "eu-1");
        assert!(parse(TEXT, "none").is_none());
    }

    #[test]
    fn variables_win_over_files_and_what_is_not_supported_is_refused() {
        let (_folder, mut variables) = home(TEXT, "credentials");
        assert_eq!(with_profile(&variables).unwrap()["AWS_SECRET_ACCESS_KEY"], "B=");
        variables.insert("AWS_PROFILE".to_owned(), "third".to_owned());
        assert!(with_profile(&variables).unwrap_err().to_string().contains("sso_session"));
        variables.insert("AWS_PROFILE".to_owned(), "fourth".to_owned());
        assert!(with_profile(&variables).unwrap_err().to_string().contains("fourth"));
        variables.insert("AWS_ACCESS_KEY_ID".to_owned(), "C".to_owned());
        assert_eq!(with_profile(&variables).unwrap()["AWS_ACCESS_KEY_ID"], "C");
    }

    #[test]
    fn without_files_nothing_is_added() {
        let variables = BTreeMap::from([("HOME".to_owned(), "/nowhere".to_owned())]);
        assert_eq!(with_profile(&variables).unwrap(), variables);
    }
}
