//! The walk through a filesystem: one directory after the other, in the order of their names, without leaving it.
//! None is held open while the walk rests, so that each can be unmounted.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, SeekFrom, StatxFlags};
use rustix::io::Errno;
use sys::identity::Stat;

use super::Sweep;
use super::lowest::Lowest;
use crate::elsewhere;
use crate::examine::Within;
use crate::inventory::{Directory, Placed};
use crate::looking::Stopped;
use crate::recorder::Noticed;

/// Which part of a walk is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    /// All, as one more time.
    Whole,
    /// All, and it is kept where it is.
    Kept,
    /// From this directory on, and it is kept where it is.
    From(&'a Path),
    /// Up to this directory.
    To(&'a Path),
}

impl Part<'_> {
    fn is_first(self) -> bool {
        matches!(self, Self::Kept | Self::From(_))
    }

    /// Whether the files of a directory itself belong to it.
    fn has(self, directory: &Path) -> bool {
        match self {
            Self::Whole | Self::Kept => true,
            Self::From(cut) => directory == cut || !cut.starts_with(directory),
            Self::To(cut) => directory != cut,
        }
    }

    /// Whether there may be something of it in this directory below another.
    fn enters(self, directory: &Path) -> bool {
        match self {
            Self::Whole | Self::Kept => true,
            Self::From(cut) => directory >= cut || cut.starts_with(directory),
            Self::To(cut) => directory < cut,
        }
    }
}

/// As much of a directory is read at a time.
const ENTRIES: usize = 16 << 10;

/// Files and directories of a piece of a directory.
#[derive(Default)]
struct Piece {
    files: Vec<OsString>,
    directories: Vec<OsString>,
    /// Where the next one begins; none at the end.
    next: Option<u64>,
}

/// A directory on the way, and those in it that are still to be walked through.
struct Level {
    above: Rc<Above>,
    /// The last is taken first.
    names: Vec<OsString>,
    /// There are more behind this one.
    more: Option<OsString>,
}

impl Level {
    fn of(above: Rc<Above>, directories: Lowest) -> Self {
        let (names, more) = directories.last_first();
        Self { above, names, more }
    }
}

/// A directory on the way.
struct Above {
    itself: Directory,
    above: Option<Rc<Self>>,
    /// The inventory has it by its inode, or will, as soon as it has something in it.
    is_known: Cell<bool>,
}

/// How many entries one walk may still look at: elsewhere somebody could make them for as long as we look.
struct Room {
    entries: Cell<u64>,
    /// Something could not be reached.
    has_missed: Cell<bool>,
}

impl Room {
    /// So many have room where a filesystem does not say how many files it has.
    const LEAST: u64 = 100_000;

    fn of(top: &Path) -> Self {
        if !elsewhere::is_elsewhere(top) {
            return Self::for_entries(u64::MAX);
        }
        let files = place(top).ok().and_then(|top| rustix::fs::fstatvfs(top).ok());
        let used = files.map_or(0, |stat| stat.f_files.saturating_sub(stat.f_ffree));
        // A file may have several names.
        Self::for_entries(used.saturating_mul(4).saturating_add(Self::LEAST))
    }

    fn for_entries(entries: u64) -> Self {
        Self { entries: Cell::new(entries), has_missed: Cell::new(false) }
    }

    fn take(&self, entries: usize) {
        self.entries.set(self.entries.get().saturating_sub(entries as u64));
    }

    /// Notes why something could not be opened. Whether that leaves open what is there.
    fn misses(&self, path: &Path, error: &io::Error) -> bool {
        let gone = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::STALE, Errno::INVAL, Errno::XDEV];
        let is_gone = Errno::from_io_error(error).is_some_and(|errno| gone.contains(&errno));
        let is_missed = elsewhere::is_elsewhere(path) && !is_gone;
        self.has_missed.set(self.has_missed.get() || is_missed);
        is_missed
    }

    fn is_used_up(&self) -> bool {
        self.entries.get() == 0
    }
}

