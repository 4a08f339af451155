//! Whether a file is meant that lies where a spared one belongs.

use std::io::{self, BufRead, IsTerminal, Write};

use serde_json::Value;

use super::{Answer, Api};
use crate::escape::printable;
use crate::failure::Failure;

/// The server's word for that it must be said.
const REQUIRED: &str = "ConfirmationRequired";

/// Whether that is meant.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Confirm {
    /// Take the file even where it lies in the place of one that the machine needs, and is not that one. Asked for on a
    /// terminal
    #[arg(long)]
    confirm_spared_path: bool,
}

impl Confirm {
    /// Orders it; asks on a terminal, where the server wants to know.
    pub(crate) fn post(self, api: &Api, path: &str, mut body: Value) -> Result<Answer, Failure> {
        if !self.confirm_spared_path {
            match api.post(path, &body) {
                Err(failure) if failure.has_code(REQUIRED) && asks(&failure) => {}
                other => return other,
            }
        }
        body["Confirm"] = true.into();
        api.post(path, &body)
    }
}

fn asks(failure: &Failure) -> bool {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return false;
    }
    let mut terminal = io::stderr();
    let question = printable(failure.message()).into_owned();
    let _ = write!(terminal, "{question}\nIs it meant? [y/N] ").and_then(|()| terminal.flush());
    let mut answer = String::new();
    // What cannot be read is no yes.
    let _ = io::stdin().lock().read_line(&mut answer);
    is_yes(&answer)
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim(), "y" | "Y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(is_yes("y\n") && is_yes("yes"));
        for no in ["", "\n", "n\n", "yeah\n", "1"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
