//! What is over by itself: acts nobody began in time, rules whose until has passed.

use std::time::Duration;

use model::order::{Failure, State};

use super::acts::{self, Kept};
use super::audit::Actor;
use super::cancel;
use super::holds;
use super::policy;
use super::rules::{self, Cause};
use super::tx::Tx;
use crate::store::StoreError;

/// How long a machine that has begun an act may be silent about it.
const TIME_TO_END: Duration = Duration::from_secs(7 * 24 * 3600);

/// Ends what is over.
pub(in crate::store) fn expire(tx: &Tx<'_>) -> Result<(), StoreError> {
    let by = Actor::quell();
    for act in acts::overdue(tx, tx.now)? {
        if cancel::is_asked(tx, act.organization, act.order)? {
            let reason = "cancelled, and the machine did not begin it in time";
            cancel::withdraw(tx, &act, &Failure::cancelled(reason), &by)?;
        } else {
            let reason = if holds::hold_act(tx, act.organization, act.id)? {
                "it waited for approval on the machine for too long; order it again, and approve it there"
            } else {
                "the machine did not begin it in time; order it again when the machine is attached"
            };
            time_out(tx, &act, reason, &by)?;
            cancel::came_to_nothing(tx, &act, reason, &by)?;
        }
    }
    for act in acts::abandoned(tx, tx.now.before(TIME_TO_END))? {
        let reason = "the machine began it and has not said for a week how it ended; what it says later is \
                      shown here";
        time_out(tx, &act, reason, &by)?;
    }
    for (organization, rule) in rules::overdue(tx, tx.now)? {
        rules::end(tx, organization, &rule, &Cause { by: &by, comment: "its time is over" })?;
    }
    policy::try_refused_again(tx)?;
    Ok(())
}

fn time_out(tx: &Tx<'_>, act: &Kept, reason: &str, by: &Actor) -> Result<(), StoreError> {
    acts::step(tx, act, State::TimeOut, Some(&Failure::timed_out(reason)), by)?;
    Ok(acts::give_up_copies(tx, act, reason)?)
}
