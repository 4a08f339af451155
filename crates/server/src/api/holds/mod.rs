//! What waits for approval, our own: `/api/quell/holds` and `/api/quell/approvals`.

pub(super) mod approve;
pub(super) mod list;

use model::OrganizationId;
use wire::rest::Hold;

use crate::store::HeldThere;

/// As the API shows them.
pub(super) fn shapes(organization: OrganizationId, holds: &[HeldThere]) -> Vec<Hold> {
    let shape = |there: &HeldThere| Hold::new(organization, there.machine, &there.machine_name, &there.hold);
    holds.iter().map(shape).collect()
}
