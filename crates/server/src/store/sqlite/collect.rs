//! Collect: a copy's bytes come from its machine to where samples are kept.

use model::act::{Act, Do};
use model::log::Position;
use model::order::{Inverse, Order, State, Want};
use model::{ActId, Digests, FileId, Generation, MachineId, OrderId, OrganizationId, Sha256};
use rusqlite::{Connection, OptionalExtension, params};

use super::acts::{self, Kept};
use super::audit::{self, Actor};
use super::columns::{guid, int, of_file, uint};
use super::organizations::{self, Organization};
use super::quarantine::TIME_TO_BEGIN;
use super::tx::Tx;
use super::{files, machines, orders};
use crate::samples::{Limits, bytes};
use crate::store::{Caller, KeptSamples, Offer, Sample, StoreError, SubmitError};

/// One transaction: order and act. What can't be kept is refused before a machine reads it.
pub(in crate::store) fn collect(
    tx: &Tx<'_>,
    by: &Caller,
    machine: MachineId,
    file: FileId,
    comment: &str,
    limits: Limits,
) -> Result<Order, SubmitError> {
    let (organization, number) = orders::may_act(tx, by, machine, file, orders::COLLECTS)?;
    let org = organization.number;
    if sample_of(tx, org, file)?.is_none()
        && let Some(size) = size_of(tx, org, file)?
        && let Some(why) = no_room(tx, org, size, limits, None)?
    {
        return Err(SubmitError::NoRoom(why));
    }
    let new = orders::New {
        id: OrderId::random(),
        want: Want::Collect(machine, file),
        machine: Some(number),
        undoes: None,
        by,
        comment,
        state: State::Pending,
        rule: None,
        generation: Generation::default(),
    };
    orders::insert(tx, org, &new)?;
    let act = Act {
        id: ActId::random(),
        order: new.id,
        machine,
        what: Do::Collect(file),
        // It needs no rule.
        after: Position::default(),
        deadline: tx.now.after(TIME_TO_BEGIN),
    };
    acts::insert(tx, &organization, number, &act, file)?;
    Ok(orders::made(tx, &organization, new.id)?)
}

fn size_of(connection: &Connection, organization: i64, file: FileId) -> rusqlite::Result<Option<u64>> {
    let (column, name) = of_file(&file);
    connection
        .prepare_cached(&format!(
            "SELECT max(size) AS size FROM file WHERE organization = ?1 AND {column} = ?2"
        ))?
        .query_row(params![organization, name], |row| {
            Ok(row.get::<_, Option<i64>>("size")?.map(i64::unsigned_abs))
        })
}

/// Why a sample of that size can't be kept, if so. What `act` has taken already counts once.
fn no_room(
    connection: &Connection,
    organization: i64,
    size: u64,
    limits: Limits,
    act: Option<i64>,
) -> rusqlite::Result<Option<String>> {
    if size > limits.largest {
        return Ok(Some(format!(
            "The file has {}, and samples of at most {} are kept: start the server with a greater --largest-sample",
            bytes(size),
            bytes(limits.largest)
        )));
    }
    let taken: i64 = connection
        .prepare_cached(
            "SELECT coalesce((SELECT sum(size) FROM sample WHERE organization = ?1), 0)
                  + coalesce((SELECT sum(size) FROM upload WHERE organization = ?1 AND act IS NOT ?2), 0)",
        )?
        .query_row(params![organization, act], |row| row.get(0))?;
    let free = limits.quota.saturating_sub(taken.unsigned_abs());
    Ok((size > free).then(|| {
        format!(
            "The file has {}, and of the {} for samples {} are free: undo orders that collected some, or start \
             the server with a greater --sample-quota",
            bytes(size),
            bytes(limits.quota),
            bytes(free)
        )
    }))
}

