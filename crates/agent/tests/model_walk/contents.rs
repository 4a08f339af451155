//! The contents that files have in turn. Each is a program that ends with its own number.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use agent::guard::bpf::Level;
use model::Digests;
use model::rule::{Identifier, Rule};

use crate::arena::{deny_by, digests};
use crate::chance::Chance;
use crate::hand::{Tools, version_in};
use crate::processes::level;

/// How many there are. Number 0 is what any of them is without the page that tells them apart.
pub(crate) const CONTENTS: usize = 12;

pub(crate) struct Contents {
    /// Where each lies, not guarded.
    sources: Vec<PathBuf>,
    digests: Vec<Digests>,
}

impl Contents {
    pub(crate) fn make(tools: &Tools, outside: &Path) -> Self {
        let sources: Vec<_> = (0..CONTENTS)
            .map(|number| {
                let mut bytes = tools.payload("payload", u8::try_from(number).unwrap(), 0);
                if number == 0 {
                    let page = version_in(&bytes) / 4096 * 4096;
                    bytes[page..page + 4096].fill(0);
                }
                let source = outside.join(format!("content {number}"));
                write_program(&source, &bytes);
                source
            })
            .collect();
        let digests = sources.iter().map(|source| digests(source)).collect();
        Self { sources, digests }
    }

    pub(crate) fn source(&self, number: usize) -> &Path {
        &self.sources[number]
    }

    /// That denies one of them, by any of its names: the guard computes only those that rules need. Where the kernel
    /// denies by itself, by the one that it knows: else all this would be about the questions.
    pub(crate) fn rule(&self, number: usize, chance: &mut Chance) -> Rule {
        let digests = self.digests[number];
        let names = [
            (6, Identifier::Sha256(digests.sha256)),
            (1, Identifier::Sha1(digests.sha1)),
            (1, Identifier::Md5(digests.md5)),
        ];
        let known = if level() == Level::Fanotify { &names[..] } else { &names[..1] };
        deny_by(number as u64 + 1, chance.pick(known))
    }
}

pub(crate) fn write_program(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
