//! Hashes what the guard asks about.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use model::Names;
use model::facts::Facts;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sys::identity::Stat;
use wire::link::{frame, v1};

use super::Event;
use super::asker::Asker;
use super::control::Control;
use super::job::{Job, Read, SLICE, Turn};
use super::queue::{Crew, Queue};
use super::rest::{self, Partly};
use super::socket::{Pause, connect};
use super::workers;
use crate::digest::{Awaited, Hashed};
use crate::guard::protocol;

/// When to look again whether a writer has gone.
const RETRY: Duration = Duration::from_millis(1);
/// Questions that wait for a worker: more than the guard keeps.
const ROOM: usize = 2048;
/// Of no file more is read while others want the processor: it may have no end.
const LARGE: u64 = 1 << 30;

/// A file up to this size is read by whoever hears of it, when nobody else wants anything: waking a worker for it takes
/// a noticeable part of the time that reading it does. It is a millisecond's worth, which others may have to wait.
const AT_ONCE: u64 = 1 << 20;
/// What need not be done before the opener goes on waits so long for the next question,
const LATER: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
/// and for so many: until it is done, writers of these files wait.
const MOST_LATER: usize = 8;

/// No slice takes so long but from a disk that does not answer.
const LONG: Duration = Duration::from_secs(5);

/// Hashing is processor time, so more readers than two would take it from the machine's owner. Those that wait for a
/// disk take none.
const QUICK: Crew = Crew { moving: 2, most: 8, most_still_on_one: 3, told_after: Some(LONG) };
/// For what is left of large files.
const PATIENT: Crew = Crew { moving: 1, most: 4, most_still_on_one: 2, told_after: None };

/// The files that are to be hashed.
pub(super) struct Hashing {
    quick: Arc<Queue<Job>>,
    /// Their openers have their answers long since; only a late verdict is open.
    patient: Arc<Queue<Job>>,
    ways: Ways,
}

impl std::fmt::Debug for Hashing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Hashing").finish_non_exhaustive()
    }
}

/// Where files that were read go to.
#[derive(Clone)]
struct Ways {
    control: Arc<Control>,
    /// What is read once more, for the records.
    rest: Arc<Queue<Partly>>,
}

/// A file whose reader has been answered.
struct Known {
    user: u32,
    file: OwnedFd,
    names: Names,
    facts: Facts,
    stat: Stat,
}

impl Hashing {
    /// Starts the threads. They end when the client is dropped.
    pub(super) fn start(control: &Arc<Control>) -> Arc<Self> {
        let ways = Ways { control: Arc::clone(control), rest: rest::start(control) };
        let hashing = Arc::new(Self {
            quick: Arc::new(Queue::new(ROOM, QUICK)),
            patient: Arc::new(Queue::new(ROOM, PATIENT)),
            ways: ways.clone(),
        });
        let (quick_ways, patient) = (ways.clone(), Arc::clone(&hashing.patient));
        workers::start(&hashing.quick, move |queue| work(queue, Some(&patient), &quick_ways));
        workers::start(&hashing.patient, move |queue| {
            sys::process::run_when_idle();
            work(queue, None, &ways);
        });
        let (receiving, control) = (Arc::clone(&hashing), Arc::clone(control));
        std::thread::spawn(move || {
            receiving.receive(&control);
            receiving.queues().for_each(Queue::close);
            receiving.ways.rest.close();
        });
        hashing
    }

    /// How many readers have stood still for long.
    pub(super) fn standing_still(&self) -> usize {
        self.quick.standing_still().len()
    }

    fn queues(&self) -> impl Iterator<Item = &Queue<Job>> {
        [&*self.quick, &*self.patient].into_iter()
    }

    /// Takes questions off the socket until the client is dropped.
    fn receive(&self, control: &Control) {
        let mut pause = Pause::new();
        let mut packet = [0; 256];
        while !control.is_closed() {
            let Ok(socket) = connect(control.socket(), protocol::QUESTIONS) else {
                pause.sleep();
                continue;
            };
            pause.reset();
            let socket = Arc::new(socket);
            control.hold_questions(Some(&socket));
            let asker = Arc::new(Asker::new(Arc::clone(&socket)));
            self.listen(&asker, &socket, &mut packet);
            control.hold_questions(None);
            asker.leaves();
            self.drop_unwanted();
        }
    }

