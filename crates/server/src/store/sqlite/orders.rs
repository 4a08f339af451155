//! Orders: what people asked for, and how far it is.

use model::order::{Cancellation, Failure, Order, State, Want};
use model::{FileId, Generation, MachineId, OrderId, OrganizationId, RuleId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::audit::{self, Actor};
use super::columns::{failure, file, guid, int, of_file, some_guid, time, uint, word};
use super::organizations::{self, Organization};
use super::tx::Tx;
use super::{acts, copies, files, machines};
use crate::store::{Caller, Page, StoreError, SubmitError};

/// An order as it is made.
pub(super) struct New<'a> {
    pub(super) id: OrderId,
    pub(super) want: Want,
    /// The machine's number, if it is about one.
    pub(super) machine: Option<i64>,
    pub(super) undoes: Option<OrderId>,
    pub(super) by: &'a Caller,
    pub(super) comment: &'a str,
    pub(super) state: State,
    pub(super) rule: Option<RuleId>,
    pub(super) generation: Generation,
}

/// Makes an order durable, and the line of the audit that says who asked.
pub(super) fn insert(tx: &Tx<'_>, organization: i64, new: &New<'_>) -> rusqlite::Result<()> {
    let (file_kind, file) = (new.want.file(), new.want.file());
    let (file_kind, _) = of_file(&file_kind);
    let (_, file) = of_file(&file);
    tx.prepare_cached(
        "INSERT INTO \"order\" (organization, id, want, file_kind, file, machine, undoes, requestor, asked_from,
                              comment, created, updated, state, rule, generation, wanting)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute(params![
        organization,
        new.id.0.as_bytes(),
        new.want.word(),
        file_kind,
        file,
        new.machine,
        new.undoes.map(|order| order.0.into_bytes()),
        new.by.name,
        new.by.from,
        new.comment,
        tx.now.ticks(),
        new.state.word(),
        new.rule.map(|rule| int(rule.0)),
        int(new.generation.0),
        // An unblock or a restore names the rule that it ends.
        new.rule.is_some() && matches!(new.want, Want::Block(_) | Want::Quarantine(..))
    ])?;
    let what = format!("order.{}", new.want.word());
    let subject = match new.want.machine() {
        Some(machine) => format!("{} {} {machine}", new.id, new.want.file()),
        None => format!("{} {}", new.id, new.want.file()),
    };
    audit::write(tx, organization, &new.by.into(), &what, &subject, new.comment)
}

/// Takes an order to another state, if that is legal.
pub(super) fn step(
    tx: &Tx<'_>,
    organization: i64,
    id: OrderId,
    to: State,
    failure: Option<&Failure>,
    by: &Actor,
) -> Result<(), StoreError> {
    let from = tx
        .prepare_cached("SELECT state FROM \"order\" WHERE organization = ?1 AND id = ?2")?
        .query_row(params![organization, id.0.as_bytes()], |row| word(row, "state", State::from_word))?;
    if !from.may_become(to) {
        return Err(StoreError::IllegalStep { from, to });
    }
    tx.prepare_cached(
        "UPDATE \"order\" SET state = ?3, updated = ?4, failure_code = ?5, failure_reason = ?6
         WHERE organization = ?1 AND id = ?2",
    )?
    .execute(params![
        organization,
        id.0.as_bytes(),
        to.word(),
        tx.now.ticks(),
        failure.map(|failure| failure.code),
        failure.map(|failure| &failure.reason)
    ])?;
    let what = format!("order.{}", to.word().to_lowercase());
    let why = failure.map_or("", |failure| &failure.reason);
    Ok(audit::write(tx, organization, by, &what, &id.to_string(), why)?)
}

const COLUMNS: &str =
    "SELECT o.*, m.id AS machine_id FROM \"order\" o LEFT JOIN machine m ON m.number = o.machine";

fn read(organization: OrganizationId, row: &Row<'_>) -> rusqlite::Result<Order> {
    let file = file(row)?;
    let machine = row.get::<_, Option<[u8; 20]>>("machine_id")?.map(MachineId);
    let want = word(row, "want", |want| match (want, machine) {
        ("block", _) => Some(Want::Block(file)),
        ("unblock", _) => Some(Want::Unblock(file)),
        ("quarantine", Some(machine)) => Some(Want::Quarantine(machine, file)),
        ("restore", Some(machine)) => Some(Want::Restore(machine, file)),
        ("collect", Some(machine)) => Some(Want::Collect(machine, file)),
        ("discard", Some(machine)) => Some(Want::Discard(machine, file)),
        _ => None,
    })?;
    let cancellation = match row.get::<_, Option<String>>("cancelled_by")? {
        Some(by) => {
            Some(Cancellation { at: time(row, "cancelled_at")?, by, comment: row.get("cancelled_comment")? })
        }
        None => None,
    };
    Ok(Order {
        id: OrderId(guid(row, "id")?),
        organization,
        want,
        undoes: some_guid(row, "undoes")?.map(OrderId),
        requestor: row.get("requestor")?,
        comment: row.get("comment")?,
        created: time(row, "created")?,
        updated: time(row, "updated")?,
        state: word(row, "state", State::from_word)?,
        failure: failure(row)?,
        rule: row.get::<_, Option<i64>>("rule")?.map(|rule| RuleId(rule.unsigned_abs())),
        generation: Generation(uint(row, "generation")?),
        copies: Vec::new(),
        stopped: 0,
        services: Vec::new(),
        deadline: None,
        cancellation,
        undone_by: None,
        late: None,
    })
}

