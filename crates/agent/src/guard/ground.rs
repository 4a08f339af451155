//! The filesystems on which execution is asked about from the start.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use sys::fanotify::permission::PermissionGroup;
use sys::fanotify::writers::WriterGroup;

use crate::filesystems::guarded_at_start;

pub(super) const TMPFS: u64 = 0x0102_1994;
pub(super) const BTRFS: u64 = 0x9123_683e;

/// One guarded filesystem, by a path on it.
#[derive(Debug)]
pub(super) struct Ground {
    path: PathBuf,
    /// Open until it is marked, so that what is marked is what was looked at.
    object: Option<OwnedFd>,
    is_tmpfs: bool,
    /// Somebody named it, and relies on it.
    is_named: bool,
}

/// What `paths` mean.
///
/// # Errors
/// When there is no such path, or it lies where an answer to a question could need somebody who waits for one.
pub(super) fn survey(paths: &[PathBuf]) -> anyhow::Result<Vec<Ground>> {
    if paths.iter().any(|path| path == Path::new("/")) {
        return all();
    }
    paths.iter().map(|path| named(path)).collect()
}

fn named(path: &Path) -> anyhow::Result<Ground> {
    let context = || format!("{} cannot be guarded", path.display());
    let mount = sys::mounts::containing(path).with_context(context)?;
    if !sys::mounts::is_local(&mount) {
        bail!(
            "{} cannot be guarded: it lies on {} ({}), and only filesystems of this machine's kernel can be; \
             choose another path",
            path.display(),
            mount.point.display(),
            mount.filesystem,
        );
    }
    let object = OwnedFd::from(File::open(path).with_context(context)?);
    let is_tmpfs = magic(object.as_fd()).with_context(context)? == TMPFS;
    Ok(Ground { path: path.to_owned(), object: Some(object), is_tmpfs, is_named: true })
}

/// Every local filesystem of this namespace. One that can't be had now is offered by the agent again.
fn all() -> anyhow::Result<Vec<Ground>> {
    let grounds = guarded_at_start()?.into_iter().filter_map(|mount| {
        let opened = sys::mounts::open(&mount).and_then(|object| {
            let is_tmpfs = magic(object.as_fd())? == TMPFS;
            Ok(Ground { path: mount.point.clone(), object: Some(object), is_tmpfs, is_named: false })
        });
        if let Err(error) = &opened {
            tracing::warn!(mount = %mount.point.display(), %error, "a filesystem is not guarded yet");
        }
        opened.ok()
    });
    Ok(grounds.collect())
}

impl Ground {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Asks from now on, and lets go of it.
    pub(super) fn mark(&mut self, group: &PermissionGroup) -> anyhow::Result<()> {
        let Some(object) = self.object.take() else { return Ok(()) };
        match group.mark_filesystem(object.as_fd()) {
            Err(error) if !self.is_named => {
                tracing::warn!(mount = %self.path.display(), %error, "a filesystem is not guarded");
                Ok(())
            }
            outcome => {
                outcome.with_context(|| format!("the kernel will not ask about {}", self.path.display()))
            }
        }
    }
}

/// What `statfs` calls the filesystem of a file.
pub(super) fn magic(file: BorrowedFd<'_>) -> std::io::Result<u64> {
    Ok(rustix::fs::fstatfs(file)?.f_type.cast_unsigned())
}

/// The group that tells of writers on those filesystems whose ctime does not; none if there are none, and none can
/// come `later`.
pub(super) fn told_of_writers(grounds: &[Ground], later: bool) -> anyhow::Result<Option<Arc<WriterGroup>>> {
    let mut tmpfs = grounds.iter().filter(|ground| ground.is_tmpfs).peekable();
    if tmpfs.peek().is_none() && !later {
        return Ok(None);
    }
    let group = WriterGroup::new().context("the kernel will not tell of writers")?;
    for ground in tmpfs {
        let marked = ground.object.iter().try_for_each(|object| group.mark_filesystem(object.as_fd()));
        marked
            .with_context(|| format!("the kernel will not tell of writers on {}", ground.path.display()))?;
    }
    Ok(Some(Arc::new(group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_local_is_refused_with_its_type() {
        let refused = |path: &str| survey(&[path.into()]).unwrap_err().to_string();
        let error = refused("/proc/self");
        assert!(error.contains("/proc") && error.contains("(proc)"), "{error}");
        let error = refused("/no/such/path");
        assert!(error.contains("/no/such/path cannot be guarded"), "{error}");
    }
}
