//! Undo: the order that takes another one back.

use model::act::{Act, CopyResult, CopyState, Do, Terms};
use model::order::{Inverse, Order, State, Want};
use model::{ActId, FileId, MachineId, OrderId, OrganizationId};
use rusqlite::Connection;

use super::audit::{self, Actor};
use super::organizations::{self, Organization};
use super::quarantine::TIME_TO_BEGIN;
use super::rules::{self, Cause};
use super::tx::Tx;
use super::wanting::{self, LetGo};
use super::{acts, block, collect, copies, machines, orders};
use crate::store::{Caller, SubmitError};

/// What the undo of an order would do now.
pub(in crate::store) fn inverse(
    connection: &Connection,
    organization: OrganizationId,
    id: OrderId,
) -> Result<Inverse, SubmitError> {
    let organization = organizations::get(connection, organization).map_err(SubmitError::Store)?;
    plan(connection, &organization, id).map(|(_, inverse)| inverse)
}

/// The order, and its inverse if it has one now. Nothing else says what can be undone, so that what is shown is
/// what is done.
fn plan(
    connection: &Connection,
    organization: &Organization,
    id: OrderId,
) -> Result<(Order, Inverse), SubmitError> {
    let org = organization.number;
    let order = orders::find(connection, organization, id)?.ok_or(SubmitError::UnknownOrder)?;
    if let Some((other, state)) = orders::undoing(connection, org, id)? {
        return Err(not(if state.is_final() {
            format!("Order {id} has been undone already, by order {other}")
        } else {
            format!("Order {id} is being undone, by order {other}: wait until that has ended")
        }));
    }
    if order.undoes.is_some() {
        let instead = match order.want {
            Want::Restore(..) => "order a new quarantine instead",
            Want::Unblock(_) => "block the file anew instead",
            Want::Discard(..) => "collect the file anew instead",
            Want::Block(_) | Want::Quarantine(..) | Want::Collect(..) => "unblock the file instead",
        };
        return Err(not(format!("Order {id} is itself an undo: {instead}")));
    }
    let (want, its_copies) = match order.want {
        Want::Block(file) => (Want::Unblock(file), 0),
        Want::Unblock(file) => {
            if rules::in_force(connection, org, &block::of(file))?.is_some() {
                return Err(not(format!("File {file} is blocked again already: there is nothing to undo")));
            }
            return Ok((
                order,
                Inverse { want: Want::Block(file), copies: 0, ends: None, kept_by: Vec::new() },
            ));
        }
        Want::Quarantine(machine, file) => {
            quarantine_is_over(connection, org, &order, machine, file)?;
            (Want::Restore(machine, file), taken(&order).count())
        }
        Want::Collect(machine, file) => {
            let inverse = collect::inverse(connection, org, &order, machine, file)?;
            return Ok((order, inverse));
        }
        // Made by an undo alone.
        Want::Restore(..) | Want::Discard(..) => return Err(SubmitError::UnknownOrder),
    };
    let mut inverse = Inverse { want, copies: its_copies, ends: None, kept_by: Vec::new() };
    let in_force = order.rule.map(|rule| rules::get(connection, org, rule)).transpose()?.flatten();
    match in_force.filter(|standing| standing.ended.is_none()) {
        Some(standing) => {
            inverse.kept_by = wanting::others(connection, org, standing.rule.id, id)?;
            inverse.ends = inverse.kept_by.is_empty().then_some(standing.rule.id);
        }
        None if matches!(order.want, Want::Block(_)) => {
            return Err(not(format!("The block of order {id} has ended already: there is nothing to undo")));
        }
        // Root on the machine lifted it: the copies are still to be brought back.
        None => {}
    }
    Ok((order, inverse))
}