/// An order with its copies.
pub(super) fn find(
    connection: &Connection,
    organization: &Organization,
    id: OrderId,
) -> rusqlite::Result<Option<Order>> {
    let found = connection
        .prepare_cached(&format!("{COLUMNS} WHERE o.organization = ?1 AND o.id = ?2"))?
        .query_row(params![organization.number, id.0.as_bytes()], |row| read(organization.id, row))
        .optional()?;
    found.map(|order| complete(connection, organization, order)).transpose()
}

/// With all that stands in other tables.
fn complete(connection: &Connection, organization: &Organization, order: Order) -> rusqlite::Result<Order> {
    let copies = copies::of_order(connection, organization.number, order.id)?;
    let undone_by = undoing(connection, organization.number, order.id)?.map(|(by, _)| by);
    let done = acts::of_order(connection, organization.number, order.id)?;
    let Some(acts::Done { stopped, services, deadline, late }) = done else {
        return Ok(Order { copies, undone_by, ..order });
    };
    Ok(Order { copies, undone_by, stopped, services, deadline: Some(deadline), late, ..order })
}

/// An order that has just been made or changed.
pub(super) fn made(
    connection: &Connection,
    organization: &Organization,
    id: OrderId,
) -> Result<Order, StoreError> {
    find(connection, organization, id)?
        .ok_or_else(|| StoreError::Database(format!("order {id} is not where it was written")))
}

/// An order with its copies.
pub(in crate::store) fn get(
    connection: &Connection,
    organization: OrganizationId,
    id: OrderId,
) -> Result<Option<Order>, StoreError> {
    let organization = organizations::get(connection, organization)?;
    Ok(find(connection, &organization, id)?)
}

/// Orders with their copies, newest first: those that want this, or all.
pub(in crate::store) fn newest(
    connection: &Connection,
    organization: OrganizationId,
    want: Option<&'static str>,
    page: Page,
) -> Result<Vec<Order>, StoreError> {
    let organization = organizations::get(connection, organization)?;
    let orders = connection
        .prepare_cached(&format!(
            "{COLUMNS} WHERE o.organization = ?1 AND (?2 IS NULL OR o.want = ?2)
             ORDER BY o.number DESC LIMIT ?3 OFFSET ?4"
        ))?
        .query_map(params![organization.number, want, page.top, page.skip], |row| read(organization.id, row))?
        .collect::<Result<Vec<_>, _>>()?;
    let orders = orders.into_iter().map(|order| complete(connection, &organization, order));
    Ok(orders.collect::<Result<_, _>>()?)
}

/// Of these a machine has one at a time about a file,
pub(super) const MOVES: &[&str] = &["quarantine", "restore"];
/// and of these, whatever is moved meanwhile.
pub(super) const COLLECTS: &[&str] = &["collect"];

/// The caller's organization and the machine's number, when an act of one of these kinds can be ordered there.
pub(super) fn may_act(
    tx: &Tx<'_>,
    by: &Caller,
    machine: MachineId,
    file: FileId,
    kinds: &[&str],
) -> Result<(Organization, i64), SubmitError> {
    let organization = organizations::get(tx, by.organization)?;
    let org = organization.number;
    let (number, known) = machines::find(tx, org, machine)?.ok_or(SubmitError::UnknownMachine)?;
    if known.guarded.is_empty() && known.guard_level.as_deref() == Some("none") {
        return Err(SubmitError::NothingGuarded);
    }
    if open_for(tx, org, number, file, kinds)? {
        return Err(SubmitError::AlreadyOpen);
    }
    // Before its first sweep the machine may have copies it has not told of: it decides itself.
    if known.first_sweep_complete && !files::known_on(tx, org, file, number)? {
        return Err(SubmitError::NotKnownThere);
    }
    Ok((organization, number))
}

/// Whether an act of these kinds about the same file is wanted on the machine already, whatever name it was given
/// there.
pub(super) fn open_for(
    connection: &Connection,
    organization: i64,
    machine: i64,
    wanted: FileId,
    kinds: &[&str],
) -> rusqlite::Result<bool> {
    let its_files = files::named(connection, organization, wanted)?;
    let open = connection
        .prepare_cached(
            "SELECT want, file_kind, file FROM \"order\" WHERE organization = ?1 AND machine = ?2
                 AND state IN ('Pending', 'InProgress')",
        )?
        .query_map([organization, machine], |row| Ok((row.get::<_, String>("want")?, file(row)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    let is_meant =
        |(want, other): (String, FileId)| kinds.contains(&&*want) && files::same(wanted, &its_files, other);
    Ok(open.into_iter().any(is_meant))
}

/// The order that undoes that one, unless it came to nothing.
pub(super) fn undoing(
    connection: &Connection,
    organization: i64,
    undone: OrderId,
) -> rusqlite::Result<Option<(OrderId, State)>> {
    connection
        .prepare_cached(
            "SELECT id, state FROM \"order\" WHERE organization = ?1 AND undoes = ?2
                 AND state IN ('Pending', 'InProgress', 'Succeeded') ORDER BY number DESC LIMIT 1",
        )?
        .query_row(params![organization, undone.0.as_bytes()], |row| {
            Ok((OrderId(guid(row, "id")?), word(row, "state", State::from_word)?))
        })
        .optional()
}
