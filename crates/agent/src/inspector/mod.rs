//! What the files of this machine are: their bytes are parsed by a process that can do nothing else ([`helper`]), one
//! file at a time, when the server asks for it; what it says is hostile input, too.
//!
//! The server asks for what it has no record of. So nothing of this needs the machine's disk: what was asked for and not
//! answered when the agent ends is asked for again.

mod answer;
mod child;
mod confined;
mod failed;
mod helper;
mod proven;
mod work;

pub use child::Helper;
pub use helper::run as inspect_for_parent;
pub(crate) use work::{LinkEnd, Said, pair};

/// No larger file is inspected: reading it twice is not to take longer than it may. In bytes.
const LARGEST: u64 = 1 << 30;
