//! Orders on machines, in the shape of the contract's current generation: `/api/machineactions`.

pub(super) mod cancel;
pub(super) mod list;
pub(super) mod show;

/// How a missing one is named.
const KIND: &str = "MachineAction";
