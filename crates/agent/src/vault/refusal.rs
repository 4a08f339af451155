//! Why a copy was not taken or not brought back, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use model::{Time, VaultId};
use wire::rest::Stamp;

/// Nothing was lost, nothing replaced; the text says how to go on.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The path leads elsewhere, or to something that is no file.
    #[error("{} no longer holds the file: {reason}", .path.display())]
    Gone {
        /// Where the copy was.
        path: PathBuf,
        /// What is there instead.
        reason: &'static str,
    },
    /// Somebody has it open for writing.
    #[error("{} is being written: let the writer finish, or stop it, and order it again", .path.display())]
    Busy {
        /// The copy.
        path: PathBuf,
    },
    /// Another file took the name while the copy was being moved.
    #[error(
        "another file was put at {} meanwhile: it is back {}; order it again",
        .path.display(),
        .returned.as_deref().map_or_else(|| "in its place".to_owned(), |at| format!("as {}", at.display()))
    )]
    Swapped {
        /// Where the copy was.
        path: PathBuf,
        /// Where the other file is now, when its own name had been taken too.
        returned: Option<PathBuf>,
    },
    /// What was moved away by mistake can't be put back by us.
    #[error("what lay at {} is at {} and can't be put back: {error}; move it by hand", .path.display(), .at.display())]
    Stranded {
        /// Where it belongs.
        path: PathBuf,
        /// Where it is.
        at: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The disk failed on the way: what was done may be undone by a power cut, or not.
    #[error(
        "{} may or may not be {doing}: its disk fails ({error}); it is neither lost nor forgotten, and is looked at \
         again with the next order and when the agent starts: mend the disk, and order it again",
        .path.display()
    )]
    Uncertain {
        /// What was being done, as a participle.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// The file or its directory may not be changed by anybody.
    #[error("{} is immutable: lift that with `chattr -i -a`, and order it again", .path.display())]
    Immutable {
        /// The copy or its directory.
        path: PathBuf,
    },
    /// The name at which a copy is to come back is in use.
    #[error("something else lies at {} now; move it away, or restore with --beside", .path.display())]
    Taken {
        /// The name.
        path: PathBuf,
    },
    /// The directory is not the one from which the copy was taken, and not as safe.
    #[error(
        "{} is not the directory that it was: {reason}; make it a directory of its former owner that not \
         everybody may write to, and restore again",
        .path.display()
    )]
    Parent {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The filesystem on which the copy lay is mounted nowhere.
    #[error(
        "the filesystem of {} is not mounted any more: its container has ended, or has unmounted it; the copy stays in \
         the vault: mount the filesystem again, and restore it then",
        .path.display()
    )]
    Away {
        /// Where the copy was.
        path: PathBuf,
    },
    /// Root has no place on a filesystem that belongs to a user namespace.
    #[error(
        "{} can't be {doing}: its filesystem belongs to a user namespace in which root has no id; it is denied all the \
         same: let its container remove it, or end the container",
        .path.display()
    )]
    Unmapped {
        /// What was being done, as a participle.
        doing: &'static str,
        /// To what.
        path: PathBuf,
    },
    /// Other names of the inode would lose their privileges with this one.
    #[error(
        "{} has other names outside the vault, which would lose {what} with it; restore with --keep-privileges, or \
         quarantine the others first",
        .path.display()
    )]
    Shared {
        /// The copy.
        path: PathBuf,
        /// What they would lose.
        what: String,
    },
    /// The copy was removed for good.
    #[error("the copy of {} was removed from the vault at {}: {why}; it can't be restored", .path.display(), Stamp(*.at))]
    Removed {
        /// Where it lay.
        path: PathBuf,
        /// Why.
        why: String,
        /// When.
        at: Time,
    },
    /// No copy of that id rests here.
    #[error("no copy {id} rests in the vault; `quell agent vault list` names those that do")]
    NotResting {
        /// The id asked for.
        id: VaultId,
    },
    /// The bytes in the vault are not those that were taken.
    #[error(
        "what rests at {} is not the file that was taken: it was changed there; it stays where it is, so look \
         at it and move it by hand",
        .at.display()
    )]
    Changed {
        /// Where it rests.
        at: PathBuf,
    },
    /// The kernel refused.
    #[error("{} can't be {doing}: {error}", .path.display())]
    Io {
        /// What was being done, as a participle.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
}

impl Refusal {
    /// Whether the copy certainly is where it was, also after a power cut. If not, its intent stays in the journal,
    /// and recovery finds out.
    pub(super) fn is_certain(&self) -> bool {
        !matches!(self, Self::Stranded { .. } | Self::Uncertain { .. })
    }

    /// For `map_err`.
    pub(super) fn uncertain(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Uncertain { doing, path: path.to_owned(), error }
    }

    /// For `map_err`.
    pub(crate) fn when(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { doing, path: path.to_owned(), error }
    }
}
