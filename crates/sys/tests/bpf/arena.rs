//! A filesystem of its own for each test, and the programs, which all tests of a process share: loading them takes
//! long in an emulated machine.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use sys::bpf::{Content, Effect, Event, Events, Programs, Rule, SHA256, Scope, kernel_device};
use tempfile::TempDir;

pub(crate) const EPERM: i32 = 1;
pub(crate) const ETXTBSY: i32 = 26;
/// Long enough for a file to be no longer young.
pub(crate) const SETTLED: Duration = Duration::from_millis(60);

/// The programs and what they were told.
pub(crate) struct Stage {
    pub(crate) programs: Programs,
    events: Events,
    rules: Vec<Content>,
    pub(crate) scope: Scope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tmpfs,
    Ext4,
}

/// An empty filesystem that alone is guarded, unless a test says otherwise.
pub(crate) struct Arena {
    point: TempDir,
    stage: MutexGuard<'static, Option<Stage>>,
    device: u64,
}

/// One test at a time: a child of another, forked while a file is open for writing here, would be a writer.
pub(crate) fn alone() -> Option<MutexGuard<'static, Option<Stage>>> {
    static STAGE: Mutex<Option<Stage>> = Mutex::new(None);
    if std::env::var_os("QUELL_PRIVATE_NAMESPACE").is_none_or(|value| value != "1") {
        eprintln!("not run: needs a private mount namespace");
        return None;
    }
    let stage = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    if stage.is_none()
        && let Err(why) = sys::bpf::probe()
    {
        eprintln!("not run: this kernel takes no LSM programs: {why}");
        return None;
    }
    Some(stage)
}

impl Stage {
    pub(crate) fn set() -> Self {
        let mut programs = Programs::load().unwrap();
        programs.attach().unwrap();
        assert_eq!(programs.algorithm().unwrap(), SHA256);
        programs.name_interpreters(&["sh", "dash", "bash", "perl"]).unwrap();
        let events = programs.take_events().unwrap();
        Self { programs, events, rules: Vec::new(), scope: Scope::default() }
    }
}

impl Arena {
    pub(crate) fn enter(kind: Kind) -> Option<Self> {
        let mut stage = alone()?;
        let point = tempfile::tempdir().unwrap();
        match kind {
            Kind::Tmpfs => sys::mounts::mount_tmpfs(point.path(), 256 << 20).unwrap(),
            Kind::Ext4 => {
                let image = point.path().with_extension("image");
                File::create(&image).unwrap().set_len(128 << 20).unwrap();
                if !command("mkfs.ext4").args(["-q", "-F"]).arg(&image).status().unwrap().success()
                    || !command("mount")
                        .args(["-o", "loop"])
                        .arg(&image)
                        .arg(point.path())
                        .status()
                        .unwrap()
                        .success()
                {
                    eprintln!("not run: no ext4 on a loop device here");
                    return None;
                }
            }
        }
        let device = kernel_device(sys::mounts::containing(point.path()).unwrap().device);
        let stage_now = stage.get_or_insert_with(Stage::set);
        stage_now.scope = Scope::default();
        stage_now.programs.guard(&[device]).unwrap();
        stage_now.programs.spare(&[]).unwrap();
        let mut arena = Self { point, stage, device };
        arena.deny(&[]);
        arena.events();
        Some(arena)
    }

    pub(crate) fn stage(&mut self) -> &mut Stage {
        self.stage.as_mut().unwrap()
    }

    pub(crate) fn programs(&mut self) -> &mut Programs {
        &mut self.stage().programs
    }

    pub(crate) fn device(&self) -> u64 {
        self.device
    }

    pub(crate) fn root(&self) -> &Path {
        self.point.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.point.path().join(name)
    }

    /// A program that ends with status 0 at once; each `variant` has other bytes.
    pub(crate) fn program(&self, name: &str, variant: &str) -> PathBuf {
        self.copy("/bin/true", name, variant)
    }

    /// A copy of a program with something behind its end.
    pub(crate) fn copy(&self, program: &str, name: &str, variant: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, [&fs::read(program).unwrap(), variant.as_bytes()].concat()).unwrap();
        fs::set_permissions(&path, fs::metadata(program).unwrap().permissions()).unwrap();
        path
    }

    /// Makes these rules and no others.
    pub(crate) fn adopt(&mut self, rules: &[(Content, Rule)]) {
        let stage = self.stage();
        stage.programs.put_rules(rules.iter().copied()).unwrap();
        let stale: Vec<_> =
            stage.rules.iter().filter(|old| !rules.iter().any(|(new, _)| new == *old)).copied().collect();
        stage.programs.remove_rules(stale).unwrap();
        stage.rules = rules.iter().map(|(content, _)| *content).collect();
        stage.programs.publish(rules.len(), stage.scope).unwrap();
    }

    /// Denies the contents of these files and nothing else. The rules have the ids 1, 2, and so on. With no file there
    /// is one rule that no file matches, so that the programs judge all the same.
    pub(crate) fn deny(&mut self, paths: &[&Path]) {
        let mut rules: Vec<_> =
            paths.iter().zip(1..).map(|(path, id)| (content(path), Rule::new(id, Effect::Deny, 0))).collect();
        if rules.is_empty() {
            rules.push((Content::sha256([0; 32]), Rule::new(99, Effect::Deny, 0)));
        }
        self.adopt(&rules);
    }

    /// From now on all filesystems are guarded.
    pub(crate) fn everywhere(&mut self) {
        self.stage().scope.everywhere = true;
    }

    /// What was told since the last look.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        let stage = self.stage();
        std::iter::from_fn(|| stage.events.take()).collect()
    }

    /// How many files the kernel has hashed.
    pub(crate) fn hashed(&mut self) -> u64 {
        self.programs().counts().unwrap().hashed
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if let Some(stage) = self.stage.as_mut() {
            // Nothing stays denied behind a test that failed.
            let _ = stage.programs.publish(0, Scope::default());
        }
        let _ = sys::mounts::unmount_lazily(self.point.path());
        let _ = fs::remove_file(self.point.path().with_extension("image"));
    }
}

pub(crate) fn content(path: &Path) -> Content {
    Content::sha256(Sha256::digest(fs::read(path).unwrap()).into())
}

pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

/// Runs a program to its end: its status, or the error of `execve`.
pub(crate) fn run(program: &Path) -> Result<i32, i32> {
    ended(&mut command(program))
}

pub(crate) fn ended(command: &mut Command) -> Result<i32, i32> {
    let status = command.status();
    status.map(|status| status.code().unwrap_or(-1)).map_err(|error: io::Error| error.raw_os_error().unwrap())
}

pub(crate) fn output(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// Runs what a descriptor holds.
pub(crate) fn run_fd(file: &impl AsFd) -> Result<i32, i32> {
    run(Path::new(&format!("/proc/{}/fd/{}", std::process::id(), file.as_fd().as_raw_fd())))
}

/// A memfd with this content.
pub(crate) fn memfd(bytes: &[u8]) -> OwnedFd {
    use std::io::Write;
    let fd = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::ALLOW_SEALING).unwrap();
    let mut file = File::from(fd);
    file.write_all(bytes).unwrap();
    file.into()
}

/// What the kernel says when a file is mapped so that it can be executed.
pub(crate) fn map(file: &File) -> Result<(), i32> {
    sys::bpf::map_executable(file.as_fd()).map_err(|error| error.raw_os_error().unwrap())
}

pub(crate) fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}
