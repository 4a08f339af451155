//! What the guard tells: files that met a rule, and files that were hashed for it.
//!
//! A verdict needs one digest, a record all of them. What met a rule waits here until the others are known, which
//! is soon: the agent hashes each file once more for them as soon as nobody waits for a verdict.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use model::facts::Facts;
use model::rule::Effect;
use model::sighting::Seen;
use model::{Digests, FileId, Sha256};
use sys::identity::{Identity, Stat};
use sys::mounts::Tree;

use crate::core::{Core, Nudge};
use crate::digest::{Hashed, hash_plainly};
use crate::elsewhere;
use crate::guard::client::{Event, Meeting};
use crate::inventory::Known;
use crate::places::Place;
use crate::recorder::Noticed;
use crate::running::Late;

/// How long the other digests are waited for before the path is tried.
const PATIENCE: Duration = Duration::from_secs(10);
/// As many wait; the oldest is tried early when there are more.
const ROOM: usize = 1024;
/// No larger file is read here, where others wait.
const LARGEST: u64 = 256 << 20;

/// The thread that listens to the guard.
pub(crate) struct Hearing {
    core: Arc<Core>,
    noticed: Sender<Noticed>,
    waiting: VecDeque<(Instant, Meeting)>,
}

/// The recorder is gone: the agent stops.
struct Stopped;

impl Hearing {
    pub(crate) fn new(core: Arc<Core>, noticed: Sender<Noticed>) -> Self {
        Self { core, noticed, waiting: VecDeque::new() }
    }

