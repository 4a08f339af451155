//! The verbs about what files are judged to be.

use std::collections::HashSet;

use model::determination::{Determination, DeterminationType};
use model::{Digest, Digests, FileId, OrganizationId, Time};
use uuid::Uuid;

use super::{Back, Caller, Store, StoreError, sqlite};

/// What an analyst says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What it is.
    pub kind: DeterminationType,
    /// The threat's name.
    pub value: Option<String>,
}

/// A list of digests. The digests lie in a file that has its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownList {
    /// The name of its file.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What a file on it is,
    pub kind: DeterminationType,
    /// and the threat's name.
    pub value: Option<String>,
    /// How many digests it has: SHA-256, SHA-1, MD5.
    pub counts: [u64; 3],
    /// In which form it came.
    pub format: String,
    /// SHA-256 of what was imported.
    pub version: [u8; 32],
    /// Length of that in bytes.
    pub bytes: u64,
    /// How many entries were not meant as indicators,
    pub skipped: u64,
    /// and how many could not be read.
    pub refused: u64,
    /// When it was imported,
    pub imported: Time,
    /// by whom,
    pub requestor: String,
    /// and why.
    pub comment: String,
}

/// All that is said of a file, and all lists that may say more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The file's names, as far as known.
    pub names: Vec<Digest>,
    /// What analysts and engines say.
    pub words: Vec<Determination>,
    /// The lists there are: whether the file is on them stands in their files.
    pub lists: Vec<KnownList>,
}

impl Judged {
    /// A file with these names, of which nothing is said yet.
    pub(super) fn of(digests: &Digests) -> Self {
        let names =
            vec![Digest::Sha256(digests.sha256), Digest::Sha1(digests.sha1), Digest::Md5(digests.md5)];
        Self { names, ..Self::default() }
    }
}

impl Store {
    /// An analyst says what a file is, seen or not. By the same name nothing else is said any more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn judge(
        &self,
        by: &Caller,
        file: FileId,
        judgement: Judgement,
        comment: String,
    ) -> Result<(), StoreError> {
        let by = by.clone();
        let Back::Sqlite(db) = &*self.back;
        db.order("judge", move |tx| sqlite::determinations::judge(tx, &by, file, &judgement, &comment)).await
    }

    /// Takes back what analysts said of a file, by whichever of its names. How many words that were comes back.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn withdraw_judgement(
        &self,
        by: &Caller,
        file: FileId,
        comment: String,
    ) -> Result<usize, StoreError> {
        let by = by.clone();
        let Back::Sqlite(db) = &*self.back;
        db.order("withdraw", move |tx| sqlite::determinations::withdraw(tx, &by, file, &comment)).await
    }

    /// An engine has judged a file. What it said before no longer counts; `Unknown` leaves nothing.
    ///
    /// # Errors
    /// When the source is no engine, or the store fails.
    pub async fn judged_by_engine(
        &self,
        organization: OrganizationId,
        file: FileId,
        said: Determination,
    ) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.ingest("judged_by_engine", move |tx| {
            sqlite::determinations::judged_by_engine(tx, organization, file, &said)
        })
        .await
    }

    /// All that is said of a file, seen or not.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn judged(&self, organization: OrganizationId, file: FileId) -> Result<Judged, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("judged", |look| sqlite::determinations::of_name(look, organization, file))
    }

    /// A list is there from now on, in the place of the one that had its name. When and by whom is the store's word: as
    /// it now stands it comes back. `same` is the list that was found to have the same digests, if one was.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when there is no room for it beside the others; or when the store fails.
    pub async fn put_list(
        &self,
        by: &Caller,
        list: KnownList,
        same: Option<Uuid>,
    ) -> Result<KnownList, StoreError> {
        let by = by.clone();
        let Back::Sqlite(db) = &*self.back;
        db.order("put_list", move |tx| sqlite::lists::put(tx, &by, &list, same)).await
    }

    /// Whether a list of that name may come beside the others.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when it may not, which says why; or when the store fails.
    pub fn check_room_for_list(&self, organization: OrganizationId, name: &str) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("check_room_for_list", |look| sqlite::lists::check_room(look, organization, name, [0; 3]))
    }

    /// Removes a list. False if there is none of that name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_list(&self, by: &Caller, name: &str, comment: String) -> Result<bool, StoreError> {
        let (by, name) = (by.clone(), name.to_owned());
        let Back::Sqlite(db) = &*self.back;
        db.order("remove_list", move |tx| sqlite::lists::remove(tx, &by, &name, &comment)).await
    }

    /// All lists, by name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn lists(&self, organization: OrganizationId) -> Result<Vec<KnownList>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("lists", |look| sqlite::lists::list(look, organization))
    }

    /// The list of that name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(
        &self,
        organization: OrganizationId,
        name: &str,
    ) -> Result<Option<KnownList>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("list", |look| sqlite::lists::get(look, organization, name))
    }

    /// The files of digests that there are to be.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn kept_lists(&self) -> Result<HashSet<Uuid>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("kept_lists", sqlite::lists::kept)
    }
}
