//! Somebody swaps names, links, parents and content while copies are taken and restored: no innocent file is touched,
//! none is lost.
//!
//! `QUELL_RACE_ROUNDS` says how many times that is tried where names are swapped (300), and how many times a copy is
//! taken and restored where all else is (60).

mod arena;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use agent::vault::{Found, Refusal, Vault};
use model::act::Terms;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use arena::{Arena, Image, KEEP, KINDS, Kind, digests_of, found, names_in, wanting};

#[test]
fn a_name_that_is_swapped_all_the_time_costs_no_file() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let rounds = rounds(300);
        let dir = arena.path("dir");
        fs::create_dir(&dir).unwrap();
        let (target, other) = (dir.join("target"), dir.join("other"));
        fs::write(&target, "evil").unwrap();
        fs::write(&other, "innocent").unwrap();
        let vault = arena.vault();
        let mut meant = found(&target);
        let undisturbed = Instant::now();
        let id = vault.take(meant.clone(), wanting(b"evil"), &mut |_| {}).unwrap();
        vault.restore(id, KEEP, &mut |_| {}).unwrap();
        meant.inode = inode_of(b"evil", &[&target, &other]).unwrap();
        // So that the swaps fall between any two steps of the other side, which now and then gets through, however
        // slow this machine is.
        let longest = undisturbed.elapsed().max(Duration::from_micros(600));
        let is_over = AtomicBool::new(false);
        let (mut taken, mut swapped, mut refused) = (0, 0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for part in (0..600).cycle().step_by(7) {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let pause = longest * part / 600;
                    std::thread::sleep(pause);
                    let _ = renameat_with(CWD, &target, CWD, &other, RenameFlags::EXCHANGE);
                    std::thread::sleep(pause);
                    // When one of the two is away, the other takes its name, and gives it up again.
                    let _ = renameat_with(CWD, &other, CWD, &target, RenameFlags::NOREPLACE);
                    let _ = renameat_with(CWD, &target, CWD, &other, RenameFlags::NOREPLACE);
                }
            });
            for _ in 0..rounds {
                match vault.take(meant.clone(), wanting(b"evil"), &mut |_| {}) {
                    Ok(_) => taken += 1,
                    Err(Refusal::Swapped { .. }) => swapped += 1,
                    Err(_) => refused += 1,
                }
                check(&vault, &dir, false);
                for resting in vault.list() {
                    let _ = vault.restore(resting.id, KEEP, &mut |_| {});
                }
                // A copy that was brought back from the data directory is another inode.
                meant.inode = inode_of(b"evil", &[&target, &other]).unwrap_or(meant.inode);
                unreturn(&dir, &[&other, &target]);
            }
            is_over.store(true, Ordering::Relaxed);
        });
        check(&vault, &dir, true);
        println!("race: {kind:?} rounds {rounds} taken {taken} swapped {swapped} refused {refused} lost 0");
        assert!(taken > 0, "the vault got hold of it sometimes");
    }
}

