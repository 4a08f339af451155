//! Acts: what is to be done on one machine, and how far it is.

use model::act::{Act, Do, Terms};
use model::log::Position;
use model::order::{Failure, Late, State};
use model::{ActId, Epoch, FileId, Generation, MachineId, OrderId, OrganizationId, Time};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::audit::{self, Actor};
use super::columns::{failure, failure_in, file, guid, int, lines, of_file, some_guid, time, uint, word};
use super::tx::Tx;
use super::{collect, copies, machines, orders, organizations};
use crate::hints::Hint;
use crate::store::{OpenAct, StoreError};

/// An act of the store.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) number: i64,
    pub(super) organization: i64,
    pub(super) id: ActId,
    pub(super) order: OrderId,
    pub(super) machine: i64,
    pub(super) what: Do,
    /// The file it is about, also when it brings copies back.
    pub(super) file: FileId,
    pub(super) state: State,
    pub(super) stopped: u32,
    pub(super) failure: Option<Failure>,
    /// When a result came after it had ended otherwise.
    pub(super) late: Option<Time>,
}

fn read(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let file = file(row)?;
    Ok(Kept {
        number: row.get("number")?,
        organization: row.get("organization")?,
        id: ActId(guid(row, "id")?),
        order: OrderId(guid(row, "order")?),
        machine: row.get("machine")?,
        what: match (some_guid(row, "restores")?, &*row.get::<_, String>("what")?) {
            (Some(order), _) => {
                let terms =
                    Terms { beside: row.get("beside")?, keep_privileges: row.get("keep_privileges")? };
                Do::Restore(OrderId(order), terms)
            }
            (None, "collect") => Do::Collect(file),
            (None, _) => Do::Quarantine(file),
        },
        file,
        state: word(row, "state", State::from_word)?,
        stopped: row.get("stopped")?,
        failure: failure(row)?,
        late: row.get::<_, Option<i64>>("late")?.map(Time::from_ticks),
    })
}

/// Makes an act and wakes its machine. Its number comes back.
pub(super) fn insert(
    tx: &Tx<'_>,
    organization: &organizations::Organization,
    machine: i64,
    act: &Act,
    file: FileId,
) -> rusqlite::Result<i64> {
    let (file_kind, file) = of_file(&file);
    let (restores, terms) = match &act.what {
        Do::Quarantine(_) | Do::Collect(_) => (None, Terms::default()),
        Do::Restore(order, terms) => (Some(order.0.into_bytes()), *terms),
    };
    tx.prepare_cached(
        "INSERT INTO act (organization, id, \"order\", machine, what, file_kind, file, restores, after_epoch,
                          after_generation, deadline, state, beside, keep_privileges)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        organization.number,
        act.id.0.as_bytes(),
        act.order.0.as_bytes(),
        machine,
        act.what.word(),
        file_kind,
        file,
        restores,
        int(act.after.epoch.0),
        int(act.after.generation.0),
        act.deadline.ticks(),
        State::Pending.word(),
        terms.beside,
        terms.keep_privileges
    ])?;
    let number = tx.last_insert_rowid();
    tx.hint(Hint::ActsChanged(organization.id, act.machine));
    Ok(number)
}

/// The acts a machine has yet to end, oldest first.
pub(in crate::store) fn open(
    connection: &Connection,
    organization: OrganizationId,
    machine: MachineId,
) -> Result<Vec<OpenAct>, StoreError> {
    let organization = organizations::get(connection, organization)?.number;
    let (number, _) = machines::known(connection, organization, machine)?;
    let mut rows = connection.prepare_cached(
        "SELECT a.*, o.cancelled_at IS NOT NULL AS is_cancelled FROM act a
         JOIN \"order\" o ON o.organization = a.organization AND o.id = a.\"order\"
         WHERE a.organization = ?1 AND a.machine = ?2 AND a.state IN ('Pending', 'InProgress')
         ORDER BY a.number",
    )?;
    let acts = rows.query_map([organization, number], |row| {
        let kept = read(row)?;
        let act = Act {
            id: kept.id,
            order: kept.order,
            machine,
            what: kept.what,
            after: Position {
                epoch: Epoch(uint(row, "after_epoch")?),
                generation: Generation(uint(row, "after_generation")?),
            },
            deadline: time(row, "deadline")?,
        };
        Ok(OpenAct {
            act,
            is_handed: row.get::<_, Option<i64>>("handed")?.is_some(),
            is_cancelled: row.get("is_cancelled")?,
        })
    })?;
    Ok(acts.collect::<Result<_, _>>()?)
}

/// Notes that acts are on their way to their machine. Those that nobody has withdrawn meanwhile come back; the
/// others must not go.
pub(in crate::store) fn hand_out(
    tx: &Tx<'_>,
    organization: OrganizationId,
    acts: &[ActId],
) -> Result<Vec<ActId>, StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    let mut hand = tx.prepare_cached(
        "UPDATE act SET handed = coalesce(handed, ?3)
         WHERE organization = ?1 AND id = ?2 AND state IN ('Pending', 'InProgress')",
    )?;
    let mut handed = Vec::new();
    for act in acts {
        if hand.execute(params![organization, act.0.as_bytes(), tx.now.ticks()])? > 0 {
            handed.push(*act);
        }
    }
    Ok(handed)
}

