//! The thread that keeps up with what is mounted.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sys::mounts::{Changes, Mount, MountGroup, Tree};

use super::visit::{self, Met, Plan, Spot, Step};
use super::{Filesystem, State};
use crate::elsewhere::Elsewhere;
use crate::guard::client::Marks;
use crate::guard::{bell, drain, ring};

/// Without news, new namespaces are looked for so seldom, and seldom enough to take a two-thousandth of a processor;
/// but what is mounted where the kernel does not tell of it is not left alone for longer than the slowest pace.
const PACE: Duration = Duration::from_secs(1);
const SHARE: u32 = 2000;
const SLOWEST: Duration = Duration::from_secs(10);
/// While nothing changes, the guard is asked for its marks so often.
const MARKS: Duration = Duration::from_secs(10);
/// Whoever mounts all the time makes us use a twentieth of a processor, and keeps others waiting no longer than that.
const BUSY_SHARE: u32 = 20;
const LONGEST: Duration = Duration::from_secs(5);
/// What is mounted together is looked at together.
const SETTLED: Duration = Duration::from_millis(2);
/// Visitors that may hang at the same time; beyond that nobody sets out.
const MOST_STUCK: usize = 16;

/// What was found at one time.
#[derive(Debug)]
pub struct Told {
    /// What is mounted in the agent's own namespace.
    pub own: Tree,
    /// Every filesystem that is not the kernel showing itself, by device. What is watched is not told here.
    pub filesystems: BTreeMap<u64, Filesystem>,
    /// What is mounted in other mount namespaces only, if that is looked for.
    pub elsewhere: Vec<Arc<Elsewhere>>,
    /// Whether a guard is there and denies.
    pub is_guard_there: bool,
}

/// Keeps up with what is mounted until it is dropped.
#[derive(Debug)]
pub struct Follower {
    hint: Hint,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Says that it is worth looking now.
#[derive(Debug, Clone)]
pub struct Hint(Arc<OwnedFd>);

impl Hint {
    /// Looks as soon as it can be.
    pub fn look(&self) {
        ring(&self.0);
    }
}

impl Follower {
    /// Starts. What `choose` wants is brought to the guard; `heard` is told after each look that found news. What is
    /// mounted elsewhere only is told with it where `looks_elsewhere`.
    ///
    /// # Errors
    /// When nothing can be heard of mounts, or there is no thread to be had.
    pub fn start(
        marks: Option<Marks>,
        looks_elsewhere: bool,
        choose: impl Fn(&Mount) -> bool + Send + Sync + 'static,
        heard: impl FnMut(Told) + Send + 'static,
    ) -> std::io::Result<Self> {
        let hint = Hint(Arc::new(bell()?));
        let ended = Arc::new(AtomicBool::new(false));
        if let Some(marks) = &marks {
            marks.ring_when_ready(Arc::clone(&hint.0));
        }
        let mut following = Following {
            marks,
            looks_elsewhere,
            choose: Arc::new(choose),
            heard,
            told: MountGroup::new().ok().map(Arc::new),
            bell: Arc::clone(&hint.0),
            ended: Arc::clone(&ended),
            namespaces: None,
            marked: None,
            asked: Instant::now(),
            stuck: Vec::new(),
            missed: false,
            is_barred: false,
        };
        let own = Changes::own()?;
        let run = move || following.run(&own);
        let thread = std::thread::Builder::new().name("mounts".to_owned()).spawn(run)?;
        Ok(Self { hint, ended, thread: Some(thread) })
    }

