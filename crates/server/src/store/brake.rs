//! The verbs about what machines' brakes hold back.

use model::hold::{Approval, Hold, KeyChange, OperatorKey};
use model::{HoldId, MachineId, OrderId, OrganizationId};

use super::{Back, Caller, HeldThere, HoldEnd, Store, StoreError, sqlite};

impl Store {
    /// All that a machine's brake holds, in place of what it told before.
    ///
    /// # Errors
    /// When the machine is not known, or the store fails.
    pub async fn hold(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        holds: Vec<Hold>,
    ) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("hold", move |tx| sqlite::holds::replace(tx, organization, machine, &holds)).await
    }

    /// A machine says that somebody there let go on what it held. Told twice it stands twice in the audit.
    ///
    /// # Errors
    /// When the machine is not known, or the store fails.
    pub async fn approved(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        hold: Hold,
        who: String,
        comment: String,
    ) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("approved", move |tx| {
            sqlite::holds::approved(tx, organization, machine, &hold, &who, &comment)
        })
        .await
    }

    /// Somebody brings a signed approval, `said` as a message of the link. It goes to the machine, which decides.
    ///
    /// # Errors
    /// `Refused` when nothing waits there under that name; when the machine is not known, or the store fails.
    pub async fn approve(&self, by: &Caller, approval: Approval, said: Vec<u8>) -> Result<(), StoreError> {
        let by = by.clone();
        let Back::Sqlite(db) = &*self.back;
        db.order("approve", move |tx| sqlite::holds::approve(tx, &by, &approval, &said)).await
    }

    /// A machine did not take an approval.
    ///
    /// # Errors
    /// When the machine is not known, or the store fails.
    pub async fn approval_refused(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        hold: HoldId,
        why: String,
    ) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("approval_refused", move |tx| sqlite::holds::refused(tx, organization, machine, hold, &why))
            .await
    }

    /// The approvals on their way to a machine, as messages of the link.
    ///
    /// # Errors
    /// When the machine is not known, or the store fails.
    pub async fn approvals_for(
        &self,
        organization: OrganizationId,
        machine: MachineId,
    ) -> Result<Vec<(HoldId, Vec<u8>)>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("approvals_for", |look| sqlite::holds::approvals(look, organization, machine))
    }

    /// All that waits for approval.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn holds(&self, organization: OrganizationId) -> Result<Vec<HeldThere>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read_long("holds", |look| sqlite::holds::list(look, organization))
    }

    /// What of an order waits for approval.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn holds_of(
        &self,
        organization: OrganizationId,
        order: OrderId,
    ) -> Result<Vec<HeldThere>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("holds_of", |look| sqlite::holds::of_order(look, organization, order))
    }

    /// One thing that waits for approval; or how it ended, for a day after that.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn hold_by_id(
        &self,
        organization: OrganizationId,
        hold: HoldId,
    ) -> Result<Option<Result<HeldThere, HoldEnd>>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("hold_by_id", |look| sqlite::holds::get(look, organization, hold))
    }

    /// The public half of the operator key; none before there is one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn operator_key(
        &self,
        organization: OrganizationId,
    ) -> Result<Option<OperatorKey>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("operator_key", |look| sqlite::operator_keys::current(look, organization))
    }

    /// How the operator key came to be the one it is, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn operator_key_changes(
        &self,
        organization: OrganizationId,
    ) -> Result<Vec<KeyChange>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("operator_key_changes", |look| sqlite::operator_keys::changes(look, organization))
    }

    /// Keeps the public half of the operator key, unless there is one: what stands comes back.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keep_operator_key(
        &self,
        organization: OrganizationId,
        key: OperatorKey,
    ) -> Result<OperatorKey, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("keep_operator_key", move |tx| sqlite::operator_keys::keep(tx, organization, key)).await
    }

    /// Another operator key follows; approvals on their way count no more. Who asks has looked at the signature. By nobody:
    /// whoever rules the server says so.
    ///
    /// # Errors
    /// `Refused` when it does not follow the key of now, or was one before; when the store fails.
    pub async fn change_operator_key(
        &self,
        organization: OrganizationId,
        by: Option<&Caller>,
        change: KeyChange,
        comment: &str,
    ) -> Result<(), StoreError> {
        let (by, comment) = (by.cloned(), comment.to_owned());
        let Back::Sqlite(db) = &*self.back;
        db.order("change_operator_key", move |tx| {
            sqlite::operator_keys::change(tx, organization, by.as_ref(), &change, &comment)
        })
        .await
    }
}
