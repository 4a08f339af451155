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
    /// There were more than are remembered.
    is_short: bool,
}

impl Doubts {
    /// A copy with this content. That it is seen again does not put it off.
    pub(super) fn add(&mut self, path: &Path, sha256: Sha256) {
        let known = self.paths.get(path);
        if known.is_some_and(|(_, before)| *before == sha256) {
            return;
        }
        if known.is_none() && self.paths.len() >= MOST {
            self.is_short = true;
            return;
        }
        self.paths.insert(path.to_owned(), (Instant::now(), sha256));
    }

    /// Takes those that are so old.
    pub(super) fn take(&mut self, age: Duration) -> Vec<PathBuf> {
        self.paths.extract_if(.., |_, (since, _)| since.elapsed() >= age).map(|(path, _)| path).collect()
    }

    /// Whether there were more, since this was asked last.
    pub(super) fn were_more(&mut self) -> bool {
        std::mem::take(&mut self.is_short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_makes_many_is_found_out_later() {
        let mut doubts = Doubts::default();
        for number in 0..=MOST {
            doubts.add(Path::new(&format!("/{number}")), Sha256([1; 32]));
        }
        doubts.add(Path::new("/0"), Sha256([2; 32]));
        assert!(doubts.were_more() && !doubts.were_more());
        assert_eq!(doubts.take(Duration::from_secs(3600)), Vec::<PathBuf>::new());
        assert_eq!(doubts.take(Duration::ZERO).len(), MOST);
        assert_eq!(doubts.take(Duration::ZERO).len(), 0);
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
