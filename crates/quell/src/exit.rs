//! How a command ends, as a number that scripts can rely on.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[cfg_attr(
    not(any(feature = "client", test)),
    expect(dead_code, reason = "the numbers are one table, whichever roles are built in")
)]
pub(crate) enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// It was tried and failed.
    Failed = 1,
    /// The command line is wrong. Also what clap exits with.
    Usage = 2,
    /// The file, machine or order is not known.
    NotFound = 3,
    /// Sign in, or ask for the permission.
    NotPermitted = 4,
    /// Permitted, but refused: the file is spared, nothing is guarded there, policy.
    Refused = 5,
    /// It may still happen; the wait was over first.
    WaitedTooLong = 6,
    /// Something else is under way that excludes it.
    Conflict = 7,
    /// No answer from the server.
    Unreachable = 8,
    /// Ctrl-C.
    Interrupted = 130,
}

/// The table, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 sign in or not permitted, 5 refused,
6 waited too long, 7 conflict, 8 server not reachable, 130 interrupted";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        (exit as u8).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_each_number() {
        use Exit::*;
        let all = [
            Done,
            Failed,
            Usage,
            NotFound,
            NotPermitted,
            Refused,
            WaitedTooLong,
            Conflict,
            Unreachable,
            Interrupted,
        ];
        let numbers: Vec<u8> = HELP
            .split(|c: char| !c.is_ascii_digit())
            .filter(|word| !word.is_empty())
            .map(|word| word.parse().unwrap())
            .collect();
        assert_eq!(numbers, all.map(|exit| exit as u8));
    }
}
