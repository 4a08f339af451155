//! Undo: the order that takes another one back.

use model::act::{Act, CopyResult, CopyState, Do, Terms};
use model::order::{Order, Want};
use model::{ActId, FileId, MachineId, OrderId};

use super::audit::{self, Actor};
use super::organizations::{self, Organization};
use super::quarantine::TIME_TO_BEGIN;
use super::rules::{self, Cause};
use super::tx::Tx;
use super::{acts, block, copies, machines, orders};
use crate::store::{Caller, SubmitError};

/// Undoes an order; copies come back on these terms. What comes back is the order that does so.
pub(in crate::store) fn undo(
    tx: &Tx<'_>,
    by: &Caller,
    id: OrderId,
    terms: Terms,
    comment: &str,
) -> Result<Order, SubmitError> {
    let organization = organizations::get(tx, by.organization)?;
    let original = orders::find(tx, &organization, id)?.ok_or(SubmitError::UnknownOrder)?;
    if let Some((other, state)) = orders::undoing(tx, organization.number, id)? {
        return Err(not(if state.is_final() {
            format!("Order {id} has been undone already, by order {other}")
        } else {
            format!("Order {id} is being undone, by order {other}: wait until that has ended")
        }));
    }
    if terms != Terms::default() && !matches!(original.want, Want::Quarantine(..)) {
        return Err(not(format!(
            "Order {id} took no copies, so that there are no terms on which they come back"
        )));
    }
    let undoing = match original.want {
        Want::Block(file) => {
            let in_force = rules::in_force(tx, organization.number, &block::of(file))?;
            if in_force.map(|standing| standing.rule.id) != original.rule {
                return Err(not(format!(
                    "The block of order {id} has ended already: there is nothing to undo"
                )));
            }
            block::end(tx, &organization, by, file, comment, Some(id))?.1
        }
        Want::Unblock(file) => {
            if rules::in_force(tx, organization.number, &block::of(file))?.is_some() {
                return Err(not(format!("File {file} is blocked again already: there is nothing to undo")));
            }
            block::begin(tx, &organization, by, file, comment, Some(id))?.1
        }
        Want::Quarantine(machine, file) => {
            restore(tx, &organization, by, &original, (machine, file, terms), comment)?
        }
        Want::Restore(..) => {
            return Err(not(format!("Order {id} is itself an undo: order a new quarantine instead")));
        }
    };
    Ok(orders::made(tx, &organization, undoing)?)
}

fn not(why: String) -> SubmitError {
    SubmitError::NotUndoable(why)
}

/// Brings the copies of a quarantine back and ends the machine's own deny.
fn restore(
    tx: &Tx<'_>,
    organization: &Organization,
    by: &Caller,
    original: &Order,
    (machine, file, terms): (MachineId, FileId, Terms),
    comment: &str,
) -> Result<OrderId, SubmitError> {
    if !original.state.is_final() {
        return Err(not(format!(
            "Order {} is still {}: wait until it has ended, then undo it",
            original.id,
            original.state.word()
        )));
    }
    let org = organization.number;
    let (number, _) = machines::find(tx, org, machine)?.ok_or(SubmitError::UnknownMachine)?;
    if orders::open_for(tx, org, number, file)? {
        return Err(SubmitError::AlreadyOpen);
    }
    let actor = Actor::from(by);
    if terms.keep_privileges {
        let subject = format!("{} {file} {machine}", original.id);
        audit::write(tx, org, &actor, "order.restore.privileges", &subject, comment)?;
    }
    let own = original.rule.map(|rule| rules::get(tx, org, rule)).transpose()?.flatten();
    if let Some(own) = own.filter(|own| own.ended.is_none()) {
        rules::end(tx, org, &own.rule, &Cause { by: &actor, comment })?;
    }
    let head = organizations::numbered(tx, org)?.head;
    let new = orders::New {
        id: OrderId::random(),
        want: Want::Restore(machine, file),
        machine: Some(number),
        undoes: Some(original.id),
        by,
        comment,
        state: model::order::State::Pending,
        rule: original.rule,
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
    let taken: Vec<_> = original
        .copies
        .iter()
        .filter(|copy| copy.state == CopyState::Succeeded)
        .map(|copy| CopyResult { state: CopyState::InProgress, ..copy.clone() })
        .collect();
    copies::replace(tx, org, act, false, &taken)?;
    Ok(new.id)
}
