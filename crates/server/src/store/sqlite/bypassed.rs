//! A user of a machine went past a rule that warns. Nothing changes but the audit.

use model::bypass::Bypass;
use model::{MachineId, OrganizationId, RuleId};

use super::audit::{self, Actor};
use super::tx::Tx;
use super::{machines, organizations};
use crate::store::StoreError;

pub(in crate::store) fn note(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    bypass: &Bypass,
    rule: RuleId,
    comment: &str,
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    let (_, known) = machines::known(tx, organization, machine)?;
    let by = Actor::user(&known.name, bypass.user);
    let subject = format!("rule {rule}, file {}, until {}", bypass.sha256, wire::rest::Stamp(bypass.until));
    Ok(audit::write(tx, organization, &by, "rule.bypass", &subject, comment)?)
}
