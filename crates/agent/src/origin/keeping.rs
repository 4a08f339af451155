//! Keeps the index that of the machine's packages, and tells where copies come from when that is another than it was.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::index::Index;
use super::{Origins, asking};
use crate::core::Core;
use crate::inventory::Inventory;
use crate::looking::{Halt, Looker, Stopped};
use crate::recorder::Noticed;
use crate::spared::{Stamp, Surveyor};

/// How often it is asked whether packages have changed.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long packages and a copy must have rested before it is said that it differs. A package's records come after its
/// files; of a large one the files take a while.
const REST: Duration = Duration::from_secs(60);
/// What seems to be unpacked for longer was left behind by a crash.
const LONGEST_UNPACKING: Duration = Duration::from_secs(3600);
/// After this an index that could not be made is tried again; each time it waits longer, up to that.
const RETRY: Duration = Duration::from_secs(30);
const LONGEST_RETRY: Duration = Duration::from_secs(3600);
/// No more is told while so many sightings wait for the server.
const MOST_WAITING: u64 = 6000;

/// Who finds out, and when.
pub(crate) struct Keeper {
    surveyor: Surveyor,
    /// Where the index lies.
    place: PathBuf,
    origins: Arc<Origins>,
    looker: Looker,
    /// How many sightings wait.
    backlog: Arc<AtomicU64>,
    halt: Halt,
    /// How the packages were when they were looked at last, and since when they are so.
    packages: Option<(Stamp, Instant)>,
    /// Since when a package seems to be unpacked.
    unpacking: Option<Instant>,
    /// Not before that, after so long a time.
    retry: Option<(Instant, Duration)>,
    /// Every copy that differs was looked at since the start.
    has_doubted: bool,
}

impl Keeper {
    /// With the index of before the last start, if there is one.
    pub(crate) fn begin(surveyor: Surveyor, place: PathBuf, core: &Core, origins: Arc<Origins>) -> Self {
        let backlog = core.spool.lock().backlog();
        Self {
            backlog,
            halt: core.halt.clone(),
            ..Self::of_parts(surveyor, place, core.looker.clone(), origins)
        }
    }

    pub(super) fn of_parts(
        surveyor: Surveyor,
        place: PathBuf,
        looker: Looker,
        origins: Arc<Origins>,
    ) -> Self {
        *origins.index.write() = Index::open(&place).map(Arc::new);
        Self {
            surveyor,
            place,
            origins,
            looker,
            backlog: Arc::default(),
            halt: Halt::default(),
            packages: None,
            unpacking: None,
            retry: None,
            has_doubted: false,
        }
    }

    /// Keeps it until the agent stops.
    pub(crate) fn run(mut self, core: &Core) {
        sys::process::run_when_idle();
        while !self.halt.is_asked() {
            let roots = core.watched_roots();
            match self.turn(&roots) {
                Ok(()) => self.retry = None,
                Err(error) if self.halt.is_asked() => tracing::debug!(%error, "the agent stops"),
                Err(error) => {
                    tracing::warn!(%error, "which packages own which files can't be found out now; it is tried again");
                    let wait = self.retry.map_or(RETRY, |(_, wait)| (wait * 2).min(LONGEST_RETRY));
                    self.retry = Some((Instant::now() + wait, wait));
                }
            }
            thread::sleep(INTERVAL);
        }
    }

    fn turn(&mut self, roots: &[PathBuf]) -> io::Result<()> {
        let (stamp, rested) = self.look();
        let index = self.origins.index();
        let is_current = index.as_ref().is_some_and(|index| *index.stamp() == stamp.digest());
        if !is_current {
            let is_due = self.retry.is_none_or(|(at, _)| Instant::now() >= at);
            // Twice the same, unless this is the start; then what comes is found out the next time.
            if is_due && (rested > Duration::ZERO || index.is_none()) && !self.is_unpacking() {
                // Without one before it, the new one is told of as a whole.
                self.has_doubted |= index.is_none();
                return self.renew(&stamp, index.as_deref(), roots);
            }
            return Ok(());
        }
        let Some(index) = index else { return Ok(()) };
        let from = if std::mem::replace(&mut self.has_doubted, true) {
            self.origins.doubts.lock().resume()
        } else {
            Some(PathBuf::new())
        };
        if let Some(from) = from {
            self.tell(Some(&index), &index, Some(&from), roots)?;
        }
        if rested >= REST && !self.is_unpacking() { self.confirm(&index, REST) } else { Ok(()) }
    }

