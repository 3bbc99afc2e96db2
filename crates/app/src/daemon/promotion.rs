//! What was interrupted of a promotion, or of a rollback, goes on when the daemon starts: its database may be down.
//!
//! It is tried until nothing is owed any more, and a critical alert is open for as long. Only what was begun before the daemon
//! is gone on with: what begins later is watched by who asked for it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use grap_task::Stop;

use super::Daemon;
use crate::failure::Failure;

const PROMOTION: &str = "promotion";
const AGAIN: Duration = Duration::from_secs(30);

#[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is of one lifetime only")]
impl Daemon {
    /// A thread that ends when it is done, or at the stop; none where nothing is owed.
    pub(super) fn start_promotion(self: &Arc<Self>, stop: &Stop) -> Result<Option<JoinHandle<()>>, Failure> {
        match self.own_call(PROMOTION, stop, |call| call.owes_promotion()) {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            // A journal that cannot be read is told by who looks after the state directory.
            Err(failure) => {
                self.log.of(PROMOTION).error(&failure.to_string());
                return Ok(None);
            }
        }
        let (daemon, stop) = (Arc::clone(self), stop.clone());
        let thread = std::thread::Builder::new().name(PROMOTION.to_owned());
        let thread = thread.spawn(move || daemon.finish_promotion(&stop)).map_err(grap::Error::Thread)?;
        Ok(Some(thread))
    }

    fn finish_promotion(&self, stop: &Stop) {
        let log = self.log.of(PROMOTION);
        log.info("what was interrupted of a promotion goes on");
        loop {
            let ended = self.own_call(PROMOTION, stop, |call| call.go_on_with_promotion());
            let owes = self.own_call(PROMOTION, stop, |call| call.owes_promotion()).unwrap_or(true);
            if let Err(failure) = &ended {
                log.error(&format!("error[{}]: {}", failure.code().name(), failure));
            }
            if !owes {
                self.alerts.clear(PROMOTION);
                log.info("nothing is owed of it any more");
                return;
            }
            let why = ended.err().map_or_else(String::new, |failure| failure.to_string());
            let told = format!("a promotion is not finished, and the database may be down: {why}");
            self.alerts.raise(PROMOTION, grap_core::AlertLevel::Critical, &told);
            if self.clock.wait(AGAIN, stop) {
                return;
            }
        }
    }
}
