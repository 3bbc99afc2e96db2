//! Random sequences of everything that servers, archivers, operators and storages do.
//!
//! Each step has random numbers of its own, so that a failing sequence can be made shorter by leaving steps out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use grap_neo4j::CommitTime;
use grap_repository::ObjectCall;

use crate::archiver::Pass;
use crate::shelf::{Fault, Plan};
use crate::world::{Sim, World};

/// Of one sequence.
const STEPS: u64 = 150;

/// SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(crate) fn number(&mut self, end: u32) -> i64 {
        i64::try_from(self.next() % u64::from(end)).unwrap()
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// One of these, each as likely as its weight says.
    fn weighted<T: Copy>(&mut self, choices: &[(usize, T)]) -> T {
        let mut left = self.below(choices.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in choices {
            if left < *weight {
                return *choice;
            }
            left -= weight;
        }
        unreachable!("the weights were summed")
    }
}

/// What a seed decides once.
#[derive(Debug, Clone, Copy)]
struct Setting {
    /// Objects are destroyed.
    damage: bool,
    /// Pins have a small budget.
    gaps: bool,
}

const KERNELS: [u8; 6] = [12, 16, 20, 21, 22, 32];

#[derive(Debug, Clone, Copy)]
enum Server {
    Write,
    Rotate,
    Prune,
    Tear,
    Restart,
    Crash,
    UnseenCrash,
    Save,
    PutBack,
    Migrate,
    Import,
    Promote,
    RollBack,
}

const SERVER: [(usize, Server); 13] = [
    (40, Server::Write),
    (12, Server::Rotate),
    (8, Server::Prune),
    (3, Server::Tear),
    (4, Server::Restart),
    (8, Server::Crash),
    (2, Server::UnseenCrash),
    (3, Server::Save),
    (3, Server::PutBack),
    (1, Server::Migrate),
    (1, Server::Import),
    (1, Server::Promote),
    (1, Server::RollBack),
];

#[derive(Debug, Clone, Copy)]
enum Step {
    Server,
    Pass,
    Faulty,
    Hooked,
    Hidden,
    Down,
    Idle,
    Kill,
    Start,
    Clone,
    CopyState,
    Clock,
    Merge,
    Collect,
    Base,
    Expire,
    Damage,
    Check,
}

const ALL: [(usize, Step); 18] = [
    (36, Step::Server),
    (24, Step::Pass),
    (8, Step::Faulty),
    (8, Step::Hooked),
    (3, Step::Hidden),
    (3, Step::Down),
    (5, Step::Idle),
    (4, Step::Kill),
    (6, Step::Start),
    (1, Step::Clone),
    (1, Step::CopyState),
    (2, Step::Clock),
    (2, Step::Merge),
    (2, Step::Collect),
    (3, Step::Base),
    (1, Step::Expire),
    (1, Step::Damage),
    (1, Step::Check),
];

impl World {
    /// Something befalls one database of a host.
    pub(crate) fn befall(&mut self, host: usize, random: &mut Random) {
        let name = random.pick(&self.names);
        let event = random.weighted(&SERVER);
        self.note(format!("host {host}, {name}: {event:?}"));
        let time = CommitTime(self.time().0 - random.number(600));
        // The pinner of an archiver looks twenty times a second: it seldom misses a file.
        let seen = matches!(event, Server::Rotate | Server::Prune | Server::Crash | Server::UnseenCrash);
        if seen && random.percent(85) {
            self.look(host);
        }
        let kernel = random.pick(&KERNELS);
        let store = if random.percent(50) { None } else { Some(self.new_store()) };
        let saved = self.hosts[host].saved.len();
        let (database, history) = self.database(host, &name);
        match event {
            Server::Write => {
                for _ in 0..=random.below(4) {
                    let size = 1 + random.below(200);
                    database.write(history, size, time);
                }
            }
            Server::Rotate => {
                let upgrade = random.percent(10).then_some(kernel);
                database.rotate(upgrade, random.percent(80), random.pick(&[0, 512, 4096]));
            }
            Server::Prune => database.prune(1 + random.below(2)),
            Server::Tear => database.tear(random.below(1000)),
            Server::Restart => self.new_run(host),
            Server::Crash | Server::UnseenCrash => {
                let lost = if random.percent(50) { 0 } else { random.below(4) };
                let drop_newest = random.percent(40);
                // A rotated file that is cut within what looks like one run of the server cannot be told from
                // one that was not.
                let unseen = matches!(event, Server::UnseenCrash);
                database.crash(if unseen && drop_newest { 0 } else { lost }, drop_newest);
                if matches!(event, Server::Crash) {
                    self.new_run(host);
                } else {
                    self.unseen = true;
                }
            }
            Server::Save => {
                let databases = &self.hosts[host].databases;
                let state = databases.iter().map(|(name, log)| (name.clone(), log.save())).collect();
                self.hosts[host].saved.push(state);
            }
            Server::PutBack if saved > 0 => {
                let state = random.below(saved);
                let one_only = random.percent(30);
                for other in self.names.clone() {
                    if one_only && other != name {
                        continue;
                    }
                    let state = self.hosts[host].saved[state][&other].clone();
                    self.database(host, &other).0.put_back(&state);
                }
                if random.percent(90) {
                    self.new_run(host);
                } else {
                    self.unseen = true;
                }
            }
            Server::PutBack => {}
            Server::Migrate => {
                database.migrate(history, kernel);
                self.new_run(host);
            }
            Server::Import => {
                let random = store.unwrap_or(database.store().random);
                database.import(history, kernel, random);
                self.new_run(host);
            }
            Server::Promote => {
                database.promote(random.below(6));
                self.new_run(host);
            }
            Server::RollBack => {
                if database.roll_back(1 + random.below(4)) {
                    self.new_run(host);
                }
            }
        }
        self.refresh(host);
    }
}

