//! Root on a machine brought a copy back: that machine's own deny ends.

use model::rule::Scope;
use model::{MachineId, OrganizationId, RuleId};

use super::audit::Actor;
use super::rules::{self, Cause};
use super::tx::Tx;
use super::{machines, organizations};
use crate::store::StoreError;

/// Takes the machine's word for it. Told twice it changes nothing. A machine has no say about rules that hold
/// elsewhere too.
pub(in crate::store) fn take(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    rule: RuleId,
    comment: &str,
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    let (_, known) = machines::known(tx, organization, machine)?;
    let by = &Actor::root(&known.name);
    let own = rules::get(tx, organization, rule)?
        .filter(|standing| standing.rule.scope == Scope::Machine(machine))
        .ok_or_else(|| StoreError::Refused(format!("rule {rule} is not machine {machine}'s own")))?;
    if own.ended.is_none() {
        rules::end(tx, organization, &own.rule, &Cause { by, comment })?;
    }
    Ok(())
}
