//! What is over by itself: acts nobody began in time, rules whose until has passed.

use model::order::{Failure, State};

use super::acts;
use super::audit::Actor;
use super::holds;
use super::rules::{self, Cause};
use super::tx::Tx;
use crate::store::StoreError;

/// `ERROR_TIMEOUT` as an HRESULT.
const TIMEOUT: i32 = -2_147_023_436;

/// Ends what is over.
pub(in crate::store) fn expire(tx: &Tx<'_>) -> Result<(), StoreError> {
    let by = Actor::quell();
    for act in acts::overdue(tx, tx.now)? {
        let reason = if holds::hold_act(tx, act.organization, act.id)? {
            "it waited for approval on the machine for too long; order it again, and approve it there"
        } else {
            "the machine did not begin it in time; order it again when the machine is attached"
        };
        let failure = Failure { code: TIMEOUT, reason: reason.to_owned() };
        acts::step(tx, &act, State::TimeOut, Some(&failure), &by)?;
        acts::give_up_copies(tx, &act, reason)?;
    }
    for (organization, rule) in rules::overdue(tx, tx.now)? {
        rules::end(tx, organization, &rule, &Cause { by: &by, comment: "its time is over" })?;
    }
    Ok(())
}
