//! One writer: plan, send, take over, pace.

use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::Context;
use super::client::{Client, Fate};
use super::plan::Planner;
use crate::error::Result;

/// Writes until the workload is stopped.
pub(crate) fn run(context: &Context, writer: u8) -> Result<()> {
    let options = &context.options;
    let random = StdRng::seed_from_u64(options.seed << 8 | u64::from(writer));
    let mut planner = Planner::new(context.run, writer, options.hubs, options.nodes_per_writer, random);
    let mut client = Client::new(context, writer);
    let mut pace = Pace::new(options.operations_per_second.map(|rate| rate / f64::from(options.writers)));
    while !context.stopped() {
        let size = options.operations.unwrap_or_else(|| planner.mixed_size());
        let effects = planner.transaction(size);
        let rolls_back =
            options.rollback_one_in > 0 && planner.random.random_ratio(1, options.rollback_one_in);
        if rolls_back {
            client.roll_back(effects)?;
        } else if let Fate::Committed(_) = client.commit(effects.clone())? {
            for effect in &effects {
                planner.model.apply(effect);
            }
        }
        pace.after(size, context);
    }
    Ok(())
}

/// Keeps a writer from being faster than asked for.
struct Pace {
    per_operation: Option<Duration>,
    due: Instant,
}

impl Pace {
    fn new(operations_per_second: Option<f64>) -> Self {
        let per_operation = operations_per_second.map(|rate| Duration::from_secs_f64(1.0 / rate));
        Self { per_operation, due: Instant::now() }
    }

    fn after(&mut self, operations: usize, context: &Context) {
        let Some(per_operation) = self.per_operation else { return };
        self.due += per_operation * u32::try_from(operations).unwrap_or(u32::MAX);
        while !context.stopped() {
            let left = self.due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}
