//! Hashes what the guard asks about.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use wire::link::v1::hashed::Result as Outcome;
use wire::link::{frame, v1};

use super::Event;
use super::control::Control;
use super::socket::{Pause, connect};
use crate::digest::{Hashed, Unsteady, hash_steadily};
use crate::guard::protocol;

/// How long a writer may take to go.
const PATIENCE: Duration = Duration::from_millis(20);
/// How often a file is read again because its inode changed meanwhile: a new name or mode is no new content.
const TRIES: u32 = 3;
/// Questions that wait for a worker. Beyond that they wait in the socket, and then with the guard.
const ROOM: usize = 64;

/// Files above this size take longer than the guard's timer. They have a worker of their own, so that nobody keeps
/// small files from being hashed in time by executing large ones.
const LARGE: u64 = 64 << 20;

/// One file to hash.
struct Job {
    id: u64,
    file: OwnedFd,
    /// Where the reply goes; of no use any more when the guard is another by then.
    guard: Arc<OwnedFd>,
}

pub(super) fn start(control: &Arc<Control>, workers: usize) {
    let lane = |workers| {
        let (jobs, queue) = crossbeam_channel::bounded(ROOM);
        for _ in 0..workers {
            let (queue, control) = (queue.clone(), Arc::clone(control));
            std::thread::spawn(move || work(&queue, &control));
        }
        jobs
    };
    let lanes = Lanes { small: lane(workers), large: lane(1) };
    let control = Arc::clone(control);
    std::thread::spawn(move || receive(&lanes, &control));
}

/// Where files wait for a worker.
struct Lanes {
    small: Sender<Job>,
    large: Sender<Job>,
}

impl Lanes {
    /// Whether there is anybody left to work. A large file for which there is no room is answered by the guard's
    /// timer, and not hashed: waiting would hold up the small ones behind it.
    fn put(&self, job: Job) -> bool {
        let is_large = rustix::fs::fstat(&job.file).is_ok_and(|stat| stat.st_size.cast_unsigned() > LARGE);
        if is_large {
            !matches!(self.large.try_send(job), Err(TrySendError::Disconnected(_)))
        } else {
            self.small.send(job).is_ok()
        }
    }
}

/// Takes questions off the socket until the client is dropped.
fn receive(lanes: &Lanes, control: &Control) {
    let mut pause = Pause::new();
    let mut packet = [0; 256];
    while !control.is_closed() {
        let Ok(socket) = connect(control.socket(), protocol::QUESTIONS) else {
            pause.sleep();
            continue;
        };
        pause.reset();
        let guard = Arc::new(socket);
        control.hold_questions(Some(&guard));
        let mut file = None;
        while let Ok(Some(packet)) = protocol::receive(guard.as_fd(), &mut packet, &mut file) {
            let (Ok(question), Some(file)) = (frame::decode::<v1::Question>(packet), file.take()) else {
                continue;
            };
            if !lanes.put(Job { id: question.id, file, guard: Arc::clone(&guard) }) {
                return;
            }
        }
        control.hold_questions(None);
    }
}

fn work(queue: &Receiver<Job>, control: &Control) {
    for job in queue {
        let hashed = hash(&job.file);
        let reply = frame::body(&reply(job.id, &hashed));
        // It fails only when the guard is gone, and then nobody waits.
        let _ = sys::socket::send(job.guard.as_fd(), &reply, &[], false);
        if let Ok(hashed) = hashed
            && let Ok(path) = sys::place::path_of(job.file.as_fd())
        {
            control.tell(Event::Hashed { path, hashed });
        }
    }
}

fn hash(file: &OwnedFd) -> Result<Hashed, Unsteady> {
    let mut tries = 1;
    loop {
        match hash_steadily(file.as_fd(), PATIENCE) {
            Err(Unsteady::Changed) if tries < TRIES => tries += 1,
            outcome => return outcome,
        }
    }
}

fn reply(id: u64, hashed: &Result<Hashed, Unsteady>) -> v1::Hashed {
    let (result, identity) = match hashed {
        Ok(hashed) => (Outcome::Digests((&hashed.digests).into()), protocol::sight(&hashed.stat).to_vec()),
        Err(Unsteady::Busy | Unsteady::Changed) => (Outcome::Busy(true), Vec::new()),
        Err(Unsteady::Unreadable(error)) => {
            (Outcome::Unreadable(error.raw_os_error().unwrap_or_default()), Vec::new())
        }
    };
    v1::Hashed { id, result: Some(result), identity }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn large_files_keep_no_small_one_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let (small, smalls) = crossbeam_channel::bounded(4);
        let (large, larges) = crossbeam_channel::bounded(1);
        let lanes = Lanes { small, large };
        let guard = Arc::new(OwnedFd::from(File::open(dir.path()).unwrap()));
        let job = |id, size| {
            let file = File::create(dir.path().join("file")).unwrap();
            file.set_len(size).unwrap();
            Job { id, file: file.into(), guard: Arc::clone(&guard) }
        };
        for id in 0..10 {
            assert!(lanes.put(job(id, LARGE + 1)), "nobody waits for room");
        }
        assert!(lanes.put(job(10, LARGE)));
        assert_eq!((larges.len(), smalls.len()), (1, 1));
    }
}
