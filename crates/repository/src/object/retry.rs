//! A store that tries again what may pass, within a total time, and then says what it tried.
//!
//! - Only [`ObjectError::Failed`] is tried again: what is denied, missing or refused stays so.
//! - Each call has a budget. Once one has used it up, the storage counts as down: until a call succeeds, or the
//!   budget has gone by once more, calls get one try each. A thousand calls to a dead storage do not take a
//!   thousand budgets.
//! - A put that was not answered may have taken effect. If a later try meets an object of that name, it is
//!   read: our bytes are our success, any others are somebody else's object. That decides rightly even if two
//!   writers put the same bytes: then there is one object with them, which is what both wanted.
//! - A stop ends the waiting for good: what is left of a call gets a few seconds, so that a last segment or a
//!   released lock is not lost to one slow answer.

use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use grap_task::{Clock, Stop};
use rand::Rng;

use super::{ObjectCall, ObjectError, ObjectInfo, ObjectStore};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// What is left of the budget once a stop is asked for.
const AFTER_STOP: Duration = Duration::from_secs(5);

pub struct Retry<S> {
    inner: S,
    budget: Duration,
    clock: Clock,
    stop: Stop,
    /// When a call gave up, by the boot clock, and none has succeeded since.
    down_since: Mutex<Option<Duration>>,
}

/// Why there are no more tries.
#[derive(Debug, thiserror::Error)]
#[error("gave up after {tries} {} in {:.1} s", if *tries == 1 { "try" } else { "tries" }, took.as_secs_f64())]
pub struct GaveUp {
    pub tries: u32,
    pub took: Duration,
    /// Of the last try.
    pub source: Box<dyn Error + Send + Sync>,
}

/// One call, try by try.
struct Tries {
    began: Duration,
    count: u32,
    pause: Duration,
    /// When a stop was first seen.
    stopped: Option<Duration>,
}

impl<S: ObjectStore> Retry<S> {
    /// `budget`: the longest time that a call tries again. No try is begun after it.
    pub fn new(inner: S, budget: Duration, clock: Clock, stop: Stop) -> Self {
        Self { inner, budget, clock, stop, down_since: Mutex::new(None) }
    }

    fn call<T>(
        &self,
        call: ObjectCall,
        name: &str,
        mut run: impl FnMut(&S, u32) -> Result<T, ObjectError>,
    ) -> Result<T, ObjectError> {
        let mut tries = Tries { began: self.clock.since_boot(), count: 0, pause: FIRST_PAUSE, stopped: None };
        let down = self.is_down();
        loop {
            tries.count += 1;
            let source = match run(&self.inner, tries.count) {
                Err(ObjectError::Failed { source, .. }) => source,
                // Any other error is an answer, too.
                other => {
                    self.set_down(None);
                    return other;
                }
            };
            if down || !self.pause(&mut tries) {
                return Err(self.give_up((call, name), &tries, source));
            }
        }
    }

    /// Wait for the next try; `false` if there is no time for one.
    fn pause(&self, tries: &mut Tries) -> bool {
        let pause = tries.pause.mul_f64(rand::rng().random_range(0.5..1.0));
        if pause >= self.left(tries) {
            return false;
        }
        tries.pause = (tries.pause * 2).min(LONGEST_PAUSE);
        if tries.stopped.is_some() {
            self.clock.wait(pause, &Stop::new());
        } else if self.clock.wait(pause, &self.stop) {
            tries.stopped = Some(self.clock.since_boot());
            tries.pause = FIRST_PAUSE;
        }
        true
    }

    fn left(&self, tries: &Tries) -> Duration {
        let now = self.clock.since_boot();
        let left = self.budget.saturating_sub(now.saturating_sub(tries.began));
        match tries.stopped {
            Some(since) => left.min(AFTER_STOP.saturating_sub(now.saturating_sub(since))),
            None => left,
        }
    }

    fn give_up(
        &self,
        (call, name): (ObjectCall, &str),
        tries: &Tries,
        last: Box<dyn Error + Send + Sync>,
    ) -> ObjectError {
        let now = self.clock.since_boot();
        if !self.is_down() {
            self.set_down(Some(now));
        }
        let took = now.saturating_sub(tries.began);
        ObjectError::failed(call, name, GaveUp { tries: tries.count, took, source: last })
    }