    /// Takes questions off one connection until it ends.
    fn listen(&self, asker: &Arc<Asker>, socket: &OwnedFd, packet: &mut [u8]) {
        let mut later = Vec::new();
        let mut file = None;
        loop {
            if !later.is_empty() && (later.len() >= MOST_LATER || !is_readable(socket, &LATER)) {
                later.drain(..).for_each(|known| self.ways.tell(known));
            }
            let Ok(Some(packet)) = protocol::receive(socket.as_fd(), packet, &mut file) else { break };
            let Ok(question) = frame::decode::<v1::Question>(packet) else { continue };
            match file.take() {
                _ if question.cancelled => {
                    asker.cancels(question.id);
                    // A worker that has it lets go of it after its slice.
                    self.drop_unwanted();
                }
                Some(file) => {
                    let is_last = || !is_readable(socket, &Timespec::default());
                    later.extend(self.hear(asker, &question, file, is_last));
                }
                None => {}
            }
        }
        later.into_iter().for_each(|known| self.ways.tell(known));
    }

    /// Takes in one question, and answers it at once if `is_last` says that no other one waits, nobody reads, and the
    /// file is small and in memory. Returns what is then left to be done.
    fn hear(
        &self,
        asker: &Arc<Asker>,
        question: &v1::Question,
        file: OwnedFd,
        is_last: impl FnOnce() -> bool,
    ) -> Option<Known> {
        let (device, size) =
            rustix::fs::fstat(&file).map_or((0, 0), |stat| (stat.st_dev, stat.st_size.cast_unsigned()));
        asker.asks(question.id);
        let mut job = Job::new(question, file, Arc::clone(asker));
        if size <= AT_ONCE && is_last() && self.quick.is_idle() {
            let awaited = Awaited::new();
            let came = job.turn_in_memory();
            drop(awaited);
            match came {
                // A worker goes on where it stands.
                Turn::More { .. } => {}
                Turn::Data => {
                    job.is_data();
                    return None;
                }
                Turn::Done(outcome) => return job.end(question.user, *outcome),
            }
        }
        if let Err(job) = self.quick.put(question.user, device, size, job) {
            job.is_refused();
        }
        None
    }

    fn drop_unwanted(&self) {
        self.queues().for_each(|queue| queue.retain(Job::is_wanted));
    }
}

/// Reads files slice by slice; what is large is left to `patient`, if there is one.
fn work(queue: &Queue<Job>, patient: Option<&Arc<Queue<Job>>>, ways: &Ways) {
    while let Some((turn, mut job)) = queue.take() {
        if !job.is_wanted() {
            queue.served(&turn, 0, None);
            continue;
        }
        // The patient have none who waits for them.
        let awaited = patient.is_some().then(Awaited::new);
        let came = job.turn();
        drop(awaited);
        match came {
            Turn::More { read, .. } if !job.is_wanted() => queue.served(&turn, read, None),
            Turn::More { read, left } => match patient.filter(|_| job.read() >= LARGE) {
                Some(patient) => {
                    queue.served(&turn, read, None);
                    if let Err(job) = patient.put(turn.user, turn.device, left, job) {
                        job.is_refused();
                    }
                }
                None => {
                    if read == 0 {
                        queue.pause(RETRY);
                    }
                    queue.served(&turn, read, Some((left, job)));
                }
            },
            Turn::Data => {
                job.is_data();
                queue.served(&turn, 0, None);
            }
            Turn::Done(outcome) => {
                let read = (*outcome).as_ref().map_or(0, |(_, facts, _)| facts.size % SLICE);
                let known = job.end(turn.user, *outcome);
                queue.served(&turn, read, None);
                known.into_iter().for_each(|known| ways.tell(known));
            }
        }
    }
}

impl Job {
    /// Answers with what was read. Returns what there is to tell of it.
    fn end(self, user: u32, outcome: Read) -> Option<Known> {
        self.is_read(&outcome);
        let (names, facts, stat) = outcome.ok()?;
        Some(Known { user, file: self.file, names, facts, stat })
    }
}

impl Ways {
    /// Tells the agent what the file is, at once or when its other digests are there.
    fn tell(&self, known: Known) {
        let Known { user, file, names, facts, stat } = known;
        let Ok(path) = sys::place::path_of(file.as_fd()) else { return };
        if let Some(digests) = names.all() {
            self.control.tell(Event::Hashed { path, hashed: Hashed { digests, facts, stat } });
        } else if let Ok(file) = sys::place::reopen(file.as_fd()) {
            // Opened anew, for this descriptor keeps writers waiting. When there is no room, the watch finds the copy.
            let _ = self.rest.put(user, stat.device, stat.size, Partly { file, path, names, stat });
        }
    }
}

/// Whether there is something to be read within `patience`, if only the end.
fn is_readable(socket: &OwnedFd, patience: &Timespec) -> bool {
    poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(patience)) != Ok(0)
}

#[cfg(test)]
#[path = "hashing_tests.rs"]
mod tests;
