//! Which filesystems this agent watches, and which it guards: at the start, and as mounts come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use sys::identity::Stat;
use sys::mounts::{self, Mount, Tree};

use crate::elsewhere::{self, Elsewhere};
use crate::filesystems::{self, State, Told};
use crate::inventory::{Seat, VOLATILE};

/// What the operator wants watched.
#[derive(Clone, Debug)]
pub enum Watched {
    /// Every local filesystem.
    All,
    /// The filesystems of these paths.
    Paths(Vec<PathBuf>),
}

/// One mounted filesystem. It is not held open, so that it can be unmounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) mount: Mount,
    /// Whether execution is denied and acts are done here.
    pub(crate) is_guarded: bool,
    /// What is known of it if it is mounted in other mount namespaces only.
    pub(crate) elsewhere: Option<Arc<Elsewhere>>,
}

impl Place {
    /// One that is mounted in the agent's own namespace.
    pub(crate) fn here(mount: Mount, is_guarded: bool) -> Self {
        Self { mount, is_guarded, elsewhere: None }
    }

    /// One that is not.
    pub(crate) fn elsewhere(elsewhere: Arc<Elsewhere>, is_guarded: bool) -> Self {
        Self { mount: elsewhere.mount.clone(), is_guarded, elsewhere: Some(elsewhere) }
    }

    /// Opens its root. Let go of it soon.
    ///
    /// # Errors
    /// When something else is mounted there by now.
    pub(crate) fn open(&self) -> io::Result<OwnedFd> {
        self.elsewhere.as_ref().map_or_else(|| mounts::open(&self.mount), |there| there.open())
    }

    /// What the kernel's notes call it.
    pub(crate) fn fsid(&self) -> Option<[u8; 8]> {
        let opened = || self.open().and_then(|root| sys::handle::fsid(root.as_fd())).ok();
        self.elsewhere.as_ref().map_or_else(opened, |there| Some(there.fsid))
    }

    /// What it is known by, wherever it is mounted, and the device of its files: on btrfs that is not the mount's.
    fn known_by(&self) -> Option<(Vec<u8>, u64)> {
        if let Some(there) = &self.elsewhere {
            return Some((there.lasting.clone(), there.device));
        }
        let root = self.open().ok()?;
        Some((mounts::lasting_name(root.as_fd()).ok()?, Stat::of(root.as_fd()).ok()?.device))
    }
}

/// The filesystems that are looked after now.
pub(crate) struct Places {
    now: ArcSwap<Vec<Place>>,
    watches_all: bool,
    guards_all: bool,
}

/// What came and went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// New ones, and those that are guarded now and were not before, or the reverse.
    pub(crate) other: Vec<Place>,
    /// Where there was none before.
    pub(crate) come: Vec<PathBuf>,
    /// Where there is none any more.
    pub(crate) gone: Vec<PathBuf>,
}

impl Places {
    /// What is watched, and what is guarded, which is always watched too. `guarded` paths of `/` mean every local
    /// filesystem.
    ///
    /// # Errors
    /// When a path that was named is not there or not on a local filesystem.
    pub(crate) fn resolve(watched: &Watched, guarded: &[PathBuf]) -> anyhow::Result<Self> {
        let guards_all = guards_all(guarded);
        let mut found = BTreeMap::new();
        let guarded = if guards_all { every_local()? } else { named(guarded)? };
        let is_guarded: BTreeSet<u64> = guarded.iter().map(|mount| mount.device).collect();
        let watches_all = matches!(watched, Watched::All);
        let watched = match watched {
            Watched::All => every_local()?,
            Watched::Paths(paths) => named(paths)?,
        };
        for mount in guarded.into_iter().chain(watched) {
            let is_guarded = is_guarded.contains(&mount.device);
            found.entry(mount.device).or_insert(Place::here(mount, is_guarded));
        }
        if watches_all || guards_all {
            for there in elsewhere::look().iter() {
                let place = || Place::elsewhere(there.clone(), guards_all);
                found.entry(there.mount.device).or_insert_with(place);
            }
        }
        let now = ArcSwap::from_pointee(found.into_values().collect());
        Ok(Self { now, watches_all, guards_all })
    }

    /// All of them, as they are now.
    pub(crate) fn now(&self) -> Arc<Vec<Place>> {
        self.now.load_full()
    }

    /// Those where execution is denied and acts are done.
    pub(crate) fn guarded(&self) -> Vec<Place> {
        self.now().iter().filter(|place| place.is_guarded).cloned().collect()
    }

    /// Whether a path lies on a filesystem where execution is denied and acts are done.
    pub(crate) fn guards(&self, path: &Path) -> bool {
        let now = self.now();
        let on = now.iter().filter(|place| path.starts_with(&place.mount.point));
        on.max_by_key(|place| place.mount.point.components().count()).is_some_and(|place| place.is_guarded)
    }

