//! Runs a command, shows its output as it comes, and counts the tests in it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How long output may still trickle in after the command has ended: a process that a test left behind may
/// hold the pipe open for ever.
const GRACE: Duration = Duration::from_secs(5);

/// What a finished command said.
pub(crate) struct Ran {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Every line of both streams, in the order in which they came.
    pub(crate) lines: Vec<String>,
}

/// Exit codes of `timeout`: stopped, and killed because it would not stop.
const TIMED_OUT: [i32; 2] = [124, 137];

impl Ran {
    /// Whether a command under `timeout` was stopped by it.
    pub(crate) fn timed_out(&self) -> bool {
        self.status.code().is_some_and(|code| TIMED_OUT.contains(&code))
    }
}

/// Runs `command` to its end.
pub(crate) fn run(command: &mut Command) -> Result<Ran> {
    let named = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {named}"))?;
    let (sender, receiver) = channel();
    if let Some(stdout) = child.stdout.take() {
        let sender = sender.clone();
        thread::spawn(move || follow(stdout, std::io::stdout(), &sender));
    }
    if let Some(stderr) = child.stderr.take() {
        thread::spawn(move || follow(stderr, std::io::stderr(), &sender));
    }
    let status = child.wait().with_context(|| format!("cannot wait for {named}"))?;
    Ok(Ran { status, lines: drain(&receiver) })
}

/// Copies a stream to the terminal line by line, and to the counter.
fn follow(from: impl Read, mut to: impl Write, sender: &Sender<String>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        // A closed terminal is no reason to stop counting.
        let _shown = to.write_all(&line).and_then(|()| to.flush());
        if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
            return;
        }
        line.clear();
    }
}

fn drain(receiver: &Receiver<String>) -> Vec<String> {
    let end = Instant::now() + GRACE;
    let mut lines = Vec::new();
    loop {
        match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => lines.push(line),
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_streams_are_kept() {
        let ran = run(Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"])).unwrap();
        assert_eq!(ran.status.code(), Some(3));
        let mut lines = ran.lines;
        lines.sort();
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn a_command_that_is_stopped_is_known_by_its_code() {
        let ran = run(Command::new("timeout").args(["0.1", "sleep", "20"])).unwrap();
        assert!(ran.timed_out());
    }

    #[test]
    fn a_process_left_behind_does_not_hold_us() {
        let begun = Instant::now();
        run(Command::new("sh").args(["-c", "sleep 20 & echo started"])).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(15));
    }
}
