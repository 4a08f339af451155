//! What files are judged to be, by analysts and engines.

use model::determination::{Determination, DeterminationType, KnownBy, Source};
use model::{Digest, Digests, FileId, OrganizationId};
use rusqlite::{Connection, Row, params};

use super::audit::{self, Actor};
use super::columns::{of_file, time, word};
use super::tx::Tx;
use super::{files, lists, organizations, policy};
use crate::store::{Caller, Judged, Judgement, StoreError};

/// The name under which analysts' words are kept.
const ANALYST: &str = "analyst";

/// An analyst says what a file is; what was said of it by this name before no longer counts.
pub(in crate::store) fn judge(
    tx: &Tx<'_>,
    by: &Caller,
    file: FileId,
    judgement: &Judgement,
    comment: &str,
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, by.organization)?.number;
    let said = Determination {
        kind: judgement.kind,
        value: judgement.value.clone(),
        source: Source::Analyst,
        engine: ANALYST.to_owned(),
        version: String::new(),
        at: tx.now,
        by: by.name.clone(),
        evidence: comment.to_owned(),
        known_by: KnownBy::Sha256,
    };
    put(tx, organization, file, &said)?;
    let subject = match &judgement.value {
        Some(value) => format!("{file} {} {value}", judgement.kind.word()),
        None => format!("{file} {}", judgement.kind.word()),
    };
    Ok(audit::write(tx, organization, &Actor::from(by), "determination.set", &subject, comment)?)
}

/// Takes back what analysts said of a file, by whichever of its names. How many words that were comes back.
pub(in crate::store) fn withdraw(
    tx: &Tx<'_>,
    by: &Caller,
    file: FileId,
    comment: &str,
) -> Result<usize, StoreError> {
    let organization = organizations::get(tx, by.organization)?.number;
    let mut names = vec![file];
    for digests in files::named(tx, organization, file)? {
        names.extend([FileId::Sha256(digests.sha256), FileId::Sha1(digests.sha1)]);
    }
    names.sort_unstable();
    names.dedup();
    let mut withdrawn = 0;
    for name in names {
        let (kind, bytes) = of_file(&name);
        let gone = tx
            .prepare_cached(
                "DELETE FROM determination
                 WHERE organization = ?1 AND file_kind = ?2 AND file = ?3 AND source = ?4",
            )?
            .execute(params![organization, kind, bytes, Source::Analyst.word()])?;
        if gone > 0 {
            withdrawn += gone;
            policy::said(tx, organization, name)?;
            audit::write(tx, organization, &by.into(), "determination.withdraw", &name.to_string(), comment)?;
        }
    }
    Ok(withdrawn)
}

/// An engine has judged a file; what it said of it before no longer counts. `Unknown` is no word, and leaves none.
pub(in crate::store) fn judged_by_engine(
    tx: &Tx<'_>,
    organization: OrganizationId,
    file: FileId,
    said: &Determination,
) -> Result<(), StoreError> {
    if matches!(said.source, Source::Analyst | Source::List) {
        return Err(StoreError::Refused(format!("{} is no engine", said.source.word())));
    }
    let organization = organizations::get(tx, organization)?.number;
    put(tx, organization, file, said)?;
    if said.kind == DeterminationType::Unknown {
        let (kind, bytes) = of_file(&file);
        tx.prepare_cached(
            "DELETE FROM determination
             WHERE organization = ?1 AND file_kind = ?2 AND file = ?3 AND source = ?4 AND engine = ?5",
        )?
        .execute(params![organization, kind, bytes, said.source.word(), said.engine])?;
    }
    Ok(())
}

fn put(tx: &Tx<'_>, organization: i64, file: FileId, said: &Determination) -> rusqlite::Result<()> {
    let (kind, bytes) = of_file(&file);
    tx.prepare_cached(
        "INSERT OR REPLACE INTO determination
             (organization, file_kind, file, source, engine, version, type, value, said_by, evidence, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        organization,
        kind,
        bytes,
        said.source.word(),
        said.engine,
        said.version,
        said.kind.word(),
        said.value,
        said.by,
        said.evidence,
        said.at.ticks()
    ])?;
    policy::said(tx, organization, file)
}

/// All that is said of a file under one of its names: by all of them, if a machine has seen it.
pub(in crate::store) fn of_name(
    connection: &Connection,
    organization: OrganizationId,
    file: FileId,
) -> Result<Judged, StoreError> {
    if let Some(known) = files::get(connection, organization, file)? {
        return Ok(known.judged);
    }
    let number = organizations::get(connection, organization)?.number;
    let (name, known_by) = match file {
        FileId::Sha1(sha1) => (Digest::Sha1(sha1), KnownBy::Sha1),
        FileId::Sha256(sha256) => (Digest::Sha256(sha256), KnownBy::Sha256),
    };
    let words = by_name(connection, number, file, known_by)?;
    Ok(Judged { names: vec![name], words, lists: lists::all(connection, number)? })
}

/// All that is said of a file with these names.
pub(super) fn of_file_with(
    connection: &Connection,
    organization: i64,
    digests: &Digests,
) -> rusqlite::Result<Judged> {
    let words = said_of(connection, organization, digests)?;
    Ok(Judged { words, lists: lists::all(connection, organization)?, ..Judged::of(digests) })
}

/// What analysts and engines say of a file with these names.
pub(super) fn said_of(
    connection: &Connection,
    organization: i64,
    digests: &Digests,
) -> rusqlite::Result<Vec<Determination>> {
    let mut words = by_name(connection, organization, FileId::Sha256(digests.sha256), KnownBy::Sha256)?;
    words.extend(by_name(connection, organization, FileId::Sha1(digests.sha1), KnownBy::Sha1)?);
    Ok(words)
}

fn by_name(
    connection: &Connection,
    organization: i64,
    file: FileId,
    known_by: KnownBy,
) -> rusqlite::Result<Vec<Determination>> {
    let (kind, bytes) = of_file(&file);
    connection
        .prepare_cached(
            "SELECT * FROM determination WHERE organization = ?1 AND file_kind = ?2 AND file = ?3",
        )?
        .query_map(params![organization, kind, bytes], |row| read(row, known_by))?
        .collect()
}

fn read(row: &Row<'_>, known_by: KnownBy) -> rusqlite::Result<Determination> {
    Ok(Determination {
        kind: word(row, "type", DeterminationType::from_word)?,
        value: row.get("value")?,
        source: word(row, "source", Source::from_word)?,
        engine: row.get("engine")?,
        version: row.get("version")?,
        at: time(row, "at")?,
        by: row.get("said_by")?,
        evidence: row.get("evidence")?,
        known_by,
    })
}
