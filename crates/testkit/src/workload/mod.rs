//! Concurrent writers on a real server, and the record of what they meant to do.
//!
//! Each writer owns its nodes and relationships, so the effects of its transactions do not depend on the
//! others; only the dense hub nodes are shared, and only as ends of relationships. Each transaction writes a
//! unique 64-bit marker into its writer's marker node; the eight bytes stand in the transaction log as they
//! are, and so the log tells which transaction got which id. Effects are recorded before they are sent,
//! acknowledgements after.
//!
//! The writers outlive their server: after a kill they wait for the restart, ask their marker node what
//! became of the transaction that was under way, and go on.

mod client;
mod draw;
mod key;
mod model;
mod plan;
mod schema;
mod setup;
mod statement;
mod stats;
mod writer;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::bolt::Bolt;
use crate::error::{Error, Result};
use crate::oracle::Oracle;
use crate::server::Server;

pub use key::{Marker, Run};
pub use stats::Stats;

/// How the writers write.
#[derive(Debug, Clone)]
pub struct WorkloadOptions {
    /// Number of concurrent writers (at most 200).
    pub writers: u8,
    /// Seed of everything random: equal seeds plan equal transactions (their interleaving differs).
    pub seed: u64,
    /// Distinguishes the keys of several workloads in one database.
    pub generation: u8,
    /// How many nodes a writer keeps alive, about.
    pub nodes_per_writer: usize,
    /// Shared dense nodes.
    pub hubs: u32,
    /// Operations of a transaction; `None`: mixed, from 1 to 600.
    pub operations: Option<usize>,
    /// Operations a second of all writers together; `None`: as fast as they can.
    pub operations_per_second: Option<f64>,
    /// One transaction in this many is rolled back; 0: none.
    pub rollback_one_in: u32,
    /// Indexes made before the first write.
    pub indexes: Indexes,
    /// Indexes and constraints come and go while the writers write.
    pub schema_churn: bool,
}

impl Default for WorkloadOptions {
    fn default() -> Self {
        Self {
            writers: 4,
            seed: 1,
            generation: 0,
            nodes_per_writer: 1000,
            hubs: 3,
            operations: None,
            operations_per_second: None,
            rollback_one_in: 20,
            indexes: Indexes::All,
            schema_churn: false,
        }
    }
}

/// Which indexes a workload makes beside the constraint on its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Indexes {
    None,
    /// Range and point indexes: trees like the store's other files.
    Trees,
    /// Text and full-text indexes too. Lucene makes each commit several times slower.
    All,
}

/// Writers at work.
#[derive(Debug)]
pub struct Workload {
    oracle: Arc<Oracle>,
    stats: Arc<stats::Recorder>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<()>>>,
}

/// What every thread of a workload is given.
#[derive(Debug, Clone)]
struct Context {
    address: SocketAddr,
    password: Option<String>,
    options: WorkloadOptions,
    run: Run,
    oracle: Arc<Oracle>,
    stats: Arc<stats::Recorder>,
    stop: Arc<AtomicBool>,
}

impl Workload {
    /// Prepares the database (constraint, indexes, hubs, markers) and starts the writers.
    pub fn start(server: &Server, options: WorkloadOptions) -> Result<Self> {
        let run = Run::new(options.generation);
        let oracle = Arc::new(Oracle::new(run));
        let context = Context {
            address: server.bolt_address(),
            password: server.password().map(str::to_owned),
            run,
            oracle: Arc::clone(&oracle),
            stats: Arc::new(stats::Recorder::new(Instant::now())),
            stop: Arc::new(AtomicBool::new(false)),
            options,
        };
        setup::prepare(&context)?;
        context.stats.restart();
        let mut threads = Vec::new();
        for number in 1..=context.options.writers {
            let context = context.clone();
            threads.push(spawn(format!("writer-{number}"), move || writer::run(&context, number))?);
        }
        if context.options.schema_churn {
            let context = context.clone();
            threads.push(spawn("schema".into(), move || schema::run(&context))?);
        }
        Ok(Self { oracle, stats: context.stats, stop: context.stop, threads })
    }

    /// What the writers have meant and what was acknowledged so far.
    pub fn oracle(&self) -> &Arc<Oracle> {
        &self.oracle
    }

    /// Statistics since the start, or since the previous lap.
    pub fn lap(&self) -> Stats {
        self.stats.lap()
    }

    /// Statistics since the start.
    pub fn stats(&self) -> Stats {
        self.stats.total()
    }

    /// Stops the writers after the transactions under way; an error if one of them met what it should not.
    pub fn stop(mut self) -> Result<(Arc<Oracle>, Stats)> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in std::mem::take(&mut self.threads) {
            thread.join().map_err(|_| Error::Workload("a writer panicked".into()))??;
        }
        Ok((Arc::clone(&self.oracle), self.stats.total()))
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in std::mem::take(&mut self.threads) {
            let _ = thread.join();
        }
    }
}

impl Context {
    fn bolt(&self) -> Bolt {
        Bolt::to(self.address, self.password.as_deref())
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn spawn(name: String, work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<JoinHandle<Result<()>>> {
    thread::Builder::new().name(name).spawn(work).map_err(Error::file("start", "a thread"))
}
