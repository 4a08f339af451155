//! Where samples are kept: files whose bytes machines have sent, by their SHA-256, in the data directory.
//!
//! The store says which samples there are; a file that it does not name is removed. What comes is written beside,
//! read back, and only then given its name. Nobody but the server's own user may enter, and all bytes are masked: nothing
//! here can be executed, no scanner takes it away, and a guard that refuses the file itself does not refuse the server
//! its own copy. What leaves, leaves in an archive behind a password.

mod archive;
mod arriving;
mod readers;

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{ActId, OrganizationId, Sha256};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::store::{Store, StoreError};

pub(crate) use archive::archive;
pub(crate) use arriving::Arriving;
use readers::Readers;
pub(crate) use readers::{Busy, ONE as AT_ONCE, Reader, Turn};

/// How much may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All samples of an organization together, in bytes.
    pub quota: u64,
    /// One of them, in bytes.
    pub largest: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { quota: 4 << 30, largest: 512 << 20 }
    }
}

/// Where samples are kept. Clones share it.
#[derive(Clone, Debug)]
pub struct Samples {
    dir: Arc<PathBuf>,
    limits: Limits,
    /// Held by who makes a file that the store names only afterwards, and by who removes what it does not name.
    naming: Arc<Mutex<()>>,
    readers: Readers,
}

impl Samples {
    /// Opens the directory, or makes it for the server's own user alone.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn open(data_dir: &Path, limits: Limits) -> io::Result<Self> {
        let dir = data_dir.join("samples");
        private(&dir)?;
        private(&dir.join(COMING))?;
        Ok(Self { dir: Arc::new(dir), limits, naming: Arc::default(), readers: Readers::default() })
    }

    /// How much may be kept.
    pub(crate) const fn limits(&self) -> Limits {
        self.limits
    }

    /// A place to read for this caller, if there is one now.
    pub(crate) fn turn(&self, reader: Reader) -> Result<Turn, Busy> {
        self.readers.enter(reader)
    }

    /// Opens a sample for reading; who reads has a turn.
    pub(crate) async fn read(&self, organization: OrganizationId, sha256: Sha256) -> io::Result<File> {
        let place = self.place(organization, sha256);
        on_disk(move || File::open(place)).await
    }

    /// Whether the bytes lie here.
    pub(crate) fn has(&self, organization: OrganizationId, sha256: Sha256) -> bool {
        self.place(organization, sha256).is_file()
    }

    fn place(&self, organization: OrganizationId, sha256: Sha256) -> PathBuf {
        self.dir.join(organization.to_string()).join(sha256.to_string())
    }

    fn coming(&self, act: ActId) -> PathBuf {
        self.dir.join(COMING).join(act.to_string())
    }

    /// Removes what the store does not name: deleted samples, and parts of those that will not come.
    ///
    /// # Errors
    /// When the store fails. What can't be removed now is tried again the next time.
    pub(crate) async fn sweep(&self, store: &Store) -> Result<(), StoreError> {
        let _naming = self.naming.lock().await;
        // Looked at first: what is made from now on stands in the store already.
        let samples = self.clone();
        let Ok(found) = on_disk(move || Ok(samples.found())).await else { return Ok(()) };
        let kept = store.kept_samples().await?;
        let is_surplus = |is: &Found| match is {
            Found::Sample(organization, sha256) => !kept.samples.contains(&(*organization, *sha256)),
            Found::Coming(act) => !kept.coming.contains(act),
        };
        let surplus: Vec<PathBuf> =
            found.into_iter().filter(|(_, is)| is_surplus(is)).map(|(path, _)| path).collect();
        let removed = on_disk(move || {
            for path in surplus {
                match std::fs::remove_file(&path) {
                    Ok(()) => tracing::info!(path = %path.display(), "sample.removed"),
                    Err(error) => tracing::warn!(path = %path.display(), %error, "a sample can't be removed"),
                }
            }
            Ok(())
        });
        if let Err(error) = removed.await {
            tracing::warn!(%error, "samples that nobody wants are removed later");
        }
        Ok(())
    }

    fn found(&self) -> Vec<(PathBuf, Found)> {
        let mut found = Vec::new();
        for place in entries(&self.dir) {
            let Some(name) = name_of(&place) else { continue };
            if name == COMING {
                let acts = entries(&place).into_iter();
                found.extend(acts.filter_map(|path| {
                    let act = name_of(&path)?.parse().ok()?;
                    Some((path, Found::Coming(act)))
                }));
            } else if let Ok(organization) = name.parse() {
                let samples = entries(&place).into_iter();
                found.extend(samples.filter_map(|path| {
                    let model::FileId::Sha256(sha256) = name_of(&path)?.parse().ok()? else { return None };
                    Some((path, Found::Sample(organization, sha256)))
                }));
            }
        }
        found
    }
}

/// Disks may stand still: no thread that serves others waits for them.
pub(crate) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Where samples are while they come.
const COMING: &str = "coming";

enum Found {
    Sample(OrganizationId, Sha256),
    Coming(ActId),
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Masks bytes, and takes the mask off again.
fn mask(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|byte| *byte ^= 0xA5);
}

/// A length for people.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..=9_999 => format!("{count} bytes"),
        10_000..=10_485_759 => format!("{} KiB", count >> 10),
        10_485_760..=10_737_418_239 => format!("{} MiB", count >> 20),
        _ => format!("{} GiB", count >> 30),
    }
}

#[cfg(test)]
mod tests;
