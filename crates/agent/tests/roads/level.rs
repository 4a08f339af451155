//! The ways to guard that the table has columns for.

use std::fmt;

use crate::arena::{Arena, Guarded};
use crate::processes::Child;

/// How execution is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The kernel asks about each exec.
    Fanotify,
    /// And about each open.
    FanotifyOpens,
    /// Programs in the kernel answer.
    Bpf,
}

impl Level {
    pub(crate) const ALL: [Self; 3] = [Self::Fanotify, Self::FanotifyOpens, Self::Bpf];

    /// The levels that this run is about: the one that `QUELL_GUARD_LEVEL` names, or all that every kernel has.
    pub(crate) fn chosen() -> Vec<Self> {
        let Ok(name) = std::env::var("QUELL_GUARD_LEVEL") else {
            return vec![Self::Fanotify, Self::FanotifyOpens];
        };
        let named = Self::ALL.into_iter().find(|level| level.name() == name);
        vec![named.unwrap_or_else(|| panic!("{name} is none of {:?}", Self::ALL.map(Self::name)))]
    }

    /// As `QUELL_GUARD_LEVEL` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fanotify => "fanotify",
            Self::FanotifyOpens => "fanotify+open",
            Self::Bpf => "bpf",
        }
    }

    /// A guard of the arena at this level; `None` if this version has none.
    pub(crate) fn guard(self, arena: &Arena) -> Option<Guarded> {
        match self {
            Self::Bpf if sys::bpf::probe().is_err() => None,
            Self::Fanotify | Self::Bpf => {
                Some(arena.guarded_by(Child::guard_of_more(arena.data_dir(), arena.ground())))
            }
            Self::FanotifyOpens => {
                Some(arena.guarded_by(Child::guard_of_opens(arena.data_dir(), arena.ground())))
            }
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
