//! Which tasks may run beside each other. The repository's locks hold the same rules between programs; here they are
//! held without a failed try.
//!
//! - backup, copy, verify and drill share the repository; expire and gc want it alone.
//! - A backup waits for who has it alone, never for who only waits to have it: a gc that finds no quiet moment must not
//!   cost a backup. The others let a waiting one go first, so that it finds its moment.

use grap_core::schedule::Task;

/// What runs, and what is owed and waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gate<'a> {
    pub(super) running: &'a [Task],
    pub(super) waiting: &'a [Task],
}

impl Gate<'_> {
    /// What `task` has to wait for.
    pub(super) fn in_the_way(self, task: Task) -> Option<Task> {
        let same = self.running.iter().find(|running| **running == task);
        let other = if alone(task) {
            self.running.first()
        } else {
            self.running.iter().find(|running| alone(**running)).or_else(|| self.let_go_first(task))
        };
        same.or(other).copied()
    }

    fn let_go_first(&self, task: Task) -> Option<&Task> {
        let waiting = self.waiting.iter().find(|waiting| alone(**waiting));
        if task == Task::Backup { None } else { waiting }
    }
}

fn alone(task: Task) -> bool {
    match task {
        Task::Expire | Task::Gc => true,
        Task::Backup | Task::Copy | Task::Verify | Task::Drill => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_it_alone_gets_it_alone() {
        let in_the_way = |running: &[Task], task| Gate { running, waiting: &[task] }.in_the_way(task);
        for alone in [Task::Expire, Task::Gc] {
            assert_eq!(in_the_way(&[], alone), None);
            for shared in [Task::Backup, Task::Copy, Task::Verify] {
                assert_eq!(in_the_way(&[shared], alone), Some(shared));
                assert_eq!(in_the_way(&[alone], shared), Some(alone));
            }
        }
        assert_eq!(in_the_way(&[Task::Gc], Task::Expire), Some(Task::Gc));
        assert_eq!(in_the_way(&[Task::Verify, Task::Copy], Task::Backup), None);
    }

    #[test]
    fn only_a_backup_overtakes_who_waits_to_have_it_alone() {
        let gate = Gate { running: &[Task::Verify], waiting: &[Task::Gc] };
        assert_eq!(gate.in_the_way(Task::Backup), None);
        assert_eq!(gate.in_the_way(Task::Copy), Some(Task::Gc));
    }

    #[test]
    fn never_two_of_one_kind() {
        for task in Task::ALL {
            assert_eq!(Gate { running: &[task], waiting: &[] }.in_the_way(task), Some(task));
        }
    }
}
