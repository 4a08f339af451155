//! A store with one machine in it, and a clock that tests own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use model::facts::{Facts, FileType};
use model::log::Position;
use model::sighting::{Seen, Sighting};
use model::spared::{Record, Spared};
use model::{Clock, Digests, FileId, Generation, MachineId, Md5, Sha1, Sha256, Time};
use server::store::{Attach, Caller, Home, Report, RuleDelta, Store, StoreError};
use tempfile::TempDir;

/// Time stands still until a test moves it.
#[derive(Debug)]
pub(crate) struct StillClock(AtomicI64);

impl Clock for StillClock {
    fn now(&self) -> Time {
        Time::from_ticks(self.0.load(Ordering::SeqCst))
    }
}

type Open = fn(&Path, Arc<dyn Clock>) -> Result<Store, StoreError>;

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) home: Home,
    pub(crate) clock: Arc<StillClock>,
    pub(crate) directory: TempDir,
    open: Open,
}

impl World {
    pub(crate) async fn new(open: Open) -> Self {
        let directory = TempDir::new().unwrap();
        let start = Time::from_seconds(1_750_000_000);
        let clock = Arc::new(StillClock(AtomicI64::new(start.ticks())));
        let store = open(directory.path(), clock.clone()).unwrap();
        let home = store.home("alpha").await.unwrap();
        Self { store, home, clock, directory, open }
    }

    /// Closes the store and opens it again.
    pub(crate) fn restarted(self) -> Self {
        let Self { store, home, clock, directory, open } = self;
        drop(store);
        let store = open(directory.path(), clock.clone()).unwrap();
        Self { store, home, clock, directory, open }
    }

    pub(crate) fn later(&self, span: Duration) -> Time {
        self.clock.0.fetch_add(Time::default().after(span).ticks(), Ordering::SeqCst);
        self.clock.now()
    }

    pub(crate) fn caller(&self) -> Caller {
        let name = "tests".to_owned();
        Caller { organization: self.home.organization, name, from: "127.0.0.1".to_owned(), confirms: false }
    }

    pub(crate) fn hello(&self, position: Position) -> Attach {
        Attach {
            organization: self.home.organization,
            machine: self.home.machine,
            host_name: "alpha".to_owned(),
            os_platform: "Linux".to_owned(),
            os_version: "Debian 13".to_owned(),
            kernel: "6.12".to_owned(),
            architecture: "x86_64".to_owned(),
            agent_version: "0.1.0".to_owned(),
            addresses: vec!["10.0.0.1".to_owned(), "::1".to_owned()],
            position,
        }
    }

    /// The machine guards `/demo` and has looked at everything.
    pub(crate) async fn guarding(&self) {
        self.report("deny", &["/demo"], true).await;
    }

    pub(crate) async fn report(&self, level: &str, guarded: &[&str], first_sweep_complete: bool) {
        let guarded = guarded.iter().map(Into::into).collect();
        let (guard_level, operator_key) = (level.to_owned(), String::new());
        let report = Report { guard_level, guarded, first_sweep_complete, operator_key };
        self.store.report(self.home.organization, self.home.machine, report).await.unwrap();
    }

    /// The machine says that the n-th file lies there, where another one belongs that is spared.
    pub(crate) async fn strange(&self, number: u8, path: &str) {
        let recorded_by = Record::Package("some".to_owned());
        let strange = vec![Spared { path: path.into(), digests: file(number), recorded_by }];
        let Home { organization, machine, .. } = self.home;
        self.store.spared(organization, machine, Vec::new(), strange).await.unwrap();
    }

    pub(crate) async fn saw(&self, sequence: u64, sightings: Vec<Sighting>) {
        let Home { organization, machine, .. } = self.home;
        self.store.record_sightings(organization, machine, sequence, sightings).await.unwrap();
    }

    /// Another machine of the organization.
    pub(crate) async fn neighbour(&self, number: u8) -> MachineId {
        let machine = MachineId([number; 20]);
        self.store.enroll(self.home.organization, machine, &format!("beta-{number}")).await.unwrap();
        machine
    }

    pub(crate) fn at(&self, generation: u64) -> Position {
        Position { epoch: self.home.epoch, generation: Generation(generation) }
    }

    pub(crate) async fn since(&self, from: Position) -> RuleDelta {
        self.store.rules_since(self.home.organization, self.home.machine, from).await.unwrap()
    }

    pub(crate) async fn head(&self) -> Position {
        self.since(self.at(0)).await.position()
    }

    /// The machine takes everything there is.
    pub(crate) async fn adopt(&self) {
        let head = self.head().await;
        self.store.adopted(self.home.organization, self.home.machine, head).await.unwrap();
    }
}

/// A file of its own for each number.
pub(crate) fn file(number: u8) -> Digests {
    Digests { sha256: Sha256([number; 32]), sha1: Sha1([number; 20]), md5: Md5([number; 16]) }
}

pub(crate) fn sha1(number: u8) -> FileId {
    FileId::Sha1(file(number).sha1)
}

pub(crate) fn sha256(number: u8) -> FileId {
    FileId::Sha256(file(number).sha256)
}

pub(crate) fn sighting(number: u8, path: &str, seen: Seen) -> Sighting {
    Sighting {
        digests: file(number),
        facts: Facts { size: 42, file_type: FileType::Elf, subtype: Some("Program".to_owned()) },
        path: path.into(),
        seen,
        age: Duration::ZERO,
    }
}
