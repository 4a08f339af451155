//! The undo of a quarantine.

use model::OrderId;
use model::act::{Act, CopyResult, Outcome, Terms};

use super::{Grounds, failed, succeeded};
use crate::vault::{Returned, Which};

/// Brings back every copy that the order `of` took. One that is home already is no failure.
pub fn restore(grounds: &Grounds, act: &Act, of: OrderId, terms: Terms) -> Outcome {
    let vault = &grounds.vault;
    let mut copies: Vec<_> = vault.restored(of).into_iter().map(home).collect();
    copies.extend(vault.chosen(Which::Order(of)).into_iter().map(|resting| {
        match vault.restore(resting.id, terms, &mut |_| {}) {
            Ok(returned) => home(returned),
            Err(refusal) => failed(resting.path, refusal.to_string(), Some(resting.id)),
        }
    }));
    copies
        .extend(vault.removed(of).into_iter().map(|(path, refusal)| failed(path, refusal.to_string(), None)));
    Outcome { act: act.id, copies, stopped: 0, services: Vec::new(), failure: None }
}

fn home(returned: Returned) -> CopyResult {
    let reason = returned.remark();
    CopyResult { reason, ..succeeded(returned.path, None) }
}
