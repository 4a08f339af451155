//! Control groups, as far as they can freeze a process: the unified hierarchy and the old freezer.
//!
//! Measured on Linux 6.18: SIGKILL ends a process that the unified hierarchy has frozen. One that the old
//! freezer has frozen takes no signal until it is thawed, or moved to a group that is not frozen.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A hierarchy that can freeze, by the directory where it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    root: PathBuf,
    /// The old freezer; otherwise the unified hierarchy.
    is_old: bool,
}

/// The hierarchies that can freeze and are mounted here.
///
/// # Errors
/// Those of reading /proc.
pub fn hierarchies() -> io::Result<Vec<Hierarchy>> {
    let mounts = crate::mounts::current()?;
    // The old hierarchies are mounted under the names of their controllers.
    let is_freezer = |point: &Path| {
        let name = point.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
        name.split(',').any(|name| name == "freezer")
    };
    let mut found = Vec::new();
    for mount in mounts {
        let is_old = mount.filesystem == "cgroup" && is_freezer(&mount.point);
        if mount.root == Path::new("/") && (is_old || mount.filesystem == "cgroup2") {
            let hierarchy = Hierarchy { root: mount.point, is_old };
            if !found.contains(&hierarchy) {
                found.push(hierarchy);
            }
        }
    }
    Ok(found)
}

impl Hierarchy {
    /// Whether it is the old freezer, in which a frozen process takes no signal.
    pub fn is_old(&self) -> bool {
        self.is_old
    }

    /// The group that a process is in, as a directory.
    ///
    /// # Errors
    /// Those of reading /proc; `NotFound` when the process is in none.
    pub fn group_of(&self, pid: i32) -> io::Result<PathBuf> {
        let told = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        let line = told.lines().find(|line| match controllers(line) {
            Some(mut names) => self.is_old && names.any(|name| name == "freezer"),
            None => !self.is_old,
        });
        let path = line.and_then(|line| line.splitn(3, ':').nth(2)).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.root.join(path.trim_start_matches('/')))
    }

    /// Makes a group below another.
    ///
    /// # Errors
    /// EACCES, EROFS and the like where that is not permitted.
    pub fn make(&self, parent: &Path, name: &str) -> io::Result<PathBuf> {
        let group = parent.join(name);
        match fs::create_dir(&group) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(group),
        }
    }

    /// Moves a process, with all its threads, to a group. Out of a frozen one it goes on.
    ///
    /// # Errors
    /// Those of writing there; ESRCH when the process has ended.
    pub fn put(&self, group: &Path, pid: i32) -> io::Result<()> {
        fs::write(group.join("cgroup.procs"), pid.to_string())
    }

    /// Freezes a group, or thaws it. It takes effect a little later.
    ///
    /// # Errors
    /// Those of writing there: nobody freezes the root.
    pub fn freeze(&self, group: &Path, is_frozen: bool) -> io::Result<()> {
        let (file, word) = match (self.is_old, is_frozen) {
            (true, true) => ("freezer.state", "FROZEN"),
            (true, false) => ("freezer.state", "THAWED"),
            (false, true) => ("cgroup.freeze", "1"),
            (false, false) => ("cgroup.freeze", "0"),
        };
        fs::write(group.join(file), word)
    }

    /// Whether all of a group stands still.
    pub fn is_frozen(&self, group: &Path) -> bool {
        let told = |file| fs::read_to_string(group.join(file)).unwrap_or_default();
        if self.is_old {
            told("freezer.state").trim() == "FROZEN"
        } else {
            told("cgroup.events").lines().any(|line| line == "frozen 1")
        }
    }

    /// The group of which no process can be kept from running.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// The controllers of a line of /proc/PID/cgroup; none for the unified hierarchy.
fn controllers(line: &str) -> Option<impl Iterator<Item = &str>> {
    let names = line.split(':').nth(1)?;
    (!names.is_empty()).then(|| names.split(','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_controllers_or_none() {
        assert!(controllers("6:freezer:/a").unwrap().eq(["freezer"]));
        assert!(controllers("4:cpu,freezer:/").unwrap().any(|name| name == "freezer"));
        assert!(controllers("0::/a:b").is_none());
    }

    #[test]
    fn every_process_has_a_group_where_there_are_any() {
        for hierarchy in hierarchies().unwrap() {
            let own = hierarchy.group_of(std::process::id().cast_signed()).unwrap();
            assert!(own.starts_with(hierarchy.root()) && !hierarchy.is_frozen(&own), "{own:?}");
        }
    }
}
