//! What the vault knows: each copy and its stage, as the journal tells them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use model::{Time, VaultId};
use wire::link::acts::vault_id;
use wire::link::things::{bytes_of, path_of};
use wire::link::v1::vault_record::Record;
use wire::link::v1::{RestoreIntent, VaultEnd, VaultRecord};

use super::metadata::Metadata;
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
    /// It may have been removed for good.
    Removing,
    /// It was.
    Removed,
}

/// Where a copy is brought back to, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) path: PathBuf,
    pub(super) keep_privileges: bool,
    /// Flags that its inode is to have, as in [`super::fixed`].
    pub(super) flags: u32,
}

/// How a copy ends that nobody restores: planned while it rests, done when it was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// When it may be removed, or was.
    pub at: Time,
    /// Why.
    pub why: String,
}

/// One copy.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) resting: Resting,
    pub(super) stage: Stage,
    /// The last one that was tried.
    pub(super) way: Option<Way>,
    pub(super) end: Option<End>,
}

impl Entry {
    fn new(resting: Resting) -> Self {
        Self { resting, stage: Stage::Intended, way: None, end: None }
    }

    /// What it carries where it came back, or is coming back.
    pub(super) fn carried_home(&self) -> Metadata {
        let metadata = self.resting.metadata.clone();
        if self.way.as_ref().is_none_or(|way| way.keep_privileges) {
            metadata
        } else {
            metadata.without_privileges()
        }
    }

    /// Where it is to be looked for at home.
    pub(super) fn home(&self) -> &Path {
        self.way.as_ref().map_or(&self.resting.path, |way| &way.path)
    }
}

/// All copies, and the file that remembers them.
#[derive(Debug)]
pub(super) struct Records {
    journal: Journal<VaultRecord>,
    entries: BTreeMap<VaultId, Entry>,
    /// How many records the file has.
    length: usize,
}

/// Copies restored or removed that are remembered, so that an act repeated after a crash can still report them and a
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

    /// Those that are home.
    pub(super) fn home(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(|entry| entry.stage == Stage::Restored)
    }

    pub(super) fn at(&self, stage: Stage) -> impl Iterator<Item = &Resting> {
        self.entries.values().filter(move |entry| entry.stage == stage).map(|entry| &entry.resting)
    }

    /// Durable when this returns.
    pub(super) fn intend(&mut self, resting: Resting) -> io::Result<()> {
        self.append(Record::Intent((&resting).into()))?;
        self.entries.insert(resting.id, Entry::new(resting));
        Ok(())
    }

    /// Durable when this returns.
    pub(super) fn advance(&mut self, id: VaultId, stage: Stage) -> io::Result<()> {
        let Some(entry) = self.entries.get(&id) else { return Ok(()) };
        let bytes = id.0.as_bytes().to_vec();
        let record = match (entry.stage, stage) {
            (Stage::Returning, Stage::Rests) => Record::RestoreGivenUp(bytes),
            // Nothing was removed.
            (Stage::Removing, Stage::Rests) => Record::Done(bytes),
            (_, Stage::Rests) => Record::Done(bytes),
            (_, Stage::Copied) => Record::Copied(bytes),
            (_, Stage::Restored) => Record::Restored(bytes),
            (_, Stage::Removed) => Record::Removed(bytes),
            (_, Stage::Intended | Stage::Returning | Stage::Removing) => return Ok(()),
        };
        self.append(record)?;
        self.assume(id, stage);
        Ok(())
    }

    /// It is about to be brought back. Durable when this returns.
    pub(super) fn send_home(&mut self, id: VaultId, way: Way) -> io::Result<()> {
        self.append(Record::RestoreIntent(intent(id, &way)))?;
        if let Some(entry) = self.entries.get_mut(&id) {
            (entry.stage, entry.way) = (Stage::Returning, Some(way));
        }
        Ok(())
    }

    /// It is to end so, or (none) after all not. Durable when this returns.
    pub(super) fn plan(&mut self, id: VaultId, end: Option<End>) -> io::Result<()> {
        self.append(match &end {
            Some(end) => Record::Condemned(ending(id, end)),
            None => Record::Pardoned(id.0.as_bytes().to_vec()),
        })?;
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.end = end;
        }
        Ok(())
    }

    /// It is about to be removed. Durable when this returns.
    pub(super) fn send_away(&mut self, id: VaultId, end: End) -> io::Result<()> {
        self.append(Record::Removing(ending(id, &end)))?;
        if let Some(entry) = self.entries.get_mut(&id) {
            (entry.stage, entry.end) = (Stage::Removing, Some(end));
        }
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
        let gone = self.at(Stage::Restored).chain(self.at(Stage::Removed));
        let mut restored: Vec<_> = gone.map(|r| (r.quarantined, r.id)).collect();
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
    let mut records = vec![Record::Intent((&entry.resting).into())];
    match entry.stage {
        Stage::Intended => {}
        Stage::Copied => records.push(Record::Copied(id())),
        _ => records.push(Record::Done(id())),
    }
    match (entry.stage, &entry.end) {
        (Stage::Removing | Stage::Removed, Some(end)) => {
            records.push(Record::Removing(ending(entry.resting.id, end)));
        }
        (Stage::Rests, Some(end)) => records.push(Record::Condemned(ending(entry.resting.id, end))),
        _ => {}
    }
    if let (Stage::Returning | Stage::Restored, Some(way)) = (entry.stage, &entry.way) {
        records.push(Record::RestoreIntent(intent(entry.resting.id, way)));
    }
    match entry.stage {
        Stage::Restored => records.push(Record::Restored(id())),
        Stage::Removed => records.push(Record::Removed(id())),
        _ => {}
    }
    records.into_iter().map(|record| VaultRecord { record: Some(record) }).collect()
}

