//! Quell's guard as it is shipped, with this process as its agent: for what is measured of the guard alone.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use agent::guard::client::{Guard, GuardStatus};
use agent::ruleset::RuleSet;
use anyhow::Context;
use model::RuleId;
use model::digest::Sha256;
use model::rule::{Effect, Identifier, Rule, Scope};

use crate::filesystem::Filesystem;
use crate::up::binary;

/// A guard and this process's end of it. It ends when this is dropped.
#[derive(Debug)]
pub struct Guarding {
    guard: Child,
    client: Guard,
    refused: Sha256,
    _data: tempfile::TempDir,
}

impl Guarding {
    /// Starts `quell agent guard` with some more `arguments`; it denies one file.
    ///
    /// # Errors
    /// When it can't be started, or does not have its rule in force in ten seconds.
    pub fn start(ground: &Filesystem, refused: [u8; 32], arguments: &[&str]) -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let mut command = Command::new(binary());
        command.args(["agent", "guard"]).args(arguments).arg("--data-dir").arg(data.path());
        command.arg("--guard").arg(ground.root()).args(["--parent", &std::process::id().to_string()]);
        let log = std::fs::File::create(ground.beside("guard.log"))?;
        let guard = command.stdin(Stdio::null()).stderr(log).spawn().context("cannot start the guard")?;
        let (told, _) = crossbeam_channel::bounded(1);
        let client = Guard::attach(Guard::socket(data.path()), told);
        let own = Self { guard, client, refused: Sha256(refused), _data: data };
        own.put_in_force(1)?;
        Ok(own)
    }

    /// Denies so many files, the one from the start among them.
    ///
    /// # Errors
    /// When they are not in force in ten seconds.
    pub fn put_in_force(&self, rules: u32) -> anyhow::Result<()> {
        let deny = |id: u32, digest| Rule {
            id: RuleId(u64::from(id)),
            effect: Effect::Deny,
            identifier: Identifier::Sha256(digest),
            scope: Scope::Organization,
            until: None,
        };
        let others = (1..rules).map(|id| {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&id.to_le_bytes());
            deny(id, Sha256(digest))
        });
        let rules = RuleSet::new(std::iter::once(deny(0, self.refused)).chain(others));
        Ok(self.client.adopt(Arc::new(rules?), Arc::default(), Duration::from_secs(10))?)
    }

    /// What the guard says of itself, a second ago at the most.
    pub fn status(&self) -> GuardStatus {
        self.client.status()
    }
}

impl Drop for Guarding {
    fn drop(&mut self) {
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}
