//! Rules from the server, and whether they continue what is here.

use std::io;

use model::log::{Entry, Position};
use model::rule::Rule;
use wire::link::{Malformed, rules, v1};

/// Why a change from the server is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// It does not follow what is in force.
    #[error("the server's rules start at generation {from}, this machine is at {here}")]
    Gap {
        /// Where they start.
        from: u64,
        /// Where this machine is.
        here: u64,
    },
    /// It would go back in the same log.
    #[error("the server's log ends at generation {to}, this machine is at {here} of it already")]
    Backwards {
        /// Where the server is.
        to: u64,
        /// Where this machine is.
        here: u64,
    },
    /// An entry does not continue the chain.
    #[error("the log's chain breaks at generation {0}")]
    BrokenChain(u64),
    /// It is no such message.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// They make no set, or there is no memory for it.
    #[error("the rules can't be taken in: {0}")]
    NoSet(io::Error),
    /// It could not be made durable.
    #[error("the ledger can't be written: {0}")]
    Disk(io::Error),
}

/// The server's rules, understood.
pub(super) struct Adoption {
    pub(super) to: Position,
    pub(super) chain: Option<[u8; 32]>,
    pub(super) content: Content,
}

pub(super) enum Content {
    /// A whole set, or a part of it.
    Whole {
        rules: Vec<Rule>,
        part: u32,
        more: bool,
    },
    Entries {
        from: u64,
        entries: Vec<Entry>,
    },
}

impl Adoption {
    pub(super) fn read(rules: &v1::Rules) -> Result<Self, Malformed> {
        let to = v1::Position { epoch: rules.epoch, generation: rules.to }.into();
        let content = if rules.whole {
            let all = rules.rules.iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
            Content::Whole { rules: all, part: rules.part, more: rules.more }
        } else {
            let entries = rules.entries.iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
            Content::Entries { from: rules.from, entries }
        };
        let chain = rules.chain.as_slice().try_into().ok();
        Ok(Self { to, chain, content })
    }

    /// Whether this continues a ledger that stands `at` a place of the log, with `chain` as its last value.
    /// A delta that leaves out what does not concern this machine can't be checked link by link.
    pub(super) fn follows(&self, at: Position, mut chain: [u8; 32]) -> Result<(), Refused> {
        let here = at.generation.0;
        let same_log = self.to.epoch == at.epoch;
        if same_log && self.to.generation < at.generation {
            return Err(Refused::Backwards { to: self.to.generation.0, here });
        }
        let Content::Entries { from, entries } = &self.content else { return Ok(()) };
        if !same_log || *from != here {
            return Err(Refused::Gap { from: *from, here });
        }
        if entries.len() as u64 == self.to.generation.0 - here {
            for entry in entries {
                chain = link(chain, entry);
                if chain != entry.chain {
                    return Err(Refused::BrokenChain(entry.generation.0));
                }
            }
        }
        Ok(())
    }
}

/// The chain's value after `entry`.
fn link(previous: [u8; 32], entry: &Entry) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let bytes = rules::chained_bytes(entry.generation, &entry.change);
    Sha256::new().chain_update(previous).chain_update(bytes).finalize().into()
}
