//! Lists of digests: which files somebody else has judged, by the million.
//!
//! The store says which lists there are and what they say; their digests are sorted files in the data directory, named by
//! an id that no other file ever had, so that a list is replaced in one transaction of the store. They are looked up at
//! the time of asking: a list counts for files that were seen before it came and after. A file that the store does not
//! name is removed.

mod digests;
mod feed;
mod importing;
mod room;
mod sorting;

use std::collections::HashMap;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use model::determination::{Determination, KnownBy, Source};
use model::{Digest, OrganizationId};
use tokio::sync::{Mutex, Semaphore};
use uuid::Uuid;

pub(crate) use importing::{Importing, Made, Unmade};

use self::digests::Digests;
use crate::store::{KnownList, Store, StoreError};

/// Where lists are while they come.
const COMING: &str = "coming";

type Open = std::sync::Mutex<HashMap<Uuid, Arc<Digests>>>;

/// Where lists are kept. Clones share it.
#[derive(Clone, Debug)]
pub struct Lists {
    dir: Arc<PathBuf>,
    open: Arc<Open>,
    /// Held by who makes a file that the store names only afterwards, and by who removes what it does not name.
    naming: Arc<Mutex<()>>,
    /// One list comes at a time.
    turn: Arc<Semaphore>,
}

impl Lists {
    /// Opens the directory, or makes it for the server's own user alone.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let dir = data_dir.join("lists");
        private(&dir)?;
        private(&dir.join(COMING))?;
        let turn = Arc::new(Semaphore::new(1));
        Ok(Self { dir: Arc::new(dir), open: Arc::default(), naming: Arc::default(), turn })
    }

    /// What these lists say of a file with these names. A list that can't be read says nothing, and the log says why.
    pub(crate) fn words(
        &self,
        organization: OrganizationId,
        names: &[Digest],
        lists: &[KnownList],
    ) -> Vec<Determination> {
        let found = lists.iter().filter_map(|list| {
            self.word(organization, names, list).unwrap_or_else(|error| {
                tracing::error!(list = list.name, %error, "a list can't be looked up; import it again");
                None
            })
        });
        found.collect()
    }

    /// What one list says of a file with these names.
    ///
    /// # Errors
    /// When it can't be read.
    pub(crate) fn word(
        &self,
        organization: OrganizationId,
        names: &[Digest],
        list: &KnownList,
    ) -> io::Result<Option<Determination>> {
        let known_by = self.known_by(organization, list, names)?;
        Ok(known_by.map(|known_by| Determination {
            kind: list.kind,
            value: list.value.clone(),
            source: Source::List,
            engine: list.name.clone(),
            version: model::Sha256(list.version).to_string(),
            at: list.imported,
            by: list.requestor.clone(),
            evidence: list.comment.clone(),
            known_by,
        }))
    }

    /// Whether a list's digests can be looked up.
    pub(crate) fn is_usable(&self, organization: OrganizationId, list: &KnownList) -> bool {
        self.opened(organization, list.id).is_ok()
    }

    /// By the longest of these names that the list holds.
    fn known_by(
        &self,
        organization: OrganizationId,
        list: &KnownList,
        names: &[Digest],
    ) -> io::Result<Option<KnownBy>> {
        let digests = self.opened(organization, list.id)?;
        let mut longest = None;
        for name in names {
            if digests.contains(name)? {
                longest = longest.max(Some(match name {
                    Digest::Md5(_) => KnownBy::Md5,
                    Digest::Sha1(_) => KnownBy::Sha1,
                    Digest::Sha256(_) => KnownBy::Sha256,
                }));
            }
        }
        Ok(longest)
    }

    fn opened(&self, organization: OrganizationId, id: Uuid) -> io::Result<Arc<Digests>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digests) = open.get(&id) {
            return Ok(Arc::clone(digests));
        }
        let digests = Arc::new(Digests::open(&self.place(organization, id))?);
        open.insert(id, Arc::clone(&digests));
        Ok(digests)
    }

    fn place(&self, organization: OrganizationId, id: Uuid) -> PathBuf {
        self.dir.join(organization.to_string()).join(id.to_string())
    }

    /// Removes what the store does not name: lists that were replaced or removed, and parts of those that did not come
    /// whole.
    ///
    /// # Errors
    /// When the store fails. What can't be removed now is tried again the next time.
    pub(crate) async fn sweep(&self, store: &Store) -> Result<(), StoreError> {
        let _naming = self.naming.lock().await;
        // While a list comes, its parts are not looked at.
        let turn = Arc::clone(&self.turn).try_acquire_owned();
        let mut surplus = if turn.is_ok() { entries(&self.dir.join(COMING)) } else { Vec::new() };
        // Looked at first: what is made from now on stands in the store already.
        let found = self.found();
        let kept = store.kept_lists().await?;
        surplus.extend(found.into_iter().filter(|(_, id)| !kept.contains(id)).map(|(path, _)| path));
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| kept.contains(id));
        for path in surplus {
            match std::fs::remove_file(&path) {
                Ok(()) => tracing::info!(path = %path.display(), "list.removed"),
                Err(error) => tracing::warn!(path = %path.display(), %error, "a list can't be removed"),
            }
        }
        Ok(())
    }

    fn found(&self) -> Vec<(PathBuf, Uuid)> {
        let places = entries(&self.dir).into_iter().filter(|place| !place.ends_with(COMING));
        let files = places.flat_map(|place| entries(&place));
        files.filter_map(|path| Some((path.clone(), path.file_name()?.to_str()?.parse().ok()?))).collect()
    }

    /// Whether a list that was made has the digests of another.
    pub(crate) async fn is_same(&self, organization: OrganizationId, other: Uuid, made: &Made) -> bool {
        let Some(coming) = made.coming.path().map(Path::to_owned) else { return false };
        let place = self.place(organization, other);
        let is_same = move || digests::are_same(&coming, &place).unwrap_or(false);
        tokio::task::spawn_blocking(is_same).await.unwrap_or(false)
    }

    /// Gives a list its name, durably; then `note` lets the store know of it, before anybody may take it for surplus.
    /// Who calls it sees it through.
    pub(crate) async fn keep<T, E: From<io::Error>>(
        &self,
        organization: OrganizationId,
        made: Made,
        note: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let _naming = self.naming.lock().await;
        let place = self.place(organization, made.id);
        if let Some(dir) = place.parent() {
            private(dir)?;
            made.coming.moved_to(&place)?;
            File::open(dir)?.sync_all()?;
            File::open(&*self.dir)?.sync_all()?;
        }
        note.await
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