    /// How packages are, and how long they have been so.
    fn look(&mut self) -> (Stamp, Duration) {
        let stamp = Stamp::now();
        // Kept until it is over: what a crash left behind does not begin anew.
        self.unpacking = Stamp::is_unpacking().then(|| self.unpacking.unwrap_or_else(Instant::now));
        match &self.packages {
            Some((before, since)) if *before == stamp && !self.is_unpacking() => (stamp, since.elapsed()),
            _ => {
                self.packages = Some((stamp.clone(), Instant::now()));
                (stamp, Duration::ZERO)
            }
        }
    }

    fn is_unpacking(&self) -> bool {
        self.unpacking.is_some_and(|since| since.elapsed() < LONGEST_UNPACKING)
    }

    /// Makes the index anew, and tells of all copies of which it says something else. Only then it is the one that counts
    /// after a start.
    fn renew(&self, stamp: &Stamp, before: Option<&Index>, roots: &[PathBuf]) -> io::Result<()> {
        let new = asking::ask(&self.surveyor, &self.place.with_extension("new"), stamp.digest())?;
        if Stamp::now() != *stamp {
            // Nobody knows of which state it is.
            return Ok(());
        }
        let new = Arc::new(new);
        *self.origins.index.write() = Some(new.clone());
        self.tell(before, &new, before.is_none().then_some(Path::new("")), roots)?;
        new.rename(&self.place)
    }

    /// Tells of the copies of which an index says something else than the one before; of those that differ it is said
    /// later, and of all of them at path `all` and behind it, in the order of paths.
    fn tell(
        &self,
        before: Option<&Index>,
        now: &Index,
        all: Option<&Path>,
        roots: &[PathBuf],
    ) -> io::Result<()> {
        let inventory = &self.looker.inventory;
        for root in roots {
            let Some(number) = inventory.number(root) else { continue };
            let mut rest = vec![(number, root.clone())];
            while let Some((number, directory)) = rest.pop() {
                for page in inventory.pages(number) {
                    for child in page {
                        let path = directory.join(&child.name);
                        let Some(known) = child.file else {
                            rest.push((child.number, path));
                            continue;
                        };
                        let Some(origin) = now.find(&path, &known.digests) else { continue };
                        let is_news = before.and_then(|before| before.find(&path, &known.digests)).as_ref()
                            != Some(&origin);
                        if origin.matches == Some(false) {
                            if is_news || all.is_some_and(|from| path.as_path() >= from) {
                                self.origins.doubts.lock().add(&path, known.digests.sha256);
                            }
                        } else if is_news {
                            let origin = Box::new(origin);
                            self.send(Noticed::Origin(path, known.digests, known.facts, origin))?;
                        }
                    }
                    self.wait_for_room()?;
                }
            }
        }
        Ok(())
    }

    /// Looks again at the copies that seemed to differ for so long, and says what they are.
    fn confirm(&self, index: &Index, age: Duration) -> io::Result<()> {
        let due = self.origins.doubts.lock().take(age);
        for path in due {
            if let Some(noticed) = confirmed(index, &self.looker.inventory, &path) {
                if let Noticed::Origin(path, digests, _, origin) = &noticed
                    && origin.matches == Some(false)
                {
                    let (path, sha256, package) = (path.display(), digests.sha256, &origin.package);
                    tracing::warn!(%path, %sha256, package, "a file is not what its package brought");
                }
                self.send(noticed)?;
            }
        }
        Ok(())
    }

    fn send(&self, noticed: Noticed) -> io::Result<()> {
        self.looker.tell(noticed).map_err(|Stopped| io::ErrorKind::Interrupted.into())
    }

    fn wait_for_room(&self) -> io::Result<()> {
        while self.backlog.load(Ordering::Relaxed) > MOST_WAITING {
            if self.halt.is_asked() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

#[cfg(test)]
impl Keeper {
    /// Makes the index anew, as if packages had changed.
    pub(super) fn try_renew(&self) -> io::Result<()> {
        let before = self.origins.index();
        self.renew(&Stamp::now(), before.as_deref(), &[PathBuf::from("/")])
    }

    /// The same where it must not fail.
    pub(super) fn renew_now(&self) {
        self.try_renew().unwrap();
    }

    pub(super) fn confirm_after(&self, age: Duration) {
        let index = self.origins.index().unwrap();
        self.confirm(&index, age).unwrap();
    }
}

/// What is to be said of the copy at a path, if there still is one that a package owns.
fn confirmed(index: &Index, inventory: &Inventory, path: &Path) -> Option<Noticed> {
    let known = inventory.at(path)?;
    let origin = Box::new(index.find(path, &known.digests)?);
    Some(Noticed::Origin(path.to_owned(), known.digests, known.facts, origin))
}
