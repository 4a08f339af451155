//! Every copy of a file: the known ones, each looked at now, and the other names of their inodes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use model::act::CopyResult;
use model::facts::{Facts, FileType};
use model::{Digests, FileId};
use rustix::io::Errno;
use sys::identity::{Identity, Stat};

use super::failing::Code;
use super::layers::Layers;
use super::{Grounds, failed, names};
use crate::digest::hash_plainly;
use crate::elsewhere;
use crate::running::Interpreter;
use crate::vault::{Found, Refusal, directory, is_holding, mount_of, open_regular};

/// A copy as it was looked at.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) found: Found,
    pub(super) digests: Digests,
    /// Whether it may be touched.
    is_guarded: bool,
    /// Before its content was read.
    pub(super) stat: Stat,
    /// Whether an interpreter may be running it.
    pub(super) is_interpreted: bool,
    /// The one that it names itself.
    pub(super) interpreter: Option<Interpreter>,
}

/// What there is of a file.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// To be taken.
    pub(super) found: Vec<Copy>,
    /// To be left where they are, and why.
    pub(super) held: Vec<(Copy, String)>,
    /// Never to be taken, or not to be looked at.
    pub(super) failed: Vec<CopyResult>,
    /// Why not.
    pub(super) code: Code,
}

/// Looks at each known path, and for names of the copies' inodes that nobody knew. A path that no longer
/// holds the file is no copy.
pub(super) fn copies(grounds: &Grounds, wanted: FileId, known: &[PathBuf]) -> Copies {
    let mut copies = Copies::default();
    let mut seen = BTreeSet::new();
    for path in known {
        match canonical(path) {
            Ok(path) if seen.insert(path.clone()) => copies.add(grounds, wanted, &path),
            Ok(_) => {}
            Err(error) => copies.miss(path, error),
        }
    }
    for path in missing_names(grounds, &copies) {
        if seen.insert(path.clone()) {
            copies.add(grounds, wanted, &path);
        }
    }
    if !copies.found.is_empty() {
        copies.hold(&Layers::now());
    }
    copies
}

impl Copies {
    fn add(&mut self, grounds: &Grounds, wanted: FileId, path: &Path) {
        match look(grounds, wanted, path) {
            Ok(None) => {}
            Ok(Some(copy)) if !copy.is_guarded => {
                self.failed.push(failed(path.to_owned(), "not guarded", None));
            }
            Ok(Some(copy)) => match (grounds.spared)(path, &copy.digests.sha256) {
                Some(record) => {
                    let reason = format!("spared: {} is what {record} recorded", path.display());
                    self.failed.push(failed(path.to_owned(), reason, None));
                }
                None => self.found.push(copy),
            },
            Err(error) => self.miss(path, error),
        }
    }

    /// A path that is gone, or holds no file, is no copy. Of one that can't be read nobody knows, and that is told.
    fn miss(&mut self, path: &Path, error: io::Error) {
        tracing::debug!(path = %path.display(), %error, "no copy");
        let is_no_file = match Errno::from_io_error(&error) {
            None => error.kind() != io::ErrorKind::OutOfMemory,
            Some(errno) => {
                [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::NAMETOOLONG, Errno::NXIO, Errno::INVAL]
                    .contains(&errno)
            }
        };
        if !is_no_file {
            let refusal = Refusal::when("read, so that it may be a copy", path)(error);
            self.code.note(&refusal);
            self.failed.push(failed(path.to_owned(), refusal.to_string(), None));
        }
    }

    /// All that are the file.
    pub(super) fn seen(&self) -> impl Iterator<Item = &Copy> {
        self.found.iter().chain(self.held.iter().map(|(copy, _)| copy))
    }

    fn hold(&mut self, layers: &Layers) {
        for copy in std::mem::take(&mut self.found) {
            match layers.hold(&copy.found.path) {
                Some(reason) => self.held.push((copy, reason)),
                None => self.found.push(copy),
            }
        }
    }
}

