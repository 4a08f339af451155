//! Blocks that follow from what files are judged to be.
//!
//! A chore looks at files: at those of which something was said first, then at all others, in their order, from where it
//! was. What lists say stands in their files, so the looking is done outside; here stands which files to look at, and
//! what follows.

use std::time::Duration;

use model::determination::DeterminationType;
use model::{Digests, FileId, OrderId, OrganizationId};
use rusqlite::{Connection, OptionalExtension, params};

use super::audit;
use super::columns::{digests, of_file, time, uint};
use super::organizations::{self, Organization};
use super::tx::Tx;
use super::{block, determinations, lists, orders};
use crate::store::{Caller, Judged, Look, Looked, Policy, PolicyLook, StoreError, SubmitError};

/// Who signs what a policy orders.
const SIGNATURE: &str = "policy on-determination malware";
/// A policy makes no more blocks in an hour: what is judged wrongly by the thousand shall not be denied by the thousand.
pub(in crate::store) const MOST_AN_HOUR: u64 = 100;
const HOUR: Duration = Duration::from_secs(3600);
/// So many of the newest files that were not looked at yet come first when all are to be looked at again.
const MOST_AHEAD: u32 = 2000;
/// So many files whose blocks were refused are tried again at once.
const MOST_AGAIN: u32 = 200;

/// Files judged so are blocked from now on.
pub(in crate::store) fn put(tx: &Tx<'_>, by: &Caller, comment: &str) -> Result<(), StoreError> {
    let organization = organizations::get(tx, by.organization)?.number;
    tx.prepare_cached(
        "INSERT INTO policy (organization, type, requestor, comment, created, changes)
         VALUES (?1, 'Malware', ?2, ?3, ?4, abs(random() % 1000000000))
         ON CONFLICT (organization, type) DO UPDATE SET requestor = ?2, comment = ?3",
    )?
    .execute(params![organization, by.name, comment, tx.now.ticks()])?;
    Ok(audit::write(tx, organization, &by.into(), "policy.begin", "on-determination malware", comment)?)
}

/// No more files are blocked for that. What is blocked stays so. False if there is no such policy.
pub(in crate::store) fn remove(tx: &Tx<'_>, by: &Caller, comment: &str) -> Result<bool, StoreError> {
    let organization = organizations::get(tx, by.organization)?.number;
    let gone = tx.prepare_cached("DELETE FROM policy WHERE organization = ?1")?.execute([organization])?;
    if gone > 0 {
        audit::write(tx, organization, &by.into(), "policy.end", "on-determination malware", comment)?;
    }
    Ok(gone > 0)
}

/// The policy, if there is one.
pub(in crate::store) fn get(
    connection: &Connection,
    organization: OrganizationId,
) -> Result<Option<Policy>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    let count = |condition: &str| {
        connection
            .prepare_cached(&format!(
                "SELECT count(*) AS many FROM policy_deed WHERE organization = ?1 AND {condition}"
            ))?
            .query_row([organization], |row| uint(row, "many"))
    };
    let (blocked, refused) = (count("\"order\" IS NOT NULL")?, count("refused IS NOT NULL")?);
    let found = connection
        .prepare_cached("SELECT * FROM policy WHERE organization = ?1")?
        .query_row([organization], |row| {
            Ok(Policy {
                requestor: row.get("requestor")?,
                comment: row.get("comment")?,
                created: time(row, "created")?,
                blocked,
                refused,
            })
        })
        .optional()?;
    Ok(found)
}

/// Something was said of a file: if it is known, it is looked at next.
pub(super) fn said(tx: &Tx<'_>, organization: i64, file: FileId) -> rusqlite::Result<()> {
    let (column, name) = of_file(&file);
    tx.prepare_cached(&format!(
        "INSERT OR REPLACE INTO policy_look (organization, file, token)
         SELECT ?1, number, random() FROM file WHERE organization = ?1 AND {column} = ?2
             AND EXISTS (SELECT 1 FROM policy WHERE organization = ?1)"
    ))?
    .execute(params![organization, name])
    .map(drop)
}

/// Something changed that may concern every file: those that are blocked are looked at first, then the newest of those
/// that were not looked at, which would otherwise never be when this comes again and again.
pub(super) fn all_changed(tx: &Tx<'_>, organization: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO policy_look (organization, file, token)
         SELECT f.organization, f.number, random() FROM file f JOIN policy p ON p.organization = f.organization
         WHERE f.organization = ?1 AND f.number > p.looked ORDER BY f.number DESC LIMIT ?2",
    )?
    .execute(params![organization, MOST_AHEAD])?;
    tx.prepare_cached("UPDATE policy SET looked = 0, changes = changes + 1 WHERE organization = ?1")?
        .execute([organization])?;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO policy_look (organization, file, token)
         SELECT organization, file, random() FROM policy_deed WHERE organization = ?1
             AND EXISTS (SELECT 1 FROM policy WHERE organization = ?1)",
    )?
    .execute([organization])
    .map(drop)
}

