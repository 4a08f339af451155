//! How many run which files, as far as somebody asks about a file.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::hold::Crowd;
use model::{Kinds, Names, Time};
use parking_lot::Mutex;
use sys::state::State;

use super::known::Known;
use super::look::{Depth, Look, Piece};
use super::reach::Reach;
use crate::acts::Grounds;
use crate::inventory::Inventory;

/// Unread files that are held open; of more it is only known that there are some.
const MOST_HELD: usize = 256;

/// Counts, and remembers what it has read.
pub(crate) struct Census {
    /// Not locked while a file is read: whoever is in a hurry must not wait for who is not.
    known: Mutex<Known>,
}

/// What is to be counted.
pub(crate) struct Asked<'a> {
    /// The names that files are asked for by.
    pub(crate) kinds: Kinds,
    /// Whether a file with these names matters.
    pub(crate) about: &'a (dyn Fn(&Names) -> bool + Sync),
    /// Now.
    pub(crate) now: Time,
    /// For so long files are read that nobody knows, and no larger ones.
    pub(crate) reading: Reading,
}

/// How much is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) within: Duration,
    pub(crate) largest: u64,
}

/// What was counted.
pub(crate) struct Counted {
    pub(crate) crowds: Vec<(Names, Crowd)>,
    /// Every file that somebody runs could be asked about.
    pub(crate) is_complete: bool,
}

/// A file that somebody runs.
enum File {
    /// It does not matter, or nothing can be done about it.
    Clear,
    Asked {
        names: Names,
        path: PathBuf,
        pids: Vec<i32>,
    },
    /// Nobody knows what it is: it was not read yet, or can't be.
    Unread {
        piece: Piece,
        hides_writes: bool,
        pids: Vec<i32>,
    },
}

impl File {
    fn pids(&mut self) -> Option<&mut Vec<i32>> {
        match self {
            Self::Clear => None,
            Self::Asked { pids, .. } | Self::Unread { pids, .. } => Some(pids),
        }
    }
}

struct Count<'a> {
    reach: &'a Reach<'a>,
    asked: &'a Asked<'a>,
    known: &'a Mutex<Known>,
    files: Mutex<Files>,
}

struct Files {
    all: HashMap<State, File>,
    unread: usize,
    is_complete: bool,
}

impl Census {
    pub(crate) fn new(inventory: Arc<Inventory>) -> Self {
        Self { known: Mutex::new(Known::new(Some(inventory))) }
    }

    /// Counts who runs what is asked about. What is spared, and what does not lie on a local filesystem, is not counted:
    /// no rule can take it from anybody.
    ///
    /// # Errors
    /// Those of reading /proc.
    pub(crate) fn take(
        &self,
        grounds: &Grounds,
        asked: &Asked<'_>,
        is_halted: &dyn Fn() -> bool,
    ) -> io::Result<Counted> {
        self.known.lock().begin();
        let look = Look::new(Some(HashSet::new()))?;
        let reach = Reach::new(grounds, &look);
        let files = Files { all: HashMap::new(), unread: 0, is_complete: true };
        let count = Count { reach: &reach, asked, known: &self.known, files: Mutex::new(files) };
        look.processes.each(&|pid| {
            look.pieces(pid, Depth::Everything, &mut |piece| {
                count.note(&piece);
                true
            });
        })?;
        count.read(is_halted);
        let files = count.files.into_inner();
        let is_complete =
            files.is_complete && !files.all.values().any(|file| matches!(file, File::Unread { .. }));
        Ok(Counted { crowds: crowds(files.all.into_values()), is_complete })
    }
}

