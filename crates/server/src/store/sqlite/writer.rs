//! The one thread that changes the database.
//!
//! Two lanes: an order never waits for more ingest than the batch that is being written. Whoever asks gets
//! his answer after the commit, and a panic in one job is that job's failure only.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use model::Clock;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::tx::Tx;
use crate::hints::Hints;
use crate::store::StoreError;

/// What a job waits behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Behind other orders only.
    Orders,
    /// Behind everything.
    Ingest,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

#[derive(Default)]
struct Queues {
    orders: VecDeque<Job>,
    ingest: VecDeque<Job>,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    queues: Mutex<Queues>,
    woken: Condvar,
}

impl Shared {
    /// No job runs under this lock, so what it guards is whole even if someone panicked.
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job; none once the store is closed and everything asked for is done.
    fn next(&self) -> Option<Job> {
        let mut queues = self.queues();
        loop {
            let job = queues.orders.pop_front().or_else(|| queues.ingest.pop_front());
            if job.is_some() || queues.closed {
                return job;
            }
            queues = self.woken.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The writer's handle. Dropping it waits for what was asked for and closes the database.
pub(super) struct Writer {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    hints: Hints,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        mut connection: Connection,
        clock: Arc<dyn Clock>,
        hints: Hints,
    ) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                while let Some(job) = theirs.next() {
                    job(&mut connection);
                }
            })
            .map_err(|error| StoreError::Database(format!("no thread for the writer: {error}")))?;
        Ok(Self { shared, clock, hints, thread: Some(thread) })
    }

    /// Runs `job` in a transaction of its own.
    pub(super) async fn transact<T, E>(
        &self,
        lane: Lane,
        name: &'static str,
        job: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let clock = Arc::clone(&self.clock);
        let hints = self.hints.clone();
        self.ask(lane, name, move |connection| {
            let tx = Tx::begin(connection, clock.now()).map_err(StoreError::from)?;
            let done = job(&tx)?;
            for hint in tx.commit().map_err(StoreError::from)? {
                hints.give(hint);
            }
            Ok(done)
        })
        .await
    }

    /// What only the writer's connection can do, outside any transaction.
    pub(super) async fn upkeep(&self) -> Result<(), StoreError> {
        self.ask(Lane::Ingest, "upkeep", |connection| {
            connection.execute_batch("PRAGMA optimize")?;
            // Passive: it takes what no reader still needs and waits for nobody.
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
            Ok(())
        })
        .await
    }

    async fn ask<T, E>(
        &self,
        lane: Lane,
        name: &'static str,
        job: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let asked = Instant::now();
        let job: Job = Box::new(move |connection| {
            let began = Instant::now();
            let done = catch_unwind(AssertUnwindSafe(|| job(connection)))
                .unwrap_or_else(|_| Err(StoreError::Panicked(name).into()));
            tracing::debug!(
                transaction = name,
                ?lane,
                waited_us = (began - asked).as_micros() as u64,
                took_us = began.elapsed().as_micros() as u64,
                committed = done.is_ok(),
                "store.transaction"
            );
            // Who asked may have gone away; what was asked for is done all the same.
            let _ = answer.send(done);
        });
        {
            let mut queues = self.shared.queues();
            match lane {
                Lane::Orders => queues.orders.push_back(job),
                Lane::Ingest => queues.ingest.push_back(job),
            }
        }
        self.shared.woken.notify_one();
        answered.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.queues().closed = true;
        self.shared.woken.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer ended by a panic outside any job");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn writer() -> Writer {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE done (what TEXT)").unwrap();
        Writer::start(connection, Arc::new(SystemClock), Hints::default()).unwrap()
    }

    async fn add(writer: &Writer, lane: Lane, what: &'static str) -> Result<(), StoreError> {
        writer
            .transact(lane, what, move |tx| {
                tx.execute("INSERT INTO done VALUES (?1)", [what])?;
                Ok(())
            })
            .await
    }

    async fn all(writer: &Writer) -> Vec<String> {
        writer
            .transact(Lane::Ingest, "all", |tx| {
                let mut rows = tx.prepare("SELECT what FROM done ORDER BY rowid")?;
                let all = rows.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
                Ok::<_, StoreError>(all)
            })
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_panic_undoes_its_own_job_and_ends_no_other() {
        let writer = writer();
        let panicked: Result<(), StoreError> = writer
            .transact(Lane::Orders, "bug", |tx| {
                tx.execute("INSERT INTO done VALUES ('half')", [])?;
                panic!("a bug");
            })
            .await;
        assert_eq!(panicked, Err(StoreError::Panicked("bug")));
        add(&writer, Lane::Orders, "next").await.unwrap();
        assert_eq!(all(&writer).await, ["next"]);
    }

    #[tokio::test]
    async fn orders_overtake_ingest_that_waits() {
        let writer = writer();
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let blocker = writer.transact(Lane::Ingest, "blocker", move |_| {
            // The sender's end is what releases the writer.
            let _ = held.recv();
            Ok::<_, StoreError>(())
        });
        let asked = async {
            tokio::join!(add(&writer, Lane::Ingest, "ingest"), add(&writer, Lane::Orders, "order"), async {
                drop(hold);
            })
        };
        let (first, rest) = tokio::join!(blocker, asked);
        first.and(rest.0).and(rest.1).unwrap();
        assert_eq!(all(&writer).await, ["order", "ingest"]);
    }
}
