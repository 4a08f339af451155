//! How far rules have come: which machines have adopted them, and which orders that completes.

use model::log::Position;
use model::order::State;
use model::{MachineId, OrderId, OrganizationId};
use rusqlite::params;

use super::audit::Actor;
use super::columns::{guid, int};
use super::organizations::{self, Organization};
use super::tx::Tx;
use super::{machines, orders};
use crate::store::StoreError;

/// A machine has adopted the rules up to `position`.
pub(in crate::store) fn adopted(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    position: Position,
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?;
    let (number, known) = machines::known(tx, organization.number, machine)?;
    if position.epoch != organization.head.epoch || position.generation > organization.head.generation {
        return Err(StoreError::Refused(format!(
            "machine {machine} says it adopted generation {} of log {}, which this log does not have",
            position.generation, position.epoch
        )));
    }
    tx.prepare_cached("UPDATE machine SET epoch = ?2, generation = ?3, last_seen = ?4 WHERE number = ?1")?
        .execute(params![number, int(position.epoch.0), int(position.generation.0), tx.now.ticks()])?;
    settle(tx, &organization, &Actor::agent(&known.name))
}

/// Ends the orders about everyone's rules that every machine now has.
pub(super) fn settle(tx: &Tx<'_>, organization: &Organization, by: &Actor) -> Result<(), StoreError> {
    // One machine with another log has none of these rules; otherwise the hindmost decides. Both are one step
    // in an index, since this runs at each adoption of each machine.
    let elsewhere: bool = tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM machine WHERE organization = ?1 AND epoch < ?2)
                 OR EXISTS (SELECT 1 FROM machine WHERE organization = ?1 AND epoch > ?2)",
        )?
        .query_row(params![organization.number, int(organization.head.epoch.0)], |row| row.get(0))?;
    if elsewhere {
        return Ok(());
    }
    let done = tx
        .prepare_cached(
            "SELECT id FROM \"order\" WHERE organization = ?1 AND machine IS NULL
                 AND state IN ('Pending', 'InProgress')
                 AND generation <= (SELECT min(generation) FROM machine WHERE organization = ?1 AND epoch = ?2)
                 AND (want <> 'block'
                      OR NOT EXISTS (SELECT 1 FROM hold h WHERE h.organization = ?1 AND h.rule = \"order\".rule))
             ORDER BY number",
        )?
        .query_map(params![organization.number, int(organization.head.epoch.0)], |row| {
            Ok(OrderId(guid(row, "id")?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    for order in done {
        orders::step(tx, organization.number, order, State::Succeeded, None, by)?;
    }
    Ok(())
}
