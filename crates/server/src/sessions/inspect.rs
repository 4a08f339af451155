//! Which files a machine is asked to inspect, and what it says of them.
//!
//! The store knows what is due. What was asked for lives with the connection: when that is lost, it is asked for again.

use std::collections::HashMap;
use std::time::Duration;

use model::{MachineId, Sha256};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout};
use wire::link::v1::{self, down, inspected};
use wire::link::{Malformed, inspection};

use super::Plane;
use super::connection::{Ended, Guest};
use crate::store::StoreError;

/// Records that may wait for the store: all that were asked for. More are dropped.
pub(super) const RECORDS: usize = AT_ONCE;
/// So many files at a time a machine is asked about.
const AT_ONCE: usize = 16;
/// So many are looked up at a time.
const PAGE: u32 = 64;
/// So many times at a look.
const PAGES: usize = 64;
/// How often is looked without news; another machine may have given up a file.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// For so long a machine is not asked again about what it could not inspect, or did not answer.
const AGAIN: Duration = Duration::from_secs(600);
/// So many such files are remembered.
const MOST_PUT_OFF: usize = 4096;

/// Asks and takes in what is said until the connection ends. Where there are `fresh` files it looks anew.
pub(super) async fn run(
    plane: &Plane,
    guest: Guest,
    mut told: mpsc::Receiver<v1::Inspected>,
    fresh: &Notify,
    answers: mpsc::Sender<down::Message>,
) -> Result<(), Ended> {
    let (asked, put_off) = (HashMap::new(), HashMap::new());
    let mut asking = Asking { plane, guest, asked, put_off, after: Some(0) };
    loop {
        let wanted = asking.next().await?;
        if !wanted.is_empty() {
            let sha256 = wanted.iter().map(|file| file.0.to_vec()).collect();
            let wanted = down::Message::InspectionWanted(v1::InspectionWanted { sha256 });
            answers.send(wanted).await.map_err(|_| Ended::Gone)?;
        }
        let event = tokio::select! {
            told = told.recv() => match told {
                Some(told) => Some(told),
                None => return Ok(()),
            },
            _ = timeout(LOOK_EVERY, fresh.notified()) => None,
        };
        match event {
            Some(told) => asking.take(told).await?,
            // What comes before is looked at the next time.
            None => asking.after = asking.after.or(Some(0)),
        }
    }
}

struct Asking<'a> {
    plane: &'a Plane,
    guest: Guest,
    /// Since when.
    asked: HashMap<Sha256, Instant>,
    put_off: HashMap<Sha256, Instant>,
    /// How far the store was looked through; none when it was to the end.
    after: Option<u64>,
}

impl Asking<'_> {
    /// What to ask about next.
    async fn next(&mut self) -> Result<Vec<Sha256>, StoreError> {
        self.give_up();
        let mut wanted = Vec::new();
        if self.guest.inspects == 0 {
            return Ok(wanted);
        }
        let Plane { store, organization, .. } = self.plane;
        for _ in 0..PAGES {
            let Some(after) = self.after.filter(|_| !self.is_full()) else { break };
            let Guest { machine, inspects, .. } = self.guest;
            let due = store.uninspected(*organization, machine, inspects, after, PAGE).await?;
            self.after = if due.len() < PAGE as usize { None } else { due.last().map(|(place, _)| *place) };
            for (place, file) in due {
                if self.is_full() {
                    // This one is the first of the next look.
                    self.after = Some(place - 1);
                    break;
                }
                let Some(file) = file else { continue };
                if !self.put_off.contains_key(&file) && self.claim(file) {
                    self.asked.insert(file, Instant::now());
                    wanted.push(file);
                }
            }
        }
        Ok(wanted)
    }

    /// Whether nothing more is to be asked: it is busy, or so much went wrong there that no more of it can be remembered,
    /// and without that it would be asked again at once.
    fn is_full(&self) -> bool {
        self.asked.len() >= AT_ONCE || self.asked.len() + self.put_off.len() >= MOST_PUT_OFF
    }

    /// Whether no other machine is asked about it. The connection before this one may not have ended yet.
    fn claim(&self, file: Sha256) -> bool {
        let own = self.guest.machine;
        let is_new = !self.asked.contains_key(&file);
        is_new && *self.plane.inspecting().entry(file).or_insert(own) == own
    }

    /// What was asked long ago may be asked of others, and what was put off long ago of this machine again.
    fn give_up(&mut self) {
        let late: Vec<_> =
            self.asked.iter().filter(|(_, since)| since.elapsed() >= AGAIN).map(|(file, _)| *file).collect();
        late.into_iter().for_each(|file| self.put_off(file));
        self.put_off.retain(|_, since| since.elapsed() < AGAIN);
    }

    fn put_off(&mut self, file: Sha256) {
        self.answered(&file);
        self.put_off.insert(file, Instant::now());
    }

    fn answered(&mut self, file: &Sha256) {
        self.put_off.remove(file);
        if self.asked.remove(file).is_some() {
            self.plane.inspecting().remove(file);
        }
    }

    async fn take(&mut self, told: v1::Inspected) -> Result<(), Ended> {
        let machine = self.guest.machine;
        let file = Sha256::try_from(told.sha256.as_slice()).map_err(|_| Malformed("sha256"))?;
        // Of the connection before, or nobody's business. A late answer is one as well.
        if !self.asked.contains_key(&file) && !self.put_off.contains_key(&file) {
            return Ok(());
        }
        let record = match told.result.ok_or(Malformed("inspected"))? {
            inspected::Result::Record(bytes) => inspection::decode(&bytes),
            inspected::Result::Gone(_) => {
                self.put_off(file);
                let Plane { store, organization, .. } = self.plane;
                store.not_to_inspect(*organization, machine, file).await?;
                return Ok(());
            }
            inspected::Result::PutOff(why) => {
                tracing::debug!(%machine, %file, why, "inspection.put_off");
                self.put_off(file);
                return Ok(());
            }
        };
        match record {
            Ok(record) => self.record(machine, file, told.version, record).await,
            Err(why) => {
                tracing::warn!(%machine, %file, %why, "inspection.malformed");
                self.put_off(file);
                Ok(())
            }
        }
    }

    async fn record(
        &mut self,
        machine: MachineId,
        file: Sha256,
        version: u32,
        record: model::inspection::Inspection,
    ) -> Result<(), Ended> {
        let Plane { store, organization, .. } = self.plane;
        match store.inspected(*organization, machine, file, version, record).await {
            Ok(()) => {
                self.answered(&file);
                Ok(())
            }
            Err(StoreError::Refused(why)) => {
                tracing::warn!(%machine, %file, why, "inspection.refused");
                self.put_off(file);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut inspecting = self.plane.inspecting();
        for file in self.asked.keys() {
            inspecting.remove(file);
        }
    }
}
