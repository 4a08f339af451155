//! What root on this machine may ask of the agent, through `agent.sock` in the data directory; and, while no
//! agent runs, of its files.

mod approve;
mod bypass;
mod deadline;
mod explain;
mod serve;
mod spared;
mod users;
mod vault;
mod visitors;

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::act::Terms;
use model::hold::Hold;
use model::log::Position;
use model::{FileId, HoldId, MachineId, OrganizationId, Time, VaultId};
use wire::link::v1::{self, local_reply, local_request};
use wire::link::{acts, frame, holds, things};

use crate::filesystems::Filesystem;
use crate::spared::Surveyed;
use crate::vault::{Kept, Returned, Which};

pub use users::ask_as_user;
pub(crate) use users::{DIRECTORY as USERS_DIRECTORY, serve as serve_users, socket as users_socket};
pub use v1::{Explanation, GivenAnswer, GuardCounters as Counters, VaultState};

pub(crate) use serve::serve;

/// The socket's name in the data directory.
pub(crate) const SOCKET: &str = "agent.sock";

/// What may be asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// What the vault has, and had.
    VaultList,
    /// One copy of it, with all that it carries.
    VaultShow(VaultId),
    /// Bring these copies back on these terms, and lift this machine's own denies of them.
    VaultRestore(Which, Terms),
    /// Remove this copy for good, for this reason.
    VaultRemove(VaultId, String),
    /// How the agent is.
    Status,
    /// Let who asks past the warning of this file, for this reason.
    Bypass(FileId, String),
    /// Why something runs or does not.
    Explain(About),
    /// What may never be denied; only this path, if one is named.
    Spared(Option<PathBuf>),
    /// What waits for approval.
    Holds,
    /// Let what waits under this name go on, or all of it: at whose word, and why.
    Approve(Option<HoldId>, String, String),
    /// The same by a signed approval.
    ApproveSigned(Box<v1::SignedApproval>),
    /// Take the operator key of this fingerprint, which the server offers: at whose word, and why.
    TrustKey(String, String, String),
}

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// What this process runs, or tried to.
    Process(i32),
    /// The file at this path, as the agent sees it.
    Path(PathBuf),
}

/// The answer.
#[derive(Clone, Debug)]
pub enum Reply {
    /// What the vault has, and had.
    Kept(Vec<Kept>),
    /// How each copy fared that was to be restored.
    Restored(Vec<Back>),
    /// The copy was removed for good.
    Removed,
    /// How the agent is.
    Status(Box<Status>),
    /// The warning holds again from then on.
    Bypassed(Time),
    /// Why something runs or does not.
    Explained(Box<Explanation>),
    /// What may never be denied, and what keeps that from being up to date.
    Spared(Vec<Surveyed>, String),
    /// What waits for approval.
    Holds(Holds),
    /// This goes on now.
    Approved(Holds),
    /// The operator key of this fingerprint counts from now on.
    TrustedKey(String),
    /// It was not done, and why.
    Refused(String),
}

/// How a copy fared that was to be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    /// The copy.
    pub id: VaultId,
    /// Where it lay.
    pub path: PathBuf,
    /// Where it is now, or why it rests still.
    pub outcome: Result<Returned, String>,
}

/// What waits for approval, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holds {
    /// Whose machine this is.
    pub organization: OrganizationId,
    /// Which.
    pub machine: MachineId,
    /// What waits, oldest first.
    pub holds: Vec<Hold>,
}

