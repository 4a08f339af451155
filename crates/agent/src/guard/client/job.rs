//! One file that the guard asks about, read a slice at a time.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::facts::Facts;
use model::{Kinds, Names};
use rustix::io::Errno;
use sys::identity::{Identity, Stat};
use sys::lease::Lease;
use wire::link::v1;
use wire::link::v1::hashed::Result as Outcome;

use super::asker::Asker;
use crate::digest::{self, Hasher, Unsteady};
use crate::guard::protocol;

/// How long a writer may take to go.
const PATIENCE: Duration = Duration::from_millis(20);
/// How often a file is read again because its inode changed meanwhile: a new name or mode is no new content.
const TRIES: u32 = 3;
/// How much is read of a file before another one may get its turn: some milliseconds' worth.
pub(super) const SLICE: u64 = 4 << 20;
/// A script is not larger.
const LARGEST_SCRIPT: u64 = 64 << 20;
/// As above, where somebody has the file open for writing, or may have: its digests are of no use again.
const LARGEST_UNSTEADY: u64 = 4 << 20;

/// One file to hash.
pub(super) struct Job {
    id: u64,
    pub(super) file: OwnedFd,
    kinds: Kinds,
    /// It is not to run, only to be read.
    opened: bool,
    /// Who wants to know.
    asker: Arc<Asker>,
    /// Until when a writer is waited for.
    deadline: Instant,
    tries: u32,
    reading: Option<Reading>,
}

/// A file as far as it was read, without writers where that can be had.
struct Reading {
    before: Stat,
    hasher: Hasher,
    read: u64,
}

/// A file's names, what its bytes say, and its inode before and after.
pub(super) type Read = Result<(Names, Facts, Stat), Unsteady>;

/// What came of a turn.
pub(super) enum Turn {
    Done(Box<Read>),
    /// Nothing that anybody could run.
    Data,
    /// So much was read, so much is left.
    More {
        read: u64,
        left: u64,
    },
}

impl Job {
    pub(super) fn new(question: &v1::Question, file: OwnedFd, asker: Arc<Asker>) -> Self {
        let kinds = Kinds { sha1: question.sha1, md5: question.md5 };
        let deadline = Instant::now() + PATIENCE;
        let (id, opened) = (question.id, question.opened);
        Self { id, file, kinds, opened, asker, deadline, tries: 1, reading: None }
    }

    /// Whether anybody waits for its answer, or for the verdict that comes of it.
    pub(super) fn is_wanted(&self) -> bool {
        self.asker.wants(self.id)
    }

    /// How much was read by now.
    pub(super) fn read(&self) -> u64 {
        self.reading.as_ref().map_or(0, |reading| reading.read)
    }

    /// Answers that nobody could run it.
    pub(super) fn is_data(&self) {
        self.asker.tell(&v1::Hashed { id: self.id, result: Some(Outcome::Data(true)), identity: Vec::new() });
    }

    /// Answers with what was read.
    pub(super) fn is_read(&self, outcome: &Read) {
        self.asker.tell(&answer(self.id, outcome));
    }

    /// Answers that there was no time for it: the guard tells the opener what policy says, and counts a failure.
    pub(super) fn is_refused(&self) {
        let busy = std::io::Error::from(rustix::io::Errno::NOBUFS);
        self.is_read(&Err(Unsteady::Unreadable(busy)));
    }

    /// Reads a slice.
    pub(super) fn turn(&mut self) -> Turn {
        self.read_on(Hasher::read_on)
    }

    /// Reads a slice as far as it is in memory. It waits for no disk; a file that is only opened may need that.
    pub(super) fn turn_in_memory(&mut self) -> Turn {
        match self.opened {
            true => Turn::More { read: 0, left: 0 },
            false => self.read_on(Hasher::read_from_memory),
        }
    }

