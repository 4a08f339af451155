//! A filesystem of the test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::run;

/// A mounted filesystem that is unmounted when it is dropped.
#[derive(Debug)]
pub struct Filesystem {
    root: PathBuf,
    dir: tempfile::TempDir,
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
        Self { root, dir }
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
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image)).expect("an ext4");
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&root)).expect("a loop device");
        Self { root, dir }
    }

    /// An ext2 of `size` bytes on a loop device, whose image lies in memory, with what is in `content`. No disk
    /// is behind it, so nobody's writing back is measured. Of a type that nothing else on a host has.
    ///
    /// # Errors
    /// When it can't be made or mounted.
    pub fn ext2(content: &Path, size: u64) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let [memory, root] = ["memory", "root"].map(|name| dir.path().join(name));
        std::fs::create_dir(&memory)?;
        std::fs::create_dir(&root)?;
        sys::mounts::mount_tmpfs(&memory, size + (16 << 20))?;
        let image = memory.join("image");
        std::fs::File::create(&image)?.set_len(size)?;
        let made = Self { root, dir };
        run(Command::new("mkfs.ext2").args(["-q", "-F", "-m", "0", "-d"]).arg(content).arg(&image))?;
        run(Command::new("mount").args(["-t", "ext2", "-o", "loop"]).arg(&image).arg(&made.root))?;
        // The loop device holds it.
        sys::mounts::unmount_lazily(&memory)?;
        Ok(made)
    }

    /// A path beside it, on no filesystem of its own, gone when it is.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
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
