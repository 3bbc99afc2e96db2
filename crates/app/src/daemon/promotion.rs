//! What was interrupted of a promotion, or of a rollback, is finished: its database may be down.
//!
//! For as long as the daemon lives it looks whether something is owed that nobody is at. It promotes nothing that was not
//! under way: where nothing is exchanged yet, what was interrupted is called off. A critical alert is open until nothing is
//! owed any more; and, of what was called off, until somebody has asked for something else. Which one that is the alert says
//! itself: it outlives the daemon.

use std::time::Duration;

use grap_core::AlertLevel;
use grap_core::recovery::RecoveryId;
use grap_task::Stop;

use super::job::RunEnd;
use super::{Daemon, PROMOTION};
use crate::alert::AlertView;
use crate::failure::Failure;

const AGAIN: Duration = Duration::from_secs(30);

impl Daemon {
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is of one lifetime only")]
    pub(super) fn watch_promotions(&self, stop: &Stop) -> RunEnd {
        loop {
            match self.owes_promotion(stop) {
                Ok(true) => self.finish_promotion(stop),
                Ok(false) => match self.own_call(PROMOTION, stop, |call| call.lost_switch()) {
                    Ok(Some(lost)) => self.tell(&lost),
                    // Where the live server is not said, nobody can look.
                    Ok(None) | Err(_) => self.clear_unless_called_off(stop),
                },
                // A journal that cannot be read is told by who looks after the state directory.
                Err(_) => {}
            }
            if self.clock.wait(AGAIN, stop) {
                return RunEnd::Done;
            }
        }
    }

    fn finish_promotion(&self, stop: &Stop) {
        let log = self.log.of(PROMOTION);
        log.info("what was interrupted of a promotion is finished");
        self.tell("a promotion is not finished, and nobody is at it: the database may be down");
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method itself is not of every lifetime"
        )]
        let ended = self.own_call(PROMOTION, stop, |call| call.finish_promotion());
        let owes = self.owes_promotion(stop).unwrap_or(true);
        match ended {
            Ok(_) if owes => {}
            Ok(_) => {
                log.info("nothing is owed of it any more");
                self.alerts.clear(PROMOTION);
            }
            Err(failure) => {
                log.error(&format!("error[{}]: {}", failure.code().name(), failure));
                self.tell(&match self.called_off(stop) {
                    Ok(Some(id)) if !owes => of_what_was_called_off(&id, &failure),
                    _ if owes => {
                        format!("a promotion is not finished, and the database may be down: {failure}")
                    }
                    _ => format!("a promotion was interrupted: {failure}"),
                });
            }
        }
    }

    /// Nothing is owed. Of what was called off the alert stays until somebody has asked for something else.
    fn clear_unless_called_off(&self, stop: &Stop) {
        let open = self.alerts.alerts().into_iter().find(|alert| alert.key == PROMOTION);
        let Some(alert) = open else { return };
        match self.called_off(stop) {
            Ok(Some(id)) if is_about(&alert, &id) => {}
            Ok(_) => self.alerts.clear(PROMOTION),
            Err(_) => {}
        }
    }

    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is of one lifetime only")]
    fn owes_promotion(&self, stop: &Stop) -> Result<bool, Failure> {
        self.own_call(PROMOTION, stop, |call| call.owes_promotion())
    }

    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is of one lifetime only")]
    fn called_off(&self, stop: &Stop) -> Result<Option<RecoveryId>, Failure> {
        self.own_call(PROMOTION, stop, |call| call.called_off())
    }

    fn tell(&self, text: &str) {
        self.alerts.raise(PROMOTION, AlertLevel::Critical, text);
    }
}

fn of_what_was_called_off(id: &RecoveryId, failure: &Failure) -> String {
    format!("the promotion {id} was interrupted, and did not come to its end: {failure}")
}

/// Its text names it, and not one whose id only begins so.
fn is_about(alert: &AlertView, id: &RecoveryId) -> bool {
    let is_of_id = |char: char| char.is_ascii_alphanumeric() || char == '-';
    alert.message.split(|char| !is_of_id(char)).any(|word| word == id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alert_is_known_by_the_id_in_its_text() {
        let id: RecoveryId = "recovery-20261126-020000".parse().unwrap();
        let alert = |message: String| AlertView {
            key: PROMOTION.to_owned(),
            level: AlertLevel::Critical,
            message,
            since: jiff::Timestamp::UNIX_EPOCH,
        };
        let failure = Failure::Usage("it was cancelled".to_owned());
        assert!(is_about(&alert(of_what_was_called_off(&id, &failure)), &id));
        let second: RecoveryId = "recovery-20261126-020000-2".parse().unwrap();
        assert!(!is_about(&alert(of_what_was_called_off(&second, &failure)), &id));
        assert!(!is_about(&alert("a promotion is not finished".to_owned()), &id));
    }
}
