//! A transaction under way.

use std::cell::RefCell;
use std::ops::Deref;

use model::Time;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::hints::Hint;

/// A transaction that may change the store: the connection, the moment it happens at, and whom it will wake.
/// Dropped without [`Tx::commit`], nothing of it has happened.
pub(in crate::store) struct Tx<'c> {
    connection: Transaction<'c>,
    /// The moment of everything that this transaction does.
    pub(super) now: Time,
    hints: RefCell<Vec<Hint>>,
}

impl<'c> Tx<'c> {
    pub(super) fn begin(connection: &'c mut Connection, now: Time) -> rusqlite::Result<Self> {
        let connection = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        Ok(Self { connection, now, hints: RefCell::default() })
    }

    /// Wakes someone, after the commit.
    pub(super) fn hint(&self, hint: Hint) {
        let mut hints = self.hints.borrow_mut();
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }

    /// Makes it durable; who is to be woken comes back.
    pub(super) fn commit(self) -> rusqlite::Result<Vec<Hint>> {
        self.connection.commit()?;
        Ok(self.hints.into_inner())
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}
