//! The moments between which a crash can fall.

/// What has just become true. [`super::Vault::take`] and [`super::Vault::restore`] say so each time, so that
/// a test can end the process exactly there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// The copy is the one meant, and no writer can get in. Nothing was changed yet.
    Checked,
    /// The journal knows where the copy came from and where it goes.
    Intended,
    /// Its bytes are on the data directory's disk, without a name.
    Written,
    /// They have their name in the vault.
    Named,
    /// The journal knows that they were read back and are right.
    Copied,
    /// The name was moved into the root-only directory of its filesystem.
    Moved,
    /// What was moved is what was meant.
    Compared,
    /// The original of a copy in the data directory was removed.
    Removed,
    /// Both directories are durable.
    Synced,
    /// The journal knows that the copy rests.
    Rests,

    /// What rests is still the file that was taken, and its way home is free.
    RestoreChecked,
    /// The journal knows that it is on its way home.
    RestoreIntended,
    /// Its bytes and all they carry are on their own filesystem, without a name.
    Rewritten,
    /// It has its name again.
    Returned,
    /// Both directories are durable.
    ReturnSynced,
    /// The journal knows that it is home.
    Restored,
    /// The vault no longer has it.
    Cleared,

    /// The journal knows that it is to be removed for good.
    RemovalIntended,
    /// It was.
    Discarded,
    /// The journal knows it.
    RemovalKnown,
}
