//! Certificates that the operator disallows.

use std::collections::HashSet;

use model::{Sha1, Sha256};

use crate::signature::cms::certificate::Certificate;

/// Certificates that are disallowed, by their digests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disallowed {
    sha1: HashSet<Sha1>,
    sha256: HashSet<Sha256>,
}

impl Disallowed {
    /// Adds a digest a line; colons and spaces in it do not matter. Says how many there were, or which line is none.
    pub(crate) fn add(&mut self, text: &str) -> Result<usize, usize> {
        let mut count: usize = 0;
        for (line, number) in text.lines().zip(1..) {
            let digits: String =
                line.chars().take_while(|one| *one != '#').filter(|one| !is_filler(*one)).collect();
            if digits.is_empty() {
                continue;
            }
            if let Ok(sha1) = digits.parse() {
                self.sha1.insert(sha1);
            } else if let Ok(sha256) = digits.parse() {
                self.sha256.insert(sha256);
            } else {
                return Err(number);
            }
            count = count.saturating_add(1);
        }
        Ok(count)
    }

    pub(crate) fn has(&self, certificate: &Certificate<'_>) -> bool {
        !self.sha1.is_empty() && self.sha1.contains(&certificate.sha1())
            || !self.sha256.is_empty() && self.sha256.contains(&certificate.sha256())
    }
}

fn is_filler(one: char) -> bool {
    one == ':' || one.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_in_either_form() {
        let mut disallowed = Disallowed::default();
        let text = "# known bad\n00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33 # one\n\n";
        assert_eq!(disallowed.add(text), Ok(1));
        assert_eq!(disallowed.add(&"ab".repeat(32)), Ok(1));
        assert_eq!(disallowed.add("\n12"), Err(2));
        assert_eq!((disallowed.sha1.len(), disallowed.sha256.len()), (1, 1));
    }
}
