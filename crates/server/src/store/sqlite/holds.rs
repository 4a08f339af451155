//! What machines hold back until somebody approves it, and approvals on their way there.

use std::collections::HashSet;
use std::time::Duration;

use model::hold::{Approval, Hold};
use model::{ActId, HoldId, MachineId, OrderId, OrganizationId};
use rusqlite::{Connection, OptionalExtension, Row, params};
use wire::link::holds as link;

use super::audit::{self, Actor};
use super::columns::{guid, int, time};
use super::tx::Tx;
use super::{coverage, machines, organizations};
use crate::hints::Hint;
use crate::store::{Answered, Caller, HeldThere, HoldEnd, StoreError};

/// How long is known how something ended that was held.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Replaces what a machine has told before. Orders whose rule waits nowhere any more may end.
pub(in crate::store) fn replace(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    holds: &[Hold],
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?;
    let (number, known) = machines::known(tx, organization.number, machine)?;
    let by = Actor::agent(&known.name);
    let before: HashSet<HoldId> = ids(tx, number)?;
    let now: HashSet<HoldId> = holds.iter().map(|hold| hold.id).collect();
    for gone in before.difference(&now) {
        tx.prepare_cached(
            "INSERT OR REPLACE INTO hold_ended (organization, machine, id, at, approved_by)
             SELECT organization, machine, id, ?3, approved_by FROM hold WHERE machine = ?1 AND id = ?2",
        )?
        .execute(params![number, gone.0.as_bytes(), tx.now.ticks()])?;
        tx.prepare_cached("DELETE FROM hold WHERE machine = ?1 AND id = ?2")?
            .execute(params![number, gone.0.as_bytes()])?;
        tx.prepare_cached("DELETE FROM approval WHERE machine = ?1 AND hold = ?2")?
            .execute(params![number, gone.0.as_bytes()])?;
        audit::write(tx, organization.number, &by, "hold.end", &gone.to_string(), "")?;
    }
    for hold in holds.iter().filter(|hold| !before.contains(&hold.id)) {
        tx.prepare_cached(
            "INSERT INTO hold (organization, machine, id, rule, act, said) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            organization.number,
            number,
            hold.id.0.as_bytes(),
            hold.what.rule().map(|rule| int(rule.0)),
            hold.what.act().map(|act| act.0.into_bytes()),
            link::hold_bytes(hold),
        ])?;
        let about = match (hold.what.rule(), hold.what.act()) {
            (Some(rule), _) => format!("rule {rule}"),
            (_, Some(act)) => format!("act {act}"),
            (None, None) => String::new(),
        };
        audit::write(tx, organization.number, &by, "hold.begin", &format!("{} {about}", hold.id), "")?;
    }
    tx.prepare_cached("DELETE FROM hold_ended WHERE at < ?1")?
        .execute([tx.now.before(REMEMBERED).ticks()])?;
    coverage::settle(tx, &organization, &by)
}

fn ids(tx: &Tx<'_>, machine: i64) -> rusqlite::Result<HashSet<HoldId>> {
    tx.prepare_cached("SELECT id FROM hold WHERE machine = ?1")?
        .query_map([machine], |row| Ok(HoldId(guid(row, "id")?)))?
        .collect()
}

/// A machine says that somebody let go on what it held.
pub(in crate::store) fn approved(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    hold: &Hold,
    who: &str,
    comment: &str,
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    let (number, known) = machines::known(tx, organization, machine)?;
    let by = Actor { who: format!("{who} on {}", known.name), from: String::new() };
    // Whichever it is by now.
    for table in ["hold", "hold_ended"] {
        tx.prepare_cached(&format!("UPDATE {table} SET approved_by = ?3 WHERE machine = ?1 AND id = ?2"))?
            .execute(params![number, hold.id.0.as_bytes(), who])?;
    }
    let about = match (hold.what.rule(), hold.what.act()) {
        (Some(rule), _) => format!("rule {rule}"),
        (_, Some(act)) => format!("act {act}"),
        (None, None) => String::new(),
    };
    let subject = format!("{} {about} on {machine}", hold.id);
    Ok(audit::write(tx, organization, &by, "hold.approved", &subject, comment)?)
}

/// Somebody brings a signed approval; the machine decides about it.
pub(in crate::store) fn approve(
    tx: &Tx<'_>,
    by: &Caller,
    approval: &Approval,
    said: &[u8],
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, by.organization)?;
    let (number, _) = machines::known(tx, organization.number, approval.machine)?;
    let hold = approval.hold;
    if !ids(tx, number)?.contains(&hold) {
        return Err(StoreError::Refused(format!(
            "nothing waits under {hold} on machine {}",
            approval.machine
        )));
    }
    tx.prepare_cached(
        "INSERT OR REPLACE INTO approval (organization, machine, hold, said, at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![organization.number, number, hold.0.as_bytes(), said, tx.now.ticks()])?;
    // What the machine has said of another one is no answer to this.
    tx.prepare_cached("UPDATE hold SET refused = NULL, refused_at = NULL WHERE machine = ?1 AND id = ?2")?
        .execute(params![number, hold.0.as_bytes()])?;
    let subject = format!("{hold} on {}", approval.machine);
    audit::write(tx, organization.number, &by.into(), "hold.approve", &subject, &approval.comment)?;
    tx.hint(Hint::ActsChanged(organization.id, approval.machine));
    Ok(())
}

