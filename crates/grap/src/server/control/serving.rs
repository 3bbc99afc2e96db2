//! Whether a server that answers serves its databases, as far as it tells us: one that is being stopped answers, too.

use std::time::Duration;

use grap_bolt::client::Options;

use crate::ask::{Asker, DatabaseStatus};

const SYSTEM: &str = "system";
const BUDGET: Duration = Duration::from_secs(10);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Serving {
    Yes,
    /// It is up, and says that a database is not, or does not let us ask: time does not mend that.
    Doubtful(String),
    No(String),
}

/// Of these databases.
pub(super) fn serving(bolt: &Options, databases: &[String]) -> Serving {
    match ask(bolt) {
        Ok(seen) => judge(&seen, databases),
        Err(error) if error.failure().is_some_and(|failure| !failure.is_transient()) => {
            Serving::Doubtful(format!("whether its databases are online could not be asked: {error}"))
        }
        Err(error) => Serving::No(error.to_string()),
    }
}

fn ask(bolt: &Options) -> grap_bolt::Result<Vec<DatabaseStatus>> {
    let mut asker = Asker::open(bolt, Some(SYSTEM))?;
    asker.set_budget(BUDGET);
    asker.databases()
}

fn judge(seen: &[DatabaseStatus], databases: &[String]) -> Serving {
    let mut serving = Serving::Yes;
    for name in databases.iter().filter(|name| *name != SYSTEM) {
        // It does not know a folder that lies there since another time.
        let Some(database) = seen.iter().find(|database| database.name == *name) else { continue };
        let told = || format!("database `{name}` is {}: {}", database.status, database.message);
        match database.status.as_str() {
            "online" => {}
            "initial" | "starting" | "stopping" => return Serving::No(told()),
            _ => serving = Serving::Doubtful(told()),
        }
    }
    serving
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_not_pass_is_a_doubt() {
        let database = |name: &str, status: &str| DatabaseStatus {
            name: name.to_owned(),
            status: status.to_owned(),
            message: "why".to_owned(),
            id: None,
        };
        let judge = |status: &str| {
            judge(
                &[database("neo4j", status), database("system", "online")],
                &["neo4j".into(), "system".into()],
            )
        };
        assert_eq!(judge("online"), Serving::Yes);
        assert_eq!(judge("stopping"), Serving::No("database `neo4j` is stopping: why".to_owned()));
        assert_eq!(judge("offline"), Serving::Doubtful("database `neo4j` is offline: why".to_owned()));
        let unknown = super::judge(&[database("system", "online")], &["old".into()]);
        assert_eq!(unknown, Serving::Yes);
    }
}
