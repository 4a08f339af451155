//! Handles, identities and leases of real files.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use crate::arena::{Arena, alone};
use rustix::time::{ClockId, clock_gettime};
use sys::OFlags;
use sys::handle::FileHandle;
use sys::identity::{Identity, Stat};
use sys::lease::{self, Lease};

fn stat(path: &Path) -> Stat {
    Identity::of(File::open(path).unwrap().as_fd()).unwrap()
}

#[test]
fn an_identity_survives_reading_and_changes_with_the_content() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, b"one").unwrap();
    let first = stat(&path);
    let identity = first.identity.expect("the test's filesystem has handles");
    assert_eq!((first.size, first.links, first.is_regular), (3, 1, true));
    assert_eq!((identity.size(), identity.device(), identity.ctime_ns()), (3, first.device, first.ctime_ns));
    fs::read(&path).unwrap();
    assert_eq!(stat(&path).identity, Some(identity));

    // For kernels whose time stamps move in ticks.
    while clock_gettime(ClockId::RealtimeCoarse).tv_nsec == identity.ctime_ns() % 1_000_000_000 {
        std::thread::sleep(Duration::from_millis(1));
    }
    fs::write(&path, b"two").unwrap();
    assert_ne!(stat(&path).identity, Some(identity));
}

#[test]
fn another_file_in_the_same_place_is_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, b"one").unwrap();
    let first = stat(&path);
    let handle = FileHandle::of(File::open(&path).unwrap().as_fd()).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"one").unwrap();
    assert_ne!(stat(&path).identity, first.identity);
    assert_ne!(FileHandle::of(File::open(&path).unwrap().as_fd()).unwrap(), handle);
}

/// A rename changes the ctime, and with it the identity: the file is looked at once more. Its handle stays.
#[test]
fn a_renamed_file_keeps_its_handle() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    fs::write(&old, b"bytes").unwrap();
    let file = File::open(&old).unwrap();
    let (handle, inode) = (FileHandle::of(file.as_fd()).unwrap(), stat(&old).inode);
    fs::rename(&old, &new).unwrap();
    let dir = File::open(dir.path()).unwrap();
    assert_eq!(FileHandle::of_at(dir.as_fd(), c"new", 0).unwrap(), handle);
    assert_eq!(stat(&new).inode, inode);
    assert!(FileHandle::of_at(dir.as_fd(), c"old", 0).is_err());
}

#[test]
fn a_handle_opens_its_file_until_that_is_gone() {
    let Some(arena) = Arena::enter() else { return };
    let path = arena.path("file");
    fs::write(&path, b"bytes").unwrap();
    let handle = FileHandle::of(File::open(&path).unwrap().as_fd()).unwrap();
    let stored = FileHandle::from_parts(handle.kind(), handle.as_bytes()).unwrap();
    fs::rename(&path, arena.path("elsewhere")).unwrap();

    let opened = stored.open(arena.root().as_fd(), OFlags::RDONLY).unwrap();
    assert_eq!(sys::socket::read_all(opened.as_fd()).unwrap(), b"bytes");
    drop(opened);
    fs::remove_file(arena.path("elsewhere")).unwrap();
    let error = stored.open(arena.root().as_fd(), OFlags::RDONLY).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ESTALE));
    let forged = FileHandle::from_parts(handle.kind(), b"x").unwrap();
    assert!(forged.open(arena.root().as_fd(), OFlags::RDONLY).is_err());
}

fn leases_work_in(dir: &Path) {
    lease::ignore_break_signals().unwrap();
    let path = dir.join("file");
    fs::write(&path, b"bytes").unwrap();
    let reader = File::open(&path).unwrap();

    let writer = OpenOptions::new().write(true).open(&path).unwrap();
    assert_eq!(lease::take_read(reader.as_fd()).unwrap(), Lease::Writer);
    drop(writer);
    assert_eq!(lease::take_read(reader.as_fd()).unwrap(), Lease::Held);

    // A writer is held off while the lease lasts, and goes on after it.
    let blocked = std::os::unix::fs::OpenOptionsExt::custom_flags(
        OpenOptions::new().write(true),
        OFlags::NONBLOCK.bits().cast_signed(),
    )
    .open(&path)
    .unwrap_err();
    assert_eq!(blocked.raw_os_error(), Some(libc::EWOULDBLOCK));
    lease::release(reader.as_fd()).unwrap();
    OpenOptions::new().write(true).open(&path).unwrap();
    assert_eq!(lease::release(reader.as_fd()).unwrap_err().raw_os_error(), Some(libc::EAGAIN));
}

#[test]
fn a_lease_and_a_writer_shut_each_other_out() {
    let _alone = alone();
    leases_work_in(tempfile::tempdir().unwrap().path());
}

#[test]
fn leases_work_on_tmpfs() {
    let Some(arena) = Arena::enter() else { return };
    leases_work_in(&arena.path(""));
}

#[test]
fn a_received_descriptor_can_be_leased() {
    let _alone = alone();
    lease::ignore_break_signals().unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), b"bytes").unwrap();
    let file = File::open(dir.path().join("file")).unwrap();
    let (here, there) = sys::socket::pair(sys::socket::Kind::Packets).unwrap();
    sys::socket::send(here.as_fd(), b"x", &[file.as_fd()], false).unwrap();
    let mut slots = [None];
    sys::socket::receive(there.as_fd(), &mut [0], &mut slots).unwrap();
    let received = slots[0].take().unwrap();
    assert_eq!(lease::take_read(received.as_fd()).unwrap(), Lease::Held);
    // It belongs to the open file, not to the descriptor.
    lease::release(file.as_fd()).unwrap();
}
