//! The names that come first of any number: those of directories that wait for their turn.

use std::collections::BinaryHeap;
use std::ffi::OsString;

/// As many names of directories in one wait for their turn; for more that is read again, since anybody can make as many
/// as he likes.
const MOST: usize = if cfg!(test) { 8 } else { 16 << 10 };

/// The first so many of names that come in any order.
#[derive(Default)]
pub(super) struct Lowest {
    names: BinaryHeap<OsString>,
    /// Only what comes behind this counts.
    behind: Option<OsString>,
    is_short: bool,
}

impl Lowest {
    /// Of names behind this one.
    pub(super) fn behind(name: OsString) -> Self {
        Self { behind: Some(name), ..Self::default() }
    }

    pub(super) fn add(&mut self, name: OsString) {
        if self.behind.as_ref().is_some_and(|behind| name <= *behind) {
            return;
        }
        self.names.push(name);
        if self.names.len() > MOST {
            self.names.pop();
            self.is_short = true;
        }
    }

    /// The names, the last one first; and the last, if there are more behind it.
    pub(super) fn last_first(self) -> (Vec<OsString>, Option<OsString>) {
        let mut names = self.names.into_sorted_vec();
        let more = names.last().filter(|_| self.is_short).cloned();
        names.reverse();
        (names, more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_names_wait_than_there_is_room_for_and_none_is_lost() {
        // In no order.
        let all: Vec<OsString> = (0..3 * MOST + 1).map(|n| format!("{:03}", n * 17 % 100).into()).collect();
        let (mut met, mut last) = (Vec::new(), None);
        loop {
            let mut lowest = last.map_or_else(Lowest::default, Lowest::behind);
            all.iter().for_each(|name| lowest.add(name.clone()));
            let (names, more) = lowest.last_first();
            assert!(names.len() <= MOST);
            met.extend(names.into_iter().rev());
            last = more;
            if last.is_none() {
                break;
            }
        }
        let mut sorted = all.clone();
        sorted.sort();
        assert_eq!(met, sorted);
    }
}
