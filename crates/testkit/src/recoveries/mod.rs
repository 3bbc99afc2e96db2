//! kill -9 of whatever is at a recovery, on a real server: at the beginning, in the middle and at the end of every order,
//! on the way to a candidate ([`forward`]) and on the ways back from it ([`back`]); of `recover cancel` and `recover reset`
//! at instants spread over their run. Each time it is gone on with, and reset. Nothing is left behind: no process, no
//! port, no directory, no lock; and the live database stays as it is, byte for byte.
//!
//! What is struck is a run that would have ended well, and it counts only where our signal has ended it: one that had ended
//! by itself is struck again, earlier. The orders, and the times within them, are those that an unstruck run was seen to
//! take.

mod back;
mod forward;
mod place;
mod strike;

use std::fmt;
use std::path::Path;
use std::time::Instant;

use crate::Distribution;
use crate::error::Result;
use crate::pitr::Tell;

use place::Place;
use strike::Count;

/// Where in an order it is struck.
const PARTS: [f64; 3] = [0.0, 0.5, 0.95];

/// What was struck, and how often.
#[derive(Debug, Default)]
struct Figures {
    orders: usize,
    forward: Count,
    /// Candidates of which the instance was gone with its process, and another one was started.
    started_anew: usize,
    back: Count,
    cancels: Count,
    resets: Count,
}

pub fn recoveries(
    binary: &Path,
    distribution: &Distribution,
    until: Option<Instant>,
    tell: Tell<'_>,
) -> Result<String> {
    let begun = Instant::now();
    let place = Place::make(binary, distribution)?;
    let mut figures = Figures::default();
    let is_over = || until.is_some_and(|until| Instant::now() >= until);
    back::cancels(&place, &is_over, tell, &mut figures)?;
    back::every_way(&place, &is_over, tell, &mut figures)?;
    forward::every_order(&place, &is_over, tell, &mut figures)?;
    Ok(format!("recoveries: {figures}; nothing was left, {} s", begun.elapsed().as_secs()))
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orders, forward, started_anew, back, cancels, resets } = self;
        write!(
            f,
            "{forward} in {orders} orders to a candidate, all validated in the end, {started_anew} instances started anew; {back} in the orders of the ways back; {cancels} of cancel; {resets} of reset"
        )
    }
}
