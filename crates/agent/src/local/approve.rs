//! Root lets go on what the brake holds.

use model::HoldId;
use wire::link::v1;

use super::{Holds, Reply};
use crate::brake;
use crate::core::Core;

/// Told at one time; more is told when these are gone.
const MOST: usize = 1000;
/// Who says so is named in no more bytes.
const LONGEST_NAME: usize = 100;

/// What waits.
pub(super) fn holds(core: &Core) -> Holds {
    let ledger = core.ledger.lock();
    let (organization, machine) = ledger.whose();
    let mut holds = ledger.holds();
    holds.truncate(MOST);
    Holds { organization, machine, holds }
}

/// Lets one thing go on, or everything. `by` is what root calls himself.
pub(super) fn approve(core: &Core, hold: Option<HoldId>, by: &str, comment: &str) -> Reply {
    let by = name_of(by);
    let all = holds(core);
    let wanted = hold.map_or_else(|| all.holds.iter().map(|hold| hold.id).collect(), |hold| vec![hold]);
    if wanted.is_empty() {
        return Reply::Refused("nothing waits for approval on this machine".to_owned());
    }
    let mut approved = Vec::new();
    for id in wanted {
        match brake::approve(core, id, &by, comment) {
            Ok(hold) => approved.push(hold),
            Err(refused) if approved.is_empty() => return Reply::Refused(refused.to_string()),
            Err(refused) => {
                let count = approved.len();
                return Reply::Refused(format!("{count} were approved; then: {refused}"));
            }
        }
    }
    Reply::Approved(Holds { holds: approved, ..all })
}

/// Lets go on what the operator key has signed.
pub(super) fn signed(core: &Core, signed: &v1::SignedApproval) -> Reply {
    match brake::approve_signed(core, signed) {
        Ok(hold) => Reply::Approved(Holds { holds: vec![hold], ..holds(core) }),
        Err((_, refused)) => Reply::Refused(refused.to_string()),
    }
}

/// Takes the operator key that the server offers.
pub(super) fn trust_key(core: &Core, name: &str, by: &str, comment: &str) -> Reply {
    match brake::trust(core, name, &name_of(by), comment) {
        Ok(name) => Reply::TrustedKey(name),
        Err(refused) => Reply::Refused(refused.to_string()),
    }
}

fn name_of(by: &str) -> String {
    let by: String = by.chars().filter(|letter| !letter.is_control()).take(LONGEST_NAME).collect();
    if by.is_empty() { "root".to_owned() } else { by }
}
