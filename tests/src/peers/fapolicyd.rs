//! fapolicyd: an allow list that asks about each open and each exec.
//!
//! It marks *every mount* of the types in `watch_fs` that it can see. So it runs with the test's filesystem as
//! its root, where it can see no other of that type, and before it starts that is looked at.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use super::packages::{library_path, unpacked};
use super::{Daemon, REFUSED, wait_refusing};
use crate::command::run;
use crate::filesystem::Filesystem;
use crate::userland::libraries;

const PACKAGE: &str = "fapolicyd";

/// The rules that its authors call `known-libs`, in order, but for `20-dracut`: that one permits root to run
/// whatever it likes from any trusted program, and then nothing is compared with the trust.
const RULES: [&str; 10] = [
    "10-languages",
    "21-updaters",
    "30-patterns",
    "40-bad-elf",
    "41-shared-obj",
    "42-trusted-elf",
    "70-trusted-lang",
    "72-shell",
    "90-deny-execute",
    "95-allow-open",
];

/// Over these it gets small filesystems of its own, of a type that it does not watch.
const OWN: [&str; 4] = ["peer", "etc/fapolicyd", "var/lib/fapolicyd", "run"];

/// What it compares a file with before it trusts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// With nothing: its path is enough.
    None,
    /// Its SHA-256.
    Sha256,
}

/// A file that it trusts.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// Its path, as seen from the filesystem's root.
    pub path: String,
    /// Its length.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: String,
}

impl Trusted {
    /// What is trusted of this content.
    pub fn of(path: String, content: &[u8]) -> Self {
        let sha256 = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { path, size: content.len() as u64, sha256 }
    }
}

/// Has its package here.
///
/// # Errors
/// Why it can't be had.
pub fn fetch() -> anyhow::Result<()> {
    unpacked(PACKAGE).map(drop)
}

/// Starts it on a filesystem that holds a [`Userland`](crate::userland::Userland), all of whose files but
/// [`REFUSED`] it trusts, and `more`.
///
/// # Errors
/// Why it can't be had, does not start, or does not refuse [`REFUSED`] when it has.
pub fn start(filesystem: &Filesystem, integrity: Integrity, more: &[Trusted]) -> anyhow::Result<Daemon> {
    let root = filesystem.root();
    let package = unpacked(PACKAGE)?;
    for own in OWN {
        sys::mounts::mount_tmpfs(&root.join(own), 64 << 20).context("cannot mount a tmpfs")?;
    }
    run(Command::new("mount").args(["-t", "proc", "proc"]).arg(root.join("proc")))?;
    run(Command::new("mount").args(["--bind", "/dev"]).arg(root.join("dev")))?;
    let kind = only_mount_of_its_type(root)?;
    furnish(root, &package)?;
    configure(root, &package, &kind, integrity)?;
    trust(root, more)?;
    let mut command = Command::new("chroot");
    command.arg(root).args(["/peer/fapolicyd", "--debug-deny"]).env("LD_LIBRARY_PATH", "/peer/lib");
    let mut daemon = Daemon::start("fapolicyd", &mut command, filesystem.beside("fapolicyd.log"))?;
    wait_refusing(&mut daemon, root, Duration::from_secs(20))?;
    Ok(daemon)
}

/// The type of the filesystem, once it is sure that whoever has it as its root sees no other mount of it.
fn only_mount_of_its_type(root: &Path) -> anyhow::Result<String> {
    let seen = run(Command::new("chroot").arg(root).args(["/bin/cat", "/proc/mounts"]))?;
    let mounts: Vec<(&str, &str)> = seen
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .collect();
    let own = mounts.iter().find(|(point, _)| *point == "/").context("the root is no mount")?.1;
    if mounts.iter().filter(|(_, kind)| *kind == own).count() != 1 {
        bail!("another {own} is mounted where fapolicyd could mark it");
    }
    Ok(own.to_owned())
}

/// Its programs, with the libraries they are linked with, so that it needs nothing of what it watches.
fn furnish(root: &Path, package: &Path) -> anyhow::Result<()> {
    let into = root.join("peer");
    std::fs::create_dir(into.join("lib"))?;
    let program = package.join("usr/sbin/fapolicyd");
    std::fs::copy(&program, into.join("fapolicyd")).context("the package holds no fapolicyd")?;
    for library in libraries(&program, &library_path(package)) {
        let name = library.file_name().context("a library has a name")?;
        std::fs::copy(&library, into.join("lib").join(name))?;
    }
    let magic = "usr/share/fapolicyd/fapolicyd-magic.mgc";
    std::fs::copy(package.join(magic), root.join(magic)).context("the package holds no magic")?;
    Ok(())
}

fn configure(root: &Path, package: &Path, kind: &str, integrity: Integrity) -> anyhow::Result<()> {
    let integrity = match integrity {
        Integrity::None => "none",
        Integrity::Sha256 => "sha256",
    };
    let own = root.join("etc/fapolicyd");
    let shipped = std::fs::read_to_string(package.join("etc/fapolicyd/fapolicyd.conf"))?;
    let mut settings = String::new();
    for line in shipped.lines() {
        // All else is as shipped; a user of its own is not there without an installation.
        let setting = match line.split(" = ").next().unwrap_or_default() {
            "watch_fs" => format!("watch_fs = {kind}"),
            "integrity" => format!("integrity = {integrity}"),
            "trust" => "trust = file".to_owned(),
            name @ ("uid" | "gid") => format!("{name} = 0"),
            _ => line.to_owned(),
        };
        writeln!(settings, "{setting}")?;
    }
    std::fs::write(own.join("fapolicyd.conf"), settings)?;
    let mut rules = String::new();
    for part in RULES {
        let path = package.join(format!("usr/share/fapolicyd/sample-rules/{part}.rules"));
        let text = std::fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
        rules.extend(text.lines().filter(|line| !line.starts_with('#')).flat_map(|line| [line, "\n"]));
    }
    std::fs::write(own.join("compiled.rules"), rules)?;
    std::fs::create_dir_all(root.join("run/fapolicyd"))?;
    Ok(())
}

fn trust(root: &Path, more: &[Trusted]) -> anyhow::Result<()> {
    let mut files = Vec::new();
    gather(root, root, &mut files)?;
    let mut text = String::new();
    for file in files.iter().chain(more) {
        writeln!(text, "{} {} {}", file.path, file.size, file.sha256)?;
    }
    let own = root.join("etc/fapolicyd");
    std::fs::write(own.join("fapolicyd.trust"), "")?;
    std::fs::create_dir(own.join("trust.d"))?;
    std::fs::write(own.join("trust.d/test"), text)?;
    Ok(())
}

/// All regular files of this filesystem below `dir`.
fn gather(root: &Path, dir: &Path, files: &mut Vec<Trusted>) -> anyhow::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let device = root.metadata()?.dev();
    for entry in dir.read_dir()? {
        let path = entry?.path();
        let found = path.symlink_metadata()?;
        let inside = format!("/{}", path.strip_prefix(root)?.display());
        if found.is_dir() && found.dev() == device {
            gather(root, &path, files)?;
        } else if found.is_file() && inside != REFUSED {
            files.push(Trusted::of(inside, &std::fs::read(&path)?));
        }
    }
    Ok(())
}