/// How the agent is.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Copies of executable files known on this machine.
    pub files_known: u64,
    /// Files looked at by sweeps since the agent started.
    pub sweep_seen: u64,
    /// Whether every watched filesystem was looked through once.
    pub first_sweep_complete: bool,
    /// Whether the server knows all that lay in the guarded filesystems when the agent started.
    pub guarded_complete: bool,
    /// Whether it knows the programs in the usual directories, too.
    pub programs_complete: bool,
    /// Files whose content was read to know them, since the agent started.
    pub files_read: u64,
    /// Files that the swept filesystems say they have; 0 when they don't.
    pub sweep_estimate: u64,
    /// Files looked at a second, lately.
    pub sweep_rate: u64,
    /// Why the sweep rests, if that is no ordinary rest; empty otherwise.
    pub sweep_held_up: String,
    /// The directory that a sweep is in.
    pub sweeping: Option<PathBuf>,
    /// Sightings that the server has not stored yet.
    pub spool_waiting: u64,
    /// Whether the server is there.
    pub attached: bool,
    /// How far in the organization's log this machine is.
    pub position: Position,
    /// `deny`, `absent` (the guard is away), `observe`, `released` or `none` (nothing is guarded).
    pub guard_level: String,
    /// Why it is `observe` or `released`, or denies less than it should; empty otherwise.
    pub guard_notice: String,
    /// How often the guard fell since its warden's start.
    pub guard_deaths: u64,
    /// For how many milliseconds nothing was denied the last time.
    pub guard_gap_ms: Option<u64>,
    /// How it denies: `fanotify` or `bpf`; empty while there is no guard.
    pub guard_mechanism: String,
    /// Whether the ledger's rules are in force.
    pub in_force: bool,
    /// Where execution is denied.
    pub guarded: Vec<PathBuf>,
    /// What is watched.
    pub watched: Vec<PathBuf>,
    /// Every filesystem of the machine and what is done there; not all where there are many.
    pub filesystems: Vec<Filesystem>,
    /// How many are left out of that.
    pub filesystems_left_out: u32,
    /// What the guard has counted since its start.
    pub counters: v1::GuardCounters,
    /// Which processes wait for the guard most, by a sample.
    pub costs: v1::Costs,
    /// Rules in force.
    pub rules: u64,
    /// Copies that may never be denied.
    pub spared: u64,
    /// Processes that run what is denied.
    pub running_denied: u64,
    /// Other products that can refuse execs on this machine, described.
    pub rivals: Vec<String>,
    /// What rests in the vault.
    pub vault: v1::VaultState,
    /// Waiting for approval.
    pub held: u64,
    /// The fingerprint of the operator key whose signature counts here; empty before there is one.
    pub operator_key: String,
    /// That of another one, which the server has and which ours has not signed; empty if there is none.
    pub operator_key_offered: String,
}

/// Asks the agent of this data directory; while none runs, its files, under their locks.
///
/// # Errors
/// When the agent does not answer, or its files can't be opened.
pub fn ask(data_dir: &Path, request: Request) -> anyhow::Result<Reply> {
    use std::os::unix::net::UnixStream;
    match UnixStream::connect(data_dir.join(SOCKET)) {
        Ok(mut stream) => {
            // A copy of any size may have to come back; how it is, it knows at once.
            let patience = if request == Request::Status { 5 } else { 600 };
            stream.set_read_timeout(Some(Duration::from_secs(patience)))?;
            frame::write(&mut stream, &v1::LocalRequest { request: Some(encode(&request)) })?;
            hear(&mut stream)
        }
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
            ) =>
        {
            serve::offline(data_dir, request)
        }
        Err(error) => Err(anyhow::anyhow!("{}: {error}; this needs root", data_dir.join(SOCKET).display())),
    }
}

/// Copies that are told in one message: paths are long where somebody wants them to be.
const AT_A_TIME: usize = 500;

/// Attributes that are told of a single copy, in bytes.
const LARGEST_ATTRIBUTES: usize = 1 << 20;

/// Writes an answer. A list takes as many messages as it needs, and leaves out what nobody lists: attributes, of
/// which a single copy can carry more than fits into a message.
fn say(stream: &mut impl std::io::Write, reply: Reply) -> std::io::Result<()> {
    let Reply::Kept(mut kept) = reply else { return frame::write(stream, &shape(reply)) };
    let is_list = kept.len() > 1;
    let has_no_room = |kept: &Kept| {
        let attributes = &kept.resting.metadata.attributes;
        attributes.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > LARGEST_ATTRIBUTES
    };
    for kept in kept.iter_mut().filter(|kept| is_list || has_no_room(kept)) {
        kept.resting.metadata.attributes.clear();
    }
    while kept.len() > AT_A_TIME {
        let rest = kept.split_off(AT_A_TIME);
        frame::write(stream, &shape(Reply::Kept(std::mem::replace(&mut kept, rest))))?;
    }
    frame::write(stream, &shape(Reply::Kept(kept)))
}

