//! Answering root on this machine.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::RuleId;
use model::act::Terms;
use model::rule::Scope;
use sys::socket::Kind;
use wire::link::{frame, v1};

use super::approve;
use super::bypass::bypass;
use super::explain::explain;
use super::spared::spared;
use super::{Reply, Request, SOCKET, Status, say, understand, vault};
use crate::brake;
use crate::clock::SystemClock;
use crate::core::{Core, Nudge};
use crate::guard::client::Guard;
use crate::ledger::Ledger;
use crate::vault::{Resting, Vault, Which};

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
        Some(Request::VaultList) => Reply::Kept(core.vault.all()),
        Some(Request::VaultShow(id)) => vault::show(&core.vault, id),
        Some(Request::VaultRestore(which, terms)) => restore(core, which, terms),
        Some(Request::VaultRemove(id, why)) => vault::remove(&core.vault, id, &why),
        Some(Request::Status) => Reply::Status(Box::new(status(core))),
        Some(Request::Explain(about)) => explain(core, &about),
        Some(Request::Spared(path)) => spared(core, path.as_deref()),
        Some(Request::Holds) => Reply::Holds(approve::holds(core)),
        Some(Request::Approve(hold, by, comment)) => approve::approve(core, hold, &by, &comment),
        Some(Request::ApproveSigned(signed)) => approve::signed(core, &signed),
        Some(Request::TrustKey(name, by, comment)) => approve::trust_key(core, &name, &by, &comment),
        Some(Request::Bypass(file, comment)) => bypass(core, ROOT, &file, &comment),
        None => Reply::Refused("this agent does not know that request".to_owned()),
    };
    say(&mut stream, reply)
}

/// Lifts this machine's own denies of the files first, then brings the copies back.
fn restore(core: &Core, which: Which, terms: Terms) -> Reply {
    let chosen = core.vault.chosen(which);
    if chosen.is_empty() {
        return vault::none(&core.vault, which);
    }
    let rules: BTreeSet<RuleId> =
        chosen.iter().flat_map(|resting| crate::perform::own_denies(core, &resting.digests)).collect();
    for rule in rules {
        let lifted = core.ledger.lock().lift(rule, COMMENT);
        if let Err(error) = lifted {
            return Reply::Refused(format!("the ledger can't be written: {error}; nothing was restored"));
        }
    }
    core.nudge(Nudge::Ended);
    if let Err(error) = core.enforce(GUARD_PATIENCE) {
        tracing::warn!(%error, "a file is brought back that the guard may still deny for a moment");
    }
    let back = vault::restore(&core.vault, which, terms);
    for returned in back.iter().filter_map(|back| back.outcome.as_ref().ok()) {
        let _ = core.looker.look(returned.path.clone());
    }
    Reply::Restored(back)
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
        files_read: core.looker.read.load(Ordering::Relaxed),
        sweep_estimate: core.progress.estimate.load(Ordering::Relaxed),
        sweep_rate: core.progress.rate.load(Ordering::Relaxed),
        sweep_held_up: core.progress.held_up.lock().clone().unwrap_or_default(),
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
        vault: vault::state(&core.vault),
        held,
        operator_key: operator_key.as_ref().map(brake::fingerprint).unwrap_or_default(),
        operator_key_offered: brake::offered(core).unwrap_or_default(),
    }
}

/// Answers from the files of an agent that does not run.
pub(super) fn offline(data_dir: &Path, request: Request) -> anyhow::Result<Reply> {
    anyhow::ensure!(
        data_dir.join("ledger").exists(),
        "{} holds no agent; name its data directory with --data-dir",
        data_dir.display()
    );
    let is_of_the_vault = matches!(
        request,
        Request::VaultList | Request::VaultShow(_) | Request::VaultRestore(..) | Request::VaultRemove(..)
    );
    if !is_of_the_vault {
        return Ok(Reply::Refused("the agent does not run; start it with `quell up`".to_owned()));
    }
    let vault = Vault::open(data_dir, Arc::new(SystemClock))?;
    let (which, terms) = match request {
        Request::VaultRestore(which, terms) => (which, terms),
        Request::VaultShow(id) => return Ok(vault::show(&vault, id)),
        Request::VaultRemove(id, why) => return Ok(vault::remove(&vault, id, &why)),
        _ => return Ok(Reply::Kept(vault.all())),
    };
    let chosen = vault.chosen(which);
    if chosen.is_empty() {
        return Ok(vault::none(&vault, which));
    }
    let mut ledger = Ledger::open_again(&data_dir.join("ledger"))?;
    let denies = |resting: &Resting| -> Vec<RuleId> {
        let matching = ledger.rules();
        let own = matching
            .matching(&resting.digests.into())
            .filter(|rule| matches!(rule.scope, Scope::Machine(_)) && rule.effect.denies());
        own.map(|rule| rule.id).collect()
    };
    let own: BTreeSet<RuleId> = chosen.iter().flat_map(denies).collect();
    for rule in own {
        ledger.lift(rule, COMMENT)?;
    }
    Ok(Reply::Restored(vault::restore(&vault, which, terms)))
}
