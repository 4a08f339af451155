//! What inspection says of files, and who is to be asked.

use model::inspection::{Inspection, VERSION};
use model::{MachineId, OrganizationId, Sha256};
use rusqlite::{Connection, OptionalExtension, params};
use wire::link::inspection::{decode, encode};

use super::audit::{self, Actor};
use super::columns::{int, time, uint};
use super::tx::Tx;
use super::{machines, organizations};
use crate::store::{KnownInspection, StoreError};

/// So many machines are asked about a file: one could lie.
const WORDS: i64 = 2;

/// Records of older versions are due again, on every machine that has the file.
pub(super) fn renew(connection: &Connection) -> Result<(), StoreError> {
    connection.execute(
        "INSERT OR IGNORE INTO inspection_due (machine, file)
         SELECT p.machine, p.file FROM inspection i JOIN pair p ON p.file = i.file WHERE i.version < ?1",
        [VERSION],
    )?;
    Ok(())
}

/// A file was seen on a machine for the first time, or at another place there.
pub(super) fn want(tx: &Tx<'_>, machine: i64, file: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT OR IGNORE INTO inspection_due (machine, file)
         SELECT ?1, ?2 WHERE (SELECT count(*) FROM inspection_word WHERE file = ?2 AND version >= ?3) < ?4",
    )?
    .execute(params![machine, file, VERSION, WORDS])
    .map(drop)
}

