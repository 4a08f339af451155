//! Content that changed is never taken for what it was.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::thread::sleep;

use rustix::fs::{FallocateFlags, Timestamps};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::arena::{Arena, EPERM, ETXTBSY, Kind, SETTLED, command, run};

type Change = fn(&Path, &[u8]);

/// How content can come to change; each leaves nobody behind who could still write.
const WAYS: [(&str, Change); 11] = [
    ("write anew", |path, bytes| {
        OpenOptions::new().write(true).truncate(true).open(path).unwrap().write_all(bytes).unwrap();
    }),
    ("write in place", |path, bytes| writer(path).write_all_at(bytes, 0).unwrap()),
    ("write in place, times put back", |path, bytes| {
        let times = fs::metadata(path).unwrap();
        let file = writer(path);
        file.write_all_at(bytes, 0).unwrap();
        let put_back = |seconds, nanoseconds| rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        rustix::fs::futimens(
            &file,
            &Timestamps {
                last_access: put_back(times.atime(), times.atime_nsec()),
                last_modification: put_back(times.mtime(), times.mtime_nsec()),
            },
        )
        .unwrap();
    }),
    ("shared mapping", |path, bytes| map_and(path, bytes, false)),
    ("shared mapping, its descriptor closed", |path, bytes| map_and(path, bytes, true)),
    ("cut off and written again", |path, bytes| {
        rustix_truncate(path, 0);
        writer(path).write_all_at(bytes, 0).unwrap();
    }),
    ("copy_file_range", |path, bytes| {
        let source = source(path, bytes);
        let target = writer(path);
        let mut left = bytes.len();
        while left > 0 {
            left -= rustix::fs::copy_file_range(&source, None, &target, None, left).unwrap();
        }
    }),
    ("sendfile", |path, bytes| {
        let source = source(path, bytes);
        let target = writer(path);
        let mut left = bytes.len();
        while left > 0 {
            left -= rustix::fs::sendfile(&target, &source, None, left).unwrap();
        }
    }),
    ("punched and written", |path, bytes| {
        let file = writer(path);
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&file, flags, 0, bytes.len() as u64).unwrap();
        file.write_all_at(bytes, 0).unwrap();
    }),
    ("renamed over", |path, bytes| {
        let new = path.with_extension("new");
        fs::write(&new, bytes).unwrap();
        fs::set_permissions(&new, fs::metadata(path).unwrap().permissions()).unwrap();
        fs::rename(new, path).unwrap();
    }),
    ("removed and made again", |path, bytes| {
        let permissions = fs::metadata(path).unwrap().permissions();
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, permissions).unwrap();
    }),
];

fn writer(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

fn source(path: &Path, bytes: &[u8]) -> File {
    let source = path.with_extension("source");
    fs::write(&source, bytes).unwrap();
    File::open(source).unwrap()
}

fn rustix_truncate(path: &Path, length: u64) {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: the path is a string that ends with a zero.
    assert_eq!(unsafe { libc::truncate(path.as_ptr(), length.cast_signed()) }, 0);
}

fn map_and(path: &Path, bytes: &[u8], closes: bool) {
    let file = writer(path);
    let flags = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the mapping is as long as the file, and is written to by nobody else.
    unsafe {
        let at = mmap(std::ptr::null_mut(), bytes.len(), flags, MapFlags::SHARED, file.as_fd(), 0).unwrap();
        if closes {
            drop(file);
        }
        // Dirty before it changes, so that the change itself is no fault.
        at.cast::<u8>().write_volatile(at.cast::<u8>().read_volatile());
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), at.cast(), bytes.len());
        munmap(at, bytes.len()).unwrap();
    }
}

#[test]
fn in_a_known_file_on_tmpfs() {
    in_a_known_file(Kind::Tmpfs);
}

#[test]
fn in_a_known_file_on_ext4() {
    in_a_known_file(Kind::Ext4);
}

fn in_a_known_file(kind: Kind) {
    let Some(mut arena) = Arena::enter(kind) else { return };
    let (clean, bad) = same_size();
    let model = arena.path("bad");
    fs::write(&model, &bad).unwrap();
    arena.deny(&[&model]);
    let target = arena.path("target");
    for (way, change) in WAYS {
        for settles in [true, false] {
            fs::write(&target, &clean).unwrap();
            fs::set_permissions(&target, fs::metadata("/bin/true").unwrap().permissions()).unwrap();
            sleep(SETTLED);
            assert_eq!(run(&target), Ok(0));
            let before = arena.hashed();
            assert_eq!(run(&target), Ok(0));
            assert_eq!(arena.hashed(), before, "{way}: the second is known");
            if settles {
                sleep(SETTLED);
            }
            change(&target, &bad);
            assert_eq!(run(&target), Err(EPERM), "{way}");
        }
    }
    // Cut to what is denied, without anybody who opens it.
    let longer = arena.path("longer");
    for _ in 0..10 {
        fs::write(&longer, [&bad[..], b"more"].concat()).unwrap();
        fs::set_permissions(&longer, fs::metadata("/bin/true").unwrap().permissions()).unwrap();
        assert_eq!(run(&longer), Ok(1));
        rustix_truncate(&longer, bad.len() as u64);
        assert_eq!(run(&longer), Err(EPERM));
    }
    // And with a tail of zeros in the end, so that not even the length tells.
    let zeros = [&bad[..], &[0; 64]].concat();
    fs::write(&model, &zeros).unwrap();
    arena.deny(&[&model]);
    for _ in 0..10 {
        fs::write(&longer, [&bad[..], &[1; 64]].concat()).unwrap();
        fs::set_permissions(&longer, fs::metadata("/bin/true").unwrap().permissions()).unwrap();
        sleep(SETTLED);
        assert_eq!(run(&longer), Ok(1));
        rustix_truncate(&longer, bad.len() as u64);
        rustix_truncate(&longer, zeros.len() as u64);
        assert_eq!(run(&longer), Err(EPERM));
    }
}

