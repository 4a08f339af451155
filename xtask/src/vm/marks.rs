//! What the guest says beside the output of its commands: lines that begin with a word which nobody else knows.

use std::fmt;

/// Where the guest finds its orders.
pub(crate) const ORDERS: &str = "/orders";
/// Name of the port that carries output and marks.
pub(crate) const PORT: &str = "quell.output";

/// One line of the guest's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The command of this number begins.
    Begin(usize),
    /// It has ended, and so has everything it started.
    End(usize, End),
    /// No command is left.
    Done,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself.
    Exit(i32),
    /// By a signal.
    Signal(i32),
    /// It was killed, because its seconds were over.
    Late(u32),
    /// It could not be started: the number of the error.
    NotStarted(i32),
}

impl Mark {
    /// The line, without its end. `word` was chosen by the host for this boot.
    pub(crate) fn line(self, word: &str) -> String {
        match self {
            Self::Begin(number) => format!("{word} begin {number}"),
            Self::End(number, end) => format!("{word} end {number} {end}"),
            Self::Done => format!("{word} done"),
        }
    }

    /// A mark, if the line is one.
    pub(crate) fn read(line: &str, word: &str) -> Option<Self> {
        let mut parts = line.strip_prefix(word)?.split_ascii_whitespace();
        let kind = parts.next()?;
        if kind == "done" {
            return Some(Self::Done);
        }
        let number = parts.next()?.parse().ok()?;
        if kind == "begin" {
            return Some(Self::Begin(number));
        }
        let (how, value) = (parts.next()?, parts.next()?);
        let end = match how {
            "exit" => End::Exit(value.parse().ok()?),
            "signal" => End::Signal(value.parse().ok()?),
            "late" => End::Late(value.parse().ok()?),
            "not-started" => End::NotStarted(value.parse().ok()?),
            _ => return None,
        };
        (kind == "end").then_some(Self::End(number, end))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Late(seconds) => write!(f, "late {seconds}"),
            Self::NotStarted(error) => write!(f, "not-started {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let ends = [End::Exit(0), End::Signal(9), End::Late(30), End::NotStarted(2)];
        let marks = ends.map(|end| Mark::End(7, end));
        for mark in marks.into_iter().chain([Mark::Begin(0), Mark::Done]) {
            assert_eq!(Mark::read(&mark.line("secret"), "secret"), Some(mark));
        }
    }

    #[test]
    fn output_is_no_mark() {
        for line in ["", "end 0 exit 0", "other done", "secret", "secret end 0", "secret end x exit 0"] {
            assert_eq!(Mark::read(line, "secret"), None, "{line}");
        }
    }
}
