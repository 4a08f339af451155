//! What can go wrong, in words for people.

use std::path::PathBuf;

use model::order::State;

/// The store could not do it. Nothing is half done: the transaction was rolled back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room for the transaction.
    #[error(
        "the store's disk is full and nothing was changed; free space in the data directory, then try again"
    )]
    DiskFull,
    /// The database said no.
    #[error("the store's database failed and nothing was changed: {0}")]
    Database(String),
    /// The directory or file could not be made or opened.
    #[error("the store in {path} can't be opened: {reason}")]
    Unopened {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A newer Quell has written it.
    #[error(
        "the store has schema {found}, this Quell knows up to {known}; start the newer Quell, or restore a backup"
    )]
    NewerSchema {
        /// What stands in the database.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// A job of the writer panicked.
    #[error("the store met a bug in \"{0}\" and nothing was changed; the server's log has the place")]
    Panicked(&'static str),
    /// The store is being closed.
    #[error("the store is closed")]
    Closed,
    /// No such organization.
    #[error("the organization is not known")]
    UnknownOrganization,
    /// No such machine in the organization.
    #[error("the machine is not known")]
    UnknownMachine,
    /// A machine asked for something it has no right to, or that makes no sense.
    #[error("refused: {0}")]
    Refused(String),
    /// A step that no order or act may take.
    #[error("an order or act can't go from {} to {}", from.word(), to.word())]
    IllegalStep {
        /// Where it is.
        from: State,
        /// Where it was to go.
        to: State,
    },
}

/// An order was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Unblock of what is not blocked.
    #[error("the file is not blocked")]
    NotBlocked,
    /// No such machine.
    #[error("the machine is not known")]
    UnknownMachine,
    /// No such order.
    #[error("the order is not known")]
    UnknownOrder,
    /// The machine has looked everywhere and never saw that file.
    #[error("the file was not found on the machine")]
    NotKnownThere,
    /// The same is being done already.
    #[error("Action is already in progress")]
    AlreadyOpen,
    /// The machine could not be repaired without it.
    #[error(
        "{} on machine {machine} is spared ({recorded_by}): without it the machine could not be repaired",
        path.display()
    )]
    Spared {
        /// Where it lies.
        path: PathBuf,
        /// Whose record says what it must be.
        recorded_by: String,
        /// On which machine, by name.
        machine: String,
    },
    /// It lies where a spared file belongs, and is not that file.
    #[error(
        "{} on machine {machine} is needed to repair the machine, and is not what {recorded_by} recorded: if that copy \
         itself is what you mean, repeat the call with \"Confirm\": true in its body (quell: --confirm-spared-path)",
        path.display()
    )]
    Unconfirmed {
        /// Where it lies.
        path: PathBuf,
        /// Whose record says what it must be.
        recorded_by: String,
        /// On which machine, by name.
        machine: String,
    },
    /// Acts may touch nothing on that machine.
    #[error("nothing is guarded on the machine: start its agent with --guard PATH")]
    NothingGuarded,
    /// The sample can't be kept; the text says what to do.
    #[error("{0}")]
    NoRoom(String),
    /// There is nothing to undo, or not yet; the text says what to do.
    #[error("{0}")]
    NotUndoable(String),
    /// It can't be withdrawn; the text says what to do.
    #[error("{0}")]
    NotCancellable(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
