//! Cancel: an order is withdrawn, as long as its machine has not begun.
//!
//! An act that was never handed out ends at once. Of another one only its machine can say that it will not
//! begin: it is asked, and until it has answered the order stays open. What has begun goes on, and its result
//! stands.

use model::OrderId;
use model::act::Do;
use model::order::{Failure, Order, State, Want};
use rusqlite::params;

use super::acts::{self, Kept};
use super::audit::{self, Actor};
use super::organizations::Organization;
use super::rules::Cause;
use super::tx::Tx;
use super::{orders, organizations, quarantine, wanting};
use crate::hints::Hint;
use crate::store::{Caller, StoreError, SubmitError};

/// What is said of an act that was withdrawn in time, and of its copies.
const IN_TIME: &str = "cancelled before the machine began";

/// Asks for an order to be withdrawn. Asking again changes nothing: the first who asked counts.
pub(in crate::store) fn cancel(
    tx: &Tx<'_>,
    by: &Caller,
    id: OrderId,
    comment: &str,
) -> Result<Order, SubmitError> {
    let organization = organizations::get(tx, by.organization)?;
    let order = orders::find(tx, &organization, id)?.ok_or(SubmitError::UnknownOrder)?;
    if let Some(why) = too_late(&order) {
        return Err(SubmitError::NotCancellable(why));
    }
    if order.cancellation.is_some() {
        return Ok(order);
    }
    let actor = Actor::from(by);
    tx.prepare_cached(
        "UPDATE \"order\" SET cancelled_at = ?3, cancelled_by = ?4, cancelled_comment = ?5, updated = ?3
         WHERE organization = ?1 AND id = ?2",
    )?
    .execute(params![organization.number, id.0.as_bytes(), tx.now.ticks(), by.name, comment])?;
    audit::write(tx, organization.number, &actor, "order.cancel", &id.to_string(), comment)?;
    for (act, handed) in acts::open_of(tx, organization.number, id)? {
        if !handed {
            withdraw(tx, &act, &Failure::cancelled(IN_TIME), &actor)?;
        }
    }
    if let Some(machine) = order.want.machine() {
        tx.hint(Hint::ActsChanged(organization.id, machine));
    }
    Ok(orders::made(tx, &organization, id)?)
}

fn too_late(order: &Order) -> Option<String> {
    let id = order.id;
    match order.want {
        Want::Block(_) | Want::Unblock(_) => Some(format!(
            "Order {id} is a {}, which takes effect at once and can't be cancelled: undo it instead",
            order.want.word()
        )),
        _ if order.state == State::Cancelled => Some(format!("Order {id} was cancelled already")),
        _ if order.state.is_final() => Some(format!(
            "Order {id} has ended already, {}: it can be undone, and not cancelled",
            order.state.word()
        )),
        _ => None,
    }
}

/// An act will never begin: its order is cancelled, and what that order did to the rules is taken back.
pub(super) fn withdraw(tx: &Tx<'_>, act: &Kept, why: &Failure, by: &Actor) -> Result<(), StoreError> {
    acts::step(tx, act, State::Cancelled, Some(why), by)?;
    acts::give_up_copies(tx, act, &why.reason)?;
    let organization = organizations::numbered(tx, act.organization)?;
    let order = orders::made(tx, &organization, act.order)?;
    let cause = Cause { by, comment: &why.reason };
    match &act.what {
        Do::Quarantine(_) => {
            wanting::let_go(tx, organization.number, &order, &cause)?;
        }
        // Its copies stay in the vault, so the file may not run there either: as if nobody had asked.
        Do::Restore(of, _) if order.rule.is_some() => deny_again(tx, &organization, *of, &cause)?,
        // The undone order did not want its deny any more.
        Do::Restore(..) => {}
        Do::Collect(_) => {}
    }
    Ok(())
}

/// What a restore was to bring back stays where it is: so does the deny that its quarantine had.
fn deny_again(
    tx: &Tx<'_>,
    organization: &Organization,
    quarantined_by: OrderId,
    cause: &Cause<'_>,
) -> Result<(), StoreError> {
    let undone = orders::made(tx, organization, quarantined_by)?;
    if let Want::Quarantine(machine, file) = undone.want {
        let rule = quarantine::own_deny(tx, organization.number, machine, file, undone.id, cause)?;
        wanting::take(tx, organization.number, undone.id, rule.rule.id)?;
    }
    Ok(())
}

/// The same for a restore that no machine began in time.
pub(super) fn came_to_nothing(tx: &Tx<'_>, act: &Kept, reason: &str, by: &Actor) -> Result<(), StoreError> {
    let Do::Restore(of, _) = act.what else { return Ok(()) };
    let organization = organizations::numbered(tx, act.organization)?;
    let order = orders::made(tx, &organization, act.order)?;
    if order.rule.is_some() {
        deny_again(tx, &organization, of, &Cause { by, comment: reason })?;
    }
    Ok(())
}

/// Whether somebody asked for an order to be withdrawn.
pub(super) fn is_asked(tx: &Tx<'_>, organization: i64, order: OrderId) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT cancelled_at IS NOT NULL FROM \"order\" WHERE organization = ?1 AND id = ?2")?
        .query_row(params![organization, order.0.as_bytes()], |row| row.get(0))
}
