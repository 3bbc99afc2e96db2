//! Is a stopped database whole? Grap's checker and Neo4j's own are asked, each in a process of its own. Both must say yes: a
//! store that only one of them calls damaged is a fault of the other one, or of what made the store.

use std::path::Path;

use crate::admin;
use crate::error::{Error, Result};
use crate::install::Distribution;
use crate::program::Grap;

/// `grap check` on every database of a data directory that was stopped cleanly: no finding.
pub fn check_natively(grap: &Grap, data: &Path) -> Result<()> {
    let report = grap.json(&["check", &data.display().to_string()])?;
    let databases = report["databases"].as_array().map_or(0, Vec::len);
    if report["ok"] == true && databases > 0 {
        return Ok(());
    }
    Err(Error::Claim(format!("grap check of {}: {report}", data.display())))
}

/// `grap check` and `neo4j-admin database check`, and both find nothing.
pub fn check_both(grap: &Grap, distribution: &Distribution, data: &Path) -> Result<()> {
    let native = check_natively(grap, data);
    let official = admin::check(distribution, data)?;
    match native {
        Ok(()) if official.is_clean() => Ok(()),
        Ok(()) => Err(Error::Claim(format!("grap check is clean, database check is not: {}", official.text))),
        Err(error) if official.is_clean() => {
            Err(Error::Claim(format!("database check is clean, grap check is not: {error}")))
        }
        Err(error) => {
            Err(Error::Claim(format!("neither checker calls it clean: {error}; {}", official.text)))
        }
    }
}
