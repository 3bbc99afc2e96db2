//! `init`: make a repository.

use grap_core::{Binding, SourceName};
use grap_repository::{InitOptions, KdfCost, RecoveryKey, Repository};

use grap_task::Finding;

use super::space::make_reserve;
use super::{Access, Session};
use crate::error::Result;
use crate::sources;
use crate::state::StateDirectory;

/// A new repository. The recovery key is shown to the operator once, and kept nowhere.
pub struct InitReport {
    pub repository_id: String,
    pub source: SourceName,
    pub recovery_key: RecoveryKey,
}

/// Make the repository and its first source.
pub fn init(
    access: Access,
    source: SourceName,
    cost: KdfCost,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<InitReport> {
    state.journaled("init", session.clock, || make(access, source, cost, session))
}

fn make(access: Access, source: SourceName, cost: KdfCost, session: &Session<'_>) -> Result<InitReport> {
    let options = InitOptions {
        hostname: session.holder.hostname.clone(),
        username: session.holder.username.clone(),
        created: session.clock.now(),
        cost,
    };
    access.lay_out()?;
    let directory = access.directory.clone();
    let (repository, recovery_key) = Repository::init(access.store, &access.password, &options)?;
    // From here on the repository exists, and its recovery key is shown whatever happens.
    if let Err(error) = sources::add(&repository, &source, &Binding::default()) {
        let text = format!("source `{source}` could not be made ({error}); make it with grap source add");
        session.monitor.finding(&Finding::warning(text));
    }
    make_reserve(directory.as_deref(), session);
    Ok(InitReport { repository_id: repository.id().to_string(), source, recovery_key })
}
