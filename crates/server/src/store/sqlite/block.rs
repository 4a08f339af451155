//! Block and unblock: one deny for the whole organization.

use model::order::{Cancellation, Order, State, Want};
use model::rule::{Effect, Identifier, Scope};
use model::{FileId, Generation, OrderId, OrganizationId, RuleId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::audit::Actor;
use super::columns::{guid, int, rule, time};
use super::organizations::{self, Organization};
use super::rules::{self, Cause, Deny};
use super::tx::Tx;
use super::wanting::{self, LetGo};
use super::{coverage, orders, spared};
use crate::store::{Block, Caller, Page, StoreError, SubmitError};

/// What a block is for this file.
pub(super) const fn of(file: FileId) -> Deny {
    Deny { file, scope: Scope::Organization }
}

/// Blocks a file, whether or not any machine has seen it.
pub(in crate::store) fn block(
    tx: &Tx<'_>,
    by: &Caller,
    file: FileId,
    comment: &str,
) -> Result<Block, SubmitError> {
    let organization = organizations::get(tx, by.organization)?;
    let (rule, _) = begin(tx, &organization, by, file, comment, None)?;
    Ok(made(tx, &organization, rule)?)
}

/// Ends a block. What comes back is the block as it was, and how it ended.
pub(in crate::store) fn unblock(
    tx: &Tx<'_>,
    by: &Caller,
    file: FileId,
    comment: &str,
) -> Result<Block, SubmitError> {
    let organization = organizations::get(tx, by.organization)?;
    let (rule, order) = end(tx, &organization, by, file, comment)?;
    Ok(Block { order, ..made(tx, &organization, rule)? })
}

/// Makes rule and order; both names come back.
pub(super) fn begin(
    tx: &Tx<'_>,
    organization: &Organization,
    by: &Caller,
    file: FileId,
    comment: &str,
    undoes: Option<OrderId>,
) -> Result<(RuleId, OrderId), SubmitError> {
    spared::refuse(tx, organization.number, by, file, None, comment)?;
    let id = OrderId::random();
    let actor = Actor::from(by);
    let cause = Cause { by: &actor, comment };
    let standing = rules::deny(tx, organization.number, &of(file), id, &cause)?;
    let new = orders::New {
        id,
        want: Want::Block(file),
        machine: None,
        undoes,
        by,
        comment,
        state: State::InProgress,
        rule: Some(standing.rule.id),
        generation: standing.began,
    };
    orders::insert(tx, organization.number, &new)?;
    coverage::settle(tx, organization, &actor)?;
    Ok((standing.rule.id, id))
}

/// Ends the rule, whoever wants it, and makes the order that wanted that; both names come back.
fn end(
    tx: &Tx<'_>,
    organization: &Organization,
    by: &Caller,
    file: FileId,
    comment: &str,
) -> Result<(RuleId, OrderId), SubmitError> {
    let standing = rules::in_force(tx, organization.number, &of(file))?.ok_or(SubmitError::NotBlocked)?;
    let actor = Actor::from(by);
    let ended = rules::end(tx, organization.number, &standing.rule, &Cause { by: &actor, comment })?;
    let id = OrderId::random();
    let ending = Ending { id, file, undoes: None, rule: standing.rule.id, ended };
    Ok((standing.rule.id, unblocking(tx, organization, by, comment, &ending)?))
}

/// Undoes one block: the rule ends when no other order wants it. The order that does so comes back.
pub(super) fn let_go(
    tx: &Tx<'_>,
    organization: &Organization,
    by: &Caller,
    file: FileId,
    comment: &str,
    original: &Order,
) -> Result<OrderId, SubmitError> {
    let rule = original.rule.ok_or(SubmitError::NotBlocked)?;
    let actor = Actor::from(by);
    let ended = match wanting::let_go(tx, organization.number, original, &Cause { by: &actor, comment })? {
        LetGo::Ended(generation) => generation,
        // Nothing for machines to adopt.
        LetGo::Kept | LetGo::NotWanted => original.generation,
    };
    let ending = Ending { id: OrderId::random(), file, undoes: Some(original.id), rule, ended };
    Ok(unblocking(tx, organization, by, comment, &ending)?)
}

/// What an order that ends a block says.
struct Ending {
    id: OrderId,
    file: FileId,
    undoes: Option<OrderId>,
    rule: RuleId,
    /// What every machine must have adopted for it to be done.
    ended: Generation,
}

fn unblocking(
    tx: &Tx<'_>,
    organization: &Organization,
    by: &Caller,
    comment: &str,
    ending: &Ending,
) -> Result<OrderId, StoreError> {
    let new = orders::New {
        id: ending.id,
        want: Want::Unblock(ending.file),
        machine: None,
        undoes: ending.undoes,
        by,
        comment,
        state: State::InProgress,
        rule: Some(ending.rule),
        generation: ending.ended,
    };
    orders::insert(tx, organization.number, &new)?;
    coverage::settle(tx, organization, &Actor::from(by))?;
    Ok(ending.id)
}

fn made(tx: &Tx<'_>, organization: &Organization, id: RuleId) -> Result<Block, StoreError> {
    tx.prepare_cached("SELECT * FROM rule WHERE organization = ?1 AND id = ?2")?
        .query_row(params![organization.number, int(id.0)], read)
        .optional()?
        .flatten()
        .ok_or_else(|| StoreError::Database(format!("rule {id} is not where it was written")))
}

/// None for a rule about what is no file's name.
fn read(row: &Row<'_>) -> rusqlite::Result<Option<Block>> {
    let rule = rule(row)?;
    let file = match rule.identifier {
        Identifier::Sha1(sha1) => FileId::Sha1(sha1),
        Identifier::Sha256(sha256) => FileId::Sha256(sha256),
        Identifier::Md5(_) | Identifier::Signer(_) => return Ok(None),
    };
    let cancellation = match row.get::<_, Option<String>>("cancelled_by")? {
        Some(by) => {
            Some(Cancellation { at: time(row, "cancelled_at")?, by, comment: row.get("cancelled_comment")? })
        }
        None => None,
    };
    Ok(Some(Block {
        rule: rule.id,
        order: OrderId(guid(row, "order")?),
        file,
        created: time(row, "created")?,
        updated: time(row, "updated")?,
        requestor: row.get("requestor")?,
        comment: row.get("comment")?,
        cancellation,
    }))
}

/// The blocks in force, newest first.
pub(in crate::store) fn list(
    connection: &Connection,
    organization: OrganizationId,
    page: Page,
) -> Result<Vec<Block>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    let mut rows = connection.prepare_cached(
        "SELECT * FROM rule WHERE organization = ?1 AND scope_kind = 'organization' AND effect = ?2
             AND identifier_kind IN ('sha1', 'sha256') AND ended_generation IS NULL
         ORDER BY id DESC LIMIT ?3 OFFSET ?4",
    )?;
    let blocks = rows.query_map(params![organization, Effect::Deny.word(), page.top, page.skip], read)?;
    Ok(blocks.filter_map(Result::transpose).collect::<Result<_, _>>()?)
}
