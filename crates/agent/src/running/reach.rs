//! Which processes may be ended for what they run.

use std::path::Path;

use model::Sha256;
use rustix::fs::CWD;
use sys::state::State;

use super::look::{Look, Piece};
use super::own;
use crate::acts::Grounds;

const INIT: i32 = 1;

/// What acts may touch, seen from a process.
pub(crate) struct Reach<'a> {
    pub(crate) grounds: &'a Grounds,
    pub(crate) look: &'a Look,
}

impl Reach<'_> {
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
        let by = (self.grounds.spared)(path, sha256)?;
        (State::at(CWD, path).ok()? == Some(piece.state)).then_some(by)
    }

    /// Whether a process may be ended at all.
    pub(crate) fn may_end(&self, pid: i32) -> bool {
        pid != INIT
            && pid != std::process::id().cast_signed()
            && !self.grounds.own_pids.contains(&pid)
            && !self.grounds.own_program.as_ref().is_some_and(|own| own::is(pid, own, &self.grounds.own_pids))
    }
}