fn hear(stream: &mut impl std::io::Read) -> anyhow::Result<Reply> {
    let first: v1::LocalReply = frame::read(stream)?
        .ok_or_else(|| anyhow::anyhow!("the agent closed the connection; see its log"))?;
    let mut reply = decode(first)?;
    if let Reply::Kept(all) = &mut reply {
        while let Some(more) = frame::read(stream)? {
            let Reply::Kept(more) = decode(more)? else { anyhow::bail!("the agent's list breaks off") };
            all.extend(more);
        }
    }
    Ok(reply)
}

fn encode(request: &Request) -> local_request::Request {
    match request {
        Request::VaultList => local_request::Request::VaultList(true),
        Request::VaultShow(id) => local_request::Request::VaultShow(id.0.as_bytes().to_vec()),
        Request::VaultRestore(which, terms) => {
            local_request::Request::VaultRestore(vault::ask_restore(*which, *terms))
        }
        Request::VaultRemove(id, why) => local_request::Request::VaultRemove(v1::VaultRemove {
            id: id.0.as_bytes().to_vec(),
            why: why.clone(),
        }),
        Request::Status => local_request::Request::Status(true),
        Request::Bypass(file, comment) => local_request::Request::Bypass(v1::BypassRequest {
            file: Some((*file).into()),
            comment: comment.clone(),
        }),
        Request::Explain(about) => {
            let what = match about {
                About::Process(pid) => v1::explain_request::What::Pid(*pid),
                About::Path(path) => v1::explain_request::What::Path(things::bytes_of(path)),
            };
            local_request::Request::Explain(v1::ExplainRequest { what: Some(what) })
        }
        Request::Spared(path) => {
            let check = path.as_deref().map(things::bytes_of).unwrap_or_default();
            local_request::Request::Spared(v1::SparedRequest { check })
        }
        Request::Holds => local_request::Request::Holds(true),
        Request::Approve(hold, by, comment) => local_request::Request::Approve(v1::ApproveRequest {
            hold: hold.map(|hold| hold.0.as_bytes().to_vec()).unwrap_or_default(),
            by: by.clone(),
            comment: comment.clone(),
        }),
        Request::ApproveSigned(signed) => local_request::Request::SignedApproval((**signed).clone()),
        Request::TrustKey(fingerprint, by, comment) => {
            let (fingerprint, by, comment) = (fingerprint.clone(), by.clone(), comment.clone());
            local_request::Request::TrustKey(v1::TrustKeyRequest { fingerprint, by, comment })
        }
    }
}

fn understand(request: v1::LocalRequest) -> Option<Request> {
    Some(match request.request? {
        local_request::Request::VaultList(_) => Request::VaultList,
        local_request::Request::VaultShow(id) => Request::VaultShow(acts::vault_id(&id).ok()?),
        local_request::Request::VaultRestore(asked) => {
            let (which, terms) = vault::understand_restore(asked)?;
            Request::VaultRestore(which, terms)
        }
        local_request::Request::VaultRemove(asked) => {
            Request::VaultRemove(acts::vault_id(&asked.id).ok()?, asked.why)
        }
        local_request::Request::Status(_) => Request::Status,
        local_request::Request::Bypass(asked) => {
            Request::Bypass(FileId::try_from(asked.file.as_ref()?).ok()?, asked.comment)
        }
        local_request::Request::Explain(asked) => Request::Explain(match asked.what? {
            v1::explain_request::What::Pid(pid) => About::Process(pid),
            v1::explain_request::What::Path(path) => About::Path(things::path_of(path)),
        }),
        local_request::Request::Spared(asked) => {
            Request::Spared(Some(asked.check).filter(|path| !path.is_empty()).map(things::path_of))
        }
        local_request::Request::Holds(_) => Request::Holds,
        local_request::Request::Approve(asked) if asked.hold.is_empty() => {
            Request::Approve(None, asked.by, asked.comment)
        }
        local_request::Request::Approve(asked) => {
            Request::Approve(Some(holds::hold_id(&asked.hold).ok()?), asked.by, asked.comment)
        }
        local_request::Request::SignedApproval(signed) => Request::ApproveSigned(Box::new(signed)),
        local_request::Request::TrustKey(asked) => {
            Request::TrustKey(asked.fingerprint, asked.by, asked.comment)
        }
    })
}