    fn is_down(&self) -> bool {
        let since = *self.down_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| self.clock.since_boot().saturating_sub(since) < self.budget)
    }

    fn set_down(&self, since: Option<Duration>) {
        *self.down_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// What is stored under a name that our own unanswered put may have taken.
fn compare<S: ObjectStore>(inner: &S, name: &str, parts: &[&[u8]]) -> Result<(), ObjectError> {
    match inner.get(name) {
        Ok(stored) if stored == parts.concat() => Ok(()),
        Ok(_) => Err(ObjectError::AlreadyExists { name: name.to_owned() }),
        // It was there a moment ago: asked again.
        Err(ObjectError::NotFound { .. }) => {
            Err(ObjectError::failed(ObjectCall::Put, name, "the object is there and cannot be read"))
        }
        Err(error) => Err(error),
    }
}

impl<S: ObjectStore> ObjectStore for Retry<S> {
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), ObjectError> {
        self.call(ObjectCall::Put, name, |inner, number| match inner.put(name, parts) {
            Err(ObjectError::AlreadyExists { .. }) if number > 1 => compare(inner, name, parts),
            other => other,
        })
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, ObjectError> {
        self.call(ObjectCall::Get, name, |inner, _| inner.get(name))
    }

    fn get_range(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, ObjectError> {
        self.call(ObjectCall::GetRange, name, |inner, _| inner.get_range(name, offset, length))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, ObjectError> {
        self.call(ObjectCall::List, prefix, |inner, _| inner.list(prefix))
    }

    fn size(&self, name: &str) -> Result<u64, ObjectError> {
        self.call(ObjectCall::Size, name, |inner, _| inner.size(name))
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        self.call(ObjectCall::Delete, name, |inner, _| inner.delete(name))
    }

    fn top_level(&self) -> Result<Vec<String>, ObjectError> {
        self.call(ObjectCall::List, "the repository", |inner, _| inner.top_level())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use grap_task::ManualClock;
    use jiff::Timestamp;

    use super::*;
    use crate::object::faulty::{Faulty, Mode};
    use crate::object::memory::MemoryStore;
    use crate::object::suite::conformance;

    const BUDGET: Duration = Duration::from_mins(2);

    type Store = Arc<Faulty<MemoryStore>>;

    fn world() -> (Store, Retry<Store>, ManualClock, Stop) {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let stop = Stop::new();
        let faulty = Arc::new(Faulty::new(MemoryStore::default()));
        let retry = Retry::new(Arc::clone(&faulty), BUDGET, Clock::Manual(clock.clone()), stop.clone());
        (faulty, retry, clock, stop)
    }

    fn gave_up(error: ObjectError) -> GaveUp {
        let ObjectError::Failed { source, .. } = error else { panic!("{error:?}") };
        *source.downcast().unwrap()
    }

    #[test]
    fn it_changes_nothing_else() {
        conformance(&world().1);
    }

    #[test]
    fn one_fault_passes_whatever_the_call() {
        for mode in [Mode::Fail, Mode::LoseReply] {
            let (faulty, retry, ..) = world();
            faulty.inject(1, mode);
            retry.put("data/a", &[b"one", b"two"]).unwrap();
            assert!(faulty.struck());
            faulty.inject(1, mode);
            assert_eq!(retry.get("data/a").unwrap(), b"onetwo");
            faulty.inject(1, mode);
            assert_eq!(retry.get_range("data/a", 3, 2).unwrap(), b"tw");
            faulty.inject(1, mode);
            assert_eq!(retry.list("data").unwrap().len(), 1);
            faulty.inject(1, mode);
            assert_eq!(retry.size("data/a").unwrap(), 6);
            faulty.inject(1, mode);
            retry.delete("data/a").unwrap();
            assert_eq!(retry.list("data").unwrap(), []);
        }
    }

    #[test]
    fn an_unanswered_put_that_lost_to_another_is_no_success() {
        let (faulty, retry, ..) = world();
        faulty.put("data/a", &[b"theirs"]).unwrap();
        faulty.inject(1, Mode::Fail);
        assert!(matches!(retry.put("data/a", &[b"ours"]), Err(ObjectError::AlreadyExists { .. })));
        assert_eq!(retry.get("data/a").unwrap(), b"theirs");
    }

    #[test]
    fn a_dead_storage_costs_one_budget_and_a_living_one_is_found_again() {
        let (faulty, retry, clock, _) = world();
        let clock = Clock::Manual(clock);
        let began = clock.since_boot();
        faulty.inject(1, Mode::Kill);
        let error = gave_up(retry.get("config").unwrap_err());
        assert!(error.tries > 8 && error.took <= BUDGET, "{error:?}");
        assert!(clock.since_boot() > began + BUDGET / 2);
        // A thousand calls more: each is tried, none waits.
        let (began, seen) = (clock.since_boot(), faulty.seen());
        for _ in 0..1000 {
            assert_eq!(gave_up(retry.put("data/a", &[b"x"]).unwrap_err()).tries, 1);
        }
        assert_eq!((clock.since_boot(), faulty.seen()), (began, seen + 1000));
        faulty.clear();
        retry.put("data/a", &[b"x"]).unwrap();
        // From now on a fault is worth waiting for again.
        faulty.inject(1, Mode::Fail);
        retry.get("data/a").unwrap();
    }

    #[test]
    fn what_is_no_passing_fault_is_not_tried_again() {
        let (faulty, retry, ..) = world();
        faulty.clear();
        assert!(matches!(retry.get("data/none"), Err(ObjectError::NotFound { .. })));
        assert!(matches!(retry.get("../x"), Err(ObjectError::InvalidName { .. })));
        assert_eq!(faulty.seen(), 2);
    }

    #[test]
    fn a_stop_ends_the_waiting() {
        let (faulty, retry, clock, stop) = world();
        let clock = Clock::Manual(clock);
        let began = clock.since_boot();
        stop.request();
        faulty.inject(1, Mode::Kill);
        let error = gave_up(retry.get("config").unwrap_err());
        assert!(error.tries > 1 && clock.since_boot() < began + 2 * AFTER_STOP, "{error:?}");
    }
}
