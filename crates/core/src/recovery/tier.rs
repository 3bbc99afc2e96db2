//! The tiers of a validation, and what each of them found.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a candidate is asked, cheapest first: the first that fails ends the validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Every database is ONLINE, and its newest transaction is the promised one.
    Connectivity,
    /// Indexes and constraints are ONLINE, and those of the source.
    Schema,
    Orphans,
    /// Counts, and the last transaction, against what the log says.
    Counts,
    /// The operator's own checks.
    Custom,
    /// The records of the stopped store, one against another.
    Store,
}

impl Tier {
    /// Those that are asked of the running test instance.
    pub const RUNNING: [Self; 5] =
        [Self::Connectivity, Self::Schema, Self::Orphans, Self::Counts, Self::Custom];
    /// Those that want the candidate stopped.
    pub const STOPPED: [Self; 1] = [Self::Store];

    pub fn name(self) -> &'static str {
        match self {
            Self::Connectivity => "connectivity",
            Self::Schema => "schema",
            Self::Orphans => "orphans",
            Self::Counts => "counts",
            Self::Custom => "custom",
            Self::Store => "store",
        }
    }

    /// Whether a candidate can be validated without it: where there is nothing to ask, or nothing to compare with. One
    /// that no server has opened, and no checker has read, is not validated.
    pub fn may_be_skipped(self) -> bool {
        matches!(self, Self::Orphans | Self::Counts | Self::Custom)
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a tier came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Judgement {
    pub tier: Tier,
    pub verdict: TierVerdict,
    /// All that was found, good and bad; objects are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// By the tier that counts everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// What is in a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Measured {
    pub nodes: u64,
    pub relationships: u64,
    /// Of the whole graph, in hexadecimal.
    pub digest: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TierVerdict {
    Passed {
        message: String,
    },
    /// It found something, or did not end within its limit.
    Failed {
        code: String,
        message: String,
    },
    Skipped {
        why: String,
    },
}

impl Judgement {
    /// A required tier that was not asked is no answer.
    pub(super) fn is_answer(&self) -> bool {
        self.tier.may_be_skipped() || !matches!(self.verdict, TierVerdict::Skipped { .. })
    }

    pub fn failed(&self) -> bool {
        self.failed_as().is_some()
    }

    /// The code of its failure.
    pub fn failed_as(&self) -> Option<&str> {
        match &self.verdict {
            TierVerdict::Failed { code, .. } => Some(code),
            TierVerdict::Passed { .. } | TierVerdict::Skipped { .. } => None,
        }
    }
}
