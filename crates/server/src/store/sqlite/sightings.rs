//! Ingest: what machines have seen becomes files, pairs and copies.

use std::time::Duration;

use model::origin::Origin;
use model::sighting::{Seen, Sighting};
use model::{MachineId, OrganizationId, Time};
use rusqlite::{OptionalExtension, params};

use super::columns::{bytes_of, int};
use super::tx::Tx;
use super::{inspections, machines, organizations, origins};
use crate::store::StoreError;

/// More places than this of one file on one machine are counted, not kept.
const MOST_PATHS: i64 = 100;

/// No sighting is believed to be older: a machine's clock may run wild.
const OLDEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// Takes one batch, `received` at that moment. A batch that was taken before changes nothing.
pub(in crate::store) fn record(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    sequence: u64,
    received: Time,
    sightings: &[Sighting],
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    let (machine, _) = machines::known(tx, organization, machine)?;
    let new = tx
        .prepare_cached(
            "UPDATE machine SET ingested = ?2, last_seen = max(last_seen, ?3)
             WHERE number = ?1 AND ingested < ?2",
        )?
        .execute(params![machine, int(sequence), received.ticks()])?;
    if new == 0 {
        return Ok(());
    }
    for sighting in sightings {
        let at = received.before(sighting.age.min(OLDEST)).ticks();
        let place = Place { organization, machine, path: bytes_of(&sighting.path), at };
        match sighting.seen {
            Seen::Gone => gone(tx, &place, sighting)?,
            Seen::Traced => traced(tx, &place, sighting)?,
            _ => there(tx, &place, sighting)?,
        }
    }
    Ok(())
}

/// Where and when one sighting was.
struct Place<'a> {
    organization: i64,
    machine: i64,
    path: &'a [u8],
    at: i64,
}

/// That a copy is no more says nothing new of its file, and makes none known.
fn gone(tx: &Tx<'_>, place: &Place<'_>, sighting: &Sighting) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE copy SET present = 0, running = 0, last_seen = max(last_seen, ?5)
         WHERE file = (SELECT number FROM file WHERE organization = ?1 AND sha256 = ?2)
             AND machine = ?3 AND path = ?4 AND last_seen <= ?5",
    )?
    .execute(params![place.organization, sighting.digests.sha256.0, place.machine, place.path, place.at])
    .map(drop)
}

/// Where a copy comes from says nothing of whether it still lies there, and makes none known: that of its going may have
/// been told before.
fn traced(tx: &Tx<'_>, place: &Place<'_>, sighting: &Sighting) -> rusqlite::Result<()> {
    let Some(origin) = &sighting.origin else { return Ok(()) };
    let present: Option<i64> = tx
        .prepare_cached(
            "SELECT c.file FROM copy c JOIN file f ON f.number = c.file
             WHERE f.organization = ?1 AND f.sha256 = ?2 AND c.machine = ?3 AND c.path = ?4 AND c.present = 1",
        )?
        .query_row(
            params![place.organization, sighting.digests.sha256.0, place.machine, place.path],
            |row| row.get(0),
        )
        .optional()?;
    present.map_or(Ok(()), |file| comes_from(tx, place, file, origin))
}

fn there(tx: &Tx<'_>, place: &Place<'_>, sighting: &Sighting) -> rusqlite::Result<()> {
    let denials = i64::from(matches!(sighting.seen, Seen::Denied(_) | Seen::DeniedLate(_)));
    let file = upsert_file(tx, place, sighting, denials)?;
    let paths = upsert_pair(tx, place, file)?;

    // A refusal says nothing of other processes that may run the copy.
    let running = match sighting.seen {
        Seen::Running => Some(true),
        Seen::Denied(_) | Seen::Traced => None,
        Seen::AtRest | Seen::DeniedLate(_) | Seen::Gone => Some(false),
    };
    let known = tx
        .prepare_cached(
            "UPDATE copy SET
                 present = CASE WHEN last_seen <= ?4 THEN 1 ELSE present END,
                 running = CASE WHEN last_seen <= ?4 THEN coalesce(?5, running) ELSE running END,
                 denials = denials + ?6, first_seen = min(first_seen, ?4), last_seen = max(last_seen, ?4)
             WHERE file = ?1 AND machine = ?2 AND path = ?3",
        )?
        .execute(params![file, place.machine, place.path, place.at, running, denials])?;
    if known == 0 && room(tx, place, file, paths)? {
        tx.prepare_cached(
            "INSERT INTO copy (organization, file, machine, path, first_seen, last_seen, present, running, denials)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, 1, ?6, ?7)",
        )?
        .execute(params![
            place.organization,
            file,
            place.machine,
            place.path,
            place.at,
            running.unwrap_or(false),
            denials
        ])?;
        if paths > 0 {
            inspections::want(tx, place.machine, file)?;
        }
    }
    if let Some(origin) = &sighting.origin {
        comes_from(tx, place, file, origin)?;
    }
    // Whatever else lay at that path is overwritten.
    tx.prepare_cached(
        "UPDATE copy SET present = 0, running = 0
         WHERE machine = ?1 AND path = ?2 AND present = 1 AND file <> ?3 AND last_seen <= ?4",
    )?
    .execute(params![place.machine, place.path, file, place.at])
    .map(drop)
}

