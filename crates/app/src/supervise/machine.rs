//! What is to be done with the server: pure. Events and the time come in, acts go out; the shell (`super`) performs them.
//!
//! - A *wish* is what somebody last asked for: that it runs, that it stays stopped, or that we end. What the server does by
//!   itself changes no wish.
//! - At most one server: a start is asked for only where the last one is over, all of its process group.
//! - A stop has an end: SIGTERM, after the grace SIGKILL.

use std::time::Duration;

use grap::server::control::supervisor::{SupervisorState, SupervisorVerb};

/// The pauses before a start behind an end that nobody asked for.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LONGEST: Duration = Duration::from_mins(1);
/// A server that has run for so long has not failed to start.
const FORGIVEN: Duration = Duration::from_mins(5);
/// Between two looks whether a server that is not ours has ended.
const LOOK: Duration = Duration::from_secs(1);
/// As a shell says it of what cannot be run.
const NOT_STARTED: u8 = 127;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    OnFailure,
    Always,
    Never,
}

impl RestartPolicy {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "on-failure" => Ok(Self::OnFailure),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            _ => Err("it is none of on-failure, always, never".to_owned()),
        }
    }

    fn wants_another(self, status: u8) -> bool {
        match self {
            Self::OnFailure => status != 0,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// For the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Start,
    /// SIGTERM to its group.
    Terminate,
    /// SIGKILL to its group.
    Kill,
    /// We end, with this status.
    Exit(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Up,
    Down,
    Leave,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Stopped,
    Running {
        since: Duration,
        ready: bool,
    },
    /// `asked`: somebody wanted it to end; else what it left of its group is being ended.
    Stopping {
        kill_at: Option<Duration>,
        asked: bool,
        since: Duration,
    },
    /// `other`: a server that we have not started holds the stores, and is known.
    BackingOff {
        until: Duration,
        other: bool,
    },
}

/// All times are since boot.
#[derive(Debug)]
pub(super) struct Machine {
    policy: RestartPolicy,
    grace: Duration,
    wish: Wish,
    phase: Phase,
    pause: Duration,
    restarts: u64,
    /// The next start is one behind an end that nobody asked for.
    again: bool,
    last_status: u8,
    message: Option<String>,
}

impl Machine {
    pub(super) fn new(policy: RestartPolicy, grace: Duration) -> Self {
        let (wish, phase) = (Wish::Up, Phase::Stopped);
        let (pause, message) = (PAUSE_FIRST, None);
        Self { policy, grace, wish, phase, pause, restarts: 0, again: false, last_status: 0, message }
    }

    pub(super) fn state(&self) -> SupervisorState {
        match self.phase {
            Phase::Stopped => SupervisorState::Stopped,
            Phase::Running { ready: false, .. } => SupervisorState::Starting,
            Phase::Running { ready: true, .. } => SupervisorState::Running,
            Phase::Stopping { .. } => SupervisorState::Stopping,
            Phase::BackingOff { .. } => SupervisorState::BackingOff,
        }
    }

    pub(super) fn restarts(&self) -> u64 {
        self.restarts
    }

    pub(super) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// When it has something to do by itself.
    pub(super) fn due(&self) -> Option<Duration> {
        match self.phase {
            Phase::Stopping { kill_at, .. } => kill_at,
            Phase::BackingOff { until, .. } => Some(until),
            Phase::Stopped | Phase::Running { .. } => None,
        }
    }

    pub(super) fn started(&mut self, now: Duration) {
        self.phase = Phase::Running { since: now, ready: false };
        self.restarts += u64::from(std::mem::take(&mut self.again));
        self.message = None;
    }

    /// It could not even be started.
    pub(super) fn not_started(&mut self, why: String, now: Duration) -> Option<Act> {
        self.message = Some(why);
        self.after_failure(NOT_STARTED, now)
    }

    /// Somebody else's server holds the stores: a second one would only fail. `known`: it can be told to end.
    pub(super) fn in_the_way(&mut self, why: String, known: bool, now: Duration) {
        self.message = Some(why);
        self.phase = Phase::BackingOff { until: now + LOOK, other: known };
    }

    /// Nobody's server that could be told to end holds the stores.
    pub(super) fn nobody_in_the_way(&mut self) {
        if let Phase::BackingOff { other, .. } = &mut self.phase {
            *other = false;
        }
    }

    pub(super) fn ready(&mut self) {
        if let Phase::Running { ready, .. } = &mut self.phase {
            *ready = true;
        }
    }

    /// The process that was started is no more, others of its group are.
    pub(super) fn leader_gone(&mut self, now: Duration) -> Option<Act> {
        match self.phase {
            Phase::Running { since, .. } => {
                self.phase = Phase::Stopping { kill_at: Some(now + self.grace), asked: false, since };
                Some(Act::Terminate)
            }
            // What the killed one has left became ours only now.
            Phase::Stopping { kill_at: None, .. } => Some(Act::Kill),
            _ => None,
        }
    }

    /// All of it is over.
    pub(super) fn ended(&mut self, status: u8, now: Duration) -> Option<Act> {
        self.last_status = status;
        let (since, asked) = match self.phase {
            Phase::Running { since, .. } => (since, false),
            Phase::Stopping { asked, since, .. } => (since, asked),
            Phase::Stopped | Phase::BackingOff { .. } => (now, false),
        };
        if now.saturating_sub(since) >= FORGIVEN {
            self.pause = PAUSE_FIRST;
        }
        match self.wish {
            Wish::Leave => Some(Act::Exit(status)),
            Wish::Down => {
                self.phase = Phase::Stopped;
                None
            }
            Wish::Up if asked => {
                self.phase = Phase::Stopped;
                Some(Act::Start)
            }
            Wish::Up => {
                self.message = Some(format!("it ended by itself with status {status}"));
                self.after_failure(status, now)
            }
        }
    }

    fn after_failure(&mut self, status: u8, now: Duration) -> Option<Act> {
        self.last_status = status;
        if !self.policy.wants_another(status) {
            return Some(Act::Exit(status));
        }
        self.phase = Phase::BackingOff { until: now + self.pause, other: false };
        self.again = true;
        self.pause = (self.pause * 2).min(PAUSE_LONGEST);
        None
    }

    /// The pause before the next start, where one is under way.
    pub(super) fn pause_left(&self, now: Duration) -> Option<Duration> {
        match self.phase {
            Phase::BackingOff { until, .. } => Some(until.saturating_sub(now)),
            _ => None,
        }
    }

    /// Its time has come.
    pub(super) fn tick(&mut self, now: Duration) -> Option<Act> {
        match &mut self.phase {
            Phase::Stopping { kill_at, .. } if kill_at.is_some_and(|at| now >= at) => {
                // Once; who hangs in the kernel then, hangs.
                *kill_at = None;
                Some(Act::Kill)
            }
            Phase::BackingOff { until, .. } if now >= *until => {
                self.phase = Phase::Stopped;
                Some(Act::Start)
            }
            _ => None,
        }
    }

    /// Why not, where it is refused.
    pub(super) fn asked(&mut self, verb: SupervisorVerb, now: Duration) -> Result<Option<Act>, String> {
        // Who has been told to end starts nothing any more.
        let leaving = self.wish == Wish::Leave;
        match verb {
            SupervisorVerb::Status => Ok(None),
            SupervisorVerb::Stop if leaving => Ok(None),
            SupervisorVerb::Start | SupervisorVerb::Restart if leaving => {
                Err("the supervisor was told to end, and starts nothing any more".to_owned())
            }
            SupervisorVerb::Stop => {
                self.wish = Wish::Down;
                Ok(self.end(now))
            }
            SupervisorVerb::Start => {
                self.wish = Wish::Up;
                Ok(self.begin())
            }
            SupervisorVerb::Restart => {
                self.wish = Wish::Up;
                let running = matches!(self.phase, Phase::Running { .. });
                Ok(if running { self.end(now) } else { self.begin() })
            }
            SupervisorVerb::Kill => match &mut self.phase {
                Phase::Stopping { kill_at, .. } => {
                    *kill_at = None;
                    Ok(Some(Act::Kill))
                }
                _ => Err("it is not being stopped: `stop` comes first".to_owned()),
            },
        }
    }

    /// We are to end, and it with us.
    pub(super) fn leave(&mut self, now: Duration) -> Option<Act> {
        self.wish = Wish::Leave;
        match self.phase {
            Phase::Stopped | Phase::BackingOff { .. } => Some(Act::Exit(self.last_status)),
            Phase::Running { .. } | Phase::Stopping { .. } => self.end(now),
        }
    }

    fn begin(&mut self) -> Option<Act> {
        match self.phase {
            Phase::Stopped | Phase::BackingOff { .. } => {
                (self.phase, self.pause, self.again) = (Phase::Stopped, PAUSE_FIRST, false);
                Some(Act::Start)
            }
            // It is started when it has ended.
            Phase::Stopping { kill_at, since, .. } => {
                self.phase = Phase::Stopping { kill_at, asked: true, since };
                None
            }
            Phase::Running { .. } => None,
        }
    }

    fn end(&mut self, now: Duration) -> Option<Act> {
        match self.phase {
            Phase::Running { since, .. } => {
                self.phase = Phase::Stopping { kill_at: Some(now + self.grace), asked: true, since };
                Some(Act::Terminate)
            }
            Phase::BackingOff { other: true, .. } => {
                self.phase = Phase::Stopping { kill_at: Some(now + self.grace), asked: true, since: now };
                Some(Act::Terminate)
            }
            Phase::BackingOff { .. } => {
                (self.phase, self.again) = (Phase::Stopped, false);
                None
            }
            Phase::Stopped | Phase::Stopping { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use SupervisorState::{BackingOff, Running, Starting, Stopped, Stopping};
    use SupervisorVerb::{Kill, Restart, Start, Stop};

    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn running(policy: RestartPolicy) -> Machine {
        let mut machine = Machine::new(policy, at(120));
        machine.started(at(0));
        machine
    }

    #[test]
    fn a_server_that_fails_is_started_after_longer_and_longer_pauses() {
        let mut machine = running(RestartPolicy::OnFailure);
        let mut now = 10;
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(machine.ended(1, at(now)), None);
            assert_eq!((machine.state(), machine.due()), (BackingOff, Some(at(now + pause))));
            assert_eq!(machine.tick(at(now + pause - 1)), None);
            now += pause;
            assert_eq!(machine.tick(at(now)), Some(Act::Start));
            machine.started(at(now));
            now += 10;
        }
        assert_eq!(machine.restarts(), 8);
        // One that ran long enough begins anew.
        now += 300;
        assert_eq!(machine.ended(137, at(now)), None);
        assert_eq!(machine.due(), Some(at(now + 1)));
        assert!(machine.message().unwrap().contains("137"));
    }

    #[test]
    fn the_policy_says_whether_there_is_another() {
        assert_eq!(running(RestartPolicy::OnFailure).ended(0, at(9)), Some(Act::Exit(0)));
        assert_eq!(running(RestartPolicy::Never).ended(3, at(9)), Some(Act::Exit(3)));
        assert_eq!(running(RestartPolicy::Always).ended(0, at(9)), None);
        let mut machine = Machine::new(RestartPolicy::Never, at(1));
        assert_eq!(machine.not_started("no such file".to_owned(), at(0)), Some(Act::Exit(127)));
        for text in ["on-failure", "always", "never"] {
            assert!(RestartPolicy::parse(text).is_ok());
        }
        assert!(RestartPolicy::parse("sometimes").is_err());
    }

    #[test]
    fn a_stop_lasts_until_a_start_and_ends_in_a_kill() {
        let mut machine = running(RestartPolicy::Always);
        machine.ready();
        assert_eq!(machine.state(), Running);
        assert_eq!(machine.asked(Stop, at(10)), Ok(Some(Act::Terminate)));
        assert_eq!(machine.asked(Stop, at(11)), Ok(None));
        assert_eq!((machine.state(), machine.tick(at(129))), (Stopping, None));
        assert_eq!(machine.tick(at(130)), Some(Act::Kill));
        assert_eq!((machine.tick(at(131)), machine.due()), (None, None));
        assert_eq!(machine.ended(137, at(132)), None);
        assert_eq!((machine.state(), machine.due(), machine.restarts()), (Stopped, None, 0));
        assert_eq!(machine.asked(Start, at(200)), Ok(Some(Act::Start)));
        machine.started(at(200));
        assert_eq!(machine.state(), Starting);
    }

    #[test]
    fn a_kill_is_for_what_is_being_stopped() {
        let mut machine = running(RestartPolicy::Always);
        assert!(machine.asked(Kill, at(1)).is_err());
        machine.asked(Stop, at(2)).unwrap();
        assert_eq!(machine.asked(Kill, at(3)), Ok(Some(Act::Kill)));
        machine.ended(137, at(4));
        assert!(machine.asked(Kill, at(5)).is_err());
    }

    #[test]
    fn who_wants_it_up_again_while_it_stops_gets_it_when_it_has_ended() {
        let mut machine = running(RestartPolicy::Never);
        machine.asked(Stop, at(1)).unwrap();
        assert_eq!(machine.asked(Start, at(2)), Ok(None));
        assert_eq!(machine.ended(143, at(3)), Some(Act::Start));
        machine.started(at(3));
        assert_eq!(machine.asked(Restart, at(4)), Ok(Some(Act::Terminate)));
        assert_eq!(machine.ended(143, at(5)), Some(Act::Start));
        machine.started(at(5));
        machine.asked(Stop, at(6)).unwrap();
        machine.ended(143, at(7));
        assert_eq!(machine.asked(Restart, at(8)), Ok(Some(Act::Start)));
    }

    #[test]
    fn a_stop_ends_the_pause_and_a_start_does_not_wait_for_it() {
        let mut machine = running(RestartPolicy::Always);
        machine.ended(1, at(1));
        assert_eq!(machine.asked(Stop, at(1)), Ok(None));
        assert_eq!((machine.state(), machine.due()), (Stopped, None));
        machine.asked(Start, at(2)).unwrap();
        machine.started(at(2));
        machine.ended(1, at(3));
        assert_eq!(machine.asked(Start, at(3)), Ok(Some(Act::Start)));
    }

    #[test]
    fn we_end_with_its_status_and_start_nothing_then() {
        let mut machine = running(RestartPolicy::Always);
        assert_eq!(machine.leave(at(1)), Some(Act::Terminate));
        assert_eq!(machine.leave(at(2)), None);
        assert!(machine.asked(Start, at(3)).is_err());
        assert_eq!(machine.asked(Stop, at(3)), Ok(None));
        assert_eq!(machine.ended(143, at(4)), Some(Act::Exit(143)));
        let mut machine = running(RestartPolicy::Always);
        machine.ended(5, at(1));
        assert_eq!(machine.leave(at(1)), Some(Act::Exit(5)));
    }

    #[test]
    fn what_is_left_of_its_group_is_ended_before_there_is_another() {
        let mut machine = running(RestartPolicy::OnFailure);
        assert_eq!(machine.leader_gone(at(10)), Some(Act::Terminate));
        assert_eq!(machine.tick(at(130)), Some(Act::Kill));
        assert_eq!(machine.ended(1, at(131)), None);
        assert_eq!(machine.state(), BackingOff);
        let mut machine = running(RestartPolicy::OnFailure);
        machine.asked(Stop, at(1)).unwrap();
        assert_eq!(machine.leader_gone(at(2)), None, "it is being stopped already");
        machine.asked(Kill, at(3)).unwrap();
        assert_eq!(machine.leader_gone(at(4)), Some(Act::Kill), "that became ours only now");
    }

    #[test]
    fn anothers_server_is_waited_for_and_stopped_when_somebody_asks() {
        let mut machine = Machine::new(RestartPolicy::Always, at(120));
        machine.in_the_way("somebody holds the stores".to_owned(), false, at(3));
        assert_eq!((machine.state(), machine.due()), (BackingOff, Some(at(4))));
        assert_eq!(machine.tick(at(4)), Some(Act::Start));
        machine.in_the_way("process 7 holds the stores".to_owned(), true, at(4));
        assert_eq!(machine.restarts(), 0, "nothing was started");
        assert_eq!(machine.asked(Stop, at(5)), Ok(Some(Act::Terminate)));
        assert_eq!(machine.asked(Kill, at(6)), Ok(Some(Act::Kill)));
        assert_eq!(machine.ended(0, at(7)), None);
        assert_eq!(machine.state(), Stopped);
        // We end without it: it is not ours.
        machine.in_the_way("process 8 holds the stores".to_owned(), true, at(8));
        assert_eq!(machine.leave(at(9)), Some(Act::Exit(0)));
    }
}