fn shape(reply: Reply) -> v1::LocalReply {
    let reply = match reply {
        Reply::Kept(kept) => {
            local_reply::Reply::Kept(v1::KeptList { kept: kept.iter().map(Into::into).collect() })
        }
        Reply::Restored(back) => {
            local_reply::Reply::Restored(v1::BackList { back: back.into_iter().map(Into::into).collect() })
        }
        Reply::Removed => local_reply::Reply::Removed(true),
        Reply::Refused(reason) => local_reply::Reply::Refused(reason),
        Reply::Status(status) => local_reply::Reply::Status(shape_status(*status)),
        Reply::Bypassed(until) => local_reply::Reply::Bypassed(until.ticks()),
        Reply::Explained(explanation) => local_reply::Reply::Explained(*explanation),
        Reply::Spared(surveyed, notice) => local_reply::Reply::Spared(v1::SparedList {
            surveyed: surveyed.iter().map(Into::into).collect(),
            notice,
        }),
        Reply::Holds(holds) => local_reply::Reply::Holds(shape_holds(&holds)),
        Reply::Approved(holds) => local_reply::Reply::Approved(shape_holds(&holds)),
        Reply::TrustedKey(fingerprint) => local_reply::Reply::TrustedKey(fingerprint),
    };
    v1::LocalReply { reply: Some(reply) }
}

fn shape_holds(holds: &Holds) -> v1::LocalHolds {
    v1::LocalHolds {
        holds: holds.holds.iter().map(Into::into).collect(),
        organization: holds.organization.0.as_bytes().to_vec(),
        machine: holds.machine.0.to_vec(),
    }
}

fn holds_of(told: &v1::LocalHolds) -> anyhow::Result<Holds> {
    Ok(Holds {
        organization: told.organization.as_slice().try_into()?,
        machine: told.machine.as_slice().try_into()?,
        holds: told.holds.iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
    })
}

fn shape_status(status: Status) -> v1::LocalStatus {
    let (filesystems, left_out) = crate::filesystems::shape(&status.filesystems);
    v1::LocalStatus {
        files_known: status.files_known,
        sweep_seen: status.sweep_seen,
        files_read: status.files_read,
        sweep_estimate: status.sweep_estimate,
        sweep_rate: status.sweep_rate,
        sweep_held_up: status.sweep_held_up.clone(),
        first_sweep_complete: status.first_sweep_complete,
        guarded_complete: status.guarded_complete,
        programs_complete: status.programs_complete,
        sweeping: status.sweeping.as_deref().map(things::bytes_of),
        spool_waiting: status.spool_waiting,
        attached: status.attached,
        position: Some(status.position.into()),
        guard_level: status.guard_level.clone(),
        guard_notice: status.guard_notice.clone(),
        guard_deaths: status.guard_deaths,
        guard_gap_ms: status.guard_gap_ms,
        guard_mechanism: status.guard_mechanism,
        guarded: status.guarded.iter().map(|path| things::bytes_of(path)).collect(),
        watched: status.watched.iter().map(|path| things::bytes_of(path)).collect(),
        counters: Some(status.counters),
        costs: Some(status.costs),
        rules: status.rules,
        spared: status.spared,
        running_denied: status.running_denied,
        in_force: status.in_force,
        filesystems,
        filesystems_left_out: status.filesystems_left_out.saturating_add(left_out),
        rivals: status.rivals,
        vault: Some(status.vault),
        held: status.held,
        operator_key: status.operator_key,
        operator_key_offered: status.operator_key_offered,
    }
}

