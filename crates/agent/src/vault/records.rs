//! What the vault knows: each copy and its stage, as the journal tells them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use anyhow::Context;
use model::VaultId;
use wire::link::acts::vault_id;
use wire::link::v1::VaultRecord;
use wire::link::v1::vault_record::Record;

use super::resting::Resting;
use crate::journal::Journal;

/// How far a copy is on its way in or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It may have been moved, or copied.
    Intended,
    /// It was copied and the copy was read back; the original may still be there.
    Copied,
    /// It rests.
    Rests,
    /// It may have been brought back.
    Returning,
    /// It is home.
    Restored,
}

/// One copy.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) resting: Resting,
    pub(super) stage: Stage,
}

/// All copies, and the file that remembers them.
#[derive(Debug)]
pub(super) struct Records {
    journal: Journal<VaultRecord>,
    entries: BTreeMap<VaultId, Entry>,
    /// How many records the file has.
    length: usize,
}

/// Restored copies that are remembered, so that an act repeated after a crash can still report them and a
/// hard link finds its fellow.
const REMEMBERED: usize = 256;
/// Dead records that are not worth a new file.
const SLACK: usize = 64;

impl Records {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let (journal, records) =
            Journal::open(path).with_context(|| format!("opening {}", path.display()))?;
        let length = records.len();
        let mut entries = BTreeMap::new();
        for record in records {
            replay(&mut entries, record).with_context(|| format!("reading {}", path.display()))?;
        }
        Ok(Self { journal, entries, length })
    }

    pub(super) fn entry(&self, id: VaultId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// All of them, in the order in which they were taken.
    pub(super) fn all(&self) -> Vec<Entry> {
        let mut all: Vec<_> = self.entries.values().cloned().collect();
        all.sort_by_key(|entry| (entry.resting.quarantined, entry.resting.id));
        all
    }

    pub(super) fn at(&self, stage: Stage) -> impl Iterator<Item = &Resting> {
        self.entries.values().filter(move |entry| entry.stage == stage).map(|entry| &entry.resting)
    }

    /// Durable when this returns.
    pub(super) fn intend(&mut self, resting: Resting) -> io::Result<()> {
        self.append(Record::Intent((&resting).into()))?;
        self.entries.insert(resting.id, Entry { resting, stage: Stage::Intended });
        Ok(())
    }

    /// Durable when this returns.
    pub(super) fn advance(&mut self, id: VaultId, stage: Stage) -> io::Result<()> {
        let Some(entry) = self.entries.get(&id) else { return Ok(()) };
        let bytes = id.0.as_bytes().to_vec();
        let record = match (entry.stage, stage) {
            (Stage::Returning, Stage::Rests) => Record::RestoreGivenUp(bytes),
            (_, Stage::Rests) => Record::Done(bytes),
            (_, Stage::Copied) => Record::Copied(bytes),
            (_, Stage::Returning) => Record::RestoreIntent(wire::link::v1::RestoreIntent {
                id: bytes,
                path: wire::link::things::bytes_of(&entry.resting.path),
            }),
            (_, Stage::Restored) => Record::Restored(bytes),
            (_, Stage::Intended) => return Ok(()),
        };
        self.append(record)?;
        self.assume(id, stage);
        Ok(())
    }

    /// The stage without a record of it: for what has happened when the journal can't be written. Recovery
    /// finds the same by looking at what is there.
    pub(super) fn assume(&mut self, id: VaultId, stage: Stage) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.stage = stage;
        }
    }

    /// Forgets a copy that was not taken after all. Not being able to say so is no harm: recovery will find
    /// the copy in place and say it then.
    pub(super) fn give_up(&mut self, id: VaultId) {
        match self.append(Record::GivenUp(id.0.as_bytes().to_vec())) {
            Ok(()) => drop(self.entries.remove(&id)),
            Err(error) => tracing::warn!(%id, %error, "the vault's journal can't be written"),
        }
    }

    /// Rewrites the file when most of it is about copies that are no longer here.
    pub(super) fn compact(&mut self) -> io::Result<()> {
        let mut restored: Vec<_> = self.at(Stage::Restored).map(|r| (r.quarantined, r.id)).collect();
        restored.sort_unstable();
        let forgotten = restored.len().saturating_sub(REMEMBERED);
        let needed: usize = self.entries.len() * 2 - forgotten * 2;
        if self.length <= needed * 2 + SLACK {
            return Ok(());
        }
        for (_, id) in &restored[..forgotten] {
            self.entries.remove(id);
        }
        let records: Vec<_> = self.entries.values().flat_map(records_of).collect();
        let length = records.len();
        self.journal.rewrite(records)?;
        self.length = length;
        Ok(())
    }

    fn append(&mut self, record: Record) -> io::Result<()> {
        self.journal.append(&VaultRecord { record: Some(record) })?;
        self.length += 1;
        Ok(())
    }
}

