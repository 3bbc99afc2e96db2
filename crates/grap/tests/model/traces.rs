//! The traces that broke earlier drafts of the rules, each by name; and how a run of an archiver begins after
//! each of them.

use grap::archive::{DatabaseStart, WriteError};
use grap_neo4j::TxId;
use grap_repository::{ObjectCall, ObjectStore};

use crate::archiver::Pass;
use crate::shelf::{Fault, Plan};
use crate::world::{NEO4J, Sim};

/// `previousChecksum` stands in every START up to kernel 21.
const KERNELS: [u8; 2] = [12, 32];

fn each_kernel(trace: impl Fn(&Sim)) {
    for kernel in KERNELS {
        trace(&Sim::new(&[NEO4J], kernel));
    }
}

impl Sim {
    fn start(&self, host: usize, state: usize, takeover: bool) -> usize {
        self.world().start(host, state, takeover)
    }

    /// An archiver of the first host that has stored everything.
    fn archived(&self, transactions: usize) -> usize {
        let archiver = self.start(0, 0, false);
        self.write(0, transactions);
        assert!(self.to_idle(archiver));
        archiver
    }

    fn new_run(&self, host: usize) {
        self.world().new_run(host);
    }

    fn look(&self, host: usize) {
        self.world().look(host);
    }

    fn kill(&self, archiver: usize) {
        self.world().kill(archiver);
    }

    fn rotate(&self, host: usize) {
        self.server(host, |log, _| log.rotate(None, true, 0));
    }

    /// What the starts say, oldest first.
    fn starts(&self) -> Vec<DatabaseStart> {
        let runs = self.world().archive.runs().unwrap();
        runs.iter().map(|(_, run)| run.start.databases[NEO4J].clone()).collect()
    }

    fn last_start(&self) -> DatabaseStart {
        self.starts().pop().unwrap()
    }

    fn parents(&self) -> Vec<Option<u64>> {
        self.starts().iter().map(|start| start.parent.map(|parent| parent.id.0)).collect()
    }

    fn is_deposed(&self, archiver: usize) -> bool {
        (0..5).any(|_| matches!(self.pass(archiver), Pass::Deposed(WriteError::NotOurs(_))))
    }

    /// The process in the end stores all, and nothing but the two newest files stays pinned.
    fn comes_to_rest(&self, archiver: usize) {
        assert!(self.to_idle(archiver));
        self.world().check_held(archiver);
        self.world().check_pins(archiver);
    }
}

#[test]
fn a_log_is_stored_and_read_back() {
    each_kernel(|sim| {
        let archiver = sim.archived(3);
        sim.server(0, |log, _| log.rotate(None, false, 4096));
        sim.write(0, 3);
        sim.comes_to_rest(archiver);
        assert_eq!(sim.starts().len(), 1);
    });
}

#[test]
fn older_state_put_back_to_2_with_3x_4x_archived_then_3y_4y() {
    each_kernel(|sim| {
        let archiver = sim.archived(1);
        let saved = sim.world().database(0, NEO4J).0.save();
        sim.write(0, 2);
        assert!(sim.to_idle(archiver));
        sim.server(0, |log, _| log.put_back(&saved));
        sim.new_run(0);
        sim.write(0, 2);
        sim.comes_to_rest(archiver);
        let start = sim.last_start();
        assert_eq!(start.parent.map(|parent| parent.id), Some(TxId(2)));
        assert!(start.broken.is_some() && !start.side);
    });
}

#[test]
fn clean_restart_crash_recovery_and_upgrade_break_nothing() {
    each_kernel(|sim| {
        let archiver = sim.archived(3);
        sim.new_run(0);
        sim.write(0, 2);
        assert!(sim.to_idle(archiver));
        sim.server(0, |log, _| log.crash(0, false));
        sim.new_run(0);
        sim.server(0, |log, _| log.rotate(Some(32), true, 0));
        sim.write(0, 2);
        sim.comes_to_rest(archiver);
        assert!(sim.starts()[1..].iter().all(|start| start.broken.is_none()), "{:?}", sim.starts());
    });
}

