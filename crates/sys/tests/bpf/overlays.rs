//! What an overlay says of a file that lies below it is not always so.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;

use sys::bpf::{Hook, Outcome};

use crate::arena::{Arena, EPERM, Kind, SETTLED, command, map, run};
use crate::rewrites::same_size;

/// An overlay of what is guarded; unmounted with this.
struct Overlay(PathBuf);

impl Overlay {
    fn mount(arena: &Arena, point: &str, lower: [&str; 2], is_writable: bool) -> Self {
        let directory = |name: &str| {
            let path = arena.path(name);
            fs::create_dir_all(&path).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let mut options = format!("lowerdir={}:{}", directory(lower[0]), directory(lower[1]));
        if is_writable {
            options += &format!(",upperdir={},workdir={}", directory("upper"), directory("work"));
        }
        let point = PathBuf::from(directory(point));
        let mounted =
            command("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(&point).status().unwrap();
        assert!(mounted.success());
        Self(point)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = sys::mounts::unmount_lazily(&self.0);
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::metadata("/bin/true").unwrap().permissions()).unwrap();
}

/// The kernel hashes as much as the overlay believes to be there.
#[test]
fn a_size_that_is_no_longer_so() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    let bad = arena.program("bad", "bad");
    arena.deny(&[&bad]);
    let overlay = Overlay::mount(&arena, "merged", ["lower", "lower2"], false);
    for (name, before) in [("empty", &b""[..]), ("short", b"short")] {
        let below = arena.path("lower").join(name);
        write(&below, before);
        // The overlay keeps what it believes as long as somebody has it open.
        let held = File::open(overlay.path(name)).unwrap();
        fs::write(&below, fs::read(&bad).unwrap()).unwrap();
        for _ in 0..2 {
            arena.events();
            assert_eq!(run(&overlay.path(name)), Err(EPERM));
            let told: Vec<_> = arena.events().iter().map(|told| (told.outcome, told.hook)).collect();
            assert_eq!(told, [(Outcome::Unknown, Hook::Exec)]);
            assert_eq!(map(&File::open(overlay.path(name)).unwrap()), Err(EPERM));
            sleep(SETTLED);
        }
        drop(held);
    }
}

/// The inner overlay's inode does not follow the file below it.
#[test]
fn over_another_overlay() {
    let Some(mut arena) = Arena::enter(Kind::Ext4) else { return };
    let (clean, bad) = same_size();
    let model = arena.path("bad");
    fs::write(&model, &bad).unwrap();
    arena.deny(&[&model]);
    fs::create_dir(arena.path("lower")).unwrap();
    let below = arena.path("lower/x");
    write(&below, &clean);
    let _inner = Overlay::mount(&arena, "inner", ["lower", "lower2"], false);
    let outer = Overlay::mount(&arena, "outer", ["inner", "lower2"], false);
    sleep(SETTLED);
    let seen = outer.path("x");
    assert_eq!((run(&seen), run(&seen)), (Ok(0), Ok(0)));
    let before = arena.hashed();
    assert_eq!(run(&seen), Ok(0));
    assert_eq!(arena.hashed(), before, "the file at the bottom is known");
    let held = File::open(&seen).unwrap();
    File::options().write(true).open(&below).unwrap().write_all_at(&bad, 0).unwrap();
    assert_eq!(run(&seen), Err(EPERM));
    drop(held);
}

/// Who reads gets the copy, and who maps gets what was opened.
#[test]
fn a_descriptor_from_before_the_copy() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    let (clean, bad) = same_size();
    let model = arena.path("bad");
    fs::write(&model, &bad).unwrap();
    arena.deny(&[&model]);
    fs::create_dir(arena.path("lower")).unwrap();
    write(&arena.path("lower/x"), &bad);
    let overlay = Overlay::mount(&arena, "merged", ["lower", "lower2"], true);
    let held = File::open(overlay.path("x")).unwrap();
    assert_eq!(map(&held), Err(EPERM), "not yet copied");
    File::options().write(true).open(overlay.path("x")).unwrap().write_all_at(&clean, 0).unwrap();
    arena.events();
    assert_eq!(map(&held), Err(EPERM));
    let told: Vec<_> = arena.events().iter().map(|told| (told.outcome, told.hook)).collect();
    assert_eq!(told, [(Outcome::Unknown, Hook::Map)]);
    assert_eq!(map(&File::open(overlay.path("x")).unwrap()), Ok(()), "the copy");
    assert_eq!(run(&overlay.path("x")), Ok(0));
}

/// Who opens a file through the overlay to write opens it below as well, where no change tells yet that he will.
#[test]
fn opened_for_writing_through_the_overlay() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    let overlay = Overlay::mount(&arena, "merged", ["lower", "lower2"], true);
    let (above, below) = (overlay.path("x"), arena.path("upper/x"));
    write(&above, &fs::read("/bin/true").unwrap());
    sleep(SETTLED);
    let settle = |arena: &mut Arena, path: &Path| {
        // Nothing promises that a verdict is kept: the kernel may have no room for it just then.
        let asked = (0..4).map(|_| {
            let known = arena.hashed();
            assert_eq!(run(path), Ok(0));
            arena.hashed() - known
        });
        asked.collect::<Vec<_>>()
    };
    for path in [&below, &above] {
        let hashed = settle(&mut arena, path);
        assert_eq!(hashed[3], 0, "{}: {hashed:?}", path.display());
    }
    drop(File::options().write(true).open(&above).unwrap());
    for path in [&below, &above] {
        let hashed = settle(&mut arena, path);
        assert_eq!((hashed[0], hashed[3]), (1, 0), "{}: {hashed:?}", path.display());
    }
}
