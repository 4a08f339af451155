//! Enrolled machines.

use model::log::Position;
use model::{FileId, MachineId, OrganizationId, Time};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::audit::{self, Actor};
use super::columns::{int, lines, of_file, of_lines, of_paths, paths, position, time, uint};
use super::organizations;
use super::tx::Tx;
use crate::store::{Attach, Attached, Machine, Report, StoreError};

fn read(row: &Row<'_>) -> rusqlite::Result<Machine> {
    Ok(Machine {
        id: MachineId(row.get("id")?),
        name: row.get("name")?,
        os_platform: row.get("os_platform")?,
        os_version: row.get("os_version")?,
        kernel: row.get("kernel")?,
        architecture: row.get("architecture")?,
        agent_version: row.get("agent_version")?,
        addresses: lines(row, "addresses")?,
        first_seen: time(row, "first_seen")?,
        last_seen: time(row, "last_seen")?,
        position: position(row)?,
        guard_level: row.get("guard_level")?,
        guarded: paths(row, "guarded")?,
        first_sweep_complete: row.get("first_sweep_complete")?,
        operator_key: row.get("operator_key")?,
        attached: false,
    })
}

fn all(connection: &Connection, sql: &str, of: impl Params) -> Result<Vec<Machine>, StoreError> {
    let mut rows = connection.prepare_cached(sql)?;
    Ok(rows.query_map(of, read)?.collect::<Result<_, _>>()?)
}

/// Every machine of the organization, by name.
pub(in crate::store) fn list(
    connection: &Connection,
    organization: OrganizationId,
) -> Result<Vec<Machine>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    all(connection, "SELECT * FROM machine WHERE organization = ?1 ORDER BY name, id", [organization])
}

/// One machine.
pub(in crate::store) fn get(
    connection: &Connection,
    organization: OrganizationId,
    id: MachineId,
) -> Result<Option<Machine>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    Ok(find(connection, organization, id)?.map(|(_, machine)| machine))
}

/// The machines that a file was seen on, by name.
pub(in crate::store) fn with(
    connection: &Connection,
    organization: OrganizationId,
    file: FileId,
) -> Result<Vec<Machine>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    let (column, name) = of_file(&file);
    let sql = format!(
        "SELECT * FROM machine WHERE number IN (
             SELECT p.machine FROM file f JOIN pair p ON p.file = f.number
             WHERE f.organization = ?1 AND f.{column} = ?2)
         ORDER BY name, id"
    );
    all(connection, &sql, params![organization, name])
}

/// A machine and its number.
pub(super) fn find(
    connection: &Connection,
    organization: i64,
    id: MachineId,
) -> rusqlite::Result<Option<(i64, Machine)>> {
    connection
        .prepare_cached("SELECT * FROM machine WHERE organization = ?1 AND id = ?2")?
        .query_row(params![organization, id.0], |row| Ok((row.get("number")?, read(row)?)))
        .optional()
}

/// A machine that must be there, and its number.
pub(super) fn known(
    connection: &Connection,
    organization: i64,
    id: MachineId,
) -> Result<(i64, Machine), StoreError> {
    find(connection, organization, id)?.ok_or(StoreError::UnknownMachine)
}

/// Adds a machine; one that is known stays as it is.
pub(in crate::store) fn enroll(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    name: &str,
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    if find(tx, organization, machine)?.is_none() {
        insert(tx, organization, machine, name)?;
        audit::write(tx, organization, &Actor::quell(), "machine.enroll", &machine.to_string(), name)?;
    }
    Ok(())
}

/// A new machine's row; its number comes back.
pub(super) fn insert(
    tx: &Tx<'_>,
    organization: i64,
    machine: MachineId,
    name: &str,
) -> rusqlite::Result<i64> {
    tx.prepare_cached(
        "INSERT INTO machine (organization, id, name, first_seen, last_seen) VALUES (?1, ?2, ?3, ?4, ?4)",
    )?
    .insert(params![organization, machine.0, name, tx.now.ticks()])
}

/// A machine presents itself: what it says of itself is taken over.
pub(in crate::store) fn attach(tx: &Tx<'_>, hello: &Attach) -> Result<Attached, StoreError> {
    let organization = organizations::get(tx, hello.organization)?.number;
    let (number, before) = known(tx, organization, hello.machine)?;
    // What its ledger holds is not in force yet, so it counts only when it is less than what was: the machine
    // says itself what it has adopted, right after it was told today's rules.
    let at = if hello.position.epoch == before.position.epoch {
        before.position.min(hello.position)
    } else {
        Position::default()
    };
    tx.prepare_cached(
        "UPDATE machine SET name = ?2, os_platform = ?3, os_version = ?4, kernel = ?5, architecture = ?6,
             agent_version = ?7, addresses = ?8, last_seen = ?9, epoch = ?10, generation = ?11
         WHERE number = ?1",
    )?
    .execute(params![
        number,
        hello.host_name,
        hello.os_platform,
        hello.os_version,
        hello.kernel,
        hello.architecture,
        hello.agent_version,
        of_lines(&hello.addresses),
        tx.now.ticks(),
        int(at.epoch.0),
        int(at.generation.0),
    ])?;
    let (_, machine) = known(tx, organization, hello.machine)?;
    let ingested = tx
        .prepare_cached("SELECT ingested FROM machine WHERE number = ?1")?
        .query_row([number], |row| uint(row, "ingested"))?;
    Ok(Attached { machine, ingested })
}

/// A machine says how its guard is.
pub(in crate::store) fn report(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    report: &Report,
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    let (number, before) = known(tx, organization, machine)?;
    if before.operator_key != report.operator_key {
        let by = Actor::agent(&before.name);
        audit::write(
            tx,
            organization,
            &by,
            "machine.operator-key",
            &machine.to_string(),
            &report.operator_key,
        )?;
    }
    tx.prepare_cached(
        "UPDATE machine SET guard_level = ?2, guarded = ?3, first_sweep_complete = ?4, last_seen = ?5,
             operator_key = ?6
         WHERE number = ?1",
    )?
    .execute(params![
        number,
        report.guard_level,
        of_paths(&report.guarded),
        report.first_sweep_complete,
        tx.now.ticks(),
        report.operator_key,
    ])?;
    Ok(())
}

/// A machine was heard of.
pub(in crate::store) fn heard(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    at: Time,
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    tx.prepare_cached(
        "UPDATE machine SET last_seen = max(last_seen, ?3) WHERE organization = ?1 AND id = ?2",
    )?
    .execute(params![organization, machine.0, at.ticks()])?;
    Ok(())
}
