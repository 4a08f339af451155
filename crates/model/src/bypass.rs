//! A user's way past a warning.

use crate::{Sha256, Time};

/// For one user a rule that warns of one file does not hold for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bypass {
    /// The user's number on the machine.
    pub user: u32,
    /// The file.
    pub sha256: Sha256,
    /// When the warning holds again.
    pub until: Time,
}

impl Bypass {
    /// Whether that user may run that file at `now` in spite of a warning.
    pub fn covers(&self, user: u32, sha256: &Sha256, now: Time) -> bool {
        (self.user, &self.sha256) == (user, sha256) && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_for_one_user_one_file_and_a_while() {
        let file = Sha256([1; 32]);
        let bypass = Bypass { user: 1000, sha256: file, until: Time::from_seconds(10) };
        let covers = |user, file: &Sha256, now| bypass.covers(user, file, Time::from_seconds(now));
        assert!(covers(1000, &file, 9));
        assert!(!covers(1000, &file, 10) && !covers(0, &file, 9) && !covers(1000, &Sha256([2; 32]), 9));
    }
}
