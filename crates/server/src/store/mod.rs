//! The store: what is known and what was ordered, and the verbs to ask and change it.
//!
//! Verbs are few and fat: each is one transaction of one back end, with the audit in it. The answer to a verb
//! that changes something comes after its commit.

mod brake;
mod error;
mod for_machines;
mod judging;
mod policing;
mod rows;
mod sqlite;

use std::path::Path;
use std::sync::Arc;

use model::act::Terms;
use model::order::{Inverse, Order};
use model::{Clock, FileId, Generation, MachineId, OrderId, OrganizationId};
use uuid::Uuid;

pub use self::error::{StoreError, SubmitError};
pub use self::judging::{Judged, Judgement, KnownList};
pub use self::policing::Policy;
pub(crate) use self::policing::{Look, Looked, PolicyLook};
pub use self::rows::{
    Answered, Application, Attach, Attached, AuditRow, Block, Caller, HeldThere, HoldEnd, Home, KeptSamples,
    KnownCopy, KnownFile, KnownInspection, KnownOrigin, Machine, Offer, OpenAct, Page, Report, RuleDelta,
    Sample,
};
use self::sqlite::Sqlite;
use crate::hints::Hints;
use crate::samples::Limits;

/// The store of a deployment. Clones share it; dropping the last one closes it.
#[derive(Clone)]
pub struct Store {
    back: Arc<Back>,
    clock: Arc<dyn Clock>,
    hints: Hints,
}

/// Where it is kept.
enum Back {
    Sqlite(Sqlite),
}

impl Store {
    /// Opens the store in `directory`; makes it when there is none, migrates it when it is older.
    ///
    /// # Errors
    /// When it can't be opened, or a newer Quell has written it.
    pub fn open(directory: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let hints = Hints::default();
        let back = Back::Sqlite(Sqlite::open(directory, Arc::clone(&clock), hints.clone())?);
        Ok(Self { back: Arc::new(back), clock, hints })
    }

    /// What this store's verbs give hints on, after each commit that concerns machines.
    pub fn hints(&self) -> &Hints {
        &self.hints
    }

