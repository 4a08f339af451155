//! The store's answers as messages of the link.

use wire::link::v1;

use crate::store::RuleDelta;

/// Rules for a machine.
pub(super) fn rules(delta: &RuleDelta) -> v1::Rules {
    match delta {
        RuleDelta::Delta { epoch, from, to, entries, chain } => v1::Rules {
            whole: false,
            epoch: epoch.0,
            from: from.0,
            to: to.0,
            entries: entries.iter().map(Into::into).collect(),
            rules: Vec::new(),
            chain: chain.to_vec(),
        },
        RuleDelta::Whole { epoch, to, rules, chain } => v1::Rules {
            whole: true,
            epoch: epoch.0,
            from: 0,
            to: to.0,
            entries: Vec::new(),
            rules: rules.iter().map(Into::into).collect(),
            chain: chain.to_vec(),
        },
    }
}
