//! The operator key, our own: `/api/quell/operator-key`.

pub(super) mod rotate;
pub(super) mod show;