    /// Which organization and machine this deployment is. Made at first start, the same ever after.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn home(&self, host_name: &str) -> Result<Home, StoreError> {
        let host_name = host_name.to_owned();
        let Back::Sqlite(db) = &*self.back;
        db.order("home", move |tx| sqlite::organizations::home(tx, &host_name)).await
    }

    /// The application with that client id.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn application(&self, client: Uuid) -> Result<Option<Application>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("application", |look| sqlite::applications::get(look, client))
    }

    /// Adds an application, or replaces the one with its client id.
    ///
    /// # Errors
    /// When the store fails or its organization is not known.
    pub async fn put_application(&self, application: Application) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("put_application", move |tx| sqlite::applications::put(tx, &application)).await
    }

    /// What is known of a file; none if no machine has seen it. Of several files with the same SHA-1, the most
    /// common one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn file(
        &self,
        organization: OrganizationId,
        file: FileId,
    ) -> Result<Option<KnownFile>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("file", |look| sqlite::files::get(look, organization, file))
    }

    /// The copies of a file, those still there first; at most 10,000.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn copies(
        &self,
        organization: OrganizationId,
        file: FileId,
    ) -> Result<Vec<KnownCopy>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read_long("copies", |look| sqlite::files::copies(look, organization, file))
    }

    /// Every machine of the organization, by name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn machines(&self, organization: OrganizationId) -> Result<Vec<Machine>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read_long("machines", |look| sqlite::machines::list(look, organization))
    }

    /// One machine.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn machine(
        &self,
        organization: OrganizationId,
        id: MachineId,
    ) -> Result<Option<Machine>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("machine", |look| sqlite::machines::get(look, organization, id))
    }

    /// The machines a file was seen on, by name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn machines_with(
        &self,
        organization: OrganizationId,
        file: FileId,
    ) -> Result<Vec<Machine>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read_long("machines_with", |look| sqlite::machines::with(look, organization, file))
    }

    /// The file may not run anywhere in the organization. Blocking what is blocked is an order of its own, and
    /// renews the comment of the rule that is there.
    ///
    /// # Errors
    /// When the file is spared on a machine, or lies at a spared path and the caller has not confirmed it, or the store
    /// fails.
    pub async fn block(&self, by: &Caller, file: FileId, comment: String) -> Result<Block, SubmitError> {
        let by = by.clone();
        let Back::Sqlite(db) = &*self.back;
        db.order("block", move |tx| sqlite::block::block(tx, &by, file, &comment)).await
    }

    /// Ends a block.
    ///
    /// # Errors
    /// When the file is not blocked under that name, or the store fails.
    pub async fn unblock(&self, by: &Caller, file: FileId, comment: String) -> Result<Block, SubmitError> {
        let by = by.clone();
        let Back::Sqlite(db) = &*self.back;
        db.order("unblock", move |tx| sqlite::block::unblock(tx, &by, file, &comment)).await
    }

    /// The blocks in force, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn blocks(&self, organization: OrganizationId, page: Page) -> Result<Vec<Block>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read_long("blocks", |look| sqlite::block::list(look, organization, page))
    }

    /// The file is denied on that machine, what runs it is stopped, every copy goes into the vault.
    ///
    /// # Errors
    /// When the order makes no sense there now (see [`SubmitError`]), or the store fails.
    pub async fn quarantine(
        &self,
        by: &Caller,
        machine: MachineId,
        file: FileId,
        comment: String,
    ) -> Result<Order, SubmitError> {
        let by = by.clone();
        let Back::Sqlite(db) = &*self.back;
        db.order("quarantine", move |tx| sqlite::quarantine::quarantine(tx, &by, machine, file, &comment))
            .await
    }

    /// A copy's bytes are to come from that machine.
    ///
    /// # Errors
    /// When the order makes no sense there now, there is no room, or the store fails.
    pub async fn collect(
        &self,
        by: &Caller,
        machine: MachineId,
        file: FileId,
        comment: String,
        limits: Limits,
    ) -> Result<Order, SubmitError> {
        let by = by.clone();
        let Back::Sqlite(db) = &*self.back;
        db.order("collect", move |tx| sqlite::collect::collect(tx, &by, machine, file, &comment, limits))
            .await
    }

    /// The sample of a file, for somebody who will have its bytes: the audit says so from now on. None if the
    /// server does not have it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn read_sample(&self, by: &Caller, file: FileId) -> Result<Option<Sample>, StoreError> {
        let by = by.clone();
        let Back::Sqlite(db) = &*self.back;
        db.order("read_sample", move |tx| sqlite::collect::read(tx, &by, file)).await
    }

    /// All that may lie where samples are kept.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn kept_samples(&self) -> Result<KeptSamples, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("kept_samples", sqlite::collect::kept)
    }

    /// Asks for an order to be withdrawn. It is, if no machine has begun; its state says so, at once when no
    /// machine has heard of it, else when the machine has answered.
    ///
    /// # Errors
    /// When it has ended, is of a kind that takes effect at once, or the store fails.
    pub async fn cancel(&self, by: &Caller, order: OrderId, comment: String) -> Result<Order, SubmitError> {
        let by = by.clone();
        let Back::Sqlite(db) = &*self.back;
        db.order("cancel", move |tx| sqlite::cancel::cancel(tx, &by, order, &comment)).await
    }

    /// What the undo of an order would do now.
    ///
    /// # Errors
    /// When it can't be undone now, or the store fails.
    pub async fn inverse(
        &self,
        organization: OrganizationId,
        order: OrderId,
    ) -> Result<Inverse, SubmitError> {
        let Back::Sqlite(db) = &*self.back;
        // The reader's errors are the store's; whether it can be undone is an answer.
        db.read("inverse", |look| match sqlite::undo::inverse(look, organization, order) {
            Err(SubmitError::Store(error)) => Err(error),
            answer => Ok(answer),
        })?
    }

    /// Takes an order back: a quarantine by a restore on these terms, a block by an unblock, an unblock by a block.
    /// What comes back is the order that does so.
    ///
    /// # Errors
    /// When there is nothing to undo, or not yet, or the store fails.
    pub async fn undo(
        &self,
        by: &Caller,
        order: OrderId,
        terms: Terms,
        comment: String,
    ) -> Result<Order, SubmitError> {
        let by = by.clone();
        let Back::Sqlite(db) = &*self.back;
        db.order("undo", move |tx| sqlite::undo::undo(tx, &by, order, terms, &comment)).await
    }

    /// One order with its copies.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn order(
        &self,
        organization: OrganizationId,
        id: OrderId,
    ) -> Result<Option<Order>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("order", |look| sqlite::orders::get(look, organization, id))
    }

    /// Orders of every kind with their copies, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn orders(&self, organization: OrganizationId, page: Page) -> Result<Vec<Order>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read_long("orders", |look| sqlite::orders::newest(look, organization, None, page))
    }

    /// The quarantines among the orders, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn quarantines(
        &self,
        organization: OrganizationId,
        page: Page,
    ) -> Result<Vec<Order>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read_long("quarantines", |look| {
            sqlite::orders::newest(look, organization, Some("quarantine"), page)
        })
    }

    /// The lines of the audit that follow `after`, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn audit(
        &self,
        organization: OrganizationId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read_long("audit", |look| sqlite::audit::since(look, organization, after, limit))
    }

    /// The entries of the organization's log that follow `after`, oldest first, whomever they concern.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn log(
        &self,
        organization: OrganizationId,
        after: Generation,
        limit: u32,
    ) -> Result<Vec<model::log::Entry>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("log", |look| sqlite::log::since(look, organization, after, limit))
    }

    /// Ends what is over by itself: acts nobody began in time, rules whose until has passed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn expire(&self) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("expire", sqlite::expire::expire).await
    }

    /// What the database needs once in a while to stay quick.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn upkeep(&self) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.upkeep().await
    }
}