/// `None` when something else is there.
fn look(grounds: &Grounds, wanted: FileId, path: &Path) -> io::Result<Option<Copy>> {
    let (parent, name) = split(path)?;
    let file: File = open_regular(directory(parent)?.as_fd(), name)?;
    let stat = Identity::of(file.as_fd())?;
    if is_ours(grounds, path, &stat) {
        return Ok(None);
    }
    let (digests, facts) = content(grounds, &file, &stat)?;
    if !wanted.names(&digests) {
        return Ok(None);
    }
    // The mount's device and not the file's: on btrfs they differ.
    let is_guarded = grounds.guards(stat.device) || grounds.guards(mount_of(file.as_fd())?.device);
    let found = Found { path: path.to_owned(), device: stat.device, inode: stat.inode };
    let is_machine_code =
        matches!(facts.file_type, FileType::Elf | FileType::PortableExecutable | FileType::MachO);
    let interpreter = Interpreter::of(&file);
    Ok(Some(Copy { found, is_guarded, digests, stat, is_interpreted: !is_machine_code, interpreter }))
}

/// What it holds, without reading what is certain. It is looked at again, under a lease, before it is taken.
fn content(grounds: &Grounds, file: &File, stat: &Stat) -> io::Result<(Digests, Facts)> {
    let vouched = grounds.vault.vouched();
    if let Some(known) = vouched.recall(stat) {
        return Ok(known);
    }
    let claim = vouched.claim(file.as_fd());
    let (digests, facts) = hash_plainly(file.as_fd())?;
    vouched.keep(claim, &Identity::of(file.as_fd())?, digests, &facts);
    Ok((digests, facts))
}

/// Whether it lies in a vault or among this machine's own things. What is mounted there is not ours.
pub(super) fn is_ours(grounds: &Grounds, path: &Path, stat: &Stat) -> bool {
    let data_dir = grounds.vault.data_dir();
    let device = || std::fs::metadata(data_dir).map(|stat| stat.dev());
    path.ancestors().skip(1).any(is_holding)
        || (path.starts_with(data_dir) && device().is_ok_and(|device| device == stat.device))
}

/// The names of found inodes that were not found, as far as a walk of their filesystems finds them.
fn missing_names(grounds: &Grounds, copies: &Copies) -> Vec<PathBuf> {
    let resting: Vec<_> = grounds.vault.list().into_iter().filter(|resting| resting.renamed).collect();
    let mut known: BTreeMap<(u64, u64), (u32, usize)> = BTreeMap::new();
    for copy in &copies.found {
        let key = (copy.stat.device, copy.stat.inode);
        // Names that rest in the vault of their filesystem count too.
        let in_vault = || resting.iter().filter(|r| (r.device, r.inode) == key).count();
        known.entry(key).or_insert_with(|| (copy.stat.links, in_vault())).1 += 1;
    }
    let mut missing: HashSet<(u64, u64)> = HashSet::new();
    let mut count = 0;
    for (key, (links, names)) in known {
        if links as usize > names {
            missing.insert(key);
            count += links as usize;
        }
    }
    if missing.is_empty() {
        return Vec::new();
    }
    let roots: Vec<&Path> = grounds
        .guarded
        .iter()
        .filter(|guarded| missing.iter().any(|(device, _)| *device == guarded.device))
        .map(|guarded| guarded.mount.as_path())
        .collect();
    names::of(&missing, &roots, grounds.vault.data_dir(), count)
}

/// The path without links on its way; its last component stays, whatever it is.
fn canonical(path: &Path) -> io::Result<PathBuf> {
    let (parent, name) = split(path)?;
    if elsewhere::is_elsewhere(path) {
        // No link is followed there.
        let is_plain = path.components().all(|part| !matches!(part, Component::ParentDir));
        return is_plain.then(|| path.to_owned()).ok_or_else(|| io::ErrorKind::InvalidInput.into());
    }
    Ok(parent.canonicalize()?.join(name))
}

fn split(path: &Path) -> io::Result<(&Path, &Path)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if path.is_absolute() => Ok((parent, Path::new(name))),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "no absolute path of a file")),
    }
}
