//! What people and scripts read. A reader that has gone (`| head`) is no error.

use std::fmt::Display;
use std::io::Write;

/// What was asked for: to stdout.
pub(crate) fn out(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Words beside it: to stderr.
pub(crate) fn aside(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
