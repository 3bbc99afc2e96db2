//! `docs/configuration.md`, `docs/cli.md` and `docs/json.md` are what the code says.

use std::fmt::Write as _;

use clap::CommandFactory;
use grap_testkit::page;

use crate::cli::Arguments;
use crate::config::every_key;
use crate::http::{METRICS, Metric};

const CONFIGURATION: &str = "# Configuration

<!-- Generated from crates/app/src/config/keys.rs by `make docs`; a test fails when it is stale. -->

A setting can be said in four places. The later one wins:

1. the default
2. the configuration file: `--config FILE`, else `$GRAP_CONFIG`, else `/etc/grap/grap.toml` where it exists
3. the environment; where a setting has several variables, the first that is set wins
4. the command line

`grap config show` prints every setting, its value, and where it came from. Secrets are masked.

A key in the file that Grap does not know is an error: a mistyped one would be silently ignored.

## The password

It is said in one of four ways: `password_file`, `password_command`, `$GRAP_PASSWORD`, or `password` in the file. Where several are set, the way that was
said later (command line, environment, file) wins. It is never taken from the command line itself, where every user of the machine could read it.

## Settings

";

const AFTERWARDS: &str = "
The state directory, where it is not set: `$STATE_DIRECTORY` (systemd sets it), else `/var/lib/grap` for root, else `$XDG_STATE_HOME/grap` or
`~/.local/state/grap`.

A rate is bytes a second with an optional unit: `1048576`, `100KiB`, `1.5MiB`, `50MB`.

## An example

`/etc/grap/grap.toml`:

```toml
repository = \"/backups/neo4j\"
password_file = \"/etc/grap/password\"

[neo4j]
home = \"/var/lib/neo4j\"
conf = \"/etc/neo4j\"

[backup]
read_limit = \"50MiB\"
niceness = 15
```

Then `grap backup` is the whole command.
";

#[test]
fn the_configuration_is_documented() {
    let mut text = CONFIGURATION.to_owned();
    text += "| key | flag | environment | default | what it is |\n|---|---|---|---|---|\n";
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    for key in every_key() {
        let variables: Vec<String> = key.variables.iter().map(|variable| code(variable)).collect();
        let default = key.default.map(code).unwrap_or_default();
        let variables = variables.join(", ");
        let _ = writeln!(
            text,
            "| {} | {} | {variables} | {default} | {} |",
            code(key.name),
            code(key.flag),
            key.help
        );
    }
    text += AFTERWARDS;
    page::assert_current("docs/configuration.md", &text);
}

const COMMAND_LINE: &str = "# The command line

<!-- Generated from crates/app/src/cli/arguments.rs by `make docs`; a test fails when it is stale. -->

Standard output is data, standard error is for people. Exit statuses: [errors.md](errors.md). Every setting: [configuration.md](configuration.md).
The output of `--json`: [json.md](json.md).
";

#[test]
fn the_command_line_is_documented() {
    let mut text = COMMAND_LINE.to_owned();
    let mut command = Arguments::command().term_width(100);
    command.build();
    describe(&command, &mut text);
    page::assert_current("docs/cli.md", &text);
}

fn describe(command: &clap::Command, text: &mut String) {
    let help = command.clone().render_help().to_string();
    let title = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(text, "\n## {title}\n\n```\n{}\n```\n", lines.join("\n").trim_end());
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        describe(inner, text);
    }
}

/// Every figure that can be served has its row on the page, and every row its figure.
#[test]
fn the_metrics_are_documented() {
    let row = |metric: &Metric| {
        let Metric { name, kind, label, unit, help } = metric;
        let label = label.map(|label| format!("`{label}`")).unwrap_or_default();
        format!("| `{name}` | {} | {label} | {unit} | {help} |", kind.name())
    };
    let served: Vec<String> = METRICS.iter().map(row).collect();
    let page = include_str!("../../../docs/http.md");
    let is_figure = |line: &&str| line.starts_with("| `grap_") || line.starts_with("| `neo4j_");
    let documented: Vec<&str> = page.lines().filter(is_figure).collect();
    assert_eq!(documented, served, "docs/http.md");
}

/// Every field that is written in `view` is named on the page.
#[test]
fn the_json_is_documented() {
    let source = [
        include_str!("view/shapes.rs"),
        include_str!("view/points.rs"),
        include_str!("view/failure.rs"),
        include_str!("view/retention.rs"),
        include_str!("view/maintenance.rs"),
        include_str!("view/daemon.rs"),
        include_str!("view/copy.rs"),
        include_str!("view/health.rs"),
        include_str!("view/open.rs"),
        include_str!("view/check.rs"),
        include_str!("http/answers.rs"),
    ]
    .concat();
    let mut names: Vec<&str> = source
        .split("\":")
        .filter_map(|before| before.rsplit_once('"'))
        .map(|(_, name)| name)
        .filter(|name| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() > 50, "{names:?}");
    page::assert_mentions("docs/json.md", names);
}
