//! Programs that may ask for tokens.

use model::OrganizationId;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::audit::{self, Actor};
use super::columns::{guid, lines, of_lines};
use super::organizations;
use super::tx::Tx;
use crate::store::{Application, StoreError};

/// The application with that client id.
pub(in crate::store) fn get(
    connection: &Connection,
    client: Uuid,
) -> Result<Option<Application>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT a.*, o.id AS owner FROM application a JOIN organization o ON o.number = a.organization
             WHERE client = ?1",
        )?
        .query_row([client.as_bytes()], |row| {
            Ok(Application {
                client,
                organization: OrganizationId(guid(row, "owner")?),
                name: row.get("name")?,
                secret_sha256: row.get("secret_sha256")?,
                roles: lines(row, "roles")?,
            })
        })
        .optional()?)
}

/// Adds an application or replaces the one with its client id.
pub(in crate::store) fn put(tx: &Tx<'_>, application: &Application) -> Result<(), StoreError> {
    let organization = organizations::get(tx, application.organization)?.number;
    tx.prepare_cached(
        "INSERT INTO application (client, organization, name, secret_sha256, roles, updated)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (client) DO UPDATE SET organization = excluded.organization, name = excluded.name,
             secret_sha256 = excluded.secret_sha256, roles = excluded.roles, updated = excluded.updated",
    )?
    .execute(params![
        application.client.as_bytes(),
        organization,
        application.name,
        application.secret_sha256,
        of_lines(&application.roles),
        tx.now.ticks(),
    ])?;
    let subject = application.client.to_string();
    Ok(audit::write(tx, organization, &Actor::quell(), "application.put", &subject, &application.name)?)
}
