//! Organizations, and what a deployment of one machine is.

use model::log::Position;
use model::{Epoch, Generation, MachineId, OrganizationId};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::audit::{self, Actor};
use super::columns::{guid, int, position};
use super::machines;
use super::tx::Tx;
use crate::store::{Home, StoreError};

/// An organization and the head of its log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Organization {
    /// Its number in this database.
    pub(super) number: i64,
    pub(super) id: OrganizationId,
    /// The head of its log.
    pub(super) head: Position,
    /// The log's chain value at its head.
    pub(super) chain: [u8; 32],
}

fn read(row: &Row<'_>) -> rusqlite::Result<Organization> {
    Ok(Organization {
        number: row.get("number")?,
        id: OrganizationId(guid(row, "id")?),
        head: position(row)?,
        chain: row.get("chain")?,
    })
}

const COLUMNS: &str = "SELECT number, id, epoch, generation, chain FROM organization";

/// The organization of that name.
pub(super) fn get(connection: &Connection, id: OrganizationId) -> Result<Organization, StoreError> {
    connection
        .prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?
        .query_row([id.0.as_bytes()], read)
        .optional()?
        .ok_or(StoreError::UnknownOrganization)
}

/// The organization of that number.
pub(super) fn numbered(connection: &Connection, number: i64) -> rusqlite::Result<Organization> {
    connection.prepare_cached(&format!("{COLUMNS} WHERE number = ?1"))?.query_row([number], read)
}

/// Which organization and machine this deployment is; made at first start.
pub(in crate::store) fn home(tx: &Tx<'_>, host_name: &str) -> Result<Home, StoreError> {
    let known = tx
        .prepare_cached(
            "SELECT o.id, o.epoch, m.id AS machine FROM home h
             JOIN organization o ON o.number = h.organization JOIN machine m ON m.number = h.machine",
        )?
        .query_row([], |row| {
            Ok(Home {
                organization: OrganizationId(guid(row, "id")?),
                machine: MachineId(row.get("machine")?),
                epoch: Epoch(row.get::<_, i64>("epoch")?.unsigned_abs()),
            })
        })
        .optional()?;
    if let Some(home) = known {
        return Ok(home);
    }
    let home = new_home();
    let now = tx.now.ticks();
    tx.execute(
        "INSERT INTO organization (id, epoch, generation, chain, last_rule, created)
         VALUES (?1, ?2, 0, zeroblob(32), 0, ?3)",
        params![home.organization.0.as_bytes(), int(home.epoch.0), now],
    )?;
    let organization = tx.last_insert_rowid();
    let machine = machines::insert(tx, organization, home.machine, host_name)?;
    tx.execute("INSERT INTO home (one, organization, machine) VALUES (1, ?1, ?2)", [organization, machine])?;
    audit::write(tx, organization, &Actor::quell(), "home.made", &home.machine.to_string(), host_name)?;
    Ok(home)
}

fn new_home() -> Home {
    let mut machine = [0; 20];
    machine[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    machine[16..].copy_from_slice(&Uuid::new_v4().as_bytes()[..4]);
    // 32 random bits tell a restored log from its original; the top one keeps zero for "no log yet".
    let random = u32::from_be_bytes(*Uuid::new_v4().as_bytes().first_chunk().unwrap_or(&[0; 4]));
    let epoch = Epoch(u64::from(random | 1 << 31));
    Home { organization: OrganizationId::random(), machine: MachineId(machine), epoch }
}

/// Moves the head of the log on by one entry.
pub(super) fn advance(
    tx: &Tx<'_>,
    organization: i64,
    generation: Generation,
    chain: &[u8; 32],
) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE organization SET generation = ?2, chain = ?3 WHERE number = ?1")?
        .execute(params![organization, int(generation.0), chain])
        .map(drop)
}