#[test]
fn takeover_by_a_clone_the_old_archiver_woken_after_it() {
    each_kernel(|sim| {
        let old = sim.archived(3);
        let clone = sim.world().clone_host(0, false);
        let state = sim.world().new_state();
        let refused = sim.start(clone, state, false);
        assert!(sim.is_deposed(refused), "a clone takes nothing over by itself");
        let new = sim.start(clone, state, true);
        sim.write(clone, 2);
        assert!(sim.to_idle(new));
        assert!(sim.last_start().broken.is_some());
        sim.write(0, 2);
        assert!(sim.is_deposed(old));
        sim.write(clone, 2);
        assert!(sim.to_idle(new));
    });
}

/// The old one has asked whether another run began; then the clone takes over; then it puts.
#[test]
fn takeover_between_the_question_and_the_put() {
    each_kernel(|sim| {
        let old = sim.archived(3);
        let clone = sim.world().clone_host(0, false);
        let state = sim.world().new_state();
        let new = sim.start(clone, state, true);
        sim.write(0, 2);
        sim.write(clone, 2);
        let inside = sim.clone();
        let trigger = |_: usize, call: ObjectCall, _: &str| call == ObjectCall::Put;
        let hook = move || {
            assert!(inside.to_idle(new));
        };
        let plan = Plan { hook: Some((Box::new(trigger), Box::new(hook))), ..Plan::default() };
        assert!(matches!(sim.pass_with(old, plan), Pass::Busy));
        assert!(sim.is_deposed(old));
        sim.world().check();
        sim.write(clone, 1);
        assert!(sim.to_idle(new));
    });
}

#[test]
fn answer_of_a_put_lost_a_shorter_segment_put_next() {
    each_kernel(|sim| {
        let archiver = sim.archived(1);
        sim.write(0, 3);
        // The question, then the put.
        sim.pass_faulty(archiver, 2, Fault::LoseReply);
        sim.write(0, 1);
        assert!(sim.to_idle(archiver));
        assert_eq!(sim.starts().len(), 1, "it knows its own object");
        // And with a process that begins anew and reads less at once.
        sim.write(0, 4);
        sim.pass_faulty(archiver, 2, Fault::KillBehind);
        sim.world().segment_bytes = 100;
        let next = sim.start(0, 0, false);
        sim.comes_to_rest(next);
        assert!(sim.last_start().broken.is_none());
    });
}

#[test]
fn answer_of_a_start_lost() {
    let sim = Sim::simple();
    sim.archived(2);
    sim.kill(0);
    let next = sim.start(0, 0, false);
    let mut at = 1;
    while !matches!(sim.pass_faulty(next, at, Fault::LoseReply), Pass::Failed(_)) || sim.starts().len() < 2 {
        at += 1;
    }
    sim.write(0, 2);
    sim.comes_to_rest(next);
    assert!(sim.starts()[1..].iter().all(|start| start.broken.is_none()));
}

#[test]
fn migrate_and_import() {
    each_kernel(|sim| {
        let archiver = sim.archived(3);
        sim.server(0, |log, history| log.migrate(history, 12));
        sim.new_run(0);
        sim.write(0, 2);
        assert!(sim.to_idle(archiver));
        assert_eq!(sim.last_start().parent, None, "nothing is replayed across a mark");
        assert!(sim.last_start().broken.is_some());
        sim.server(0, |log, history| log.import(history, 32, 77));
        sim.new_run(0);
        sim.write(0, 2);
        sim.comes_to_rest(archiver);
        assert_eq!(sim.last_start().parent, None);
    });
}

/// The mark is met in front, by an archiver that had no chance to see another run of the server.
#[test]
fn migrate_that_shows_only_in_the_log() {
    each_kernel(|sim| {
        let archiver = sim.archived(3);
        sim.server(0, |log, history| log.migrate(history, 12));
        sim.write(0, 2);
        sim.comes_to_rest(archiver);
        assert_eq!(sim.last_start().parent, None);
    });
}

