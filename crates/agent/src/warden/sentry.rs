//! Who looks whether the children live, and whether root has pulled the lever. It starts nobody, and waits for
//! nobody: starting a process may mean waiting for the very guard that stands still.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sys::pidfd::PidFd;
use sys::scheduling::State;

use super::alarm::Alarm;
use super::groups;
use super::page::Page;
use super::pulse::{self, Plight, Pulse, Seems};
use crate::lever::{Lever, Pulled};

/// How often the lever is looked at, if nobody says that it was pulled.
const LEVER_EACH: Duration = Duration::from_secs(2);

/// A child that is looked after.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) pid: i32,
    pub(super) process: PidFd,
    pub(super) page: Arc<Page>,
    /// Of a guard.
    guard: Option<Guard>,
    pulse: Pulse,
    killed: bool,
}

/// What wakes a guard, and by what it wakes us.
#[derive(Debug)]
struct Guard {
    /// Rung, it beats.
    waker: Arc<OwnedFd>,
    alarm: Arc<Alarm>,
    /// When it was last heard that it is asked, or goes on; 0: never.
    roused: u64,
}

/// What the threads share.
#[derive(Debug)]
pub(super) struct Sentry {
    watched: Mutex<Vec<Watched>>,
    lever: Lever,
    /// Looks at the lever that have begun.
    begun: AtomicU64,
    seen: Mutex<Seen>,
    /// Rung when the lever was pulled or let go.
    pub(super) bell: OwnedFd,
    /// Rung when there is somebody to look at who was not there before, or was killed.
    news: OwnedFd,
    looks: AtomicU64,
    ended: AtomicBool,
}

/// What a look at the lever has shown.
#[derive(Debug)]
struct Seen {
    /// The how manieth look it was.
    look: u64,
    pulled: Option<Pulled>,
}

