//! How things stand, as the programs are told.

use std::io;

use super::shapes;

/// Where and what is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// On all local filesystems and memfds, and not only on those that [`super::Programs::guard`] names.
    pub everywhere: bool,
    /// Larger files are not hashed in the kernel, in bytes: whoever runs one waits for that.
    pub largest: u64,
    /// As above, for what interpreters read.
    pub largest_script: u64,
    /// As above, for what is mapped as data: such a mapping may be made executable, and then nothing can be hashed.
    pub largest_plain: u64,
}

impl Default for Scope {
    fn default() -> Self {
        Self { everywhere: false, largest: 1 << 30, largest_script: 16 << 20, largest_plain: 64 << 20 }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    shape: shapes::Standing,
    /// Asked about by the next mapping; nobody if 0.
    pub(super) prober: u32,
}

impl Standing {
    pub(super) fn advance(&mut self, rules: u64, scope: Scope) {
        self.shape = shapes::Standing {
            epoch: self.shape.epoch + 1,
            rules,
            largest: scope.largest,
            largest_script: scope.largest_script,
            largest_plain: scope.largest_plain,
            everywhere: scope.everywhere.into(),
            ..self.shape
        };
    }

    pub(super) fn epoch(&self) -> u64 {
        self.shape.epoch
    }

    /// As it is told now.
    pub(super) fn now(&self) -> io::Result<shapes::Standing> {
        Ok(shapes::Standing { prober: self.prober, tai_ahead: tai_ahead()?, ..self.shape })
    }
}

/// By how much the kernel's international atomic time is ahead of UTC, in nanoseconds: leap seconds, if anybody has
/// told it of them.
fn tai_ahead() -> io::Result<i64> {
    // SAFETY: all zeros is a `timex` that asks and changes nothing.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes no more than one `timex`.
    if unsafe { libc::adjtimex(&mut timex) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(i64::from(timex.tai) * 1_000_000_000)
}
