//! The verbs about blocks that follow from what files are judged to be.

use model::determination::DeterminationType;
use model::{Digests, OrganizationId, Time};

use super::{Back, Caller, Judged, KnownList, Store, StoreError, sqlite};

/// That files judged to be malware are blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Who wants it so,
    pub requestor: String,
    /// why,
    pub comment: String,
    /// and since when.
    pub created: Time,
    /// How many files it has blocked,
    pub blocked: u64,
    /// and how many it must not block.
    pub refused: u64,
}

/// A file that a policy is to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Its number in the store.
    pub(crate) file: i64,
    /// That something was said of it, and what stands for that; none when it is its turn.
    pub(crate) token: Option<i64>,
    /// Its names.
    pub(crate) digests: Digests,
    /// What is said of it, without lists.
    pub(crate) judged: Judged,
}

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Looked {
    pub(crate) file: i64,
    pub(crate) token: Option<i64>,
    pub(crate) digests: Digests,
    /// What the file is judged to be.
    pub(crate) kind: DeterminationType,
}

/// Files of one organization that its policy is to look at, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PolicyLook {
    pub(crate) organization: OrganizationId,
    /// What of all that concerns all files the look is about.
    pub(crate) changes: i64,
    /// The lists there are.
    pub(crate) lists: Vec<KnownList>,
    pub(crate) files: Vec<Look>,
}

impl Store {
    /// Files judged to be malware are blocked from now on.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_policy(&self, by: &Caller, comment: String) -> Result<(), StoreError> {
        let by = by.clone();
        let Back::Sqlite(db) = &*self.back;
        db.order("put_policy", move |tx| sqlite::policy::put(tx, &by, &comment)).await
    }

    /// No more files are blocked for that; those that are stay so. False if it was not wanted before.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn remove_policy(&self, by: &Caller, comment: String) -> Result<bool, StoreError> {
        let by = by.clone();
        let Back::Sqlite(db) = &*self.back;
        db.order("remove_policy", move |tx| sqlite::policy::remove(tx, &by, &comment)).await
    }

    /// The organization's policy.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn policy(&self, organization: OrganizationId) -> Result<Option<Policy>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("policy", |look| sqlite::policy::get(look, organization))
    }

    /// The next files that policies are to look at, at most so many of each organization.
    pub(crate) fn policy_looks(&self, most: u32) -> Result<Vec<PolicyLook>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("policy_looks", |look| sqlite::policy::next(look, most))
    }

    /// What follows for files that were looked at. False when the policy rests for a while.
    pub(crate) async fn policy_follows(
        &self,
        organization: OrganizationId,
        changes: i64,
        looked: Vec<Looked>,
    ) -> Result<bool, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("policy", move |tx| sqlite::policy::follow(tx, organization, changes, &looked)).await
    }
}
