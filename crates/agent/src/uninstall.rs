//! Taking the agent's files off a machine that no agent runs on. Nothing is stopped, and no file of others is touched.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use sys::socket::Kind;

use crate::vault::remove_holding;

/// What an agent keeps in its data directory, but for the vault. Behind each: what its rewriting may have left.
const FILES: [&str; 10] = [
    "ledger",
    "ledger.new",
    "spool",
    "spool.new",
    "inventory.redb",
    "origins",
    "origins.new",
    "link.sock",
    "guard.sock",
    "agent.sock",
];
/// Sockets by which those who run are known. The warden's goes with the files.
const LISTENERS: [(&str, Kind); 3] =
    [("warden.sock", Kind::Packets), ("agent.sock", Kind::Stream), ("guard.sock", Kind::Packets)];
/// What the vault keeps there.
const VAULT: [&str; 2] = ["vault.journal", "vault.new"];

/// A process that uses a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// The process; 0 when it is outside of this one's view.
    pub pid: i32,
    /// The unit that systemd started it as, if it did.
    pub unit: Option<String>,
}

/// What was removed, and what is left and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// Gone.
    pub removed: Vec<PathBuf>,
    /// Still there.
    pub left: Vec<(PathBuf, String)>,
}

/// Who runs on this data directory, if anybody does.
pub fn running(data_dir: &Path) -> Option<Running> {
    LISTENERS.iter().find_map(|(name, kind)| {
        let socket = sys::socket::connect(&data_dir.join(name), *kind).ok()?;
        let pid = sys::socket::peer_pid(socket.as_fd()).unwrap_or_default();
        Some(Running { pid, unit: unit_of(pid) })
    })
}

