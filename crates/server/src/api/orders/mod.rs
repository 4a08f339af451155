//! Orders of every kind, our own: `/api/quell/orders`.

pub(super) mod cancel;
pub(super) mod list;
pub(super) mod show;
pub(super) mod undo;

/// How a missing one is named.
const KIND: &str = "Order";
