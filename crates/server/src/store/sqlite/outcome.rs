//! How an act ended, as its machine tells it.

use model::act::{CopyResult, CopyState, Do, Outcome};
use model::order::{Failure, State};
use model::{MachineId, OrganizationId};
use rusqlite::params;

use super::acts::{self, Kept};
use super::audit::{self, Actor};
use super::columns::of_lines;
use super::tx::Tx;
use super::{cancel, collect, copies, machines, organizations};
use crate::store::StoreError;

/// Takes a result. Told twice it changes nothing; told after the act had ended otherwise it is kept beside
/// that end; told of an act nobody knows (a restored backup) it is in the audit at least.
pub(in crate::store) fn take(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    let (number, known) = machines::known(tx, organization, machine)?;
    let by = Actor::agent(&known.name);
    let Some(act) = acts::find(tx, organization, number, outcome.act)? else {
        let told = format!("{outcome:?}");
        audit::write(tx, organization, &by, "act.unknown", &outcome.act.to_string(), &told)?;
        return Ok(());
    };
    let (mut state, mut failure) = result(outcome);
    let is_collect = matches!(act.what, Do::Collect(_));
    if is_collect && state == State::Succeeded && collect::is_here(tx, organization, act.order)?.is_none() {
        (state, failure) =
            (State::Failed, Some(Failure::because("the machine says it sent it, and it is not here")));
    }
    if act.state.is_final() {
        late(tx, &act, outcome, &(state, failure), &by)?;
        return effects(tx, &act, outcome);
    }
    if let Some(why) = failure.as_ref().filter(|_| state == State::Cancelled) {
        return cancel::withdraw(tx, &act, why, &by);
    }
    // Never begun, and withdrawn: by whichever clock.
    if state == State::TimeOut
        && act.state == State::Pending
        && cancel::is_asked(tx, organization, act.order)?
    {
        let why = Failure::cancelled("cancelled, and the machine did not begin it");
        return cancel::withdraw(tx, &act, &why, &by);
    }
    copies::replace(tx, organization, act.number, false, &outcome.copies)?;
    tx.prepare_cached("UPDATE act SET stopped = ?2, services = ?3 WHERE number = ?1")?.execute(params![
        act.number,
        outcome.stopped,
        of_lines(&outcome.services)
    ])?;
    acts::step(tx, &act, state, failure.as_ref(), &by)?;
    if let Some(why) = failure.as_ref().filter(|_| state == State::TimeOut) {
        cancel::came_to_nothing(tx, &act, &why.reason, &by)?;
    }
    effects(tx, &act, outcome)
}

/// What a result makes of its act.
fn result(outcome: &Outcome) -> (State, Option<Failure>) {
    if let Some(failure) = &outcome.failure {
        return (failure.state(), Some(failure.clone()));
    }
    let state = State::of_copies(&outcome.copies);
    (state, (state == State::Failed).then(|| Failure::because(of_failed(&outcome.copies))))
}

fn of_failed(copies: &[CopyResult]) -> String {
    let failed: Vec<_> = copies.iter().filter(|copy| copy.state == CopyState::Failed).collect();
    let first = failed.first().map_or_else(String::new, |copy| {
        let why = copy.reason.as_deref().unwrap_or("no reason was given");
        format!("; first {}: {why}", copy.path.display())
    });
    format!("{} of {} copies failed{first}", failed.len(), copies.len())
}

/// What the result says of the machine: which copies are no more, or back.
fn effects(tx: &Tx<'_>, act: &Kept, outcome: &Outcome) -> Result<(), StoreError> {
    let back = match act.what {
        Do::Quarantine(_) => false,
        Do::Restore(..) => true,
        Do::Collect(_) => return Ok(()),
    };
    for copy in outcome.copies.iter().filter(|copy| copy.state == CopyState::Succeeded) {
        copies::moved(tx, act.organization, act.machine, act.file, &copy.path, back)?;
    }
    Ok(())
}

/// Keeps what was told after the end, unless it is what was told before.
fn late(
    tx: &Tx<'_>,
    act: &Kept,
    outcome: &Outcome,
    (state, failure): &(State, Option<Failure>),
    by: &Actor,
) -> Result<(), StoreError> {
    if act.state == *state && !matches!(state, State::Succeeded | State::Failed) {
        // Both say that it was never begun, each in its own words.
        return Ok(());
    }
    let same_end = act.state == *state && act.failure == *failure && act.stopped == outcome.stopped;
    if same_end && copies::of_act(tx, act.number, false)? == outcome.copies {
        return Ok(());
    }
    if act.late.is_some() && copies::of_act(tx, act.number, true)? == outcome.copies {
        return Ok(());
    }
    copies::replace(tx, act.organization, act.number, true, &outcome.copies)?;
    tx.prepare_cached(
        "UPDATE act SET late = ?2, late_stopped = ?3, late_code = ?4, late_reason = ?5, late_state = ?6,
             services = ?7
         WHERE number = ?1",
    )?
    .execute(params![
        act.number,
        tx.now.ticks(),
        outcome.stopped,
        failure.as_ref().map(|failure| failure.code),
        failure.as_ref().map(|failure| &failure.reason),
        state.word(),
        of_lines(&outcome.services)
    ])?;
    let told = format!("{} after the act was {}", state.word(), act.state.word());
    Ok(audit::write(tx, act.organization, by, "act.late", &act.id.to_string(), &told)?)
}
