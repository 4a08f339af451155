//! Which processes are ours.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::CWD;
use sys::state::State;

/// Whoever started this agent, and those above it that run `own_program`, perhaps one of before an upgrade.
pub(crate) fn parents(own_program: &Path) -> Vec<i32> {
    let mut parents = Vec::new();
    let mut pid = std::process::id().cast_signed();
    while let Ok(parent) = sys::processes::parent(pid)
        && parent > 1
        && (parents.is_empty() || is_at(parent, own_program))
    {
        parents.push(parent);
        pid = parent;
    }
    parents
}

/// How our processes are known.
pub(super) struct Own<'a> {
    program: &'a Path,
    parents: &'a [i32],
    /// Device and inode of the program of this process, wherever it lies now.
    file: Option<(u64, u64)>,
}

impl<'a> Own<'a> {
    pub(super) fn new(program: &'a Path, parents: &'a [i32]) -> Self {
        Self { program, parents, file: file("self") }
    }

    /// Whether a process is ours: it runs this very program or, started by one of our parents, what was in its place
    /// before an upgrade.
    pub(super) fn is(&self, pid: i32) -> bool {
        (self.file.is_some() && self.file == file(&pid.to_string()))
            || (is_at(pid, self.program)
                && sys::processes::parent(pid).is_ok_and(|parent| self.parents.contains(&parent)))
    }
}

fn file(process: &str) -> Option<(u64, u64)> {
    let program = State::at(CWD, format!("/proc/{process}/exe")).ok()??;
    Some((program.device, program.inode))
}

fn is_at(pid: i32, own_program: &Path) -> bool {
    sys::processes::executable_path(pid).is_ok_and(|path| without_mark(&path) == without_mark(own_program))
}

/// The path without what stands behind it when its file was removed.
fn without_mark(path: &Path) -> &[u8] {
    let path = path.as_os_str().as_bytes();
    path.strip_suffix(b" (deleted)").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_started_us_and_who_runs_our_program_is_ours() {
        let own = std::env::current_exe().unwrap();
        let parents = parents(&own);
        assert_eq!(parents.first(), Some(&std::os::unix::process::parent_id().cast_signed()));
        let ours = Own::new(&own, &parents);
        assert!(ours.is(std::process::id().cast_signed()));
        let mut other = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let is_ours = ours.is(other.id().cast_signed());
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(!is_ours);
        assert_eq!(without_mark(Path::new("/a (deleted)")), b"/a");
    }
}
