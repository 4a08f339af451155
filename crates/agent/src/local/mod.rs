//! What root on this machine may ask of the agent, through `agent.sock` in the data directory; and, while no
//! agent runs, of its files.

mod approve;
mod bypass;
mod deadline;
mod explain;
mod serve;
mod users;
mod visitors;

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::hold::Hold;
use model::log::Position;
use model::{FileId, HoldId, MachineId, OrganizationId, Time, VaultId};
use wire::link::v1::{self, local_reply, local_request};
use wire::link::{acts, frame, holds, things};

use crate::filesystems::Filesystem;
use crate::vault::Resting;

pub use users::ask_as_user;
pub(crate) use users::serve as serve_users;
pub use v1::{Explanation, GivenAnswer, GuardCounters as Counters};

pub(crate) use serve::serve;

/// The socket's name in the data directory.
pub(crate) const SOCKET: &str = "agent.sock";

/// What may be asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// What the vault holds.
    VaultList,
    /// Bring this copy back and lift this machine's own deny of it.
    VaultRestore(VaultId),
    /// How the agent is.
    Status,
    /// Let who asks past the warning of this file, for this reason.
    Bypass(FileId, String),
    /// Why something runs or does not.
    Explain(About),
    /// What waits for approval.
    Holds,
    /// Let what waits under this name go on, or all of it: at whose word, and why.
    Approve(Option<HoldId>, String, String),
    /// The same by a signed approval.
    ApproveSigned(Box<v1::SignedApproval>),
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
    /// What the vault holds.
    Resting(Vec<Resting>),
    /// The copy is back at this path.
    Restored(PathBuf),
    /// How the agent is.
    Status(Box<Status>),
    /// The warning holds again from then on.
    Bypassed(Time),
    /// Why something runs or does not.
    Explained(Box<Explanation>),
    /// What waits for approval.
    Holds(Holds),
    /// This goes on now.
    Approved(Holds),
    /// It was not done, and why.
    Refused(String),
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
    /// Waiting for approval.
    pub held: u64,
    /// The fingerprint of the operator key whose signature counts here; empty before there is one.
    pub operator_key: String,
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

/// Writes an answer. A list takes as many messages as it needs, and leaves out what nobody lists: attributes, of
/// which a single copy can carry more than fits into a message.
fn say(stream: &mut impl std::io::Write, reply: Reply) -> std::io::Result<()> {
    let Reply::Resting(mut resting) = reply else { return frame::write(stream, &shape(reply)) };
    resting.iter_mut().for_each(|resting| resting.metadata.attributes.clear());
    while resting.len() > AT_A_TIME {
        let rest = resting.split_off(AT_A_TIME);
        frame::write(stream, &shape(Reply::Resting(std::mem::replace(&mut resting, rest))))?;
    }
    frame::write(stream, &shape(Reply::Resting(resting)))
}

fn hear(stream: &mut impl std::io::Read) -> anyhow::Result<Reply> {
    let first: v1::LocalReply = frame::read(stream)?
        .ok_or_else(|| anyhow::anyhow!("the agent closed the connection; see its log"))?;
    let mut reply = decode(first)?;
    if let Reply::Resting(all) = &mut reply {
        while let Some(more) = frame::read(stream)? {
            let Reply::Resting(more) = decode(more)? else { anyhow::bail!("the agent's list breaks off") };
            all.extend(more);
        }
    }
    Ok(reply)
}

fn encode(request: &Request) -> local_request::Request {
    match request {
        Request::VaultList => local_request::Request::VaultList(true),
        Request::VaultRestore(id) => local_request::Request::VaultRestore(id.0.as_bytes().to_vec()),
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
        Request::Holds => local_request::Request::Holds(true),
        Request::Approve(hold, by, comment) => local_request::Request::Approve(v1::ApproveRequest {
            hold: hold.map(|hold| hold.0.as_bytes().to_vec()).unwrap_or_default(),
            by: by.clone(),
            comment: comment.clone(),
        }),
        Request::ApproveSigned(signed) => local_request::Request::SignedApproval((**signed).clone()),
    }
}