#[test]
fn import_rebind_import_again_with_the_same_version() {
    each_kernel(|sim| {
        let archiver = sim.start(0, 0, false);
        for _ in 0..2 {
            sim.server(0, |log, history| log.import(history, 32, 77));
            sim.new_run(0);
            sim.write(0, 2);
            assert!(sim.to_idle(archiver));
            assert_eq!(sim.last_start().parent, None, "the marks are the same, the histories are not");
        }
        sim.comes_to_rest(archiver);
    });
}

#[test]
fn storage_away_5x_to_8x_only_pinned_archiver_dies_older_state_put_back_5y_to_8y_rotation_prune() {
    each_kernel(|sim| {
        let archiver = sim.archived(3);
        let saved = sim.world().database(0, NEO4J).0.save();
        sim.write(0, 2);
        sim.rotate(0);
        sim.write(0, 2);
        sim.pass_down(archiver);
        sim.kill(archiver);
        sim.server(0, |log, _| log.put_back(&saved));
        sim.new_run(0);
        sim.write(0, 2);
        sim.rotate(0);
        sim.write(0, 2);
        sim.server(0, |log, _| log.prune(1));
        let next = sim.start(0, 0, false);
        sim.comes_to_rest(next);
        assert_eq!(sim.parents(), [None, Some(4), None], "5x-8x go on from 4; before 7y is a gap");
        assert!(sim.starts()[1].side && sim.last_start().broken.is_some());
    });
}

#[test]
fn older_state_put_back_between_the_check_and_the_read() {
    each_kernel(|sim| {
        let archiver = sim.archived(1);
        let saved = sim.world().database(0, NEO4J).0.save();
        sim.write(0, 3);
        assert!(sim.to_idle(archiver));
        sim.write(0, 2);
        let inside = sim.clone();
        let trigger =
            |_: usize, call: ObjectCall, name: &str| call == ObjectCall::Size && name.ends_with("/start");
        let hook = move || {
            inside.server(0, |log, _| log.put_back(&saved));
            inside.write(0, 8);
        };
        let plan = Plan { hook: Some((Box::new(trigger), Box::new(hook))), ..Plan::default() };
        sim.pass_with(archiver, plan);
        sim.new_run(0);
        sim.world().check();
        sim.comes_to_rest(archiver);
    });
}

#[test]
fn state_directory_copied_to_a_second_host_both_restarted_in_turn() {
    each_kernel(|sim| {
        let first = sim.archived(3);
        let clone = sim.world().clone_host(0, true);
        let copied = sim.world().copy_state(0);
        sim.kill(first);
        for _ in 0..2 {
            sim.write(clone, 1);
            let other = sim.start(clone, copied, false);
            assert!(sim.is_deposed(other), "it is in another place");
            sim.write(0, 1);
            let own = sim.start(0, 0, false);
            assert!(sim.to_idle(own));
            sim.kill(own);
        }
        assert!(sim.starts()[1..].iter().all(|start| start.broken.is_none()));
    });
}

#[test]
fn promoted_to_4_rolled_back_to_7_with_the_old_logs_pruned() {
    each_kernel(|sim| {
        let archiver = sim.archived(3);
        sim.rotate(0);
        sim.write(0, 3);
        assert!(sim.to_idle(archiver));
        sim.server(0, |log, _| log.promote(3));
        sim.new_run(0);
        sim.write(0, 3);
        assert!(sim.to_idle(archiver));
        assert_eq!(sim.last_start().parent.map(|parent| parent.id), Some(TxId(4)));
        sim.server(0, |log, _| assert!(log.roll_back(1)));
        sim.new_run(0);
        sim.write(0, 2);
        sim.comes_to_rest(archiver);
        let start = sim.last_start();
        assert_eq!(start.parent.map(|parent| (parent.run.0, parent.id)), Some((1, TxId(7))));
        assert!(start.broken.is_some());
    });
}

