//! What is compared: an agent and the filesystem it answers for.

use std::cell::{Cell, OnceCell, RefCell};
use std::time::Duration;

use anyhow::ensure;
use clap::ValueEnum;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tests::filesystem::Filesystem;
use tests::guarding::Guarding;
use tests::peers::clamonacc::Clamonacc;
use tests::peers::fapolicyd::{self, Integrity, Trusted};
use tests::peers::{self, Daemon, REFUSED};
use tests::up::{Up, options};
use tests::userland::Userland;

use crate::permissive::Responder;

/// Room for the userland, what a build makes and the new files of a round.
const SIZE: u64 = 256 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    #[value(skip)]
    Native,
    #[value(skip)]
    NativeAgain,
    Floor,
    Quell,
    QuellOpens,
    Fapolicyd,
    FapolicydSha256,
    Clamonacc,
}

impl Kind {
    /// All but native, which always is there.
    pub(crate) const ALL: [Self; 6] =
        [Self::Floor, Self::Quell, Self::QuellOpens, Self::Fapolicyd, Self::FapolicydSha256, Self::Clamonacc];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::NativeAgain => "native again (A/A)",
            Self::Floor => "floor: permits all, looks at nothing",
            Self::Quell => "Quell",
            Self::QuellOpens => "Quell, asked about opens as well",
            Self::Fapolicyd => "fapolicyd, integrity=none",
            Self::FapolicydSha256 => "fapolicyd, integrity=sha256",
            Self::Clamonacc => "clamonacc with clamd",
        }
    }
}

enum Agent {
    Nobody,
    Floor { _responder: Responder },
    Quell { up: Up, _data: tempfile::TempDir },
    QuellOpens(Guarding),
    Fapolicyd(RefCell<Daemon>),
    Clamonacc(RefCell<Clamonacc>),
}

pub(crate) struct Arm {
    pub(crate) kind: Kind,
    /// Dropped, and so ended, before its filesystem is unmounted.
    agent: Agent,
    pub(crate) ground: Filesystem,
    /// Why it is measured no longer.
    lost: OnceCell<String>,
}

/// All that could be had.
pub(crate) struct Arms {
    arms: Vec<Arm>,
    never_started: Vec<(Kind, String)>,
    rules: Cell<u32>,
}

impl Arms {
    pub(crate) fn start(userland: &Userland, wanted: &[Kind], trusted: &[Trusted]) -> anyhow::Result<Self> {
        let mut own = Self { arms: Vec::new(), never_started: Vec::new(), rules: Cell::new(1) };
        for kind in [Kind::Native, Kind::NativeAgain].iter().chain(wanted) {
            let ground = Filesystem::ext2(userland.root(), SIZE)?;
            match start(*kind, &ground, trusted) {
                Ok(agent) => own.arms.push(Arm { kind: *kind, agent, ground, lost: OnceCell::new() }),
                Err(error) => own.never_started.push((*kind, format!("{error:#}"))),
            }
        }
        Ok(own)
    }

    /// Those that can still be measured.
    pub(crate) fn present(&self) -> impl Iterator<Item = &Arm> {
        self.arms.iter().filter(|arm| arm.lost.get().is_none())
    }

    pub(crate) fn find(&self, kind: Kind) -> Option<&Arm> {
        self.present().find(|arm| arm.kind == kind)
    }

    /// Those that are not measured, and why.
    pub(crate) fn lost(&self) -> Vec<(&'static str, &str)> {
        let never = self.never_started.iter().map(|(kind, reason)| (kind.name(), reason.as_str()));
        let since = self.arms.iter().filter_map(|arm| Some((arm.kind.name(), arm.lost.get()?.as_str())));
        never.chain(since).collect()
    }

    /// How many rules Quell enforces.
    pub(crate) fn rules(&self) -> u32 {
        self.rules.get()
    }

    /// Brings Quell to enforce so many rules.
    pub(crate) fn put_in_force(&self, rules: u32) -> anyhow::Result<()> {
        if let Some(Arm { agent: Agent::QuellOpens(opens), .. }) = self.find(Kind::QuellOpens) {
            opens.put_in_force(rules)?;
        }
        let Some(Arm { agent: Agent::Quell { up, .. }, .. }) = self.find(Kind::Quell) else { return Ok(()) };
        let api = up.api();
        for rule in self.rules.get()..rules {
            api.block(&format!("{rule:064x}"));
        }
        wait_for_rules(up, rules);
        self.rules.set(rules);
        Ok(())
    }
}

