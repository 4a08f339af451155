//! A filesystem of its own for each test, with a guard on it and on nothing else.
//!
//! A permission group that stalls on the root filesystem freezes the machine. So only what an [`Arena`] has
//! mounted is ever guarded, in a mount namespace nobody else sees.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use agent::filesystems::{Follower, Told};
use agent::guard::SparedInode;
use agent::guard::client::{Event, Guard, GuardStatus};
use agent::ruleset::RuleSet;
use crossbeam_channel::Receiver;
use model::rule::{Effect, Identifier, Rule, Scope};
use model::{Digests, RuleId};
use tempfile::TempDir;
use wire::link::v1::GuardCounters;

use crate::processes::Child;

// Other test programs use this file, too.
#[path = "fat.rs"]
mod fat;

/// How long any one wait may last.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough for a file to be no longer young, so that its digests are kept.
pub(crate) const SETTLED: Duration = Duration::from_millis(40);

pub(crate) const EPERM: i32 = 1;
pub(crate) const ETXTBSY: i32 = 26;

/// What the guarded filesystem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tmpfs,
    Ext4,
    /// Times move with the clock's ticks.
    Ext2,
    /// Times are kept in seconds.
    Ext4Seconds,
    /// Who owns a file sets its ctime.
    Vfat,
}

impl Kind {
    /// How the filesystem on a loop device is made.
    fn making(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Tmpfs | Self::Vfat => None,
            Self::Ext4 => Some(&["mkfs.ext4", "-q", "-F"]),
            Self::Ext2 => Some(&["mkfs.ext2", "-q", "-F"]),
            Self::Ext4Seconds => Some(&["mkfs.ext4", "-q", "-F", "-I", "128"]),
        }
    }
}

/// Empty filesystems, unmounted at the end, and where guard and agent keep their things.
pub(crate) struct Arena {
    grounds: Vec<PathBuf>,
    outside: TempDir,
    /// One test at a time: a child of another, forked while a file is open for writing here, would be a writer.
    _alone: MutexGuard<'static, ()>,
}

impl Arena {
    /// `None`, and a line that says so, when the test must not or cannot run here.
    pub(crate) fn enter(kind: Kind) -> Option<Self> {
        Self::enter_all(&[kind])
    }

    /// The same with several filesystems.
    pub(crate) fn enter_all(kinds: &[Kind]) -> Option<Self> {
        if std::env::var_os("QUELL_PRIVATE_NAMESPACE").is_none_or(|value| value != "1") {
            eprintln!("not run: needs a private mount namespace");
            return None;
        }
        let alone = alone();
        let outside = tempfile::tempdir().unwrap();
        let mut arena = Self { grounds: Vec::new(), outside, _alone: alone };
        for kind in kinds {
            if let Err(reason) = arena.mount(*kind) {
                eprintln!("not run: no {kind:?} here: {reason}");
                return None;
            }
        }
        Some(arena)
    }