    /// Listens until the guard's client or the recorder is gone.
    pub(crate) fn run(mut self, events: &Receiver<Event>) {
        loop {
            let deadline = self.waiting.front().map(|(since, _)| *since + PATIENCE);
            let event = match deadline {
                Some(deadline) => events.recv_deadline(deadline),
                None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let heard = match event {
                Ok(Event::Met(meeting)) => self.met(meeting),
                Ok(Event::Hashed { path, hashed }) => self.hashed(&path, hashed),
                Ok(Event::Ready | Event::Lost) => {
                    self.core.nudge(Nudge::Changed);
                    Ok(())
                }
                Err(RecvTimeoutError::Timeout) => self.try_oldest(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if heard.is_err() {
                return;
            }
        }
    }

    fn met(&mut self, meeting: Meeting) -> Result<(), Stopped> {
        let (rule, effect, user) = (meeting.rule, meeting.effect.word(), meeting.user);
        let Meeting { pid, late, spared, times, .. } = meeting;
        let (path, sha256) = (meeting.path.display(), meeting.names.sha256);
        tracing::warn!(%path, %sha256, pid, user, %rule, effect, late, spared, times, "execution met a rule");
        // Who was warned may have gone past the warning elsewhere.
        if late && meeting.ran_at > 0 && meeting.effect != Effect::Warn {
            self.core.running.late(Late { sha256, pid, since: meeting.ran_at });
        }
        match meeting.names.all().or_else(|| self.recorded(&meeting)) {
            Some(digests) => self.record(meeting, digests),
            None => {
                self.waiting.push_back((Instant::now(), meeting));
                if self.waiting.len() > ROOM { self.try_oldest() } else { Ok(()) }
            }
        }
    }

    fn hashed(&mut self, path: &Path, hashed: Hashed) -> Result<(), Stopped> {
        self.core.running.soon();
        let digests = hashed.digests;
        let known: VecDeque<_>;
        (known, self.waiting) =
            self.waiting.drain(..).partition(|(_, meeting)| meeting.names.sha256 == digests.sha256);
        for (_, meeting) in known {
            self.record(meeting, digests)?;
        }
        let known = Known::new(hashed.digests, hashed.facts, &hashed.stat);
        // Elsewhere a path means another place than it does here.
        let there = elsewhere::as_known_here(hashed.stat.device, path);
        let lies = match &there {
            Some(there) => lies_elsewhere(there, &hashed.stat),
            None => lies_at(&self.core.places.now(), path, &hashed.stat),
        };
        let path = there.as_deref().unwrap_or(path);
        let is_news = hashed.stat.links > 0
            && lies
            && known.facts.file_type.is_executable()
            && !self.core.inventory.at(path).is_some_and(|before| before.is(&known));
        if is_news { self.tell(Noticed::Here(path.to_owned(), known)) } else { Ok(()) }
    }

    /// Nobody has told the other digests of what has waited longest: it may still lie where it was.
    fn try_oldest(&mut self) -> Result<(), Stopped> {
        let Some((_, meeting)) = self.waiting.pop_front() else { return Ok(()) };
        match self.recorded(&meeting).or_else(|| read(&meeting.path, meeting.names.sha256)) {
            Some(digests) => self.record(meeting, digests),
            None => {
                let (path, sha256) = (meeting.path.display(), meeting.names.sha256);
                tracing::warn!(%path, %sha256, "a file that met a rule is gone; the server will not hear of it");
                Ok(())
            }
        }
    }

    /// The digests of a copy that the inventory has of the file.
    fn recorded(&self, meeting: &Meeting) -> Option<Digests> {
        let sha256 = meeting.names.sha256;
        let inventory = &self.core.inventory;
        let at = |path: &Path| inventory.at(path).map(|known| known.digests).filter(|it| it.sha256 == sha256);
        at(&meeting.path)
            .or_else(|| inventory.copies_of(&FileId::Sha256(sha256)).ok()?.iter().find_map(|path| at(path)))
    }

    fn record(&self, meeting: Meeting, digests: Digests) -> Result<(), Stopped> {
        let facts = self.core.inventory.at(&meeting.path).map(|known| known.facts);
        let facts = facts.unwrap_or(Facts { size: meeting.size, ..Facts::default() });
        let seen = match meeting {
            Meeting { spared: true, .. } => Seen::Running,
            Meeting { late: true, rule, .. } => Seen::DeniedLate(rule),
            Meeting { effect, rule, .. } if effect.denies() => Seen::Denied(rule),
            Meeting { .. } => Seen::Running,
        };
        self.tell(Noticed::Run(meeting.path, digests, facts, seen))
    }

    fn tell(&self, noticed: Noticed) -> Result<(), Stopped> {
        self.noticed.send(noticed).map_err(|_| Stopped)
    }
}

/// The digests of the file at `path`, if it is the one that is meant.
fn read(path: &Path, sha256: Sha256) -> Option<Digests> {
    // By the table: in another mount namespace the path may lead elsewhere, here to somebody who never answers.
    let tree = Tree::new(sys::mounts::current().ok()?);
    let mount = tree.containing(path).filter(|mount| sys::mounts::is_local(mount))?;
    let below = path.strip_prefix(&mount.point).ok()?;
    let root = sys::mounts::open(mount).ok()?;
    let flags = sys::OFlags::RDONLY | sys::OFlags::NONBLOCK | sys::OFlags::NOFOLLOW;
    let file = sys::place::open_beneath(root.as_fd(), below, flags).ok()?;
    let stat = rustix::fs::fstat(&file).ok()?;
    let is_readable = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file()
        && stat.st_size.cast_unsigned() <= LARGEST;
    let digests = is_readable.then(|| hash_plainly(file.as_fd()).ok())??.0;
    (digests.sha256 == sha256).then_some(digests)
}

/// Whether the file is what this path leads to here. It was run by whoever it was, perhaps in a mount namespace of
/// its own making, where the same path means something else. No other filesystem is entered to find out.
fn lies_at(places: &[Place], path: &Path, stat: &Stat) -> bool {
    use rustix::fs::{Mode, OFlags, ResolveFlags};
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let found = places.iter().filter_map(|place| {
        let below = path.strip_prefix(&place.mount.point).ok()?;
        let file = rustix::fs::openat2(place.open().ok()?, below, flags, Mode::empty(), resolve).ok()?;
        Identity::of(file.as_fd()).ok()
    });
    let is_it = |found: Stat| (found.device, found.inode) == (stat.device, stat.inode);
    found.into_iter().any(is_it)
}

/// Whether the file is what that path leads to, in the mount namespace that it names.
fn lies_elsewhere(path: &Path, stat: &Stat) -> bool {
    elsewhere::stat(path).is_ok_and(|found| {
        let device = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
        (device, found.stx_ino) == (stat.device, stat.inode)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_another_mount_namespace_says_nothing_here() {
        let dir = tempfile::tempdir().unwrap();
        let point = dir.path().canonicalize().unwrap();
        let mount = sys::mounts::Mount { point: point.clone(), ..sys::mounts::containing(&point).unwrap() };
        let places = [Place::here(mount, true)];
        std::fs::write(point.join("sudo"), "innocent").unwrap();
        std::fs::write(point.join("other"), "run as /sudo elsewhere").unwrap();
        let stat = |name: &str| Identity::of(std::fs::File::open(point.join(name)).unwrap().as_fd()).unwrap();
        assert!(lies_at(&places, &point.join("sudo"), &stat("sudo")));
        assert!(!lies_at(&places, &point.join("sudo"), &stat("other")));
        assert!(!lies_at(&places, Path::new("/sudo"), &stat("other")));
    }
}
