//! The undo of a quarantine.

use model::OrderId;
use model::act::{Act, Outcome};

use super::{Grounds, Moment, failed, succeeded};

/// Brings back every copy that the order `of` took. One that is home already is no failure. `step` hears of the
/// vault's steps when they are done.
pub fn restore(grounds: &Grounds, act: &Act, of: OrderId, step: &mut dyn FnMut(Moment)) -> Outcome {
    let vault = &grounds.vault;
    let home = vault.restored().into_iter().filter(|home| home.order == of);
    let mut copies: Vec<_> = home.map(|home| succeeded(home.path, None)).collect();
    copies.extend(vault.of_order(of).into_iter().map(
        |resting| match vault.restore(resting.id, &mut |at| step(Moment::Vault(at))) {
            Ok(path) => succeeded(path, None),
            Err(refusal) => failed(resting.path, refusal.to_string(), Some(resting.id)),
        },
    ));
    Outcome { act: act.id, copies, stopped: 0, failure: None }
}