/// The next files to look at, at most so many, of every organization with a policy.
pub(in crate::store) fn next(connection: &Connection, most: u32) -> Result<Vec<PolicyLook>, StoreError> {
    let policies = connection
        .prepare_cached("SELECT organization, looked, changes FROM policy")?
        .query_map([], |row| Ok((row.get("organization")?, row.get("looked")?, row.get("changes")?)))?
        .collect::<Result<Vec<(i64, i64, i64)>, _>>()?;
    let mut all = Vec::new();
    for (number, looked, changes) in policies {
        // What may have to be let go comes before what may have to wait.
        let said = "SELECT f.*, l.token FROM policy_look l JOIN file f ON f.number = l.file
                 LEFT JOIN policy_deed d ON d.organization = l.organization AND d.file = l.file
             WHERE l.organization = ?1 AND ?2 >= 0 ORDER BY d.file IS NULL, f.number LIMIT ?3";
        let in_order = "SELECT *, NULL AS token FROM file WHERE organization = ?1 AND number > ?2
             ORDER BY number LIMIT ?3";
        let mut files = files(connection, said, (number, looked, most))?;
        if files.is_empty() {
            files = self::files(connection, in_order, (number, looked, most))?;
        }
        if files.is_empty() {
            continue;
        }
        for look in &mut files {
            look.judged.words = determinations::said_of(connection, number, &look.digests)?;
        }
        let organization = organizations::numbered(connection, number)?.id;
        all.push(PolicyLook { organization, changes, lists: lists::all(connection, number)?, files });
    }
    Ok(all)
}

fn files(
    connection: &Connection,
    sql: &str,
    (organization, looked, most): (i64, i64, u32),
) -> rusqlite::Result<Vec<Look>> {
    connection
        .prepare_cached(sql)?
        .query_map(params![organization, looked, most], |row| {
            let digests = digests(row)?;
            let (file, token) = (row.get("number")?, row.get("token")?);
            Ok(Look { file, token, digests, judged: Judged::of(&digests) })
        })?
        .collect()
}

/// What follows for files that were looked at, in their order. Nothing does if something has changed since that concerns
/// all of them. False when the policy rests: it has made as many blocks in an hour as it may.
pub(in crate::store) fn follow(
    tx: &Tx<'_>,
    organization: OrganizationId,
    changes: i64,
    looked: &[Looked],
) -> Result<bool, StoreError> {
    let organization = organizations::get(tx, organization)?;
    let policy = tx
        .prepare_cached("SELECT requestor, comment FROM policy WHERE organization = ?1 AND changes = ?2")?
        .query_row([organization.number, changes], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    let Some((requestor, comment)) = policy else { return Ok(true) };
    let by = Caller {
        organization: organization.id,
        name: SIGNATURE.to_owned(),
        from: String::new(),
        confirms: false,
    };
    let comment = format!("{comment} (policy of {requestor})");
    let (mut rests, mut made) = (false, made_lately(tx, &organization)?);
    for Looked { file, token, digests, kind } in looked {
        let deed = deed(tx, &organization, *file)?;
        match (kind, deed) {
            (DeterminationType::Malware, None | Some(Deed { order: None, is_old: true })) => {
                if made >= MOST_AN_HOUR {
                    rests = true;
                    if token.is_some() { continue } else { break }
                }
                made += u64::from(deny(tx, &organization, &by, *file, digests, &comment)?);
            }
            (DeterminationType::Malware, Some(_)) | (_, None) => {}
            (_, Some(deed)) => let_go(tx, &organization, &by, *file, digests, deed.order)?,
        }
        if token.is_some() {
            tx.prepare_cached(
                "DELETE FROM policy_look WHERE organization = ?1 AND file = ?2 AND token = ?3",
            )?
            .execute(params![organization.number, file, token])?;
        } else {
            tx.prepare_cached("UPDATE policy SET looked = max(looked, ?2) WHERE organization = ?1")?
                .execute(params![organization.number, file])?;
        }
    }
    Ok(!rests)
}

/// What came of a file.
struct Deed {
    /// The block that was made; none when it was refused,
    order: Option<OrderId>,
    /// and whether that was more than an hour ago: what stood against it may be gone.
    is_old: bool,
}

/// The deed about a file, if there is one.
fn deed(tx: &Tx<'_>, organization: &Organization, file: i64) -> rusqlite::Result<Option<Deed>> {
    tx.prepare_cached("SELECT \"order\", at FROM policy_deed WHERE organization = ?1 AND file = ?2")?
        .query_row(params![organization.number, file], |row| {
            let order: Option<[u8; 16]> = row.get(0)?;
            let order = order.map(|id| OrderId(uuid::Uuid::from_bytes(id)));
            Ok(Deed { order, is_old: time(row, "at")? <= tx.now.before(HOUR) })
        })
        .optional()
}

/// Files whose blocks were refused an hour ago are looked at again.
pub(super) fn try_refused_again(tx: &Tx<'_>) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT OR IGNORE INTO policy_look (organization, file, token)
         SELECT d.organization, d.file, random() FROM policy p JOIN policy_deed d ON d.organization = p.organization
         WHERE d.\"order\" IS NULL AND d.at <= ?1 ORDER BY d.at LIMIT ?2",
    )?
    .execute(params![tx.now.before(HOUR).ticks(), MOST_AGAIN])
    .map(drop)
}

