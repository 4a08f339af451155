//! A core for tests of what needs all of it. What is on the disk is in one directory.

use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded, unbounded};
use model::{MachineId, OrganizationId};
use parking_lot::Mutex;

use super::{Core, Nudge, Parts};
use crate::brake::{Brake, Limits};
use crate::clock::SystemClock;
use crate::guard::client::Guard;
use crate::inventory::Inventory;
use crate::ledger::Ledger;
use crate::looking::Looker;
use crate::pending::Pending;
use crate::places::{Place, Places};
use crate::recorder::Recorder;
use crate::spared::SparedSet;
use crate::spool::Spool;
use crate::standing::Warden;
use crate::sweep::Errands;
use crate::vault::Vault;

/// The machine whose ledger it is.
pub(crate) const MACHINE: MachineId = MachineId([1; 20]);

/// A core whose ledger and all else are in `data_dir`, which guards the filesystem of `guarded`; with what the link would
/// hear. Its recorder runs as long as somebody notices.
pub(crate) fn core(data_dir: &Path, guarded: &Path, guard: Option<Guard>) -> (Arc<Core>, Receiver<Nudge>) {
    let clock = Arc::new(SystemClock);
    let ledger = Ledger::open(&data_dir.join("ledger"), MACHINE, OrganizationId::random()).unwrap();
    let places = Arc::new(Places::resolve(&crate::Watched::Paths(Vec::new()), &[]).unwrap());
    let mount = sys::mounts::containing(guarded).unwrap();
    places.set_for_test(vec![Place::here(mount, true)]);
    let inventory = Arc::new(Inventory::open(&data_dir.join("inventory.redb")).unwrap());
    inventory.set_seats(places.seats());
    let spool = Arc::new(Mutex::new(Spool::open(&data_dir.join("spool"), clock.clone()).unwrap()));
    let vault = Arc::new(Vault::open(data_dir, clock.clone()).unwrap());
    let (noticed, notices) = bounded(4096);
    let (nudges, nudged) = unbounded();
    let errands = Errands::default();
    let recorder = Recorder {
        inventory: inventory.clone(),
        spool: spool.clone(),
        origins: Arc::default(),
        nudges: nudges.clone(),
        errands: errands.clone(),
        lost: None,
    };
    std::thread::spawn(move || recorder.run(&notices));
    let core = Core::new(Parts {
        machine: MACHINE,
        clock,
        ledger,
        spared: SparedSet::default(),
        spool,
        inventory: inventory.clone(),
        vault: vault.clone(),
        guard,
        places,
        guards_everywhere: false,
        warden: Warden::default(),
        brake: Brake::new(Limits::DEFAULT, inventory.clone(), bounded(1).0),
        pending: Pending::default(),
        errands,
        looker: Looker {
            inventory,
            noticed,
            vouched: vault.vouched().clone(),
            large: None,
            read: Arc::default(),
            gathered: None,
        },
        nudges,
    });
    core.progress.guarded_complete.store(true, std::sync::atomic::Ordering::Relaxed);
    (Arc::new(core), nudged)
}

/// Whether these tests may mount; says so if not.
pub(crate) fn is_private() -> bool {
    let is_private = std::env::var_os("QUELL_PRIVATE_NAMESPACE").is_some_and(|value| value == "1");
    if !is_private {
        eprintln!("not run: needs a private mount namespace");
    }
    is_private
}

/// A small filesystem in memory that can be filled.
pub(crate) struct Room(tempfile::TempDir);

impl Room {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        sys::mounts::mount_tmpfs(dir.path(), 32 << 20).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.0.path().canonicalize().unwrap()
    }

    /// Takes all of it, and what is left of the ledger's last page.
    pub(crate) fn fill(&self, core: &Core) {
        let mut filler = std::fs::File::create(self.path().join("filler")).unwrap();
        let piece = vec![1; 64 << 10];
        while std::io::Write::write_all(&mut filler, &piece).is_ok() {}
        for length in [1000, 100, 10, 1] {
            while core.ledger.lock().bypass_stored(vec![0; length]).is_ok() {}
        }
    }

    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = sys::mounts::unmount_lazily(self.0.path());
    }
}
