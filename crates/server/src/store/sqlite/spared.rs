//! What may never be denied or quarantined, as machines tell it.

use model::spared::{Record, Spared};
use model::{FileId, MachineId, OrganizationId};
use rusqlite::{OptionalExtension, params};

use super::columns::{bytes_of, of_file, path};
use super::tx::Tx;
use super::{machines, organizations};
use crate::store::{StoreError, SubmitError};

/// Replaces what a machine has told before.
pub(in crate::store) fn replace(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    spared: &[Spared],
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    let (machine, _) = machines::known(tx, organization, machine)?;
    tx.prepare_cached("DELETE FROM spared WHERE machine = ?1")?.execute([machine])?;
    let mut insert = tx.prepare_cached(
        "INSERT OR REPLACE INTO spared (organization, machine, path, sha256, sha1, md5, package)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for one in spared {
        let package = match &one.recorded_by {
            Record::Package(name) => Some(name),
            Record::Baseline => None,
        };
        insert.execute(params![
            organization,
            machine,
            bytes_of(&one.path),
            one.digests.sha256.0,
            one.digests.sha1.0,
            one.digests.md5.0,
            package
        ])?;
    }
    Ok(())
}

/// Refuses a file that is spared on that machine, or, without one, on any machine of the organization.
pub(super) fn refuse(
    tx: &Tx<'_>,
    organization: i64,
    file: FileId,
    machine: Option<i64>,
) -> Result<(), SubmitError> {
    let (column, name) = of_file(&file);
    let found = tx
        .prepare_cached(&format!(
            "SELECT s.path, s.package, m.name FROM spared s JOIN machine m ON m.number = s.machine
             WHERE s.organization = ?1 AND s.{column} = ?2 AND (?3 IS NULL OR s.machine = ?3)
             ORDER BY m.name, s.path LIMIT 1"
        ))?
        .query_row(params![organization, name, machine], |row| {
            let package: Option<String> = row.get("package")?;
            let recorded_by = package.map_or(Record::Baseline, Record::Package).to_string();
            Ok(SubmitError::Spared { path: path(row, "path")?, recorded_by, machine: row.get("name")? })
        })
        .optional()?;
    found.map_or(Ok(()), Err)
}
