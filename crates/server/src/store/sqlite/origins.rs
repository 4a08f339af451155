//! Which packages files come from.

use model::origin::{Database, Origin};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{uint, word};
use super::tx::Tx;
use crate::store::KnownOrigin;

/// More origins than this of one file are not told.
const MOST: u32 = 64;

/// The number of an origin, which need not be known yet.
pub(super) fn number(tx: &Tx<'_>, organization: i64, origin: &Origin) -> rusqlite::Result<i64> {
    let vendor = origin.vendor.as_deref().unwrap_or_default();
    let columns = params![organization, origin.database.word(), origin.package, origin.version, vendor];
    let known = tx
        .prepare_cached(
            "SELECT number FROM origin WHERE organization = ?1 AND database = ?2 AND package = ?3 AND version = ?4
                 AND vendor = ?5",
        )?
        .query_row(columns, |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    tx.prepare_cached(
        "INSERT INTO origin (organization, database, package, version, vendor) VALUES (?1, ?2, ?3, ?4, ?5)
         RETURNING number",
    )?
    .query_row(columns, |row| row.get(0))
}

/// The columns of an origin, and `matches`; none where there is none.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Option<Origin>> {
    let Some(package) = row.get("package")? else { return Ok(None) };
    let vendor: String = row.get("vendor")?;
    Ok(Some(Origin {
        database: word(row, "database", Database::from_word)?,
        package,
        version: row.get("version")?,
        vendor: Some(vendor).filter(|vendor| !vendor.is_empty()),
        matches: match row.get("matches")? {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
    }))
}

/// Where a file comes from, the commonest first.
pub(super) fn of_file(connection: &Connection, file: i64) -> rusqlite::Result<Vec<KnownOrigin>> {
    let mut rows = connection.prepare_cached(&format!(
        "SELECT o.*, f.matches, f.machines FROM file_origin f JOIN origin o ON o.number = f.origin
         WHERE f.file = ?1 ORDER BY f.machines DESC, f.matches = 1 DESC, o.number DESC LIMIT {MOST}"
    ))?;
    let rows = rows.query_map([file], |row| Ok((read(row)?, uint(row, "machines")?)))?;
    rows.map(|row| row.map(|(origin, machines)| Some(KnownOrigin { origin: origin?, machines })))
        .filter_map(Result::transpose)
        .collect()
}
