//! What the kernel cannot hash when it must decide.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::thread::sleep;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mprotect, munmap};
use sys::bpf::{Event, Hook, Outcome};

use crate::arena::{Arena, EPERM, Kind, SETTLED, map, memfd};

/// Maps a file to be read, and then makes the mapping executable.
fn protect(file: &impl std::os::fd::AsFd) -> Result<(), i32> {
    // SAFETY: the kernel chooses the place, and nothing looks at it.
    unsafe {
        let at = mmap(std::ptr::null_mut(), 4096, ProtFlags::READ, MapFlags::PRIVATE, file, 0).unwrap();
        let outcome = mprotect(at, 4096, MprotectFlags::READ | MprotectFlags::EXEC);
        munmap(at, 4096).unwrap();
        outcome.map_err(rustix::io::Errno::raw_os_error)
    }
}

/// Where a file is mapped, until this process ends.
fn mapped(file: &impl std::os::fd::AsFd) -> u64 {
    // SAFETY: the kernel chooses the place, and nothing looks at it.
    unsafe { mmap(std::ptr::null_mut(), 4096, ProtFlags::READ, MapFlags::PRIVATE, file, 0).unwrap() as u64 }
}

#[test]
fn a_mapping_that_becomes_executable() {
    let Some(mut arena) = Arena::enter(Kind::Ext4) else { return };
    // Also while they are young.
    let (bad, good) = (arena.program("bad", "bad"), arena.program("good", "good"));
    arena.deny(&[&bad]);
    let (bad, good) = (File::open(bad).unwrap(), File::open(good).unwrap());
    assert_eq!((protect(&bad), protect(&good)), (Err(EPERM), Ok(())));
    sleep(SETTLED);
    assert_eq!((protect(&bad), protect(&good)), (Err(EPERM), Ok(())));
    let last = arena.events().pop().unwrap();
    assert_eq!((last.outcome, last.hook, last.rule), (Outcome::Denied, Hook::Protect, 1));
    // By other rules it is judged anew, by the digest that is known.
    arena.deny(&[]);
    assert_eq!(protect(&bad), Ok(()));
    // What can be written is no file's content.
    arena.everywhere();
    arena.deny(&[]);
    assert_eq!(protect(&memfd(&[0; 4096])), Ok(()));
    let written =
        File::options().read(true).write(true).create(true).truncate(false).open(arena.path("w")).unwrap();
    written.set_len(4096).unwrap();
    assert_eq!(protect(&written), Ok(()));
}

#[test]
fn a_mapping_that_becomes_executable_of_a_file_too_large_to_be_judged_as_data() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    let (bad, good) = (arena.program("bad", "bad"), arena.program("good", "good"));
    sleep(SETTLED);
    arena.stage().scope.largest_plain = 4096;
    arena.deny(&[&bad]);
    arena.events();
    let (bad, good) = (File::open(bad).unwrap(), File::open(good).unwrap());
    assert_eq!((protect(&bad), protect(&good)), (Err(EPERM), Err(EPERM)));
    let events = arena.events();
    let told: Vec<_> = events.iter().map(|event| (event.outcome, event.hook)).collect();
    assert_eq!(told, [(Outcome::Unknown, Hook::Protect); 2]);
    assert!(events.iter().all(|event| event.process == std::process::id().cast_signed()));
    // Whoever is told has them judged, as long as they are mapped.
    let maps = [mapped(&bad), mapped(&good)];
    let judged: Vec<_> = maps
        .iter()
        .map(|at| {
            let event = Event { mapped: *at..*at + 4096, ..events[0].clone() };
            sys::bpf::have_judged(&event).map_err(|error| error.raw_os_error().unwrap())
        })
        .collect();
    assert_eq!(judged, [Err(EPERM), Ok(())]);
    assert_eq!((protect(&bad), protect(&good)), (Err(EPERM), Ok(())));
}

/// Its owner would hold up whoever opens it, for as long as leases are broken in.
#[test]
fn nobody_waits_for_a_lease() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    let path = arena.program("file", "file");
    arena.deny(&[]);
    sleep(SETTLED);
    let reader = File::open(path).unwrap();
    let at = mapped(&reader);
    let event = Event {
        outcome: Outcome::Unknown,
        hook: Hook::Protect,
        rule: 0,
        content: None,
        error: 0,
        copy: sys::bpf::Copy { device: 0, inode: 0 },
        generation: 0,
        size: 0,
        mapped: at..at + 4096,
        process: std::process::id().cast_signed(),
        thread: 0,
        user: 0,
        at: 0,
        path: Vec::new(),
    };
    sys::bpf::have_judged(&event).unwrap();
    /// Of fcntl(2), the same on all machines.
    const SET_SIGNAL: i32 = 10;
    // SAFETY: these take numbers alone.
    let leased = unsafe {
        // By default the holder is killed when somebody waits for it.
        libc::fcntl(reader.as_raw_fd(), SET_SIGNAL, libc::SIGURG);
        libc::fcntl(reader.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK)
    };
    assert_eq!(leased, 0, "{}", std::io::Error::last_os_error());
    let begun = std::time::Instant::now();
    let refused = sys::bpf::have_judged(&event).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EAGAIN));
    assert!(begun.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn a_file_that_is_read_past_the_page_cache() {
    let Some(mut arena) = Arena::enter(Kind::Ext4) else { return };
    let bad = arena.program("bad", "bad");
    arena.deny(&[&bad]);
    let direct = File::options().read(true).custom_flags(libc::O_DIRECT).open(&bad).unwrap();
    assert_eq!(map(&direct), Err(EPERM));
}

#[test]
fn a_memfd_is_remembered_only_when_sealed() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    arena.everywhere();
    arena.deny(&[]);
    let file = memfd(&fs::read("/bin/true").unwrap());
    // Not by the descriptor that it was made with: it counts as no writer, and could write all the same.
    let reader = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
    sleep(SETTLED);
    let before = arena.hashed();
    assert_eq!((map(&reader), map(&reader)), (Ok(()), Ok(())));
    assert_eq!(arena.hashed(), before + 2);
    rustix::fs::fcntl_add_seals(&file, rustix::fs::SealFlags::WRITE).unwrap();
    sleep(SETTLED);
    assert_eq!((map(&reader), map(&reader)), (Ok(()), Ok(())));
    assert_eq!(arena.hashed(), before + 3);
}
