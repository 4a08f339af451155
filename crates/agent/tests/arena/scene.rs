//! What acts act on: an arena, and processes that run from it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::acts::{Grounds, Guarded, Spares};

use super::{Arena, Kind};

/// What a test acts on: an arena, its grounds, and processes that end with it.
pub(crate) struct Scene {
    pub(crate) arena: Arena,
    pub(crate) grounds: Grounds,
    running: Vec<Child>,
}

impl Scene {
    pub(crate) fn open(kind: Kind) -> Option<Self> {
        let arena = Arena::enter(kind)?;
        let guarded = Guarded { device: arena.device(), mount: arena.root(), volatile: kind == Kind::Tmpfs };
        let spared: Arc<Spares> = Arc::new(|_, _| None);
        let vault = Arc::new(arena.vault());
        let guarded = vec![guarded];
        let (own_pids, own_program) = (Vec::new(), None);
        let grounds = Grounds { guarded, vault, spared, everywhere: false, own_pids, own_program };
        Some(Self { arena, grounds, running: Vec::new() })
    }

    /// A program that no other machine or process has, doing what `like` does.
    pub(crate) fn program(&self, name: &str, like: &str) -> PathBuf {
        let path = self.arena.path(name);
        let mut bytes = fs::read(like).unwrap();
        bytes.extend_from_slice(name.split('-').next().unwrap().as_bytes());
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    /// Starts a program in the filesystem's root; it ends with the scene.
    pub(crate) fn start(&mut self, program: &Path, arguments: &[&str]) -> i32 {
        let mut command = Command::new(program);
        command.args(arguments);
        self.spawn(command)
    }

    pub(crate) fn spawn(&mut self, mut command: Command) -> i32 {
        command.current_dir(self.arena.root());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Whatever it starts in turn is found by its group at the end.
        let child = command.process_group(0).spawn().unwrap();
        let pid = child.id().cast_signed();
        self.running.push(child);
        pid
    }

    pub(crate) fn is_running(&mut self, pid: i32) -> bool {
        let child = self.running.iter_mut().find(|child| child.id().cast_signed() == pid).unwrap();
        child.try_wait().unwrap().is_none()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for mut child in self.running.drain(..) {
            // Its number and its group's are its own until it is waited for.
            if let Some(group) = rustix::process::Pid::from_raw(child.id().cast_signed()) {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = child.wait();
        }
    }
}

/// Waits until it is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
