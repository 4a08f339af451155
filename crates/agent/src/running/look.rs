//! What a process runs: its program, what it has mapped to be executed, and scripts.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use parking_lot::Mutex;
use sys::processes::{Mapping, Part, Processes};
use sys::state::State;

use super::filesystems::{Filesystem, Filesystems};
use super::interpreter::Interpreter;
use super::scripts;

/// How closely processes are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Their programs only, which is three times as fast.
    Programs,
    /// All that they run.
    Everything,
}

/// One thing that a process runs.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) pid: i32,
    /// The file as it was looked at.
    pub(crate) state: State,
    /// The filesystem's own device, where that is known.
    device: Option<u64>,
    at: At,
}

#[derive(Debug)]
enum At {
    /// Behind a link in /proc.
    Link(String),
    /// Held already.
    Held(OwnedFd),
}

/// Looks at processes. What it learns of mapped files holds until [`Self::look_again`].
pub(crate) struct Look {
    pub(crate) processes: Processes,
    filesystems: Mutex<Filesystems>,
    /// What the kernel's names of mapped files mean. `None` where they are not enough to name one.
    mapped: Mutex<HashMap<(u64, u64), Option<State>>>,
    /// Whether scripts count; and the interpreters that are known to be meant, beside those that everybody knows.
    pub(crate) scripts: Option<HashSet<Interpreter>>,
}

impl Look {
    /// # Errors
    /// Those of opening /proc.
    pub(crate) fn new(scripts: Option<HashSet<Interpreter>>) -> io::Result<Self> {
        Ok(Self {
            processes: Processes::open()?,
            filesystems: Mutex::new(Filesystems::new()),
            mapped: Mutex::default(),
            scripts,
        })
    }

    /// Before another look at all processes: files may have changed since the last one.
    pub(crate) fn look_again(&self) {
        self.mapped.lock().clear();
        self.filesystems.lock().look_again();
    }

    /// Calls `each` with what a process runs, until it wants no more.
    pub(crate) fn pieces(&self, pid: i32, depth: Depth, each: &mut dyn FnMut(Piece) -> bool) {
        let mut task = pid.to_string();
        let link = |task: &str| Processes::link(task, Part::Program);
        let mut program = self.processes.state(&link(&task));
        if program.is_none() && depth == Depth::Everything {
            let Some(other) = self.processes.task(pid) else { return };
            task = other;
            program = self.processes.state(&link(&task));
        }
        if let Some(state) = program
            && !each(Piece { pid, state, device: None, at: At::Link(link(&task)) })
        {
            return;
        }
        if depth == Depth::Programs {
            return;
        }
        for mapping in self.processes.mapped(&task).unwrap_or_default() {
            let Some(state) = self.state_of(&task, mapping) else { continue };
            let at = At::Link(Processes::link(&task, Part::Mapped(mapping)));
            // The program was told above.
            if Some(state) != program && !each(Piece { pid, state, device: Some(mapping.device), at }) {
                return;
            }
        }
        if let Some(named) = &self.scripts {
            for (state, found) in scripts::candidates(self, named, pid) {
                let at = match found {
                    scripts::Found::Held(file) => At::Held(file),
                    scripts::Found::Open(link) => At::Link(link),
                };
                if !each(Piece { pid, state, device: None, at }) {
                    return;
                }
            }
        }
    }

    /// Whether the process still runs that.
    pub(crate) fn still_runs(&self, piece: &Piece) -> bool {
        if let Some(link) = piece.link() {
            return self.processes.state(link) == Some(piece.state);
        }
        let mut does = false;
        self.pieces(piece.pid, Depth::Everything, &mut |other| {
            does |= other.state == piece.state;
            !does
        });
        does
    }

    /// What the kernel calls device and inode of a mapped file are those of its state on most filesystems, so that
    /// one look is enough for all processes that map it.
    fn state_of(&self, task: &str, mapping: Mapping) -> Option<State> {
        let key = (mapping.device, mapping.inode);
        if let Some(Some(state)) = self.mapped.lock().get(&key) {
            return Some(*state);
        }
        let state = self.processes.state(&Processes::link(task, Part::Mapped(mapping)))?;
        let is_name = (state.device, state.inode) == key;
        self.mapped.lock().insert(key, is_name.then_some(state));
        Some(state)
    }

    /// The device of the filesystem that a piece lies on. That of its state is another on btrfs.
    pub(crate) fn device(&self, piece: &Piece) -> u64 {
        if let Some(device) = piece.device {
            return device;
        }
        if self.filesystems.lock().of(piece.state.device, piece.pid).is_some() {
            return piece.state.device;
        }
        let mapped = self.processes.mapped(&piece.pid.to_string()).unwrap_or_default();
        let same = mapped.iter().find(|mapping| mapping.inode == piece.state.inode);
        same.map_or(piece.state.device, |mapping| mapping.device)
    }

    /// What kind of filesystem has that device.
    pub(super) fn filesystem(&self, device: u64, pid: i32) -> Option<Filesystem> {
        self.filesystems.lock().of(device, pid)
    }
}

impl Piece {
    /// The same piece, which outlasts the process.
    pub(super) fn holding(&self, file: OwnedFd) -> Self {
        Self { pid: self.pid, state: self.state, device: self.device, at: At::Held(file) }
    }

    /// The same piece, to be looked for once more in /proc.
    pub(super) fn again(&self) -> Self {
        let link = self.link().unwrap_or_default().to_owned();
        Self { pid: self.pid, state: self.state, device: self.device, at: At::Link(link) }
    }

    /// Takes hold of the file, if it still is what was looked at. It is not opened, and nobody is waited for.
    ///
    /// # Errors
    /// ENOENT and ESRCH when the process has ended; ESTALE when it runs something else by now.
    pub(crate) fn hold(&self, look: &Look) -> io::Result<OwnedFd> {
        let file = match &self.at {
            At::Link(link) => look.processes.hold(link)?,
            At::Held(file) => file.try_clone()?,
        };
        if State::of(&file)? == Some(self.state) { Ok(file) } else { Err(rustix::io::Errno::STALE.into()) }
    }

    /// Where the file is, as the process sees it when that is in another mount namespace; with " (deleted)" behind
    /// it when it has no name any more.
    pub(crate) fn path(&self, look: &Look) -> PathBuf {
        let path = match &self.at {
            At::Link(link) => look.processes.path(link),
            At::Held(file) => sys::place::path_of(file.as_fd()),
        };
        path.unwrap_or_default()
    }

    /// Where in /proc it can be looked at again.
    pub(crate) fn link(&self) -> Option<&str> {
        match &self.at {
            At::Link(link) => Some(link),
            At::Held(_) => None,
        }
    }
}
