//! The kinds of change: those that were measured for this kernel, some of which leave no trace in the inode.

use crate::arena::Kind;
use crate::contents::After;

/// One kind of change, by its name in `change.c`.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) after: After,
    /// Where it does not exist.
    pub(crate) lacking: &'static [Kind],
}

const fn way(name: &'static str) -> Way {
    Way { name, after: After::Given, lacking: &[] }
}

const fn cut(name: &'static str, after: After, lacking: &'static [Kind]) -> Way {
    Way { name, after, lacking }
}

/// The nineteen, and one that is peculiar to tmpfs: a page that was read through a writable mapping is written through
/// it without a fault.
pub(crate) const WAYS: [Way; 20] = [
    way("truncate-write"),
    way("pwrite"),
    way("direct"),
    way("sendfile"),
    way("splice"),
    way("copy_file_range"),
    way("io_uring"),
    cut("truncate", After::Cut, &[]),
    cut("zero", After::Emptied, &[Kind::Tmpfs, Kind::Ext2]),
    cut("punch", After::Emptied, &[]),
    way("pwrite-times"),
    way("rename"),
    way("map"),
    way("map-msync"),
    way("aio"),
    way("loop"),
    way("map-dirty-first"),
    way("pwrite-mode"),
    way("reuse"),
    way("map-read-first"),
];
