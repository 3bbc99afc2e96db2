//! The storage of a model: objects in memory, and everything that can go wrong with a storage, for whoever is
//! at it now. The judge, who looks at what is stored, meets no faults.

use std::sync::{Mutex, MutexGuard, PoisonError};

use grap_repository::object::memory::MemoryStore;
use grap_repository::{ObjectCall, ObjectError, ObjectInfo, ObjectStore};

/// Who calls; none: the judge.
pub(crate) type Actor = Option<usize>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call has no effect, and an error.
    Fail,
    /// The call takes effect, and gives an error all the same.
    LoseReply,
    /// This call and all later ones fail.
    Kill,
    /// As `Kill`, but this call takes effect.
    KillBehind,
    /// Half of the object is put; then as `Kill`.
    Tear,
}

type Trigger = Box<dyn FnMut(usize, ObjectCall, &str) -> bool + Send>;
type Hook = Box<dyn FnOnce() + Send>;

/// What one actor will meet in one pass.
#[derive(Default)]
pub(crate) struct Plan {
    /// The number of the call, from 1.
    pub(crate) fault: Option<(usize, Fault)>,
    /// Every call fails.
    pub(crate) down: bool,
    /// A listing does not show the newest so many objects.
    pub(crate) hidden: usize,
    /// Before the first call that the trigger chooses, something happens.
    pub(crate) hook: Option<(Trigger, Hook)>,
}

/// An object that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PutNote {
    pub(crate) actor: Actor,
    pub(crate) name: String,
    /// Something happened in this pass before it: what was asked may be true no longer.
    pub(crate) hooked: bool,
}

#[derive(Default)]
struct Session {
    actor: Actor,
    plan: Plan,
    calls: usize,
    dead: bool,
    struck: bool,
    hooked: bool,
}

#[derive(Default)]
struct State {
    session: Session,
    /// In the order of putting.
    names: Vec<String>,
    /// Objects before this one are old: no listing hides them.
    old: usize,
    notes: Vec<PutNote>,
}

/// How a pass went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) calls: usize,
    pub(crate) dead: bool,
    pub(crate) struck: bool,
    pub(crate) hooked: bool,
}

pub(crate) struct Shelf {
    pub(crate) objects: MemoryStore,
    state: Mutex<State>,
}

impl Shelf {
    pub(crate) fn new(objects: MemoryStore) -> Self {
        Self { objects, state: Mutex::default() }
    }

    /// From now on `actor` calls.
    pub(crate) fn enter(&self, actor: usize, plan: Plan) {
        self.lock().session = Session { actor: Some(actor), plan, ..Session::default() };
    }

    /// From now on the judge calls.
    pub(crate) fn leave(&self) -> Seen {
        let session = std::mem::take(&mut self.lock().session);
        let Session { calls, dead, struck, hooked, .. } = session;
        Seen { calls, dead, struck, hooked }
    }

    /// What was put since the last call.
    pub(crate) fn take_notes(&self) -> Vec<PutNote> {
        std::mem::take(&mut self.lock().notes)
    }

    /// Time passes: every listing shows what is stored now.
    pub(crate) fn grow_old(&self) {
        let mut state = self.lock();
        state.old = state.names.len();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `Ok(Some(fault))`: the call takes effect, as the fault says, and gives an error.
    fn step(&self, call: ObjectCall, name: &str) -> Result<Option<Fault>, ObjectError> {
        let broken = || ObjectError::failed(call, name, "broken by the plan");
        let mut state = self.lock();
        if state.session.actor.is_none() {
            return Ok(None);
        }
        state.session.calls += 1;
        let calls = state.session.calls;
        if let Some((mut trigger, hook)) = state.session.plan.hook.take() {
            if trigger(calls, call, name) {
                // Others may call meanwhile.
                let session = std::mem::take(&mut state.session);
                drop(state);
                hook();
                state = self.lock();
                state.session = session;
                state.session.hooked = true;
            } else {
                state.session.plan.hook = Some((trigger, hook));
            }
        }
        let session = &mut state.session;
        if session.dead || session.plan.down {
            return Err(broken());
        }
        match session.plan.fault {
            Some((at, fault)) if at == calls => {
                session.struck = true;
                session.dead = matches!(fault, Fault::Kill | Fault::KillBehind | Fault::Tear);
                match fault {
                    Fault::Fail | Fault::Kill => Err(broken()),
                    _ => Ok(Some(fault)),
                }
            }
            _ => Ok(None),
        }
    }

    fn read<T>(
        &self,
        call: ObjectCall,
        name: &str,
        run: impl FnOnce() -> Result<T, ObjectError>,
    ) -> Result<T, ObjectError> {
        match self.step(call, name)? {
            None => run(),
            Some(_) => Err(ObjectError::failed(call, name, "broken by the plan")),
        }
    }
}

impl ObjectStore for Shelf {
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), ObjectError> {
        let fault = self.step(ObjectCall::Put, name)?;
        if fault == Some(Fault::Tear) {
            let whole = parts.concat();
            self.objects.put(name, &[&whole[..whole.len() / 2]])?;
        } else {
            self.objects.put(name, parts)?;
        }
        let mut state = self.lock();
        let (actor, hooked) = (state.session.actor, state.session.hooked);
        state.names.push(name.to_owned());
        state.notes.push(PutNote { actor, name: name.to_owned(), hooked });
        match fault {
            None => Ok(()),
            Some(_) => Err(ObjectError::failed(ObjectCall::Put, name, "the answer is lost")),
        }
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, ObjectError> {
        self.read(ObjectCall::Get, name, || self.objects.get(name))
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, ObjectError> {
        self.read(ObjectCall::GetRange, name, || self.objects.get_range(name, offset, length))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, ObjectError> {
        self.read(ObjectCall::List, prefix, || {
            let mut found = self.objects.list(prefix)?;
            let state = self.lock();
            if state.session.actor.is_some() {
                let from = state.names.len().saturating_sub(state.session.plan.hidden).max(state.old);
                let hidden = &state.names[from..];
                found.retain(|info| !hidden.contains(&info.name));
            }
            Ok(found)
        })
    }

    fn size(&self, name: &str) -> Result<u64, ObjectError> {
        self.read(ObjectCall::Size, name, || self.objects.size(name))
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        self.read(ObjectCall::Delete, name, || self.objects.delete(name))
    }
}