impl Sweep {
    /// Looks at all regular files below a directory, and at what was known there and is not there any more.
    pub(super) fn walk(&self, top: &Path, part: Part<'_>) -> Result<(), Stopped> {
        let room = Room::of(top);
        self.walk_through(top, part, &room)?;
        if !elsewhere::is_elsewhere(top) {
            return Ok(());
        }
        let point = elsewhere::holding(top).map_or_else(|| top.to_owned(), |there| there.mount.point.clone());
        if room.is_used_up() || room.has_missed.get() {
            if self.places.roots(|_| true).contains(&point) {
                tracing::warn!(point = %point.display(), "not everything here could be looked at");
                self.errands.leave_out(point);
            }
        } else if point == top && matches!(part, Part::Whole | Part::Kept) {
            self.errands.no_more_left_out(top);
        }
        Ok(())
    }

    fn walk_through(&self, top: &Path, part: Part<'_>, room: &Room) -> Result<(), Stopped> {
        let closed = foreign();
        if closed.iter().any(|closed| top.starts_with(closed)) {
            return Ok(());
        }
        let opened = place(top);
        if opened.as_ref().is_err_and(|error| room.misses(top, error)) {
            return Ok(());
        }
        let device = opened.ok().as_ref().and_then(device_at);
        let Some(device) = device else { return self.gone_below(top.to_owned()) };
        // Where something was unmounted there may be a directory of a filesystem that nobody watches.
        if !self.looker.inventory.is_seated(top, device) {
            return Ok(());
        }
        let enters = |path: &Path| !closed.iter().any(|closed| closed == path) && part.enters(path);
        let is_guarded = self.places.guards(top);
        let mut levels: Vec<Level> = Vec::new();
        let mut next = Some((top.to_owned(), None));
        loop {
            let Some((path, above)) = next.take() else {
                let Some(level) = levels.last_mut() else { return Ok(()) };
                if let Some(name) = level.names.pop() {
                    next = Some((level.above.itself.path.join(name), Some(level.above.clone())));
                } else if let Some(last) = level.more.take() {
                    *level = self.more(level.above.clone(), last, device, &enters, room)?;
                } else {
                    levels.pop();
                }
                continue;
            };
            if self.ours.holds(&path) {
                continue;
            }
            *self.progress.at.lock() = Some(path.clone());
            self.tick(&path, part.is_first())?;
            if !is_guarded && self.progress.guarded_complete.load(Ordering::Relaxed) {
                self.run_guarded_errands()?;
            }
            let Some(at) = open(&path, device, room) else { continue };
            let within = above.as_ref().map_or(0, |above: &Rc<Above>| above.itself.inode);
            let itself = Directory { path, inode: at.inode, within };
            let above = Rc::new(Above { itself, above, is_known: Cell::new(false) });
            let directories = self.directory(at, &above, device, part, &enters, room)?;
            if room.is_used_up() {
                tracing::warn!(top = %top.display(), "more is made here than can be looked at; the rest is left out");
                return Ok(());
            }
            self.rest()?;
            levels.push(Level::of(above, directories));
        }
    }

    /// The directories behind one, of which there were too many.
    fn more(
        &self,
        above: Rc<Above>,
        last: OsString,
        device: u64,
        enters: &dyn Fn(&Path) -> bool,
        room: &Room,
    ) -> Result<Level, Stopped> {
        let mut directories = Lowest::behind(last);
        let path = above.itself.path.as_path();
        let (mut at, mut from) = (open(path, device, room).filter(|at| at.inode == above.itself.inode), 0);
        while let Some(open) = at
            && let Ok(piece) = piece(&open, from)
        {
            room.take(piece.directories.len());
            let below = piece.directories.into_iter().filter(|name| enters(&path.join(name)));
            below.for_each(|name| directories.add(name));
            let Some(next) = piece.next.filter(|_| !room.is_used_up()) else { break };
            from = next;
            at = self.rest_without(open, path, device, room)?;
        }
        Ok(Level::of(above, directories))
    }

