//! Keeps the spared set that of the machine: it is looked at anew after each change of the packages, and when something
//! else lies at one of its paths.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::asking::{self, Surveyor};
use super::due::{Before, Due};
use super::survey::{Findings, Unread};
use super::{SparedSet, State, Surveyed};
use crate::core::{Core, Nudge};
use crate::ledger::Ledger;

/// How often it is asked whether packages have changed.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long the guard is waited for.
const GUARD_PATIENCE: Duration = Duration::from_secs(2);

/// Who looks, and when.
#[derive(Debug)]
pub(crate) struct Keeper {
    surveyor: Surveyor,
    due: Due,
}

impl Keeper {
    /// With the set to begin with: that of before the last start or, the first time, what is there now, which is also
    /// recorded of files that no package knows. When that fails the agent starts all the same: without rules nothing is
    /// denied.
    ///
    /// # Errors
    /// When the ledger can't be written.
    pub(crate) fn begin(surveyor: Surveyor, ledger: &mut Ledger) -> io::Result<(Self, SparedSet)> {
        let mut keeper = Self { surveyor, due: Due::default() };
        if !ledger.baseline().is_empty() {
            return Ok((keeper, SparedSet::remembered(ledger.spared())));
        }
        let before = Before::now(&SparedSet::default());
        match keeper.surveyor.ask() {
            Ok(found) => {
                let (set, is_whole) = judged(found, &SparedSet::default(), ledger)?;
                keeper.due.looked(before, &set, is_whole);
                Ok((keeper, set))
            }
            Err(error) => {
                tracing::error!(%error, "what may never be denied could not be found out; it is tried again");
                Ok((keeper, SparedSet { notice: error.to_string(), ..SparedSet::default() }))
            }
        }
    }

    /// Keeps it until the agent stops.
    pub(crate) fn run(mut self, core: &Core) {
        while !core.halt.is_asked() {
            let set = core.spared();
            if self.due.is_now(&set) {
                let before = Before::now(&set);
                match self.look(core) {
                    Ok(is_whole) => self.due.looked(before, &core.spared(), is_whole),
                    Err(error) => {
                        tracing::warn!(%error, "what is spared can't be found out now; it stays as it was");
                        let notice = format!("as it was found last, since it can't be now: {error}");
                        *core.spared.write() = Arc::new(SparedSet { notice, ..(*set).clone() });
                        self.due.failed();
                    }
                }
            }
            thread::sleep(INTERVAL);
        }
    }

    /// Returns whether all could be read.
    fn look(&self, core: &Core) -> io::Result<bool> {
        let found = self.surveyor.ask()?;
        // Without what is recorded, upgraded files would look like replaced ones.
        if !found.unreadable.is_empty() && core.spared().len() > 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, found.unreadable.join("; ")));
        }
        let (set, is_whole) = judged(found, &core.spared(), &mut core.ledger.lock())?;
        for one in set.all().filter(|one| one.state == State::Differs) {
            let (path, sha256) = (one.path.display(), one.digests.sha256);
            tracing::warn!(%path, %sha256, "at a spared path lies what was not recorded: it is not spared");
        }
        *core.spared.write() = Arc::new(set);
        if let Err(error) = core.enforce(GUARD_PATIENCE) {
            tracing::debug!(%error, "the guard hears of the spared set later");
        }
        core.nudge(Nudge::Spared);
        Ok(is_whole)
    }
}

/// What was found, measured by the baseline, and kept for the next start; with what was found `before`, as far as that
/// could not be looked at now. And whether all could be.
fn judged(found: Findings, before: &SparedSet, ledger: &mut Ledger) -> io::Result<(SparedSet, bool)> {
    let own: Option<PathBuf> = std::env::current_exe().and_then(|path| path.canonicalize()).ok();
    let Findings { findings, unreadable, unread } = found;
    let mut surveyed = asking::judge(findings, ledger.baseline(), own.as_deref());
    let is_whole = unread.is_empty();
    let kept = kept(before, &surveyed, &unread);
    let notices = unreadable.into_iter().chain(told(&unread));
    surveyed.extend(kept);
    let set = SparedSet { notice: notices.collect::<Vec<_>>().join("; "), ..SparedSet::new(surveyed) };
    if ledger.baseline().is_empty() {
        ledger.set_baseline(set.spared())?;
    }
    ledger.set_spared(set.spared())?;
    Ok((set, is_whole))
}

