//! The parser of Prometheus' own client for Python, as the judge of what `/metrics` says.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::stores::{install, installed};

const VERSION: &str = "0.21.1";
const HINT: &str = "apt-get install -y python3-venv";

/// Prints a JSON object: for each family its type and samples, each with its labels. What is not well formed, or there
/// twice, ends it.
const READ: &str = r#"
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families, seen = {}, set()
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.name not in families, f"{family.name} is there twice"
    assert family.documentation and family.type in ("gauge", "counter"), family
    samples = {}
    for sample in family.samples:
        key = sample.name + json.dumps(sample.labels, sort_keys=True)
        assert key not in seen, f"{key} is there twice"
        seen.add(key)
        samples[",".join(sample.labels.values())] = sample.value
    families[family.name] = samples
print(json.dumps(families))
"#;

/// By family (a counter without its `_total`), then by the value of its label (empty: it has none).
pub type Families = BTreeMap<String, BTreeMap<String, f64>>;

/// Installed if needed (a few seconds).
pub fn parse(text: &str) -> Result<Families> {
    let folder = installed(&format!("prometheus-client-{VERSION}"), |folder| {
        install(Command::new("python3").args(["-m", "venv"]).arg(folder), HINT)?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        install(pip.arg(format!("prometheus_client=={VERSION}")), HINT)
    })?;
    let python = folder.join("bin/python");
    let started = Command::new(&python)
        .args(["-c", READ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.map_err(Error::file("start", &python))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes()).map_err(Error::file("write to", &python))?;
    }
    let output = child.wait_with_output().map_err(Error::file("wait for", &python))?;
    serde_json::from_slice(&output.stdout).map_err(|_| Error::Process {
        program: "prometheus_client".to_owned(),
        outcome: output.status.to_string(),
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
