//! What the journal tells of the recoveries (or drills) before.

use grap_core::recovery::{Event, Phase, Recovery, State, apply};
use jiff::Timestamp;

/// One of them, as it stood at its end; or as it stands.
#[derive(Debug, Clone)]
pub struct Past {
    pub recovery: Recovery,
    /// When it had succeeded or failed.
    pub ended: Option<Timestamp>,
}

impl Past {
    pub fn succeeded(&self) -> bool {
        self.ended.is_some() && matches!(self.recovery.phase, Phase::Validated | Phase::Promoted)
    }
}

/// Oldest first.
pub fn past(events: &[Event]) -> Vec<Past> {
    let mut told: Vec<Past> = Vec::new();
    let mut state = State::Idle;
    for event in events {
        // The journal was folded when it was opened: each can follow.
        state = apply(state, event).unwrap_or_default();
        let Some(recovery) = state.recovery() else { continue };
        let ended = recovery.phase.is_end().then_some(event.at);
        let now = Past { recovery: recovery.clone(), ended };
        match told.last_mut().filter(|last| last.recovery.id == recovery.id) {
            None => told.push(now),
            // What becomes of its candidate is not of interest.
            Some(last) if last.ended.is_some() => {}
            Some(last) => *last = now,
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use grap_core::recovery::{What, atlas, order};

    use super::*;

    #[test]
    fn each_is_told_as_it_ended() {
        let mut events = Vec::new();
        let mut state = State::Idle;
        let mut step = |state: &mut State, event: Event| {
            *state = apply(state.clone(), &event).unwrap();
            events.push(event);
        };
        step(&mut state, atlas::event(atlas::begun()));
        while order(&state).is_some() {
            let done = atlas::done(&state).unwrap();
            step(&mut state, done);
        }
        step(&mut state, atlas::event(What::ResetAsked));
        step(&mut state, atlas::event(What::CandidateRemoved));
        let What::Begun { plan, .. } = atlas::begun() else { panic!() };
        let id = "recovery-20261127-020000".parse().unwrap();
        step(&mut state, atlas::event(What::Begun { id, plan }));
        step(&mut state, atlas::event(What::CancelAsked));
        let told = past(&events);
        assert_eq!(told.iter().map(Past::succeeded).collect::<Vec<_>>(), [true, false]);
        assert_eq!(told[0].recovery.steps.len(), 13);
        assert_eq!(told[1].ended, None);
    }
}