impl Arm {
    /// It is measured no longer.
    pub(crate) fn lose(&self, reason: &str) {
        let _ = self.lost.set(reason.to_owned());
    }

    /// Looks whether it was there all the time: whoever refuses refuses still.
    pub(crate) fn check(&self) {
        let outcome = match &self.agent {
            Agent::Nobody | Agent::Floor { .. } => return,
            Agent::Quell { .. } | Agent::QuellOpens(_) => Ok(()),
            Agent::Fapolicyd(daemon) => daemon.borrow_mut().check(),
            Agent::Clamonacc(daemons) => daemons.borrow_mut().check(),
        };
        let outcome = outcome.and_then(|()| {
            ensure!(peers::refuses(self.ground.root())?, "it refuses no longer what it should");
            Ok(())
        });
        if let Err(error) = outcome {
            self.lose(&format!("{error:#}"));
        }
    }

    /// By how much less work it is measured, since it would take too long.
    pub(crate) fn share(&self) -> u32 {
        if self.kind == Kind::Clamonacc { 15 } else { 1 }
    }

    /// What Quell's guard has counted: questions, and those of them that the timer answered.
    pub(crate) fn counts(&self) -> Option<[f64; 2]> {
        // They are told once a second.
        let settled = || std::thread::sleep(Duration::from_millis(1100));
        match &self.agent {
            Agent::Quell { up, .. } => {
                settled();
                let counters = status(up)["counters"].clone();
                Some(["questions", "timedOut"].map(|name| counters[name].as_f64().unwrap_or_default()))
            }
            Agent::QuellOpens(opens) => {
                settled();
                let counters = opens.status().counters;
                Some([counters.questions as f64, counters.timed_out as f64])
            }
            _ => None,
        }
    }
}

fn start(kind: Kind, ground: &Filesystem, trusted: &[Trusted]) -> anyhow::Result<Agent> {
    Ok(match kind {
        Kind::Native | Kind::NativeAgain => Agent::Nobody,
        Kind::Floor => Agent::Floor { _responder: Responder::start(ground.root())? },
        Kind::Quell => {
            let data = tempfile::tempdir()?;
            let up = Up::start(&options(data.path(), ground.root()));
            let sha256: String = refused(ground)?.iter().map(|byte| format!("{byte:02x}")).collect();
            up.api().block(&sha256);
            wait_for_rules(&up, 1);
            ensure!(peers::refuses(ground.root())?, "it does not refuse what is blocked");
            Agent::Quell { up, _data: data }
        }
        Kind::QuellOpens => {
            let opens = Guarding::start(ground, refused(ground)?, &["--guard-opens"])?;
            ensure!(peers::refuses(ground.root())?, "it does not refuse what is blocked");
            Agent::QuellOpens(opens)
        }
        Kind::Fapolicyd => Agent::Fapolicyd(fapolicyd::start(ground, Integrity::None, trusted)?.into()),
        Kind::FapolicydSha256 => {
            Agent::Fapolicyd(fapolicyd::start(ground, Integrity::Sha256, trusted)?.into())
        }
        Kind::Clamonacc => Agent::Clamonacc(Clamonacc::start(ground)?.into()),
    })
}

/// The SHA-256 of what is to be refused.
fn refused(ground: &Filesystem) -> anyhow::Result<[u8; 32]> {
    Ok(Sha256::digest(std::fs::read(ground.root().join(REFUSED.trim_start_matches('/')))?).into())
}

fn wait_for_rules(up: &Up, rules: u32) {
    let in_force = || {
        let status = status(up);
        status["inForce"] == true && status["rules"].as_u64().is_some_and(|held| held >= u64::from(rules))
    };
    tests::wait_for("the rules to be in force", Duration::from_secs(60), || in_force().then_some(()));
}

fn status(up: &Up) -> Value {
    let text = up.cli(&["agent", "status", "-o", "json", "--data-dir", up.field("dataDir")]);
    serde_json::from_str(&text).expect("JSON")
}