    /// By which others say that it is worth looking.
    pub fn hint(&self) -> Hint {
        self.hint.clone()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        self.hint.look();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Following<H> {
    marks: Option<Marks>,
    looks_elsewhere: bool,
    choose: Arc<visit::Choose>,
    heard: H,
    /// None where the kernel does not tell of other namespaces.
    told: Option<Arc<MountGroup>>,
    bell: Arc<OwnedFd>,
    ended: Arc<AtomicBool>,
    /// Those that were looked into.
    namespaces: Option<BTreeSet<u64>>,
    /// What was marked after the last look.
    marked: Option<BTreeSet<u64>>,
    /// When that was.
    asked: Instant,
    stuck: Vec<(Spot, JoinHandle<Duration>)>,
    /// The last look left something out, or the kernel will not tell of something: quiet proves nothing.
    missed: bool,
    /// There are some that can't be entered, which was said.
    is_barred: bool,
}

/// What a round has brought.
#[derive(Default)]
struct Round {
    namespaces: Option<BTreeSet<u64>>,
    own: Option<Tree>,
    met: BTreeMap<u64, Met>,
    elsewhere: BTreeMap<u64, Arc<Elsewhere>>,
    unreached: BTreeMap<u64, String>,
    /// Namespaces that we have no right to go into.
    barred: BTreeSet<u64>,
    marked: Option<BTreeSet<u64>>,
    missed: bool,
    /// Processor time of the visitors.
    spent: Duration,
}

impl<H: FnMut(Told)> Following<H> {
    fn run(&mut self, own: &Changes) {
        let mut is_news = true;
        let mut pace = PACE;
        while !self.ended.load(Ordering::SeqCst) {
            let before = sys::process::thread_time();
            let visited = self.look(is_news);
            let spent = visited + sys::process::thread_time().saturating_sub(before);
            if !is_news {
                pace = (spent * SHARE).clamp(PACE, SLOWEST);
            }
            if is_news || !visited.is_zero() {
                std::thread::sleep((spent * BUSY_SHARE).clamp(SETTLED, LONGEST));
            }
            is_news = self.wait(own, pace);
        }
    }

    /// Whether there are news of mounts before the time is over.
    fn wait(&self, own: &Changes, time: Duration) -> bool {
        // Without the group, the bell stands in for it.
        let told = self.told.as_ref().map_or(self.bell.as_fd(), |told| told.as_fd());
        let mut sources = [
            PollFd::new(own, PollFlags::PRI),
            PollFd::new(&self.bell, PollFlags::IN),
            PollFd::new(&told, PollFlags::IN),
        ];
        let time = Timespec::try_from(time).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let is_news = poll(&mut sources, Some(&time)).is_ok_and(|ready| ready > 0);
        drain(self.bell.as_fd());
        if let Some(Err(error)) = self.told.as_ref().map(|told| told.drain()) {
            tracing::debug!(%error, "mounts elsewhere are noticed late");
        }
        is_news
    }

    /// Looks round, and brings to the guard what it lacks. Returns the processor time that visitors took.
    fn look(&mut self, is_news: bool) -> Duration {
        self.stuck.retain(|(_, visitor)| !visitor.is_finished());
        if self.stuck.len() >= MOST_STUCK {
            tracing::error!("looking for mounts hangs in many places; new filesystems are not guarded");
            return Duration::ZERO;
        }
        if !is_news && self.is_unchanged() {
            return Duration::ZERO;
        }
        let marked = self.marks.as_ref().and_then(Marks::list);
        self.asked = Instant::now();
        // The kernel tells of every change in what was looked into, and the guard of what it lost.
        let is_quiet = self.told.is_some() && !is_news && !self.missed && self.marked == marked;
        let mut round = Round { marked, ..Round::default() };
        let unless = self.namespaces.take().filter(|_| is_quiet);
        while !self.go_round(&mut round, unless.as_ref()) {
            if self.stuck.len() >= MOST_STUCK {
                break;
            }
        }
        self.marked.clone_from(&round.marked);
        if !round.barred.is_empty() && !std::mem::replace(&mut self.is_barred, true) {
            tracing::warn!(
                "mount namespaces can't be entered without CAP_SYS_CHROOT; nothing is guarded there"
            );
        }
        let spent = round.spent;
        self.missed = round.missed || !self.stuck.is_empty();
        if let (Some(namespaces), Some(own)) = (round.namespaces.take(), round.own.take()) {
            self.namespaces = Some(namespaces);
            (self.heard)(round.told(own, self.marks.is_some()));
        } else {
            self.namespaces = unless;
        }
        spent
    }

    /// Whether there are the same namespaces as in the last round, and nothing else is to be looked at. Asks nothing but
    /// the kernel, and no filesystem.
    fn is_unchanged(&self) -> bool {
        let ids = || sys::mounts::namespaces().ok().map(|all| all.map(|namespace| namespace.id).collect());
        let is_quiet = self.told.is_some() && !self.missed && self.asked.elapsed() < MARKS;
        is_quiet && self.namespaces.is_some() && ids() == self.namespaces
    }

    /// One round; `false` when the visitor was left behind, and another is to set out.
    fn go_round(&mut self, round: &mut Round, unless: Option<&BTreeSet<u64>>) -> bool {
        let plan = Plan {
            told: self.told.clone(),
            unless: unless.cloned(),
            marked: round.marked.clone(),
            choose: Arc::clone(&self.choose),
            looks_elsewhere: self.looks_elsewhere,
            avoid: self.stuck.iter().map(|(spot, _)| *spot).collect(),
        };
        let (steps, visitor) = match visit::set_out(plan) {
            Ok(set_out) => set_out,
            Err(error) => {
                tracing::warn!(%error, "nobody can look for mounts now");
                return true;
            }
        };
        let mut at = None;
        loop {
            match steps.recv_timeout(visit::PATIENCE) {
                Ok(Step::At(spot)) => at = Some(spot),
                Ok(step) => self.take(round, step),
                Err(RecvTimeoutError::Disconnected) => {
                    round.spent += visitor.join().unwrap_or_default();
                    return true;
                }
                Err(RecvTimeoutError::Timeout) => {
                    // The whole machine may stand still for a while: only who is known to be somewhere hangs.
                    let Some(spot) = at else { continue };
                    tracing::warn!(
                        namespace = spot.namespace,
                        "looking for a filesystem does not end; it is left"
                    );
                    self.stuck.push((spot, visitor));
                    return false;
                }
            }
        }
    }

    fn take(&mut self, round: &mut Round, step: Step) {
        match step {
            Step::At(_) | Step::LeftOut => {}
            Step::Namespaces(ids) => round.namespaces = Some(ids),
            Step::Own(tree) => round.own = Some(tree),
            Step::Missed => round.missed = true,
            Step::Met(met) => {
                round.met.entry(met.device).or_insert(met);
            }
            Step::Elsewhere(found) => {
                round.elsewhere.entry(found.mount.device).or_insert(found);
            }
            Step::Opened(mount, object) => {
                let Some(marks) = &self.marks else { return };
                match marks.add(object.as_fd(), mount.device, &mount.point) {
                    Ok(()) => {
                        round.unreached.remove(&mount.device);
                        round.marked.get_or_insert_default().insert(mount.device);
                    }
                    Err(reason) => {
                        // The guard may have had no time for it.
                        round.missed = true;
                        round.unreached.insert(mount.device, reason);
                    }
                }
            }
            Step::Barred(namespace) => drop(round.barred.insert(namespace)),
            Step::Unreached(device, reason) => {
                let is_marked = round.marked.as_ref().is_some_and(|marked| marked.contains(&device));
                if !is_marked {
                    round.unreached.insert(device, reason);
                }
            }
        }
    }
}

/// No filesystem has this device number.
const BARRED: u64 = 0;

/// What stands for all that is mounted where we can't look.
fn barred(count: usize) -> Filesystem {
    let reason =
        format!("{count} mount namespaces can't be entered; CAP_SYS_ADMIN and CAP_SYS_CHROOT are needed");
    Filesystem {
        device: BARRED,
        path: "/".into(),
        kind: "mount namespaces".to_owned(),
        state: State::Failed(reason),
    }
}

impl Round {
    fn told(mut self, own: Tree, should_be_guarded: bool) -> Told {
        // One that marks nothing has no rules yet.
        let is_guard_there = self.marked.as_ref().is_some_and(|marked| !marked.is_empty());
        let marked = self.marked.take().unwrap_or_default();
        let is_overlay = |device: &u64| self.met.get(device).is_some_and(|met| met.layers.is_some());
        let state = |met: &Met| {
            if !met.is_local {
                State::NotLocal
            } else if marked.contains(&met.device) {
                State::Guarded
            } else if !should_be_guarded || !met.is_chosen {
                State::NotChosen
            } else if !is_guard_there {
                State::Failed("no guard is attached that has rules".to_owned())
            } else if let Some(reason) = self.unreached.get(&met.device) {
                State::Failed(reason.clone())
            } else if met.layers.iter().flatten().all(|layer| marked.contains(layer) || is_overlay(layer)) {
                State::Guarded
            } else {
                State::Failed("a filesystem that it is made of is not guarded".to_owned())
            }
        };
        let filesystems = self.met.values().map(|met| {
            let (path, kind) = (met.path.clone(), met.filesystem.clone());
            (met.device, Filesystem { device: met.device, path, kind, state: state(met) })
        });
        let mut filesystems: BTreeMap<u64, Filesystem> = filesystems.collect();
        if should_be_guarded && !self.barred.is_empty() {
            filesystems.insert(BARRED, barred(self.barred.len()));
        }
        let elsewhere = self.elsewhere.into_values().collect();
        Told { own, filesystems, elsewhere, is_guard_there }
    }
}
