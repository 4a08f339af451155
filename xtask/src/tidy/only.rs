//! The shape that most rules share: these words only in these places.

use super::source::{Line, has_word};
use super::tree::{File, Finding, Tree};

/// A place where the words may stand, and why.
pub(super) type Home = (&'static str, &'static str);

/// Words that may stand only in their homes.
pub(super) struct Only {
    /// Looked for as whole words in the code.
    pub(super) words: &'static [&'static str],
    /// Looked for as they are in code and strings.
    pub(super) phrases: &'static [&'static str],
    /// Path prefixes.
    pub(super) homes: &'static [Home],
    /// How to mend it.
    pub(super) mend: &'static str,
}

impl Only {
    /// Looks through what is shipped.
    pub(super) fn check(&self, tree: &Tree) -> Vec<Finding> {
        let homes: Vec<&str> = self.homes.iter().map(|(path, _)| *path).collect();
        let mut findings = Vec::new();
        for file in tree.shipped().filter(|file| !file.under(&homes)) {
            findings.extend(file.shipped_lines().filter_map(|line| self.look(file, line)));
        }
        findings
    }

    fn look(&self, file: &File, line: &Line) -> Option<Finding> {
        let word = self.words.iter().find(|word| has_word(&line.code, word));
        let phrase = || self.phrases.iter().find(|phrase| line.spoken.contains(**phrase));
        let found = word.or_else(phrase)?;
        Some(file.finding(line.number, format!("`{}` does not belong here", found.trim()), self.mend))
    }
}
