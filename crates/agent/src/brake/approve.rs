//! Letting go on what the brake holds: by root on this machine, or by the operator key.

use std::time::Duration;

use model::HoldId;
use model::hold::{Approval, Held, Hold};
use wire::link::holds::{LONGEST_COMMENT, hold_id};
use wire::link::v1;

use super::signature::{fingerprint, has_signed};
use crate::clock::Moment;
use crate::core::{Core, Nudge};

/// How long the guard may take to follow.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Why something waits on, and how it may go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);

/// Lets what waits under `id` go on, at the word of `by`.
///
/// # Errors
/// When nothing waits under that name, no reason is given, or it can't be made durable.
pub(crate) fn approve(core: &Core, id: HoldId, by: &str, comment: &str) -> Result<Hold, Refused> {
    let comment = comment.trim();
    if comment.is_empty() || comment.len() > LONGEST_COMMENT {
        return Err(Refused(format!("say why, in up to {LONGEST_COMMENT} bytes: --comment TEXT")));
    }
    let approved = core.ledger.lock().approve(id, by, comment, &Moment::now());
    let hold = match approved {
        Ok(Some(hold)) => hold,
        Ok(None) => return Err(nothing_waits(id)),
        Err(error) => {
            return Err(Refused(format!(
                "the ledger can't be written: {error}; it waits on. Make room and approve it again"
            )));
        }
    };
    tracing::warn!(hold = %id, what = ?hold.what, by, comment, "approved: it goes on");
    if let Held::Denial(_) = hold.what
        && let Err(error) = core.enforce(PATIENCE)
    {
        tracing::warn!(%error, "what was approved is in force as soon as the guard is back");
    }
    let _ = core.brake.acts.try_send(());
    // Who approved it is told before it is held no more, or the server would take it for withdrawn.
    core.nudge(Nudge::Ended);
    Ok(hold)
}

fn nothing_waits(id: HoldId) -> Refused {
    Refused(format!(
        "nothing waits under {id}: it was approved, withdrawn, or is over. `quell agent approve --list` shows what \
         waits now"
    ))
}

/// The same by an approval that the operator key has signed, whoever brought it here.
///
/// # Errors
/// As [`approve`]; and when it is not one for this machine and this hold, is over, or has no such signature.
pub(crate) fn approve_signed(
    core: &Core,
    signed: &v1::SignedApproval,
) -> Result<Hold, (Option<HoldId>, Refused)> {
    let named = signed.hold.as_ref().and_then(|hold| hold_id(&hold.id).ok());
    let approved = (|| {
        let approval =
            Approval::try_from(signed).map_err(|error| Refused(format!("{error}; sign it anew")))?;
        let by = check(core, &approval, &signed.signature)?;
        approve(core, approval.hold, &by, &approval.comment)
    })();
    approved.map_err(|refused| {
        tracing::warn!(hold = ?named, %refused, "a signed approval is refused");
        (named, refused)
    })
}

/// Who has signed it.
fn check(core: &Core, approval: &Approval, signature: &[u8]) -> Result<String, Refused> {
    let (key, (organization, machine), holds) = {
        let ledger = core.ledger.lock();
        (ledger.operator_key(), ledger.whose(), ledger.holds())
    };
    let Some(key) = key else {
        return Err(Refused(
            "this machine has no operator key yet: it gets one when it attaches. Root can approve: `quell agent approve`".into(),
        ));
    };
    let name = fingerprint(&key);
    if !has_signed(&key, approval, signature) {
        return Err(Refused(format!(
            "it is not signed by the operator key of this machine, {name}: sign it with that key (`quell operator approve`)"
        )));
    }
    if approval.organization != organization || approval.machine != machine {
        return Err(Refused(format!(
            "it is for machine {} and this is {machine}: sign one for this machine",
            approval.machine
        )));
    }
    if core.clock.now() >= approval.until {
        return Err(Refused(
            "it is over by this machine's clock: sign it anew (`--valid-for HOURS` says for how long), or set the clock right".into(),
        ));
    }
    match holds.iter().find(|hold| hold.id == approval.hold) {
        None => Err(nothing_waits(approval.hold)),
        Some(hold) if hold.what != approval.what => Err(Refused(format!(
            "what waits under {} is not what was signed: look at it again (`quell agent approve --list`)",
            hold.id
        ))),
        Some(_) => Ok(format!("operator key {name}")),
    }
}
