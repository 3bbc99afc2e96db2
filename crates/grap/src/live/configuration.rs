//! `neo4j.conf`, as far as Grap needs it: a Java properties file, read the way the server reads it.
//!
//! `key=value`, `key: value` or `key value`; `#` and `!` begin a comment; a backslash at a line's end joins
//! it with the next. Of a key given twice the server takes none (it refuses to start, unless strict
//! validation is off): here the last one counts.

use std::collections::BTreeMap;

/// The settings that were written down. What is absent has the server's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration(BTreeMap<String, String>);

/// Settings whose values are kept out of a backup. The rest of the file goes along.
const SECRET_WORDS: [&str; 4] = ["password", "secret", "credential", "private_key"];

impl Configuration {
    pub fn parse(text: &str) -> Self {
        Self(logical_lines(text).iter().filter_map(|line| split(line)).collect())
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The text of the file with the values of secret settings replaced by `<left out>`.
    pub fn without_secrets(text: &str) -> String {
        let mut hidden = false;
        let mut kept = String::new();
        for line in text.lines() {
            let continues = line.ends_with('\\');
            match split(line) {
                _ if hidden => {}
                Some((key, _)) if SECRET_WORDS.iter().any(|word| key.contains(word)) => {
                    kept.push_str(&key);
                    kept.push_str("=<left out>\n");
                    hidden = continues;
                    continue;
                }
                _ => {
                    kept.push_str(line);
                    kept.push('\n');
                }
            }
            hidden = hidden && continues;
        }
        kept
    }
}

fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        let line = line.trim_start();
        let whole = match open.take() {
            Some(begun) => begun + line,
            None if line.starts_with(['#', '!']) => continue,
            None => line.to_owned(),
        };
        match whole.strip_suffix('\\') {
            Some(begun) => open = Some(begun.to_owned()),
            None => lines.push(whole),
        }
    }
    lines.extend(open);
    lines
}

fn split(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with(['#', '!']) {
        return None;
    }
    let end = line.find(|c: char| c == '=' || c == ':' || c.is_whitespace()).unwrap_or(line.len());
    let value = line[end..].trim_start().trim_start_matches(['=', ':']).trim();
    Some((line[..end].to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_as_java_reads_them() {
        let text = "# no.setting=1\n a.b = c d \nx:y\nlong=one,\\\n   two\nempty=\nlast word\n";
        let read = Configuration::parse(text);
        assert_eq!(read.get("a.b"), Some("c d"));
        assert_eq!(read.get("x"), Some("y"));
        assert_eq!(read.get("long"), Some("one,two"));
        assert_eq!(read.get("empty"), Some(""));
        assert_eq!(read.get("last"), Some("word"));
        assert_eq!(read.get("no.setting"), None);
    }

    #[test]
    fn secrets_are_left_out_with_their_continuations() {
        let text = "server.a=1\ndbms.ssl.policy.private_key_password=geheim\\\n noch\\\nmehr\nserver.b=2\n";
        let kept = Configuration::without_secrets(text);
        assert_eq!(kept, "server.a=1\ndbms.ssl.policy.private_key_password=<left out>\nserver.b=2\n");
    }
}