    /// The roots of those that are chosen.
    pub(crate) fn roots(&self, which: impl Fn(&Place) -> bool) -> Vec<PathBuf> {
        self.now().iter().filter(|place| which(place)).map(|place| place.mount.point.clone()).collect()
    }

    /// The same, as the inventory keeps them.
    pub(crate) fn seats(&self) -> Vec<Seat> {
        let seat = |place: &Place| {
            let (lasting, device) = place.known_by()?;
            let kind = if mounts::is_volatile(&place.mount) { VOLATILE } else { b'd' };
            Some(Seat {
                name: [vec![kind], lasting].concat(),
                device,
                point: place.mount.point.clone(),
                root: place.mount.root.clone(),
            })
        };
        self.now().iter().filter_map(seat).collect()
    }

    #[cfg(test)]
    pub(crate) fn set_for_test(&self, now: Vec<Place>) {
        self.now.store(Arc::new(now));
    }

    /// Whether what is mounted in other mount namespaces only is looked after.
    pub(crate) fn looks_elsewhere(&self) -> bool {
        self.watches_all || self.guards_all
    }

    /// Takes in what is mounted now. What was named at the start stays while it is mounted; what comes later is
    /// looked after when all is.
    pub(crate) fn update(&self, told: &Told) -> Change {
        let before = self.now();
        let ways = filesystems::local(&told.own);
        let is_lost = |device: &u64| {
            let state = told.filesystems.get(device).map(|filesystem| &filesystem.state);
            told.is_guard_there && state.is_none_or(|state| *state != State::Guarded)
        };
        let mut change = Change::default();
        let mut now = Vec::new();
        for (device, ways) in &ways {
            let known = before.iter().find(|place| place.mount.device == *device);
            if known.is_none() && !self.watches_all && !self.guards_all {
                continue;
            }
            let is_wanted = self.guards_all || known.is_some_and(|place| place.is_guarded);
            let still = known.and_then(|place| ways.iter().find(|mount| mount.id == place.mount.id));
            let Some(mount) = still.or(ways.first()) else { continue };
            let place = Place::here((*mount).clone(), is_wanted && !is_lost(device));
            change.add(known, &place);
            now.push(place);
        }
        let elsewhere = told.elsewhere.iter().filter(|there| !ways.contains_key(&there.mount.device));
        for there in elsewhere.filter(|_| self.looks_elsewhere()) {
            let device = there.mount.device;
            let known = before.iter().find(|place| place.mount.device == device);
            let place = Place::elsewhere(there.clone(), self.guards_all && !is_lost(&device));
            change.add(known, &place);
            now.push(place);
        }
        let points: BTreeSet<&Path> = now.iter().map(|place| place.mount.point.as_path()).collect();
        let is_gone = |point: &&Path| !points.contains(*point);
        change.gone = before
            .iter()
            .map(|place| place.mount.point.as_path())
            .filter(is_gone)
            .map(PathBuf::from)
            .collect();
        if *before != now {
            self.now.store(Arc::new(now));
        }
        change
    }
}

impl Change {
    /// There is this place now, and that one was before, if any.
    fn add(&mut self, before: Option<&Place>, now: &Place) {
        // In a place's stead another may be mounted at the same point.
        let lasting = |place: &Place| place.elsewhere.as_ref().map(|there| there.lasting.clone());
        let is_it = |before: &Place| before.mount.point == now.mount.point && lasting(before) == lasting(now);
        if !before.is_some_and(is_it) {
            self.come.push(now.mount.point.clone());
        }
        if before != Some(now) {
            self.other.push(now.clone());
        }
    }
}

/// Whether `--guard` means every local filesystem, also those that appear later.
pub(crate) fn guards_all(guarded: &[PathBuf]) -> bool {
    guarded.iter().any(|path| path == Path::new("/"))
}

fn named(paths: &[PathBuf]) -> anyhow::Result<Vec<Mount>> {
    paths.iter().map(|path| local(path)).collect()
}

fn local(path: &Path) -> anyhow::Result<Mount> {
    let mount = mounts::containing(path)
        .map_err(|error| anyhow::anyhow!("{}: {error}; name a directory that is there", path.display()))?;
    anyhow::ensure!(
        mounts::is_local(&mount),
        "{} lies on {}, which is not a local filesystem: it could stall every program of this machine; name \
         another directory",
        path.display(),
        mount.filesystem
    );
    Ok(mount)
}

