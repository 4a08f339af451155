//! Machines: `/api/machines`.

pub(super) mod collect;
pub(super) mod list;
pub(super) mod quarantine;
pub(super) mod show;

use wire::link::v1::Heartbeat;
use wire::rest::{Machine, MachineExtras, MachineFilesystem, MachineGuard, Stamp};

use crate::app::App;
use crate::store;

/// A machine in the contract's shape.
pub(super) fn shape(app: &App, machine: store::Machine) -> Machine {
    let presence = app.sessions.attached(machine.id);
    Machine {
        attached: presence.is_some(),
        id: machine.id,
        name: machine.name,
        first_seen: Stamp(machine.first_seen),
        last_seen: Stamp(machine.last_seen),
        os_platform: machine.os_platform,
        os_version: machine.os_version,
        architecture: machine.architecture,
        agent_version: machine.agent_version,
        addresses: machine.addresses,
        extras: MachineExtras {
            kernel: machine.kernel,
            guard_level: machine.guard_level,
            guarded: machine.guarded.iter().map(|path| path.to_string_lossy().into_owned()).collect(),
            first_sweep_complete: machine.first_sweep_complete,
            generation: machine.position.generation.0,
            operator_key: Some(machine.operator_key).filter(|key| !key.is_empty()),
            guard: presence.and_then(|presence| presence.heartbeat).map(guard),
        },
    }
}

/// How the guard of an attached machine is.
fn guard(heartbeat: Heartbeat) -> MachineGuard {
    let counters = heartbeat.counters.unwrap_or_default();
    let filesystem = |filesystem: wire::link::v1::Filesystem| MachineFilesystem {
        path: String::from_utf8_lossy(&filesystem.path).into_owned(),
        r#type: filesystem.r#type,
        state: filesystem.state,
    };
    MachineGuard {
        mechanism: heartbeat.guard_mechanism,
        notice: heartbeat.guard_notice,
        deaths: heartbeat.guard_deaths,
        last_gap_ms: heartbeat.guard_gap_ms,
        denied: counters.denied,
        denied_late: counters.denied_late,
        timed_out: counters.timed_out,
        running_denied: heartbeat.running_denied,
        rivals: heartbeat.rivals,
        filesystems: heartbeat.filesystems.into_iter().map(filesystem).collect(),
    }
}
