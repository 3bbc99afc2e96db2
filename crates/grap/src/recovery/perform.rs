//! What a recovery does to the world: one method an order.

use grap_core::recovery::{
    CandidatePrint, Failure, Instance, Judgement, Measured, Order, Recovery, Tier, TierVerdict, What,
};

use super::promote::{Archived, Promote};
use crate::error::{Error, Result, in_one_line};
use crate::ops::Session;

/// A journal holds so many findings of one tier; the candidate is kept, and can be asked for all.
const FINDINGS_MAX: usize = 100;

/// Performs the orders. Each call may be the second one: it looks first, and does what is not done yet. What it was
/// given it may leave half made: the orders that clear away find it by the plan alone.
///
/// An error of `end_instance`, `remove_scratch` or `remove_candidate` leaves the order owed; one of `write_record` is
/// noted; any other fails the recovery. A call that is told to stop ends with [`grap_task::Stopped`], which fails
/// nothing.
pub trait Perform {
    /// Make the candidate's directory, with the id of the recovery in it; there has to be room. One that is there and
    /// is not this recovery's is an error, and stays.
    fn reserve(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()>;

    /// Make it a data directory, whole when this returns.
    fn restore(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()>;

    /// Read it, and find in it what the plan promises.
    fn reread(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()>;

    /// One that an earlier call started, and that runs still, is ended or taken over.
    fn start_instance(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<Start>;

    /// Ask the running instance.
    fn judge(
        &mut self,
        tier: Tier,
        recovery: &Recovery,
        session: &Session<'_>,
    ) -> Result<WhileItRuns<Answer>>;

    /// Stop it in good order. One that has stopped so already is stopped; one that is gone otherwise is lost.
    fn stop_instance(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<WhileItRuns<()>>;

    /// Read the stopped store. Where it passes, the answer has its print.
    fn check_store(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<Answer>;

    /// Once, however often it is called. An id is unique in one state directory only: with the instant at which it began,
    /// and the host, it names the recovery.
    fn write_record(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()>;

    fn remove_scratch(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()>;

    /// No process of it is left when this returns, whether it was seen to start or not.
    fn end_instance(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()>;

    /// Nothing of it is left when this returns. Only a directory that carries the id is touched.
    fn remove_candidate(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()>;

    /// What performs the orders that are about the live database.
    fn promote(&mut self) -> Result<&mut dyn Promote>;
}

/// What a start came to. That there was nothing to start it with is an error.
#[derive(Debug)]
pub enum Start {
    Running(Instance),
    /// The server does not open this candidate: a verdict on it.
    Refused(Answer),
}

/// What was asked of the test instance.
#[derive(Debug)]
pub enum WhileItRuns<T> {
    Done(T),
    /// It is gone with the process that started it. (One that ends under the eyes of the call is an answer.)
    Lost(Failure),
}

/// What a tier found.
#[derive(Debug)]
pub struct Answer {
    pub verdict: TierVerdict,
    pub findings: Vec<String>,
    pub measured: Option<Measured>,
    /// What the candidate is that the last tier has passed.
    pub print: Option<CandidatePrint>,
}

/// Perform the order; what happened, as an event.
pub(super) fn perform(
    order: Order,
    recovery: &Recovery,
    performer: &mut dyn Perform,
    session: &Session<'_>,
) -> Result<What> {
    Ok(match order {
        Order::Reserve => performer.reserve(recovery, session).map(|()| What::Reserved)?,
        Order::Restore => performer.restore(recovery, session).map(|()| What::Restored)?,
        Order::Reread => performer.reread(recovery, session).map(|()| What::Reread)?,
        Order::StartInstance => performer.start_instance(recovery, session)?.told(),
        Order::Judge(Tier::Store) => performer.check_store(recovery, session)?.of(Tier::Store),
        Order::Judge(tier) => performer.judge(tier, recovery, session)?.told(|answer| answer.of(tier)),
        Order::StopInstance => performer.stop_instance(recovery, session)?.told(|()| What::Stopped),
        Order::WriteRecord => performer.write_record(recovery, session).map(|()| What::Recorded)?,
        Order::RemoveScratch => performer.remove_scratch(recovery, session).map(|()| What::ScratchRemoved)?,
        Order::EndInstance => performer.end_instance(recovery, session).map(|()| What::InstanceEnded)?,
        Order::RemoveCandidate => {
            performer.remove_candidate(recovery, session).map(|()| What::CandidateRemoved)?
        }
        Order::LookAgain => What::LookedAgain { ran: performer.promote()?.look_again(recovery, session)? },
        Order::Stage => performer.promote()?.stage(recovery, session).map(|()| What::Staged)?,
        Order::Drain => What::Drained { ran: performer.promote()?.drain(recovery, session)? },
        Order::StopLive => What::LiveStopped { ran: performer.promote()?.stop_live(recovery, session)? },
        Order::AwaitArchive => performer.promote()?.await_archive(recovery, session)?.told(Archived::told),
        Order::Guard => performer.promote()?.guard(recovery, session)?.told(|guard| What::Guarded { guard }),
        Order::TakeLog => performer.promote()?.take_log(recovery, session)?.told(|()| What::LogTaken),
        Order::SwapStores => {
            performer.promote()?.swap_stores(recovery, session).map(|()| What::StoresSwapped)?
        }
        Order::PutLog => performer.promote()?.put_log(recovery, session).map(|()| What::LogPut)?,
        Order::StartLive => performer.promote()?.start_live(recovery, session).map(|()| What::LiveStarted)?,
        Order::Confirm => performer.promote()?.confirm(recovery, session)?.told(),
        Order::Retire => performer.promote()?.retire(recovery, session).map(|()| What::Retired)?,
        Order::RecordPromotion => {
            performer.promote()?.record_promotion(recovery, session).map(|()| What::PromotionRecorded)?
        }
        Order::Undo => performer.promote()?.undo(recovery, session)?.told(),
        Order::StartOld => performer.promote()?.start_old(recovery, session).map(|()| What::OldStarted)?,
    })
}

impl Start {
    fn told(self) -> What {
        match self {
            Self::Running(instance) => What::Started { instance },
            Self::Refused(answer) => answer.of(Tier::Connectivity),
        }
    }
}

impl<T> WhileItRuns<T> {
    fn told(self, done: impl FnOnce(T) -> What) -> What {
        match self {
            Self::Done(value) => done(value),
            Self::Lost(failure) => What::InstanceLost { failure },
        }
    }
}

impl Answer {
    fn of(mut self, tier: Tier) -> What {
        let more = self.findings.len().saturating_sub(FINDINGS_MAX);
        if more > 0 {
            self.findings.truncate(FINDINGS_MAX);
            self.findings.push(format!("... and {more} more"));
        }
        let Self { verdict, findings, measured, print } = self;
        What::Judged { judgement: Judgement { tier, verdict, findings, measured }, print }
    }
}

pub(crate) fn failure(error: &Error) -> Failure {
    Failure { code: error.code().name().to_owned(), message: in_one_line(error) }
}