/// What was found before, and could not be looked at now: the files that can't be read, and what nobody but these may
/// need. What was said of them was said of their content: other content is not spared by it.
fn kept(before: &SparedSet, now: &[Surveyed], unread: &[Unread]) -> Vec<Surveyed> {
    if unread.is_empty() {
        return Vec::new();
    }
    let found: BTreeSet<&Path> = now.iter().map(|one| one.path.as_path()).collect();
    let is_there = |path: &Path| {
        unread.iter().any(|unread| unread.path == path) || std::fs::symlink_metadata(path).is_ok()
    };
    let is_kept = |one: &&Surveyed| !found.contains(one.path.as_path()) && is_there(&one.path);
    before.all().filter(is_kept).cloned().collect()
}

/// For people.
fn told(unread: &[Unread]) -> Option<String> {
    let first = unread.first()?;
    for Unread { path, why } in unread {
        tracing::warn!(path = %path.display(), why, "a file of the spared set can't be read: it stays as it was found last");
    }
    let (count, path, why) = (unread.len(), first.path.display(), &first.why);
    Some(format!("{count} files can't be read and are as they were found last; first {path}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spared::Database;
    use crate::spared::survey::Finding;
    use model::{Digests, MachineId, Md5, OrganizationId, Sha1, Sha256};

    fn finding(path: &Path, byte: u8) -> Finding {
        let digests = Digests { sha256: Sha256([byte; 32]), sha1: Sha1([byte; 20]), md5: Md5([byte; 16]) };
        let package = Some((Database::Dpkg, "openssh".to_owned(), true));
        Finding { path: path.to_owned(), digests, package, why: "a way in".to_owned() }
    }

    #[test]
    fn what_can_not_be_read_once_is_spared_as_it_was_and_that_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let [ssh, library, gone, other] = ["ssh", "library", "gone", "other"].map(|name| dir.join(name));
        for path in [&ssh, &library, &other] {
            std::fs::write(path, "x").unwrap();
        }
        let (machine, organization) = (MachineId([1; 20]), OrganizationId::random());
        let mut ledger = Ledger::open(&dir.join("ledger"), machine, organization).unwrap();
        let found = |paths: &[&PathBuf], unread: &[&PathBuf]| Findings {
            findings: paths.iter().map(|path| finding(path, 1)).collect(),
            unread: unread
                .iter()
                .map(|path| Unread { path: path.to_path_buf(), why: "Input/output error".to_owned() })
                .collect(),
            ..Findings::default()
        };
        let all = found(&[&ssh, &library, &gone, &other], &[]);
        let (before, is_whole) = judged(all, &SparedSet::default(), &mut ledger).unwrap();
        assert!(is_whole && before.notice.is_empty());

        // It can't be read, and so nobody knows what it is linked with.
        let (now, is_whole) = judged(found(&[&other], &[&ssh]), &before, &mut ledger).unwrap();
        let paths: Vec<_> = now.spared().into_iter().map(|one| one.path).collect();
        assert_eq!(paths, [&library, &other, &ssh].map(Clone::clone));
        assert!(now.record(&ssh, &Sha256([1; 32])).is_some());
        assert!(now.record(&ssh, &Sha256([2; 32])).is_none(), "other content is not");
        assert!(!is_whole && now.notice.contains("ssh: Input/output error"), "{}", now.notice);
        assert_eq!(ledger.spared().len(), 3, "also after a restart");

        // When it can be, what was found then counts.
        let (now, is_whole) = judged(found(&[&other], &[]), &now, &mut ledger).unwrap();
        assert_eq!((now.len(), is_whole, now.notice.as_str()), (1, true, ""));
    }
}
