//! A filesystem of its own for each kernel test.
//!
//! A permission group that stalls on the root filesystem freezes the machine. So a test marks only what an
//! [`Arena`] mounted, in a mount namespace nobody else sees, and gives up after [`PATIENCE`].

use std::fs::{self, File};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

/// How long any one wait may last.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// An empty tmpfs, unmounted at the end.
pub(crate) struct Arena {
    point: TempDir,
    /// One test at a time: a child of another, forked while a file is open for writing here, would be a writer.
    _alone: MutexGuard<'static, ()>,
}

impl Arena {
    /// `None`, and a line that says so, when the test must not run here.
    pub(crate) fn enter() -> Option<Self> {
        if std::env::var_os("QUELL_PRIVATE_NAMESPACE").is_none_or(|value| value != "1") {
            eprintln!("not run: needs a private mount namespace");
            return None;
        }
        let alone = alone();
        let point = tempfile::tempdir().unwrap();
        sys::mounts::mount_tmpfs(point.path(), 64 << 20).unwrap();
        // What is marked is the filesystem: it must be the new one, shared with nothing else that is mounted.
        let mount = sys::mounts::containing(point.path()).unwrap();
        let all = sys::mounts::current().unwrap();
        assert_eq!(all.iter().filter(|other| other.device == mount.device).count(), 1);
        assert_eq!((mount.point.as_path(), mount.filesystem.as_str()), (point.path(), "tmpfs"));
        Some(Self { point, _alone: alone })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.point.path().join(name)
    }

    pub(crate) fn root(&self) -> File {
        File::open(self.point.path()).unwrap()
    }

    /// A program that does nothing, successfully.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.copy("/bin/true", name)
    }

    /// A copy of a program.
    pub(crate) fn copy(&self, program: &str, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::copy(program, &path).unwrap();
        path
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let _ = sys::mounts::unmount_lazily(self.point.path());
    }
}

/// Runs a program to its end; the error is that of `execve`.
pub(crate) fn run(program: &Path) -> io::Result<()> {
    finish(&mut Command::new(program))
}

/// Runs a program that a group of this process is asked about.
///
/// The child lets go of its copy of the group before it asks. Otherwise a group dropped by a failed test
/// would stay open in the child, which waits for it, for ever.
pub(crate) fn run_asked(program: &Path, group: RawFd) -> io::Result<()> {
    finish(&mut asked(program, group))
}

/// The command that [`run_asked`] runs.
pub(crate) fn asked(program: &Path, group: RawFd) -> Command {
    let mut command = Command::new(program);
    // SAFETY: between fork and exec the hook only calls close, which is async-signal-safe, on a descriptor
    // of the child, whose table of descriptors is a copy that no owner in the parent sees.
    unsafe {
        command.pre_exec(move || {
            libc::close(group);
            Ok(())
        })
    };
    command
}

fn finish(command: &mut Command) -> io::Result<()> {
    let status = command.stdin(Stdio::null()).status()?;
    assert!(status.success());
    Ok(())
}

/// Keeps tests that fork or count writers apart.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
