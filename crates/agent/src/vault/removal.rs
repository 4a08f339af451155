//! Out of the vault for good: by root's word, or by the vault's own bounds of age and size. Each removal is in the journal
//! before it is done, and remembered after it.

use std::os::fd::AsFd;
use std::time::Duration;

use model::{Time, VaultId};
use rustix::fs::AtFlags;
use rustix::io::Errno;
use sys::place::sync_dir;

use super::holding::file_name;
use super::place::{directory, open_regular};
use super::records::{End, Stage};
use super::refusal::Refusal;
use super::resting::Resting;
use super::{Step, Vault, fixed};

/// What the vault may keep. Without bounds nothing is ever removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// How long a copy rests at most.
    pub max_age: Option<Duration>,
    /// How many bytes rest at most; the oldest go first.
    pub max_size: Option<u64>,
    /// How long it is told before a copy is removed.
    pub notice: Duration,
}

impl Retention {
    /// Whether anything is removed at all.
    pub fn is_bounded(&self) -> bool {
        self.max_age.is_some() || self.max_size.is_some()
    }

    /// Those that are beyond the bounds, and why. `resting` is in the order in which they were taken.
    fn beyond(&self, resting: &[Resting], now: Time) -> Vec<(VaultId, String)> {
        let mut size: u64 = resting.iter().map(bytes_of).sum();
        let mut beyond = Vec::new();
        for copy in resting {
            let age = now.nanoseconds() - copy.quarantined.nanoseconds();
            let is_old =
                self.max_age.filter(|most| age > i128::try_from(most.as_nanos()).unwrap_or(i128::MAX));
            if let Some(most) = is_old {
                beyond.push((copy.id, format!("it rests longer than {} days", most.as_secs() / 86_400)));
            } else if let Some(most) = self.max_size.filter(|most| size > *most) {
                beyond
                    .push((copy.id, format!("more than {most} bytes rest here, and it is among the oldest")));
            } else {
                continue;
            }
            size = size.saturating_sub(bytes_of(copy));
        }
        beyond
    }
}

/// Names of one inode share its bytes: they count once.
fn bytes_of(resting: &Resting) -> u64 {
    if resting.link_of.is_some() { 0 } else { resting.size }
}

impl Vault {
    /// Removes a copy for good.
    ///
    /// # Errors
    /// When it does not rest here, or its filesystem refuses; then it still rests.
    pub fn remove(&self, id: VaultId, why: &str, step: &mut dyn FnMut(Step)) -> Result<(), Refusal> {
        let _alone = self.alone();
        let resting = self.resting(id)?;
        let end = End { at: self.clock.now(), why: why.to_owned() };
        self.records()
            .send_away(id, end)
            .map_err(Refusal::when("written down in the vault's journal", &resting.rests_at))?;
        step(Step::RemovalIntended);
        if let Err(refusal) = discard(&resting) {
            if refusal.is_certain() {
                self.rest(id);
            }
            return Err(refusal);
        }
        step(Step::Discarded);
        let known = self.records().advance(id, Stage::Removed);
        if let Err(error) = known {
            tracing::warn!(%id, %error, "the vault's journal can't be written");
            self.records().assume(id, Stage::Removed);
        }
        step(Step::RemovalKnown);
        self.compact();
        tracing::warn!(%id, path = %resting.path.display(), sha256 = %resting.digests.sha256, why,
            "a quarantined copy was removed for good");
        Ok(())
    }

    /// Announces what is beyond the bounds, and removes what was announced long enough ago. What is within them again
    /// stays. Says how many copies were removed.
    pub fn retain(&self, retention: &Retention) -> usize {
        let now = self.clock.now();
        let beyond = retention.beyond(&self.list(), now);
        let mut removed = 0;
        for copy in self.list() {
            let planned = self.records().entry(copy.id).and_then(|entry| entry.end.clone());
            let why = beyond.iter().find(|(id, _)| *id == copy.id).map(|(_, why)| why);
            let done = match (planned, why) {
                (None, None) => Ok(()),
                (Some(_), None) => self.records().plan(copy.id, None),
                (Some(end), Some(_)) if now < end.at => Ok(()),
                (Some(_), Some(why)) => {
                    match self.remove(copy.id, why, &mut |_| {}) {
                        Ok(()) => removed += 1,
                        Err(refusal) => tracing::warn!(id = %copy.id, %refusal, "a copy can't be removed"),
                    }
                    Ok(())
                }
                (None, Some(why)) => self.announce(&copy, now.after(retention.notice), why),
            };
            if let Err(error) = done {
                tracing::warn!(id = %copy.id, %error, "the vault's journal can't be written; nothing is removed");
            }
        }
        removed
    }

    fn announce(&self, copy: &Resting, at: Time, why: &str) -> std::io::Result<()> {
        let (id, path) = (copy.id, copy.path.display());
        let until = wire::rest::Stamp(at).to_string();
        tracing::warn!(%id, %path, why, until, "a quarantined copy is to be removed for good, unless it is restored");
        self.records().plan(copy.id, Some(End { at, why: why.to_owned() }))
    }
}

/// Unlinks what rests. That it is gone already is as good.
pub(super) fn discard(resting: &Resting) -> Result<(), Refusal> {
    let at = &resting.rests_at;
    let dir = directory(at.parent().unwrap_or(at)).map_err(Refusal::when("opened", at))?;
    if let Ok(file) = open_regular(dir.as_fd(), file_name(resting.id).as_ref()) {
        let _ = fixed::clear(file.as_fd());
    }
    match rustix::fs::unlinkat(&dir, file_name(resting.id), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(Errno::IO) => return Err(Refusal::uncertain("removed", at)(Errno::IO.into())),
        Err(error) => return Err(Refusal::when("removed", at)(error.into())),
    }
    sync_dir(dir.as_fd()).map_err(Refusal::uncertain("removed", at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::some_resting;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn the_oldest_go_until_the_rest_has_room() {
        let begin = Time::from_seconds(1_000_000);
        let copy = |day: u32, size, link_of| Resting {
            quarantined: begin.after(DAY * day),
            size,
            link_of,
            ..some_resting(VaultId::random())
        };
        let first = copy(0, 10, None);
        let all = [first.clone(), copy(0, 10, Some(first.id)), copy(1, 10, None), copy(5, 10, None)];
        let now = begin.after(DAY * 6);
        let beyond = |max_age: Option<u32>, max_size| {
            let retention = Retention { max_age: max_age.map(|days| DAY * days), max_size, notice: DAY };
            let ids: Vec<_> = retention.beyond(&all, now).into_iter().map(|(id, _)| id).collect();
            all.iter().map(|copy| ids.contains(&copy.id)).collect::<Vec<_>>()
        };
        assert_eq!(beyond(None, None), [false; 4]);
        assert_eq!(beyond(Some(6), None), [false; 4]);
        assert_eq!(beyond(Some(3), None), [true, true, true, false]);
        assert_eq!(beyond(None, Some(30)), [false; 4]);
        assert_eq!(beyond(None, Some(29)), [true, false, false, false]);
        assert_eq!(beyond(None, Some(10)), [true, true, true, false]);
        assert_eq!(beyond(Some(5), Some(10)), [true, true, true, false]);
        assert_eq!(beyond(None, Some(0)), [true; 4]);
    }
}
