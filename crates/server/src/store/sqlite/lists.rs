//! Lists of digests: what they say; the digests themselves are files.

use std::collections::HashSet;

use model::OrganizationId;
use model::determination::DeterminationType;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::audit;
use super::columns::{guid, int, time, uint, word};
use super::tx::Tx;
use super::{organizations, policy};
use crate::store::{Caller, KnownList, StoreError};

/// An organization has no more lists: each is a file that stays open, and is asked for every file that is looked at.
const MOST: u64 = 64;
/// So many bytes their digests may have together.
const MOST_BYTES: u64 = 16 << 30;

/// Refuses a list when there is no room for it beside the others. Its digests, if they are known already, count.
pub(in crate::store) fn check_room(
    connection: &Connection,
    organization: OrganizationId,
    name: &str,
    counts: [u64; 3],
) -> Result<(), StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    let (lists, held) = connection
        .prepare_cached(
            "SELECT count(*) AS lists, coalesce(sum(32 * sha256 + 20 * sha1 + 16 * md5), 0) AS held
             FROM list WHERE organization = ?1 AND name <> ?2",
        )?
        .query_row(params![organization, name], |row| Ok((uint(row, "lists")?, uint(row, "held")?)))?;
    if lists >= MOST {
        let why = format!("There are {MOST} lists already, and there may be no more");
        return Err(StoreError::Refused(why));
    }
    let [sha256, sha1, md5] = counts;
    if held.saturating_add(32 * sha256 + 20 * sha1 + 16 * md5) > MOST_BYTES {
        let why = format!("The digests of all lists may have {} GiB together", MOST_BYTES >> 30);
        return Err(StoreError::Refused(why));
    }
    Ok(())
}

/// A list is there from now on, in the place of the one that had its name. As it now stands it comes back. `same` is the
/// list whose digests are the same.
pub(in crate::store) fn put(
    tx: &Tx<'_>,
    by: &Caller,
    list: &KnownList,
    same: Option<Uuid>,
) -> Result<KnownList, StoreError> {
    check_room(tx, by.organization, &list.name, list.counts)?;
    let organization = organizations::get(tx, by.organization)?.number;
    let list = KnownList { imported: tx.now, requestor: by.name.clone(), ..list.clone() };
    let replaced = get(tx, by.organization, &list.name)?;
    let says_the_same = replaced.is_some_and(|replaced| {
        Some(replaced.id) == same && replaced.kind == list.kind && replaced.value == list.value
    });
    tx.prepare_cached(
        "INSERT OR REPLACE INTO list (organization, name, id, type, value, sha256, sha1, md5, format, version, bytes,
                                      skipped, refused, imported, requestor, comment)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?
    .execute(params![
        organization,
        list.name,
        list.id.as_bytes(),
        list.kind.word(),
        list.value,
        int(list.counts[0]),
        int(list.counts[1]),
        int(list.counts[2]),
        list.format,
        list.version,
        int(list.bytes),
        int(list.skipped),
        int(list.refused),
        list.imported.ticks(),
        list.requestor,
        list.comment
    ])?;
    // A feed that comes every few minutes would otherwise have all files looked at again, and never to the end.
    if !says_the_same {
        policy::all_changed(tx, organization)?;
    }
    let entries: u64 = list.counts.iter().sum();
    let subject =
        format!("{} {} {entries} digests {}", list.name, list.kind.word(), model::Sha256(list.version));
    audit::write(tx, organization, &by.into(), "list.import", &subject, &list.comment)?;
    Ok(list)
}

/// Removes a list. False if there is none.
pub(in crate::store) fn remove(
    tx: &Tx<'_>,
    by: &Caller,
    name: &str,
    comment: &str,
) -> Result<bool, StoreError> {
    let organization = organizations::get(tx, by.organization)?.number;
    let gone = tx
        .prepare_cached("DELETE FROM list WHERE organization = ?1 AND name = ?2")?
        .execute(params![organization, name])?;
    if gone > 0 {
        policy::all_changed(tx, organization)?;
        audit::write(tx, organization, &by.into(), "list.remove", name, comment)?;
    }
    Ok(gone > 0)
}

/// All lists, by name.
pub(in crate::store) fn list(
    connection: &Connection,
    organization: OrganizationId,
) -> Result<Vec<KnownList>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    Ok(all(connection, organization)?)
}

/// The list of that name.
pub(in crate::store) fn get(
    connection: &Connection,
    organization: OrganizationId,
    name: &str,
) -> Result<Option<KnownList>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    let found = connection
        .prepare_cached("SELECT * FROM list WHERE organization = ?1 AND name = ?2")?
        .query_row(params![organization, name], read)
        .optional()?;
    Ok(found)
}

/// The files that are named, in every organization.
pub(in crate::store) fn kept(connection: &Connection) -> Result<HashSet<Uuid>, StoreError> {
    let mut rows = connection.prepare_cached("SELECT id FROM list")?;
    let rows = rows.query_map([], |row| guid(row, "id"))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// All lists, by name.
pub(super) fn all(connection: &Connection, organization: i64) -> rusqlite::Result<Vec<KnownList>> {
    connection
        .prepare_cached("SELECT * FROM list WHERE organization = ?1 ORDER BY name")?
        .query_map([organization], read)?
        .collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<KnownList> {
    Ok(KnownList {
        id: guid(row, "id")?,
        name: row.get("name")?,
        kind: word(row, "type", DeterminationType::from_word)?,
        value: row.get("value")?,
        counts: [uint(row, "sha256")?, uint(row, "sha1")?, uint(row, "md5")?],
        format: row.get("format")?,
        version: row.get("version")?,
        bytes: uint(row, "bytes")?,
        skipped: uint(row, "skipped")?,
        refused: uint(row, "refused")?,
        imported: time(row, "imported")?,
        requestor: row.get("requestor")?,
        comment: row.get("comment")?,
    })
}