fn rounds(default: u32) -> u32 {
    std::env::var("QUELL_RACE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// The owner of directories into which nothing may be restored.
const STRANGER: u32 = 1002;
/// Back beside its name, if need be: the attacker has taken that often enough.
const BESIDE: Terms = Terms { beside: true, keep_privileges: true };
/// What the copy may hold: its owner writes the one over the other.
const WANTED: &[u8] = b"evil";
const OTHER: &[u8] = b"EVIL";

/// What the attacker changes, all of it his own.
struct Ground {
    /// The copy's directory, and what else takes its name.
    dir: PathBuf,
    /// A directory of somebody else, in which a file has the copy's name.
    strange: PathBuf,
    /// A symbolic link to that.
    link: PathBuf,
}

impl Ground {
    fn make(root: &Path) -> Self {
        let [dir, strange, link] = ["dir", "strange", "link"].map(|name| root.join(name));
        for dir in [&dir, &strange] {
            fs::create_dir(dir).unwrap();
            fs::write(dir.join("innocent"), "innocent").unwrap();
        }
        chown(&strange, Some(STRANGER), None).unwrap();
        // Of the very content that is wanted: only its place says that it was never meant.
        fs::write(strange.join("target"), WANTED).unwrap();
        fs::write(dir.join("target"), WANTED).unwrap();
        symlink(&strange, &link).unwrap();
        Self { dir, strange, link }
    }

    /// One of many changes. What takes another's place gives it back after the pause.
    fn change(&self, number: usize, pause: Duration) {
        let exchange = |a: &Path, b: &Path| {
            let _ = renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE);
        };
        match number % 5 {
            0 | 1 => {
                let other = if number.is_multiple_of(5) { &self.strange } else { &self.link };
                exchange(&self.dir, other);
                std::thread::sleep(pause);
                exchange(&self.dir, other);
            }
            2 => {
                // Away with the name, and back as another name of the same inode.
                let (name, again) = (self.dir.join("target"), self.dir.join("again"));
                let _ = renameat_with(CWD, &name, CWD, &again, RenameFlags::NOREPLACE);
                std::thread::sleep(pause);
                let _ = fs::hard_link(&again, &name);
                std::thread::sleep(pause);
                // Not what he has no other name of: what he loses by himself is nobody's fault.
                let inode = |path: &Path| fs::symlink_metadata(path).map(|stat| stat.ino()).ok();
                if inode(&name).is_some() && inode(&name) == inode(&again) {
                    let _ = fs::remove_file(&again);
                }
            }
            3 => {
                exchange(&self.dir.join("target"), &self.dir.join("innocent"));
                std::thread::sleep(pause);
                exchange(&self.dir.join("target"), &self.dir.join("innocent"));
            }
            _ => self.rewrite(number),
        }
    }

    /// The copy's content, and never that of an innocent file or of a stranger's.
    fn rewrite(&self, number: usize) {
        let open =
            OpenOptions::new().read(true).write(true).custom_flags(NO_WAIT).open(self.dir.join("target"));
        let Ok(file) = open else { return };
        let mut bytes = [0; 4];
        let holds = file.read_exact_at(&mut bytes, 0).is_ok() && (bytes == WANTED || bytes == OTHER);
        if holds && file.metadata().is_ok_and(|stat| stat.len() == 4 && stat.uid() != STRANGER) {
            let _ = file.write_all_at(if number.is_multiple_of(2) { WANTED } else { OTHER }, 0);
        }
    }

    /// All files in the tree, by content and owner of their directory; names of one inode once.
    fn files(&self) -> BTreeMap<(Vec<u8>, u32), u32> {
        let mut files = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for dir in [&self.dir, &self.strange, &self.link] {
            let stat = fs::symlink_metadata(dir).unwrap();
            if !stat.is_dir() {
                continue;
            }
            for name in names_in(dir) {
                let file = fs::symlink_metadata(dir.join(&name)).unwrap();
                if seen.insert(file.ino()) {
                    let bytes = fs::read(dir.join(&name)).unwrap();
                    *files.entry((bytes, stat.uid())).or_default() += 1;
                }
            }
        }
        files
    }
}

/// An open that would wait for a lease fails.
const NO_WAIT: i32 = 0o4000;

#[test]
fn parents_links_and_content_that_change_all_the_time_cost_no_file() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let ground = Ground::make(&arena.root());
        // His own, so that he may do all this without being root.
        chown(&ground.dir, Some(1001), None).unwrap();
        chown(ground.dir.join("target"), Some(1001), None).unwrap();
        let vault = arena.vault();
        let target = ground.dir.join("target");
        // His directory itself, whatever has its name: a path with two directories in it could mean two.
        let open = fs::File::open(&ground.dir).unwrap();
        let held = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
        let (rounds, begun) = (rounds(60), Instant::now());
        let id = vault.take(found(&target), wanting(WANTED), &mut |_| {}).unwrap();
        vault.restore(id, KEEP, &mut |_| {}).unwrap();
        let longest = begun.elapsed().max(Duration::from_micros(600));
        let is_over = AtomicBool::new(false);
        let (mut taken, mut refused, mut restored, mut kept, mut strangers) = (0, 0, 0, 0, 0);
        let changes = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Without a period that could fall in step with the other side.
                let mut state = 0x9E37_79B9_7F4A_7C15_u64;
                while !is_over.load(Ordering::Relaxed) {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let number = usize::try_from(state >> 33).unwrap();
                    let pause = longest.mul_f64(f64::from((number / 5 % 64) as u8) / 100.0);
                    ground.change(number, pause);
                    changes.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(pause);
                }
            });
            // However slow this machine is, there is an end.
            for _ in 0..rounds * 50 {
                if taken >= rounds && restored >= rounds {
                    break;
                }
                if let Ok(stat) = fs::symlink_metadata(&target)
                    && stat.is_file()
                {
                    // What a sweep would have told: it lies in the stranger's directory now and then.
                    let copy = Found { path: target.clone(), device: stat.dev(), inode: stat.ino() };
                    match vault.take(copy, wanting(WANTED), &mut |_| {}) {
                        Ok(_) => taken += 1,
                        Err(_) => refused += 1,
                    }
                }
                for resting in vault.list() {
                    assert_eq!(resting.digests, digests_of(WANTED));
                    let theirs = resting.parent.uid == STRANGER;
                    match vault.restore(resting.id, BESIDE, &mut |_| {}) {
                        Ok(_) if theirs => strangers += 1,
                        Ok(_) => restored += 1,
                        Err(_) => kept += 1,
                    }
                }
                unreturn(&held, &[&held.join("target"), &held.join("spare")]);
            }
            is_over.store(true, Ordering::Relaxed);
        });
        // At rest again: what still is in the vault is counted where it came from.
        let mut files = ground.files();
        for resting in vault.list() {
            *files.entry((fs::read(&resting.rests_at).unwrap(), resting.parent.uid)).or_default() += 1;
        }
        let count = |content: &[u8], owner: u32| files.get(&(content.to_vec(), owner)).copied().unwrap_or(0);
        let innocent = [count(b"innocent", 1001), count(b"innocent", STRANGER)];
        let his = count(WANTED, 1001) + count(OTHER, 1001);
        let theirs = [count(WANTED, STRANGER), count(OTHER, STRANGER)];
        println!(
            "race: {kind:?} changes {} taken {taken} refused {refused} restored {} kept back {kept} lost 0",
            changes.load(Ordering::Relaxed),
            restored + strangers
        );
        assert_eq!((innocent, theirs), ([1, 1], [1, 0]), "{files:?}");
        // Where copies are copied, names of one inode that go one by one come back as files of their own.
        assert!(his == 1 || (kind == Kind::Tmpfs && his > 1), "{files:?}");
        assert_eq!(files.values().sum::<u32>(), 3 + his, "nothing else has come: {files:?}");
        assert!(taken > 0 && restored > 0, "the vault got hold of it sometimes");
    }
}