    /// Looks at the files of one directory. Returns the directories in it.
    fn directory(
        &self,
        mut at: Within,
        above: &Above,
        device: u64,
        part: Part<'_>,
        enters: &dyn Fn(&Path) -> bool,
        room: &Room,
    ) -> Result<Lowest, Stopped> {
        let path = above.itself.path.as_path();
        let mut directories = Lowest::default();
        let placed = self.looker.inventory.places(&above.itself);
        above.is_known.set(placed != Placed::Unknown);
        if placed.is_elsewhere() {
            self.looker.tell(Noticed::Directory(above.itself.clone()))?;
            self.recorded()?;
        }
        if placed != Placed::Unknown && part.has(path) {
            at = match self.missing(at, path, device, room)? {
                Some(at) => at,
                None => return Ok(directories),
            };
        }
        let (mut from, mut has_copies) = (0, false);
        while let Ok(piece) = piece(&at, from) {
            room.take(piece.files.len() + piece.directories.len());
            let below = piece.directories.into_iter().filter(|name| enters(&path.join(name)));
            below.for_each(|name| directories.add(name));
            for name in piece.files.iter().filter(|_| part.has(path)) {
                if self.halt.is_asked() {
                    return Err(Stopped);
                }
                self.progress.seen.fetch_add(1, Ordering::Relaxed);
                has_copies |= self.looker.look_in(&at, path.join(name))?;
            }
            let Some(next) = piece.next.filter(|_| !room.is_used_up()) else { break };
            from = next;
            let Some(again) = self.rest_without(at, path, device, room)? else { break };
            at = again;
        }
        if has_copies {
            self.know(above)?;
        }
        Ok(directories)
    }

    /// Has the inventory know the directories on the way to a copy by their inodes, so that it knows them again when
    /// they are renamed.
    fn know(&self, above: &Above) -> Result<(), Stopped> {
        let mut at = Some(above);
        while let Some(above) = at.filter(|above| !above.is_known.replace(true)) {
            self.looker.tell(Noticed::Directory(above.itself.clone()))?;
            at = above.above.as_deref();
        }
        Ok(())
    }

    /// Rests if that is due, without holding the directory. None when it is another afterwards.
    fn rest_without(
        &self,
        at: Within,
        path: &Path,
        device: u64,
        room: &Room,
    ) -> Result<Option<Within>, Stopped> {
        if !self.pace.is_due() {
            self.pace.rest(&self.halt)?;
            return Ok(Some(at));
        }
        let inode = at.inode;
        drop(at);
        self.rest()?;
        self.tick(path, false)?;
        Ok(open(path, device, room).filter(|again| again.inode == inode))
    }

    /// Looks for what is known in a directory and not there any more.
    fn missing(
        &self,
        mut at: Within,
        path: &Path,
        device: u64,
        room: &Room,
    ) -> Result<Option<Within>, Stopped> {
        let Some(number) = self.looker.inventory.number(path) else { return Ok(Some(at)) };
        for page in self.looker.inventory.pages(number) {
            for child in page {
                let is_gone = what_is(&at, &child.name).is_none();
                match child.file {
                    Some(_) if is_gone => drop(self.looker.look_in(&at, path.join(&child.name))?),
                    None if is_gone => self.gone_below(path.join(&child.name))?,
                    _ => {}
                }
            }
            let Some(again) = self.rest_without(at, path, device, room)? else { return Ok(None) };
            at = again;
        }
        Ok(Some(at))
    }

    /// Looks at each path that is known below a directory which is not there any more.
    fn gone_below(&self, directory: PathBuf) -> Result<(), Stopped> {
        // By path, and not by number: the directory may be met elsewhere meanwhile, with all that is in it.
        let inventory = &self.looker.inventory;
        let known =
            |path: PathBuf| Some((inventory.pages(inventory.number(&path)?), Vec::new().into_iter(), path));
        let mut levels: Vec<_> = known(directory).into_iter().collect();
        while let Some((pages, page, path)) = levels.last_mut() {
            let Some(child) = page.next() else {
                match pages.next() {
                    Some(next) => *page = next.into_iter(),
                    None => drop(levels.pop()),
                }
                self.rest()?;
                continue;
            };
            let below = path.join(&child.name);
            match child.file {
                Some(_) => drop(self.looker.look(below)?),
                None => levels.extend(known(below)),
            }
        }
        Ok(())
    }
}

