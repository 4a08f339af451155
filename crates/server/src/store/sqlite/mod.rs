//! The embedded back end: one SQLite database, one writer, any number of readers.
//!
//! All SQL of the server is below this folder, one file per noun or per order. A function that changes
//! something takes a [`Tx`]; one that only looks takes a connection and serves both sides.

mod columns;
mod failure;
mod readers;
mod schema;
mod tx;
mod wanting;
mod writer;

pub(super) mod applications;
pub(super) mod audit;
pub(super) mod determinations;
pub(super) mod files;
pub(super) mod inspections;
pub(super) mod lists;
pub(super) mod machines;
pub(super) mod organizations;
mod origins;
pub(super) mod sightings;
pub(super) mod spared;

pub(super) mod log;
pub(super) mod rules;

pub(super) mod acts;
pub(super) mod copies;
pub(super) mod coverage;
pub(super) mod orders;

pub(super) mod block;
pub(super) mod bypassed;
pub(super) mod cancel;
pub(super) mod collect;
pub(super) mod expire;
pub(super) mod holds;
pub(super) mod lifted;
pub(super) mod operator_keys;
pub(super) mod outcome;
pub(super) mod policy;
pub(super) mod quarantine;
pub(super) mod undo;

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use model::Clock;
use rusqlite::Connection;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use self::readers::Readers;
use self::tx::Tx;
use self::writer::{Lane, Writer};
use super::StoreError;
use crate::hints::Hints;

/// The database's name in the data directory.
const FILE_NAME: &str = "quell.db";

/// One open database.
pub(super) struct Sqlite {
    writer: Writer,
    readers: Readers,
}

impl Sqlite {
    /// Opens the database in `directory`; makes it when there is none, migrates it when it is older.
    pub(super) fn open(directory: &Path, clock: Arc<dyn Clock>, hints: Hints) -> Result<Self, StoreError> {
        let path = directory.join(FILE_NAME);
        make_private(directory, &path).map_err(|error| StoreError::Unopened {
            path: directory.to_owned(),
            reason: error.to_string(),
        })?;
        let mut connection = Connection::open(&path)?;
        schema::prepare(&mut connection)?;
        inspections::renew(&connection)?;
        let writer = Writer::start(connection, clock, hints)?;
        Ok(Self { writer, readers: Readers::new(path) })
    }

    /// A transaction that never waits behind ingest. Resolves after its commit.
    pub(super) async fn order<T, E>(
        &self,
        name: &'static str,
        job: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.transact(Lane::Orders, name, job).await
    }

    /// A transaction that lets orders go first. Resolves after its commit.
    pub(super) async fn ingest<T: Send + 'static>(
        &self,
        name: &'static str,
        job: impl FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.transact(Lane::Ingest, name, job).await
    }

    /// Looks at one state of the database. Done inline: it takes microseconds, and handing it to another
    /// thread would take longer.
    pub(super) fn read<T>(
        &self,
        name: &'static str,
        look: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.readers.read(name, look)
    }

    /// The same for what may be long: machines and other callers are served on meanwhile.
    pub(super) fn read_long<T>(
        &self,
        name: &'static str,
        look: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let has_others =
            Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
        if has_others {
            block_in_place(|| self.readers.read(name, look))
        } else {
            self.readers.read(name, look)
        }
    }

    /// Folds the write-ahead log back and refreshes the statistics that queries are planned by.
    pub(super) async fn upkeep(&self) -> Result<(), StoreError> {
        self.writer.upkeep().await
    }
}

/// Makes directory and file for us alone, before SQLite would make them for everyone; its own files beside the
/// database take the database's mode.
fn make_private(directory: &Path, file: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    OpenOptions::new().create(true).append(true).mode(0o600).open(file).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_long_list_keeps_nobody_else_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let db = Sqlite::open(dir.path(), Arc::new(SystemClock), Hints::default()).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let list = tokio::spawn(async move {
            db.read_long("list", |_| Ok(receiver.recv_timeout(std::time::Duration::from_secs(20)).is_ok()))
        });
        let other = tokio::spawn(async move { sender.send(()) });
        assert_eq!(list.await.unwrap(), Ok(true), "somebody else was served before it ended");
        assert!(other.await.unwrap().is_ok());
    }
}
