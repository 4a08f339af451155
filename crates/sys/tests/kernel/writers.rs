//! Writers that leave no trace in the inode.

use std::fs::OpenOptions;
use std::os::fd::AsFd;

use crate::arena::Arena;
use sys::fanotify::EventBuffer;
use sys::fanotify::writers::{Closed, WriterGroup};
use sys::handle::FileHandle;
use sys::lease::{self, Lease};

#[test]
fn whoever_could_write_is_told_of_before_a_lease_is_granted() {
    let Some(arena) = Arena::enter() else { return };
    lease::ignore_break_signals().unwrap();
    let group = WriterGroup::new().unwrap();
    group.mark_filesystem(arena.root().as_fd()).unwrap();
    let mut buffer = EventBuffer::default();
    let program = arena.program("tool");
    group.read(&mut buffer).unwrap().for_each(drop);

    let reader = std::fs::File::open(&program).unwrap();
    let meant = Closed::File(FileHandle::of(reader.as_fd()).unwrap());
    for _ in 0..200 {
        let writer = OpenOptions::new().write(true).open(&program).unwrap();
        assert_eq!(lease::take_read(reader.as_fd()).unwrap(), Lease::Writer);
        let leaving = std::thread::spawn(move || drop(writer));
        while lease::take_read(reader.as_fd()).unwrap() == Lease::Writer {}
        let told: Vec<_> = group.read(&mut buffer).unwrap().collect();
        assert_eq!(told, std::slice::from_ref(&meant));
        lease::release(reader.as_fd()).unwrap();
        leaving.join().unwrap();
    }
}
