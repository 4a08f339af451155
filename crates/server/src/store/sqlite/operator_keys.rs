//! The public half of the operator key, and how it came to be this one.

use model::OrganizationId;
use model::hold::{KeyChange, OperatorKey};
use rusqlite::{Connection, OptionalExtension, params};

use super::audit::{self, Actor};
use super::tx::Tx;
use super::{holds, organizations};
use crate::hints::Hint;
use crate::operator::fingerprint;
use crate::store::{Caller, StoreError};

/// The one that counts; none before there is one.
pub(in crate::store) fn current(
    connection: &Connection,
    organization: OrganizationId,
) -> Result<Option<OperatorKey>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    let key = connection
        .prepare_cached("SELECT key FROM operator_key WHERE organization = ?1")?
        .query_row([organization], |row| row.get("key"))
        .optional()?;
    Ok(key)
}

/// How it came to be that one, oldest first.
pub(in crate::store) fn changes(
    connection: &Connection,
    organization: OrganizationId,
) -> Result<Vec<KeyChange>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    let mut rows = connection
        .prepare_cached("SELECT * FROM operator_key_change WHERE organization = ?1 ORDER BY number")?;
    let changes = rows.query_map([organization], |row| {
        Ok(KeyChange { from: row.get("old")?, to: row.get("new")?, signature: row.get("signature")? })
    })?;
    Ok(changes.collect::<Result<_, _>>()?)
}

/// Keeps the first one, unless there is one: what stands comes back.
pub(in crate::store) fn keep(
    tx: &Tx<'_>,
    organization: OrganizationId,
    key: OperatorKey,
) -> Result<OperatorKey, StoreError> {
    if let Some(kept) = current(tx, organization)? {
        return Ok(kept);
    }
    let number = organizations::get(tx, organization)?.number;
    tx.prepare_cached("INSERT INTO operator_key (organization, key) VALUES (?1, ?2)")?
        .execute(params![number, key])?;
    let subject = data_encoding::HEXLOWER.encode(&key);
    audit::write(tx, number, &Actor::quell(), "operator.key", &subject, "made at the first start")?;
    Ok(key)
}

/// Another key follows, at the word of the one before or, when that was lost, of whoever rules the server: without a
/// signature no machine takes it by itself. Told twice it changes nothing.
pub(in crate::store) fn change(
    tx: &Tx<'_>,
    organization: OrganizationId,
    by: Option<&Caller>,
    change: &KeyChange,
    comment: &str,
) -> Result<(), StoreError> {
    let before = changes(tx, organization)?;
    let now = current(tx, organization)?;
    if now == Some(change.to)
        && before.last().is_some_and(|last| (last.from, last.to) == (change.from, change.to))
    {
        return Ok(());
    }
    if now != Some(change.from) {
        let name = now.as_ref().map_or_else(|| "there is none yet".to_owned(), fingerprint);
        return Err(StoreError::Refused(format!(
            "the operator key is {name}, and this is a change of {}",
            fingerprint(&change.from)
        )));
    }
    // Who has a key that was given up must never be able to use it again.
    if change.to == change.from || before.iter().any(|one| one.from == change.to) {
        return Err(StoreError::Refused(format!(
            "{} was the operator key before: make a new one",
            fingerprint(&change.to)
        )));
    }
    let number = organizations::get(tx, organization)?.number;
    tx.prepare_cached(
        "INSERT INTO operator_key_change (organization, number, old, new, signature) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![number, before.len() as i64, change.from, change.to, change.signature])?;
    tx.prepare_cached("UPDATE operator_key SET key = ?2 WHERE organization = ?1")?
        .execute(params![number, change.to])?;
    let actor = by.map_or_else(Actor::quell, Actor::from);
    let subject = format!("{} follows {}", fingerprint(&change.to), fingerprint(&change.from));
    audit::write(tx, number, &actor, "operator.key.change", &subject, comment)?;
    holds::disown_approvals(tx, number, "the operator key is another one by now: sign it anew with that")?;
    // Every machine looks.
    tx.hint(Hint::LogMoved(organization));
    Ok(())
}
