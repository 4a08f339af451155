//! Connections that only look.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rusqlite::{Connection, OpenFlags};

use super::schema::BUSY;
use crate::store::StoreError;

/// Idle connections kept; a burst opens more and closes them again.
const KEPT: usize = 8;

/// The pool of read-only connections.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default() }
    }

    /// Looks at one state of the database: everything within `look` belongs together.
    pub(super) fn read<T>(
        &self,
        name: &'static str,
        look: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = idle.map_or_else(|| self.connect(), Ok)?;
        let snapshot = connection.unchecked_transaction()?;
        let seen = look(&snapshot);
        snapshot.finish()?;
        tracing::trace!(transaction = name, took_us = began.elapsed().as_micros() as u64, "store.read");
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(connection);
        }
        seen
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(128);
        Ok(connection)
    }
}
