//! What runs already when a rule begins: found, told, and ended where the rule says so.
//!
//! The guard judges who starts; this judges who has started. A process counts as running a file when that is its
//! program, when it has mapped it to be executed, or when an interpreter runs it. Files are judged by what they hold,
//! whether they have a name or not and in whatever mount namespace that is.

mod asked;
mod census;
mod filesystems;
mod hunt;
mod interpreter;
mod judging;
mod known;
mod late;
mod look;
mod own;
mod reach;
mod scripts;
mod sweep;
mod tell;

pub(crate) use asked::{Asked, run};
pub(crate) use census::{Asked as AskedAbout, Census, Counted, Reading};
pub(crate) use hunt::hunt;
pub(crate) use interpreter::Interpreter;
pub(crate) use known::reopen;
pub(crate) use late::Late;
pub(crate) use look::{Depth, Look, Piece};
pub(crate) use own::parents as own_parents;
pub(crate) use reach::Reach;
pub use sweep::{Fate, Found, Sweeper};
