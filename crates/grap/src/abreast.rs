//! Many small requests to a storage at once: each costs a round trip, and nearly all of that is waiting.
//!
//! Only for what does not depend on each other's order: reading records, looking at what was put.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Requests under way at once. Each may hold an object in memory.
const ABREAST: usize = 8;

/// Ask for each; the answers come in the order of the items. Once one has failed nobody begins another, and of several
/// failures that of the first item is returned.
pub(crate) fn abreast<T: Sync, R: Send, E: Send>(
    items: &[T],
    ask: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let answers = Mutex::new(Vec::with_capacity(items.len()));
    let work = || {
        while !failed.load(Ordering::SeqCst) {
            let number = next.fetch_add(1, Ordering::SeqCst);
            let Some(item) = items.get(number) else { return };
            let answer = ask(item);
            if answer.is_err() {
                failed.store(true, Ordering::SeqCst);
            }
            answers.lock().unwrap_or_else(PoisonError::into_inner).push((number, answer));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..ABREAST.min(items.len()) {
            // Without it the others do the work.
            let _ = std::thread::Builder::new().name("request".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.sort_unstable_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn answers_come_in_order_and_so_many_are_asked_for_at_once() {
        let items: Vec<usize> = (0..ABREAST * 5).collect();
        // Nobody passes alone.
        let together = Barrier::new(ABREAST);
        let ask = |item: &usize| {
            together.wait();
            Ok::<_, String>(item * 2)
        };
        assert_eq!(abreast(&items, ask).unwrap(), items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert_eq!(abreast(&[], |item: &usize| Ok::<_, String>(*item)).unwrap(), Vec::<usize>::new());
    }

    #[test]
    fn the_first_failure_ends_it() {
        let (asked, items) = (AtomicUsize::new(0), [(); 1000]);
        let ask = |(): &()| match asked.fetch_add(1, Ordering::SeqCst) {
            10.. => Err("no"),
            number => Ok(number),
        };
        assert_eq!(abreast(&items, ask), Err("no"));
        assert!(asked.into_inner() <= 10 + ABREAST);
    }
}