/// The acts of an order that have not ended, and whether each was handed out.
pub(super) fn open_of(
    connection: &Connection,
    organization: i64,
    order: OrderId,
) -> rusqlite::Result<Vec<(Kept, bool)>> {
    connection
        .prepare_cached(
            "SELECT * FROM act WHERE organization = ?1 AND \"order\" = ?2
                 AND state IN ('Pending', 'InProgress') ORDER BY number",
        )?
        .query_map(params![organization, order.0.as_bytes()], |row| {
            Ok((read(row)?, row.get::<_, Option<i64>>("handed")?.is_some()))
        })?
        .collect()
}

/// What an order's act adds to it.
pub(super) struct Done {
    pub(super) stopped: u32,
    pub(super) services: Vec<String>,
    pub(super) deadline: Time,
    pub(super) late: Option<Late>,
}

/// What an order's act adds to it; none for an order without one.
pub(super) fn of_order(
    connection: &Connection,
    organization: i64,
    order: OrderId,
) -> rusqlite::Result<Option<Done>> {
    connection
        .prepare_cached(
            "SELECT * FROM act WHERE organization = ?1 AND \"order\" = ?2 ORDER BY number LIMIT 1",
        )?
        .query_row(params![organization, order.0.as_bytes()], |row| {
            let late = match row.get::<_, Option<i64>>("late")? {
                None => None,
                Some(at) => Some(Late {
                    at: Time::from_ticks(at),
                    state: word(row, "late_state", State::from_word)?,
                    failure: failure_in(row, "late_code", "late_reason")?,
                }),
            };
            let stopped = if late.is_some() { "late_stopped" } else { "stopped" };
            let services = lines(row, "services")?;
            Ok(Done { stopped: row.get(stopped)?, services, deadline: time(row, "deadline")?, late })
        })
        .optional()
}

/// An act of that machine.
pub(super) fn find(
    connection: &Connection,
    organization: i64,
    machine: i64,
    id: ActId,
) -> rusqlite::Result<Option<Kept>> {
    connection
        .prepare_cached("SELECT * FROM act WHERE organization = ?1 AND machine = ?2 AND id = ?3")?
        .query_row(params![organization, machine, id.0.as_bytes()], read)
        .optional()
}

/// The acts that no machine began while there was time.
pub(super) fn overdue(connection: &Connection, now: Time) -> rusqlite::Result<Vec<Kept>> {
    connection
        .prepare_cached(
            "SELECT * FROM act WHERE state = 'Pending' AND deadline <= ?1 ORDER BY deadline, number",
        )?
        .query_map([now.ticks()], read)?
        .collect()
}

/// The acts that a machine began so long ago that nobody waits for it any more.
pub(super) fn abandoned(connection: &Connection, begun_before: Time) -> rusqlite::Result<Vec<Kept>> {
    connection
        .prepare_cached("SELECT * FROM act WHERE state = 'InProgress' AND begun < ?1 ORDER BY begun, number")?
        .query_map([begun_before.ticks()], read)?
        .collect()
}

/// Takes an act to another state, if that is legal, and its order with it.
pub(super) fn step(
    tx: &Tx<'_>,
    act: &Kept,
    to: State,
    failure: Option<&Failure>,
    by: &Actor,
) -> Result<(), StoreError> {
    if !act.state.may_become(to) {
        return Err(StoreError::IllegalStep { from: act.state, to });
    }
    let column = if to.is_final() { "ended" } else { "begun" };
    tx.prepare_cached(&format!(
        "UPDATE act SET state = ?2, {column} = ?3, failure_code = ?4, failure_reason = ?5 WHERE number = ?1"
    ))?
    .execute(params![
        act.number,
        to.word(),
        tx.now.ticks(),
        failure.map(|failure| failure.code),
        failure.map(|failure| &failure.reason)
    ])?;
    if to.is_final() {
        collect::ended(tx, act.number)?;
    }
    let what = format!("act.{}", to.word().to_lowercase());
    let why = failure.map_or("", |failure| &failure.reason);
    audit::write(tx, act.organization, by, &what, &act.id.to_string(), why)?;
    orders::step(tx, act.organization, act.order, to, failure, by)
}

/// A machine has begun an act. One that has ended meanwhile stays ended: its result will come late.
pub(in crate::store) fn begun(
    tx: &Tx<'_>,
    organization: OrganizationId,
    machine: MachineId,
    id: ActId,
) -> Result<(), StoreError> {
    let organization = organizations::get(tx, organization)?.number;
    let (number, known) = machines::known(tx, organization, machine)?;
    let act = find(tx, organization, number, id)?.ok_or_else(|| {
        StoreError::Refused(format!("machine {machine} began act {id}, which is not one of its"))
    })?;
    if act.state == State::Pending {
        step(tx, &act, State::InProgress, None, &Actor::agent(&known.name))?;
    }
    Ok(())
}

/// Copies nobody will deal with any more: those not dealt with have failed.
pub(super) fn give_up_copies(tx: &Tx<'_>, act: &Kept, reason: &str) -> rusqlite::Result<()> {
    let mut left = copies::of_act(tx, act.number, false)?;
    for copy in &mut left {
        copy.state = model::act::CopyState::Failed;
        copy.reason = Some(reason.to_owned());
    }
    copies::replace(tx, act.organization, act.number, false, &left)
}
