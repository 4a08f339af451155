//! Which operator key counts here: the first that the server tells, then those that follow by the signature of the one
//! before, and whichever root on this machine takes.

use std::io;

use wire::link::holds::LONGEST_COMMENT;
use wire::link::v1;

use super::approve::Refused;
use super::signature::{Key, fingerprint, follows, is_key};
use crate::core::{Core, Nudge};

/// Keeps the operator key that the server tells at the first time, and afterwards only one that the key before has signed.
///
/// # Errors
/// When the ledger can't be written.
pub(crate) fn pin(core: &Core, told: &[u8], changes: &[v1::OperatorKeyChange]) -> io::Result<()> {
    let Ok(offered) = Key::try_from(told) else { return Ok(()) };
    let mut ledger = core.ledger.lock();
    let (organization, _) = ledger.whose();
    let pinned = ledger.operator_key();
    if pinned == Some(offered) {
        *core.brake.offered.lock() = None;
        return Ok(());
    }
    if !is_key(&offered) {
        tracing::error!("the server's operator key is none that can sign; it is not taken");
        return Ok(());
    }
    if let Some(pinned) = pinned
        && !follows(pinned, offered, changes, organization)
    {
        *core.brake.offered.lock() = Some(offered);
        let (pinned, offered) = (fingerprint(&pinned), fingerprint(&offered));
        tracing::error!(
            pinned,
            offered,
            "the server has another operator key, which ours has not signed: ours stays. If it is meant, root takes it here: \
             `quell agent approve --operator-key {offered}`"
        );
        return Ok(());
    }
    ledger.pin_operator_key(offered)?;
    drop(ledger);
    *core.brake.offered.lock() = None;
    let before = pinned.map(|key| fingerprint(&key));
    tracing::info!(key = fingerprint(&offered), ?before, "the operator key is kept");
    core.nudge(Nudge::Changed);
    Ok(())
}

/// The fingerprint of the key that the server has and ours has not signed, if there is one.
pub(crate) fn offered(core: &Core) -> Option<String> {
    core.brake.offered.lock().as_ref().map(fingerprint)
}

/// Root takes the key that the server offers: the way out when the private half of the one before is lost.
///
/// # Errors
/// When no such key is offered, no reason is given, or the ledger can't be written.
pub(crate) fn trust(core: &Core, name: &str, by: &str, comment: &str) -> Result<String, Refused> {
    let comment = comment.trim();
    if comment.is_empty() || comment.len() > LONGEST_COMMENT {
        return Err(Refused(format!("say why, in up to {LONGEST_COMMENT} bytes: --comment TEXT")));
    }
    // Not held: who tells of a key has the ledger's lock first.
    let offered = *core.brake.offered.lock();
    let Some(key) = offered else {
        return Err(Refused(
            "the server offers no other operator key than the one that counts here already: `quell agent status` shows it"
                .to_owned(),
        ));
    };
    let its_name = fingerprint(&key);
    if !its_name.eq_ignore_ascii_case(name.trim()) {
        return Err(Refused(format!(
            "the server offers the operator key {its_name}: compare it with what `quell operator key` shows where the key is"
        )));
    }
    core.ledger.lock().pin_operator_key(key).map_err(|error| {
        Refused(format!(
            "the ledger can't be written: {error}; the key before counts on. Make room and try again"
        ))
    })?;
    *core.brake.offered.lock() = None;
    tracing::warn!(key = its_name, by, comment, "root has taken another operator key");
    core.nudge(Nudge::Changed);
    Ok(its_name)
}
