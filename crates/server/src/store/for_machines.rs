//! The verbs that sessions use.

use model::act::Outcome;
use model::bypass::Bypass;
use model::inspection::Inspection;
use model::log::Position;
use model::sighting::Sighting;
use model::spared::Spared;
use model::{ActId, Digests, MachineId, OrganizationId, RuleId, Sha256};

use super::{Attach, Attached, Back, Offer, OpenAct, Report, RuleDelta, Sample, Store, StoreError, sqlite};
use crate::samples::Limits;

impl Store {
    /// Adds a machine to the organization. One that is known stays as it is.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn enroll(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        name: &str,
    ) -> Result<(), StoreError> {
        let name = name.to_owned();
        let Back::Sqlite(db) = &*self.back;
        db.order("enroll", move |tx| sqlite::machines::enroll(tx, organization, machine, &name)).await
    }

    /// A machine presents itself: its row says of it what it says of itself.
    ///
    /// # Errors
    /// When the machine is not known, or the store fails.
    pub async fn attach(&self, hello: Attach) -> Result<Attached, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("attach", move |tx| sqlite::machines::attach(tx, &hello)).await
    }

    /// A machine says how its guard is.
    ///
    /// # Errors
    /// When the machine is not known, or the store fails.
    pub async fn report(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        report: Report,
    ) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("report", move |tx| sqlite::machines::report(tx, organization, machine, &report)).await
    }

    /// A machine was heard of just now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn heard(&self, organization: OrganizationId, machine: MachineId) -> Result<(), StoreError> {
        let now = self.clock.now();
        let Back::Sqlite(db) = &*self.back;
        db.ingest("heard", move |tx| sqlite::machines::heard(tx, organization, machine, now)).await
    }

    /// What a machine at `from` needs to have the rules of today: what changed as far as it concerns the
    /// machine, or all its rules when it has another log, is ahead of this one, or more than 10,000 behind.
    ///
    /// # Errors
    /// When the machine is not known, or the store fails.
    pub async fn rules_since(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        from: Position,
    ) -> Result<RuleDelta, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("rules_since", |look| sqlite::log::for_machine(look, organization, machine, from))
    }

    /// A machine has adopted the rules up to `position`. Orders about everyone's rules end when the last
    /// machine has.
    ///
    /// # Errors
    /// When the log has no such place, the machine is not known, or the store fails.
    pub async fn adopted(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        position: Position,
    ) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("adopted", move |tx| sqlite::coverage::adopted(tx, organization, machine, position)).await
    }

    /// The acts a machine has yet to end, oldest first.
    ///
    /// # Errors
    /// When the machine is not known, or the store fails.
    pub async fn acts_for(
        &self,
        organization: OrganizationId,
        machine: MachineId,
    ) -> Result<Vec<OpenAct>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("acts_for", |look| sqlite::acts::open(look, organization, machine))
    }

    /// Notes that acts are on their way to their machine, before they are. Those that nobody has withdrawn
    /// meanwhile come back; the others must not go.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn hand_out(
        &self,
        organization: OrganizationId,
        acts: Vec<ActId>,
    ) -> Result<Vec<ActId>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("hand_out", move |tx| sqlite::acts::hand_out(tx, organization, &acts)).await
    }

    /// A machine has begun an act.
    ///
    /// # Errors
    /// When it is not one of its acts, or the store fails.
    pub async fn act_begun(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        act: ActId,
    ) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("act_begun", move |tx| sqlite::acts::begun(tx, organization, machine, act)).await
    }

    /// An act has ended. Told twice it changes nothing; told too late it is kept beside the act's end.
    ///
    /// # Errors
    /// When the machine is not known, or the store fails.
    pub async fn act_ended(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        outcome: Outcome,
    ) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("act_ended", move |tx| sqlite::outcome::take(tx, organization, machine, &outcome)).await
    }

    /// Takes a batch of sightings. Ages count from now, and none is believed beyond 30 days. A batch whose
    /// sequence was taken before, or one before it, changes nothing.
    ///
    /// # Errors
    /// When the machine is not known, or the store fails.
    pub async fn record_sightings(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        sequence: u64,
        sightings: Vec<Sighting>,
    ) -> Result<(), StoreError> {
        // Now, and not when its turn comes: the batch may wait behind others.
        let received = self.clock.now();
        let Back::Sqlite(db) = &*self.back;
        db.ingest("record_sightings", move |tx| {
            sqlite::sightings::record(tx, organization, machine, sequence, received, &sightings)
        })
        .await
    }

    /// What is spared on a machine, and what lies at such paths and is `strange`; in place of what it told before.
    ///
    /// # Errors
    /// When the machine is not known, or the store fails.
    pub async fn spared(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        spared: Vec<Spared>,
        strange: Vec<Spared>,
    ) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("spared", move |tx| sqlite::spared::replace(tx, organization, machine, &spared, &strange))
            .await
    }

    /// Root on a machine has lifted that machine's own deny. Told twice it changes nothing.
    ///
    /// # Errors
    /// When the rule is not that machine's own, or the store fails.
    pub async fn lifted(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        rule: RuleId,
        comment: String,
    ) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("lifted", move |tx| sqlite::lifted::take(tx, organization, machine, rule, &comment)).await
    }

    /// A user of a machine went past a rule that warns. Told twice it stands twice in the audit.
    ///
    /// # Errors
    /// When the machine is not known, or the store fails.
    pub async fn bypassed(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        bypass: Bypass,
        rule: RuleId,
        comment: String,
    ) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("bypassed", move |tx| {
            sqlite::bypassed::note(tx, organization, machine, &bypass, rule, &comment)
        })
        .await
    }

    /// A machine has a copy that an order wants collected. What is wanted has its room from then on.
    ///
    /// # Errors
    /// When no order of that machine wants it, or the store fails.
    pub async fn sample_offered(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        act: ActId,
        (digests, size): (Digests, u64),
        limits: Limits,
    ) -> Result<Offer, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("sample_offered", move |tx| {
            sqlite::collect::offered(tx, organization, machine, act, &digests, size, limits)
        })
        .await
    }

    /// A sample lies whole and checked where samples are kept.
    ///
    /// # Errors
    /// When no order of that machine wants it, or the store fails.
    pub async fn sample_stored(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        act: ActId,
        sample: Sample,
    ) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.order("sample_stored", move |tx| {
            sqlite::collect::stored(tx, organization, machine, act, sample.sha256, sample.size)
        })
        .await
    }

    /// Files that a machine has, from behind `after` on: their places in an order of the store's own, and the SHA-256 of
    /// each that it can say something about and of which not enough was said. `version` is that of its inspection. Fewer
    /// than `limit` are the last ones.
    ///
    /// # Errors
    /// When the machine is not known, or the store fails.
    pub async fn uninspected(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        version: u32,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Option<Sha256>)>, StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.read("uninspected", |look| {
            sqlite::inspections::due(look, organization, machine, version, after, limit)
        })
    }

    /// A machine has no copy of a file that it was asked about. As far as the store knows of none either, it is not asked
    /// again until it has told of one.
    ///
    /// # Errors
    /// When the machine is not known, or the store fails.
    pub async fn not_to_inspect(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        file: Sha256,
    ) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.ingest("not_to_inspect", move |tx| sqlite::inspections::gone(tx, organization, machine, file))
            .await
    }

    /// A machine has inspected a file. The first record stays, unless it is of an older version or one that was cut
    /// short; a machine that says otherwise is counted, and stands in the audit.
    ///
    /// # Errors
    /// When the machine never told of that file, or the store fails.
    pub async fn inspected(
        &self,
        organization: OrganizationId,
        machine: MachineId,
        file: Sha256,
        version: u32,
        record: Inspection,
    ) -> Result<(), StoreError> {
        let Back::Sqlite(db) = &*self.back;
        db.ingest("inspected", move |tx| {
            sqlite::inspections::take(tx, organization, machine, file, version, &record)
        })
        .await
    }
}
