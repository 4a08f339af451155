//! What a disk refuses on command.

/// What is asked of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    Flush,
}

impl Kind {
    /// In the order in which they are counted.
    pub(crate) const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Flush];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Flush => "flush",
        }
    }
}

/// Of one disk.
#[derive(Default)]
pub(super) struct Faults {
    armed: Vec<Armed>,
    /// How many requests were refused.
    pub(super) hits: u64,
    /// Requests, by kind.
    pub(super) counts: [u64; 3],
}

struct Armed {
    kind: Kind,
    /// How many go through before.
    skip: u64,
    /// How many are refused then.
    times: u64,
    errno: i32,
}

impl Faults {
    /// Lets `skip` requests through, then answers `times` of them with an error.
    pub(super) fn arm(&mut self, kind: Kind, skip: u64, times: u64, errno: i32) {
        self.armed.push(Armed { kind, skip, times, errno });
    }

    pub(super) fn heal(&mut self) {
        *self = Self { counts: self.counts, ..Self::default() };
    }

    /// What to answer instead of obeying.
    pub(super) fn refusal(&mut self, kind: Kind) -> Option<i32> {
        self.counts[kind as usize] += 1;
        let armed = self.armed.iter_mut().find(|armed| armed.kind == kind && armed.times > 0)?;
        if armed.skip > 0 {
            armed.skip -= 1;
            return None;
        }
        armed.times -= 1;
        self.hits += 1;
        Some(armed.errno)
    }
}
