//! What is denied now, as far as the guard has said so.

use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agent::guard::client::Guard;
use agent::ruleset::RuleSet;

use crate::arena::PATIENCE;
use crate::chance::Chance;
use crate::contents::{CONTENTS, Contents};

/// For each content how often it came to another state, which tells the state: permitted, being denied, denied, being
/// permitted.
pub(crate) struct Rules([AtomicU64; CONTENTS]);

/// The states at one moment.
pub(crate) type States = [u64; CONTENTS];

impl Rules {
    pub(crate) fn new() -> Self {
        Self(array::from_fn(|_| AtomicU64::new(0)))
    }

    pub(crate) fn states(&self) -> States {
        array::from_fn(|number| self.0[number].load(Ordering::SeqCst))
    }

    /// Denies one more content, or one less: which, and whether it is denied now. A third of them is, most of the
    /// time.
    pub(crate) fn change(&self, guard: &Guard, contents: &Contents, chance: &mut Chance) -> (usize, bool) {
        let is_denied = |number: &usize| is_denied(self.0[*number].load(Ordering::SeqCst));
        let (denied, permitted): (Vec<_>, Vec<_>) = (0..CONTENTS).partition(is_denied);
        let more = denied.is_empty() || chance.index(CONTENTS) >= denied.len() * 3 / 2;
        let from = if more { &permitted } else { &denied };
        let number = from[chance.index(from.len())];
        let rules = (0..CONTENTS).filter(|other| if *other == number { more } else { is_denied(other) });
        let rules = RuleSet::new(rules.map(|number| contents.rule(number, chance)));
        self.0[number].fetch_add(1, Ordering::SeqCst);
        guard.adopt(Arc::new(rules.unwrap()), Arc::default(), PATIENCE).unwrap();
        self.0[number].fetch_add(1, Ordering::SeqCst);
        (number, more)
    }
}

/// Whether a denial was confirmed and nobody has begun to lift it.
pub(crate) fn is_denied(state: u64) -> bool {
    state % 4 == 2
}

/// Whether nobody denies it.
pub(crate) fn is_permitted(state: u64) -> bool {
    state.is_multiple_of(4)
}
