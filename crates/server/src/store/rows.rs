//! What the store tells, and what it is told.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use model::act::Act;
use model::facts::Facts;
use model::hold::Hold;
use model::inspection::Inspection;
use model::log::{Entry, Position};
use model::order::Cancellation;
use model::origin::Origin;
use model::rule::Rule;
use model::{
    ActId, Digests, Epoch, FileId, Generation, HoldId, MachineId, OrderId, OrganizationId, RuleId, Sha256,
    Time,
};
use uuid::Uuid;

use super::Judged;

/// Who asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// For whom.
    pub organization: OrganizationId,
    /// Who, as shown to people: `quell-up (…)`.
    pub name: String,
    /// From where: an address.
    pub from: String,
    /// Whether they know that a file of this name lies where one belongs that is spared.
    pub confirms: bool,
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Without so many at its beginning,
    pub skip: u32,
    /// and no more than so many.
    pub top: u32,
}

impl Page {
    /// All of it.
    pub const ALL: Self = Self { skip: 0, top: u32::MAX };
}

/// A program that may ask for tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Application {
    /// Its client id.
    pub client: Uuid,
    /// Whose.
    pub organization: OrganizationId,
    /// Its name, for people.
    pub name: String,
    /// SHA-256 of its secret; the secret itself is nowhere.
    pub secret_sha256: [u8; 32],
    /// What it may do.
    pub roles: Vec<String>,
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application")
            .field("client", &self.client)
            .field("organization", &self.organization)
            .field("name", &self.name)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

/// What a deployment of one machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// Its only organization.
    pub organization: OrganizationId,
    /// The machine it runs on.
    pub machine: MachineId,
    /// Which log generations belong to.
    pub epoch: Epoch,
}

/// A file that at least one machine has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFile {
    /// Its names.
    pub digests: Digests,
    /// What its bytes say.
    pub facts: Facts,
    /// On how many machines it was seen, whatever became of it there.
    pub prevalence: u64,
    /// On how many it lies now, as far as they have told.
    pub present_on: u64,
    /// When it was first seen.
    pub first_observed: Time,
    /// When it was last seen.
    pub last_observed: Time,
    /// How often its execution was refused.
    pub denials: u64,
    /// The rules in force that deny it, of every scope.
    pub blocked: Vec<RuleId>,
    /// Which packages brought its copies, the commonest first.
    pub origins: Vec<KnownOrigin>,
    /// What it is judged to be.
    pub judged: Judged,
    /// What inspection said of it, once it did.
    pub inspection: Option<KnownInspection>,
}

/// What inspection said of a file, by the word of the machine that said it first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownInspection {
    /// What it said.
    pub record: Inspection,
    /// Version of what inspection makes, on that machine.
    pub version: u32,
    /// That machine's name.
    pub told_by: String,
    /// When it was told.
    pub at: Time,
    /// Machines that said the same since.
    pub agreed: u64,
    /// Machines that said otherwise since.
    pub disagreed: u64,
}

/// From where a file comes on some machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownOrigin {
    /// The package, and whether the copies there are what it brought.
    pub origin: Origin,
    /// On how many machines.
    pub machines: u64,
}

/// A copy that a machine has told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownCopy {
    /// On which machine.
    pub machine: MachineId,
    /// That machine's name.
    pub machine_name: String,
    /// Where.
    pub path: PathBuf,
    /// When it was first seen.
    pub first_seen: Time,
    /// When it was last seen.
    pub last_seen: Time,
    /// Whether it still lies there, as far as known.
    pub present: bool,
    /// Whether it ran when it was last seen.
    pub running: bool,
    /// How often its execution was refused.
    pub denials: u64,
    /// The package that owns its path, by the machine's word.
    pub origin: Option<Origin>,
}

/// An enrolled machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its name in the API.
    pub id: MachineId,
    /// Its host name.
    pub name: String,
    /// `Linux`, …
    pub os_platform: String,
    /// The distribution and its version.
    pub os_version: String,
    /// The kernel's release.
    pub kernel: String,
    /// `x86_64`, …
    pub architecture: String,
    /// The agent's version.
    pub agent_version: String,
    /// Its network addresses.
    pub addresses: Vec<String>,
    /// When it was enrolled.
    pub first_seen: Time,
    /// When it was last heard of.
    pub last_seen: Time,
    /// Which rules it has adopted.
    pub position: Position,
    /// `deny`, `observe` or `none`; unknown before its first report.
    pub guard_level: Option<String>,
    /// Where acts may touch something.
    pub guarded: Vec<PathBuf>,
    /// Whether it has looked at every watched file once.
    pub first_sweep_complete: bool,
    /// The fingerprint of the operator key whose signature counts there, as it said last; empty before there is one.
    pub operator_key: String,
    /// Whether it is attached now. Sessions know, the store does not: always false as it comes from there.
    pub attached: bool,
}

