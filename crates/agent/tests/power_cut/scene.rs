//! One act on recorded disks, from the order to the result, as often as it is begun.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent::acts::{Grounds, Guarded, Moment, quarantine, restore};
use agent::ledger::Ledger;
use agent::vault::{Step, Vault};
use model::act::{Act, CopyState, Do, Outcome};
use model::log::Position;
use model::{ActId, FileId, MachineId, OrderId, OrganizationId, Time};

use crate::arena::{Image, Standing, digests_of, image_of, names_in};
use crate::disk::{Disks, On};

/// How copies get into the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Renaming,
    /// The root of the guarded filesystem is somebody else's.
    Copying,
}

/// What is recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) way: Way,
    pub(crate) is_restore: bool,
    /// Ledger and journal are on another disk than the guarded files.
    pub(crate) is_apart: bool,
    /// Nobody has made the copy durable when the act begins.
    pub(crate) is_fresh: bool,
}

impl Case {
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for way in [Way::Renaming, Way::Copying] {
            for is_apart in [false, true] {
                for (is_restore, is_fresh) in [(false, false), (false, true), (true, false)] {
                    all.push(Self { way, is_restore, is_apart, is_fresh });
                }
            }
        }
        all
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let act = if self.is_restore { "restore" } else { "quarantine" };
        let fresh = if self.is_fresh { ", not yet durable" } else { "" };
        let disks = if self.is_apart { "two disks" } else { "one disk" };
        write!(f, "{act} by {:?}, {disks}{fresh}", self.way)
    }
}

/// What was told to be durable, and after how many writes and flushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// The server may be told that the act was taken.
    Taken,
    /// The vault's journal knows of a copy.
    Known,
    /// The act has a result.
    Ended,
}

pub(crate) struct Scene {
    pub(crate) case: Case,
    pub(crate) disks: Disks,
    guarded: PathBuf,
    data_dir: PathBuf,
    paths: Vec<PathBuf>,
    before: Image,
    act: Act,
    pub(crate) promises: Vec<(Promise, usize)>,
    _dir: tempfile::TempDir,
}

/// Where a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    InPlace,
    InVault,
}

