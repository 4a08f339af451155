//! Which filesystems are asked about: those of the start, and those that the agent finds later.
//!
//! None of them is held open once it is marked, so that it can be unmounted. Its mark goes with it, and what is
//! mounted in its place is marked anew.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use sys::fanotify::permission::PermissionGroup;
use sys::fanotify::writers::WriterGroup;

use super::ground::{self, Ground};

pub(super) struct Marking<'g> {
    pub(super) group: &'g PermissionGroup,
    writers: Option<Arc<WriterGroup>>,
    grounds: Vec<Ground>,
    guards_later: bool,
    /// There are rules.
    asks: bool,
}

impl<'g> Marking<'g> {
    pub(super) fn new(
        group: &'g PermissionGroup,
        writers: Option<Arc<WriterGroup>>,
        grounds: Vec<Ground>,
        guards_later: bool,
    ) -> Self {
        Self { group, writers, grounds, guards_later, asks: false }
    }

    /// The guarded filesystems of the start.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.grounds.iter().map(Ground::path)
    }

    /// Asks from now on: there are rules.
    ///
    /// # Errors
    /// When the kernel will not ask about what somebody named.
    pub(super) fn begin(&mut self) -> anyhow::Result<()> {
        self.grounds.iter_mut().try_for_each(|ground| ground.mark(self.group))?;
        self.asks = true;
        Ok(())
    }

    /// The devices that are asked about now. When the kernel does not say, none, and not more than fit into a packet:
    /// the others are offered again, which changes nothing.
    pub(super) fn devices(&self) -> Vec<u64> {
        const MOST: usize = 10_000;
        self.marked().into_iter().take(MOST).collect()
    }

    /// Asks about the filesystem of `file`, which is that of `device`. `forget` makes the loop forget what it knows
    /// of a device, or of all: before somebody runs a file there, not one that had its number before may be known.
    ///
    /// # Errors
    /// Why not, in words.
    pub(super) fn add(
        &self,
        file: &OwnedFd,
        device: u64,
        forget: impl FnOnce(Option<u64>),
    ) -> Result<(), String> {
        if !self.guards_later {
            return Err("only what was named is guarded".to_owned());
        }
        if !self.asks {
            return Err("the guard has no rules yet".to_owned());
        }
        let in_words = |error: std::io::Error| format!("the kernel refuses: {error}");
        let magic = ground::magic(file.as_fd()).map_err(in_words)?;
        if !sys::mounts::is_local_magic(magic) {
            return Err("it is not local".to_owned());
        }
        let told = rustix::fs::fstat(file).map_err(|error| in_words(error.into()))?.st_dev;
        // Each subvolume of btrfs has a number of its own.
        let is_many = magic == ground::BTRFS;
        if told != device && !is_many {
            return Err("it is another filesystem by now".to_owned());
        }
        if self.marked().contains(&device) {
            return Ok(());
        }
        forget((!is_many).then_some(device));
        if let Some(writers) = self.writers.as_ref().filter(|_| magic == ground::TMPFS) {
            writers.mark_filesystem(file.as_fd()).map_err(in_words)?;
        }
        self.group.mark_filesystem(file.as_fd()).map_err(in_words)
    }

    fn marked(&self) -> BTreeSet<u64> {
        self.group.marked().unwrap_or_default()
    }
}