/// A machine did not take an approval, and why: it is not sent again.
pub(in crate::store) fn refused(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    hold: HoldId,
    why: &str,
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    let (number, known) = machines::known(tx, organization, machine)?;
    tx.prepare_cached("DELETE FROM approval WHERE machine = ?1 AND hold = ?2")?
        .execute(params![number, hold.0.as_bytes()])?;
    tx.prepare_cached("UPDATE hold SET refused = ?3, refused_at = ?4 WHERE machine = ?1 AND id = ?2")?
        .execute(params![number, hold.0.as_bytes(), why, tx.now.ticks()])?;
    let by = Actor::agent(&known.name);
    Ok(audit::write(tx, organization, &by, "hold.refused", &format!("{hold} on {machine}"), why)?)
}

/// No approval that is on its way counts any more, and why.
pub(super) fn disown_approvals(tx: &Tx<'_>, organization: i64, why: &str) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE hold SET refused = ?2, refused_at = ?3
         WHERE organization = ?1
             AND EXISTS (SELECT 1 FROM approval a WHERE a.machine = hold.machine AND a.hold = hold.id)",
    )?
    .execute(params![organization, why, tx.now.ticks()])?;
    tx.prepare_cached("DELETE FROM approval WHERE organization = ?1")?.execute([organization]).map(drop)
}

/// The approvals that a machine has not heard of, or not answered.
pub(in crate::store) fn approvals(
    connection: &Connection,
    organization: OrganizationId,
    machine: MachineId,
) -> Result<Vec<(HoldId, Vec<u8>)>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    let (number, _) = machines::known(connection, organization, machine)?;
    let mut rows = connection.prepare_cached("SELECT hold, said FROM approval WHERE machine = ?1")?;
    let approvals = rows.query_map([number], |row| Ok((HoldId(guid(row, "hold")?), row.get("said")?)))?;
    Ok(approvals.collect::<Result<_, _>>()?)
}

const COLUMNS: &str = "SELECT h.said, h.refused, h.refused_at, m.id AS machine_id, m.name AS machine_name,
         EXISTS (SELECT 1 FROM approval a WHERE a.machine = h.machine AND a.hold = h.id) AS is_on_its_way
     FROM hold h JOIN machine m ON m.number = h.machine";

fn read(row: &Row<'_>) -> rusqlite::Result<Option<HeldThere>> {
    let said: Vec<u8> = row.get("said")?;
    let (machine, machine_name) = (MachineId(row.get("machine_id")?), row.get("machine_name")?);
    let answered = match row.get::<_, Option<String>>("refused")? {
        Some(why) => Answered::Refused { at: time(row, "refused_at")?, why },
        None if row.get("is_on_its_way")? => Answered::NotYet,
        None => Answered::NotAsked,
    };
    Ok(link::hold_of_bytes(&said).ok().map(|hold| HeldThere { machine, machine_name, hold, answered }))
}

/// One thing that waits, on whichever machine; or how it ended, as long as that is known.
pub(in crate::store) fn get(
    connection: &Connection,
    organization: OrganizationId,
    id: HoldId,
) -> Result<Option<Result<HeldThere, HoldEnd>>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    let waiting = connection
        .prepare_cached(&format!("{COLUMNS} WHERE h.organization = ?1 AND h.id = ?2"))?
        .query_row(params![organization, id.0.as_bytes()], read)
        .optional()?;
    if let Some(waiting) = waiting.flatten() {
        return Ok(Some(Ok(waiting)));
    }
    let ended = connection
        .prepare_cached(
            "SELECT h.at, h.approved_by, m.id AS machine_id, m.name AS machine_name
             FROM hold_ended h JOIN machine m ON m.number = h.machine
             WHERE h.organization = ?1 AND h.id = ?2 ORDER BY h.at DESC LIMIT 1",
        )?
        .query_row(params![organization, id.0.as_bytes()], |row| {
            Ok(HoldEnd {
                id,
                machine: MachineId(row.get("machine_id")?),
                machine_name: row.get("machine_name")?,
                at: time(row, "at")?,
                approved_by: row.get("approved_by")?,
            })
        })
        .optional()?;
    Ok(ended.map(Err))
}

/// All that waits in the organization, at most 10,000.
pub(in crate::store) fn list(
    connection: &Connection,
    organization: OrganizationId,
) -> Result<Vec<HeldThere>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    let mut rows = connection
        .prepare_cached(&format!("{COLUMNS} WHERE h.organization = ?1 ORDER BY m.name, h.id LIMIT 10000"))?;
    let holds = rows.query_map([organization], read)?.collect::<Result<Vec<_>, _>>()?;
    Ok(holds.into_iter().flatten().collect())
}

/// Whether an act waits for approval, or the rule by which its machine denies first.
pub(super) fn hold_act(connection: &Connection, organization: i64, act: ActId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM hold WHERE organization = ?1 AND act = ?2)
                 OR EXISTS (SELECT 1 FROM act a JOIN \"order\" o ON o.organization = a.organization AND o.id = a.\"order\"
                            JOIN hold h ON h.organization = o.organization AND h.rule = o.rule AND h.machine = a.machine
                            WHERE a.organization = ?1 AND a.id = ?2)",
        )?
        .query_row(params![organization, act.0.as_bytes()], |row| row.get(0))
}

/// What keeps an order from its end.
pub(in crate::store) fn of_order(
    connection: &Connection,
    organization: OrganizationId,
    order: OrderId,
) -> Result<Vec<HeldThere>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    let mut rows = connection.prepare_cached(&format!(
        "{COLUMNS} WHERE h.organization = ?1 AND (
             h.rule = (SELECT rule FROM \"order\" WHERE organization = ?1 AND id = ?2)
             OR h.act IN (SELECT id FROM act WHERE organization = ?1 AND \"order\" = ?2))
         ORDER BY m.name, h.id LIMIT 1000"
    ))?;
    let holds = rows.query_map(params![organization, order.0.as_bytes()], read)?;
    Ok(holds.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}
