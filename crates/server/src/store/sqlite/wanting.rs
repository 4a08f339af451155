//! Which orders want a rule: it ends when the last of them no longer does.

use model::order::Order;
use model::{Generation, OrderId, RuleId};
use rusqlite::{Connection, params};

use super::columns::{guid, int};
use super::rules::{self, Cause};
use super::tx::Tx;

/// The orders that want a rule, but for one, oldest first.
pub(super) fn others(
    connection: &Connection,
    organization: i64,
    rule: RuleId,
    but: OrderId,
) -> rusqlite::Result<Vec<OrderId>> {
    connection
        .prepare_cached(
            "SELECT id FROM \"order\" WHERE organization = ?1 AND rule = ?2 AND wanting = 1 AND id <> ?3
             ORDER BY number",
        )?
        .query_map(params![organization, int(rule.0), but.0.as_bytes()], |row| Ok(OrderId(guid(row, "id")?)))?
        .collect()
}

/// What became of a rule that one order no longer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LetGo {
    /// The order did not want it any more before.
    NotWanted,
    /// Others still want it.
    Kept,
    /// It has ended, with this generation.
    Ended(Generation),
}

/// An order no longer wants its rule, which ends when nobody else does.
pub(super) fn let_go(
    tx: &Tx<'_>,
    organization: i64,
    order: &Order,
    cause: &Cause<'_>,
) -> rusqlite::Result<LetGo> {
    let Some(rule) = order.rule else { return Ok(LetGo::NotWanted) };
    let held = tx
        .prepare_cached(
            "UPDATE \"order\" SET wanting = 0 WHERE organization = ?1 AND id = ?2 AND rule = ?3 AND wanting = 1",
        )?
        .execute(params![organization, order.id.0.as_bytes(), int(rule.0)])?;
    let standing = rules::get(tx, organization, rule)?.filter(|standing| standing.ended.is_none());
    match standing {
        Some(_) if held == 0 => Ok(LetGo::NotWanted),
        Some(standing) if others(tx, organization, rule, order.id)?.is_empty() => {
            rules::end(tx, organization, &standing.rule, cause).map(LetGo::Ended)
        }
        Some(_) => Ok(LetGo::Kept),
        None => Ok(LetGo::NotWanted),
    }
}

/// An order wants this rule from now on.
pub(super) fn take(tx: &Tx<'_>, organization: i64, order: OrderId, rule: RuleId) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE \"order\" SET wanting = 1, rule = ?3 WHERE organization = ?1 AND id = ?2")?
        .execute(params![organization, order.0.as_bytes(), int(rule.0)])
        .map(drop)
}

/// A rule has ended: nobody can want it any more.
pub(super) fn drop_all(tx: &Tx<'_>, organization: i64, rule: RuleId) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE \"order\" SET wanting = 0 WHERE organization = ?1 AND rule = ?2 AND wanting = 1",
    )?
    .execute(params![organization, int(rule.0)])
    .map(drop)
}
