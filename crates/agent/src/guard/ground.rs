//! The filesystems on which execution is asked about.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sys::fanotify::permission::PermissionGroup;
use sys::fanotify::writers::WriterGroup;

/// One guarded filesystem, by a path on it.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) path: PathBuf,
    /// Open from the start, so that what is marked is what was looked at.
    dir: File,
    is_tmpfs: bool,
}

impl Ground {
    /// # Errors
    /// When there is no such path, or it lies where an answer to a question could need somebody who waits for
    /// one.
    pub(super) fn survey(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("{} cannot be guarded", path.display());
        let mount = sys::mounts::containing(path).with_context(context)?;
        if !sys::mounts::is_local(&mount) {
            bail!(
                "{} cannot be guarded: it lies on {} ({}), and only filesystems of this machine's kernel can \
                 be; choose another path",
                path.display(),
                mount.point.display(),
                mount.filesystem,
            );
        }
        let dir = File::open(path).with_context(context)?;
        Ok(Self { path: path.to_owned(), dir, is_tmpfs: mount.filesystem == "tmpfs" })
    }

    /// Asks from now on.
    pub(super) fn mark(&self, group: &PermissionGroup) -> anyhow::Result<()> {
        group
            .mark_filesystem(self.dir.as_fd())
            .with_context(|| format!("the kernel will not ask about {}", self.path.display()))
    }
}

/// The group that tells of writers on those filesystems whose ctime does not; none if there are none.
pub(super) fn told_of_writers(grounds: &[Ground]) -> anyhow::Result<Option<WriterGroup>> {
    let mut group = None;
    for ground in grounds.iter().filter(|ground| ground.is_tmpfs) {
        if group.is_none() {
            group = Some(WriterGroup::new().context("the kernel will not tell of writers")?);
        }
        group
            .iter()
            .try_for_each(|group| group.mark_filesystem(ground.dir.as_fd()))
            .with_context(|| format!("the kernel will not tell of writers on {}", ground.path.display()))?;
    }
    Ok(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_local_is_refused_with_its_type() {
        let error = Ground::survey(Path::new("/proc/self")).unwrap_err().to_string();
        assert!(error.contains("/proc") && error.contains("(proc)"), "{error}");
        let error = Ground::survey(Path::new("/no/such/path")).unwrap_err().to_string();
        assert!(error.contains("/no/such/path cannot be guarded"), "{error}");
    }
}