/// What is below an overlay is remembered as such, whoever changes it.
#[test]
fn below_an_overlay() {
    let Some(mut arena) = Arena::enter(Kind::Ext4) else { return };
    let (clean, bad) = same_size();
    for directory in ["lower", "upper", "work", "merged"] {
        fs::create_dir(arena.path(directory)).unwrap();
    }
    let model = arena.path("bad");
    fs::write(&model, &bad).unwrap();
    arena.deny(&[&model]);
    let write = |path: &Path, bytes: &[u8]| {
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, fs::metadata("/bin/true").unwrap().permissions()).unwrap();
    };
    for layer in ["lower", "upper"] {
        write(&arena.path(layer).join(layer), &clean);
    }
    let options = format!("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work", arena.root().display());
    let mounted = command("mount")
        .args(["-t", "overlay", "overlay", "-o", &options])
        .arg(arena.path("merged"))
        .status()
        .unwrap();
    assert!(mounted.success());
    sleep(SETTLED);
    for layer in ["lower", "upper"] {
        let seen = arena.path("merged").join(layer);
        assert_eq!(run(&seen), Ok(0));
        let before = arena.hashed();
        assert_eq!(run(&seen), Ok(0));
        assert_eq!(arena.hashed(), before, "{layer}: the second is known");
        writer(&arena.path(layer).join(layer)).write_all_at(&bad, 0).unwrap();
        assert_eq!(run(&seen), Err(EPERM), "{layer}");
    }
    // Through the overlay: the upper file in place, the lower one by a copy.
    for layer in ["upper", "lower"] {
        let seen = arena.path("merged").join(layer);
        writer(&seen).write_all_at(&clean, 0).unwrap();
        sleep(SETTLED);
        assert_eq!((run(&seen), run(&seen)), (Ok(0), Ok(0)), "{layer}");
        writer(&seen).write_all_at(&bad, 0).unwrap();
        assert_eq!(run(&seen), Err(EPERM), "{layer}");
    }
    sys::mounts::unmount_lazily(&arena.path("merged")).unwrap();
}

/// A writer that changes the file while it is being hashed: what runs is what was judged.
#[test]
fn while_it_is_hashed() {
    let Some(mut arena) = Arena::enter(Kind::Ext4) else { return };
    let (mut clean, mut bad) = same_size();
    // So that a hash takes some milliseconds.
    clean.resize(clean.len() + (1 << 20), 0);
    bad.resize(clean.len(), 0);
    let model = arena.path("bad");
    fs::write(&model, &bad).unwrap();
    arena.deny(&[&model]);
    let target = arena.path("target");
    let mut seen = std::collections::BTreeMap::new();
    for round in 0..64_u64 {
        fs::write(&target, &clean).unwrap();
        fs::set_permissions(&target, fs::metadata("/bin/true").unwrap().permissions()).unwrap();
        let outcome = std::thread::scope(|threads| {
            let writes = threads.spawn(|| {
                sleep(std::time::Duration::from_micros(round * 300));
                match File::options().write(true).open(&target) {
                    Ok(file) => file.write_all_at(&bad[..1 << 16], 0).is_ok(),
                    Err(_) => false,
                }
            });
            let outcome = run(&target);
            writes.join().unwrap();
            outcome
        });
        // The bad program ends with 1.
        assert!([Ok(0), Err(EPERM), Err(ETXTBSY)].contains(&outcome), "round {round}: {outcome:?}");
        *seen.entry(format!("{outcome:?}")).or_insert(0) += 1;
    }
    println!("{seen:?}");
}

/// Whoever could write to the image could change what lies in it.
#[test]
fn an_image_that_a_user_mounts_is_hashed_each_time() {
    let Some(mut arena) = Arena::enter(Kind::Ext4) else { return };
    let file = arena.program("file", "file");
    arena.deny(&[]);
    sleep(SETTLED);
    let remounted = command("mount").args(["-o", "remount,bind,nosuid"]).arg(arena.root()).status().unwrap();
    assert!(remounted.success());
    let before = arena.hashed();
    assert_eq!((run(&file), run(&file)), (Ok(0), Ok(0)));
    // Their loader and libraries lie elsewhere.
    assert_eq!(arena.hashed(), before + 2);
}

/// Two programs that differ in what they end with.
pub(crate) fn same_size() -> (Vec<u8>, Vec<u8>) {
    let mut programs = ["/bin/true", "/bin/false"].map(|path| fs::read(path).unwrap());
    let size = programs.iter().map(Vec::len).max().unwrap();
    programs.iter_mut().for_each(|bytes| bytes.resize(size, 0));
    programs.into()
}

/// Nothing tells yet that it will change.
#[test]
fn opened_for_writing_and_left_alone() {
    for kind in [Kind::Tmpfs, Kind::Ext4] {
        let Some(mut arena) = Arena::enter(kind) else { return };
        let program = arena.program("program", "");
        sleep(SETTLED);
        for _ in 0..2 {
            let before = arena.hashed();
            assert_eq!((run(&program), run(&program)), (Ok(0), Ok(0)));
            assert_eq!(arena.hashed(), before + 1);
            drop(writer(&program));
        }
    }
}

/// One program for each open is enough where the kernel has the hooks, as Linux 6.12 has.
#[test]
fn an_open_is_asked_about_once() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    let programs = arena.programs();
    assert_eq!(programs.asks_once(), programs.judges_scripts());
}
