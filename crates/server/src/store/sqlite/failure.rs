//! SQLite's errors in the store's words.

use rusqlite::{Error, ErrorCode};

use crate::store::{StoreError, SubmitError};

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            _ => Self::Database(error.to_string()),
        }
    }
}

impl From<Error> for SubmitError {
    fn from(error: Error) -> Self {
        Self::Store(error.into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rusqlite::Connection;

    use super::*;
    use crate::clock::SystemClock;
    use crate::hints::Hints;
    use crate::store::sqlite::writer::{Lane, Writer};

    #[tokio::test]
    async fn a_full_disk_says_so_and_leaves_nothing_half_done() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE heap (what BLOB); PRAGMA max_page_count = 20").unwrap();
        let writer = Writer::start(connection, Arc::new(SystemClock), Hints::default()).unwrap();
        let add = async |bytes: i64| {
            let job = writer.transact(Lane::Orders, "add", move |tx| {
                tx.execute("INSERT INTO heap VALUES ('first')", [])?;
                tx.execute("INSERT INTO heap VALUES (zeroblob(?1))", [bytes])?;
                tx.query_row("SELECT count(*) FROM heap", [], |row| row.get::<_, i64>(0))
                    .map_err(StoreError::from)
            });
            job.await
        };
        assert_eq!(add(1 << 20).await, Err(StoreError::DiskFull));
        assert_eq!(add(10).await, Ok(2), "the writer goes on, and nothing of the first was kept");
    }
}