impl Sentry {
    /// Looks at the lever once, so that a guard is not started that must not be.
    ///
    /// # Errors
    /// EMFILE, or no thread.
    pub(super) fn post(lever: Lever) -> std::io::Result<Arc<Self>> {
        let sentry = Arc::new(Self {
            watched: Mutex::default(),
            begun: AtomicU64::new(0),
            seen: Mutex::new(Seen { look: 0, pulled: lever.pulled() }),
            lever,
            bell: crate::guard::bell()?,
            news: crate::guard::bell()?,
            looks: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let (pulse, lever) = (sentry.clone(), sentry.clone());
        std::thread::Builder::new().name("pulse".to_owned()).stack_size(STACK).spawn(move || pulse.feel())?;
        std::thread::Builder::new().name("lever".to_owned()).stack_size(STACK).spawn(move || {
            while !lever.ended.load(Ordering::Relaxed) {
                std::thread::sleep(LEVER_EACH);
                lever.look_at_lever();
            }
        })?;
        Ok(sentry)
    }

    /// Looks after a child that was just started.
    pub(super) fn watch(
        &self,
        pid: i32,
        process: PidFd,
        page: Arc<Page>,
        guard: Option<(Arc<OwnedFd>, Arc<Alarm>)>,
    ) {
        let pulse = Pulse::new(guard.is_some(), pulse::now());
        let guard = guard.map(|(waker, alarm)| Guard { waker, alarm, roused: 0 });
        self.watched.lock().push(Watched { pid, process, page, guard, pulse, killed: false });
        crate::guard::ring(&self.news);
    }

    /// No longer looks after a child; returns whether it was killed by us. To be called when it has ended and
    /// before it was waited for: until then its id is its own.
    pub(super) fn forget(&self, pid: i32) -> bool {
        let mut watched = self.watched.lock();
        let at = watched.iter().position(|child| child.pid == pid);
        at.is_some_and(|at| watched.swap_remove(at).killed)
    }

    /// What holds the guard back, if anything does.
    pub(super) fn pulled(&self) -> Option<Pulled> {
        self.seen.lock().pulled.clone()
    }

    /// Looks whether root has pulled the lever. If so, guards end: the kernel then permits all that waits.
    ///
    /// Two threads look, no lock is held while they read files, and of what they see the look counts that began last.
    pub(super) fn look_at_lever(&self) {
        let look = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let pulled = self.lever.pulled();
        let is_pulled = pulled.is_some();
        let is_news = {
            let mut seen = self.seen.lock();
            if look < seen.look {
                return;
            }
            let is_news = seen.pulled != pulled;
            *seen = Seen { look, pulled };
            is_news
        };
        if is_pulled {
            self.watched.lock().iter_mut().filter(|child| child.guard.is_some()).for_each(Watched::kill);
            crate::guard::ring(&self.news);
        }
        if is_news {
            crate::guard::ring(&self.bell);
        }
    }

    /// How often the children were looked at: it goes on for as long as somebody does.
    pub(super) fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    /// Ends the threads.
    pub(super) fn dismiss(&self) {
        self.ended.store(true, Ordering::Relaxed);
        crate::guard::ring(&self.news);
    }

    fn feel(&self) {
        sys::process::prefer_speed();
        let mut meant = pulse::next_look(pulse::now());
        while !self.ended.load(Ordering::Relaxed) {
            if self.is_roused(meant) {
                meant = meant.min(pulse::next_look(pulse::now()));
                continue;
            }
            let now = pulse::now();
            let late = pulse::is_late(meant, now);
            let (mut again, mut rest) = (false, true);
            for child in self.watched.lock().iter_mut() {
                again |= !child.feel(now, late);
                rest &= child.guard.is_none() || child.rests(now);
                // A debugger may keep its end from who waits for it.
                if child.killed && sys::scheduling::is_over(child.pid) {
                    crate::guard::ring(&self.bell);
                }
            }
            meant = if rest { pulse::next_look_at_rest(now) } else { pulse::next_look(now) };
            if again {
                meant =
                    meant.min(now.saturating_add(u64::try_from(pulse::AGAIN.as_nanos()).unwrap_or(u64::MAX)));
            }
            self.looks.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until then. Returns whether a guard that rested is asked, or there is somebody to be looked at, before.
    fn is_roused(&self, until: u64) -> bool {
        let now = pulse::now();
        let of = |child: &Watched| Some((child.pid, child.guard.as_ref()?.alarm.clone()));
        let resting = |child: &&Watched| child.rests(now);
        let (alarms, all_rest): (Vec<_>, bool) = {
            let watched = self.watched.lock();
            let all_rest = watched.iter().all(|child| child.guard.is_none() || child.rests(now));
            (watched.iter().filter(resting).filter_map(of).collect(), all_rest)
        };
        // One may have left its rest since it was last looked at: nobody would hear its bell.
        let until = if all_rest { until } else { until.min(pulse::next_look(now)) };
        let mut sources = vec![PollFd::new(&self.news, PollFlags::IN)];
        sources.extend(alarms.iter().map(|(_, alarm)| PollFd::new(&**alarm, PollFlags::IN)));
        let left = Duration::from_nanos(until.saturating_sub(now));
        // Interrupted, it is as if the time was over: a look too many.
        if !poll(&mut sources, Timespec::try_from(left).ok().as_ref()).is_ok_and(|ready| ready > 0) {
            return false;
        }
        crate::guard::drain(self.news.as_fd());
        let ringing = alarms.iter().zip(&sources[1..]).filter(|(_, source)| !source.revents().is_empty());
        for ((pid, alarm), _) in ringing {
            alarm.heed();
            let mut watched = self.watched.lock();
            if let Some(child) = watched.iter_mut().find(|child| child.pid == *pid) {
                child.guard.iter_mut().for_each(|guard| guard.roused = pulse::now());
            }
        }
        true
    }
}

/// Who has not ended by then may be frozen.
const AT_ONCE: Duration = Duration::from_millis(10);
/// Locked memory is real memory, so threads get no more of it than they need.
pub(super) const STACK: usize = 128 << 10;

impl Watched {
    /// Whether it is a guard that rests.
    fn rests(&self, now: u64) -> bool {
        let rests = |guard: &Guard| pulse::rests(self.page.rests_since(), guard.roused, now);
        !self.killed && self.guard.as_ref().is_some_and(rests)
    }

    /// Feels its pulse, and ends it where it stands still. Returns whether it seems well.
    fn feel(&mut self, now: u64, late: bool) -> bool {
        if self.rests(now) {
            self.pulse.rests();
            return true;
        }
        let pid = self.pid;
        let plight = || Plight {
            state: match sys::scheduling::state(pid) {
                Ok(State::Sleeps | State::WaitsDeeply) if groups::is_frozen(pid) => State::Stopped,
                state => state.unwrap_or(State::Sleeps),
            },
            ran: sys::scheduling::ran(pid).unwrap_or_default(),
        };
        match self.pulse.feel(self.page.last_beat(), now, late, plight) {
            _ if self.killed => self.kill(),
            Seems::Well => return true,
            // The timer that was to wake it may hang on a processor that its host does not run.
            Seems::Late => self.guard.iter().for_each(|guard| crate::guard::ring(&guard.waker)),
            Seems::Silent => self.kill(),
        }
        false
    }

    /// Ends it, even where it is frozen. Called again until it has ended.
    fn kill(&mut self) {
        self.killed = true;
        // It fails only when it has ended already.
        let _ = self.process.kill();
        if !self.process.wait_ended(AT_ONCE) {
            groups::thaw(self.pid);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::{CWD, FileType, Mode, OFlags};

    use super::*;

    /// A guard that does not beat, for as long as it says that it rests.
    #[test]
    fn who_rests_is_let_be_until_it_is_asked_or_goes_on() {
        const LONG: Duration = Duration::from_secs(20);
        let dir = tempfile::tempdir().unwrap();
        let lever = Lever { file: dir.path().join("released"), command_line: dir.path().join("cmdline") };
        let sentry = Sentry::post(lever).unwrap();
        for asked in [true, false] {
            let mut process = std::process::Command::new("sleep").arg("60").spawn().unwrap();
            let pid = process.id().cast_signed();
            let page = Arc::new(Page::new().unwrap());
            let (alarm, group) = (Arc::new(Alarm::new().unwrap()), crate::guard::bell().unwrap());
            page.beat();
            alarm.arm(group.as_fd()).unwrap();
            page.rest(Some(pulse::now()));
            let waker = Arc::new(crate::guard::bell().unwrap());
            sentry.watch(pid, sys::pidfd::open(pid).unwrap(), page.clone(), Some((waker, alarm.clone())));
            let handle = sys::pidfd::open(pid).unwrap();
            // It says so anew, as one does that is not asked.
            for _ in 0..4 {
                assert!(!handle.wait_ended(pulse::RESTS / 2), "it rested");
                page.rest(Some(pulse::now()));
            }
            if asked {
                crate::guard::ring(&group);
            } else {
                alarm.ring();
            }
            let deadline = std::time::Instant::now() + LONG;
            while !handle.wait_ended(pulse::RESTS / 2) {
                assert!(std::time::Instant::now() < deadline, "nobody was roused");
                // Who is asked and says so all the same is not believed, nor one who went on and never beat again.
                if asked {
                    page.rest(Some(pulse::now()));
                }
            }
            assert!(sentry.forget(pid));
            process.wait().unwrap();
        }
        sentry.dismiss();
    }

    #[test]
    fn an_older_look_that_ends_later_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (command_line, slow) = (dir.path().join("cmdline"), dir.path().join("slow"));
        // Who reads it waits for us.
        rustix::fs::mknodat(CWD, &slow, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        fs::hard_link(&slow, &command_line).unwrap();
        let lever = Lever { file: dir.path().join("released"), command_line: command_line.clone() };
        let sentry = Sentry {
            watched: Mutex::default(),
            begun: AtomicU64::new(0),
            seen: Mutex::new(Seen { look: 0, pulled: None }),
            lever,
            bell: crate::guard::bell().unwrap(),
            news: crate::guard::bell().unwrap(),
            looks: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        };
        std::thread::scope(|threads| {
            let older = threads.spawn(|| sentry.look_at_lever());
            let nonblock = OFlags::NONBLOCK.bits().cast_signed();
            let mut word = loop {
                if let Ok(fifo) = OpenOptions::new().write(true).custom_flags(nonblock).open(&slow) {
                    break fifo;
                }
                std::thread::sleep(Duration::from_millis(1));
            };
            // By now it is let go.
            fs::remove_file(&command_line).unwrap();
            fs::write(&command_line, "quiet").unwrap();
            sentry.look_at_lever();
            assert_eq!(sentry.pulled(), None);
            word.write_all(b"quell.release").unwrap();
            drop(word);
            older.join().unwrap();
        });
        assert_eq!(sentry.pulled(), None);
        fs::write(&command_line, "quell.release").unwrap();
        sentry.look_at_lever();
        assert_eq!(sentry.pulled(), Some(Pulled::ByKernel));
    }
}
