//! What was interrupted of a promotion, or of a rollback, is finished: its database may be down.
//!
//! For as long as the daemon lives it looks whether something is owed that nobody is at. It promotes nothing that was not
//! under way: where nothing is exchanged yet, what was interrupted is called off. A critical alert is open until nothing is
//! owed any more; and, of what was called off, until somebody has asked for something else.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use grap_core::AlertLevel;
use grap_core::recovery::RecoveryId;
use grap_task::Stop;

use super::Daemon;
use crate::failure::Failure;

const PROMOTION: &str = "promotion";
const AGAIN: Duration = Duration::from_secs(30);

#[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is of one lifetime only")]
impl Daemon {
    /// A thread that ends at the stop.
    pub(super) fn start_promotion(self: &Arc<Self>, stop: &Stop) -> Result<JoinHandle<()>, Failure> {
        let (daemon, stop) = (Arc::clone(self), stop.clone());
        let thread = std::thread::Builder::new().name(PROMOTION.to_owned());
        Ok(thread.spawn(move || daemon.watch_promotions(&stop)).map_err(grap::Error::Thread)?)
    }

    fn watch_promotions(&self, stop: &Stop) {
        let mut off = None;
        loop {
            match self.own_call(PROMOTION, stop, |call| call.owes_promotion()) {
                Ok(true) => off = self.finish_promotion(stop),
                Ok(false) => off = self.still_off(off, stop),
                // A journal that cannot be read is told by who looks after the state directory.
                Err(_) => {}
            }
            if self.clock.wait(AGAIN, stop) {
                return;
            }
        }
    }

    /// Which one was called off.
    fn finish_promotion(&self, stop: &Stop) -> Option<RecoveryId> {
        let log = self.log.of(PROMOTION);
        log.info("what was interrupted of a promotion is finished");
        self.tell("a promotion is not finished, and nobody is at it: the database may be down");
        let ended = self.own_call(PROMOTION, stop, |call| call.finish_promotion());
        let owes = self.own_call(PROMOTION, stop, |call| call.owes_promotion()).unwrap_or(true);
        match ended {
            Ok(_) if !owes => {
                log.info("nothing is owed of it any more");
                self.alerts.clear(PROMOTION);
                None
            }
            Ok(_) => None,
            Err(failure) => {
                log.error(&format!("error[{}]: {}", failure.code().name(), failure));
                if owes {
                    self.tell(&format!(
                        "a promotion is not finished, and the database may be down: {failure}"
                    ));
                    return None;
                }
                self.tell(&format!("a promotion was interrupted, and did not come to its end: {failure}"));
                self.own_call(PROMOTION, stop, |call| call.called_off()).ok().flatten()
            }
        }
    }

    /// Until somebody has asked for something else.
    fn still_off(&self, off: Option<RecoveryId>, stop: &Stop) -> Option<RecoveryId> {
        let is = self.own_call(PROMOTION, stop, |call| call.called_off()).ok().flatten();
        if off.is_some() && is == off {
            return off;
        }
        self.alerts.clear(PROMOTION);
        None
    }

    fn tell(&self, text: &str) {
        self.alerts.raise(PROMOTION, AlertLevel::Critical, text);
    }
}