/// Some of a directory's entries.
fn piece(at: &Within, from: u64) -> rustix::io::Result<Piece> {
    rustix::fs::seek(&at.directory, SeekFrom::Start(from))?;
    let mut buffer = [MaybeUninit::<u8>::uninit(); ENTRIES];
    let mut entries = RawDir::new(&at.directory, &mut buffer);
    let mut piece = Piece::default();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
        piece.next = Some(entry.next_entry_cookie());
        let kind = match entry.file_type() {
            // Some filesystems don't say.
            FileType::Unknown => what_is(at, &name).unwrap_or(FileType::Unknown),
            kind => kind,
        };
        match kind {
            FileType::Directory if name != "." && name != ".." => piece.directories.push(name),
            FileType::RegularFile => piece.files.push(name),
            _ => {}
        }
        if entries.is_buffer_empty() {
            return Ok(piece);
        }
    }
    piece.next = None;
    Ok(piece)
}

/// Opens a directory of a device for reading, if it is one. Who keeps it is not asked before that is known.
fn open(path: &Path, device: u64, room: &Room) -> Option<Within> {
    let place = match place(path) {
        Ok(place) => place,
        Err(error) => {
            room.misses(path, &error);
            return None;
        }
    };
    if device_at(&place)? != device {
        return None;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = match rustix::fs::openat(&place, c".", flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => rustix::fs::openat(&place, c".", flags, Mode::empty()),
        other => other,
    };
    let directory = directory.ok()?;
    let inode = Stat::of(directory.as_fd()).ok()?.inode;
    Some(Within { directory, inode, is_elsewhere: elsewhere::is_elsewhere(path) })
}

/// What has a name in a directory. No link is followed, and who keeps what is mounted there is not asked.
fn what_is(at: &Within, name: &OsStr) -> Option<FileType> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let stat = rustix::fs::statx(&at.directory, name, flags, StatxFlags::TYPE).ok()?;
    Some(FileType::from_raw_mode(stat.stx_mode.into()))
}

fn place(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if let Some(there) = elsewhere::directory(path, flags) {
        return there;
    }
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn device_at(place: &OwnedFd) -> Option<u64> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(place, c"", flags, StatxFlags::INO).ok()?;
    Some(rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor))
}

/// The device of a directory. Who keeps it is not asked.
pub(super) fn device_of(directory: &Path) -> Option<u64> {
    device_at(&place(directory).ok()?)
}

/// Where filesystems are mounted that may never answer: even a look there could last for ever.
fn foreign() -> Vec<PathBuf> {
    use sys::mounts::{Kind, Tree, Way, kind};
    let tree = Tree::new(sys::mounts::current().unwrap_or_default());
    let is_met = |mount: &&sys::mounts::Mount| kind(mount) == Kind::Foreign && tree.way(mount) == Way::Clear;
    tree.mounts().iter().filter(is_met).map(|mount| mount.point.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_parts_are_the_whole_and_meet_nothing_twice() {
        let all =
            ["/", "/a", "/a/b", "/a/b/c", "/a/c", "/a/c/a", "/a/c/b", "/a/d", "/b", "/b/a"].map(Path::new);
        for cut in all {
            let had = |part: Part<'_>| {
                let is_entered = |path: &Path| path.ancestors().all(|above| part.enters(above));
                let had = all.iter().filter(|path| is_entered(path) && part.has(path));
                had.copied().collect::<Vec<_>>()
            };
            let mut both = [had(Part::From(cut)), had(Part::To(cut))].concat();
            both.sort();
            assert_eq!(both, all, "{cut:?}");
            assert_eq!(had(Part::From(cut))[0], cut);
        }
    }
}
