//! Runs one command of the guest to its end, and leaves nothing of it behind.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait};

use super::super::marks::{End, Mark};
use super::super::order::Order;

/// Where the guest's programs lie.
pub(super) const PATH: &str = "/usr/sbin:/usr/bin";
const ENVIRONMENT: [(&str, &str); 4] =
    [("PATH", PATH), ("HOME", "/"), ("TMPDIR", "/tmp"), ("RUST_BACKTRACE", "1")];
/// How long output may still come when nobody is left who could write it.
const GRACE: Duration = Duration::from_secs(5);

/// Writes a mark on a line of its own.
pub(super) fn say(output: &mut File, mark: Mark, word: &str) -> Result<()> {
    writeln!(output, "{}", mark.line(word)).context("cannot write to the host")
}

/// Runs it, with a mark before and behind its output.
pub(super) fn run(order: &Order, number: usize, word: &str, output: &mut File) -> Result<()> {
    say(output, Mark::Begin(number), word)?;
    let (end, middle_of_line) = obey(order, output)?;
    if middle_of_line {
        writeln!(output)?;
    }
    say(output, Mark::End(number, end), word)
}

/// How it ended, and whether its output stopped within a line.
fn obey(order: &Order, output: &mut File) -> Result<(End, bool)> {
    let (mut reader, writer) = std::io::pipe()?;
    let (program, arguments) = order.arguments.split_first().context("an order without a program")?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(ENVIRONMENT).envs(order.environment.iter().cloned());
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok((End::NotStarted(error.raw_os_error().unwrap_or(0)), false)),
    };
    drop(command);
    let pid = Pid::from_child(&child);
    let mut copy = output.try_clone()?;
    let (drained, is_drained) = channel();
    thread::spawn(move || {
        let mut chunk = [0; 16384];
        let mut last = b'\n';
        while let Ok(length @ 1..) = reader.read(&mut chunk) {
            last = chunk[length - 1];
            // Without the host nobody could be told.
            let _written = copy.write_all(&chunk[..length]);
        }
        let _gone = drained.send(last != b'\n');
    });
    let end = wait_for(pid, order.seconds)?;
    // Who is left would disturb the next command, and might hold the output open.
    kill_others()?;
    let middle_of_line = is_drained.recv_timeout(GRACE).unwrap_or(true);
    Ok((end, middle_of_line))
}

/// Waits for one process, and for every orphan that ends meanwhile. Nothing here wakes up in between: a machine
/// that counts instructions would count ours.
fn wait_for(pid: Pid, seconds: u32) -> Result<End> {
    let late = Arc::new(AtomicBool::new(false));
    let (over, is_over) = channel::<()>();
    let flag = Arc::clone(&late);
    thread::spawn(move || {
        let limit = Duration::from_secs(seconds.into());
        if let Err(RecvTimeoutError::Timeout) = is_over.recv_timeout(limit) {
            flag.store(true, Ordering::Release);
            // Were it gone already, there would be nothing to do.
            let _killed = kill_process(pid, Signal::KILL);
        }
    });
    loop {
        if let Some((_, status)) = wait(WaitOptions::empty())?.filter(|(ended, _)| *ended == pid) {
            drop(over);
            return Ok(if late.load(Ordering::Acquire) { End::Late(seconds) } else { end_of(status) });
        }
    }
}

fn end_of(status: WaitStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => End::Exit(code),
        (None, Some(signal)) => End::Signal(signal),
        (None, None) => End::Signal(0),
    }
}

/// Ends every process but this one, and waits until they are gone.
fn kill_others() -> Result<()> {
    // To the kernel, "group 1" negated is everyone but the first process.
    match kill_process_group(Pid::INIT, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => return Err(error.into()),
    }
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => thread::sleep(Duration::from_millis(2)),
            Err(Errno::CHILD) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    eprintln!("guest-init: some processes do not end");
    Ok(())
}