/// What brings an entry to its stage.
fn records_of(entry: &Entry) -> Vec<VaultRecord> {
    let id = || entry.resting.id.0.as_bytes().to_vec();
    let path = || wire::link::things::bytes_of(&entry.resting.path);
    let mut records = vec![Record::Intent((&entry.resting).into())];
    match entry.stage {
        Stage::Intended => {}
        Stage::Copied => records.push(Record::Copied(id())),
        Stage::Rests => records.push(Record::Done(id())),
        Stage::Returning => {
            records.push(Record::Done(id()));
            records.push(Record::RestoreIntent(wire::link::v1::RestoreIntent { id: id(), path: path() }));
        }
        Stage::Restored => records.push(Record::Restored(id())),
    }
    records.into_iter().map(|record| VaultRecord { record: Some(record) }).collect()
}

fn replay(entries: &mut BTreeMap<VaultId, Entry>, record: VaultRecord) -> anyhow::Result<()> {
    let (id, stage) = match record.record.context("a record of a kind that this version does not know")? {
        Record::Intent(resting) => {
            let resting = Resting::try_from(&resting)?;
            entries.insert(resting.id, Entry { resting, stage: Stage::Intended });
            return Ok(());
        }
        Record::GivenUp(id) => {
            entries.remove(&vault_id(&id)?);
            return Ok(());
        }
        Record::Copied(id) => (id, Stage::Copied),
        Record::Done(id) | Record::RestoreGivenUp(id) => (id, Stage::Rests),
        Record::RestoreIntent(intent) => (intent.id, Stage::Returning),
        Record::Restored(id) => (id, Stage::Restored),
    };
    let entry = entries.get_mut(&vault_id(&id)?).context("a record of a copy that was never intended")?;
    entry.stage = stage;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::resting::tests::some;

    fn stages(path: &Path) -> Vec<(VaultId, Stage)> {
        Records::open(path).unwrap().all().iter().map(|entry| (entry.resting.id, entry.stage)).collect()
    }

    #[test]
    fn each_stage_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault.journal");
        let id = VaultId::random();
        let step = |what: &dyn Fn(&mut Records)| {
            what(&mut Records::open(&path).unwrap());
            stages(&path)
        };
        assert_eq!(step(&|r| r.intend(some(id)).unwrap()), [(id, Stage::Intended)]);
        for stage in
            [Stage::Copied, Stage::Rests, Stage::Returning, Stage::Rests, Stage::Returning, Stage::Restored]
        {
            assert_eq!(step(&|r| r.advance(id, stage).unwrap()), [(id, stage)]);
        }
        let other = VaultId::random();
        step(&|r| r.intend(some(other)).unwrap());
        assert_eq!(step(&|r| r.give_up(other)), [(id, Stage::Restored)]);
    }

    #[test]
    fn a_file_that_is_mostly_dead_is_rewritten_without_loss() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault.journal");
        let mut records = Records::open(&path).unwrap();
        let kept = VaultId::random();
        records.intend(some(kept)).unwrap();
        records.advance(kept, Stage::Rests).unwrap();
        records.advance(kept, Stage::Returning).unwrap();
        for _ in 0..100 {
            let id = VaultId::random();
            records.intend(some(id)).unwrap();
            records.give_up(id);
        }
        records.compact().unwrap();
        assert_eq!(records.length, 3);
        drop(records);
        assert_eq!(stages(&path), [(kept, Stage::Returning)]);
    }
}
