//! Which processes may be ended for what they run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use model::Sha256;
use parking_lot::Mutex;
use rustix::fs::CWD;
use sys::state::State;

use super::look::{Look, Piece};
use super::own::Own;
use crate::acts::Grounds;

const INIT: i32 = 1;

/// What acts may touch, seen from a process.
pub(crate) struct Reach<'a> {
    pub(crate) look: &'a Look,
    grounds: &'a Grounds,
    own: Option<Own<'a>>,
    /// Whose record spares what lies at a path in a state. Many processes run one file.
    spared: Mutex<HashMap<(PathBuf, State), Option<String>>>,
}

impl<'a> Reach<'a> {
    pub(crate) fn new(grounds: &'a Grounds, look: &'a Look) -> Self {
        let own = grounds.own_program.as_deref().map(|program| Own::new(program, &grounds.own_pids));
        Self { look, grounds, own, spared: Mutex::default() }
    }

    /// Whether the file lies where acts may act. What lies on no mounted filesystem does so when all are guarded.
    pub(crate) fn is_guarded(&self, piece: &Piece) -> bool {
        if self.grounds.guards(piece.state.device) {
            return true;
        }
        let device = self.look.device(piece);
        self.grounds.guards(device) || (self.grounds.everywhere && self.is_local(device, piece.pid))
    }

    /// Whether the file can be read without waiting for anybody.
    pub(crate) fn is_local(&self, device: u64, pid: i32) -> bool {
        self.look.filesystem(device, pid).is_some_and(|filesystem| filesystem.is_local)
    }

    /// Whose record spares the file at `path`, as [`Piece::path`] tells it: a path of another mount namespace, or
    /// one that was given to another file since, spares nobody.
    pub(crate) fn spared_by(&self, piece: &Piece, path: &Path, sha256: &Sha256) -> Option<String> {
        let key = (path.to_owned(), piece.state);
        if let Some(known) = self.spared.lock().get(&key) {
            return known.clone();
        }
        let by = (self.grounds.spared)(path, sha256);
        let by = by.filter(|_| State::at(CWD, path).is_ok_and(|state| state == Some(piece.state)));
        self.spared.lock().insert(key, by.clone());
        by
    }

    /// Whether a process may be ended at all.
    pub(crate) fn may_end(&self, pid: i32) -> bool {
        pid != INIT
            && pid != std::process::id().cast_signed()
            && !self.grounds.own_pids.contains(&pid)
            && !self.own.as_ref().is_some_and(|own| own.is(pid))
    }
}
