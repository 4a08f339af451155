//! The Linux kernel made safe.
//!
//! This is the only crate of the product that may contain `unsafe`, so that an auditor reads one folder. It
//! knows what the kernel offers and what it demands in return, and nothing of rules, verdicts or acts. Where
//! rustix has a safe wrapper it is used; what rustix lacks (fanotify, leases, file handles, I/O priorities)
//! is wrapped here by hand.
//!
//! A reader who wants the heart of it goes to [`fanotify::permission`], where the kernel asks whether a file
//! may run, then to [`identity`] and [`lease`], which make an answer given once safe to give again.
//!
//! Process ids are `i32` throughout, as in the kernel. Errors are [`std::io::Error`] with the kernel's errno
//! in `raw_os_error`.

pub mod bpf;
pub mod fanotify;
pub mod handle;
pub mod identity;
pub mod lease;
pub mod state;

pub mod cgroup;
pub mod confine;
pub mod inherit;
pub mod owner;
pub mod page;
pub mod pidfd;
pub mod process;
pub mod processes;
pub mod refusers;
pub mod scheduling;
pub mod seccomp;

pub mod mapping;
pub mod mounts;
pub mod place;
pub mod socket;

/// Flags of an open file, for the functions here that open one.
pub use rustix::fs::OFlags;
