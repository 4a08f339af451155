//! What a machine says, and what becomes of it.

use model::MachineId;
use model::act::Outcome;
use model::bypass::Bypass;
use model::hold::Hold;
use model::sighting::Sighting;
use model::{ActId, RuleId};
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use wire::link::v1::{down, up};
use wire::link::{Malformed, acts, holds, things, v1};

use super::Plane;
use super::connection::{Ended, next};
use super::receive::Piece;
use crate::store::{Report, StoreError};

/// A batch on its way into the store.
pub(super) struct Batch {
    sequence: u64,
    sightings: Vec<Sighting>,
}

/// To whom is handed on what takes longer.
pub(super) struct HandOn {
    pub(super) batches: mpsc::Sender<Batch>,
    pub(super) pieces: mpsc::Sender<Piece>,
    pub(super) records: mpsc::Sender<v1::Inspected>,
    pub(super) answers: mpsc::Sender<down::Message>,
}

/// Hears the machine until it goes.
pub(super) async fn run(
    plane: &Plane,
    machine: MachineId,
    mut stream: OwnedReadHalf,
    hand_on: HandOn,
) -> Result<(), Ended> {
    let mut ear = Ear { plane, machine, hand_on, last_report: None };
    while let Some(said) = next(&mut stream).await? {
        // A message this server does not know yet says nothing that it needs.
        if let Some(message) = said.message {
            ear.hear(message).await?;
        }
    }
    Ok(())
}

/// Takes batches of sightings in, one after the other, and acknowledges each after its commit. There may be `fresh` files
/// then.
pub(super) async fn take_in(
    plane: &Plane,
    machine: MachineId,
    mut batches: mpsc::Receiver<Batch>,
    fresh: &Notify,
    answers: mpsc::Sender<down::Message>,
) -> Result<(), Ended> {
    while let Some(Batch { sequence, sightings }) = batches.recv().await {
        plane.store.record_sightings(plane.organization, machine, sequence, sightings).await?;
        answers.send(down::Message::SightingsStored(sequence)).await.map_err(|_| Ended::Gone)?;
        fresh.notify_one();
    }
    Ok(())
}

struct Ear<'a> {
    plane: &'a Plane,
    machine: MachineId,
    hand_on: HandOn,
    /// What the store has of the machine's guard.
    last_report: Option<Report>,
}

impl Ear<'_> {
    async fn hear(&mut self, message: up::Message) -> Result<(), Ended> {
        let (store, organization, machine) = (&self.plane.store, self.plane.organization, self.machine);
        match message {
            up::Message::Hello(_) => return Err(Malformed("message (a second hello)").into()),
            up::Message::Heartbeat(heartbeat) => self.beat(heartbeat).await?,
            up::Message::Sightings(batch) => self.sightings(batch).await?,
            up::Message::Adopted(position) => {
                store.adopted(organization, machine, position.into()).await?;
            }
            up::Message::ActBegun(act) => {
                let act: ActId = acts::act_id(&act)?;
                taken_or_refused(machine, store.act_begun(organization, machine, act).await)?;
            }
            up::Message::Outcome(outcome) => {
                let outcome = Outcome::try_from(outcome)?;
                let act = outcome.act.0.as_bytes().to_vec();
                store.act_ended(organization, machine, outcome).await?;
                self.answer(down::Message::OutcomeStored(act)).await?;
            }
            up::Message::Spared(set) => {
                let spared = set.spared.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
                let strange = set.strange.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
                store.spared(organization, machine, spared, strange).await?;
            }
            up::Message::Holds(told) => {
                let holds = told.holds.iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
                if told.left_out > 0 {
                    tracing::warn!(%machine, left_out = told.left_out, "session.holds_left_out");
                }
                store.hold(organization, machine, holds).await?;
            }
            up::Message::Approved(told) => {
                let hold = Hold::try_from(told.hold.as_ref().ok_or(Malformed("hold"))?)?;
                let id = hold.id.0.as_bytes().to_vec();
                let done = store.approved(organization, machine, hold, told.by, told.comment).await;
                taken_or_refused(machine, done)?;
                self.answer(down::Message::ApprovedStored(id)).await?;
            }
            up::Message::ApprovalRefused(told) => {
                let hold = holds::hold_id(&told.hold)?;
                tracing::warn!(%machine, %hold, why = told.reason, "session.approval_refused");
                store.approval_refused(organization, machine, hold, told.reason).await?;
            }
            up::Message::Lifted(v1::Lifted { rule, comment }) => {
                let done = store.lifted(organization, machine, RuleId(rule), comment).await;
                // A refusal is final, too: without an answer the machine would ask for ever.
                taken_or_refused(machine, done)?;
                self.answer(down::Message::LiftedStored(rule)).await?;
            }
            up::Message::Bypassed(told) => {
                let bypass = Bypass::try_from(&told)?;
                let v1::Bypass { id, rule, comment, .. } = told;
                let done = store.bypassed(organization, machine, bypass, RuleId(rule), comment).await;
                taken_or_refused(machine, done)?;
                self.answer(down::Message::BypassStored(id)).await?;
            }
            up::Message::SampleOffer(offer) => self.piece(Piece::Offer(offer)).await?,
            up::Message::SampleChunk(chunk) => self.piece(Piece::Chunk(chunk)).await?,
            up::Message::Inspected(told) => {
                // Nothing else is to wait for the store because of it: it is asked for again.
                match self.hand_on.records.try_send(told) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_)) => tracing::debug!(%machine, "inspection.dropped"),
                    Err(TrySendError::Closed(_)) => return Err(Ended::Gone),
                }
            }
        }
        Ok(())
    }

    async fn piece(&self, piece: Piece) -> Result<(), Ended> {
        self.hand_on.pieces.send(piece).await.map_err(|_| Ended::Gone)
    }

    async fn answer(&self, answer: down::Message) -> Result<(), Ended> {
        self.hand_on.answers.send(answer).await.map_err(|_| Ended::Gone)
    }

    async fn sightings(&self, batch: v1::Sightings) -> Result<(), Ended> {
        let sightings = batch.sightings.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        let batch = Batch { sequence: batch.sequence, sightings };
        self.hand_on.batches.send(batch).await.map_err(|_| Ended::Gone)
    }

    /// Lives in memory; only what orders depend on reaches the store, when it changes.
    async fn beat(&mut self, heartbeat: v1::Heartbeat) -> Result<(), Ended> {
        let report = Report {
            guard_level: heartbeat.guard_level.clone(),
            guarded: heartbeat.guarded.iter().cloned().map(things::path_of).collect(),
            first_sweep_complete: heartbeat.first_sweep_complete,
            operator_key: heartbeat.operator_key.clone(),
        };
        if let Some(seat) = self.plane.present().get_mut(&self.machine) {
            seat.presence.heartbeat = Some(heartbeat);
        }
        if self.last_report.as_ref() != Some(&report) {
            self.plane.store.report(self.plane.organization, self.machine, report.clone()).await?;
            self.last_report = Some(report);
        }
        Ok(())
    }
}

/// A refusal ends nothing but what was refused.
fn taken_or_refused(machine: MachineId, done: Result<(), StoreError>) -> Result<(), StoreError> {
    match done {
        Err(StoreError::Refused(why)) => {
            tracing::warn!(%machine, why, "session.refused");
            Ok(())
        }
        done => done,
    }
}
