//! The database's shape, and how an older one gets it.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use crate::store::StoreError;

/// Each step from one version to the next; `user_version` counts those taken. Never edited once released.
const STEPS: &[&str] = &[
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
    include_str!("schema/0005.sql"),
    include_str!("schema/0006.sql"),
    include_str!("schema/0007.sql"),
    include_str!("schema/0008.sql"),
    include_str!("schema/0009.sql"),
    include_str!("schema/0010.sql"),
];

/// How long a connection waits for another process, a backup for instance.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// Sets the writer's connection up and brings the database to the newest version.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(256);
    connection.pragma_update(None, "journal_mode", "wal")?;
    // An acknowledged commit survives a power cut.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;

    let known = STEPS.len() as i64;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    let taken = usize::try_from(found).unwrap_or_default();
    for (step, version) in STEPS.iter().zip(1..).skip(taken) {
        let step_tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        step_tx.execute_batch(step)?;
        step_tx.pragma_update(None, "user_version", version)?;
        step_tx.commit()?;
        tracing::info!(version, "store.migrated");
    }
    Ok(())
}
