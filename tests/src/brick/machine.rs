//! A Debian with an agent in it, on a filesystem of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use model::{MachineId, OrganizationId, Sha256};
use sha2::Digest;
use sys::mounts::unmount_lazily;

use super::orders::Plane;
use crate::command::run;
use crate::up::binary;

/// Where the agent keeps what it keeps, inside.
const DATA: &str = "/var/lib/quell";
const QUELL: &str = "/usr/bin/quell";
/// Of the filesystem.
const SIZE: u64 = 2 << 30;
/// What a script does that tries the machine; it names what works.
const TRIAL: &str = include_str!("trial.sh");

pub(super) struct Machine {
    pub(super) plane: Plane,
    root: PathBuf,
    agent: Child,
    dir: tempfile::TempDir,
}

/// What `quell agent spared --check` says.
pub(super) struct Checked {
    pub(super) is_spared: bool,
    pub(super) said: String,
}

/// What must be the same when a file has come back.
pub(super) type State = (Sha256, u32, u32, u32, i64);

impl Machine {
    /// Makes it of a copy of `tree`, and waits until its agent knows all its files.
    pub(super) fn start(tree: &Path, opens: bool) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let (root, image) = (dir.path().join("m"), dir.path().join("image"));
        fs::create_dir(&root)?;
        File::create(&image)?.set_len(SIZE)?;
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0", "-d"]).arg(tree).arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&root))?;
        furnish(&root)?;
        fs::copy(binary(), root.join(&QUELL[1..]))?;
        fs::create_dir_all(root.join(&DATA[1..]))?;
        fs::set_permissions(root.join(&DATA[1..]), fs::Permissions::from_mode(0o700))?;
        fs::write(root.join("trial"), TRIAL)?;