/// How many blocks policies made in the last hour, whatever became of them since: a list that changes to and fro has
/// files let go and blocked again.
fn made_lately(tx: &Tx<'_>, organization: &Organization) -> rusqlite::Result<u64> {
    tx.prepare_cached(
        "SELECT count(*) AS many FROM \"order\" WHERE organization = ?1 AND want = 'block' AND requestor = ?3
             AND number > coalesce((SELECT number FROM \"order\" WHERE organization = ?1 AND created <= ?2
                 ORDER BY number DESC LIMIT 1), 0)",
    )?
    .query_row(params![organization.number, tx.now.before(HOUR).ticks(), SIGNATURE], |row| uint(row, "many"))
}

/// Blocks the file, unless it is spared: then it is said why not, once for each reason. Whether it is blocked comes back.
fn deny(
    tx: &Tx<'_>,
    organization: &Organization,
    by: &Caller,
    file: i64,
    digests: &Digests,
    comment: &str,
) -> Result<bool, StoreError> {
    let name = FileId::Sha256(digests.sha256);
    let (order, refused) = match block::begin(tx, organization, by, name, comment, None) {
        Ok((_, order)) => (Some(order), None),
        Err(SubmitError::Store(error)) => return Err(error),
        Err(refusal) => (None, Some(refusal.to_string())),
    };
    let said: Option<String> = tx
        .prepare_cached("SELECT refused FROM policy_deed WHERE organization = ?1 AND file = ?2")?
        .query_row(params![organization.number, file], |row| row.get(0))
        .optional()?
        .flatten();
    if let Some(refused) = refused.as_ref().filter(|refused| said.as_ref() != Some(refused)) {
        audit::write(tx, organization.number, &by.into(), "policy.refused", &name.to_string(), refused)?;
    }
    tx.prepare_cached(
        "INSERT OR REPLACE INTO policy_deed (organization, file, \"order\", refused, at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        organization.number,
        file,
        order.map(|order| order.0.into_bytes()),
        refused,
        tx.now.ticks()
    ])?;
    Ok(order.is_some())
}

/// The file is judged otherwise: its block ends, unless somebody else wants it, or has ended it already.
fn let_go(
    tx: &Tx<'_>,
    organization: &Organization,
    by: &Caller,
    file: i64,
    digests: &Digests,
    order: Option<OrderId>,
) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM policy_deed WHERE organization = ?1 AND file = ?2")?
        .execute(params![organization.number, file])?;
    let Some(order) = order.filter(|order| is_wanted(tx, organization, *order).unwrap_or(true)) else {
        return Ok(());
    };
    let original = orders::made(tx, organization, order)?;
    let comment = "it is no longer judged to be malware";
    match block::let_go(tx, organization, by, FileId::Sha256(digests.sha256), comment, &original) {
        Ok(_) | Err(SubmitError::NotBlocked) => Ok(()),
        Err(SubmitError::Store(error)) => Err(error),
        Err(other) => Err(StoreError::Refused(other.to_string())),
    }
}

fn is_wanted(tx: &Tx<'_>, organization: &Organization, order: OrderId) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT wanting FROM \"order\" WHERE organization = ?1 AND id = ?2")?
        .query_row(params![organization.number, order.0.as_bytes()], |row| row.get(0))
}
