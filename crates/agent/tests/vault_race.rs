//! Somebody swaps names while copies are taken and restored: no innocent file is touched, none is lost.
//!
//! `QUELL_RACE_ROUNDS` says how many times a copy is taken (300).

mod arena;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use agent::vault::{Refusal, Vault};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use arena::{Arena, Image, KEEP, KINDS, digests_of, found, names_in, wanting};

#[test]
fn a_name_that_is_swapped_all_the_time_costs_no_file() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let rounds = std::env::var("QUELL_RACE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
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
    for name in names_in(dir) {
        if name.to_string_lossy().contains(".quell-returned-") {
            for free in names {
                if renameat_with(CWD, dir.join(&name), CWD, *free, RenameFlags::NOREPLACE).is_ok() {
                    break;
                }
            }
        }
    }
}
