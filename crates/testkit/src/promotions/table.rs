//! Which strikes there are: made of the orders that a promotion and a rollback have, so that an order that is new is struck.

use std::fmt;

use grap_core::recovery::{Order, SWITCH};
use serde_json::Value;

/// The events that the orders of a promotion or a rollback end with, in their order; a run that nothing strikes is held
/// against it.
pub(super) const EVENTS: [&str; SWITCH.len()] = [
    "looked_again",
    "staged",
    "drained",
    "live_stopped",
    "archive_reached",
    "guarded",
    "log_taken",
    "stores_swapped",
    "log_put",
    "live_started",
    "confirmed",
    "retired",
    "promotion_recorded",
];

/// Those of the way back; they are struck in a `cancel` of what stands between the second exchange and the third.
const BACK: [Order; 2] = [Order::Undo, Order::StartOld];

/// During these a server may run. (While one is stopped there is none to be struck.)
const SERVED: [Order; 8] = [
    Order::LookAgain,
    Order::Stage,
    Order::Drain,
    Order::StopLive,
    Order::StartLive,
    Order::Confirm,
    Order::Retire,
    Order::RecordPromotion,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verb {
    Promote,
    Rollback,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    Before,
    Inside,
    /// It is done, and that is not noted.
    Behind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Grap,
    Server,
    Supervisor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    /// kill -9.
    Kill,
    /// A call of Grap's fails, or something that it needs; a server ends by itself; a supervisor does not answer.
    Fail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strike {
    pub(super) verb: Verb,
    pub(super) order: Order,
    pub(super) at: At,
    pub(super) who: Who,
    pub(super) how: How,
}

impl Strike {
    /// All that there are, of those whom `struck` names.
    pub(super) fn all(struck: impl Fn(Who) -> bool) -> Vec<Self> {
        let mut all = Vec::new();
        for verb in [Verb::Promote, Verb::Rollback] {
            for order in SWITCH.into_iter().chain(BACK) {
                for at in [At::Before, At::Inside, At::Behind] {
                    for who in [Who::Grap, Who::Server, Who::Supervisor] {
                        let hows = [How::Kill, How::Fail].map(|how| Self { verb, order, at, who, how });
                        all.extend(hows.into_iter().filter(|strike| struck(who) && strike.is_possible()));
                    }
                }
            }
        }
        all
    }

    fn is_possible(self) -> bool {
        match self.who {
            Who::Grap => true,
            Who::Server => SERVED.contains(&self.order),
            Who::Supervisor => !self.is_of_way_back(),
        }
    }

    pub(super) fn is_of_way_back(self) -> bool {
        BACK.contains(&self.order)
    }

    /// So many events the struck run has noted when its order is owed: what asked for it comes first.
    pub(super) fn noted_before(self) -> usize {
        let orders: &[Order] = if self.is_of_way_back() { &BACK } else { &SWITCH };
        1 + orders.iter().position(|order| *order == self.order).unwrap_or_default()
    }
}

/// So that however few are made, they are of all kinds: each by each step of about the golden section.
pub(super) fn spread<T: Copy>(all: &[T]) -> Vec<T> {
    let coprime =
        |step: &usize| (2..=*step).all(|by| !step.is_multiple_of(by) || !all.len().is_multiple_of(by));
    let step = (all.len() * 618 / 1000 + 1..=all.len() + 1).find(coprime).unwrap_or(1);
    (0..all.len()).map(|number| all[number * step % all.len()]).collect()
}

/// As the program calls it.
pub(super) fn name(order: Order) -> String {
    serde_json::to_value(order).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

pub(super) fn named(order: &Value) -> Option<Order> {
    serde_json::from_value(order.clone()).ok()
}

impl Verb {
    pub(super) fn arguments(self) -> [&'static str; 2] {
        match self {
            Self::Promote => ["recover", "promote"],
            Self::Rollback => ["recover", "rollback"],
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Promote => Self::Rollback,
            Self::Rollback => Self::Promote,
        }
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, order, at, who, how } = self;
        let text = format!("{verb:?}, {}, {at:?}: {who:?}, {how:?}", name(*order));
        f.write_str(&text.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_struck_in_every_way_that_there_is() {
        let all = Strike::all(|_| true);
        assert_eq!(all.len(), 2 * 3 * 2 * (15 + 8 + 13));
        let orders = SWITCH.into_iter().chain(BACK);
        assert!(orders.clone().all(|order| all.iter().filter(|strike| strike.order == order).count() >= 12));
        assert!(orders.clone().all(|order| named(&Value::String(name(order))) == Some(order)));
        let (whole, some) = (spread(&all), &spread(&all)[..72]);
        assert!(all.iter().all(|strike| whole.contains(strike)));
        assert!(orders.clone().all(|order| some.iter().any(|strike| strike.order == order)), "{some:?}");
    }
}
