//! Hashes what the guard asks about.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use model::Names;
use model::facts::Facts;
use sys::identity::Stat;
use wire::link::{frame, v1};

use super::Event;
use super::asker::Asker;
use super::control::Control;
use super::job::{Job, SLICE, Turn};
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
    /// What is read once more, for the records.
    rest: Arc<Queue<Partly>>,
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
    rest: Arc<Queue<Partly>>,
}

impl Hashing {
    /// Starts the threads. They end when the client is dropped.
    pub(super) fn start(control: &Arc<Control>) -> Arc<Self> {
        let hashing = Arc::new(Self {
            quick: Arc::new(Queue::new(ROOM, QUICK)),
            patient: Arc::new(Queue::new(ROOM, PATIENT)),
            rest: rest::start(control),
        });
        let ways = Ways { control: Arc::clone(control), rest: Arc::clone(&hashing.rest) };
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
            receiving.rest.close();
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
            let mut file = None;
            while let Ok(Some(packet)) = protocol::receive(socket.as_fd(), &mut packet, &mut file) {
                if let Ok(question) = frame::decode::<v1::Question>(packet) {
                    self.hear(&asker, &question, file.take());
                }
            }
            control.hold_questions(None);
            asker.leaves();
            self.drop_unwanted();
        }
    }

    fn hear(&self, asker: &Arc<Asker>, question: &v1::Question, file: Option<OwnedFd>) {
        match file {
            _ if question.cancelled => {
                asker.cancels(question.id);
                // A worker that has it lets go of it after its slice.
                self.drop_unwanted();
            }
            Some(file) => {
                let (device, size) = rustix::fs::fstat(&file)
                    .map_or((0, 0), |stat| (stat.st_dev, stat.st_size.cast_unsigned()));
                asker.asks(question.id);
                let job = Job::new(question, file, Arc::clone(asker));
                if let Err(job) = self.quick.put(question.user, device, size, job) {
                    job.is_refused();
                }
            }
            None => {}
        }
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
                job.is_read(&outcome);
                let read = (*outcome).as_ref().map_or(0, |(_, facts, _)| facts.size % SLICE);
                queue.served(&turn, read, None);
                if let Ok((names, facts, stat)) = *outcome {
                    ways.tell(turn.user, job.file, names, facts, stat);
                }
            }
        }
    }
}

impl Ways {
    /// Tells the agent what the file is, at once or when its other digests are there.
    fn tell(&self, user: u32, file: OwnedFd, names: Names, facts: Facts, stat: Stat) {
        let Ok(path) = sys::place::path_of(file.as_fd()) else { return };
        if let Some(digests) = names.all() {
            self.control.tell(Event::Hashed { path, hashed: Hashed { digests, facts, stat } });
        } else if let Ok(file) = sys::place::reopen(file.as_fd()) {
            // Opened anew, for this descriptor keeps writers waiting. When there is no room, the watch finds the copy.
            let _ = self.rest.put(user, stat.device, stat.size, Partly { file, path, names, stat });
        }
    }
}

#[cfg(test)]
#[path = "hashing_tests.rs"]
mod tests;