fn quarantine_is_over(
    connection: &Connection,
    organization: i64,
    order: &Order,
    machine: MachineId,
    file: FileId,
) -> Result<(), SubmitError> {
    let id = order.id;
    if !order.state.is_final() {
        return Err(not(format!(
            "Order {id} is still {}: wait until it has ended and undo it then, or cancel it",
            order.state.word()
        )));
    }
    if order.state == State::Cancelled && taken(order).next().is_none() {
        return Err(not(format!(
            "Order {id} was cancelled before its machine began: there is nothing to undo"
        )));
    }
    let (number, _) =
        machines::find(connection, organization, machine)?.ok_or(SubmitError::UnknownMachine)?;
    if orders::open_for(connection, organization, number, file, orders::MOVES)? {
        return Err(SubmitError::AlreadyOpen);
    }
    Ok(())
}

/// The copies that a quarantine took.
fn taken(order: &Order) -> impl Iterator<Item = &CopyResult> {
    order.copies.iter().filter(|copy| copy.state == CopyState::Succeeded)
}

/// Undoes an order; copies come back on these terms. What comes back is the order that does so.
pub(in crate::store) fn undo(
    tx: &Tx<'_>,
    by: &Caller,
    id: OrderId,
    terms: Terms,
    comment: &str,
) -> Result<Order, SubmitError> {
    let organization = organizations::get(tx, by.organization)?;
    let (original, inverse) = plan(tx, &organization, id)?;
    if terms != Terms::default() && !matches!(original.want, Want::Quarantine(..)) {
        return Err(not(format!(
            "Order {id} took no copies, so that there are no terms on which they come back"
        )));
    }
    let undoing = match inverse.want {
        Want::Unblock(file) => block::let_go(tx, &organization, by, file, comment, &original)?,
        Want::Block(file) => block::begin(tx, &organization, by, file, comment, Some(id))?.1,
        Want::Restore(machine, file) => {
            restore(tx, &organization, by, &original, (machine, file, terms), comment)?
        }
        Want::Discard(..) => collect::discard(tx, &organization, by, &original, &inverse, comment)?,
        Want::Quarantine(..) | Want::Collect(..) => return Err(SubmitError::UnknownOrder),
    };
    Ok(orders::made(tx, &organization, undoing)?)
}

fn not(why: String) -> SubmitError {
    SubmitError::NotUndoable(why)
}

/// Brings the copies of a quarantine back, and ends the machine's own deny unless another order wants it.
fn restore(
    tx: &Tx<'_>,
    organization: &Organization,
    by: &Caller,
    original: &Order,
    (machine, file, terms): (MachineId, FileId, Terms),
    comment: &str,
) -> Result<OrderId, SubmitError> {
    let org = organization.number;
    let (number, _) = machines::find(tx, org, machine)?.ok_or(SubmitError::UnknownMachine)?;
    let actor = Actor::from(by);
    if terms.keep_privileges {
        let subject = format!("{} {file} {machine}", original.id);
        audit::write(tx, org, &actor, "order.restore.privileges", &subject, comment)?;
    }
    let let_go = wanting::let_go(tx, org, original, &Cause { by: &actor, comment })?;
    let head = organizations::numbered(tx, org)?.head;
    let new = orders::New {
        id: OrderId::random(),
        want: Want::Restore(machine, file),
        machine: Some(number),
        undoes: Some(original.id),
        by,
        comment,
        state: State::Pending,
        // Named only if it was let go here: then a cancel puts it back.
        rule: original.rule.filter(|_| let_go != LetGo::NotWanted),
        generation: head.generation,
    };
    orders::insert(tx, org, &new)?;
    let act = Act {
        id: ActId::random(),
        order: new.id,
        machine,
        what: Do::Restore(original.id, terms),
        after: head,
        deadline: tx.now.after(TIME_TO_BEGIN),
    };
    let act = acts::insert(tx, organization, number, &act, file)?;
    let coming: Vec<_> =
        taken(original).map(|copy| CopyResult { state: CopyState::InProgress, ..copy.clone() }).collect();
    copies::replace(tx, org, act, false, &coming)?;
    Ok(new.id)
}