    fn read_on(&mut self, read: impl Fn(&mut Hasher, BorrowedFd<'_>, u64) -> std::io::Result<bool>) -> Turn {
        self.try_to_read(read).unwrap_or_else(|error| Turn::Done(Box::new(Err(error.into()))))
    }

    fn try_to_read(
        &mut self,
        read: impl Fn(&mut Hasher, BorrowedFd<'_>, u64) -> std::io::Result<bool>,
    ) -> std::io::Result<Turn> {
        let Some(reading) = &mut self.reading else {
            // None is to be had on some filesystems, and on none where root has switched them off. What is read then
            // must do: it is judged by, and never kept. A change meanwhile is seen by the inode's times.
            let lease = sys::lease::take_read(self.file.as_fd()).ok();
            if lease == Some(Lease::Writer) && !self.opened {
                let is_over = Instant::now() >= self.deadline;
                return Ok(match is_over {
                    true => Turn::Done(Box::new(Err(Unsteady::Busy))),
                    false => Turn::More { read: 0, left: 0 },
                });
            }
            let before = Identity::of(self.file.as_fd())?;
            if self.opened && !may_run(self.file.as_fd(), before.size, lease)? {
                return Ok(Turn::Data);
            }
            self.reading = Some(Reading { before, hasher: Hasher::new(self.kinds), read: 0 });
            return self.try_to_read(read);
        };
        let size = reading.before.size;
        match read(&mut reading.hasher, self.file.as_fd(), SLICE) {
            Ok(true) => {}
            Ok(false) => {
                reading.read += SLICE;
                return Ok(Turn::More { read: SLICE, left: size.saturating_sub(reading.read) });
            }
            // Not all of it is in memory.
            Err(error) if is_to_be_waited_for(&error) => {
                return Ok(Turn::More { read: 0, left: size.saturating_sub(reading.read) });
            }
            Err(error) => return Err(error),
        }
        let Some(reading) = self.reading.take() else {
            return Ok(Turn::Done(Box::new(Err(Unsteady::Changed))));
        };
        let (names, facts) = reading.hasher.finish();
        let after = Identity::of(self.file.as_fd())?;
        let is_steady = (reading.before.ctime_ns, size) == (after.ctime_ns, after.size) && facts.size == size;
        if is_steady {
            return Ok(Turn::Done(Box::new(Ok((names, facts, after)))));
        }
        self.tries += 1;
        if self.tries > TRIES {
            return Ok(Turn::Done(Box::new(Err(Unsteady::Changed))));
        }
        Ok(Turn::More { read: facts.size % SLICE, left: after.size })
    }
}

fn is_to_be_waited_for(error: &std::io::Error) -> bool {
    let errnos = [Errno::AGAIN, Errno::OPNOTSUPP].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|errno| errnos.contains(&errno))
}

/// Whether somebody could run what is opened: any text of a script's size, any size of what begins as a program.
fn may_run(file: BorrowedFd<'_>, size: u64, lease: Option<Lease>) -> std::io::Result<bool> {
    let largest = if lease == Some(Lease::Held) { LARGEST_SCRIPT } else { LARGEST_UNSTEADY };
    let is_written = lease == Some(Lease::Writer);
    Ok(size <= largest || (!is_written && digest::look(file, size)?.file_type.is_executable()))
}

fn answer(id: u64, outcome: &Read) -> v1::Hashed {
    let (result, identity) = match outcome {
        Ok((names, _, stat)) => (Outcome::Digests(names.into()), protocol::sight(stat).to_vec()),
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
    use std::io::Write;

    fn job(path: &std::path::Path) -> Job {
        let question = v1::Question { sha1: true, ..Default::default() };
        let asker = Asker::new(Arc::new(File::open("/dev/null").unwrap().into()));
        Job::new(&question, File::open(path).unwrap().into(), Arc::new(asker))
    }

    fn end(job: &mut Job) -> (usize, Read) {
        let mut turns = 1;
        loop {
            match job.turn() {
                Turn::Done(outcome) => return (turns, *outcome),
                Turn::Data => unreachable!("it is to run"),
                Turn::More { .. } => turns += 1,
            }
        }
    }

    #[test]
    fn a_large_file_takes_turns_and_has_the_names_that_were_asked_for() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![1; 9 << 20]).unwrap();
        let path = file.into_temp_path();
        let (turns, outcome) = end(&mut job(&path));
        let (names, facts, _) = outcome.unwrap();
        assert_eq!((turns, facts.size), (3, 9 << 20));
        assert_eq!(names.kinds(), Kinds { sha1: true, md5: false });
        let whole = crate::digest::hash_plainly(File::open(&path).unwrap().as_fd()).unwrap().0;
        assert_eq!(names, Names { md5: None, ..whole.into() });
    }

    /// No device has leases.
    #[test]
    fn without_leases_a_file_is_read_all_the_same() {
        let path = std::path::Path::new("/dev/null");
        assert!(sys::lease::take_read(File::open(path).unwrap().as_fd()).is_err());
        let (names, facts, _) = end(&mut job(path)).1.unwrap();
        let nothing = crate::digest::hash_plainly(File::open(path).unwrap().as_fd()).unwrap().0;
        assert_eq!((names.sha256, facts.size), (nothing.sha256, 0));
    }

    #[test]
    fn a_writer_that_stays_makes_it_busy() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (turns, outcome) = end(&mut job(file.path()));
        assert!(matches!(outcome, Err(Unsteady::Busy)) && turns > 1);
    }
}