    fn mount(&mut self, kind: Kind) -> Result<(), String> {
        let name = |what: &str| self.outside.path().join(format!("{what}-{}", self.grounds.len()));
        let (ground, image) = (name("ground"), name("image"));
        fs::create_dir(&ground).unwrap();
        if let Some(making) = kind.making() {
            File::create(&image)
                .and_then(|file| file.set_len(128 << 20))
                .map_err(|error| error.to_string())?;
            tell(Command::new(making[0]).args(&making[1..]).arg(&image))?;
            tell(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&ground))?;
        } else if kind == Kind::Vfat {
            fs::write(&image, fat::empty()).unwrap();
            tell(Command::new("mount").args(["-t", "vfat", "-o", "loop"]).arg(&image).arg(&ground))?;
        } else {
            sys::mounts::mount_tmpfs(&ground, 128 << 20).unwrap();
        }
        self.grounds.push(ground);
        assert_own(&self.grounds[self.grounds.len() - 1]);
        Ok(())
    }

    /// The first filesystem.
    pub(crate) fn ground(&self) -> &Path {
        &self.grounds[0]
    }

    pub(crate) fn grounds(&self) -> &[PathBuf] {
        &self.grounds
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.ground().join(name)
    }

    /// Where guard and agent meet; not guarded.
    pub(crate) fn data_dir(&self) -> &Path {
        self.outside.path()
    }

    /// A program that ends with status 0 at once; each `variant` has other bytes.
    pub(crate) fn program(&self, name: &str, variant: &str) -> PathBuf {
        self.copy("/bin/true", name, variant)
    }

    /// A copy of a program with something behind its end.
    pub(crate) fn copy(&self, program: &str, name: &str, variant: &str) -> PathBuf {
        let path = self.path(name);
        let bytes = [&fs::read(program).unwrap(), variant.as_bytes()].concat();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::metadata(program).unwrap().permissions()).unwrap();
        path
    }

    /// A guard of all that is mounted, and an agent that is this process.
    pub(crate) fn guarded(&self) -> Guarded {
        self.guarded_by(Child::guard_of(self.data_dir(), self.grounds()))
    }

    /// Brings filesystems that are mounted below the arena's directory from now on to the guard: nothing that was there
    /// before is ever marked, nor what others mount on this machine.
    pub(crate) fn follow(&self, guarded: &Guarded, hear: impl FnMut(Told) + Send + 'static) -> Follower {
        let dir = self.data_dir().to_owned();
        let before: BTreeSet<u64> =
            sys::mounts::current().unwrap().iter().map(|mount| mount.device).collect();
        let choose = move |mount: &sys::mounts::Mount| {
            mount.point.starts_with(&dir) && !before.contains(&mount.device)
        };
        Follower::start(Some(guarded.client.marks()), false, choose, hear).unwrap()
    }

    /// The same with another guard.
    pub(crate) fn guarded_by(&self, guard: Child) -> Guarded {
        sys::lease::ignore_break_signals().unwrap();
        let (sender, events) = crossbeam_channel::unbounded();
        let client = Guard::attach(Guard::socket(self.data_dir()), sender);
        let guarded = Guarded { process: guard, client, events };
        guarded.adopt([]);
        guarded
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for point in &self.grounds {
            let _ = sys::mounts::unmount_lazily(point);
        }
    }
}

/// A guarded filesystem.
pub(crate) struct Guarded {
    pub(crate) process: Child,
    pub(crate) client: Guard,
    pub(crate) events: Receiver<Event>,
}

impl Guarded {
    /// Denies these and nothing else.
    pub(crate) fn adopt(&self, rules: impl IntoIterator<Item = Rule>) {
        self.adopt_sparing(rules, Vec::new());
    }

    pub(crate) fn adopt_sparing(&self, rules: impl IntoIterator<Item = Rule>, spared: Vec<SparedInode>) {
        self.client.adopt(Arc::new(RuleSet::new(rules).unwrap()), Arc::new(spared), PATIENCE).unwrap();
    }

    /// The next event that `choose` wants.
    pub(crate) fn event<T>(&self, mut choose: impl FnMut(Event) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let event = self.events.recv_deadline(deadline).expect("an event in time");
            if let Some(chosen) = choose(event) {
                return chosen;
            }
        }
    }

    /// The counters, once there are any; where the kernel denies by itself nobody asks, and they are those of now.
    pub(crate) fn counters(&self) -> GuardCounters {
        self.status(|status| status.counters.questions > 0 || status.mechanism == "bpf").counters
    }

    /// The status, once it is as wanted.
    pub(crate) fn status(&self, wanted: impl Fn(&GuardStatus) -> bool) -> GuardStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.client.status();
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{status:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A rule that denies by SHA-256.
pub(crate) fn deny(id: u64, digests: &Digests) -> Rule {
    deny_by(id, Identifier::Sha256(digests.sha256))
}

pub(crate) fn deny_by(id: u64, identifier: Identifier) -> Rule {
    Rule { id: RuleId(id), effect: Effect::Deny, identifier, scope: Scope::Organization, until: None }
}

pub(crate) fn digests(path: &Path) -> Digests {
    agent::digest::hash_plainly(File::open(path).unwrap().as_fd()).unwrap().0
}

/// Runs a program to its end: its status, or the error of `execve`.
pub(crate) fn run(program: &Path) -> Result<i32, i32> {
    let status = Command::new(program).stdin(Stdio::null()).status();
    status.map(|status| status.code().unwrap_or(-1)).map_err(|error: io::Error| error.raw_os_error().unwrap())
}

/// What is marked is a filesystem: it must be one that was mounted for the test, and nowhere else.
pub(crate) fn assert_own(ground: &Path) {
    let mount = sys::mounts::containing(ground).unwrap();
    assert_eq!(mount.point, ground);
    let all = sys::mounts::current().unwrap();
    assert_eq!(all.iter().filter(|other| other.device == mount.device).count(), 1);
}

/// Whether a program did what it was told, or what it said.
fn tell(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", said.trim())) }
}

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
