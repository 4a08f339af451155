//! What a machine is told: rules first, then the acts that need them, and that what it said is stored.

use std::collections::HashSet;
use std::time::Duration;

use model::hold::OperatorKey;
use model::log::Position;
use model::{ActId, HoldId, MachineId};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use wire::link::v1::down;
use wire::link::{frame, holds, v1};

use super::connection::{Ended, Guest};
use super::{Plane, speak};
use crate::store::OpenAct;

/// How often is looked without a hint.
const TICK: Duration = Duration::from_secs(1);
/// How often the store hears that the machine is there.
const HEARD_EVERY: Duration = Duration::from_secs(60);
/// A machine that takes nothing for this long is let go.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// How often a machine says how it is.
const HEARTBEAT_SECONDS: u32 = 5;

/// All that can make a server speak.
#[expect(clippy::large_enum_variant, reason = "there is one, and it lives for a moment")]
enum Event {
    /// Something the machine said is stored.
    Answer(down::Message),
    /// There may be rules or acts for it.
    Hint,
    /// It is time to look without a hint.
    Tick,
    /// Nobody will answer any more.
    Over,
}

/// Tells the machine what it must know until the connection ends.
pub(super) async fn run(
    plane: &Plane,
    guest: Guest,
    stream: OwnedWriteHalf,
    mut answers: mpsc::Receiver<down::Message>,
) -> Result<(), Ended> {
    let Guest { machine, position, ingested, inspects: _ } = guest;
    // Listens before it looks, so that nothing falls between.
    let mut hints = plane.hints.listen();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let mut mouth = Mouth {
        plane,
        machine,
        stream,
        position,
        key: None,
        sent: HashSet::new(),
        sent_approvals: Vec::new(),
    };
    mouth.welcome(ingested).await?;
    mouth.rules(true).await?;
    mouth.acts().await?;
    mouth.approvals().await?;
    loop {
        let event = tokio::select! {
            answer = answers.recv() => answer.map_or(Event::Over, Event::Answer),
            () = hints.concerned(plane.organization, machine) => Event::Hint,
            _ = ticks.tick() => Event::Tick,
        };
        match event {
            Event::Answer(answer) => mouth.say(answer).await?,
            Event::Hint => {
                mouth.look().await?;
                mouth.operator_key().await?;
            }
            Event::Tick => {
                mouth.look().await?;
                if heard.elapsed() >= HEARD_EVERY {
                    heard = Instant::now();
                    plane.store.heard(plane.organization, machine).await?;
                    mouth.operator_key().await?;
                }
            }
            Event::Over => return Ok(()),
        }
    }
}

struct Mouth<'a> {
    plane: &'a Plane,
    machine: MachineId,
    stream: OwnedWriteHalf,
    /// The rules it was sent.
    position: Position,
    /// The operator key it was told of.
    key: Option<OperatorKey>,
    /// The acts it was sent on this connection, and whether as withdrawn.
    sent: HashSet<(ActId, bool)>,
    /// The approvals it was sent on this connection, each with what it says: another may follow for the same hold.
    sent_approvals: Vec<(HoldId, Vec<u8>)>,
}

impl Mouth<'_> {
    async fn say(&mut self, message: down::Message) -> Result<(), Ended> {
        let frame = frame::encode(&v1::Down { message: Some(message) })?;
        let written = timeout(WRITE_WITHIN, self.stream.write_all(&frame)).await;
        Ok(written.map_err(|_| Ended::Stuck)??)
    }

    async fn welcome(&mut self, sightings_stored: u64) -> Result<(), Ended> {
        let v1::OperatorKey { key, changes } = self.key_of_now().await?;
        let welcome = v1::Welcome {
            organization: self.plane.organization.0.as_bytes().to_vec(),
            server_time: self.plane.clock.now().ticks(),
            heartbeat_seconds: HEARTBEAT_SECONDS,
            sightings_stored,
            operator_key: key,
            operator_key_changes: changes,
        };
        self.say(down::Message::Welcome(welcome)).await
    }

    async fn key_of_now(&mut self) -> Result<v1::OperatorKey, Ended> {
        let Plane { store, organization, .. } = self.plane;
        let changes = store.operator_key_changes(*organization).await?;
        // The last of them leads to it, whatever comes between two looks.
        self.key = match changes.last() {
            Some(last) => Some(last.to),
            None => store.operator_key(*organization).await?,
        };
        Ok(v1::OperatorKey {
            key: self.key.map(|key| key.to_vec()).unwrap_or_default(),
            changes: changes.iter().map(Into::into).collect(),
        })
    }

    /// Tells the operator key if it is another one by now: before the approvals that it has signed.
    async fn operator_key(&mut self) -> Result<(), Ended> {
        if self.plane.store.operator_key(self.plane.organization).await? != self.key {
            let told = self.key_of_now().await?;
            self.say(down::Message::OperatorKey(told)).await?;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<(), Ended> {
        self.rules(false).await?;
        self.acts().await?;
        self.approvals().await
    }

    /// Sends each approval once; the machine answers, or asks on its next connection.
    async fn approvals(&mut self) -> Result<(), Ended> {
        let approvals = self.plane.store.approvals_for(self.plane.organization, self.machine).await?;
        self.sent_approvals.retain(|sent| approvals.contains(sent));
        for approval in approvals {
            if !self.sent_approvals.contains(&approval) {
                self.operator_key().await?;
                let message = holds::signed_approval_of_bytes(&approval.1)?;
                self.say(down::Message::Approval(message)).await?;
                self.sent_approvals.push(approval);
            }
        }
        Ok(())
    }

    /// Sends what changed; `even_nothing` tells a machine that is up to date that it is.
    async fn rules(&mut self, even_nothing: bool) -> Result<(), Ended> {
        let Plane { store, organization, .. } = self.plane;
        let delta = store.rules_since(*organization, self.machine, self.position).await?;
        if delta.is_empty() && !even_nothing {
            return Ok(());
        }
        let to = delta.position();
        for part in speak::rules(&delta) {
            self.say(down::Message::Rules(part)).await?;
        }
        self.position = to;
        Ok(())
    }

    /// Sends each act once, and once more when it is withdrawn; none whose rules the machine was not sent before.
    async fn acts(&mut self) -> Result<(), Ended> {
        let Plane { store, organization, .. } = self.plane;
        let open = store.acts_for(*organization, self.machine).await?;
        self.sent.retain(|(sent, _)| open.iter().any(|open| open.act.id == *sent));
        let ready: Vec<_> = open.into_iter().filter(|open| self.is_to_be_sent(open)).collect();
        let fresh: Vec<_> = ready.iter().filter(|open| !open.is_handed).map(|open| open.act.id).collect();
        // Durable before the machine may begin: from then on a cancel asks the machine.
        let fresh = if fresh.is_empty() { fresh } else { store.hand_out(*organization, fresh).await? };
        for OpenAct { act, is_handed, is_cancelled } in ready {
            if is_handed || fresh.contains(&act.id) {
                self.sent.insert((act.id, is_cancelled));
                let told = v1::Act { cancelled: is_cancelled, ..(&act).into() };
                self.say(down::Message::Act(told)).await?;
            }
        }
        Ok(())
    }

    fn is_to_be_sent(&self, open: &OpenAct) -> bool {
        let after = open.act.after;
        let rules_sent = after.epoch != self.position.epoch || after <= self.position;
        rules_sent && !self.sent.contains(&(open.act.id, open.is_cancelled))
    }
}
