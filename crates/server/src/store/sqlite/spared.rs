//! What may never be denied or quarantined, as machines tell it.

use model::spared::{Record, Spared};
use model::{FileId, MachineId, OrganizationId};
use rusqlite::{OptionalExtension, params};

use super::audit::{self, Actor};
use super::columns::{bytes_of, of_file, path};
use super::tx::Tx;
use super::{machines, organizations};
use crate::store::{Caller, StoreError, SubmitError};

/// Replaces what a machine has told before.
pub(in crate::store) fn replace(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    spared: &[Spared],
    strange: &[Spared],
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    let (machine, _) = machines::known(tx, organization, machine)?;
    tx.prepare_cached("DELETE FROM spared WHERE machine = ?1")?.execute([machine])?;
    let mut insert = tx.prepare_cached(
        "INSERT OR REPLACE INTO spared (organization, machine, path, sha256, sha1, md5, package, strange)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let all = spared.iter().map(|one| (one, false)).chain(strange.iter().map(|one| (one, true)));
    for (one, is_strange) in all {
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
            package,
            is_strange
        ])?;
    }
    Ok(())
}

/// Refuses a file that is spared on that machine, or, without one, on any machine of the organization; and one that
/// lies where a spared file belongs, unless the caller confirms that it is meant.
pub(super) fn refuse(
    tx: &Tx<'_>,
    organization: i64,
    by: &Caller,
    file: FileId,
    machine: Option<i64>,
    comment: &str,
) -> Result<(), SubmitError> {
    let (column, name) = of_file(&file);
    let found = |sql: &str| {
        tx.prepare_cached(sql)?
            .query_row(params![organization, name, machine], |row| {
                let package: Option<String> = row.get("package")?;
                let recorded_by = package.map_or(Record::Baseline, Record::Package).to_string();
                Ok((path(row, "path")?, recorded_by, row.get("name")?))
            })
            .optional()
    };
    let spared = found(&format!(
        "SELECT s.path, s.package, m.name FROM spared s JOIN machine m ON m.number = s.machine
         WHERE s.organization = ?1 AND s.{column} = ?2 AND s.strange = 0 AND (?3 IS NULL OR s.machine = ?3)
         ORDER BY m.name, s.path LIMIT 1"
    ))?;
    if let Some((path, recorded_by, machine)) = spared {
        return Err(SubmitError::Spared { path, recorded_by, machine });
    }
    // As the machine found it, or as it was seen there since.
    let strange = found(&format!(
        "SELECT s.path, s.package, m.name FROM spared s JOIN machine m ON m.number = s.machine
         WHERE s.organization = ?1 AND s.{column} = ?2 AND s.strange = 1 AND (?3 IS NULL OR s.machine = ?3)
         UNION ALL
         SELECT s.path, s.package, m.name FROM file f
         JOIN copy c ON c.file = f.number AND c.present = 1
         JOIN spared s ON s.machine = c.machine AND s.path = c.path AND s.sha256 <> f.sha256
         JOIN machine m ON m.number = s.machine
         WHERE f.organization = ?1 AND f.{column} = ?2 AND (?3 IS NULL OR s.machine = ?3)
         ORDER BY name, path LIMIT 1"
    ))?;
    match strange {
        None => Ok(()),
        Some((path, recorded_by, machine)) if !by.confirms => {
            Err(SubmitError::Unconfirmed { path, recorded_by, machine })
        }
        Some((path, _, machine)) => {
            let subject = format!("{} on {machine}", path.display());
            Ok(audit::write(tx, organization, &Actor::from(by), "spared.confirm", &subject, comment)?)
        }
    }
}