fn intent(id: VaultId, way: &Way) -> RestoreIntent {
    RestoreIntent {
        id: id.0.as_bytes().to_vec(),
        path: bytes_of(&way.path),
        keep_privileges: way.keep_privileges,
        flags: way.flags,
    }
}

fn ending(id: VaultId, end: &End) -> VaultEnd {
    VaultEnd { id: id.0.as_bytes().to_vec(), at: end.at.ticks(), why: end.why.clone() }
}

fn replay(entries: &mut BTreeMap<VaultId, Entry>, record: VaultRecord) -> anyhow::Result<()> {
    let (id, stage) = match record.record.context("a record of a kind that this version does not know")? {
        Record::Intent(resting) => {
            let resting = Resting::try_from(&resting)?;
            entries.insert(resting.id, Entry::new(resting));
            return Ok(());
        }
        Record::GivenUp(id) => {
            entries.remove(&vault_id(&id)?);
            return Ok(());
        }
        Record::Copied(id) => (id, Stage::Copied),
        Record::Done(id) | Record::RestoreGivenUp(id) => (id, Stage::Rests),
        Record::RestoreIntent(intent) => {
            let (path, keep_privileges, flags) = (path_of(intent.path), intent.keep_privileges, intent.flags);
            known(entries, &intent.id)?.way = Some(Way { path, keep_privileges, flags });
            (intent.id, Stage::Returning)
        }
        Record::Restored(id) => (id, Stage::Restored),
        Record::Condemned(end) => {
            known(entries, &end.id)?.end = Some(End { at: Time::from_ticks(end.at), why: end.why });
            return Ok(());
        }
        Record::Pardoned(id) => {
            known(entries, &id)?.end = None;
            return Ok(());
        }
        Record::Removing(end) => {
            known(entries, &end.id)?.end = Some(End { at: Time::from_ticks(end.at), why: end.why });
            (end.id, Stage::Removing)
        }
        Record::Removed(id) => (id, Stage::Removed),
    };
    known(entries, &id)?.stage = stage;
    Ok(())
}

fn known<'e>(entries: &'e mut BTreeMap<VaultId, Entry>, id: &[u8]) -> anyhow::Result<&'e mut Entry> {
    entries.get_mut(&vault_id(id)?).context("a record of a copy that was never intended")
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
        for stage in [Stage::Copied, Stage::Rests] {
            assert_eq!(step(&|r| r.advance(id, stage).unwrap()), [(id, stage)]);
        }
        let way = Way { path: "/b/new\nline".into(), keep_privileges: true, flags: 0x10 };
        assert_eq!(step(&|r| r.send_home(id, way.clone()).unwrap()), [(id, Stage::Returning)]);
        assert_eq!(step(&|r| r.advance(id, Stage::Rests).unwrap()), [(id, Stage::Rests)]);
        assert_eq!(step(&|r| r.send_home(id, way.clone()).unwrap()), [(id, Stage::Returning)]);
        assert_eq!(step(&|r| r.advance(id, Stage::Restored).unwrap()), [(id, Stage::Restored)]);
        assert_eq!(Records::open(&path).unwrap().entry(id).unwrap().way, Some(way));
        let other = VaultId::random();
        step(&|r| r.intend(some(other)).unwrap());
        assert_eq!(step(&|r| r.give_up(other)), [(id, Stage::Restored)]);

        let ends = VaultId::random();
        let end = End { at: Time::from_ticks(9), why: "old".to_owned() };
        let entry_of_end = |path: &Path| Records::open(path).unwrap().entry(ends).unwrap().clone();
        step(&|r| r.intend(some(ends)).unwrap());
        step(&|r| r.advance(ends, Stage::Rests).unwrap());
        step(&|r| r.plan(ends, Some(end.clone())).unwrap());
        assert_eq!(entry_of_end(&path).end, Some(end.clone()));
        step(&|r| r.plan(ends, None).unwrap());
        assert_eq!(entry_of_end(&path).end, None);
        step(&|r| r.send_away(ends, end.clone()).unwrap());
        assert_eq!(entry_of_end(&path).stage, Stage::Removing);
        step(&|r| r.advance(ends, Stage::Removed).unwrap());
        let ended = entry_of_end(&path);
        assert_eq!((ended.stage, ended.end), (Stage::Removed, Some(end)));
    }

    #[test]
    fn a_file_that_is_mostly_dead_is_rewritten_without_loss() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault.journal");
        let mut records = Records::open(&path).unwrap();
        let kept = VaultId::random();
        records.intend(some(kept)).unwrap();
        records.advance(kept, Stage::Rests).unwrap();
        let way = Way { path: "/b".into(), keep_privileges: false, flags: 0 };
        records.send_home(kept, way).unwrap();
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