        let (machine, organization) = (MachineId([7; 20]), OrganizationId::random());
        let plane = Plane::listen(&root.join(&DATA[1..]), machine, organization)?;
        let mut agent = Command::new("chroot");
        agent.arg(&root).args([QUELL, "agent", "run", "--data-dir", DATA, "--watch", "/usr"]);
        // Not `/`: that would mean every filesystem of this host.
        agent.args(["--guard", "/usr", "--guard-level", "fanotify"]).args(opens.then_some("--guard-opens"));
        // What is ordered here no brake would let pass.
        agent.args(["--brake-denials", "0", "--brake-quarantines", "0"]);
        agent.args(["--machine", &machine.to_string(), "--organization", &organization.to_string()]);
        let log = File::create(dir.path().join("log"))?;
        let agent = agent.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let mut own = Self { plane, root, agent, dir };
        let ready = own.plane.wait_ready();
        ready.with_context(|| fs::read_to_string(own.dir.path().join("log")).unwrap_or_default())?;
        Ok(own)
    }

    /// A path inside, as it is seen from outside.
    fn path(&self, inside: &Path) -> PathBuf {
        self.root.join(inside.strip_prefix("/").unwrap_or(inside))
    }

    /// Whether something lies there.
    pub(super) fn holds(&self, inside: &Path) -> bool {
        fs::symlink_metadata(self.path(inside)).is_ok()
    }

    /// Every program and script on it, and its content.
    pub(super) fn programs(&self) -> anyhow::Result<Vec<(PathBuf, Sha256)>> {
        let device = fs::metadata(&self.root)?.dev();
        let mut found = Vec::new();
        let mut next = vec![self.root.clone()];
        while let Some(directory) = next.pop() {
            for entry in fs::read_dir(&directory)?.flatten() {
                let (path, stat) = (entry.path(), entry.metadata()?);
                let inside = Path::new("/").join(path.strip_prefix(&self.root)?);
                if stat.dev() != device || inside.starts_with(DATA) || inside.starts_with("/.quell-vault") {
                    continue;
                }
                if stat.is_dir() {
                    next.push(path);
                } else if stat.is_file() {
                    let bytes = fs::read(&path)?;
                    if bytes.starts_with(b"\x7fELF") || is_script(&bytes) {
                        found.push((inside, Sha256(sha2::Sha256::digest(&bytes).into())));
                    }
                }
            }
        }
        Ok(found)
    }

    /// How files are; those that are not there are left out.
    pub(super) fn state<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p PathBuf>,
    ) -> anyhow::Result<BTreeMap<PathBuf, State>> {
        let mut states = BTreeMap::new();
        for inside in paths {
            let path = self.path(inside);
            let Ok(stat) = fs::symlink_metadata(&path) else { continue };
            let sha256 = Sha256(sha2::Sha256::digest(fs::read(&path)?).into());
            let state = (sha256, stat.mode(), stat.uid(), stat.gid(), stat.mtime());
            states.insert(inside.clone(), state);
        }
        Ok(states)
    }

    pub(super) fn digest(&self, inside: &str) -> anyhow::Result<Sha256> {
        let bytes = fs::read(self.path(Path::new(inside)))?;
        Ok(Sha256(sha2::Sha256::digest(bytes).into()))
    }

    /// Runs a program inside: its exit code and what it said.
    pub(super) fn run(&self, command: &[&str]) -> anyhow::Result<(i32, String)> {
        let mut inside = Command::new("timeout");
        inside.args(["60", "chroot"]).arg(&self.root).args(command).env_clear();
        inside.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root").stdin(Stdio::null());
        let output = inside.output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned()))
    }

    /// Tries the machine in every way: a login shell, the package manager, ssh. In a network of its own.
    pub(super) fn tried(&self) -> anyhow::Result<()> {
        let script = "ip link set lo up && exec timeout 120 chroot \"$0\" /bin/sh /trial";
        let mut trial = Command::new("unshare");
        trial.args(["--net", "sh", "-c", script]).arg(&self.root).env_clear();
        trial.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root").env("LC_ALL", "C");
        let output = trial.stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success() && said.ends_with("all works\n"),
            "the machine does not work: it got through to {said}\nand said {complained}"
        );
        Ok(())
    }

    /// What the agent says of a path.
    pub(super) fn spared(&self, inside: &str) -> anyhow::Result<Checked> {
        let (code, said) = self.run(&[QUELL, "agent", "spared", "--data-dir", DATA, "--check", inside])?;
        Ok(Checked { is_spared: code == 0, said })
    }

    /// Puts its own content with something behind it at the place of a file. What was there comes back.
    pub(super) fn replace(&self, inside: &str, more: &[u8]) -> anyhow::Result<PathBuf> {
        let path = self.path(Path::new(inside));
        let (aside, new) = (path.with_extension("aside"), path.with_extension("new"));
        fs::copy(&path, &new)?;
        let mut bytes = fs::read(&new)?;
        bytes.extend_from_slice(more);
        fs::write(&new, bytes)?;
        fs::rename(&path, &aside)?;
        fs::rename(&new, &path)?;
        Ok(aside)
    }

    pub(super) fn put_back(&self, inside: &str, aside: PathBuf) -> anyhow::Result<()> {
        Ok(fs::rename(aside, self.path(Path::new(inside)))?)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.agent);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.agent.wait();
        let _ = unmount_lazily(&self.root);
        if std::thread::panicking() || std::env::var_os("QUELL_KEEP_LOG").is_some() {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            println!("the agent's log:\n{log}");
        }
    }
}

/// Devices, processes and a place for temporary files, which are no part of what is guarded.
fn furnish(root: &Path) -> anyhow::Result<()> {
    let at = |name: &str| root.join(name);
    run(Command::new("mount").args(["-t", "proc", "proc"]).arg(at("proc")))?;
    run(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(at("dev")))?;
    for device in ["null", "zero", "random", "urandom", "tty"] {
        File::create(at("dev").join(device))?;
        run(Command::new("mount")
            .arg("--bind")
            .arg(Path::new("/dev").join(device))
            .arg(at("dev").join(device)))?;
    }
    fs::create_dir(at("dev/pts"))?;
    run(Command::new("mount")
        .args(["-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts"])
        .arg(at("dev/pts")))?;
    std::os::unix::fs::symlink("pts/ptmx", at("dev/ptmx"))?;
    std::os::unix::fs::symlink("/proc/self/fd", at("dev/fd"))?;
    Ok(())
}

/// As the kernel sees it.
fn is_script(bytes: &[u8]) -> bool {
    let line = bytes.strip_prefix(b"#!").unwrap_or_default();
    line.iter().find(|byte| !matches!(byte, b' ' | b'\t')) == Some(&b'/')
}
