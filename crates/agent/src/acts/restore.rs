//! The undo of a quarantine.

use model::OrderId;
use model::act::{Act, CopyResult, Outcome};

use super::failing::Code;
use super::{Grounds, Moment, failed, succeeded};
use crate::vault::Vault;

/// Brings back every copy that the order `of` took. One that is home already is no failure. `step` hears of the
/// vault's steps when they are done.
pub fn restore(grounds: &Grounds, act: &Act, of: OrderId, step: &mut dyn FnMut(Moment)) -> Outcome {
    let vault = &grounds.vault;
    vault.settle();
    let mut code = Code::default();
    let mut copies = restored_before(vault, of);
    copies.extend(vault.of_order(of).into_iter().map(|resting| {
        match vault.restore(resting.id, &mut |at| step(Moment::Vault(at))) {
            Ok(path) => succeeded(path, None),
            Err(refusal) => {
                code.note(&refusal);
                failed(resting.path, refusal.to_string(), Some(resting.id))
            }
        }
    }));
    let failure = code.failure(&copies, []);
    Outcome { act: act.id, copies, stopped: 0, services: Vec::new(), failure }
}

/// What is home already of what an order took.
pub(super) fn restored_before(vault: &Vault, of: OrderId) -> Vec<CopyResult> {
    let home = vault.restored().into_iter().filter(|home| home.order == of);
    home.map(|home| succeeded(home.path, None)).collect()
}