/// A machine has a copy and wants to send it.
pub(in crate::store) fn offered(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    id: ActId,
    digests: &Digests,
    size: u64,
    limits: Limits,
) -> Result<Offer, StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    let (act, file) = wanted(tx, organization, machine, id)?;
    if !file.names(digests) {
        return Ok(Offer::Refused(format!("The machine offers file {} in place of {file}", digests.sha256)));
    }
    if act.state.is_final() {
        return Ok(Offer::Refused(format!("The order has ended already, {}", act.state.word())));
    }
    if sample_of(tx, organization, FileId::Sha256(digests.sha256))?.is_some() {
        brought(tx, organization, act.order, digests.sha256)?;
        return Ok(Offer::Here);
    }
    if let Some(why) = no_room(tx, organization, size, limits, Some(act.number))? {
        return Ok(Offer::Refused(why));
    }
    tx.prepare_cached(
        "INSERT OR REPLACE INTO upload (act, organization, id, sha256, size) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![act.number, organization, id.0.as_bytes(), digests.sha256.0, int(size)])?;
    Ok(Offer::Wanted)
}

fn wanted(
    connection: &Connection,
    organization: i64,
    machine: MachineId,
    id: ActId,
) -> Result<(Kept, FileId), StoreError> {
    let (number, _) = machines::known(connection, organization, machine)?;
    match acts::find(connection, organization, number, id)? {
        Some(act) if let Do::Collect(file) = act.what => Ok((act, file)),
        _ => Err(StoreError::Refused(format!("machine {machine} has no order to collect by act {id}"))),
    }
}

/// The bytes are where samples are kept, and are what was announced.
pub(in crate::store) fn stored(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    id: ActId,
    sha256: Sha256,
    size: u64,
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    let (number, known) = machines::known(tx, organization, machine)?;
    let (act, _) = wanted(tx, organization, machine, id)?;
    tx.prepare_cached(
        "INSERT OR IGNORE INTO sample (organization, sha256, size, stored, machine) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![organization, sha256.0, int(size), tx.now.ticks(), number])?;
    brought(tx, organization, act.order, sha256)?;
    tx.prepare_cached("DELETE FROM upload WHERE act = ?1")?.execute([act.number])?;
    let by = Actor::agent(&known.name);
    Ok(audit::write(tx, organization, &by, "sample.stored", &sha256.to_string(), &bytes(size))?)
}

fn brought(tx: &Tx<'_>, organization: i64, order: OrderId, sha256: Sha256) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO sample_order (organization, sha256, \"order\") VALUES (?1, ?2, ?3)",
    )?
    .execute(params![organization, sha256.0, order.0.as_bytes()])
    .map(drop)
}

/// An act to collect has ended: its room is free again, and what came of it is no sample.
pub(super) fn ended(tx: &Tx<'_>, act: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM upload WHERE act = ?1")?.execute([act]).map(drop)
}

/// Whether an order has brought its sample.
pub(super) fn is_here(
    connection: &Connection,
    organization: i64,
    order: OrderId,
) -> rusqlite::Result<Option<Sha256>> {
    connection
        .prepare_cached("SELECT sha256 FROM sample_order WHERE organization = ?1 AND \"order\" = ?2")?
        .query_row(params![organization, order.0.as_bytes()], |row| Ok(Sha256(row.get("sha256")?)))
        .optional()
}

