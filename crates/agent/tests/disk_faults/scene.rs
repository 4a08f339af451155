//! One act on recorded disks, from the order to the result, as often as it is begun.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent::acts::{Grounds, Guarded, Moment, quarantine, restore};
use agent::ledger::Ledger;
use agent::vault::{Step, Vault};
use model::act::{Act, CopyResult, CopyState, Do, Outcome};
use model::{ActId, FileId, MachineId, OrderId, OrganizationId};

use crate::arena::{Image, KEEP, Standing, digests_of, image_of, names_in};
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

/// What others were told, and rely upon.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// The act was taken.
    pub(crate) is_taken: bool,
    /// The vault's journal knows of a copy.
    pub(crate) is_known: bool,
    /// How the act ended.
    pub(crate) outcome: Option<Outcome>,
}

pub(crate) struct Scene {
    pub(crate) case: Case,
    pub(crate) disks: Disks,
    pub(crate) guarded: PathBuf,
    pub(crate) data_dir: PathBuf,
    paths: Vec<PathBuf>,
    before: Image,
    act: Act,
    /// What was told from when on, in writes and flushes.
    told: Vec<(usize, Told)>,
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
        let what = if case.is_restore { Do::Restore(order, KEEP) } else { Do::Quarantine(file) };
        let act = crate::arena::act(what);
        let mut scene =
            Self { case, disks, guarded, data_dir, paths, before, act, told: Vec::new(), _dir: dir };
        scene.disks.mount().unwrap();
        fs::create_dir(&scene.data_dir).unwrap();
        fs::create_dir(scene.guarded.join("dir")).unwrap();
        if case.way == Way::Copying {
            chown(&scene.guarded, Some(1001), None).unwrap();
        }
        let mut ledger = scene.ledger();
        let grounds = scene.grounds();
        sync(&scene.guarded);
        scene.before.create(&scene.paths[0]);
        // xfs shows an ACL under a second name.
        scene.before = Image::of(&scene.paths[0]).unwrap();
        fs::hard_link(&scene.paths[0], &scene.paths[1]).unwrap();
        if !case.is_fresh {
            sync(&scene.guarded);
        }
        if case.is_restore {
            let earlier = Act { order, ..crate::arena::act(Do::Quarantine(file)) };
            ledger.take(earlier.clone()).unwrap();
            perform(&grounds, &mut ledger, &earlier, &scene.paths, &mut |_| {}).unwrap();
            ledger.outcome_stored(earlier.id).unwrap();
        }
        drop((ledger, grounds));
        scene
    }

    /// Takes the act and does it, while the disks remember.
    pub(crate) fn record(&mut self) {
        self.disks.record();
        let (mut ledger, grounds) = (self.ledger(), self.grounds());
        let Self { disks, act, paths, .. } = self;
        let mut told = vec![(0, Told::default())];
        ledger.take(act.clone()).unwrap();
        told.push((disks.length(), Told { is_taken: true, ..Told::default() }));
        let outcome = perform(&grounds, &mut ledger, act, paths, &mut |moment| {
            if let Moment::Vault(Step::Intended | Step::RestoreIntended) = moment {
                told.push((disks.length(), Told { is_taken: true, is_known: true, outcome: None }));
            }
        });
        let outcome = outcome.unwrap();
        told.push((disks.length(), Told { is_taken: true, is_known: true, outcome: Some(outcome.clone()) }));
        self.told = told;
        self.check_success(&outcome);
        drop((ledger, grounds));
        self.disks.unmount();
    }

    /// How many writes and flushes there were when the act had its result.
    pub(crate) fn end(&self) -> usize {
        self.told.last().map_or(0, |(from, _)| *from)
    }

    /// What was told before the record was cut there.
    pub(crate) fn told(&self, length: usize) -> Told {
        let before = self.told.iter().rev().find(|(from, _)| *from <= length);
        before.map(|(_, told)| told.clone()).unwrap_or_default()
    }

    /// Does the act as far as the disks let it, and says what others were told of it.
    pub(crate) fn try_act(&self, step: &mut dyn FnMut(Moment)) -> Told {
        // Without its ledger or its vault the agent does not start, and says why.
        let (Ok(mut ledger), Ok(grounds)) = (self.open_ledger(), self.open_grounds()) else {
            return Told::default();
        };
        let mut told = Told { is_taken: ledger.take(self.act.clone()).is_ok(), ..Told::default() };
        if told.is_taken {
            let outcome = perform(&grounds, &mut ledger, &self.act, &self.paths, &mut |moment| {
                told.is_known |= matches!(moment, Moment::Vault(Step::Intended | Step::RestoreIntended));
                step(moment);
            });
            told.outcome = outcome.ok();
        }
        told
    }

    /// What a machine does that starts on these disks, and what must be so.
    pub(crate) fn recover(&self, told: &Told) {
        let (mut ledger, grounds) = (self.ledger(), self.grounds());
        // A file that nobody made durable may be lost as long as nobody was told anything of it.
        let found = self.whereabouts(&grounds.vault, self.case.is_fresh && !told.is_known);
        let is_unfinished = ledger.unfinished().iter().any(|act| act.id == self.act.id);
        let kept = ledger.unsent().into_iter().find(|outcome| outcome.act == self.act.id);
        assert!(is_unfinished || kept.is_some() || !told.is_taken, "an act that was taken is remembered");
        if let Some(outcome) = &told.outcome {
            assert_eq!(kept.as_ref(), Some(outcome), "a result is remembered, and the act not done again");
            let is_done = found.iter().all(|at| *at == Some(self.meant()));
            assert!(is_done || outcome.failure.is_some(), "what is not done is told: {outcome:?}");
            for (path, at) in self.paths.iter().zip(&found) {
                let succeeded = |copy: &&CopyResult| copy.path == *path && copy.state == CopyState::Succeeded;
                let is_told = outcome.copies.iter().any(|copy| succeeded(&copy));
                assert!(!is_told || *at == Some(self.meant()), "what was told of {} is so", path.display());
            }
        }
        if found.contains(&None) {
            return;
        }
        // The server hands out again what was not acknowledged.
        ledger.take(self.act.clone()).unwrap();
        for act in ledger.unfinished() {
            perform(&grounds, &mut ledger, &act, &self.paths, &mut |_| {}).unwrap();
        }
        let [outcome] = ledger.unsent().try_into().expect("one act, one result");
        let failed = |outcome: &Outcome| outcome.copies.iter().any(|copy| copy.state == CopyState::Failed);
        if failed(&outcome) {
            assert!(told.outcome.is_some(), "nothing fails any more: {outcome:?}");
            // Somebody orders it once more.
            let again = Act { id: ActId::random(), ..self.act.clone() };
            ledger.take(again.clone()).unwrap();
            let outcome = perform(&grounds, &mut ledger, &again, &self.paths, &mut |_| {}).unwrap();
            assert!(!failed(&outcome) && outcome.failure.is_none(), "{outcome:?}");
        } else {
            self.check_success(&outcome);
        }
        drop((ledger, grounds));
        // And it stays so.
        let found = self.whereabouts(&self.grounds().vault, false);
        assert!(found.iter().all(|at| *at == Some(self.meant())), "{found:?}");
        assert!(self.ledger().unfinished().is_empty());
    }

    /// Where copies are when the act has succeeded.
    fn meant(&self) -> Where {
        if self.case.is_restore { Where::InPlace } else { Where::InVault }
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
        for (is_renamed, dir) in
            [(true, self.guarded.join(".quell-vault")), (false, self.data_dir.join("vault"))]
        {
            let names = if dir.exists() { names_in(&dir) } else { Vec::new() };
            let known = resting.iter().filter(|resting| resting.renamed == is_renamed);
            let mut known: Vec<_> = known.map(|r| r.rests_at.file_name().unwrap().to_owned()).collect();
            known.sort();
            assert_eq!(names, known, "all that lies in {} is known", dir.display());
        }
        let others = names_in(&self.guarded.join("dir"));
        let is_meant = |name: &&std::ffi::OsString| {
            self.paths.iter().any(|path| path.file_name() == Some(name.as_os_str()))
        };
        assert!(others.iter().all(|name| is_meant(&name)), "nothing else lies about: {others:?}");
        all
    }

    fn check_success(&self, outcome: &Outcome) {
        let mut paths: Vec<&Path> = outcome.copies.iter().map(|copy| copy.path.as_path()).collect();
        paths.sort();
        assert_eq!(paths, self.paths, "each copy once: {outcome:?}");
        assert!(outcome.copies.iter().all(|copy| copy.state == CopyState::Succeeded), "{outcome:?}");
        assert_eq!(outcome.failure, None);
    }

    fn ledger(&self) -> Ledger {
        self.open_ledger().unwrap()
    }

    fn grounds(&self) -> Grounds {
        self.open_grounds().unwrap()
    }

    fn open_ledger(&self) -> anyhow::Result<Ledger> {
        let organization = OrganizationId(uuid::Uuid::nil());
        Ledger::open(&self.data_dir.join("ledger"), MachineId([1; 20]), organization)
    }

    fn open_grounds(&self) -> anyhow::Result<Grounds> {
        let device = fs::metadata(&self.guarded)?.dev();
        Ok(Grounds {
            guarded: vec![Guarded { device, mount: self.guarded.clone(), volatile: false }],
            vault: Arc::new(Vault::open(&self.data_dir, Arc::new(Standing))?),
            spared: Arc::new(|_, _| None),
            everywhere: false,
            own_pids: Vec::new(),
            own_program: None,
        })
    }
}

/// In the order of `perform` in the agent.
fn perform(
    grounds: &Grounds,
    ledger: &mut Ledger,
    act: &Act,
    known: &[PathBuf],
    step: &mut dyn FnMut(Moment),
) -> io::Result<Outcome> {
    ledger.begin(act.id)?;
    let outcome = match act.what {
        Do::Quarantine(file) => quarantine(grounds, act, file, known.to_vec(), step),
        Do::Restore(of, terms) => restore(grounds, act, of, terms, step),
        Do::Collect(_) => unreachable!("nothing is collected here"),
    };
    ledger.ended(outcome.clone())?;
    Ok(outcome)
}

fn sync(point: &Path) {
    rustix::fs::syncfs(File::open(point).unwrap()).unwrap();
}
