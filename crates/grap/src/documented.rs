//! `docs/errors.md` and `docs/recovery.md` are what the code says.

mod recovery;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use grap_testkit::page;

use crate::Code;

const HEAD: &str = "# Errors and exit statuses

<!-- Generated from crates/grap/src/error/code.rs by `make docs`; a test fails when it is stale. -->

Every error has a code that does not change between releases; scripts match on it. On stderr it stands in brackets, with what happened, why, and what
to try:

```
error[BACKUP_NOT_FOUND]: there is no backup neo4j-20260101-000000; there are: neo4j-20261125-020000
  hint: `grap list` shows the backups of the repository.
```

With `--json` the last line of stderr is an object ([json.md](json.md)). Exit status 0 means that all went well; treat a status that is not in this
list as a failure.

## Exit statuses

";

#[test]
fn errors_are_documented() {
    let mut text = HEAD.to_owned();
    text += "| status | codes |\n|---|---|\n| 0 | success |\n";
    let mut statuses: BTreeMap<u8, Vec<&str>> = BTreeMap::new();
    for code in Code::ALL {
        statuses.entry(code.exit_status()).or_default().push(code.name());
    }
    for (status, names) in statuses {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(text, "| {status} | {} |", names.join(", "));
    }
    text += "\n## Codes\n";
    for code in Code::ALL {
        let (name, status, meaning, hint) = (code.name(), code.exit_status(), code.meaning(), code.hint());
        let _ = write!(text, "\n### {name}\n\nExit status {status}. {meaning}\n\n{hint}\n");
    }
    page::assert_current("docs/errors.md", &text);
}

#[test]
fn names_and_hints_of_documented_errors_are_usable() {
    let mut names: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Code::ALL.len());
    assert!(Code::ALL.iter().all(|code| code.exit_status() != 0 && !code.hint().is_empty()));
}
