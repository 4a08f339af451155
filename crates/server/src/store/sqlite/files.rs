//! Files and their copies, to look at.

use model::facts::{Facts, FileType};
use model::{Digests, FileId, MachineId, OrganizationId};
use rusqlite::{Connection, OptionalExtension, params};

use super::columns::{digests, of_file, path, time, uint};
use super::{determinations, inspections, organizations, origins, rules};
use crate::store::{Judged, KnownCopy, KnownFile, StoreError};

/// More copies than this of one file are not told.
const MOST_COPIES: u32 = 10_000;

/// What is known of a file. Of several with the same SHA-1: the most common one.
pub(in crate::store) fn get(
    connection: &Connection,
    organization: OrganizationId,
    file: FileId,
) -> Result<Option<KnownFile>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    let (column, name) = of_file(&file);
    let found = connection
        .prepare_cached(&format!(
            "SELECT *, (SELECT count(*) FROM pair p WHERE p.file = file.number AND EXISTS (
                 SELECT 1 FROM copy c WHERE c.file = p.file AND c.machine = p.machine AND c.present = 1)) AS present_on
             FROM file WHERE organization = ?1 AND {column} = ?2
             ORDER BY prevalence DESC, last_observed DESC LIMIT 1"
        ))?
        .query_row(params![organization, name], |row| {
            let number: i64 = row.get("number")?;
            let file = KnownFile {
                digests: digests(row)?,
                facts: Facts {
                    size: uint(row, "size")?,
                    file_type: FileType::from_word(&row.get::<_, String>("file_type")?),
                    subtype: row.get("subtype")?,
                },
                prevalence: uint(row, "prevalence")?,
                present_on: uint(row, "present_on")?,
                first_observed: time(row, "first_observed")?,
                last_observed: time(row, "last_observed")?,
                denials: uint(row, "denials")?,
                blocked: Vec::new(),
                origins: Vec::new(),
                judged: Judged::default(),
                inspection: None,
            };
            Ok((number, file))
        })
        .optional()?;
    found
        .map(|(number, file)| {
            let blocked = rules::that_deny(connection, organization, &file.digests)?;
            let judged = determinations::of_file_with(connection, organization, &file.digests)?;
            let inspection = inspections::of(connection, number)?;
            let origins = origins::of_file(connection, number)?;
            Ok(KnownFile { blocked, judged, inspection, origins, ..file })
        })
        .transpose()
}

/// The copies of a file, those still there first.
pub(in crate::store) fn copies(
    connection: &Connection,
    organization: OrganizationId,
    file: FileId,
) -> Result<Vec<KnownCopy>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    let (column, name) = of_file(&file);
    let mut rows = connection.prepare_cached(&format!(
        "SELECT c.*, m.id AS machine_id, m.name AS machine_name, o.database, o.package, o.version, o.vendor
         FROM file f JOIN copy c ON c.file = f.number JOIN machine m ON m.number = c.machine
             LEFT JOIN origin o ON o.number = c.origin
         WHERE f.organization = ?1 AND f.{column} = ?2
         ORDER BY c.present DESC, c.last_seen DESC, m.name, c.path LIMIT {MOST_COPIES}"
    ))?;
    let rows = rows.query_map(params![organization, name], |row| {
        Ok(KnownCopy {
            machine: MachineId(row.get("machine_id")?),
            machine_name: row.get("machine_name")?,
            path: path(row, "path")?,
            first_seen: time(row, "first_seen")?,
            last_seen: time(row, "last_seen")?,
            present: row.get("present")?,
            running: row.get("running")?,
            denials: uint(row, "denials")?,
            origin: origins::read(row)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// All names of the files that one name means; none for a file nobody has seen.
pub(super) fn named(
    connection: &Connection,
    organization: i64,
    file: FileId,
) -> rusqlite::Result<Vec<Digests>> {
    let (column, name) = of_file(&file);
    connection
        .prepare_cached(&format!(
            "SELECT sha256, sha1, md5 FROM file WHERE organization = ?1 AND {column} = ?2"
        ))?
        .query_map(params![organization, name], digests)?
        .collect()
}

/// Whether two names mean the same file, as far as known.
pub(super) fn same(one: FileId, its_files: &[Digests], other: FileId) -> bool {
    one == other || its_files.iter().any(|digests| other.names(digests))
}

/// Whether a file was ever seen on a machine.
pub(super) fn known_on(
    connection: &Connection,
    organization: i64,
    file: FileId,
    machine: i64,
) -> rusqlite::Result<bool> {
    let (column, name) = of_file(&file);
    connection
        .prepare_cached(&format!(
            "SELECT EXISTS (SELECT 1 FROM file f JOIN pair p ON p.file = f.number AND p.machine = ?3
                            WHERE f.organization = ?1 AND f.{column} = ?2)"
        ))?
        .query_row(params![organization, name, machine], |row| row.get(0))
}
