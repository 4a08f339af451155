//! The process that finds out what is spared. What it reads others have written, some of it in binary forms: it has no
//! rights but to read, and its answer is believed only as far as it makes sense.

use std::io::{self, Write};

use sys::confine::Limits;
use wire::link::frame;

use super::{shape, survey};
use crate::landlocked;

/// Far more than is needed for the largest databases, and what a machine can spare.
const LIMITS: Limits = Limits { memory: 2 << 30, seconds: 120 };

/// Writes what is found to standard output, and returns.
///
/// # Errors
/// When this process can't be confined, or nobody reads.
pub fn run(parent: i32) -> anyhow::Result<()> {
    // As long as it may be asked for.
    let own = std::env::current_exe().and_then(|path| path.canonicalize()).ok();
    sys::confine::to_reading(LIMITS)?;
    sys::process::die_with_parent(parent)?;
    // A kernel without it is none that keeps this from being done.
    if let Err(error) = landlocked::to_reading() {
        tracing::debug!(%error, "landlock is not there");
    }
    let found = frame::encode(&shape::survey(&survey::survey(own.as_deref())))?;
    let mut out = io::stdout().lock();
    out.write_all(&found)?;
    Ok(out.flush()?)
}
