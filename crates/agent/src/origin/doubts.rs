//! Copies that are not what their packages brought, as far as known: perhaps because a transaction is going on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::Sha256;

/// So many are remembered.
const MOST: usize = 10_000;

/// Where they lie, and since when they do.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    paths: BTreeMap<PathBuf, (Instant, Sha256)>,
    /// The first of those that there was no room for.
    missed: Option<PathBuf>,
}

impl Doubts {
    /// A copy with this content. That it is seen again does not put it off. The first ones in the order of paths are
    /// remembered, so that who looks for the rest can go on behind them.
    pub(super) fn add(&mut self, path: &Path, sha256: Sha256) {
        let known = self.paths.get(path);
        if known.is_some_and(|(_, before)| *before == sha256) {
            return;
        }
        if known.is_none() && self.paths.len() >= MOST {
            if self.paths.last_key_value().is_none_or(|(last, _)| path >= last.as_path()) {
                self.miss(path.to_owned());
                return;
            }
            if let Some((last, _)) = self.paths.pop_last() {
                self.miss(last);
            }
        }
        self.paths.insert(path.to_owned(), (Instant::now(), sha256));
    }

    /// Takes those that are so old.
    pub(super) fn take(&mut self, age: Duration) -> Vec<PathBuf> {
        self.paths.extract_if(.., |_, (since, _)| since.elapsed() >= age).map(|(path, _)| path).collect()
    }

    fn miss(&mut self, path: PathBuf) {
        if self.missed.as_ref().is_none_or(|missed| path < *missed) {
            self.missed = Some(path);
        }
    }

    /// From which path on is to be looked for more, when all that are remembered were taken; none if there were no more.
    pub(super) fn resume(&mut self) -> Option<PathBuf> {
        if self.paths.is_empty() { self.missed.take() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_makes_many_is_found_out_later_and_each_once() {
        // Nobody walks in the order of paths.
        let all: Vec<_> =
            (0..2 * MOST + 7).map(|number| PathBuf::from(format!("/{}", number ^ 0x155))).collect();
        let (mut doubts, mut taken, mut walks) = (Doubts::default(), Vec::new(), 0);
        let mut from = Some(PathBuf::new());
        while let Some(behind) = from {
            walks += 1;
            all.iter().filter(|path| **path >= behind).for_each(|path| doubts.add(path, Sha256([1; 32])));
            assert_eq!(doubts.take(Duration::from_secs(3600)), Vec::<PathBuf>::new());
            assert_eq!(doubts.resume(), None, "not before they are taken");
            taken.extend(doubts.take(Duration::ZERO));
            from = doubts.resume();
        }
        let mut sorted = all;
        sorted.sort();
        assert_eq!((walks, taken == sorted), (3, true));
    }

    #[test]
    fn who_is_seen_again_is_not_put_off_and_another_content_is() {
        let mut doubts = Doubts::default();
        let (path, pause) = (Path::new("/a"), Duration::from_millis(40));
        doubts.add(path, Sha256([1; 32]));
        std::thread::sleep(pause);
        doubts.add(path, Sha256([1; 32]));
        assert_eq!(doubts.take(pause).len(), 1);
        doubts.add(path, Sha256([1; 32]));
        std::thread::sleep(pause);
        doubts.add(path, Sha256([2; 32]));
        assert_eq!(doubts.paths[path].1, Sha256([2; 32]));
    }
}