/// Of the file with this content, which may have either name.
fn inode_of(content: &[u8], names: &[&Path; 2]) -> Option<u64> {
    names.iter().find_map(|name| {
        let mut file = fs::File::open(name).ok()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        (bytes == content).then(|| file.metadata().ok())?.map(|stat| stat.ino())
    })
}

/// Only what is wanted rests. Once nobody moves anything, each file is there exactly once.
fn check(vault: &Vault, dir: &Path, is_still: bool) {
    let resting = vault.list();
    assert!(resting.iter().all(|resting| resting.digests == digests_of(b"evil")));
    if !is_still {
        return;
    }
    let mut contents: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    let in_place = names_in(dir).into_iter().map(|name| dir.join(name));
    for path in in_place.chain(resting.into_iter().map(|resting| resting.rests_at)) {
        *contents.entry(Image::of(&path).unwrap().bytes).or_default() += 1;
    }
    assert_eq!(contents, BTreeMap::from([(b"evil".to_vec(), 1), (b"innocent".to_vec(), 1)]));
}

/// What was put back beside its name gets a name that the other side knows.
fn unreturn(dir: &Path, names: &[&Path; 2]) {
    for name in fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name()) {
        if name.to_string_lossy().contains(".quell-re") {
            for free in names {
                if renameat_with(CWD, dir.join(&name), CWD, *free, RenameFlags::NOREPLACE).is_ok() {
                    break;
                }
            }
        }
    }
}
