//! Who did what, when, why, from where: one line for each change of state, in the transaction that makes it.

use model::OrganizationId;
use rusqlite::{Connection, params};

use super::columns::{int, time, uint};
use super::organizations;
use super::tx::Tx;
use crate::store::{AuditRow, Caller, StoreError};

/// Who does something.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    pub(super) who: String,
    pub(super) from: String,
}

impl Actor {
    /// Quell itself: chores.
    pub(super) fn quell() -> Self {
        Self { who: "quell".to_owned(), from: String::new() }
    }

    /// A machine's agent.
    pub(super) fn agent(machine_name: &str) -> Self {
        Self { who: format!("agent on {machine_name}"), from: String::new() }
    }

    /// A user of a machine.
    pub(super) fn user(machine_name: &str, user: u32) -> Self {
        Self { who: format!("user {user} on {machine_name}"), from: String::new() }
    }

    /// Whoever is root on a machine.
    pub(super) fn root(machine_name: &str) -> Self {
        Self { who: format!("root on {machine_name}"), from: String::new() }
    }
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        Self { who: caller.name.clone(), from: caller.from.clone() }
    }
}

/// Writes one line.
pub(super) fn write(
    tx: &Tx<'_>,
    organization: i64,
    by: &Actor,
    what: &str,
    subject: &str,
    comment: &str,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO audit (at, organization, who, asked_from, what, subject, comment)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![tx.now.ticks(), organization, by.who, by.from, what, subject, comment])
    .map(drop)
}

/// The lines that follow `after`, oldest first.
pub(in crate::store) fn since(
    connection: &Connection,
    organization: OrganizationId,
    after: u64,
    limit: u32,
) -> Result<Vec<AuditRow>, StoreError> {
    let number = organizations::get(connection, organization)?.number;
    let mut lines = connection.prepare_cached(
        "SELECT * FROM audit WHERE organization = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
    )?;
    let lines = lines.query_map(params![number, int(after), limit], |row| {
        Ok(AuditRow {
            sequence: uint(row, "sequence")?,
            at: time(row, "at")?,
            organization,
            who: row.get("who")?,
            from: row.get("asked_from")?,
            what: row.get("what")?,
            subject: row.get("subject")?,
            comment: row.get("comment")?,
        })
    })?;
    Ok(lines.collect::<Result<_, _>>()?)
}
