//! Machines: `/api/machines`.

pub(super) mod list;
pub(super) mod quarantine;
pub(super) mod show;

use wire::rest::{Machine, MachineExtras, Stamp};

use crate::app::App;
use crate::store;

/// A machine in the contract's shape.
pub(super) fn shape(app: &App, machine: store::Machine) -> Machine {
    Machine {
        attached: app.attached(machine.id),
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
        },
    }
}
