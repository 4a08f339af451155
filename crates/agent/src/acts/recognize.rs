//! Whether what a process runs is the file, whatever its name, and also when it has none any more.

use std::collections::{HashMap, HashSet};
use std::os::fd::AsFd;

use model::{Digests, FileId};
use sys::state::State;

use super::find::Copy;
use crate::digest::hash_plainly;
use crate::running::{Interpreter, Look, Piece, reopen};

/// Knows a file again. Each inode is hashed at most once in each of its states.
#[derive(Debug)]
pub(super) struct Recognizer {
    wanted: FileId,
    /// Lengths that the file can have; empty when nobody knows it.
    sizes: HashSet<u64>,
    looked_at: HashMap<State, Option<Digests>>,
    /// Every copy that was seen is machine code, which no interpreter runs.
    pub(super) is_machine_code: bool,
    /// The interpreters that copies name.
    pub(super) interpreters: HashSet<Interpreter>,
}

impl Recognizer {
    pub(super) fn new(wanted: FileId, sizes: impl IntoIterator<Item = u64>) -> Self {
        Self {
            wanted,
            sizes: sizes.into_iter().collect(),
            looked_at: HashMap::new(),
            is_machine_code: false,
            interpreters: HashSet::new(),
        }
    }

    /// What was just hashed need not be hashed again.
    pub(super) fn learn(&mut self, copy: &Copy) {
        let stat = &copy.stat;
        let state =
            State { device: stat.device, inode: stat.inode, ctime_ns: stat.ctime_ns, size: stat.size };
        self.sizes.insert(stat.size);
        self.is_machine_code = !copy.is_interpreted;
        self.interpreters.extend(copy.interpreter.clone());
        self.looked_at.insert(state, Some(copy.digests));
    }

    /// The digests of what a process runs, if it is the file. Its filesystem must be one that answers.
    pub(super) fn recognize(&mut self, look: &Look, piece: &Piece) -> Option<Digests> {
        if !self.sizes.is_empty() && !self.sizes.contains(&piece.state.size) {
            return None;
        }
        let wanted = self.wanted;
        // A process can run another program meanwhile, and what is learnt of an inode counts for all who run it.
        *self.looked_at.entry(piece.state).or_insert_with(|| {
            let file = reopen(&piece.hold(look).ok()?).ok()?;
            let digests = hash_plainly(file.as_fd()).ok()?.0;
            wanted.names(&digests).then_some(digests)
        })
    }
}
