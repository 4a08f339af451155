//! The LSM programs against a kernel that takes them, as that of the emulated machine does (`cargo xtask vm-test`).
//! Elsewhere each test says that it was not run.

mod arena;

mod overlays;
mod pinned;
mod rewrites;
mod roads;
mod rules;
mod unknown;
