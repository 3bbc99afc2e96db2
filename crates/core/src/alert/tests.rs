//! Random lives: a situation that comes, worsens, goes; a sink that fails, dies, is mended, starts anew.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const BEGIN: Timestamp = Timestamp::constant(1_800_000_000, 0);

#[derive(Debug, Clone)]
enum Step {
    Raise(u8, AlertLevel),
    Clear(u8),
    Wait(i32),
    /// The sink takes what is next: it arrives, or fails.
    Tell(bool),
    /// It begins to take it; what comes meanwhile comes.
    BeginToTell,
    EndTelling(bool),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let level = prop_oneof![Just(AlertLevel::Warning), Just(AlertLevel::Critical)];
    prop_oneof![
        4 => (0..3_u8, level).prop_map(|(key, level)| Step::Raise(key, level)),
        3 => (0..3_u8).prop_map(Step::Clear),
        2 => (-30..30_i32).prop_map(Step::Wait),
        3 => any::<bool>().prop_map(Step::Tell),
        1 => Just(Step::BeginToTell),
        1 => any::<bool>().prop_map(Step::EndTelling),
        1 => Just(Step::Restart),
    ]
}

/// The world: what is stored, what the sink has heard.
#[derive(Default)]
struct World {
    alerts: Alerts,
    outbox: Outbox,
    telling: Option<AlertEvent>,
    events: Vec<AlertEvent>,
    told: BTreeSet<u64>,
    heard: Vec<AlertEvent>,
}

impl World {
    fn happen(&mut self, event: Option<AlertEvent>) {
        let Some(event) = event else { return };
        self.alerts.apply(&event);
        self.outbox.push(event.clone());
        self.events.push(event);
    }

    fn end_telling(&mut self, arrives: bool) {
        let Some(event) = self.telling.take() else { return };
        if arrives {
            self.outbox.told(event.number);
            self.told.insert(event.number);
            self.heard.push(event);
        } else {
            self.outbox.failed();
        }
    }

    /// Everything in memory is gone, and folded again.
    fn restart(&mut self) {
        self.telling = None;
        self.alerts = Alerts::default();
        self.outbox = Outbox::default();
        for event in &self.events {
            self.alerts.apply(event);
            if self.told.contains(&event.number) {
                self.outbox.heard(event);
            } else {
                self.outbox.push(event.clone());
            }
        }
    }

    /// What the sink believes to be open.
    fn believed(&self) -> BTreeMap<String, AlertLevel> {
        let mut open = BTreeMap::new();
        for event in &self.heard {
            match event.change {
                AlertChange::Cleared => {
                    assert!(open.remove(&event.key).is_some(), "an all-clear of what was never told");
                }
                AlertChange::Raised => {
                    assert!(open.insert(event.key.clone(), event.level).is_none(), "raised twice");
                }
                AlertChange::Escalated | AlertChange::Repeated => {
                    assert!(open.insert(event.key.clone(), event.level).is_some(), "never raised");
                }
            }
        }
        open
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_sink_hears_what_is_so_once_and_in_order(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::default();
        let mut now = BEGIN;
        for step in steps {
            match step {
                Step::Raise(key, level) => {
                    let event = world.alerts.raise(&format!("key{key}"), level, "text", now);
                    world.happen(event);
                }
                Step::Clear(key) => {
                    let event = world.alerts.clear(&format!("key{key}"), now);
                    world.happen(event);
                }
                Step::Wait(hours) => {
                    now += SignedDuration::from_hours(hours.into());
                    while let Some(event) = world.alerts.due(now) {
                        world.happen(Some(event));
                    }
                }
                Step::Tell(arrives) => {
                    world.end_telling(false);
                    world.telling = world.outbox.begin();
                    world.end_telling(arrives);
                }
                Step::BeginToTell if world.telling.is_none() => world.telling = world.outbox.begin(),
                Step::BeginToTell => {}
                Step::EndTelling(arrives) => world.end_telling(arrives),
                Step::Restart => {
                    let before = (world.alerts.reminders(), world.alerts.last_number());
                    world.end_telling(false);
                    let waiting = world.outbox.waiting().to_vec();
                    world.restart();
                    prop_assert_eq!(before, (world.alerts.reminders(), world.alerts.last_number()));
                    prop_assert_eq!(waiting, world.outbox.waiting());
                }
            }
            prop_assert!(world.outbox.waiting().len() <= 9, "{:?}", world.outbox);
        }
        // The sink is mended.
        world.end_telling(true);
        loop {
            world.telling = world.outbox.begin();
            if world.telling.is_none() {
                break;
            }
            world.end_telling(true);
        }
        let told = world.alerts.reminders().into_iter().map(|event| (event.key, event.level)).collect();
        prop_assert_eq!(world.believed(), told);
        let numbers: BTreeSet<u64> = world.heard.iter().map(|event| event.number).collect();
        prop_assert_eq!(numbers.len(), world.heard.len(), "told twice");
        // The alerts themselves, folded from their reminders, are the same.
        let mut again = Alerts::default();
        world.alerts.reminders().iter().for_each(|event| again.apply(event));
        prop_assert_eq!(again.reminders(), world.alerts.reminders());
    }
}

#[test]
fn the_same_is_told_once_a_worse_one_again_and_a_day_later_once_more() {
    let mut alerts = Alerts::default();
    let raise = |alerts: &mut Alerts, level, now| {
        let event = alerts.raise("space", level, "little room", now);
        if let Some(event) = &event {
            alerts.apply(event);
        }
        event.map(|event| event.change)
    };
    let hours = |hours| BEGIN + SignedDuration::from_hours(hours);
    assert_eq!(raise(&mut alerts, AlertLevel::Warning, hours(0)), Some(AlertChange::Raised));
    assert_eq!(raise(&mut alerts, AlertLevel::Warning, hours(1)), None);
    assert_eq!(raise(&mut alerts, AlertLevel::Critical, hours(2)), Some(AlertChange::Escalated));
    // It eases, and worsens again: the operator knows.
    assert_eq!(raise(&mut alerts, AlertLevel::Warning, hours(3)), None);
    assert_eq!(alerts.open().next().unwrap().1.level, AlertLevel::Warning);
    assert_eq!(raise(&mut alerts, AlertLevel::Critical, hours(4)), None);
    assert_eq!(alerts.due(hours(25)), None);
    let repeated = alerts.due(hours(26)).unwrap();
    assert_eq!((repeated.change, repeated.since), (AlertChange::Repeated, BEGIN));
    alerts.apply(&repeated);
    assert_eq!(alerts.due(hours(26)), None);
    let cleared = alerts.clear("space", hours(27)).unwrap();
    alerts.apply(&cleared);
    assert_eq!((cleared.change, cleared.number), (AlertChange::Cleared, 4));
    assert_eq!(alerts.clear("space", hours(28)), None);
}
