//! The undo of a quarantine.

use model::OrderId;
use model::act::{Act, Outcome};

use super::{Grounds, failed, succeeded};

/// Brings back every copy that the order `of` took. One that is home already is no failure.
pub fn restore(grounds: &Grounds, act: &Act, of: OrderId) -> Outcome {
    let vault = &grounds.vault;
    let home = vault.restored().into_iter().filter(|home| home.order == of);
    let mut copies: Vec<_> = home.map(|home| succeeded(home.path, None)).collect();
    copies.extend(vault.of_order(of).into_iter().map(
        |resting| match vault.restore(resting.id, &mut |_| {}) {
            Ok(path) => succeeded(path, None),
            Err(refusal) => failed(resting.path, refusal.to_string(), Some(resting.id)),
        },
    ));
    Outcome { act: act.id, copies, stopped: 0, services: Vec::new(), failure: None }
}
