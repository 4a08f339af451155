//! The level at which the kernel denies by itself: LSM programs with the digests that rules name.
//!
//! They see what no question is asked about (memfds, mappings, libraries, what interpreters read), and nobody waits
//! for this process. They know SHA-256 alone: as soon as a rule names another digest, openers are asked about as well.
//!
//! # Order
//! What no rule is about any more leaves the kernel's map, which makes room; what has changed takes the place of what was
//! there, so that no file is permitted in between; then the epoch is published, and no verdict by the earlier rules
//! counts any more.

mod interpreters;
mod rules;
mod told;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context;
use model::{Kinds, Time};
use sys::bpf::{Counts, Programs, SHA256, Scope, kernel_device, pins};

use super::counters::Counters;
use super::snapshot::Snapshot;
use rules::Clocks;
pub(super) use told::Told;

/// At which level a guard works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// In the kernel where that can be, else by questions.
    #[default]
    Auto,
    /// By questions.
    Fanotify,
    /// In the kernel, or not at all.
    Bpf,
    /// As [`Self::Bpf`], and what is denied stays denied when the guard is gone, until somebody releases it.
    BpfPinned,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Fanotify, Self::Bpf, Self::BpfPinned];

    /// What it is called on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Fanotify => "fanotify",
            Self::Bpf => "bpf",
            Self::BpfPinned => "bpf-pinned",
        }
    }
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let words = || Self::ALL.map(Self::word).join(", ");
        Self::ALL.into_iter().find(|level| level.word() == word).ok_or_else(|| format!("none of {}", words()))
    }
}

/// The programs in the kernel, and what they were told.
pub(super) struct InKernel {
    programs: Programs,
    scope: Scope,
    /// Filesystems that the agent has found since.
    covered: BTreeSet<u64>,
    pins: bool,
    /// When a rule ends that may hide another.
    next_end: Option<Time>,
    /// The moment by which the kernel was told all rules by SHA-256 that are in force; `None` when it has not got all.
    told_at: Option<Clocks>,
    /// What it had counted when it was last asked.
    counted: Counts,
}

impl InKernel {
    /// Loads the programs, if the level asks for them and the kernel takes them. Nothing is denied yet.
    ///
    /// # Errors
    /// Why not, where nothing else will do.
    pub(super) fn start(
        level: Level,
        guarded: &[PathBuf],
        everywhere: bool,
    ) -> anyhow::Result<Option<(Self, Told)>> {
        if level == Level::Fanotify {
            return Ok(None);
        }
        match Self::load(level, guarded, everywhere) {
            Ok(loaded) => Ok(Some(loaded)),
            Err(why) if level == Level::Auto => {
                tracing::info!("the kernel does not deny by itself here ({why:#}): each exec is asked about");
                Ok(None)
            }
            Err(why) => Err(why),
        }
    }

    fn load(level: Level, guarded: &[PathBuf], everywhere: bool) -> anyhow::Result<(Self, Told)> {
        let mut programs = Programs::load().context("the kernel takes no LSM programs")?;
        programs.attach()?;
        let algorithm = programs.algorithm().context("the kernel tells no digests of files")?;
        anyhow::ensure!(algorithm == SHA256, "the kernel tells digests of files, but not SHA-256");
        programs.guard(&devices(guarded)?)?;
        programs.name_interpreters(interpreters::NAMES)?;
        // One that has ended meanwhile needs no judge.
        programs.add_interpreters(interpreters::running())?;
        let told = Told::new(programs.take_events()?);
        let scope = Scope { everywhere, ..Scope::default() };
        let pins = level == Level::BpfPinned;
        let in_kernel = Self {
            programs,
            scope,
            covered: BTreeSet::new(),
            pins,
            next_end: None,
            told_at: None,
            counted: Counts::default(),
        };
        Ok((in_kernel, told))
    }

