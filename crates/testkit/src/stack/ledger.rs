//! A client that writes one number after the other, and remembers which of them were acknowledged, and when.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, SystemTime};

use neo4j::ValueSend;

use super::place::{LIMIT, Place};
use crate::bolt::Bolt;
use crate::error::{Error, Result};
use crate::pitr::{eventually, require};

const PAUSE: Duration = Duration::from_millis(20);
const WITHOUT_A_SERVER: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) number: i64,
    pub(super) sent: SystemTime,
    /// `None`: nobody knows what has become of it.
    pub(super) acknowledged: Option<SystemTime>,
}

/// At work in a thread until it is closed.
pub(super) struct Ledger {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    written: Mutex<Vec<Written>>,
    /// Where the server is now.
    address: Mutex<Option<SocketAddr>>,
}

impl Ledger {
    /// Numbers from `first` on.
    pub(super) fn open(place: &Place, first: i64) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        *lock(&shared.address) = Some(place.served_at()?);
        let password = place.secrets()?[0].clone();
        let work = Arc::clone(&shared);
        Ok(Self { thread: spawn(move || work.write(first, &password)), shared })
    }

    /// A container that was made anew, or started again, may be elsewhere.
    pub(super) fn go_on_at(&self, place: &Place) -> Result<()> {
        *lock(&self.shared.address) = Some(place.served_at()?);
        Ok(())
    }

    /// Until so many more are acknowledged.
    pub(super) fn wait_for(&self, more: usize) -> Result<()> {
        let count = || lock(&self.shared.written).iter().filter(|one| one.acknowledged.is_some()).count();
        let before = count();
        eventually("more is written", LIMIT, || Ok((count() >= before + more).then_some(())))
    }

    pub(super) fn close(self) -> Result<Vec<Written>> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| Error::Workload("a writer has panicked".into()))?;
        Ok(std::mem::take(&mut *lock(&self.shared.written)))
    }
}

impl Shared {
    fn write(&self, first: i64, password: &str) {
        let mut connected: Option<(SocketAddr, Bolt)> = None;
        for number in first.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let address = *lock(&self.address);
            if connected.as_ref().map(|(at, _)| *at) != address {
                connected = address.map(|at| (at, Bolt::to(at, Some(password))));
            }
            let Some((_, bolt)) = &connected else { return };
            let sent = SystemTime::now();
            let told = write(bolt, number);
            let acknowledged = told.is_ok().then(SystemTime::now);
            lock(&self.written).push(Written { number, sent, acknowledged });
            sleep(if told.is_ok() { PAUSE } else { WITHOUT_A_SERVER });
        }
    }
}

pub(super) fn write(bolt: &Bolt, number: i64) -> Result<()> {
    let parameters = HashMap::from([("number".to_owned(), ValueSend::Integer(number))]);
    bolt.run_with("CREATE (:Written {number: $number})", &parameters).map(drop)
}

/// What the database has of all ledgers. Nothing is there twice.
pub(super) fn found(bolt: &Bolt) -> Result<BTreeSet<i64>> {
    let rows = bolt.run("MATCH (n:Written) RETURN n.number")?;
    let numbers: BTreeSet<i64> = rows.iter().filter_map(|row| row.int(0)).collect();
    require(numbers.len() == rows.len(), || format!("{} nodes, {} numbers", rows.len(), numbers.len()))?;
    Ok(numbers)
}

/// Those of a ledger that hold what is asked, and were acknowledged.
pub(super) fn acknowledged(
    written: &[Written],
    holds: impl Fn(SystemTime, SystemTime) -> bool,
) -> BTreeSet<i64> {
    let asked = |one: &&Written| one.acknowledged.is_some_and(|acknowledged| holds(one.sent, acknowledged));
    written.iter().filter(asked).map(|one| one.number).collect()
}

pub(super) fn require_all(wanted: &BTreeSet<i64>, found: &BTreeSet<i64>, what: &str) -> Result<()> {
    let missing: Vec<_> = wanted.difference(found).take(5).collect();
    require(missing.is_empty(), || format!("{what}: {missing:?} ... were acknowledged, and are not there"))
}

pub(super) fn require_none(unwanted: &BTreeSet<i64>, found: &BTreeSet<i64>, what: &str) -> Result<()> {
    let there: Vec<_> = unwanted.intersection(found).take(5).collect();
    require(there.is_empty(), || format!("{what}: {there:?} ... are there"))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
