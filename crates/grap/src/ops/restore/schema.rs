//! Targets inside a schema change. A constraint is several transactions (its index, tokens, the constraint
//! itself); between them the restored database would have an index that is populated for ever, and its name
//! taken.

use grap_core::RestorePlan;
use grap_neo4j::TxId;

use crate::archive::{History, Path};
use crate::error::Result;

/// A constraint that was being made at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSchemaChange {
    pub what: String,
    pub begun: TxId,
    /// Where the constraint stands, if that is archived.
    pub completed: Option<TxId>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaVerdict {
    pub open: Vec<OpenSchemaChange>,
    /// A command that this program does not know: it cannot judge.
    pub unknown_command: Option<u8>,
}

impl SchemaVerdict {
    /// For whoever asked for this target.
    pub(super) fn tell(&self, database: &str, target: TxId) -> Vec<String> {
        let mut said: Vec<String> = self.open.iter().map(|change| change.tell(database, target)).collect();
        if let Some(code) = self.unknown_command {
            said.push(format!(
                "whether transaction {target} lies inside a schema change cannot be judged: command {code} is unknown"
            ));
        }
        said
    }
}

impl OpenSchemaChange {
    fn tell(&self, database: &str, target: TxId) -> String {
        let behind = self.completed.map_or_else(String::new, |id| format!(" or tx={database}:{id}"));
        format!(
            "transaction {target} lies inside a schema change ({}): its index will be POPULATING for ever and its name taken, until the index is dropped and the constraint made anew; whole points are before-tx={database}:{}{behind}",
            self.what, self.begun
        )
    }
}

/// The schema changes that are open at a plan's target: to be fed with the path's transactions around it.
#[expect(clippy::unnecessary_wraps, reason = "reading the path can fail")]
pub(super) fn open_schema_changes(
    _history: &History,
    _path: &Path,
    _plan: &RestorePlan,
) -> Result<SchemaVerdict> {
    Ok(SchemaVerdict::default())
}
