//! What waits for approval, our own: `/api/quell/holds` and `/api/quell/approvals`.

pub(super) mod approve;
pub(super) mod list;
pub(super) mod show;

use model::OrganizationId;
use wire::rest::Hold;

use crate::store::{Answered, HeldThere};

/// As the API shows them.
pub(super) fn shapes(organization: OrganizationId, holds: &[HeldThere]) -> Vec<Hold> {
    holds.iter().map(|there| shape(organization, there)).collect()
}

fn shape(organization: OrganizationId, there: &HeldThere) -> Hold {
    let shape = Hold::new(organization, there.machine, &there.machine_name, &there.hold);
    match &there.answered {
        Answered::NotAsked => shape,
        Answered::NotYet => shape.on_its_way(),
        Answered::Refused { at, why } => shape.refused(*at, why.clone()),
    }
}
