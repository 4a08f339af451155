//! How each copy fared in an act.

use std::path::Path;

use model::act::{CopyResult, CopyState};
use model::{FileId, OrderId, VaultId};
use rusqlite::{Connection, Row, params};

use super::columns::{bytes_of, of_file, path, some_guid, word};
use super::tx::Tx;

fn read(row: &Row<'_>) -> rusqlite::Result<CopyResult> {
    Ok(CopyResult {
        path: path(row, "path")?,
        state: word(row, "state", CopyState::from_word)?,
        reason: row.get("reason")?,
        vault: some_guid(row, "vault")?.map(VaultId),
    })
}

/// The copies of an order's acts. What an act told late counts instead of what it was ended with.
pub(super) fn of_order(
    connection: &Connection,
    organization: i64,
    order: OrderId,
) -> rusqlite::Result<Vec<CopyResult>> {
    connection
        .prepare_cached(
            "SELECT c.* FROM act a JOIN copy_result c ON c.act = a.number AND c.late = (a.late IS NOT NULL)
             WHERE a.organization = ?1 AND a.\"order\" = ?2 ORDER BY a.number, c.ordinal",
        )?
        .query_map(params![organization, order.0.as_bytes()], read)?
        .collect()
}

/// The copies of one act: those it was ended with, or those it told late.
pub(super) fn of_act(connection: &Connection, act: i64, late: bool) -> rusqlite::Result<Vec<CopyResult>> {
    connection
        .prepare_cached("SELECT * FROM copy_result WHERE act = ?1 AND late = ?2 ORDER BY ordinal")?
        .query_map(params![act, late], read)?
        .collect()
}

/// Writes the copies of one act in place of those that stood there.
pub(super) fn replace(
    tx: &Tx<'_>,
    organization: i64,
    act: i64,
    late: bool,
    copies: &[CopyResult],
) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM copy_result WHERE act = ?1 AND late = ?2")?.execute(params![act, late])?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO copy_result (organization, act, late, ordinal, path, state, reason, vault)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for (copy, ordinal) in copies.iter().zip(0_i64..) {
        insert.execute(params![
            organization,
            act,
            late,
            ordinal,
            bytes_of(&copy.path),
            copy.state.word(),
            copy.reason,
            copy.vault.map(|vault| vault.0.into_bytes())
        ])?;
    }
    Ok(())
}

/// The copies that are known to lie on a machine, none of them dealt with yet.
pub(super) fn present(
    connection: &Connection,
    organization: i64,
    machine: i64,
    file: FileId,
) -> rusqlite::Result<Vec<CopyResult>> {
    let (column, name) = of_file(&file);
    connection
        .prepare_cached(&format!(
            "SELECT c.path FROM file f JOIN copy c ON c.file = f.number AND c.machine = ?3
             WHERE f.organization = ?1 AND f.{column} = ?2 AND c.present = 1 ORDER BY c.path"
        ))?
        .query_map(params![organization, name, machine], |row| {
            Ok(CopyResult {
                path: path(row, "path")?,
                state: CopyState::InProgress,
                reason: None,
                vault: None,
            })
        })?
        .collect()
}

/// A copy was taken away from its place, or has come back to it.
pub(super) fn moved(
    tx: &Tx<'_>,
    organization: i64,
    machine: i64,
    file: FileId,
    place: &Path,
    back: bool,
) -> rusqlite::Result<()> {
    let (column, name) = of_file(&file);
    tx.prepare_cached(&format!(
        "UPDATE copy SET present = ?5, running = 0 WHERE machine = ?3 AND path = ?4
             AND file IN (SELECT number FROM file WHERE organization = ?1 AND {column} = ?2)"
    ))?
    .execute(params![organization, name, machine, bytes_of(place), back])
    .map(drop)
}