fn unit_of(pid: i32) -> Option<String> {
    unit(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

/// The innermost unit on the way to a control group.
fn unit(cgroups: &str) -> Option<String> {
    let mut names = cgroups.lines().flat_map(|line| line.rsplit(':').next().unwrap_or_default().split('/'));
    // Of a user: nobody is told to stop their whole session.
    let of_the_system = |name: &&str| name.ends_with(".service") && !name.starts_with("user@");
    names.rfind(of_the_system).map(str::to_owned)
}

/// Removes what an agent has left on this machine: its files in the data directory, its users' socket, what a guard has
/// pinned in the kernel, and empty vaults of filesystems. Call it while none runs there. With `keep_vault` what rests in
/// the vault, and the journal that knows its way home, stay.
pub fn remove(data_dir: &Path, keep_vault: bool) -> Removal {
    let mut removal = Removal::default();
    // What denies without a process goes first: with the rest gone nobody would know of it.
    removal.unpin();
    let vault: &[&str] = if keep_vault { &[] } else { &VAULT };
    let sockets = LISTENERS.iter().map(|(name, _)| *name);
    for name in FILES.into_iter().chain(sockets).chain(vault.iter().copied()) {
        removal.file(&data_dir.join(name));
    }
    removal.file(&crate::local::users_socket(data_dir));
    removal.directory_if_empty(Path::new(crate::local::USERS_DIRECTORY));
    for mount in sys::mounts::current().unwrap_or_default() {
        if !sys::mounts::is_local(&mount) {
            continue;
        }
        match remove_holding(&mount.point) {
            Ok(Some(path)) => removal.removed.push(path),
            Ok(None) => {}
            Err((path, _)) if keep_vault => removal.keeps(path, "quarantined copies rest in it"),
            Err((path, error)) => removal.keeps(path, &error.to_string()),
        }
    }
    removal.directory_if_empty(&data_dir.join("vault"));
    let brake = Path::new(crate::lever::FILE);
    if brake.exists() {
        removal.keeps(brake.to_owned(), "root has released the guard; it counts for the next agent too");
    }
    removal.data_dir(data_dir, keep_vault);
    removal
}

impl Removal {
    fn keeps(&mut self, path: PathBuf, why: &str) {
        self.left.push((path, why.to_owned()));
    }

    fn file(&mut self, path: &Path) {
        match fs::remove_file(path) {
            Ok(()) => self.removed.push(path.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.keeps(path.to_owned(), &error.to_string()),
        }
    }

    fn directory_if_empty(&mut self, path: &Path) {
        if fs::remove_dir(path).is_ok() {
            self.removed.push(path.to_owned());
        }
    }

    /// Unless another agent of this machine may have done it.
    fn unpin(&mut self) {
        let pins = PathBuf::from("/sys/fs/bpf/quell");
        match other_guard() {
            Some(pid) if pins.exists() => self.keeps(pins, &format!("another guard runs, process {pid}")),
            Some(_) => {}
            None => match crate::guard::bpf::release() {
                Ok(true) => self.removed.push(pins),
                Ok(false) => {}
                Err(error) => {
                    self.keeps(pins, &format!("{error}; until it is removed, denied files stay denied"));
                }
            },
        }
    }

    fn data_dir(&mut self, data_dir: &Path, keep_vault: bool) {
        let names: Vec<OsString> =
            fs::read_dir(data_dir).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
        if names.is_empty() {
            return self.directory_if_empty(data_dir);
        }
        for name in names {
            let is_vaults = name == "vault" || VAULT.iter().any(|of_it| name == *of_it);
            let path = data_dir.join(&name);
            if self.left.iter().any(|(left, _)| *left == path) {
                continue;
            }
            self.keeps(
                path,
                match is_vaults && keep_vault {
                    true => "quarantined copies and their way home",
                    false => "it is not the agent's: a server may use it",
                },
            );
        }
    }
}

/// A guard of any agent that runs this program.
fn other_guard() -> Option<i32> {
    let own = std::env::current_exe().ok()?;
    sys::processes::all().into_iter().find(|pid| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut arguments = arguments.split(|byte| *byte == 0).skip(1);
        let is_guard = arguments.next() == Some(b"agent") && arguments.next() == Some(b"guard");
        is_guard && sys::processes::executable_path(*pid).is_ok_and(|program| program == own)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_innermost_one() {
        assert_eq!(
            unit("0::/system.slice/quell-agent.service/warden\n").as_deref(),
            Some("quell-agent.service")
        );
        assert_eq!(unit("0::/user.slice/user-0.slice/session-3.scope\n"), None);
        assert_eq!(unit("0::/user.slice/user@0.service/app.slice\n"), None);
        let nested = "0::/system.slice/docker.service/x.service/y\n";
        assert_eq!(unit(nested).as_deref(), Some("x.service"));
    }

    #[test]
    fn who_listens_is_running() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(running(dir.path()), None);
        let listener = sys::socket::listen(&dir.path().join("agent.sock"), Kind::Stream).unwrap();
        assert_eq!(running(dir.path()).unwrap().pid, i32::try_from(std::process::id()).unwrap());
        drop(listener);
        assert_eq!(running(dir.path()), None, "a socket that nobody listens at");
    }

    #[test]
    fn what_is_not_the_agents_stays_and_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["ledger", "spool.new", "vault.journal", "quell.db", "agent.sock"] {
            fs::write(path(name), "").unwrap();
        }
        fs::create_dir(path("vault")).unwrap();
        let mut removal = Removal::default();
        removal.file(&path("ledger"));
        removal.file(&path("no such"));
        removal.data_dir(dir.path(), true);
        assert_eq!(removal.removed, [path("ledger")]);
        let why = |name: &str| {
            let found = removal.left.iter().find(|(left, _)| *left == path(name));
            found.map(|(_, why)| why.as_str())
        };
        assert!(why("vault.journal").unwrap().contains("way home"));
        assert!(why("quell.db").unwrap().contains("server"));
        assert_eq!(why("ledger"), None);
    }
}
