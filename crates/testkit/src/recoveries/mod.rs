//! kill -9 of whatever is at a recovery, on a real server: at the beginning, in the middle and at the end of every order,
//! on the way to a candidate (`forward`) and on the ways back from it (`back`); of `recover cancel` and `recover reset`
//! at instants spread over their run. Each time it is gone on with, and reset. Nothing is left behind: no process, no
//! port, no directory, no lock; and the live database stays as it is, byte for byte.
//!
//! What is struck is a run that would have ended well, and it counts only where our signal has ended it: one that had ended
//! by itself is struck again, earlier. The orders, and the times within them, are those that an unstruck run was seen to
//! take.
//!
//! Each part that came to its end must have struck something, and where nothing ends it early no strike of it may have come
//! too late each time it was tried: what was never struck has shown nothing.

mod back;
mod forward;
mod place;
mod strike;

use std::fmt;
use std::path::Path;
use std::time::Instant;

use crate::Distribution;
use crate::error::Result;
use crate::pitr::{Tell, require};

use place::Place;
use strike::Count;

/// Where in an order it is struck.
const PARTS: [f64; 3] = [0.0, 0.5, 0.95];

/// Strikes of a kind; whether it came to its end.
type Part = fn(&Place, &dyn Fn() -> bool, Tell<'_>, &mut Figures) -> Result<Ended>;

/// The first is what a recovery is for: a short time is spent on it.
const KINDS: [(&str, Part); 3] = [
    ("the orders to a candidate", forward::every_order),
    ("cancel", back::cancels),
    ("the ways back", back::every_way),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Whole,
    /// The time was over.
    Early,
}

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
    /// In which kind the time was over.
    stopped_in: Option<&'static str>,
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
    for (kind, part) in KINDS {
        if part(&place, &is_over, tell, &mut figures)? == Ended::Early {
            figures.stopped_in = Some(kind);
            break;
        }
    }
    figures.require_struck(until.is_some())?;
    Ok(format!("recoveries: {figures}; nothing was left, {} s", begun.elapsed().as_secs()))
}

impl Figures {
    /// Of the kinds that came to their end none struck nothing; and of nothing at all is nothing said.
    fn require_struck(&self, in_a_hurry: bool) -> Result<()> {
        let came_to = KINDS.iter().position(|(kind, _)| Some(*kind) == self.stopped_in);
        let whole = came_to.unwrap_or(KINDS.len());
        let counts = [self.forward, self.cancels, self.back];
        for ((kind, _), count) in KINDS.iter().zip(counts).take(whole.max(1)) {
            require(count.kills() > 0, || format!("{kind}: nothing was struck: {self}"))?;
        }
        // Each of the first kind, and of the last, is reset.
        require(self.resets.kills() > 0, || format!("no reset was struck: {self}"))?;
        // A reset that had ended cannot be struck once more: a few are missed.
        let missed: usize = counts.iter().map(Count::missed).sum();
        let resets = self.resets.kills() > self.resets.missed();
        require(in_a_hurry || (missed == 0 && resets), || format!("strikes came too late: {self}"))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orders, forward, started_anew, back, cancels, resets, stopped_in } = self;
        if let Some(kind) = stopped_in {
            write!(f, "STOPPED EARLY in {kind}: ")?;
        }
        write!(
            f,
            "{forward} in {orders} orders to a candidate, all validated in the end, {started_anew} instances started anew; {back} in the orders of the ways back; {cancels} of cancel; {resets} of reset"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::strike::Hit;
    use super::*;

    fn struck(hits: &[Hit]) -> Count {
        let mut count = Count::default();
        for hit in hits {
            count.add(*hit);
        }
        count
    }

    fn whole() -> Figures {
        let one = struck(&[Hit::Inside]);
        Figures { forward: one, back: one, cancels: one, resets: one, ..Figures::default() }
    }

    #[test]
    fn nothing_struck_is_not_green() {
        let is_green = |figures: &Figures, in_a_hurry| figures.require_struck(in_a_hurry).is_ok();
        assert!(is_green(&whole(), false) && is_green(&whole(), true));
        let none = Count::default();
        for figures in [
            Figures { forward: none, ..whole() },
            Figures { back: none, ..whole() },
            Figures { cancels: struck(&[Hit::Missed]), ..whole() },
            Figures { resets: none, ..whole() },
        ] {
            assert!(!is_green(&figures, true), "{figures}");
        }
        let late = Figures { forward: struck(&[Hit::Inside, Hit::Missed]), ..whole() };
        assert!(is_green(&late, true) && !is_green(&late, false));
        let late = Figures { resets: struck(&[Hit::Before, Hit::Missed]), ..whole() };
        assert!(is_green(&late, true) && !is_green(&late, false));
    }

    #[test]
    fn what_was_not_come_to_is_said_and_not_required() {
        let none = Count::default();
        let early = |kind, forward, cancels| {
            let stopped_in = Some(kind);
            Figures { forward, cancels, back: none, stopped_in, ..whole() }
        };
        let one = struck(&[Hit::Behind]);
        let [(forward, _), (cancel, _), (back, _)] = KINDS;
        let green = [early(forward, one, none), early(cancel, one, none), early(back, one, one)];
        for figures in green {
            assert!(figures.require_struck(true).is_ok(), "{figures}");
            assert!(figures.to_string().starts_with("STOPPED EARLY in "), "{figures}");
        }
        for figures in [early(forward, none, none), early(cancel, none, one), early(back, one, none)] {
            assert!(figures.require_struck(true).is_err(), "{figures}");
        }
    }
}
