//! Stop and quarantine: deny on that machine first, then an act that takes every copy.

use std::time::Duration;

use model::act::{Act, Do};
use model::log::Position;
use model::order::{Order, State, Want};
use model::rule::Scope;
use model::{ActId, FileId, MachineId, OrderId};

use super::audit::Actor;
use super::rules::{self, Cause, Deny, Standing};
use super::tx::Tx;
use super::{acts, copies, files, orders, organizations, spared};
use crate::store::{Caller, SubmitError};

/// How long a machine may take to begin.
pub(super) const TIME_TO_BEGIN: Duration = Duration::from_secs(3 * 24 * 3600);

/// One transaction: order, rule, log entry, act, the copies that are known.
pub(in crate::store) fn quarantine(
    tx: &Tx<'_>,
    by: &Caller,
    machine: MachineId,
    file: FileId,
    comment: &str,
) -> Result<Order, SubmitError> {
    let (organization, number) = orders::may_act(tx, by, machine, file, orders::MOVES)?;
    let org = organization.number;
    spared::refuse(tx, org, by, file, Some(number), comment)?;

    let id = OrderId::random();
    let actor = Actor::from(by);
    let rule = own_deny(tx, org, machine, file, id, &Cause { by: &actor, comment })?;
    let head = organizations::numbered(tx, org)?.head;
    let new = orders::New {
        id,
        want: Want::Quarantine(machine, file),
        machine: Some(number),
        undoes: None,
        by,
        comment,
        state: State::Pending,
        rule: Some(rule.rule.id),
        generation: rule.began,
    };
    orders::insert(tx, org, &new)?;
    let act = Act {
        id: ActId::random(),
        order: id,
        machine,
        what: Do::Quarantine(file),
        after: Position { generation: rule.began, ..head },
        deadline: tx.now.after(TIME_TO_BEGIN),
    };
    let act = acts::insert(tx, &organization, number, &act, file)?;
    copies::replace(tx, org, act, false, &copies::present(tx, org, number, file)?)?;
    Ok(orders::made(tx, &organization, id)?)
}

/// The machine's own deny of the file: the one in force under any of the file's names, else a new one under
/// the name the caller used.
pub(super) fn own_deny(
    tx: &Tx<'_>,
    organization: i64,
    machine: MachineId,
    file: FileId,
    order: OrderId,
    cause: &Cause<'_>,
) -> rusqlite::Result<Standing> {
    let scope = Scope::Machine(machine);
    let other_names = files::named(tx, organization, file)?
        .into_iter()
        .flat_map(|digests| [FileId::Sha256(digests.sha256), FileId::Sha1(digests.sha1)])
        // A SHA-1 may name more files than one: the deny of one of them is not the deny of all.
        .filter(|name| matches!((file, name), (FileId::Sha256(_), FileId::Sha1(_))));
    for name in other_names {
        if let Some(standing) = rules::in_force(tx, organization, &Deny { file: name, scope })? {
            rules::renew(tx, organization, standing.rule.id, order, cause)?;
            return Ok(standing);
        }
    }
    rules::deny(tx, organization, &Deny { file, scope }, order, cause)
}