/// Notes the package that owns a copy, if nothing newer was said of it. That nobody knows whether it matches does not
/// undo what was known before.
fn comes_from(tx: &Tx<'_>, place: &Place<'_>, file: i64, origin: &Origin) -> rusqlite::Result<()> {
    let number = origins::number(tx, place.organization, origin)?;
    tx.prepare_cached(
        "UPDATE copy SET origin = ?5, matches = CASE WHEN origin IS ?5 THEN coalesce(?6, matches) ELSE ?6 END
         WHERE file = ?1 AND machine = ?2 AND path = ?3 AND last_seen <= ?4",
    )?
    .execute(params![file, place.machine, place.path, place.at, number, origin.matches])
    .map(drop)
}

/// The file's number. Names and facts stay as they were first told, but a known type beats an unknown one.
fn upsert_file(tx: &Tx<'_>, place: &Place<'_>, sighting: &Sighting, denials: i64) -> rusqlite::Result<i64> {
    let Sighting { digests, facts, .. } = sighting;
    tx.prepare_cached(
        "INSERT INTO file (organization, sha256, sha1, md5, size, file_type, subtype, facts_from,
                           first_observed, last_observed, denials)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10)
         ON CONFLICT (organization, sha256) DO UPDATE SET
             first_observed = min(first_observed, excluded.first_observed),
             last_observed = max(last_observed, excluded.last_observed),
             denials = denials + excluded.denials,
             size = CASE WHEN file_type = 'Unknown' THEN excluded.size ELSE size END,
             subtype = CASE WHEN file_type = 'Unknown' THEN excluded.subtype ELSE subtype END,
             facts_from = CASE WHEN file_type = 'Unknown' THEN excluded.facts_from ELSE facts_from END,
             file_type = CASE WHEN file_type = 'Unknown' THEN excluded.file_type ELSE file_type END
         RETURNING number",
    )?
    .query_row(
        params![
            place.organization,
            digests.sha256.0,
            digests.sha1.0,
            digests.md5.0,
            int(facts.size),
            facts.file_type.word(),
            facts.subtype,
            place.machine,
            place.at,
            denials
        ],
        |row| row.get(0),
    )
}

/// How many places of the file on the machine are kept. Only a new pair raises prevalence.
fn upsert_pair(tx: &Tx<'_>, place: &Place<'_>, file: i64) -> rusqlite::Result<i64> {
    let known = tx
        .prepare_cached(
            "UPDATE pair SET first_seen = min(first_seen, ?3), last_seen = max(last_seen, ?3)
             WHERE file = ?1 AND machine = ?2 RETURNING paths",
        )?
        .query_row(params![file, place.machine, place.at], |row| row.get(0))
        .optional()?;
    if let Some(paths) = known {
        return Ok(paths);
    }
    tx.prepare_cached(
        "INSERT INTO pair (organization, file, machine, first_seen, last_seen) VALUES (?1, ?2, ?3, ?4, ?4)",
    )?
    .execute(params![place.organization, file, place.machine, place.at])?;
    tx.prepare_cached("UPDATE file SET prevalence = prevalence + 1 WHERE number = ?1")?.execute([file])?;
    inspections::want(tx, place.machine, file)?;
    Ok(0)
}

/// Whether one more place may be kept: one that is no more makes room, else the new one is only counted.
fn room(tx: &Tx<'_>, place: &Place<'_>, file: i64, paths: i64) -> rusqlite::Result<bool> {
    if paths < MOST_PATHS {
        tx.prepare_cached("UPDATE pair SET paths = paths + 1 WHERE file = ?1 AND machine = ?2")?
            .execute([file, place.machine])?;
        return Ok(true);
    }
    let removed = tx
        .prepare_cached(
            "DELETE FROM copy WHERE file = ?1 AND machine = ?2 AND path = (
                 SELECT path FROM copy WHERE file = ?1 AND machine = ?2 AND present = 0
                 ORDER BY last_seen LIMIT 1)",
        )?
        .execute([file, place.machine])?;
    if removed == 0 {
        tx.prepare_cached("UPDATE pair SET dropped = dropped + 1 WHERE file = ?1 AND machine = ?2")?
            .execute([file, place.machine])?;
    }
    Ok(removed > 0)
}
