//! `cargo xtask tidy`: the house rules as checks, so that nobody has to be the police.

use anyhow::Result;

use crate::house::House;
use tree::{Finding, Tree};

mod adr;
mod blanks;
mod clock;
mod formats;
mod layers;
mod length;
mod map;
mod only;
mod places;
mod source;
mod sql;
mod status;
mod tree;
mod unsafe_code;
mod words;

type Check = fn(&Tree) -> Vec<Finding>;

/// Each rule with the name under which it is reported.
const CHECKS: &[(&str, Check)] = &[
    ("dependency table", layers::check),
    ("unsafe only in sys", unsafe_code::check),
    ("formats only in wire", formats::check),
    ("SQL only in the store", sql::check),
    ("HTTP status only at the server's doors", status::check),
    ("file length", length::check),
    ("words that do not belong", words::check),
    ("time comes from a clock", clock::check),
    ("ARCHITECTURE.md names what exists", map::check),
    ("no places of one machine or one network", places::check),
    ("decisions are numbered", adr::check),
    ("no blanks at line ends", blanks::check),
];

/// How many rules hold.
pub(crate) struct Report {
    broken: usize,
}

impl Report {
    /// Whether all of them do.
    pub(crate) fn clean(&self) -> bool {
        self.broken == 0
    }

    /// How many do.
    pub(crate) fn passed(&self) -> usize {
        CHECKS.len() - self.broken
    }

    /// How many do not.
    pub(crate) fn failed(&self) -> usize {
        self.broken
    }
}

/// Checks all rules and prints what breaks them.
pub(crate) fn run(house: &House) -> Result<Report> {
    let tree = Tree::load(house)?;
    let mut broken = 0;
    for (name, check) in CHECKS {
        let findings = check(&tree);
        println!("tidy: {name}: {}", if findings.is_empty() { "ok" } else { "BROKEN" });
        for finding in &findings {
            println!("  {finding}");
        }
        broken += usize::from(!findings.is_empty());
    }
    println!("tidy: {}", length::figures(&tree));
    Ok(Report { broken })
}
