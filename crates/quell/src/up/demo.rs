//! A small filesystem to try things on, so that nothing else of the machine is guarded by default.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use agent::local::{self, Reply, Request};
use agent::vault::Fate;
use model::{Digests, OrganizationId};

use crate::exit::Exit;
use crate::failure::Failure;

use super::sample;

const NAME: &str = "demo";
const SIZE: u64 = 16 << 20;

/// The mounted filesystem. Unmounted when this is dropped.
pub(super) struct Demo {
    path: PathBuf,
    sample: Sample,
}

/// The harmless program in it.
pub(super) struct Sample {
    /// Where it lies, or lay.
    pub(super) path: PathBuf,
    /// Its names; none once somebody has removed it for good.
    pub(super) digests: Option<Digests>,
    /// It rests in the vault.
    pub(super) quarantined: bool,
}

impl Demo {
    /// Mounts it, or uses the one that an interrupted start has left, in this mount namespace.
    pub(super) fn mount(data_dir: &Path, organization: OrganizationId) -> Result<Self, Failure> {
        let path = data_dir.join(NAME);
        let cannot = |error: io::Error| {
            Failure::new(
                Exit::Failed,
                format!("cannot mount a filesystem to try things on at {}: {error}", path.display()),
            )
            .hint("name a filesystem to guard with --guard PATH, or guard nothing with --guard none")
        };
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(cannot(error)),
            _ => {}
        }
        let found = sys::mounts::containing(&path).map_err(cannot)?;
        let fresh = found.point != path;
        if fresh {
            sys::mounts::mount_tmpfs(&path, SIZE).map_err(cannot)?;
        }
        // From here on it is unmounted whatever happens.
        let sample = Sample { path: path.join(sample::NAME), digests: None, quarantined: false };
        let mut demo = Self { path: path.clone(), sample };
        demo.sample.settle(data_dir, fresh, organization).map_err(cannot)?;
        Ok(demo)
    }

    /// Where it is mounted.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The program in it.
    pub(super) fn sample(&self) -> &Sample {
        &self.sample
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Err(error) = sys::mounts::unmount_lazily(&self.path) {
            tracing::warn!("cannot unmount {}: {error}; use umount -l", self.path.display());
        }
    }
}

impl Sample {
    /// Looks where it is. Written only into an empty filesystem, and never while a quarantined copy rests in
    /// the vault: somebody wanted it gone.
    fn settle(&mut self, data_dir: &Path, fresh: bool, organization: OrganizationId) -> io::Result<()> {
        if let Some(digests) = resting(data_dir, &self.path) {
            (self.digests, self.quarantined) = (Some(digests), true);
        } else if fresh && !self.path.exists() {
            sample::write(&self.path, organization)?;
        }
        if self.path.exists() {
            let file = fs::File::open(&self.path)?;
            let (digests, _) = agent::digest::hash_plainly(std::os::fd::AsFd::as_fd(&file))?;
            (self.digests, self.quarantined) = (Some(digests), false);
        }
        Ok(())
    }
}

/// The digests of a copy in the vault that came from `path`.
fn resting(data_dir: &Path, path: &Path) -> Option<Digests> {
    match local::ask(data_dir, Request::VaultList) {
        Ok(Reply::Kept(kept)) => kept
            .iter()
            .find(|kept| matches!(kept.fate, Fate::Rests(_)) && kept.resting.path == path)
            .map(|kept| kept.resting.digests),
        // At the first start there is no vault yet.
        _ => None,
    }
}