#[test]
fn listing_that_hides_the_newest_start() {
    each_kernel(|sim| {
        let archiver = sim.archived(3);
        sim.kill(archiver);
        for hidden in 1..5 {
            sim.write(0, 1);
            let next = sim.start(0, 0, false);
            sim.pass_with(next, Plan { hidden, ..Plan::default() });
            assert!(sim.to_idle(next));
            sim.kill(next);
        }
        assert_eq!(sim.starts().len(), 5);
        assert!(sim.starts()[1..].iter().all(|start| start.broken.is_none()));
    });
}

#[test]
fn beyond_the_budget_a_gap() {
    each_kernel(|sim| {
        sim.world().budget = 4096;
        sim.world().excused = true;
        let archiver = sim.archived(3);
        for _ in 0..6 {
            sim.rotate(0);
            sim.write(0, 2);
            sim.pass_down(archiver);
            sim.server(0, |log, _| log.prune(1));
        }
        assert!(sim.world().archivers[archiver].as_ref().unwrap().follower.gap().is_some());
        let before = sim.starts().len();
        assert!(sim.to_idle(archiver));
        sim.write(0, 2);
        assert!(sim.to_idle(archiver));
        let start = sim.last_start();
        assert!(sim.starts().len() > before && start.broken.is_some(), "a gap is a break: {start:?}");
        let found = sim.world().check();
        let end = found[NEO4J].1.as_ref().unwrap().transactions.last().unwrap().key.id;
        let mut world = sim.world();
        let tip = world.database(0, NEO4J).0.tip().unwrap();
        assert_eq!(end, world.history.get(tip).key.id);
    });
}

#[test]
fn kill_right_after_a_rotation_with_acknowledged_transactions_in_the_dead_file() {
    each_kernel(|sim| {
        let archiver = sim.archived(3);
        sim.rotate(0);
        sim.write(0, 2);
        sim.look(0);
        sim.server(0, |log, _| log.crash(0, true));
        sim.new_run(0);
        sim.write(0, 2);
        sim.rotate(0);
        sim.write(0, 1);
        sim.comes_to_rest(archiver);
        assert_eq!(sim.parents(), [None, Some(4), Some(4)]);
        assert!(sim.starts()[1].side && sim.last_start().broken.is_some());
    });
}

/// The file before the dead one was cut and written on: what stood before the dead one is nowhere.
#[test]
fn a_dead_file_whose_predecessor_was_cut_follows_nothing() {
    each_kernel(|sim| {
        let archiver = sim.archived(3);
        sim.write(0, 2);
        sim.rotate(0);
        sim.write(0, 2);
        sim.look(0);
        sim.server(0, |log, _| log.crash(2, true));
        sim.new_run(0);
        sim.write(0, 2);
        sim.comes_to_rest(archiver);
        let side = sim.starts().into_iter().find(|start| start.side).unwrap();
        assert_eq!(side.parent, None);
    });
}

#[test]
fn two_inodes_of_one_version_within_an_undetected_run_change() {
    each_kernel(|sim| {
        let archiver = sim.archived(3);
        sim.rotate(0);
        sim.write(0, 2);
        sim.look(0);
        sim.server(0, |log, _| log.crash(0, true));
        sim.write(0, 2);
        sim.rotate(0);
        sim.write(0, 1);
        assert!(sim.to_idle(archiver));
        sim.world().check_held(archiver);
        sim.new_run(0);
        sim.comes_to_rest(archiver);
    });
}

