//! Why something runs or does not: what would be answered now, and what was answered.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::verdict::{Because, judge};
use model::{Digests, Names};
use sys::identity::{Identity, Stat};
use wire::link::{things, v1};

use super::{About, Reply};
use crate::core::Core;
use crate::digest::hash_plainly;
use crate::guard::SparedInode;

/// How long the guard may take to tell what it answered.
const PATIENCE: Duration = Duration::from_secs(2);
/// A larger file is not read for this.
const LARGEST: u64 = 1 << 30;

pub(super) fn explain(core: &Core, about: &About) -> Reply {
    let (pid, path) = match about {
        About::Process(pid) => (*pid, program(*pid)),
        About::Path(path) => (0, Ok(path.clone())),
    };
    let mut explanation = v1::Explanation {
        guard_level: core.guard_level().to_owned(),
        now: core.server_now().ticks(),
        permitted: true,
        ..Default::default()
    };
    let mut wanted = v1::Explain { pid, ..Default::default() };
    match path.and_then(|path| Ok((look(about, &path)?, path))) {
        Ok(((stat, digests), path)) => {
            (wanted.device, wanted.inode) = (stat.device, stat.inode);
            explanation.path = things::bytes_of(&path);
            explanation.size = stat.size;
            explanation.guarded = core.guarded().iter().any(|place| place.mount.device == stat.device);
            match digests {
                Some(digests) => judged(core, &mut explanation, &stat, &digests),
                None => explanation.unreadable = "it is larger than 1 GiB".to_owned(),
            }
        }
        Err(error) if pid == 0 => return Reply::Refused(format!("it can't be read: {error}")),
        // The process may have ended, or never have begun, and the guard remember it all the same.
        Err(error) => explanation.unreadable = error.to_string(),
    }
    let told = core.guard.as_ref().and_then(|guard| guard.explain(&wanted, PATIENCE));
    explanation.answers = told.unwrap_or_default().answers;
    Reply::Explained(Box::new(explanation))
}

/// What would be answered now.
fn judged(core: &Core, explanation: &mut v1::Explanation, stat: &Stat, digests: &Digests) {
    explanation.digests = Some(digests.into());
    let copy = SparedInode { device: stat.device, inode: stat.inode, sha256: digests.sha256 };
    let spared = core.spared().inodes().contains(&copy);
    let verdict = {
        let ledger = core.ledger.lock();
        judge(ledger.rules().matching(&Names::from(digests)), core.server_now(), || spared)
    };
    explanation.permitted = verdict.permits;
    match verdict.because {
        Because::NoRule => {}
        Because::Rule(rule, effect) => {
            explanation.rule = Some(rule.0);
            explanation.effect = effect.word().to_owned();
        }
        Because::Spared(rule) => {
            explanation.rule = Some(rule.0);
            explanation.spared = true;
        }
    }
}

/// The inode and, unless it is very large, what it holds.
fn look(about: &About, path: &Path) -> io::Result<(Stat, Option<Digests>)> {
    let file = match about {
        // The program itself, whatever lies at its path by now.
        About::Process(pid) => File::open(format!("/proc/{pid}/exe"))?.into(),
        About::Path(_) => open_local(path)?,
    };
    let stat = Identity::of(file.as_fd())?;
    if !stat.is_regular {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let digests = if stat.size <= LARGEST { Some(hash_plainly(file.as_fd())?.0) } else { None };
    Ok((stat, digests))
}

/// Not from where somebody must answer first: that could take for ever.
fn open_local(path: &Path) -> io::Result<OwnedFd> {
    let path = path.canonicalize()?;
    let mount = sys::mounts::containing(&path)?;
    if !sys::mounts::is_local(&mount) {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "it is on no local filesystem"));
    }
    let flags = sys::OFlags::RDONLY | sys::OFlags::NONBLOCK | sys::OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, rustix::fs::Mode::empty())?)
}

fn program(pid: i32) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe"))
}