/// Every local filesystem that can be reached, once.
fn every_local() -> io::Result<Vec<Mount>> {
    let tree = Tree::new(mounts::current()?);
    Ok(filesystems::local(&tree).into_values().filter_map(|ways| ways.first().copied().cloned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystems::Filesystem;

    fn mount(id: u64, device: u64, point: &str) -> Mount {
        let root = mounts::containing(Path::new("/")).unwrap();
        let parent = u64::from(id > 1);
        Mount {
            id,
            parent,
            device,
            point: point.into(),
            root: "/".into(),
            filesystem: "tmpfs".into(),
            ..root
        }
    }

    fn told(mounts: &[Mount], guarded: &[u64]) -> Told {
        let filesystem = |device: u64| {
            let state = if guarded.contains(&device) { State::Guarded } else { State::NotChosen };
            (device, Filesystem { device, path: "/".into(), kind: "tmpfs".into(), state })
        };
        let filesystems = mounts.iter().map(|mount| filesystem(mount.device)).collect();
        let (own, elsewhere) = (Tree::new(mounts.to_vec()), Vec::new());
        Told { own, filesystems, elsewhere, is_guard_there: !guarded.is_empty() }
    }

    fn places(all: bool, now: Vec<Place>) -> Places {
        Places { now: ArcSwap::from_pointee(now), watches_all: all, guards_all: all }
    }

    #[test]
    fn all_that_comes_is_looked_after_where_all_is() {
        let root = mount(1, 10, "/");
        let places = places(true, vec![Place::here(root.clone(), true)]);
        let later = mount(2, 11, "/later");
        let change = places.update(&told(&[root.clone(), later.clone()], &[10, 11]));
        assert_eq!(change.come, [PathBuf::from("/later")]);
        assert_eq!(places.guarded().len(), 2);
        let change = places.update(&told(&[root.clone(), later.clone()], &[10]));
        assert_eq!(change.other, [Place::here(later, false)], "the guard could not");
        let change = places.update(&told(&[root], &[10]));
        assert_eq!((change.gone, places.now().len()), (vec![PathBuf::from("/later")], 1));
    }

    #[test]
    fn a_path_is_guarded_where_the_deepest_mount_is() {
        let place = |device, point, is_guarded| Place::here(mount(device, device, point), is_guarded);
        let places =
            places(false, vec![place(1, "/", false), place(2, "/srv", true), place(3, "/srv/open", false)]);
        for (path, is_guarded) in
            [("/a", false), ("/srv", true), ("/srv/a", true), ("/srv/open/a", false), ("/srvx", false)]
        {
            assert_eq!(places.guards(Path::new(path)), is_guarded, "{path}");
        }
    }

    #[test]
    fn what_containers_have_for_themselves_is_looked_after_where_all_is() {
        let root = mount(1, 10, "/");
        let there = |lasting: &[u8]| {
            Arc::new(Elsewhere {
                mount: mount(7, 70, "/container:x/tmp"),
                inside: "/tmp".into(),
                namespace: 5,
                is_of_our_users: true,
                lasting: lasting.to_vec(),
                device: 70,
                fsid: [7; 8],
            })
        };
        let told = |elsewhere: &[Arc<Elsewhere>]| Told {
            elsewhere: elsewhere.to_vec(),
            ..told(&[root.clone(), mount(7, 70, "/tmp")][..1], &[10, 70])
        };
        let all = places(true, vec![Place::here(root.clone(), true)]);
        let with_it = |told: Told| {
            let (device, path, kind) = (70, "/tmp".into(), "tmpfs".into());
            let mut filesystems = told.filesystems.clone();
            filesystems.insert(70, Filesystem { device, path, kind, state: State::Guarded });
            Told { filesystems, ..told }
        };
        let point = [PathBuf::from("/container:x/tmp")];
        let change = all.update(&with_it(told(&[there(b"one")])));
        assert_eq!((change.come.as_slice(), change.other.len()), (&point[..], 1));
        assert_eq!(all.guarded().len(), 2);
        let seats = all.seats();
        let seat = seats.iter().find(|seat| seat.point == point[0]).unwrap();
        assert_eq!((seat.name.as_slice(), seat.device), (&b"vone"[..], 70));
        assert_eq!(all.update(&with_it(told(&[there(b"one")]))), Change::default());
        // Another, at the same point, with the same numbers.
        assert_eq!(all.update(&with_it(told(&[there(b"two")]))).come, point);
        assert!(!all.update(&told(&[there(b"two")])).other[0].is_guarded, "the guard has lost it");
        assert_eq!(all.update(&told(&[])).gone, point);

        let named = places(false, vec![Place::here(root.clone(), true)]);
        assert_eq!(named.update(&told(&[there(b"one")])), Change::default());
    }

    #[test]
    fn what_was_named_stays_and_nothing_is_added() {
        let (root, named) = (mount(1, 10, "/"), mount(2, 11, "/named"));
        let places = places(false, vec![Place::here(named.clone(), true)]);
        let again = mount(4, 11, "/a longer name");
        assert_eq!(places.update(&told(&[root.clone(), named, again.clone()], &[])), Change::default());
        let change = places.update(&told(&[root.clone(), again.clone()], &[11]));
        assert_eq!((change.come, change.gone), (vec![again.point.clone()], vec![PathBuf::from("/named")]));
        places.update(&told(&[root.clone(), again], &[10]));
        assert!(places.guarded().is_empty(), "another filesystem has its number now");
        places.update(&told(&[root], &[10]));
        assert!(places.now().is_empty());
    }
}
