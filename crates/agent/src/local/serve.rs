//! Answering root on this machine.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::rule::Scope;
use model::{RuleId, VaultId};
use sys::socket::Kind;
use wire::link::{frame, v1};

use super::approve;
use super::bypass::bypass;
use super::explain::explain;
use super::{Reply, Request, SOCKET, Status, say, understand};
use crate::brake;
use crate::clock::SystemClock;
use crate::core::{Core, Nudge};
use crate::guard::client::Guard;
use crate::ledger::Ledger;
use crate::vault::Vault;

/// Who may ask here.
const ROOT: u32 = 0;
/// What is said of a restore that root asks for.
const COMMENT: &str = "restored on the machine by root";
/// How long the guard may take to stop denying a file before it is brought back.
const GUARD_PATIENCE: Duration = Duration::from_secs(5);

/// Answers one connection after the other until the agent stops.
///
/// # Errors
/// When the socket can't be made.
pub(crate) fn serve(core: &Arc<Core>, data_dir: &Path) -> io::Result<()> {
    let listener = sys::socket::listen(&data_dir.join(SOCKET), Kind::Stream)?;
    while !core.halt.is_asked() {
        let socket = match sys::socket::accept(listener.as_fd()) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(%error, "a local connection could not be taken");
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        // The socket's mode keeps others out; this holds even where somebody changed it.
        if sys::socket::peer_uid(socket.as_fd())? != 0 {
            continue;
        }
        let core = Arc::clone(core);
        std::thread::spawn(move || {
            if let Err(error) = converse(&core, UnixStream::from(socket)) {
                tracing::debug!(%error, "a local request was not answered");
            }
        });
    }
    Ok(())
}

fn converse(core: &Core, mut stream: UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    let Some(request) = frame::read::<v1::LocalRequest>(&mut stream)? else { return Ok(()) };
    let reply = match understand(request) {
        Some(Request::VaultList) => Reply::Resting(core.vault.list()),
        Some(Request::VaultRestore(id)) => restore(core, id),
        Some(Request::Status) => Reply::Status(Box::new(status(core))),
        Some(Request::Explain(about)) => explain(core, &about),
        Some(Request::Holds) => Reply::Holds(approve::holds(core)),
        Some(Request::Approve(hold, by, comment)) => approve::approve(core, hold, &by, &comment),
        Some(Request::ApproveSigned(signed)) => approve::signed(core, &signed),
        Some(Request::Bypass(file, comment)) => bypass(core, ROOT, &file, &comment),
        None => Reply::Refused("this agent does not know that request".to_owned()),
    };
    say(&mut stream, reply)
}

/// Lifts this machine's own denies of the file first, then brings the copy back.
fn restore(core: &Core, id: VaultId) -> Reply {
    let Some(resting) = core.vault.list().into_iter().find(|resting| resting.id == id) else {
        return not_there(id);
    };
    for rule in crate::perform::own_denies(core, &resting.digests) {
        let lifted = core.ledger.lock().lift(rule, COMMENT);
        if let Err(error) = lifted {
            return Reply::Refused(format!("the ledger can't be written: {error}; nothing was restored"));
        }
    }
    core.nudge(Nudge::Ended);
    if let Err(error) = core.enforce(GUARD_PATIENCE) {
        tracing::warn!(%error, "a file is brought back that the guard may still deny for a moment");
    }
    match core.vault.restore(id, &mut |_| {}) {
        Ok(path) => {
            let _ = core.looker.look(path.clone());
            Reply::Restored(path)
        }
        Err(refusal) => Reply::Refused(refusal.to_string()),
    }
}

fn not_there(id: VaultId) -> Reply {
    Reply::Refused(format!("the vault holds no {id}; `quell agent vault list` shows what it holds"))
}

fn status(core: &Core) -> Status {
    let (position, rules, held, operator_key) = {
        let ledger = core.ledger.lock();
        let held = ledger.holds().len() as u64;
        (ledger.position(), ledger.rules().len() as u64, held, ledger.operator_key())
    };
    let guard = core.guard.as_ref().map(Guard::status);
    let (counters, costs, guard_mechanism) =
        guard.map(|guard| (guard.counters, guard.costs, guard.mechanism)).unwrap_or_default();
    Status {
        files_known: core.inventory.len(),
        sweep_seen: core.progress.seen.load(Ordering::Relaxed),
        first_sweep_complete: core.progress.first_complete.load(Ordering::Relaxed),
        guarded_complete: core.progress.guarded_complete.load(Ordering::Relaxed),
        programs_complete: core.progress.programs_complete.load(Ordering::Relaxed),
        sweeping: core.progress.at.lock().clone(),
        spool_waiting: core.spool.lock().waiting(),
        attached: core.attached.load(Ordering::Relaxed),
        position,
        guard_level: core.guard_level().to_owned(),
        guard_mechanism,
        in_force: core.in_force() == Some(position) && core.denies(),
        guard_notice: core.guard_notice(),
        guard_deaths: core.warden.falls().0,
        guard_gap_ms: core.warden.falls().1,
        guarded: core.guarded().into_iter().map(|place| place.mount.point).collect(),
        watched: core.watched_roots(),
        filesystems: core.filesystems.load().to_vec(),
        filesystems_left_out: 0,
        counters,
        costs,
        rules,
        spared: core.spared().len() as u64,
        running_denied: core.running.running_denied(),
        rivals: core.rivals.lock().clone(),
        held,
        operator_key: operator_key.as_ref().map(brake::fingerprint).unwrap_or_default(),
    }
}

/// Answers from the files of an agent that does not run.
pub(super) fn offline(data_dir: &Path, request: Request) -> anyhow::Result<Reply> {
    anyhow::ensure!(
        data_dir.join("ledger").exists(),
        "{} holds no agent; name its data directory with --data-dir",
        data_dir.display()
    );
    if !matches!(request, Request::VaultList | Request::VaultRestore(_)) {
        return Ok(Reply::Refused("the agent does not run; start it with `quell up`".to_owned()));
    }
    let vault = Vault::open(data_dir, Arc::new(SystemClock))?;
    let Request::VaultRestore(id) = request else { return Ok(Reply::Resting(vault.list())) };
    let Some(resting) = vault.list().into_iter().find(|resting| resting.id == id) else {
        return Ok(not_there(id));
    };
    let mut ledger = Ledger::open_again(&data_dir.join("ledger"))?;
    let own: Vec<RuleId> = ledger
        .rules()
        .matching(&resting.digests.into())
        .filter(|rule| matches!(rule.scope, Scope::Machine(_)) && rule.effect.denies())
        .map(|rule| rule.id)
        .collect();
    for rule in own {
        ledger.lift(rule, COMMENT)?;
    }
    Ok(match vault.restore(id, &mut |_| {}) {
        Ok(path) => Reply::Restored(path),
        Err(refusal) => Reply::Refused(refusal.to_string()),
    })
}