/// An organization-wide deny, as people ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its rule.
    pub rule: RuleId,
    /// The newest order about it.
    pub order: OrderId,
    /// What is blocked.
    pub file: FileId,
    /// When it began.
    pub created: Time,
    /// When somebody last asked for it, or ended it.
    pub updated: Time,
    /// Who asked last.
    pub requestor: String,
    /// Why, in their words.
    pub comment: String,
    /// How it ended, if it did.
    pub cancellation: Option<Cancellation>,
}

/// An act that its machine has yet to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAct {
    /// The act.
    pub act: Act,
    /// It was on its way to the machine before.
    pub is_handed: bool,
    /// Somebody asked for its order to be withdrawn.
    pub is_cancelled: bool,
}

/// A file whose bytes the server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which.
    pub sha256: Sha256,
    /// Length in bytes.
    pub size: u64,
}

/// What becomes of a sample that a machine offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is to come; its room is taken.
    Wanted,
    /// Another order brought it before.
    Here,
    /// It is not taken, and why.
    Refused(String),
}

/// All that may lie where samples are kept.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct KeptSamples {
    /// Whole ones, and those which may be whole in a moment.
    pub samples: HashSet<(OrganizationId, Sha256)>,
    /// On their way, by their acts.
    pub coming: HashSet<ActId>,
}

/// What waits for approval on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldThere {
    /// Which machine.
    pub machine: MachineId,
    /// Its name.
    pub machine_name: String,
    /// What waits.
    pub hold: Hold,
    /// What became of the last approval.
    pub answered: Answered,
}

/// What became of the last approval of what waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// There was none.
    NotAsked,
    /// It is on its way to the machine.
    NotYet,
    /// The machine did not take it.
    Refused {
        /// When.
        at: Time,
        /// Why, for people.
        why: String,
    },
}

/// How it ended that something waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldEnd {
    /// Under which id.
    pub id: HoldId,
    /// On which machine.
    pub machine: MachineId,
    /// Its name.
    pub machine_name: String,
    /// When.
    pub at: Time,
    /// Who let it go on; nobody when it was withdrawn or is over.
    pub approved_by: Option<String>,
}

/// A machine presents itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attach {
    /// Whose.
    pub organization: OrganizationId,
    /// Which.
    pub machine: MachineId,
    /// Its host name.
    pub host_name: String,
    /// `Linux`, …
    pub os_platform: String,
    /// The distribution and its version.
    pub os_version: String,
    /// The kernel's release.
    pub kernel: String,
    /// `x86_64`, …
    pub architecture: String,
    /// The agent's version.
    pub agent_version: String,
    /// Its network addresses.
    pub addresses: Vec<String>,
    /// Which rules its ledger holds.
    pub position: Position,
}

/// What the store knows of a machine that has presented itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The machine as it now stands.
    pub machine: Machine,
    /// The last batch of sightings taken from it.
    pub ingested: u64,
}

/// What a machine says of its guard, when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `deny`, `observe` or `none`.
    pub guard_level: String,
    /// Where acts may touch something.
    pub guarded: Vec<PathBuf>,
    /// Whether it has looked at every watched file once.
    pub first_sweep_complete: bool,
    /// The fingerprint of the operator key whose signature counts there; empty before there is one.
    pub operator_key: String,
}

/// What a machine needs to have the rules of today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleDelta {
    /// What changed since `from`, as far as it concerns the machine.
    Delta {
        /// Which log.
        epoch: Epoch,
        /// What the machine has.
        from: Generation,
        /// What it will have.
        to: Generation,
        /// The changes, oldest first.
        entries: Vec<Entry>,
        /// The log's chain value at `to`.
        chain: [u8; 32],
    },
    /// All rules that concern the machine: they replace what it has.
    Whole {
        /// Which log.
        epoch: Epoch,
        /// What it will have.
        to: Generation,
        /// The rules.
        rules: Vec<Rule>,
        /// The log's chain value at `to`.
        chain: [u8; 32],
    },
}

impl RuleDelta {
    /// Where a machine is that has adopted this.
    pub const fn position(&self) -> Position {
        match self {
            Self::Delta { epoch, to, .. } | Self::Whole { epoch, to, .. } => {
                Position { epoch: *epoch, generation: *to }
            }
        }
    }

    /// Whether a machine that adopts this has the same rules as before.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Delta { from, to, .. } if from == to)
    }
}

/// One line of the audit: a change of state, and who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place, gapless over all organizations of the store.
    pub sequence: u64,
    /// When.
    pub at: Time,
    /// Whose.
    pub organization: OrganizationId,
    /// By whom.
    pub who: String,
    /// From where.
    pub from: String,
    /// What was done, as a dotted name: `order.block`, `rule.end`, `act.succeeded`, …
    pub what: String,
    /// To what.
    pub subject: String,
    /// Why, in the words of who did it.
    pub comment: String,
}