impl Count<'_> {
    fn note(&self, piece: &Piece) {
        if let Some(file) = self.files.lock().all.get_mut(&piece.state) {
            add(file, piece.pid);
            return;
        }
        let look = self.reach.look;
        let device = look.device(piece);
        let mut file = File::Clear;
        if self.reach.is_local(device, piece.pid) {
            let held = match piece.hold(look) {
                Ok(held) => held,
                Err(error) => {
                    self.files.lock().is_complete &= is_gone(&error);
                    return;
                }
            };
            let hides_writes = look.filesystem(device, piece.pid).is_none_or(|it| it.hides_writes);
            let known = (!hides_writes).then(|| self.known.lock().recall(&held, self.asked.kinds)).flatten();
            file = match known {
                Some((names, _)) => self.judged(piece, names),
                None => File::Unread { piece: piece.holding(held), hides_writes, pids: Vec::new() },
            };
        }
        let mut files = self.files.lock();
        if matches!(file, File::Unread { .. }) && !files.all.contains_key(&piece.state) {
            if files.unread >= MOST_HELD {
                files.is_complete = false;
                return;
            }
            files.unread += 1;
        }
        add(files.all.entry(piece.state).or_insert(file), piece.pid);
    }

    fn judged(&self, piece: &Piece, names: Names) -> File {
        if !(self.asked.about)(&names) {
            return File::Clear;
        }
        let path = piece.path(self.reach.look);
        if self.reach.spared_by(piece, &path, &names.sha256).is_some() {
            return File::Clear;
        }
        File::Asked { names, path, pids: Vec::new() }
    }

    /// Reads what nobody knows, small files first.
    fn read(&self, is_halted: &dyn Fn() -> bool) {
        let deadline = Instant::now() + self.asked.reading.within;
        let mut unread: Vec<State> = {
            let files = self.files.lock();
            let is_unread = |file: &File| matches!(file, File::Unread { .. });
            let unread = files
                .all
                .iter()
                .filter(|(state, file)| is_unread(file) && state.size <= self.asked.reading.largest);
            unread.map(|(state, _)| *state).collect()
        };
        unread.sort_by_key(|state| state.size);
        for state in unread {
            if Instant::now() >= deadline || is_halted() {
                return;
            }
            let unread = self.files.lock().all.remove(&state);
            let Some(File::Unread { piece, hides_writes, pids }) = unread else { continue };
            let read = piece.hold(self.reach.look).and_then(|held| {
                Known::look_into(&held, state, self.asked.kinds, hides_writes, self.asked.now)
            });
            let mut file = match read {
                Ok((read, lasting)) => {
                    if let Some(stat) = lasting {
                        self.known.lock().remember(&stat, &read);
                    }
                    self.judged(&piece, read.0)
                }
                // Or it changed while it was read: it is held, and so it is run still.
                Err(error) => {
                    tracing::debug!(pid = piece.pid, %error, "what a process runs can't be read");
                    File::Unread { piece, hides_writes, pids: Vec::new() }
                }
            };
            file.pids().into_iter().for_each(|now| now.clone_from(&pids));
            self.files.lock().all.insert(state, file);
        }
    }
}

/// Whether nobody runs it any more, or it is something else by now, which is met by itself.
fn is_gone(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let gone = [Errno::NOENT, Errno::SRCH, Errno::STALE];
    Errno::from_io_error(error).is_some_and(|errno| gone.contains(&errno))
}

fn add(file: &mut File, pid: i32) {
    if let Some(pids) = file.pids()
        && !pids.contains(&pid)
    {
        pids.push(pid);
    }
}

