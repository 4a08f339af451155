//! The undo of a quarantine.

use model::OrderId;
use model::act::{Act, CopyResult, Outcome, Terms};

use super::failing::Code;
use super::{Grounds, Moment, between, failed, succeeded};
use crate::vault::{Returned, Vault, Which};

/// Brings back every copy that the order `of` took. One that is home already is no failure. `step` hears of the
/// vault's steps when they are done.
pub fn restore(
    grounds: &Grounds,
    act: &Act,
    of: OrderId,
    terms: Terms,
    step: &mut dyn FnMut(Moment),
) -> Outcome {
    let vault = &grounds.vault;
    vault.settle();
    let mut code = Code::default();
    let mut copies = restored_before(vault, of);
    copies.extend(vault.chosen(Which::Order(of)).into_iter().map(|resting| {
        match vault.restore(resting.id, terms, &mut |at| step(Moment::Vault(at))) {
            Ok(returned) => home(returned),
            Err(refusal) => {
                code.note(&refusal);
                failed(resting.path, refusal.to_string(), Some(resting.id))
            }
        }
    }));
    copies.extend(vault.removed(of).into_iter().map(|(path, refusal)| {
        code.note(&refusal);
        failed(path, refusal.to_string(), None)
    }));
    let failure = code.failure(&copies, []);
    Outcome { act: act.id, copies, stopped: 0, services: Vec::new(), failure }
}

/// Of what an order took, what is home already, and what nobody can bring home now.
pub(super) fn restored_before(vault: &Vault, of: OrderId) -> Vec<CopyResult> {
    let between = between(vault, |resting| resting.order == of);
    vault.restored(of).into_iter().map(home).chain(between).collect()
}

fn home(returned: Returned) -> CopyResult {
    let reason = returned.remark();
    CopyResult { reason, ..succeeded(returned.path, None) }
}
