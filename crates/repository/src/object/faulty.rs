//! A store in which one call goes wrong.
//!
//! Run an operation once to count its calls, then once for each call and each [`Mode`].

use std::sync::{Mutex, PoisonError};

use super::{ObjectCall, ObjectError, ObjectInfo, ObjectStore};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The call has no effect and returns an error; later ones work.
    Fail,
    /// The call takes effect and returns an error all the same, as when the answer is lost.
    LoseReply,
    /// A put leaves half of the object under its final name, which the contract excludes but some storages
    /// do; then, as [`Mode::Kill`].
    Tear,
    /// The call and all later ones have no effect and return errors: the process died here.
    Kill,
}

pub struct Faulty<S> {
    inner: S,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seen: usize,
    /// The number of the call, from 1.
    fault: Option<(usize, Mode)>,
    hits: usize,
    dead: bool,
}

impl<S: ObjectStore> Faulty<S> {
    pub fn new(inner: S) -> Self {
        Self { inner, state: Mutex::default() }
    }

    /// Begin to count anew; call number `at` will go wrong.
    pub fn inject(&self, at: usize, mode: Mode) {
        *self.lock() = State { fault: Some((at, mode)), ..State::default() };
    }

    /// Begin to count anew, without a fault.
    pub fn clear(&self) {
        *self.lock() = State::default();
    }

    /// Calls since then.
    pub fn seen(&self) -> usize {
        self.lock().seen
    }

    /// Whether the fault struck: a plan that never struck tested nothing.
    pub fn struck(&self) -> bool {
        self.lock().hits > 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `Ok(None)`: go on. `Ok(Some(mode))`: do what the mode says, then fail.
    fn step(&self, call: ObjectCall, name: &str) -> Result<Option<Mode>, ObjectError> {
        let mut state = self.lock();
        state.seen += 1;
        if state.dead {
            return Err(broken(call, name));
        }
        let Some((_, mode)) = state.fault.filter(|(at, _)| *at == state.seen) else { return Ok(None) };
        state.hits += 1;
        state.dead = matches!(mode, Mode::Tear | Mode::Kill);
        match mode {
            Mode::Fail | Mode::Kill => Err(broken(call, name)),
            Mode::LoseReply | Mode::Tear => Ok(Some(mode)),
        }
    }

    fn read<T>(
        &self,
        call: ObjectCall,
        name: &str,
        run: impl FnOnce(&S) -> Result<T, ObjectError>,
    ) -> Result<T, ObjectError> {
        match self.step(call, name)? {
            None => run(&self.inner),
            Some(_) => Err(broken(call, name)),
        }
    }
}

fn broken(call: ObjectCall, name: &str) -> ObjectError {
    ObjectError::failed(call, name, "broken by the fault plan")
}

impl<S: ObjectStore> ObjectStore for Faulty<S> {
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), ObjectError> {
        match self.step(ObjectCall::Put, name)? {
            None => return self.inner.put(name, parts),
            Some(Mode::Tear) => {
                let whole = parts.concat();
                self.inner.put(name, &[&whole[..whole.len() / 2]])?;
            }
            Some(_) => self.inner.put(name, parts)?,
        }
        Err(broken(ObjectCall::Put, name))
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, ObjectError> {
        self.read(ObjectCall::Get, name, |inner| inner.get(name))
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, ObjectError> {
        self.read(ObjectCall::GetRange, name, |inner| inner.get_range(name, offset, length))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, ObjectError> {
        self.read(ObjectCall::List, prefix, |inner| inner.list(prefix))
    }

    fn size(&self, name: &str) -> Result<u64, ObjectError> {
        self.read(ObjectCall::Size, name, |inner| inner.size(name))
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        if self.step(ObjectCall::Delete, name)?.is_none() {
            return self.inner.delete(name);
        }
        self.inner.delete(name)?;
        Err(broken(ObjectCall::Delete, name))
    }
}