fn decode(reply: v1::LocalReply) -> anyhow::Result<Reply> {
    let reply = reply.reply.ok_or_else(|| anyhow::anyhow!("the agent's answer is of a newer version"))?;
    Ok(match reply {
        local_reply::Reply::Kept(list) => {
            Reply::Kept(list.kept.into_iter().map(Kept::try_from).collect::<Result<_, _>>()?)
        }
        local_reply::Reply::Restored(list) => {
            Reply::Restored(list.back.into_iter().map(Back::try_from).collect::<Result<_, _>>()?)
        }
        local_reply::Reply::Removed(_) => Reply::Removed,
        local_reply::Reply::Refused(reason) => Reply::Refused(reason),
        local_reply::Reply::Bypassed(until) => Reply::Bypassed(Time::from_ticks(until)),
        local_reply::Reply::Explained(explanation) => Reply::Explained(Box::new(explanation)),
        local_reply::Reply::Spared(list) => {
            let surveyed = list.surveyed.into_iter().map(Surveyed::try_from).collect::<Result<_, _>>()?;
            Reply::Spared(surveyed, list.notice)
        }
        local_reply::Reply::Holds(holds) => Reply::Holds(holds_of(&holds)?),
        local_reply::Reply::Approved(holds) => Reply::Approved(holds_of(&holds)?),
        local_reply::Reply::TrustedKey(fingerprint) => Reply::TrustedKey(fingerprint),
        local_reply::Reply::Status(status) => Reply::Status(Box::new(Status {
            files_known: status.files_known,
            sweep_seen: status.sweep_seen,
            files_read: status.files_read,
            sweep_estimate: status.sweep_estimate,
            sweep_rate: status.sweep_rate,
            sweep_held_up: status.sweep_held_up,
            first_sweep_complete: status.first_sweep_complete,
            guarded_complete: status.guarded_complete,
            programs_complete: status.programs_complete,
            sweeping: status.sweeping.map(things::path_of),
            spool_waiting: status.spool_waiting,
            attached: status.attached,
            position: status.position.unwrap_or_default().into(),
            guard_level: status.guard_level,
            guard_notice: status.guard_notice,
            guard_deaths: status.guard_deaths,
            guard_gap_ms: status.guard_gap_ms,
            guard_mechanism: status.guard_mechanism,
            in_force: status.in_force,
            guarded: status.guarded.into_iter().map(things::path_of).collect(),
            watched: status.watched.into_iter().map(things::path_of).collect(),
            filesystems: status.filesystems.into_iter().map(Into::into).collect(),
            filesystems_left_out: status.filesystems_left_out,
            counters: status.counters.unwrap_or_default(),
            costs: status.costs.unwrap_or_default(),
            rules: status.rules,
            spared: status.spared,
            running_denied: status.running_denied,
            rivals: status.rivals,
            vault: status.vault.unwrap_or_default(),
            held: status.held,
            operator_key: status.operator_key,
            operator_key_offered: status.operator_key_offered,
        })),
    })
}

/// The guard's counters with their names, in the order of the documentation.
pub fn counters(counters: &v1::GuardCounters) -> [(&'static str, u64); 13] {
    [
        ("questions", counters.questions),
        ("opens", counters.opens),
        ("fromCache", counters.from_cache),
        ("hashed", counters.hashed),
        ("denied", counters.denied),
        ("deniedLate", counters.denied_late),
        ("busy", counters.busy),
        ("timedOut", counters.timed_out),
        ("spared", counters.spared),
        ("reportsLost", counters.reports_lost),
        ("failed", counters.failed),
        ("watched", counters.watched),
        ("waitedUs", counters.waited_us),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::Fate;

    #[test]
    fn a_list_of_any_length_arrives_whole() {
        for count in [0, 1, AT_A_TIME, AT_A_TIME + 1, 2100] {
            let kept: Vec<Kept> = (0..count)
                .map(|_| {
                    let mut resting = crate::vault::some_resting(VaultId::random());
                    resting.path = PathBuf::from(format!("/{}", "x".repeat(4000)));
                    resting.rests_at = resting.path.clone();
                    resting.metadata.attributes = vec![("user.note".into(), vec![1; 2 << 20])];
                    Kept { resting, fate: Fate::Rests(None) }
                })
                .collect();
            let ids: Vec<_> = kept.iter().map(|kept| kept.resting.id).collect();
            let mut stream = Vec::new();
            say(&mut stream, Reply::Kept(kept)).unwrap();
            let Reply::Kept(heard) = hear(&mut stream.as_slice()).unwrap() else { panic!("a list") };
            assert_eq!(heard.iter().map(|kept| kept.resting.id).collect::<Vec<_>>(), ids);
        }
    }
}
