//! A filesystem of the test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted filesystem that is unmounted when it is dropped.
#[derive(Debug)]
pub struct Filesystem {
    root: PathBuf,
    _dir: tempfile::TempDir,
}

impl Filesystem {
    /// A tmpfs of 64 MiB.
    ///
    /// # Panics
    /// When it can't be mounted.
    pub fn tmpfs() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let root = dir.path().join("root");
        std::fs::create_dir(&root).expect("a mount point");
        sys::mounts::mount_tmpfs(&root, 64 << 20).expect("a tmpfs can be mounted in a private namespace");
        Self { root, _dir: dir }
    }

    /// An ext4 of 64 MiB on a loop device.
    ///
    /// # Panics
    /// When it can't be made or mounted.
    pub fn ext4() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (root, image) = (dir.path().join("root"), dir.path().join("image"));
        std::fs::create_dir(&root).expect("a mount point");
        let file = std::fs::File::create(&image).expect("an image");
        file.set_len(64 << 20).expect("room for the image");
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image));
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&root));
        Self { root, _dir: dir }
    }

    /// Its root.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for Filesystem {
    fn drop(&mut self) {
        let _ = sys::mounts::unmount_lazily(&self.root);
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("the command is installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