impl Scene {
    /// The filesystems with two names of one file on them, and all that comes before the act. Mounted.
    pub(crate) fn set(on: On, case: Case) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (guarded, apart) = (root.join("guarded"), root.join("apart"));
        let mut points = vec![guarded.clone()];
        if case.is_apart {
            points.push(apart.clone());
        }
        points.iter().for_each(|point| fs::create_dir(point).unwrap());
        let disks = Disks::new(&root, on, &points);
        let data_dir = if case.is_apart { apart.join("data") } else { guarded.join("data") };
        let before = Image::rich(b"#!/bin/sh\n# evil\n".repeat(700).as_slice());
        let paths = ["one", "two"].map(|name| guarded.join("dir").join(name)).to_vec();
        let file = FileId::Sha256(digests_of(&before.bytes).sha256);
        let order = OrderId::random();
        let what = if case.is_restore { Do::Restore(order) } else { Do::Quarantine(file) };
        let act = act(OrderId::random(), what);
        let mut scene =
            Self { case, disks, guarded, data_dir, paths, before, act, promises: Vec::new(), _dir: dir };
        scene.disks.mount();
        fs::create_dir(&scene.data_dir).unwrap();
        fs::create_dir(scene.guarded.join("dir")).unwrap();
        if case.way == Way::Copying {
            chown(&scene.guarded, Some(1001), None).unwrap();
        }
        let mut ledger = scene.ledger();
        let grounds = scene.grounds();
        sync(&scene.guarded);
        scene.before.create(&scene.paths[0]);
        fs::hard_link(&scene.paths[0], &scene.paths[1]).unwrap();
        if !case.is_fresh {
            sync(&scene.guarded);
        }
        if case.is_restore {
            let earlier = self::act(order, Do::Quarantine(file));
            ledger.take(earlier.clone()).unwrap();
            scene.perform(&grounds, &mut ledger, &earlier, &mut |_| {});
            ledger.outcome_stored(earlier.id).unwrap();
        }
        drop((ledger, grounds));
        scene
    }

    /// Takes the act and does it, and says what is promised from when on.
    pub(crate) fn record(&mut self) {
        self.disks.record();
        let (mut ledger, grounds, act) = (self.ledger(), self.grounds(), self.act.clone());
        ledger.take(act.clone()).unwrap();
        let mut promises = vec![(Promise::Taken, self.disks.length())];
        let disks = std::cell::RefCell::new(&mut self.disks);
        let outcome = perform(&grounds, &mut ledger, &act, &self.paths, &mut |moment| {
            if let Moment::Vault(Step::Intended | Step::RestoreIntended) = moment {
                promises.push((Promise::Known, disks.borrow_mut().length()));
            }
        });
        promises.push((Promise::Ended, self.disks.length()));
        self.promises = promises;
        self.check_outcome(&outcome);
        drop((ledger, grounds));
        self.disks.unmount();
    }

    /// What a machine does that starts on these disks, and what must be so. `length` is where the record was cut.
    pub(crate) fn recover(&mut self, length: usize) {
        let promised = |promise| self.promises.iter().any(|(what, from)| *what == promise && *from <= length);
        let (is_taken, is_known, is_ended) =
            (promised(Promise::Taken), promised(Promise::Known), promised(Promise::Ended));
        let (mut ledger, grounds) = (self.ledger(), self.grounds());
        // A file that nobody made durable may be lost as long as nobody was promised anything of it.
        let may_be_gone = self.case.is_fresh && !is_known;
        let found = self.whereabouts(&grounds.vault, may_be_gone);
        let meant = if self.case.is_restore { Where::InPlace } else { Where::InVault };
        if is_ended {
            assert!(ledger.unfinished().is_empty(), "it is not done again");
            assert!(found.iter().all(|at| *at == Some(meant)), "what was told is so: {found:?}");
        }
        let is_here = ledger.unfinished().iter().any(|act| act.id == self.act.id)
            || ledger.unsent().iter().any(|outcome| outcome.act == self.act.id);
        assert!(is_here || !is_taken, "an act that was taken is remembered");
        if found.contains(&None) {
            return;
        }
        // The server hands out again what was not acknowledged.
        ledger.take(self.act.clone()).unwrap();
        for act in ledger.unfinished() {
            self.perform(&grounds, &mut ledger, &act, &mut |_| {});
        }
        let outcomes = ledger.unsent();
        assert_eq!(outcomes.len(), 1, "one act, one result");
        self.check_outcome(&outcomes[0]);
        drop((ledger, grounds));
        // And it stays so.
        let vault = self.vault();
        let found = self.whereabouts(&vault, false);
        assert!(found.iter().all(|at| *at == Some(meant)), "{found:?}");
        assert!(self.ledger().unfinished().is_empty());
    }

    /// Each copy is in place as it was, or whole in the vault; nothing else lies about.
    fn whereabouts(&self, vault: &Vault, may_be_gone: bool) -> Vec<Option<Where>> {
        let resting = vault.list();
        let all = self.paths.iter().map(|path| {
            let rests: Vec<_> = resting.iter().filter(|resting| resting.path == *path).collect();
            match (Image::of(path), rests.as_slice()) {
                (Ok(image), []) if image == self.before => Some(Where::InPlace),
                (Err(_), [resting]) => {
                    assert_eq!(image_of(resting), self.before, "whole in the vault");
                    Some(Where::InVault)
                }
                (_, []) if may_be_gone => None,
                (image, rests) => panic!("{}: {image:?} and {rests:?}", path.display()),
            }
        });
        let all = all.collect();
        for (is_renamed, dir) in [(true, self.guarded.join(".quell-vault")), (false, self.data_dir.join("vault"))] {
            let names = if dir.exists() { names_in(&dir) } else { Vec::new() };
            let known = resting.iter().filter(|resting| resting.renamed == is_renamed);
            let mut known: Vec<_> = known.map(|r| r.rests_at.file_name().unwrap().to_owned()).collect();
            known.sort();
            assert_eq!(names, known, "all that lies in {} is known", dir.display());
        }
        let others = names_in(&self.guarded.join("dir"));
        let is_meant = |name: &&std::ffi::OsString| self.paths.iter().any(|path| path.file_name() == Some(name.as_os_str()));
        assert!(others.iter().all(|name| is_meant(&name)), "nothing else lies about: {others:?}");
        all
    }

    fn check_outcome(&self, outcome: &Outcome) {
        let mut paths: Vec<&Path> = outcome.copies.iter().map(|copy| copy.path.as_path()).collect();
        paths.sort();
        assert_eq!(paths, self.paths, "each copy once: {outcome:?}");
        assert!(outcome.copies.iter().all(|copy| copy.state == CopyState::Succeeded), "{outcome:?}");
        assert_eq!(outcome.failure, None);
    }

    fn perform(
        &self,
        grounds: &Grounds,
        ledger: &mut Ledger,
        act: &Act,
        step: &mut dyn FnMut(Moment),
    ) -> Outcome {
        perform(grounds, ledger, act, &self.paths, step)
    }

    fn vault(&self) -> Vault {
        Vault::open(&self.data_dir, Arc::new(Standing)).unwrap()
    }

    fn ledger(&self) -> Ledger {
        let organization = OrganizationId(uuid::Uuid::nil());
        Ledger::open(&self.data_dir.join("ledger"), MachineId([1; 20]), organization).unwrap()
    }

    fn grounds(&self) -> Grounds {
        let device = fs::metadata(&self.guarded).unwrap().dev();
        Grounds {
            guarded: vec![Guarded { device, mount: self.guarded.clone(), volatile: false }],
            vault: Arc::new(self.vault()),
            spared: Arc::new(|_, _| None),
            everywhere: false,
            own_pids: Vec::new(),
            own_program: None,
        }
    }
}

/// In the order of `perform` in the agent.
fn perform(
    grounds: &Grounds,
    ledger: &mut Ledger,
    act: &Act,
    known: &[PathBuf],
    step: &mut dyn FnMut(Moment),
) -> Outcome {
    ledger.begin(act.id).unwrap();
    let outcome = match act.what {
        Do::Quarantine(file) => quarantine(grounds, act, file, known.to_vec(), step),
        Do::Restore(of) => restore(grounds, act, of, step),
    };
    ledger.ended(outcome.clone()).unwrap();
    outcome
}

fn act(order: OrderId, what: Do) -> Act {
    Act {
        id: ActId::random(),
        order,
        machine: MachineId([1; 20]),
        what,
        after: Position::default(),
        deadline: Time::from_ticks(i64::MAX),
    }
}

fn sync(point: &Path) {
    rustix::fs::syncfs(File::open(point).unwrap()).unwrap();
}