/// One step.
fn step(sim: &Sim, setting: Setting, random: &mut Random) {
    let step = random.weighted(&ALL);
    let living = sim.world().living();
    match step {
        Step::Server => {
            let mut world = sim.world();
            let host = random.below(world.hosts.len());
            world.befall(host, random);
        }
        Step::Start => start(sim, random),
        Step::Clone => {
            let mut world = sim.world();
            if world.hosts.len() < 3 {
                let from = random.below(world.hosts.len());
                let to = world.clone_host(from, random.percent(50));
                world.note(format!("host {to} is a clone of {from}"));
            }
        }
        Step::CopyState => {
            let mut world = sim.world();
            if world.states.len() < 5 {
                let from = random.below(world.states.len());
                let to = if random.percent(70) { world.copy_state(from) } else { world.new_state() };
                world.note(format!("state {to} is made of {from}"));
            }
        }
        Step::Clock => sim.world().step_clock(random.pick(&[-7200, -30, 30, 7200])),
        Step::Merge => sim.world().merge(random),
        Step::Collect => sim.world().collect(),
        Step::Base => sim.world().note_base(random),
        Step::Expire => sim.world().expire(random),
        Step::Damage if setting.damage => sim.world().destroy(random),
        Step::Damage => {}
        Step::Check => drop(sim.world().check()),
        _ if living.is_empty() => start(sim, random),
        _ => of_archiver(sim, step, random.pick(&living), random),
    }
    sim.world().settle();
}

fn start(sim: &Sim, random: &mut Random) {
    let mut world = sim.world();
    if world.living().len() >= 3 {
        return;
    }
    let host = random.below(world.hosts.len());
    let free: Vec<usize> = (0..world.states.len()).filter(|state| world.is_free(*state)).collect();
    if free.is_empty() {
        return;
    }
    // Mostly the installation that was there first.
    let state = if random.percent(60) { free[0] } else { random.pick(&free) };
    let host = if random.percent(60) { 0 } else { host };
    let takeover = random.percent(15);
    let id = world.start(host, state, takeover);
    world.note(format!("archiver {id} starts on host {host}, state {state}, takeover {takeover}"));
}

fn of_archiver(sim: &Sim, step: Step, archiver: usize, random: &mut Random) {
    match step {
        Step::Kill => {
            sim.world().kill(archiver);
            sim.world().note(format!("archiver {archiver} is killed"));
        }
        Step::Faulty => {
            let faults = [Fault::Fail, Fault::LoseReply, Fault::Kill, Fault::KillBehind];
            sim.pass_faulty(archiver, 1 + random.below(30), random.pick(&faults));
        }
        Step::Hidden => {
            sim.pass_with(archiver, Plan { hidden: 1 + random.below(4), ..Plan::default() });
        }
        Step::Down => {
            sim.pass_down(archiver);
        }
        Step::Hooked => hooked(sim, archiver, random),
        Step::Idle => {
            let host = sim.world().archivers[archiver].as_ref().unwrap().host;
            sim.world().look(host);
            sim.to_idle(archiver);
        }
        _ => {
            for _ in 0..=random.below(3) {
                if !matches!(sim.pass(archiver), Pass::Busy | Pass::Idle) {
                    break;
                }
            }
        }
    }
}

/// In the middle of a pass, between two calls, something else happens.
fn hooked(sim: &Sim, archiver: usize, random: &mut Random) {
    let at = 1 + random.below(20);
    let mut inner = Random::new(random.next());
    let others: Vec<usize> = sim.world().living().into_iter().filter(|other| *other != archiver).collect();
    let inside = sim.clone();
    let hook = move || {
        let host = {
            let mut world = inside.world();
            world.settle();
            world.note("in the middle of it");
            inner.below(world.hosts.len())
        };
        if !others.is_empty() && inner.percent(40) {
            let other = inner.pick(&others);
            for _ in 0..=inner.below(3) {
                if !matches!(inside.pass(other), Pass::Busy | Pass::Idle) {
                    break;
                }
            }
        } else {
            for _ in 0..=inner.below(3) {
                inside.world().befall(host, &mut inner);
            }
        }
    };
    let trigger = move |calls: usize, _: ObjectCall, _: &str| calls == at;
    let plan = Plan { hook: Some((Box::new(trigger), Box::new(hook))), ..Plan::default() };
    sim.pass_with(archiver, plan);
}