    /// Puts the rules of `now` in force in the place of those of `before`. Returns whether openers must be asked about
    /// as well: when a rule names a digest that the kernel does not tell, when one warns (who went past it is not known
    /// there), or when not all rules found room.
    pub(super) fn adopt(&mut self, before: &Snapshot, now: &Snapshot) -> bool {
        if let Err(error) = self.give(before, now) {
            tracing::error!(
                "the kernel has not got all rules, so openers are asked about as well: {error:#}"
            );
        }
        if self.pins
            && self.programs.pinned().is_none()
            && let Err(error) = self.programs.pin()
        {
            tracing::error!(%error, "the programs cannot be pinned: without the guard nothing is denied");
        }
        !self.is_complete() || now.kinds() != Kinds::NONE || rules::warns(now)
    }

    /// Lets rules end that are over, as others may come to hold by that, and follows a clock that was set. Returns what
    /// [`Self::adopt`] would.
    pub(super) fn keep(&mut self, snapshot: &Snapshot) -> bool {
        let clocks = Clocks::read(snapshot);
        let was_set = self.told_at.is_some_and(|then| clocks.were_set_since(&then));
        (was_set || self.next_end.is_some_and(|end| clocks.now >= end)) && self.adopt(snapshot, snapshot)
    }

    /// Whether the kernel has all rules by SHA-256 that are in force.
    pub(super) fn is_complete(&self) -> bool {
        self.told_at.is_some()
    }

    /// Takes note of a filesystem that the agent has found. Returns whether it is guarded by that it is one.
    pub(super) fn cover(&mut self, device: u64) -> bool {
        if self.scope.everywhere {
            self.covered.insert(device);
        }
        self.scope.everywhere
    }

    /// Those that are.
    pub(super) fn covered(&self) -> Vec<u64> {
        self.covered.iter().copied().collect()
    }

    /// Whether what is denied stays denied without us.
    pub(super) fn pins(&self) -> bool {
        self.pins
    }

    /// Adds what was counted there since it was added last.
    pub(super) fn count(&mut self, counters: &Counters) {
        let Ok(now) = self.programs.counts() else { return };
        let before = std::mem::replace(&mut self.counted, now);
        counters.hashed.add(now.hashed.saturating_sub(before.hashed));
        counters.busy.add(now.busy.saturating_sub(before.busy));
        counters.reports_lost.add(now.untold.saturating_sub(before.untold));
    }

    fn give(&mut self, before: &Snapshot, now: &Snapshot) -> anyhow::Result<()> {
        let clocks = Clocks::read(now);
        let told_at = self.told_at.take();
        self.next_end = rules::next_end(now, clocks.now);
        self.programs.spare(&rules::spared(now.spared())?)?;
        match told_at {
            Some(_) => self.programs.remove_rules(rules::stale(before, now, clocks.now))?,
            None => self.programs.keep_rules(|content| rules::is_about(now, content, clocks.now))?,
        }
        // By another clock all end at other times.
        let is_as_before = |then: &Clocks| before.has_clock_of(now) && !clocks.were_set_since(then);
        let known = told_at.filter(is_as_before).map(|then| (before, then.now));
        let put = self.programs.put_rules(rules::changed(known, now, &clocks));
        // What found room counts, and what was removed counts no more.
        self.programs.publish(rules::number(now), self.scope)?;
        put?;
        self.told_at = Some(clocks);
        Ok(())
    }
}

/// Takes out of force at once what guards have pinned, whether they live or not. Returns whether there was anything.
///
/// # Errors
/// Those of removing files below `/sys/fs/bpf/quell`.
pub fn release() -> std::io::Result<bool> {
    pins::release()
}

/// Takes out of force what a guard has pinned that is no more: other rules are in force, or none are to be.
pub(super) fn leave_no_pins() {
    if let Err(error) = release() {
        tracing::warn!(%error, "what an earlier guard has pinned stays in force");
    }
}

/// The kernel's numbers of the filesystems at these paths.
fn devices(guarded: &[PathBuf]) -> anyhow::Result<Vec<u64>> {
    let device = |path: &PathBuf| anyhow::Ok(kernel_device(sys::mounts::containing(path)?.device));
    guarded.iter().map(device).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_has_its_word() {
        for level in Level::ALL {
            assert_eq!(level.word().parse(), Ok(level));
        }
        assert!("ebpf".parse::<Level>().unwrap_err().contains("bpf-pinned"));
    }
}
