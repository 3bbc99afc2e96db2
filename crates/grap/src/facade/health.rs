//! How the database is.

use super::Caller;
use crate::ops::{self, HealthOptions, HealthReport};

/// Asks a running server, read only, how its database is.
pub struct HealthChecker {
    options: HealthOptions,
    caller: Caller,
}

impl HealthChecker {
    pub fn new(options: HealthOptions, caller: Caller) -> Self {
        Self { options, caller }
    }

    /// Connectivity, schema, orphans, then the checks of the user's; the first that fails is the last that is made.
    /// `detailed`: and counts by label and type. A server that cannot be reached is a report that is not healthy.
    pub fn perform_all_checks(&self, detailed: bool) -> HealthReport {
        let options = HealthOptions { detailed, ..self.options.clone() };
        ops::health(&options, &self.caller.session())
    }
}