/// A sequence without the steps of `left_out`; how it failed, and what happened until then.
fn run(seed: u64, left_out: &[u64]) -> Result<(), (u64, String)> {
    let mut random = Random::new(seed);
    let databases: &[&str] = if random.percent(60) { &["neo4j"] } else { &["neo4j", "system"] };
    let setting = Setting { damage: random.percent(10), gaps: random.percent(10) };
    let sim = Sim::new(databases, random.pick(&KERNELS));
    {
        let mut world = sim.world();
        world.segment_bytes = random.pick(&[100, 600, 4 << 20]);
        world.excused = setting.damage || setting.gaps;
        if setting.gaps {
            world.budget = 8192;
        }
    }
    let mut at = 0;
    let result = catch_unwind(AssertUnwindSafe(|| {
        for index in 0..STEPS {
            at = index;
            if !left_out.contains(&index) {
                let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(index));
                step(&sim, setting, &mut random);
            }
        }
        at = STEPS;
        finish(&sim, setting);
    }));
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let log = sim.world().log.join("\n");
        (at, format!("{log}\n{}", text.unwrap_or_default()))
    })
}

/// In the end the rightful installation, or one that takes over, brings everything to rest.
fn finish(sim: &Sim, setting: Setting) {
    let living = sim.world().living();
    for archiver in living {
        sim.world().kill(archiver);
    }
    sim.world().shelf.grow_old();
    let archiver = {
        let mut world = sim.world();
        world.note("the end");
        let newest = world.ledger.runs.last_key_value().map(|(_, note)| note.start.clone());
        let host = newest
            .as_ref()
            .and_then(|start| world.hosts.iter().position(|host| host.place == Some(start.place)));
        let state = newest
            .as_ref()
            .and_then(|start| world.states.iter().position(|state| state.nonces.contains(&start.nonce)));
        let takeover = setting.damage;
        world.start(host.unwrap_or(0), state.unwrap_or(0), takeover)
    };
    let is_rightful = sim.to_idle(archiver);
    assert!(is_rightful || setting.damage, "the installation of the newest start may not write");
    let world = sim.world();
    if !world.excused {
        world.check_held(archiver);
        world.check_pins(archiver);
    }
}

/// Leave out what is not needed for the failure.
fn shrink(seed: u64, end: u64) -> (Vec<u64>, String) {
    let begun = Instant::now();
    let mut left_out: Vec<u64> = (end + 1..STEPS).collect();
    let Err((_, mut text)) = run(seed, &left_out) else {
        return (Vec::new(), "it does not fail again".into());
    };
    let kind = kind_of(&text);
    let mut size = STEPS / 4;
    while size > 0 && begun.elapsed() < Duration::from_secs(number("GRAP_MODEL_SHRINK").unwrap_or(20)) {
        for from in (0..=end).step_by(usize::try_from(size).unwrap()) {
            let chunk: Vec<u64> = (from..from + size).filter(|step| !left_out.contains(step)).collect();
            if chunk.is_empty() {
                continue;
            }
            let tried = [left_out.clone(), chunk].concat();
            if let Err((_, shorter)) = run(seed, &tried)
                && kind_of(&shorter) == kind
            {
                (left_out, text) = (tried, shorter);
            }
        }
        size /= 2;
    }
    let needed = (0..STEPS).filter(|step| !left_out.contains(step)).collect();
    (needed, text)
}

/// What a failure is about, whatever its numbers.
fn kind_of(text: &str) -> String {
    let last = text.lines().last().unwrap_or_default();
    last.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

/// Run a seed; panic with a short trace if it fails.
fn try_seed(seed: u64) {
    let Err((end, text)) = run(seed, &[]) else { return };
    let (needed, short) = shrink(seed, end);
    let short = if needed.is_empty() { text } else { short };
    panic!("seed {seed} fails at step {end} of {STEPS}; needed are {needed:?}:\n{short}");
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_sequences() {
    if let Some(seed) = number("GRAP_MODEL_SEED") {
        return try_seed(seed);
    }
    for seed in 0..40 {
        try_seed(seed);
    }
}

#[test]
#[ignore = "the long campaign; see the head of main.rs"]
fn campaign() {
    let from = number("GRAP_MODEL_FROM").unwrap_or(1000);
    let limit = Duration::from_secs(number("GRAP_MODEL_SECONDS").unwrap_or(600));
    let begun = Instant::now();
    let mut seed = from;
    while begun.elapsed() < limit {
        try_seed(seed);
        seed += 1;
    }
    let count = seed - from;
    let text = format!("{count} seeds from {from}, {} steps, {:?}\n", count * STEPS, begun.elapsed());
    std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()).unwrap();
}
