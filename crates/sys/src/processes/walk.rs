//! All processes, those included that are started during the walk.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{Mode, OFlags, RawDir, SeekFrom};

/// `/proc`, held open.
#[derive(Debug)]
pub struct Processes {
    pub(super) proc: OwnedFd,
}

/// As many are taken by a thread at a time: some take longer than others.
const SHARE: usize = 16;
/// From so many on, two threads look at them.
const MANY: usize = 200;
/// Of processes that are started while we look, no more than so many are run after.
const MOST_NEW: usize = 20_000;

impl Processes {
    /// The processes of the pid namespace that /proc shows.
    ///
    /// # Errors
    /// Those of opening /proc.
    pub fn open() -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { proc: rustix::fs::open("/proc", flags, Mode::empty())? })
    }

    /// Calls `visit` for each process, from two threads where there are many, then for those that were started
    /// meanwhile.
    ///
    /// New processes have greater ids than old ones, until ids begin anew. So whoever forks and ends, faster than
    /// one can list and look, runs into the end of this walk: there it lists and looks at one at a time.
    ///
    /// # Errors
    /// Those of reading /proc.
    pub fn each(&self, visit: &(dyn Fn(i32) + Sync)) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(&self.proc, ".", flags, Mode::empty())?;
        let mut listing = Listing::default();
        let ids = listing.read(&directory, &mut [MaybeUninit::uninit(); 32 * 1024])?;
        if ids.len() < MANY {
            ids.iter().for_each(|pid| visit(*pid));
        } else {
            let (shares, next) = (ids.chunks(SHARE).collect::<Vec<_>>(), AtomicUsize::new(0));
            let work = || {
                while let Some(share) = shares.get(next.fetch_add(1, Ordering::Relaxed)) {
                    share.iter().for_each(|pid| visit(*pid));
                }
            };
            thread::scope(|scope| {
                scope.spawn(work);
                work();
            });
        }
        let mut visited = 0;
        while visited < MOST_NEW && listing.seek_behind_last(&directory) {
            let new = listing.read(&directory, &mut [MaybeUninit::uninit(); 1024])?;
            if new.is_empty() {
                break;
            }
            new.iter().for_each(|pid| visit(*pid));
            visited += new.len();
        }
        Ok(())
    }
}

/// How far a directory's listing is.
#[derive(Default)]
struct Listing {
    last: Option<i32>,
    /// How much an entry's offset is greater than its process's id. Learnt, since the kernel promises nothing.
    shift: Option<i64>,
}

impl Listing {
    /// The ids from where the directory stands to its end.
    fn read(&mut self, directory: &OwnedFd, buffer: &mut [MaybeUninit<u8>]) -> io::Result<Vec<i32>> {
        let mut ids = Vec::new();
        let mut listing = RawDir::new(directory, buffer);
        let mut offset = None;
        while let Some(entry) = listing.next() {
            let entry = entry?;
            let id = str::from_utf8(entry.file_name().to_bytes()).ok().and_then(|name| name.parse().ok());
            if let Some(id) = id {
                self.shift = offset.map(|offset| offset - i64::from(id)).or(self.shift);
                self.last = self.last.max(Some(id));
                ids.push(id);
            }
            // Where the next entry stands.
            offset = i64::try_from(entry.next_entry_cookie()).ok();
        }
        Ok(ids)
    }

    /// Goes back from the end to where the next new process will stand.
    fn seek_behind_last(&self, directory: &OwnedFd) -> bool {
        let (Some(last), Some(shift)) = (self.last, self.shift) else { return false };
        let behind = u64::try_from(i64::from(last) + 1 + shift);
        behind.is_ok_and(|behind| rustix::fs::seek(directory.as_fd(), SeekFrom::Start(behind)).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};
    use std::sync::Mutex;

    #[test]
    fn each_is_visited_once_and_so_are_those_started_meanwhile() {
        let started: Mutex<Vec<Child>> = Mutex::default();
        let visited: Mutex<Vec<i32>> = Mutex::default();
        let own = std::process::id().cast_signed();
        Processes::open()
            .unwrap()
            .each(&|pid| {
                visited.lock().unwrap().push(pid);
                let mut started = started.lock().unwrap();
                // One at first, another when that one is seen.
                let is_newest = started.last().is_some_and(|child| child.id().cast_signed() == pid);
                if (pid == own && started.is_empty()) || (is_newest && started.len() < 3) {
                    started.push(Command::new("/bin/sleep").arg("60").spawn().unwrap());
                }
            })
            .unwrap();
        let visited = visited.into_inner().unwrap();
        let started = started.into_inner().unwrap();
        let ids: Vec<i32> = started.iter().map(|child| child.id().cast_signed()).collect();
        let highest = visited.iter().filter(|pid| !ids.contains(pid)).max().unwrap();
        for mut child in started {
            let id = child.id().cast_signed();
            let times = visited.iter().filter(|pid| **pid == id).count();
            child.kill().unwrap();
            child.wait().unwrap();
            // Numbers begin anew when the highest is reached: such a child is behind the walk.
            assert!(
                times == 1 || (times == 0 && id < *highest),
                "{id}: {times} times, the highest is {highest}"
            );
        }
        assert_eq!(visited.iter().filter(|pid| **pid == own).count(), 1);
    }
}
