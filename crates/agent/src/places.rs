//! Which filesystems this agent watches, and which it guards.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sys::mounts::{self, Mount};

/// What the operator wants watched.
#[derive(Clone, Debug)]
pub enum Watched {
    /// Every local filesystem.
    All,
    /// The filesystems of these paths.
    Paths(Vec<PathBuf>),
}

/// One mounted filesystem, held open.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) mount: Mount,
    pub(crate) root: File,
    /// Whether execution is denied and acts are done here.
    pub(crate) is_guarded: bool,
}

/// The filesystems to look after: what is watched, and what is guarded, which is always watched too.
/// `guarded` paths of `/` mean every local filesystem.
///
/// # Errors
/// When a path that was named is not there or not on a local filesystem.
pub(crate) fn resolve(watched: &Watched, guarded: &[PathBuf]) -> anyhow::Result<Vec<Place>> {
    let mut mounts = BTreeMap::new();
    let guarded = guarded_mounts(guarded)?;
    for mount in &guarded {
        mounts.insert(mount.device, mount.clone());
    }
    let watched = match watched {
        Watched::All => every_local()?,
        Watched::Paths(paths) => paths.iter().map(|path| local(path)).collect::<Result<_, _>>()?,
    };
    for mount in watched {
        mounts.entry(mount.device).or_insert(mount);
    }
    let is_guarded = |mount: &Mount| guarded.iter().any(|guarded| guarded.device == mount.device);
    let places = mounts.into_values().filter_map(|mount| match File::open(&mount.point) {
        Ok(root) => Some(Place { is_guarded: is_guarded(&mount), mount, root }),
        Err(error) => {
            tracing::warn!(mount = %mount.point.display(), %error, "a filesystem can't be watched");
            None
        }
    });
    Ok(places.collect())
}

/// The filesystems that `guarded` means.
pub(crate) fn guarded_mounts(guarded: &[PathBuf]) -> anyhow::Result<Vec<Mount>> {
    if guarded.iter().any(|path| path == Path::new("/")) {
        return Ok(every_local()?);
    }
    guarded.iter().map(|path| local(path)).collect()
}

fn local(path: &Path) -> anyhow::Result<Mount> {
    let mount = mounts::containing(path)
        .map_err(|error| anyhow::anyhow!("{}: {error}; name a directory that is there", path.display()))?;
    anyhow::ensure!(
        mounts::is_local(&mount),
        "{} lies on {}, which is not a local filesystem: it could stall every program of this machine; name \
         another directory",
        path.display(),
        mount.filesystem
    );
    Ok(mount)
}

/// Every local filesystem, once: the mount of its own root where there is one, the shortest path otherwise.
fn every_local() -> io::Result<Vec<Mount>> {
    let mut mounts: BTreeMap<u64, Mount> = BTreeMap::new();
    for mount in mounts::current()?.into_iter().filter(mounts::is_local) {
        let rank = |mount: &Mount| (mount.root != Path::new("/"), mount.point.as_os_str().len());
        match mounts.get(&mount.device) {
            Some(kept) if rank(kept) <= rank(&mount) => {}
            _ => {
                mounts.insert(mount.device, mount);
            }
        }
    }
    Ok(mounts.into_values().collect())
}
