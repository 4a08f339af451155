//! The process that is the disks: files in FUSE, under loop devices, and the orders of the test.
//!
//! It is a process of its own, so that a test that is killed while it waits for a disk does not wait for itself.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, INodeNo, LockOwner, OpenFlags,
    ReplyAttr, ReplyData, ReplyEmpty, ReplyOpen, ReplyWrite, Request, Session, WriteFlags,
};

use super::faults::{Faults, Kind};
use super::history::{self, Event, What};
use super::platter::{Platter, SECTOR};

/// All disks: what was told to one is in order with what was told to another.
#[derive(Default)]
struct State {
    platters: Vec<Platter>,
    faults: Vec<Faults>,
    events: Vec<Event>,
    below: Vec<Vec<Event>>,
    /// The loop devices over the disks.
    devices: Vec<String>,
}

impl State {
    fn note(&mut self, disk: usize, what: What) {
        self.events.push(Event { disk, what });
    }
}

/// One disk, as a file that is the root of its filesystem.
struct Disk {
    number: usize,
    state: Arc<Mutex<State>>,
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusal(&self, kind: Kind) -> Option<Errno> {
        self.state().faults[self.number].refusal(kind).map(Errno::from_i32)
    }
}

impl Filesystem for Disk {
    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let size = self.state().platters[self.number].length();
        let epoch = SystemTime::UNIX_EPOCH;
        reply.attr(
            &Duration::from_secs(3600),
            &FileAttr {
                ino,
                size,
                blocks: size / SECTOR as u64,
                atime: epoch,
                mtime: epoch,
                ctime: epoch,
                crtime: epoch,
                kind: FileType::RegularFile,
                perm: 0o600,
                nlink: 1,
                uid: 0,
                gid: 0,
                rdev: 0,
                blksize: 4096,
                flags: 0,
            },
        );
    }

    /// Without the page cache, which would keep writes to itself.
    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        if let Some(errno) = self.refusal(Kind::Read) {
            return reply.error(errno);
        }
        let read = self.state().platters[self.number].read(offset, size as usize);
        match read {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error.into()),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        if let Some(errno) = self.refusal(Kind::Write) {
            return reply.error(errno);
        }
        let mut state = self.state();
        state.platters[self.number].write(offset, data, |_| true);
        state.note(self.number, What::Write { offset, bytes: data.to_vec() });
        drop(state);
        reply.written(data.len() as u32);
    }

    /// Requests are answered one after the other, so that all before this one have been told done.
    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        if let Some(errno) = self.refusal(Kind::Flush) {
            return reply.error(errno);
        }
        self.state().note(self.number, What::Flush);
        reply.ok();
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }
}

/// Serves `images` as files at `points` and obeys what is read from standard input, until its end.
pub(super) fn run(images: &[&Path], points: &[&Path]) {
    let state = Arc::new(Mutex::new(State::default()));
    let mut sessions = Vec::new();
    for (number, (image, point)) in images.iter().zip(points).enumerate() {
        let file = File::options().read(true).write(true).open(image).unwrap();
        let mut all = state.lock().unwrap();
        all.platters.push(Platter::new(file));
        all.faults.push(Faults::default());
        drop(all);
        let disk = Disk { number, state: state.clone() };
        sessions.push(Session::new(disk, point, &Config::default()).unwrap().spawn().unwrap());
    }
    let orders = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    let mut answers = orders.try_clone().unwrap();
    for order in BufReader::new(orders).lines() {
        let Ok(order) = order else { break };
        let answer = obey(&mut state.lock().unwrap(), &order);
        if answers.write_all(format!("{answer}\n").as_bytes()).is_err() {
            break;
        }
    }
    // Also when the test was killed. The end of this process then ends what still waits for it.
    for device in &state.lock().unwrap().devices {
        let _ = Command::new("losetup").args(["-d", device]).status();
    }
    for point in points {
        let _ = sys::mounts::unmount_lazily(point);
    }
    std::process::exit(0);
}

fn obey(state: &mut State, order: &str) -> String {
    let words: Vec<&str> = order.split(' ').collect();
    let number = |at: usize| words.get(at).map(|word| word.parse::<u64>().unwrap());
    let State { platters, faults, events, below, devices } = state;
    match words[0] {
        "ready" => {}
        "attached" => devices.push(words[1].to_owned()),
        "record" => {
            platters.iter_mut().for_each(|platter| platter.settle().unwrap());
            events.clear();
        }
        "nest" => {
            platters.iter_mut().for_each(Platter::nest);
            below.push(std::mem::take(events));
        }
        "unnest" => {
            platters.iter_mut().for_each(Platter::unnest);
            *events = below.pop().unwrap();
        }
        "length" => return events.len().to_string(),
        "shape" => {
            let sign = |event: &Event| match event.what {
                What::Write { .. } => format!("w{}", event.disk),
                What::Flush => format!("f{}", event.disk),
            };
            return events.iter().map(sign).collect::<Vec<_>>().join(" ");
        }
        "counts" => {
            let counts = faults.iter().flat_map(|faults| faults.counts).map(|count| count.to_string());
            return counts.collect::<Vec<_>>().join(" ");
        }
        "cut" => return history::cut(platters, events, number(1).unwrap() as usize, number(2)),
        "fail" => {
            let kind = Kind::ALL.into_iter().find(|kind| kind.word() == words[2]).unwrap();
            let faults = &mut faults[number(1).unwrap() as usize];
            faults.arm(kind, number(3).unwrap(), number(4).unwrap(), words[5].parse().unwrap());
        }
        "heal" => {
            let hits: u64 = faults.iter().map(|faults| faults.hits).sum();
            faults.iter_mut().for_each(Faults::heal);
            return hits.to_string();
        }
        _ => panic!("no such order: {order}"),
    }
    "ok".to_owned()
}