fn understand(request: v1::LocalRequest) -> Option<Request> {
    Some(match request.request? {
        local_request::Request::VaultList(_) => Request::VaultList,
        local_request::Request::VaultRestore(id) => Request::VaultRestore(acts::vault_id(&id).ok()?),
        local_request::Request::Status(_) => Request::Status,
        local_request::Request::Bypass(asked) => {
            Request::Bypass(FileId::try_from(asked.file.as_ref()?).ok()?, asked.comment)
        }
        local_request::Request::Explain(asked) => Request::Explain(match asked.what? {
            v1::explain_request::What::Pid(pid) => About::Process(pid),
            v1::explain_request::What::Path(path) => About::Path(things::path_of(path)),
        }),
        local_request::Request::Holds(_) => Request::Holds,
        local_request::Request::Approve(asked) if asked.hold.is_empty() => {
            Request::Approve(None, asked.by, asked.comment)
        }
        local_request::Request::Approve(asked) => {
            Request::Approve(Some(holds::hold_id(&asked.hold).ok()?), asked.by, asked.comment)
        }
        local_request::Request::SignedApproval(signed) => Request::ApproveSigned(Box::new(signed)),
    })
}

fn shape(reply: Reply) -> v1::LocalReply {
    let reply = match reply {
        Reply::Resting(resting) => {
            local_reply::Reply::Resting(v1::RestingList { resting: resting.iter().map(Into::into).collect() })
        }
        Reply::Restored(path) => local_reply::Reply::Restored(things::bytes_of(&path)),
        Reply::Refused(reason) => local_reply::Reply::Refused(reason),
        Reply::Status(status) => local_reply::Reply::Status(shape_status(*status)),
        Reply::Bypassed(until) => local_reply::Reply::Bypassed(until.ticks()),
        Reply::Explained(explanation) => local_reply::Reply::Explained(*explanation),
        Reply::Holds(holds) => local_reply::Reply::Holds(shape_holds(&holds)),
        Reply::Approved(holds) => local_reply::Reply::Approved(shape_holds(&holds)),
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
        held: status.held,
        operator_key: status.operator_key,
    }
}

fn decode(reply: v1::LocalReply) -> anyhow::Result<Reply> {
    let reply = reply.reply.ok_or_else(|| anyhow::anyhow!("the agent's answer is of a newer version"))?;
    Ok(match reply {
        local_reply::Reply::Resting(list) => {
            Reply::Resting(list.resting.iter().map(Resting::try_from).collect::<Result<_, _>>()?)
        }
        local_reply::Reply::Restored(path) => Reply::Restored(things::path_of(path)),
        local_reply::Reply::Refused(reason) => Reply::Refused(reason),
        local_reply::Reply::Bypassed(until) => Reply::Bypassed(Time::from_ticks(until)),
        local_reply::Reply::Explained(explanation) => Reply::Explained(Box::new(explanation)),
        local_reply::Reply::Holds(holds) => Reply::Holds(holds_of(&holds)?),
        local_reply::Reply::Approved(holds) => Reply::Approved(holds_of(&holds)?),
        local_reply::Reply::Status(status) => Reply::Status(Box::new(Status {
            files_known: status.files_known,
            sweep_seen: status.sweep_seen,
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
            held: status.held,
            operator_key: status.operator_key,
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

    #[test]
    fn a_list_of_any_length_arrives_whole() {
        for count in [0, 1, AT_A_TIME, AT_A_TIME + 1, 2100] {
            let resting: Vec<Resting> = (0..count)
                .map(|_| {
                    let mut resting = crate::vault::some_resting(VaultId::random());
                    resting.path = PathBuf::from(format!("/{}", "x".repeat(4000)));
                    resting.rests_at = resting.path.clone();
                    resting.metadata.attributes = vec![("user.note".into(), vec![1; 20_000])];
                    resting
                })
                .collect();
            let ids: Vec<_> = resting.iter().map(|resting| resting.id).collect();
            let mut stream = Vec::new();
            say(&mut stream, Reply::Resting(resting)).unwrap();
            let Reply::Resting(heard) = hear(&mut stream.as_slice()).unwrap() else { panic!("a list") };
            assert_eq!(heard.iter().map(|resting| resting.id).collect::<Vec<_>>(), ids);
        }
    }
}
