//! A whole set that comes in parts.

use std::io;

use model::rule::Rule;

use super::RuleSet;
use super::pack::all_merged;
use super::packed::Packed;
use super::sum::Sum;

/// Parts that are merged at once: each takes a descriptor until then.
const TOGETHER: usize = 64;

/// Packs the parts of a set as they come, so that all of it is never there in another form.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    runs: Vec<Packed>,
    sum: Sum,
    /// The greatest id so far.
    last: Option<u64>,
    /// Ids did not only grow, so that one could have come twice.
    is_mixed: bool,
}

impl Gathering {
    /// Adds a part.
    ///
    /// # Errors
    /// `InvalidInput` for a set that is too large, or has a rule twice; ENOMEM, EMFILE. What was gathered is of no
    /// use then.
    pub(crate) fn add(&mut self, mut rules: Vec<Rule>) -> io::Result<()> {
        for rule in &rules {
            self.is_mixed |= self.last.is_some_and(|last| last >= rule.id.0);
            self.last = self.last.max(Some(rule.id.0));
            self.sum.add(rule);
        }
        rules.sort_unstable_by_key(|rule| (rule.identifier, rule.id));
        self.runs.push(Packed::shared(rules.iter().copied())?);
        if self.runs.len() == TOGETHER {
            self.merge()?;
        }
        Ok(())
    }

    fn merge(&mut self) -> io::Result<()> {
        let merged = Packed::shared(all_merged(&self.runs))?;
        self.runs = vec![merged];
        Ok(())
    }

    /// The whole set.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub(crate) fn finish(mut self) -> io::Result<RuleSet> {
        if self.runs.len() > 1 {
            self.merge()?;
        }
        let base = self.runs.pop().unwrap_or_default();
        if self.is_mixed {
            let mut ids: Vec<_> = base.rules().map(|rule| rule.id).collect();
            ids.sort_unstable();
            if ids.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "a rule came twice"));
            }
        }
        Ok(RuleSet { base, sum: self.sum, ..RuleSet::default() })
    }
}