/// What an archiver that died before it stored anything held: the last transaction of a file that the server has
/// pruned since. It stays, with all that the run holds, until a transaction behind it is stored.
#[test]
fn rotated_and_pruned_while_nobody_stored_then_another_run_of_the_server() {
    each_kernel(|sim| {
        let dead = sim.start(0, 0, false);
        sim.write(0, 3);
        sim.rotate(0);
        sim.look(0);
        sim.server(0, |log, _| log.prune(1));
        sim.new_run(0);
        sim.kill(dead);
        let archiver = sim.start(0, 0, false);
        sim.comes_to_rest(archiver);
        let links = sim.world().pins(0).len();
        assert_eq!(links, 3, "two of the run that ended, and the live one");
        sim.write(0, 1);
        sim.comes_to_rest(archiver);
        assert_eq!(sim.world().pins(0).len(), 1);
        assert_eq!(sim.last_start().broken.as_deref(), Some("nothing of this database was stored before"));
    });
}

#[test]
fn torn_object_under_our_own_name() {
    each_kernel(|sim| {
        let archiver = sim.archived(3);
        sim.write(0, 2);
        sim.pass_faulty(archiver, 2, Fault::Tear);
        let next = sim.start(0, 0, false);
        sim.write(0, 1);
        assert!(sim.to_idle(next));
        let start = sim.last_start();
        assert_eq!(start.parent.map(|parent| parent.id), Some(TxId(4)), "in front of it");
        assert_eq!(start.broken, None);
    });
}

#[test]
fn an_object_of_somebody_else_under_our_own_name() {
    let sim = Sim::simple();
    let archiver = sim.archived(3);
    sim.write(0, 1);
    sim.world().shelf.put("grap/log/prod/0000000001/neo4j/00000000000000000005", &[b"x"]).unwrap();
    sim.world().excused = true;
    assert!(sim.to_idle(archiver));
    assert_eq!(sim.last_start().broken, None);
    assert_eq!(sim.starts().len(), 2);
}

#[test]
fn base_ends_inside_a_segment_that_expire_would_take() {
    let sim = Sim::simple();
    let archiver = sim.start(0, 0, false);
    sim.write(0, 2);
    let mut random = crate::random::Random::new(1);
    sim.world().note_base(&mut random);
    sim.write(0, 3);
    assert!(sim.to_idle(archiver));
    for _ in 0..30 {
        sim.world().clock.advance(std::time::Duration::from_mins(1));
        sim.world().expire(&mut random);
    }
    let found = sim.world().check();
    assert_eq!(found[NEO4J].1.as_ref().unwrap().transactions.len(), 5);
    sim.write(0, 1);
    assert!(sim.to_idle(archiver));
}

/// A run that began with a break and stored nothing: the next one does not hide the break.
#[test]
fn a_break_is_not_forgotten_by_a_restart() {
    each_kernel(|sim| {
        let archiver = sim.archived(3);
        sim.server(0, |log, _| log.crash(1, false));
        sim.new_run(0);
        sim.pass(archiver);
        sim.pass(archiver);
        assert!(sim.last_start().broken.is_some());
        sim.kill(archiver);
        let next = sim.start(0, 0, false);
        sim.write(0, 1);
        sim.comes_to_rest(next);
        assert_eq!(sim.last_start().parent.map(|parent| parent.run.0), Some(2));
    });
}

/// Killed at every call to the storage, with and without effect; the next process repairs it.
#[test]
fn killed_at_every_call_to_the_storage() {
    for fault in [Fault::Kill, Fault::KillBehind, Fault::Fail, Fault::LoseReply] {
        for kernel in KERNELS {
            for at in 1..200 {
                let sim = Sim::new(&[NEO4J], kernel);
                let archiver = sim.archived(2);
                sim.rotate(0);
                sim.write(0, 2);
                sim.look(0);
                sim.server(0, |log, _| log.crash(0, true));
                sim.new_run(0);
                sim.write(0, 2);
                sim.kill(archiver);
                let struck = sim.start(0, 0, false);
                let trigger = sim.strike(struck, at, fault);
                if sim.world().living().contains(&struck) {
                    sim.kill(struck);
                }
                let next = sim.start(0, 0, false);
                sim.comes_to_rest(next);
                if !trigger {
                    assert!(at > 20, "few calls are made: {at}");
                    break;
                }
            }
        }
    }
}
