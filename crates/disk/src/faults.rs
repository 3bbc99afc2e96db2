//! Faults at the seam: every call of this crate passes `step`.
//!
//! Without the feature `faults` the step is an empty inline function. With it a test runs an operation
//! once under `record` to count its calls, then once for each call n under `inject`:
//! - *fail*: call n returns an error and has no effect, later calls work;
//! - *tear*: a write of call n reaches the file by half, and the process is dead after it;
//! - *kill*: call n and all later ones have no effect. To the code it looks like errors everywhere; to the
//!   file system it looks like a process that died at n, clean-up code included.
//!
//! The plan is process-wide: tests that use it live in a binary of their own and run one at a time.

/// What the caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    /// Write half of it, then be dead.
    Tear,
}

#[cfg(not(feature = "faults"))]
#[inline]
#[expect(clippy::unnecessary_wraps, reason = "the signature of the step with faults")]
pub(crate) fn step(_: crate::Call, _: &std::path::Path) -> crate::Result<Verdict> {
    Ok(Verdict::Go)
}

#[cfg(feature = "faults")]
pub(crate) use plan::step;
#[cfg(feature = "faults")]
pub use plan::{Fault, Mode, Step, clear, hits, inject, record};

#[cfg(feature = "faults")]
mod plan {
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, PoisonError};

    use super::Verdict;
    use crate::error::{Call, DiskError, Result};

    /// One call as it was seen.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Step {
        pub call: Call,
        pub path: PathBuf,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Mode {
        /// The call fails with this errno; the process lives on.
        Fail(i32),
        Tear,
        Kill,
    }

    /// Which call, and what happens there. `only` narrows the count to some calls.
    #[derive(Clone, Copy)]
    pub struct Fault {
        pub at: usize,
        pub mode: Mode,
        pub only: fn(Call, &Path) -> bool,
    }

    #[derive(Default)]
    struct State {
        recording: Option<Vec<Step>>,
        fault: Option<Fault>,
        seen: usize,
        hits: usize,
        dead: bool,
    }

    static STATE: Mutex<Option<State>> = Mutex::new(None);

    /// Begin to record; the steps come back from [`clear`].
    pub fn record() {
        set(State { recording: Some(Vec::new()), ..State::default() });
    }

    /// Begin to count towards `fault`.
    pub fn inject(fault: Fault) {
        set(State { fault: Some(fault), ..State::default() });
    }

    /// How often the fault struck so far (a plan that never struck tested nothing).
    pub fn hits() -> usize {
        STATE.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, |state| state.hits)
    }

    /// Back to normal; returns what was recorded.
    pub fn clear() -> Vec<Step> {
        let state = STATE.lock().unwrap_or_else(PoisonError::into_inner).take();
        state.and_then(|state| state.recording).unwrap_or_default()
    }

    fn set(state: State) {
        *STATE.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    pub(crate) fn step(call: Call, path: &Path) -> Result<Verdict> {
        let mut guard = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = guard.as_mut() else { return Ok(Verdict::Go) };
        if let Some(steps) = &mut state.recording {
            steps.push(Step { call, path: path.to_owned() });
        }
        if state.dead {
            return Err(killed(call, path));
        }
        let Some(fault) = state.fault.filter(|fault| (fault.only)(call, path)) else {
            return Ok(Verdict::Go);
        };
        state.seen += 1;
        if state.seen != fault.at {
            return Ok(Verdict::Go);
        }
        state.hits += 1;
        match fault.mode {
            Mode::Fail(errno) => Err(DiskError::new(call, path, io::Error::from_raw_os_error(errno))),
            Mode::Kill => {
                state.dead = true;
                Err(killed(call, path))
            }
            Mode::Tear => {
                state.dead = true;
                if call == Call::Write { Ok(Verdict::Tear) } else { Err(killed(call, path)) }
            }
        }
    }

    fn killed(call: Call, path: &Path) -> DiskError {
        DiskError::new(call, path, io::Error::other("killed by the fault plan"))
    }
}
