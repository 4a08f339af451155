//! What is left to the process that parses hostile bytes.

use std::io;
use std::os::fd::BorrowedFd;

use sys::confine::{Heap, Limits};

use crate::landlocked;

/// Of its address space most is the program itself. Seconds are those of its whole life: it is replaced before.
const LIMITS: Limits = Limits { memory: 512 << 20, seconds: 60 };
/// What a file can make it use, however it is made.
const HEAP: Heap = Heap(64 << 20);

/// Leaves this process nothing but computing on what it is handed open, and answering on `socket`. It ends with its parent.
///
/// # Errors
/// When something of it can't be done: nothing is to be parsed then.
pub(super) fn confine(parent: i32, socket: BorrowedFd<'_>) -> io::Result<()> {
    // It gives way, but gets on: how long it takes is measured.
    sys::process::step_back();
    sys::process::hoard_little_memory();
    sys::confine::to_computing(LIMITS, HEAP)?;
    // Forgotten when the user changes.
    sys::process::die_with_parent(parent)?;
    // A kernel without it is none that keeps this from being done: the filter is the floor.
    let _ = landlocked::to_nothing();
    sys::seccomp::allow_computing(socket)
}