fn sample_of(connection: &Connection, organization: i64, file: FileId) -> rusqlite::Result<Option<Sample>> {
    let names = match file {
        FileId::Sha256(sha256) => vec![sha256],
        FileId::Sha1(_) => {
            files::named(connection, organization, file)?.iter().map(|digests| digests.sha256).collect()
        }
    };
    let mut find = connection
        .prepare_cached("SELECT sha256, size FROM sample WHERE organization = ?1 AND sha256 = ?2")?;
    for name in names {
        let found = find
            .query_row(params![organization, name.0], |row| {
                Ok(Sample { sha256: Sha256(row.get("sha256")?), size: uint(row, "size")? })
            })
            .optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Whoever reads a sample stands in the audit before he has it.
pub(in crate::store) fn read(tx: &Tx<'_>, by: &Caller, file: FileId) -> Result<Option<Sample>, StoreError> {
    let organization = organizations::get(tx, by.organization)?.number;
    let Some(sample) = sample_of(tx, organization, file)? else { return Ok(None) };
    audit::write(
        tx,
        organization,
        &by.into(),
        "sample.read",
        &sample.sha256.to_string(),
        &bytes(sample.size),
    )?;
    Ok(Some(sample))
}

/// What the undo of an order to collect would do.
pub(super) fn inverse(
    connection: &Connection,
    organization: i64,
    order: &Order,
    machine: MachineId,
    file: FileId,
) -> Result<Inverse, SubmitError> {
    let not = |why: &str| Err(SubmitError::NotUndoable(format!("Order {} {why}", order.id)));
    if !order.state.is_final() {
        return not("is still open: wait until it has ended and undo it then, or cancel it");
    }
    let Some(sha256) = is_here(connection, organization, order.id)? else {
        return not("has no sample here: there is nothing to undo");
    };
    let kept_by = connection
        .prepare_cached(
            "SELECT \"order\" FROM sample_order WHERE organization = ?1 AND sha256 = ?2 AND \"order\" <> ?3",
        )?
        .query_map(params![organization, sha256.0, order.id.0.as_bytes()], |row| {
            Ok(OrderId(guid(row, "order")?))
        })?
        .collect::<Result<_, _>>()?;
    Ok(Inverse { want: Want::Discard(machine, file), copies: 0, ends: None, kept_by })
}

/// Undoes an order to collect: the sample is deleted, unless another order has brought it too.
pub(super) fn discard(
    tx: &Tx<'_>,
    organization: &Organization,
    by: &Caller,
    original: &Order,
    inverse: &Inverse,
    comment: &str,
) -> Result<OrderId, SubmitError> {
    let org = organization.number;
    let sha256 = is_here(tx, org, original.id)?.ok_or(SubmitError::UnknownOrder)?;
    tx.prepare_cached("DELETE FROM sample_order WHERE organization = ?1 AND \"order\" = ?2")?
        .execute(params![org, original.id.0.as_bytes()])?;
    let machine =
        original.want.machine().map(|machine| machines::find(tx, org, machine)).transpose()?.flatten();
    let new = orders::New {
        id: OrderId::random(),
        want: inverse.want,
        machine: machine.map(|(number, _)| number),
        undoes: Some(original.id),
        by,
        comment,
        state: State::Succeeded,
        rule: None,
        generation: Generation::default(),
    };
    orders::insert(tx, org, &new)?;
    if inverse.kept_by.is_empty() {
        tx.prepare_cached("DELETE FROM sample WHERE organization = ?1 AND sha256 = ?2")?
            .execute(params![org, sha256.0])?;
        audit::write(tx, org, &by.into(), "sample.delete", &sha256.to_string(), comment)?;
    }
    Ok(new.id)
}

/// The samples there are, and those on their way: nothing else is to lie where samples are kept.
pub(in crate::store) fn kept(connection: &Connection) -> Result<KeptSamples, StoreError> {
    let mut samples = connection.prepare_cached(
        "SELECT o.id, s.sha256 FROM sample s JOIN organization o ON o.number = s.organization
         UNION SELECT o.id, u.sha256 FROM upload u JOIN organization o ON o.number = u.organization",
    )?;
    let samples = samples
        .query_map([], |row| Ok((OrganizationId(guid(row, "id")?), Sha256(row.get("sha256")?))))?
        .collect::<Result<_, _>>()?;
    let mut coming = connection.prepare_cached("SELECT id FROM upload")?;
    let coming = coming.query_map([], |row| Ok(ActId(guid(row, "id")?)))?.collect::<Result<_, _>>()?;
    Ok(KeptSamples { samples, coming })
}