/// The next places of files that a machine may be asked about, with each file of which its inspection, of that version,
/// can say more than is known. No more than `limit` are looked at.
pub(in crate::store) fn due(
    connection: &Connection,
    organization: OrganizationId,
    machine: MachineId,
    version: u32,
    after: u64,
    limit: u32,
) -> Result<Vec<(u64, Option<Sha256>)>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    let (machine, _) = machines::known(connection, organization, machine)?;
    let mut rows = connection.prepare_cached(
        "SELECT f.number, CASE WHEN (i.version IS NULL OR i.version <= ?3) AND (w.version IS NULL OR w.version < ?3)
             AND (SELECT count(*) FROM inspection_word o WHERE o.file = d.file AND o.version >= ?3) < ?5
             THEN f.sha256 END AS sha256
         FROM inspection_due d JOIN file f ON f.number = d.file
             LEFT JOIN inspection i ON i.file = d.file
             LEFT JOIN inspection_word w ON w.file = d.file AND w.machine = d.machine
         WHERE d.machine = ?1 AND d.file > ?2
         ORDER BY d.file LIMIT ?4",
    )?;
    let rows = rows.query_map(params![machine, int(after), version.min(VERSION), limit, WORDS], |row| {
        Ok((uint(row, "number")?, row.get::<_, Option<_>>("sha256")?.map(Sha256)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A machine has no copy to inspect. What it told of and has not said to be gone stays due.
pub(in crate::store) fn gone(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    sha256: Sha256,
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    let (machine, _) = machines::known(tx, organization, machine)?;
    tx.prepare_cached(
        "DELETE FROM inspection_due AS d
         WHERE machine = ?1 AND file = (SELECT number FROM file WHERE organization = ?2 AND sha256 = ?3)
             AND NOT EXISTS (
                 SELECT 1 FROM copy c WHERE c.file = d.file AND c.machine = d.machine AND c.present = 1)",
    )?
    .execute(params![machine, organization, sha256.0])?;
    Ok(())
}

/// What is known of a file.
pub(super) fn of(connection: &Connection, file: i64) -> Result<Option<KnownInspection>, StoreError> {
    connection
        .prepare_cached(
            "SELECT i.*, m.name AS machine_name,
                 (SELECT count(*) FROM inspection_word w
                  WHERE w.file = i.file AND w.version = i.version AND w.machine <> i.told_by AND w.agrees = 1)
                     AS agreed,
                 (SELECT count(*) FROM inspection_word w
                  WHERE w.file = i.file AND w.version = i.version AND w.agrees = 0) AS disagreed
             FROM inspection i JOIN machine m ON m.number = i.told_by WHERE i.file = ?1",
        )?
        .query_row([file], |row| {
            let record: Vec<u8> = row.get("record")?;
            Ok(decode(&record).ok().map(|record| {
                Ok::<_, rusqlite::Error>(KnownInspection {
                    record,
                    version: row.get("version")?,
                    told_by: row.get("machine_name")?,
                    at: time(row, "at")?,
                    agreed: uint(row, "agreed")?,
                    disagreed: uint(row, "disagreed")?,
                })
            }))
        })
        .optional()?
        .flatten()
        .transpose()
        .map_err(Into::into)
}

/// Takes a machine's word. Told twice it changes nothing.
pub(in crate::store) fn take(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    sha256: Sha256,
    version: u32,
    record: &Inspection,
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    let (number, known) = machines::known(tx, organization, machine)?;
    let file: i64 = tx
        .prepare_cached(
            "SELECT f.number FROM file f JOIN pair p ON p.file = f.number AND p.machine = ?3
             WHERE f.organization = ?1 AND f.sha256 = ?2",
        )?
        .query_row(params![organization, sha256.0, number], |row| row.get(0))
        .optional()?
        .ok_or_else(|| StoreError::Refused(format!("machine {machine} never told of file {sha256}")))?;
    // What a machine says of a version that is not there yet must not outlast it.
    let version = version.min(VERSION);
    let before = of(tx, file)?;
    let told_by: Option<i64> = tx
        .prepare_cached("SELECT told_by FROM inspection WHERE file = ?1")?
        .query_row([file], |row| row.get(0))
        .optional()?;
    let replaces = before.as_ref().is_none_or(|before| is_better(version, record, before));
    // Of another version it may say something else of the same bytes.
    let agrees = before
        .as_ref()
        .is_none_or(|before| replaces || before.version != version || before.record.agrees_with(record));
    if replaces {
        put(tx, organization, file, number, version, record)?;
    }
    let is_news = note(tx, file, number, version, agrees)?;
    if let Some(before) = before.filter(|_| is_news && !agrees && told_by != Some(number)) {
        let comment = differences(&before, record);
        let by = Actor::agent(&known.name);
        audit::write(tx, organization, &by, "inspection.disagree", &sha256.to_string(), &comment)?;
    }
    Ok(())
}

/// Whether a record takes the place of what is known.
fn is_better(version: u32, record: &Inspection, before: &KnownInspection) -> bool {
    version > before.version
        || version == before.version && before.record.is_cut_short() && !record.is_cut_short()
}

fn put(
    tx: &Tx<'_>,
    organization: i64,
    file: i64,
    machine: i64,
    version: u32,
    record: &Inspection,
) -> rusqlite::Result<()> {
    let signature = record.signature.as_ref();
    tx.prepare_cached(
        "INSERT OR REPLACE INTO inspection (file, organization, version, told_by, at, outcome, file_type, subtype,
             publisher, product, signer, issuer, signer_hash, is_valid, record)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute(params![
        file,
        organization,
        version,
        machine,
        tx.now.ticks(),
        record.outcome.word(),
        record.facts.file_type.word(),
        record.facts.subtype,
        record.publisher,
        record.product_name,
        signature.and_then(|signature| signature.signer.as_deref()),
        signature.and_then(|signature| signature.issuer.as_deref()),
        signature.and_then(|signature| signature.signer_hash).map(|hash| hash.0),
        signature.map(|signature| signature.is_valid),
        encode(record),
    ])
    .map(drop)
}

/// Notes that a machine has said its word, and asks nobody any more when enough have. False if it had said it before.
fn note(tx: &Tx<'_>, file: i64, machine: i64, version: u32, agrees: bool) -> rusqlite::Result<bool> {
    let said = tx
        .prepare_cached(
            "INSERT INTO inspection_word (file, machine, version, agrees) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (file, machine) DO UPDATE SET version = excluded.version, agrees = excluded.agrees
         WHERE excluded.version > version",
        )?
        .execute(params![file, machine, version, agrees])?;
    tx.prepare_cached(
        "DELETE FROM inspection_due WHERE file = ?1 AND ((machine = ?2 AND ?5)
             OR (SELECT count(*) FROM inspection_word WHERE file = ?1 AND version >= ?3) >= ?4)",
    )?
    .execute(params![file, machine, VERSION, WORDS, version >= VERSION])?;
    Ok(said > 0)
}

/// For people, without what a hostile machine may have put there.
fn differences(before: &KnownInspection, record: &Inspection) -> String {
    let signer =
        |record: &Inspection| record.signature.as_ref().map(|one| (one.signer.clone(), one.signer_hash));
    let other = &before.record;
    let differs = [
        (
            "type",
            (&other.facts.file_type, &other.facts.subtype)
                != (&record.facts.file_type, &record.facts.subtype),
        ),
        ("publisher", other.publisher != record.publisher),
        ("product", other.product_name != record.product_name),
        ("signer", signer(other) != signer(record)),
    ];
    let named: Vec<_> = differs.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect();
    let named = if named.is_empty() { "details".to_owned() } else { named.join(", ") };
    format!("says otherwise than {} did: {named}", before.told_by)
}