/// Each file once, by whatever path.
fn crowds(files: impl Iterator<Item = File>) -> Vec<(Names, Crowd)> {
    let now = sys::processes::now();
    let mut by_content: HashMap<model::Sha256, (Names, PathBuf, HashSet<i32>)> = HashMap::new();
    for file in files {
        let File::Asked { names, path, pids } = file else { continue };
        let entry = by_content.entry(names.sha256).or_insert_with(|| (names, path, HashSet::new()));
        entry.2.extend(pids);
    }
    let crowd = |(names, path, pids): (Names, PathBuf, HashSet<i32>)| {
        let users: HashSet<u32> = pids.iter().filter_map(|pid| sys::owner::of(*pid).ok()).collect();
        let oldest = pids.iter().filter_map(|pid| sys::processes::start_time(*pid).ok()).min().unwrap_or(now);
        let crowd = Crowd {
            sha256: names.sha256,
            path,
            processes: u32::try_from(pids.len()).unwrap_or(u32::MAX),
            users: u32::try_from(users.len()).unwrap_or(u32::MAX),
            seconds: now.saturating_sub(oldest) / 100,
        };
        (names, crowd)
    };
    by_content.into_values().map(crowd).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::vault::Vault;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    struct Running(Vec<Child>);

    impl Running {
        fn start(path: &Path, count: usize) -> Self {
            let run = || Command::new(path).arg("600").stdin(Stdio::null()).spawn().unwrap();
            Self((0..count).map(|_| run()).collect())
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            for child in &mut self.0 {
                child.kill().unwrap();
                child.wait().unwrap();
            }
        }
    }

    fn program(dir: &Path, name: &str, end: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = dir.join(name);
        let bytes = [std::fs::read("/bin/sleep").unwrap(), end.as_bytes().to_vec()].concat();
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    const ALL: Reading = Reading { within: Duration::from_secs(60), largest: u64::MAX };

    fn take(census: &Census, grounds: &Grounds, meant: model::Sha256, reading: Reading) -> Counted {
        let about = move |names: &Names| names.sha256 == meant;
        let now = model::Clock::now(&SystemClock);
        let asked = Asked { kinds: Kinds::NONE, about: &about, now, reading };
        census.take(grounds, &asked, &|| false).unwrap()
    }

    fn grounds(data_dir: &Path, spares: Option<PathBuf>) -> Grounds {
        Grounds {
            guarded: Vec::new(),
            vault: Arc::new(Vault::open(data_dir, Arc::new(SystemClock)).unwrap()),
            spared: Arc::new(move |path: &Path, _: &model::Sha256| {
                (Some(path) == spares.as_deref()).then(|| "a test".to_owned())
            }),
            everywhere: false,
            own_pids: Vec::new(),
            own_program: None,
        }
    }

    /// One that is too large to be read stands for all that can't be.
    #[test]
    fn what_can_not_be_read_is_unknown_and_not_clear() {
        sys::lease::ignore_break_signals().unwrap();
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = program(dir.path(), "huge", "");
        std::fs::File::options().write(true).open(&path).unwrap().set_len(5 << 30).unwrap();
        let running = Running::start(&path, 1);
        let inventory = Arc::new(Inventory::open(&dir.path().join("inventory.redb")).unwrap());
        let census = Census::new(inventory);
        let state = State::at(rustix::fs::CWD, &path).unwrap().unwrap();
        let knows = |count: &Count<'_>| {
            count.read(&|| false);
            !matches!(count.files.lock().all[&state], File::Unread { .. })
        };
        let now = model::Clock::now(&SystemClock);
        let asked = Asked { kinds: Kinds::NONE, about: &|_: &Names| false, now, reading: ALL };
        let look = Look::new(Some(HashSet::new())).unwrap();
        let grounds = grounds(dir.path(), None);
        let reach = Reach::new(&grounds, &look);
        let files = Files { all: HashMap::new(), unread: 0, is_complete: true };
        let count = Count { reach: &reach, asked: &asked, known: &census.known, files: Mutex::new(files) };
        let pid = running.0[0].id().cast_signed();
        look.pieces(pid, Depth::Everything, &mut |piece| {
            count.note(&piece);
            true
        });
        assert!(!knows(&count));
        assert!(!take(&census, &grounds, model::Sha256([0; 32]), ALL).is_complete);
    }

    /// Files that were never hashed, by two names, one of them of no name any more.
    #[test]
    fn all_who_run_a_file_are_counted_by_whatever_name() {
        sys::lease::ignore_break_signals().unwrap();
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let grounds = |spares| grounds(dir.path(), spares);
        let unique = model::HoldId::random().to_string();
        let one = program(dir.path(), "one", &unique);
        let two = program(dir.path(), "two", &unique);
        let other = program(dir.path(), "other", &format!("{unique} other"));
        let _running = [Running::start(&one, 3), Running::start(&two, 2), Running::start(&other, 4)];
        let meant = {
            use std::os::fd::AsFd;
            let file = std::fs::File::open(&one).unwrap();
            crate::digest::hash_plainly(file.as_fd()).unwrap().0.sha256
        };
        std::fs::remove_file(&two).unwrap();

        let inventory = Arc::new(Inventory::open(&dir.path().join("inventory.redb")).unwrap());
        let census = Census::new(inventory);
        let nothing = Reading { within: Duration::ZERO, largest: 0 };
        let none = take(&census, &grounds(None), meant, nothing);
        assert!(none.crowds.is_empty() && !none.is_complete, "nobody has read them");
        let all = take(&census, &grounds(None), meant, ALL);
        let [(names, crowd)] = &all.crowds[..] else { panic!("one file: {:?}", all.crowds) };
        assert_eq!((names.sha256, crowd.processes, crowd.users), (meant, 5, 1));
        assert!(crowd.seconds < 600);
        // What is spared can be taken from nobody.
        let spared = take(&census, &grounds(Some(one.clone())), meant, ALL);
        assert_eq!(spared.crowds[0].1.processes, 2);
    }
}
