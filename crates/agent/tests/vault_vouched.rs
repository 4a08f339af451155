//! A copy whose content is certain is not read again: ten gigabytes go in the time of ten kilobytes.

mod arena;

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use agent::digest::{self, hash_plainly};
use agent::vault::Refusal;
use agent::vouched::Vouched;
use sys::identity::Identity;

use arena::{Arena, KEEP, Kind, found, wanting};

const LARGE: u64 = 2 << 20;

/// A file with a hole that begins so, old enough to be certain.
fn large(path: &Path, size: u64, begins: &[u8]) {
    fs::write(path, begins).unwrap();
    OpenOptions::new().write(true).open(path).unwrap().set_len(size).unwrap();
    std::thread::sleep(Duration::from_millis(50));
}

/// Reads it as whoever looks at changes does.
fn look(vouched: &Vouched, path: &Path) {
    let file = File::open(path).unwrap();
    let claim = vouched.claim(file.as_fd());
    let (digests, facts) = hash_plainly(file.as_fd()).unwrap();
    vouched.keep(claim, &Identity::of(file.as_fd()).unwrap(), digests, &facts);
}

fn is_certain(vouched: &Vouched, path: &Path) -> bool {
    vouched.recall(&Identity::of(File::open(path).unwrap().as_fd()).unwrap()).is_some()
}

/// How many bytes this process has read so far.
fn bytes_read() -> u64 {
    let told = fs::read_to_string("/proc/self/io").unwrap();
    told.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

#[test]
fn ten_gigabytes_are_moved_and_not_read() {
    let Some(arena) = Arena::enter(Kind::Ext4) else { return };
    let (small, path) = (arena.path("small"), arena.path("file"));
    large(&small, LARGE, b"certain");
    large(&path, 10 << 30, b"certain");
    let vault = arena.vault();
    // That it was read before is taken as done: what was read stands for it.
    let (digests, facts) = hash_plainly(File::open(&small).unwrap().as_fd()).unwrap();
    let file = File::open(&path).unwrap();
    let claim = vault.vouched().claim(file.as_fd());
    assert!(claim.is_some());
    vault.vouched().keep(claim, &Identity::of(file.as_fd()).unwrap(), digests, &facts);
    drop(file);
    let (before, meant) = (bytes_read(), found(&path));
    let id = vault.take(meant, wanting(&fs::read(&small).unwrap()), &mut |_| {}).unwrap();
    let read = bytes_read() - before;
    println!("vouched: 10 GiB taken, {read} bytes read");
    assert!(read < 2 * LARGE + (1 << 20), "{read}");
    assert!(!path.exists() && vault.list()[0].renamed && vault.list()[0].id == id);
}

#[test]
fn what_changed_since_is_read_again() {
    let Some(arena) = Arena::enter(Kind::Ext4) else { return };
    let path = arena.path("file");
    large(&path, LARGE, b"evil");
    let evil = fs::read(&path).unwrap();
    let vault = arena.vault();
    look(vault.vouched(), &path);
    assert!(is_certain(vault.vouched(), &path));
    // The same length, and times that are set back.
    let times = fs::metadata(&path).unwrap();
    let writer = OpenOptions::new().write(true).open(&path).unwrap();
    writer.write_all_at(b"good", 0).unwrap();
    let set = fs::FileTimes::new().set_accessed(times.accessed().unwrap());
    writer.set_times(set.set_modified(times.modified().unwrap())).unwrap();
    drop(writer);
    assert!(!is_certain(vault.vouched(), &path));
    let refusal = vault.take(found(&path), wanting(&evil), &mut |_| {});
    assert!(matches!(refusal, Err(Refusal::Gone { .. })), "{refusal:?}");
    // And written back, it is taken again, and comes back whole.
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(b"evil", 0).unwrap();
    let id = vault.take(found(&path), wanting(&evil), &mut |_| {}).unwrap();
    vault.restore(id, KEEP, &mut |_| {}).unwrap();
    assert_eq!(fs::read(&path).unwrap(), evil);
}

#[test]
fn nothing_is_certain_that_somebody_could_have_been_writing() {
    let Some(arena) = Arena::enter(Kind::Ext4) else { return };
    let path = arena.path("file");
    let vouched = Vouched::default();
    large(&path, LARGE, b"evil");
    // A writer that came before, and changed what it had mapped without another ctime.
    let writer = OpenOptions::new().write(true).open(&path).unwrap();
    look(&vouched, &path);
    assert!(!is_certain(&vouched, &path));
    drop(writer);
    // One that came and left while it was read.
    let file = File::open(&path).unwrap();
    let claim = vouched.claim(file.as_fd());
    assert!(claim.is_some());
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(b"good", 0).unwrap();
    let (digests, facts) = hash_plainly(file.as_fd()).unwrap();
    vouched.keep(claim, &Identity::of(file.as_fd()).unwrap(), digests, &facts);
    assert!(!is_certain(&vouched, &path));
    // A file that is so young that it may change once more within the same tick.
    fs::write(&path, vec![0; LARGE as usize]).unwrap();
    look(&vouched, &path);
    let is_young =
        fs::metadata(&path).unwrap().modified().unwrap().elapsed().unwrap() < Duration::from_millis(10);
    assert!(!(is_young && is_certain(&vouched, &path)));
    // A small one is not worth it.
    large(&path, 1000, b"x");
    look(&vouched, &path);
    assert!(!is_certain(&vouched, &path));
}

#[test]
fn no_writer_waits_for_a_look() {
    let Some(arena) = Arena::enter(Kind::Ext4) else { return };
    let path = arena.path("file");
    large(&path, LARGE, b"evil");
    let file = File::open(&path).unwrap();
    let vouched = Vouched::default();
    assert!(vouched.claim(file.as_fd()).is_some());
    assert!(matches!(sys::lease::is_whole(file.as_fd()), Ok(false)), "the lease has ended");
    // While an act holds one, a file is busy to nobody but writers.
    let hashed = vouched.hash_steadily(file.as_fd(), Duration::ZERO).unwrap();
    assert_eq!(hashed.facts.size, LARGE);
    assert!(matches!(sys::lease::is_whole(file.as_fd()), Ok(true)));
    assert!(digest::hash_steadily(File::open(&path).unwrap().as_fd(), Duration::ZERO).is_ok());
}

#[test]
fn where_a_ctime_proves_nothing_all_is_read() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let path = arena.path("file");
    large(&path, LARGE, b"evil");
    let vouched = Vouched::default();
    look(&vouched, &path);
    assert!(!is_certain(&vouched, &path));
}
