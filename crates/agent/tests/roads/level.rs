//! The ways to guard that the table has columns for.

use std::fmt;

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

    /// The level that this run is about.
    pub(crate) fn chosen() -> Self {
        let name = std::env::var("QUELL_GUARD_LEVEL").unwrap_or_else(|_| "fanotify".to_owned());
        let named = Self::ALL.into_iter().find(|level| level.name() == name);
        named.unwrap_or_else(|| panic!("QUELL_GUARD_LEVEL={name} is none of {:?}", Self::ALL.map(Self::name)))
    }

    /// As `QUELL_GUARD_LEVEL` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fanotify => "fanotify",
            Self::FanotifyOpens => "fanotify+open",
            Self::Bpf => "bpf",
        }
    }

    /// Whether the guard of this version can be started at it.
    pub(crate) fn is_offered(self) -> Result<(), String> {
        match self {
            Self::Fanotify => Ok(()),
            Self::FanotifyOpens | Self::Bpf => Err(format!("this guard has no level {self}")),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
